"""Expression kernels, second step: checked syntax becomes a `Form`, scalar expressions over one computing type.

A form has ordered stages (reductions) and results. Its leaves are ``param`` n (operand n at this point), ``stage``
(k, 0) (the value of stage k in this row) and ``var`` ("count", axes), the number of elements that a row has.
`adjoint` differentiates forms; `lower` makes definitions of them.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.expr import Expr, Number, binary, const, unary, walk, where
from .functions import CASTS, CONSTANTS, POINTWISE, REDUCTIONS
from .parse import Source

Axes = tuple[int, ...]
Value = Expr | Number


@dataclass(frozen=True)
class Stage:
    """A reduction of ``value`` over ``axes`` (counted from the right)."""

    monoid: str
    axes: Axes
    value: Expr


@dataclass(frozen=True)
class Result:
    """One result. ``dropped``: the axes that it does not have (or has with size 1, where ``keepdim``)."""

    value: Expr
    dropped: Axes = ()
    keepdim: bool = False


@dataclass(frozen=True)
class Form:
    """See the module's docstring."""

    stages: tuple[Stage, ...]
    results: tuple[Result, ...]


def param(n: int, dtype: DType) -> Expr:
    """The leaf of operand ``n``."""
    return Expr.of("param", (), dtype, n)


def stage(k: int, dtype: DType) -> Expr:
    """The leaf of stage ``k``."""
    return Expr.of("stage", (), dtype, (k, 0))


def count(axes: Axes, dtype: DType) -> Expr:
    """The leaf that is the number of elements along ``axes``."""
    return Expr.of("var", (), dtype, ("count", axes))


def floats(source: Source, attributes: Mapping[str, Any]) -> bool:
    """True when integers have to become floats: a division, a float literal, a function like exp."""
    for line in source.body:
        for node in ast.walk(line.value):
            if isinstance(node, ast.Div) or (isinstance(node, ast.Constant) and isinstance(node.value, float)):
                return True
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _makes_float(node.func.id):
                return True
            if isinstance(node, ast.Name) and isinstance(attributes.get(node.id, CONSTANTS.get(node.id)), float):
                return True
    return False


def _makes_float(function: str) -> bool:
    return REDUCTIONS.get(function, False) or (function in POINTWISE and POINTWISE[function][1])


def build(
    source: Source, names: Sequence[str], results: Sequence[str], dtype: DType, attributes: Mapping[str, Any],
    scalars: frozenset[str] = frozenset(),
) -> Form:  # fmt: skip
    """The form of ``source`` with operands ``names`` computed in ``dtype``; `DeclarationError` where it has none."""
    return _Builder(source, names, results, dtype, attributes, scalars).form()


