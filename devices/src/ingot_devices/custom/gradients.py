"""Gradient rules as authors write them, made into rules of a row: checked when declared, and when they run.

A rule is a function of the builder (``lambda b, g, x: b.mul(g, x)``), or an expression ("g * x", a kernel of its own),
for one operand; or one function that returns the gradients of all. What a rule returns must sum to its operand's
shape; an error says whose rule it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import dtypes as dt
from ..layout import broadcast_shapes
from ..opset.op import Named, Op, parameters
from . import form as forms
from .lower import Expression, rule_of
from .origin import Origin, of_function, origin
from .parse import parse

Rule = Callable[..., Any]


def rules(
    given: Any, row: Op, made: Expression | None, scalars: Mapping[str, Any], place: Origin
) -> Mapping[str, Rule] | None:
    """``gradient=`` of a declaration as rules by operand."""
    if given is None:
        return None
    tensors = [n for n in row.names if n not in scalars]
    if callable(given):
        _check(given, row)
        return {n: _checked(_share(given, k, len(tensors), row), row, n, of_function(given)) for k, n in enumerate(tensors)}
    if not isinstance(given, Mapping):
        place.refuse(f"gradient= is 'derive', None, a function, or a mapping from operands to rules; not {given!r}")
    strange = [n for n in given if n not in tensors]
    if strange:
        place.refuse(f"gradient= has a rule for {strange[0]!r}, which is no tensor operand; there are {', '.join(tensors)}")
    return {n: _one(rule, row, made, scalars, n, place) for n, rule in given.items()}


def _one(rule: Any, row: Op, made: Expression | None, scalars: Mapping[str, Any], operand: str, place: Origin) -> Rule:
    if isinstance(rule, str):
        return _checked(_expression(rule, row, made, scalars, operand), row, operand, origin(rule))
    if not callable(rule):
        place.refuse(f"the gradient of {operand!r} is a function or an expression, not {rule!r}")
    _check(rule, row)
    return _checked(rule, row, operand, of_function(rule))


def _check(rule: Rule, row: Op) -> None:
    """Every parameter of an author's function must be something that a rule can have."""
    known = {"b", "g", *(f"g_{o}" for o in row.outputs), *row.names, *row.outputs, *row.attributes,
             *(f"{n}_spec" for n in row.names)}  # fmt: skip
    asked = parameters(rule)
    strange = [p for p in asked if p not in known]
    if strange:
        of_function(rule).refuse(f"a gradient rule of {row.name} asks for {strange[0]!r}; it can have b (the builder), g (the "
                                 f"gradient of the result), {', '.join(sorted(known - {'b', 'g'}))}")
    clash = [n for n in asked if n in ("b", "g") and n in row.names]
    if clash:
        of_function(rule).refuse(f"{clash[0]!r} is an operand of {row.name} and the name of the "
                                 f"{'builder' if clash[0] == 'b' else 'gradient'} in a rule: give the operand another name")


def _share(function: Rule, k: int, count: int, row: Op) -> Rule:
    """One result of a function that returns all; what it launches is launched once (`autograd.eager.Once`)."""

    def rule(*given: Any) -> Any:
        made = function(*given)
        if not isinstance(made, (tuple, list)) or len(made) != count:
            found = len(made) if isinstance(made, (tuple, list)) else 1
            of_function(function).refuse(f"the gradient of {row.name} has to return {count} values, one for each tensor "
                                         f"operand (None where there is none); it returned {found}")
        return made[k]

    return Named(rule, parameters(function))


def _checked(rule: Rule, row: Op, operand: str, place: Origin) -> Rule:
    """``rule`` with a look at the shape of what it returns."""
    asked = list(parameters(rule))
    spec = f"{operand}_spec"
    extra = [] if spec in asked else [spec]
    every = [*asked, *extra]
    at = every.index(spec)

    def checked(*values: Any) -> Any:
        made = rule(*values[: len(asked)])
        wanted = values[at]
        if made is not None and wanted is not None and not _sums_to(made.shape, wanted.shape):
            place.refuse(f"the gradient of {row.name} for {operand!r} has the shape {list(made.shape)}; the operand's is "
                         f"{list(wanted.shape)}, and the one does not sum to the other")
        return made

    return Named(checked, every)


def _sums_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """True when ``wanted`` broadcasts to ``shape``, or the other way round."""
    try:
        return broadcast_shapes(tuple(shape), wanted) in (tuple(shape), wanted)
    except ValueError:
        return False


def _expression(text: str, row: Op, made: Expression | None, scalars: Mapping[str, Any], operand: str) -> Rule:
    """A rule that is an expression over operands, outputs, attributes and g: a kernel of its own."""
    assigned = text if _assigns(text) else f"grad = {text.strip()}"
    source = parse(assigned, origin(text))
    grads = {"g": f"g_{row.outputs[0]}", **{f"g_{o}": f"g_{o}" for o in row.outputs}}
    known = {*row.names, *row.outputs, *row.attributes, *grads}
    strange = [n for n in source.names if n not in known]
    if strange:
        source.refuse(f"the gradient of {row.name} for {operand!r} reads {strange[0]!r}; it can read "
                      f"{', '.join(sorted(known))}")
    reads = tuple(n for n in source.names if n not in row.attributes)
    numbers = {n: v for n, v in scalars.items() if n in reads}
    out = source.body[-1].name
    slope = Expression(
        f"{row.name}.d{operand}", reads,
        lambda dtype, attrs: forms.build(source, reads, (out,), dtype, attrs, frozenset(numbers)), ("grad",), row.attributes,
        numbers, forms.floats(source, row.attributes), order=1, refuse=source.refuse,
    )  # fmt: skip
    return rule_of(slope, made or _shapeless(row, scalars), grads)


def _assigns(text: str) -> bool:
    return any(line.split("=", 1)[0].strip().isidentifier() and "=" in line and "==" not in line.split("=", 1)[1][:1]
               for line in text.splitlines())  # fmt: skip


def _shapeless(row: Op, scalars: Mapping[str, Any]) -> Expression:
    """Stands for an op that is no expression: nothing is dropped from its results."""
    form = forms.Form((), tuple(forms.Result(forms.param(0, dt.float32)) for _ in row.outputs))
    return Expression(row.name, row.names, lambda dtype, attrs: form, row.outputs, row.attributes, dict(scalars))


class Missing(Mapping[str, Rule]):
    """The rules of an op that has none and does not say so: the backward pass tells its author."""

    def __init__(self, row: Op, place: Origin) -> None:
        self.row, self.place = row, place

    def _refuse(self) -> None:
        self.place.refuse(f"{self.row.name} has no gradient. Give gradient={{operand: rule}} in its declaration, or "
                          "gradient=None to say that nothing flows back")

    def __getitem__(self, operand: str) -> Rule:
        if operand not in self.row.names:
            raise KeyError(operand)

        def rule(b: Any) -> None:
            self._refuse()

        return rule

    def __iter__(self) -> Iterator[str]:
        return iter(self.row.names)

    def __len__(self) -> int:
        return len(self.row.names)
