"""Expression kernels, last step: a form becomes a row of the opset, with its gradient of every order.

A form without stages is a pointwise expression and goes every pointwise way; one with stages is a definition of several
stages over one domain, the broadcast shape of its operands: one kernel for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..errors import DeclarationError
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, substitute, walk
from ..layout import broadcast_shapes
from ..opset.op import Defaults, Named, Op, Spec, Types, number_spec, promote_specs
from .adjoint import NoDerivative, adjoint
from .form import Form, Result, count, param

GROUP = "custom"
MAKE = Callable[[DType, Mapping[str, Any]], Form]


@dataclass(frozen=True, eq=False)
class Expression:
    """An op by its forms: ``make(dtype, attributes)`` gives the one that computes in ``dtype``.

    ``floats``: integers become the default float. ``gradient``: "derive", or the rules that the author wrote.
    """

    name: str
    operands: tuple[str, ...]
    make: MAKE
    outputs: tuple[str, ...] = ("out",)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scalars: Mapping[str, Any] = field(default_factory=dict)  # number operands and their defaults
    floats: bool = False
    order: int = 0  # 0 the op, 1 its gradient …
    refuse: Callable[[str], Any] | None = None
    known: Mapping[Any, Form] = field(default_factory=dict)

    def form(self, dtype: DType, attributes: Mapping[str, Any]) -> Form:
        """The form that computes in ``dtype``, made once."""
        key = (dtype, tuple(attributes.items()))
        found = self.known.get(key)
        if found is None:
            found = self.make(dtype, attributes)
            self.known[key] = found  # type: ignore[index]
        return found

    def op(self, gradient: Mapping[str, Any] | str | None = "derive", doc: str = "", group: str = GROUP) -> Op:
        """The row. ``gradient``: rules by operand, None for none, or "derive"."""
        rules = Derived(self) if gradient == "derive" else gradient
        assert not isinstance(rules, str)
        pointwise = len(self.outputs) == 1 and not self.form(_probe(self), self.attributes).stages
        return Op(
            self.name, group, tuple(f"{n}?" if n in self.scalars else n for n in self.operands),
            self._types if pointwise else self.result, self.attributes, self.outputs,
            expression=self._pointwise if pointwise else None, define=None if pointwise else self.define,
            gradient=rules, differentiable=self.outputs, doc=doc,
        )  # fmt: skip

    # ---- types ---------------------------------------------------------------------------------------------------------
    def promoted(self, specs: Sequence[Spec | None]) -> DType:
        """The dtype of the operands together."""
        if self.order:  # of a gradient, the floats among the operands decide
            specs = [x for x in specs if x is not None and x.dtype.kind == "f"] or specs
        found = promote_specs(specs)
        return Defaults.float if self.floats and found.kind in "bui" else found

    def result(self, *specs: Spec | None, **attributes: Any) -> tuple[Spec, ...]:
        """Shapes and dtypes of the results."""
        given = self.promoted(specs)
        form = self.form(dt.compute_dtype(given), attributes)
        domain = broadcast_shapes(*(x.shape for x in specs if x is not None))
        for k, made in enumerate(form.stages):
            if domain and -min(made.axes) > len(domain):
                raise ValueError(f"{self.name} reduces over axes {list(made.axes)} (stage {k}); its operands have the shape "
                                 f"{list(domain)}")
        return tuple(Spec.of(_shape(r, domain), _dtype(r, given)) for r in form.results)

    @cached_property
    def _types(self) -> Types:
        return _Pointwise(self)

    # ---- meaning -------------------------------------------------------------------------------------------------------
    def _pointwise(self, *values: Expr | None, **attributes: Any) -> Expr:
        given = [v for v in values if v is not None]
        form = self.form(given[0].dtype, attributes)
        leaves = {param(n, given[0].dtype): v for n, v in enumerate(values) if v is not None}
        leaves |= self._defaults(values, given[0].dtype)
        return substitute(form.results[0].value, leaves.get)

    def define(self, d: Define, *values: Any, **attributes: Any) -> None:
        """The definition: every stage in order, then the stores."""
        compute = dt.compute_dtype(self.promoted([_spec(v) for v in values]))
        form = self.form(compute, attributes)
        domain = broadcast_shapes(*(v.shape for v in values if isinstance(v, Operand)))
        at = d.axes(domain)
        leaves = self._defaults(values, compute)
        for n, v in enumerate(values):
            if v is not None:
                leaves[param(n, compute)] = (v.at(at, domain) if isinstance(v, Operand) else v).cast(compute)
        for axes in {s.axes for s in form.stages}:
            for kind in {s.value.dtype for s in form.stages} | {compute}:
                leaves[count(axes, kind)] = const(_extent(domain, axes), kind)
        for s in form.stages:
            d.reduce(s.monoid, substitute(s.value, leaves.get), over=[at[a] for a in s.axes] if at else [])
        for k, r in enumerate(form.results):
            d.store(k, _places(r, at), substitute(r.value, leaves.get))

    def _defaults(self, values: Sequence[Any], dtype: DType) -> dict[Expr, Expr]:
        """Scalars that were left out."""
        names = zip(self.operands, values, strict=True)
        return {param(n, dtype): const(self.scalars[name], dtype) for n, (name, v) in enumerate(names)
                if v is None and name in self.scalars}  # fmt: skip


def _probe(expression: Expression) -> DType:
    """A type that the expression computes in, to see what it is made of; what is wrong with it in float32 is raised."""
    for dtype in (dt.float32, dt.int32, dt.bool_):
        try:
            expression.form(dtype, expression.attributes)
        except DeclarationError:
            continue
        return dtype
    expression.form(dt.float32, expression.attributes)
    raise AssertionError


class _Pointwise(Types):
    """The result rule of a form without stages."""

    def __init__(self, expression: Expression) -> None:
        super().__init__("gradient" if expression.order else "float" if expression.floats else "same")
        self.expression = expression

    def __call__(self, *specs: Spec | None, **attributes: Any) -> tuple[Spec, ...]:
        return self.expression.result(*specs, **attributes)

    def promoted(self, specs: Sequence[Spec | None]) -> DType:
        return self.expression.promoted(specs)

    def cast(self, specs: Sequence[Spec | None], loaded: Sequence[Expr | None]) -> list[Expr | None]:
        wanted = dt.compute_dtype(self.promoted(specs))
        return [e if e is None else e.cast(wanted) for e in loaded]


def _spec(value: Any) -> Spec | None:
    if value is None:
        return None
    if isinstance(value, Operand):
        return Spec.of(value.shape, value.dtype)
    return number_spec({"b": bool, "f": float}.get(value.dtype.kind, int))


def _shape(result: Result, domain: tuple[int, ...]) -> tuple[int, ...]:
    rank = len(domain)
    gone = {a % rank for a in result.dropped} if rank else set[int]()
    return tuple(1 if k in gone else n for k, n in enumerate(domain) if result.keepdim or k not in gone)


def _places(result: Result, at: Sequence[Expr]) -> list[Expr | int]:
    gone = {a % len(at) for a in result.dropped} if at else set[int]()
    return [0 if k in gone else i for k, i in enumerate(at) if result.keepdim or k not in gone]


def _dtype(result: Result, given: DType) -> DType:
    made = result.value.dtype
    return given if made is dt.compute_dtype(given) else made


def _extent(domain: tuple[int, ...], axes: tuple[int, ...]) -> int:
    n = 1
    for a in axes:
        n *= domain[a] if domain else 1
    return n


# ---- gradients ---------------------------------------------------------------------------------------------------------
class Derived(Mapping[str, Callable[..., Any]]):
    """Gradient rules of an expression, derived when they are first asked for: operand → rule."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    @cached_property
    def rules(self) -> dict[str, Callable[..., Any]]:
        made = {}
        e = self.expression
        for n, name in enumerate(e.operands):
            if name not in e.scalars:
                rule = derived_rule(e, n)
                if rule is not None:
                    made[name] = rule
        return made

    def __getitem__(self, operand: str) -> Callable[..., Any]:
        return self.rules[operand]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