class _Builder:
    """Evaluates the syntax over expressions."""

    def __init__(
        self, source: Source, names: Sequence[str], results: Sequence[str], dtype: DType,
        attributes: Mapping[str, Any], scalars: frozenset[str],
    ) -> None:  # fmt: skip
        self.source, self.dtype, self.wanted = source, dtype, results
        self.numbers = {n for n, name in enumerate(names) if name in scalars}
        self.scope: dict[str, Value] = {**CONSTANTS, **attributes}
        self.scope |= {name: param(n, dtype) for n, name in enumerate(names)}
        self.stages: list[Stage] = []
        self.kept: list[bool] = []

    def form(self) -> Form:
        lines = {}
        for line in self.source.body:
            self.scope[line.name], lines[line.name] = self.value(line.value), line.line
        results = tuple(self.result(name, lines[name]) for name in self.wanted)
        return Form(tuple(self.stages), results)

    def result(self, name: str, line: int) -> Result:
        value = self.scope[name]
        made = value if isinstance(value, Expr) else const(value, self.dtype)
        leaves = list(walk(made))
        used = [n.value[0] for n in leaves if n.op == "stage"]
        if not used or any(n.op == "param" and n.value not in self.numbers for n in leaves):
            return Result(made)
        axes = {self.stages[k].axes for k in used}
        if len(axes) > 1:
            self.source.refuse(f"{name!r} joins reductions over different axes: {sorted(axes)}; reduce over the same", line)
        return Result(made, axes.pop(), any(self.kept[k] for k in used))

    # ---- nodes -------------------------------------------------------------------------------------------------------
    def value(self, node: ast.expr) -> Value:
        """The expression (or Python number) that ``node`` is."""
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return number
            case ast.Name():
                return self.scope[node.id]
            case ast.UnaryOp():
                return self.unary(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.Compare():
                return self.compare(node)
            case ast.BoolOp():
                op = "and" if isinstance(node.op, ast.And) else "or"
                parts = [self.truth(self.value(v)) for v in node.values]
                made = parts[0]
                for part in parts[1:]:
                    made = binary(op, made, part)
                return made
            case ast.IfExp():
                return self.choose(node, self.value(node.test), self.value(node.body), self.value(node.orelse))
            case ast.Call():
                return self.call(node)
        self.source.refuse(f"{ast.unparse(node)} has no value here", node)
        raise AssertionError

    def unary(self, node: ast.UnaryOp) -> Value:
        x = self.value(node.operand)
        if isinstance(node.op, ast.UAdd):
            return x
        if isinstance(node.op, ast.Not):
            return unary("not", self.truth(x))
        if not isinstance(x, Expr):
            return -x if isinstance(node.op, ast.USub) else ~int(x)
        if isinstance(node.op, ast.USub):
            return -self.number(node, x)
        if x.dtype.kind == "f":
            self.source.refuse(f"~ takes integers and bool, not {x.dtype.name}", node)
        return ~x

    def binary(self, node: ast.BinOp) -> Value:
        a, b = self.value(node.left), self.value(node.right)
        op, fold = _BINARY[type(node.op)]
        if not isinstance(a, Expr) and not isinstance(b, Expr):
            made: Number = fold(a, b)
            return made
        if op == "pow":
            return self.power(node, a, b)
        x, y = self.pair(node, a, b, bits=op in _BITS)
        if op in _BITS and x.dtype.kind not in "bui":
            self.source.refuse(f"{ast.unparse(node)}: takes integers and bool, not {x.dtype.name}", node)
        if op == "div" and x.dtype.kind != "f":
            x, y = x.cast(self.dtype), y.cast(self.dtype)
        return binary(op, x, y)

    def power(self, node: ast.BinOp, a: Value, b: Value) -> Value:
        if isinstance(a, Expr) and not isinstance(b, Expr):
            x = self.number(node, a)
            if b in (2, 3):
                return x * x if b == 2 else x * x * x
            if b == 0.5 and x.dtype.kind == "f":
                return s.sqrt(x)
        return s.power(*self.pair(node, a, b))

    def compare(self, node: ast.Compare) -> Value:
        values = [self.value(v) for v in (node.left, *node.comparators)]
        made: Expr | None = None
        for op, a, b in zip(node.ops, values, values[1:], strict=False):
            x, y = self.pair(node, a, b, bits=True)
            part = binary(_COMPARE[type(op)], x, y)
            made = part if made is None else binary("and", made, part)
        assert made is not None
        return made

    def call(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        args = [self.value(a) for a in node.args]
        if name in ("max", "min") and len(args) > 1:
            name = {"max": "maximum", "min": "minimum"}[name]
        if name in REDUCTIONS:
            return self.reduction(node, name, args)
        if name in CASTS:
            wanted = args[0] if len(args) == 1 else self.wrong(node, 1)
            return self.expr(wanted).cast(CASTS[name])
        arity, _, function = POINTWISE[name]
        if len(args) != arity:
            self.wrong(node, arity)
        if name == "where":
            return self.choose(node, *args)
        typed = self.typed(node, args)
        return function(*typed)

    def wrong(self, node: ast.Call, arity: int) -> Value:
        self.source.refuse(f"{ast.unparse(node.func)} takes {arity} argument(s), {len(node.args)} given", node)
        raise AssertionError

    def choose(self, node: ast.expr, test: Value, a: Value, b: Value) -> Expr:
        x, y = self.pair(node, a, b, bits=True)
        return where(self.truth(test), x, y)

    def reduction(self, node: ast.Call, name: str, args: list[Value]) -> Expr:
        if len(args) != 1:
            self.wrong(node, 1)
        axes, keepdim = self.axes(node)
        x = self.expr(args[0])
        if name in ("any", "all"):
            return self.stage(name, self.truth(x), axes, keepdim)
        x = self.number(node, x)
        if name in ("max", "min"):
            return self.stage(name, x, axes, keepdim)
        if name in ("sum", "prod"):
            return self.stage(name, x.cast(dt.accumulate_dtype(x.dtype)), axes, keepdim)
        n = count(axes, x.dtype)
        mean = self.stage("sum", x, axes, keepdim) / n
        if name == "mean":
            return mean
        return self.stage("sum", (x - mean) * (x - mean), axes, keepdim) / n

    def stage(self, monoid: str, value: Expr, axes: Axes, keepdim: bool) -> Expr:
        self.stages.append(Stage(monoid, axes, value))
        self.kept.append(keepdim)
        return stage(len(self.stages) - 1, value.dtype)

    def axes(self, node: ast.Call) -> tuple[Axes, bool]:
        """``axis=`` and ``keepdim=`` of a reduction."""
        given: dict[str, Any] = {"axis": -1, "keepdim": False}
        for k in node.keywords:
            assert k.arg is not None
            parts = k.value.elts if isinstance(k.value, ast.Tuple) else None
            given[k.arg] = self.value(k.value) if parts is None else tuple(self.value(p) for p in parts)
        axis = given["axis"]
        axes = axis if isinstance(axis, tuple) else (axis,)
        if not axes or any(not isinstance(a, int) or a >= 0 for a in axes):
            self.source.refuse(f"axis={axis!r}: axes are counted from the right, as in axis=-1", node)
        return tuple(sorted(set(axes))), bool(given["keepdim"])

    # ---- types -------------------------------------------------------------------------------------------------------
    def expr(self, x: Value) -> Expr:
        """``x`` as an expression; a Python number in the computing type."""
        return x if isinstance(x, Expr) else const(x, dt.bool_ if isinstance(x, bool) else self.dtype)

    def truth(self, x: Value) -> Expr:
        e = self.expr(x)
        return e if e.dtype is dt.bool_ else e.ne(0)

    def number(self, node: ast.AST, x: Expr) -> Expr:
        """``x`` for arithmetic: a truth value counts as 0 or 1."""
        if x.dtype is not dt.bool_:
            return x
        if self.dtype is dt.bool_:
            self.source.refuse("arithmetic on bool: convert it first, as in int32(x)", node)
        return x.cast(self.dtype)

    def pair(self, node: ast.AST, a: Value, b: Value, bits: bool = False) -> tuple[Expr, Expr]:
        """Both in one type. ``bits``: truth values stay as they are."""
        x, y = self.typed(node, [a, b], bits)
        return x, y

    def typed(self, node: ast.AST, values: Sequence[Value], bits: bool = False) -> list[Expr]:
        """``values`` in one type: that of the expressions among them; Python numbers follow."""
        types = [v.dtype for v in values if isinstance(v, Expr)] or [self.dtype]
        common = types[0]
        for d in types[1:]:
            common = dt.promote(common, d)
        if common is dt.bool_ and not (bits and all(isinstance(v, (Expr, bool)) for v in values)):
            if self.dtype is dt.bool_:
                self.source.refuse("arithmetic on bool: convert it first, as in int32(x)", node)
            common = self.dtype
        if common.kind in "ui" and any(isinstance(v, float) for v in values):
            common = self.dtype if self.dtype.kind == "f" else dt.float32
        return [v.cast(common) if isinstance(v, Expr) else const(v, common) for v in values]


_BITS = frozenset("and or xor shl shr".split())
_BINARY: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("add", operator.add), ast.Sub: ("sub", operator.sub), ast.Mult: ("mul", operator.mul),
    ast.Div: ("div", operator.truediv), ast.FloorDiv: ("idiv", operator.floordiv), ast.Mod: ("mod", operator.mod),
    ast.Pow: ("pow", operator.pow), ast.BitAnd: ("and", operator.and_), ast.BitOr: ("or", operator.or_),
    ast.BitXor: ("xor", operator.xor), ast.LShift: ("shl", operator.lshift), ast.RShift: ("shr", operator.rshift),
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip
