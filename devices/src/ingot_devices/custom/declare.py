"""Declaring an op: names, result rule, meaning, gradient and reference in one call.

    declare("swiglu", "out = silu(gate) * x")            meaning, result rule and gradients follow from the text
    declare("fft", operands="x", result="x", reference=numpy_fft, gradient={"x": lambda b, g: b.fft(g)})

What comes out is a row of the opset (`opset.op.Op`), like those of the house. Kernels for it are added later and
elsewhere (`kernels`). The core's ``ingot.library`` puts functions on tensors in front of this.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..context import changed
from ..opset.op import OPS, Op, Spec, add_op, check_rules
from . import form as forms
from .gradients import Missing, rules
from .lower import GROUP, Expression
from .origin import Origin, origin
from .parse import Source, parse

DERIVE = "derive"
_NAME = re.compile(r"[a-z_]\w*(::[a-z_]\w*)?")


@dataclass(frozen=True, eq=False)
class Declared:
    """A declared op: its ``row``, and what tests need beside it. ``scalars``: number operands with their defaults."""

    row: Op
    scalars: Mapping[str, Any]
    reference: Callable[..., Any] | None
    origin: Origin
    expression: Expression | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """The operands that are tensors."""
        return tuple(n for n in self.row.names if n not in self.scalars)

    def evaluate(self, arrays: Sequence[Any], attributes: Mapping[str, Any]) -> tuple[Any, ...]:
        """The reference on NumPy arrays and numbers, in the order of the operands."""
        if self.reference is None:
            self.origin.refuse(f"{self.row.name} has no reference; give reference= a function of NumPy arrays")
        return _evaluate(self.reference, self.row, self.scalars, arrays, attributes)


DECLARED: dict[str, Declared] = {}
"""Every op that was declared under a name, in order."""


def declare(
    name: str,
    expression: str | None = None,
    *,
    operands: str | Sequence[str] | None = None,
    scalars: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    outputs: str | Sequence[str] | None = None,
    result: Any = None,
    reference: Callable[..., Any] | None = None,
    decompose: Callable[..., Any] | None = None,
    gradient: Any = DERIVE,
    doc: str = "",
    add: bool = True,
) -> Declared:
    """Declare an op, and put its row into the opset unless ``add`` is False.

    ``expression``: what it computes, see `parse`. ``operands``: tensors in order; default: the names that the expression
    reads, as they appear. ``scalars``: number operands, passed at each launch, with defaults. ``attributes``: static
    values with defaults. ``outputs``: names of the results; default: the last name that is assigned, or "out".
    ``result`` (without an expression): an operand's name, whose shape and dtype it has; or a function of operands and
    attributes by name that returns (shape, dtype) or a `Spec`; or one of these for each output, in a mapping.
    ``reference``: a function of NumPy arrays; the judge of every kernel, and what runs on a device that has none.
    ``decompose``: the meaning in other ops, ``lambda b, x, y: b.mul(x, b.exp(y))``.
    ``gradient``: "derive" (of an expression or a decomposition); None: it has none; a mapping from operands to rules,
    each a function (``lambda b, g, x: b.mul(g, x)``) or an expression (``"g * x"``); or one function that returns the
    gradients of all tensor operands.

    `DeclarationError` names the author's file and line.
    """
    place = origin(expression or "")
    OPS.load()  # so that a name that the opset has is taken
    if not _NAME.fullmatch(name):
        place.refuse(f"an op's name is lower-case, as in 'swiglu' or 'acme::swiglu'; {name!r} was given")
    source = parse(expression, place) if expression is not None else None
    given, attrs = dict(scalars or {}), MappingProxyType(dict(attributes or {}))
    outs = _outputs(outputs, source, place)
    names = (*_operands(operands, source, given, attrs, outs, place), *given)
    _check_names(names, outs, attrs, place)
    made = None if source is None else expression_of(source, name, names, outs, given, attrs)
    row = _row(name, names, outs, given, attrs, made, result, reference, decompose, doc, place)
    written = rules(gradient, row, made, given, place) if gradient != DERIVE else None
    row = _with_gradient(row, made, gradient, written, place)
    try:
        (add_op if add else check_rules)(row)
    except ValueError as error:
        place.refuse(str(error))
    found = Declared(row, MappingProxyType(given), reference, place, made)
    if add:
        DECLARED[name] = found
    return found


def withdraw(name: str) -> None:
    """Take a declared op out of the opset again, as a notebook does that declares it anew. Its kernels stay registered."""
    if DECLARED.pop(name, None) is None:
        origin().refuse(f"no op was declared as {name!r}; declared are {', '.join(DECLARED) or 'none'}")
    OPS.pop(name, None)
    changed()


def expression_of(
    source: Source, name: str, names: Sequence[str], outs: Sequence[str], scalars: Mapping[str, Any],
    attributes: Mapping[str, Any],
) -> Expression:  # fmt: skip
    """The expression of ``source`` over operands ``names``; every name that it reads must be known, every result set."""
    known = {*names, *attributes}
    strange = [n for n in source.names if n not in known]
    if strange:
        line = next((a.line for a in source.body if re.search(rf"\b{strange[0]}\b", _text(source, a.line))), 1)
        source.refuse(f"{strange[0]!r} is no operand; there are {', '.join(sorted(known))}", line)
    assigned = [a.name for a in source.body]
    lost = [o for o in outs if o not in assigned]
    if lost:
        source.refuse(f"the result {lost[0]!r} is not assigned; assigned are {', '.join(assigned)}")
    kept = frozenset(scalars)
    made = Expression(
        name, tuple(names), lambda dtype, attrs: forms.build(source, names, outs, dtype, attrs, kept), tuple(outs),
        attributes, dict(scalars), forms.floats(source, attributes), refuse=source.refuse,
    )  # fmt: skip
    made.op(None)  # what is wrong in it is found now
    return made


def _text(source: Source, line: int) -> str:
    return source.text.splitlines()[line - 1]


def _split(names: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(names.replace(",", " ").split()) if isinstance(names, str) else tuple(names)


def _outputs(outputs: str | Sequence[str] | None, source: Source | None, place: Origin) -> tuple[str, ...]:
    if outputs is not None:
        return _split(outputs)
    return ("out",) if source is None else (source.body[-1].name,)


def _operands(
    operands: str | Sequence[str] | None, source: Source | None, scalars: Mapping[str, Any],
    attributes: Mapping[str, Any], outs: Sequence[str], place: Origin,
) -> tuple[str, ...]:  # fmt: skip
    if operands is not None:
        found = _split(operands)
        return tuple(n for n in found if n not in scalars)
    if source is None:
        place.refuse("an op without an expression needs operands=, as in operands='x weight'")
    assert source is not None
    return tuple(n for n in source.names if n not in scalars and n not in attributes)


def _check_names(names: Sequence[str], outs: Sequence[str], attributes: Mapping[str, Any], place: Origin) -> None:
    every = [*names, *outs, *attributes]
    for n in every:
        if not n.isidentifier() or n.startswith("g_"):
            place.refuse(f"{n!r} cannot name an operand: letters, digits and _, not beginning with g_")
    twice = sorted({n for n in every if every.count(n) > 1})
    if twice:
        place.refuse(f"{twice[0]!r} is named twice among operands, outputs and attributes")
    if not names or not outs:
        place.refuse("an op has at least one operand and one output")


def _row(
    name: str, names: tuple[str, ...], outs: tuple[str, ...], scalars: Mapping[str, Any], attributes: Mapping[str, Any],
    made: Expression | None, result: Any, reference: Callable[..., Any] | None, decompose: Callable[..., Any] | None,
    doc: str, place: Origin,
) -> Op:  # fmt: skip
    if made is not None:
        if result is not None:
            place.refuse("an expression says itself what results; leave result= out")
        return made.op(None, doc)
    if result is None:
        place.refuse(f"{name} has no result rule, so nobody knows the shape of its results. Give result= an operand's name, "
                     "or a function: result=lambda x: (x.shape[:-1], x.dtype)")

    def evaluate(*arrays: Any, **attrs: Any) -> tuple[Any, ...]:
        assert reference is not None
        return _evaluate(reference, row, scalars, arrays, attrs)

    plain = evaluate if reference is not None and decompose is None else None
    row = Op(name, GROUP, names, _result(result, names, outs, place), attributes, outs, decompose=decompose,
             differentiable=outs, doc=doc, reference=plain)  # fmt: skip
    return row


def _with_gradient(row: Op, made: Expression | None, gradient: Any, written: Any, place: Origin) -> Op:
    from dataclasses import replace

    if gradient is None:
        return replace(row, gradient=None, differentiable=())
    if gradient != DERIVE:
        return replace(row, gradient=written)
    if made is not None:
        return made.op("derive", row.doc)
    if row.decompose is not None:
        return row  # differentiated through its parts
    return replace(row, gradient=Missing(row, place))


def _result(given: Any, names: Sequence[str], outs: Sequence[str], place: Origin) -> Callable[..., tuple[Spec, ...]]:
    """The result rule of an op without an expression."""
    each = [given[o] if isinstance(given, Mapping) and o in given else given for o in outs]
    for one in each:
        if isinstance(one, str) and one not in names:
            place.refuse(f"result={one!r} is no operand; there are {', '.join(names)}")
        if not isinstance(one, str) and not callable(one):
            place.refuse(f"result= is an operand's name or a function of the operands, not {one!r}")

    def rule(*specs: Spec | None, **attributes: Any) -> tuple[Spec, ...]:
        known = {**dict(zip(names, specs, strict=False)), **attributes}
        return tuple(_spec(one, known, place) for one in each)

    return rule


def _spec(one: Any, known: Mapping[str, Any], place: Origin) -> Spec:
    made = known[one] if isinstance(one, str) else _by_name(one, known, place)
    if isinstance(made, Spec):
        return Spec.of(made.shape, made.dtype)
    try:
        shape, dtype = made
        return Spec.of(tuple(int(n) for n in shape), dtype)
    except (TypeError, ValueError):
        place.refuse(f"the result rule returned {made!r}; it has to return (shape, dtype)")
        raise


def _by_name(function: Callable[..., Any], known: Mapping[str, Any], place: Origin) -> Any:
    asked = list(inspect.signature(function).parameters)
    strange = [p for p in asked if p not in known]
    if strange:
        place.refuse(f"the result rule asks for {strange}; it can have {', '.join(known)}")
    return function(*(known[p] for p in asked))


def _evaluate(
    function: Callable[..., Any], row: Op, scalars: Mapping[str, Any], arrays: Sequence[Any], attributes: Mapping[str, Any]
) -> tuple[Any, ...]:
    """A NumPy function of operands by position; scalars and attributes by keyword where it names them."""
    named = dict(zip(row.names, arrays, strict=False))
    numbers = {n: scalars[n] if named.get(n) is None else named[n] for n in scalars}
    try:
        asked = set(inspect.signature(function).parameters)
    except ValueError:  # a ufunc
        asked = set()
    more = {k: v for k, v in {**numbers, **attributes}.items() if k in asked}
    made = function(*(named[n] for n in row.names if n not in scalars), **more)
    return tuple(made) if isinstance(made, (tuple, list)) else (made,)