def derived_rule(e: Expression, n: int) -> Callable[..., Any] | None:
    """The builder rule for operand ``n``: it launches one op, whose operands are what it reads."""
    grads = tuple(f"g{e.order}_{o}" for o in e.outputs)
    every = (*grads, *e.operands)

    def whole(dtype: DType, attributes: Mapping[str, Any]) -> Form | None:
        inner = e.form(dtype, attributes)
        moved = _moved(inner, len(grads))
        try:
            return adjoint(moved, param(n + len(grads), dtype), [param(k, dtype) for k in range(len(grads))])
        except NoDerivative as error:
            text = f"{error}: the gradient of {e.name} for {e.operands[n]!r} has to be written; give gradient={{…}}"
            if e.refuse is not None:
                e.refuse(text)
            raise ValueError(text) from None

    try:
        probe = whole(dt.float32, e.attributes)
    except TypeError:
        probe = None
    if probe is None:
        return None
    used = sorted({x.value for r in _roots(probe) for x in walk(r) if x.op == "param"})
    reads = tuple(every[k] for k in used)

    def make(dtype: DType, attributes: Mapping[str, Any]) -> Form:
        found = whole(dtype, attributes)
        assert found is not None
        numbers = {old: new for new, old in enumerate(used)}
        return _renamed(found, lambda k: numbers[k])

    slope = Expression(f"{e.name}.d{e.operands[n]}", reads, make, ("grad",), e.attributes,
                       {n: v for n, v in e.scalars.items() if n in reads}, order=e.order + 1, refuse=e.refuse)  # fmt: skip
    return rule_of(slope, e, {g: f"g_{o}" for g, o in zip(grads, e.outputs, strict=True)})


