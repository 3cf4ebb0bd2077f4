"""Expression kernels, first step: from text to checked syntax.

    "z = a*x + y"  ──`parse`──▶ Source ──`form.build`──▶ Form ──`lower`──▶ Definition

The text is Python's expression syntax, parsed by `ast` and never executed: assignments to names, one a line. What is
not assigned is an operand, a scalar or an attribute. Functions are those of `functions.POINTWISE` and ``REDUCTIONS``
(``sum(x)`` over the last axis; ``axis=`` and ``keepdim=`` as in NumPy).
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from difflib import get_close_matches

from .functions import CASTS, CONSTANTS, POINTWISE, REDUCTIONS
from .origin import Origin, origin

_ALLOWED = (
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Call, ast.Name, ast.Constant, ast.Tuple,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context, ast.keyword,
)  # fmt: skip
_REFUSED_OPERATORS = (ast.MatMult, ast.Is, ast.IsNot, ast.In, ast.NotIn)


@dataclass(frozen=True)
class Assignment:
    """``name = value``, from line ``line`` of the text."""

    name: str
    value: ast.expr
    line: int


@dataclass(frozen=True)
class Source:
    """A checked text. ``names`` are what it reads and does not assign, in the order of their appearance."""

    text: str
    origin: Origin
    body: tuple[Assignment, ...]
    names: tuple[str, ...]

    def refuse(self, message: str, node: ast.AST | int = 1) -> None:
        """Raise about a node, with the author's file and line."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        self.origin.refuse(message, line, self.text)


def parse(text: str, where: Origin | None = None) -> Source:
    """Check ``text``; `DeclarationError` names the author's file and line."""
    place = where or origin(text)
    try:
        tree = ast.parse(_aligned(text))
    except SyntaxError as error:
        place.refuse(f"{error.msg} in the expression of a kernel", error.lineno or 1, text)
    source = Source(text, place, (), ())
    body = [_assignment(source, statement) for statement in tree.body]
    if not body:
        source.refuse("the expression of a kernel is empty; write result = …, as in 'z = a*x + y'")
    return Source(text, place, tuple(body), _names(source, body))


def _aligned(text: str) -> str:
    """``text`` without common indentation, its lines where they were."""
    first, newline, rest = text.partition("\n")
    if first.strip():
        return first.lstrip() + newline + textwrap.dedent(rest)
    return newline + textwrap.dedent(rest)


def _assignment(source: Source, statement: ast.stmt) -> Assignment:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        source.refuse("a line of a kernel's expression is one assignment, as in 'z = a*x + y'", statement)
    assert isinstance(statement, ast.Assign)
    target = statement.targets[0]
    if not isinstance(target, ast.Name):
        source.refuse("a kernel's expression assigns to plain names; it has no subscripts or tuples", statement)
    assert isinstance(target, ast.Name)
    for node in ast.walk(statement.value):
        _check(source, node)
    return Assignment(target.id, statement.value, statement.lineno)


def _check(source: Source, node: ast.AST) -> None:
    if not isinstance(node, _ALLOWED) or isinstance(node, _REFUSED_OPERATORS):
        kind = type(node).__name__
        source.refuse(f"{kind} is not part of a kernel's expression; it has arithmetic, comparisons, "
                      "'a if c else b' and functions", node)  # fmt: skip
    if isinstance(node, ast.Constant) and not isinstance(node.value, (bool, int, float, type(None))):
        source.refuse(f"{node.value!r} is no number", node)
    if isinstance(node, ast.Call):
        _check_call(source, node)


def _check_call(source: Source, node: ast.Call) -> None:
    known = {*POINTWISE, *REDUCTIONS, *CASTS}
    if not isinstance(node.func, ast.Name) or node.func.id not in known:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        near = get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        source.refuse(f"no function is called {name!r}. {hint}There are: {', '.join(sorted(known))}", node)
    assert isinstance(node.func, ast.Name)
    if any(isinstance(a, ast.Starred) for a in node.args):
        source.refuse("a function takes its arguments one by one", node)
    allowed = {"axis", "keepdim"} if node.func.id in REDUCTIONS and len(node.args) == 1 else set[str]()
    strange = [k.arg for k in node.keywords if k.arg not in allowed]
    if strange:
        source.refuse(f"{node.func.id} takes no {strange[0]}=", node)


def _names(source: Source, body: list[Assignment]) -> tuple[str, ...]:
    assigned: set[str] = set()
    found: dict[str, None] = {}
    for line in body:
        skipped = {id(n.func) for n in ast.walk(line.value) if isinstance(n, ast.Call)}
        names = [n for n in ast.walk(line.value) if isinstance(n, ast.Name) and id(n) not in skipped]
        for n in sorted(names, key=lambda n: (n.lineno, n.col_offset)):
            if n.id not in assigned and n.id not in CONSTANTS:
                found.setdefault(n.id)
        if line.name in found or line.name in CONSTANTS:
            source.refuse(f"{line.name!r} is read before it is assigned; give the result another name", line.line)
        if line.name in assigned:
            source.refuse(f"{line.name!r} is assigned twice; give the second another name", line.line)
        assigned.add(line.name)
    return tuple(found)