def rule_of(slope: Expression, e: Expression, names: Mapping[str, str]) -> Callable[..., Any]:
    """``slope`` as a gradient rule of ``e``; ``names``: what a rule calls some of its operands."""
    op = slope.op()
    asked = [names.get(r, f"operand:{r}") for r in slope.operands]
    specs = [f"{o}_spec" for o in e.operands if o not in e.scalars]
    form = e.form(_probe(e), e.attributes)
    dropped = {f"g_{o}": r for o, r in zip(e.outputs, form.results, strict=True) if r.dropped and not r.keepdim}
    parameters = ["b", *asked, *(specs if dropped else ()), *e.attributes]

    def rule(b: Any, *values: Any) -> Any:
        operands = list(values[: len(asked)])
        if dropped:
            shapes = [x.shape for x in values[len(asked) : len(asked) + len(specs)] if x is not None]
            domain = broadcast_shapes(*shapes)
            for k, name in enumerate(asked):
                if name in dropped and domain:
                    kept = Result(dropped[name].value, dropped[name].dropped, keepdim=True)
                    operands[k] = b.view(operands[k], shape=_shape(kept, domain))
        return b.call(op, tuple(operands), tuple(values[len(parameters) - 1 - len(e.attributes) :]))

    return Named(rule, parameters)


def _roots(form: Form) -> list[Expr]:
    return [*(s.value for s in form.stages), *(r.value for r in form.results)]


def _moved(form: Form, by: int) -> Form:
    """The form with its operands' numbers raised, to make room for the gradients."""
    return _renamed(form, lambda k: k + by)


def _renamed(form: Form, number: Callable[[int], int]) -> Form:
    def rename(root: Expr) -> Expr:
        return substitute(root, lambda x: param(number(x.value), x.dtype) if x.op == "param" else None)

    stages = tuple(type(s)(s.monoid, s.axes, rename(s.value)) for s in form.stages)
    return Form(stages, tuple(Result(rename(r.value), r.dropped, r.keepdim) for r in form.results))
