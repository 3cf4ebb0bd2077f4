"""The reduce group: axes folded into one value each. Every row is one stage and a store of what it found.

``axes`` are negative, sorted, or None for all; ``keepdim`` leaves them at size 1. Halves are summed in float32, integers
in int64. Rows that find a position (argmax, max_with_index…) take one ``axis``, or None for the flattened operand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const
from ..layout import dense_strides
from .op import Defaults, Op, Spec, add_op
from .shared import (
    Axes,
    convert,
    count,
    from_rows,
    keep,
    one_axis,
    places,
    reduced_shape,
    spread,
    to_rows,
    typed,
)  # fmt: skip

Rule = Callable[..., Any]
INF = math.inf
OVER: Mapping[str, Any] = {"axes": None, "keepdim": False}
ALONG: Mapping[str, Any] = {"axis": None, "keepdim": False}
BOOLEAN = {"max": "any", "min": "all"}


# ---- result dtypes ---------------------------------------------------------------------------------------------------
def _same(x: DType, **attrs: Any) -> DType:
    return x


def _sum(x: DType, dtype: DType | None = None, **attrs: Any) -> DType:
    return dtype or (dt.int64 if x.kind in "bui" else x)


def _float(x: DType, dtype: DType | None = None, **attrs: Any) -> DType:
    found = dtype or x
    if found.kind != "f":
        raise TypeError(f"a floating point dtype is needed, {found.name} was given; convert the operand, or give dtype=")
    return found


def _to_float(x: DType, **attrs: Any) -> DType:
    return x if x.kind == "f" else Defaults.float


def _truth(x: DType, **attrs: Any) -> DType:
    return x if x is dt.uint8 else dt.bool_


def _int64(x: DType, **attrs: Any) -> DType:
    return dt.int64


# ---- the helper -----------------------------------------------------------------------------------------------------
def reduce(
    name: str, dtype: Callable[..., DType], define: Callable[..., None], x: Rule | None = None,
    attributes: Mapping[str, Any] | None = None, nonempty: Callable[..., bool] = lambda **attrs: False, doc: str = "",
) -> Op:  # fmt: skip
    """Add a row over ``axes``; ``x`` is the gradient rule, ``nonempty`` tells when no elements have no value."""

    def result(x: Spec, axes: Axes, keepdim: bool, **attrs: Any) -> tuple[Spec, ...]:
        found = dtype(x.dtype, **attrs)
        if nonempty(**attrs):
            _refuse_empty(name, x, axes)
        return (Spec.of(reduced_shape(x.shape, axes, keepdim), found),)

    return add_op(Op(name, "reduce", ("x",), result, {**OVER, **(attributes or {})}, define=define,
                     gradient=None if x is None else {"x": x}, doc=doc))


def _refuse_empty(name: str, x: Spec, axes: Axes) -> None:
    for k in places(x.ndim, axes):
        if x.shape[k] == 0:
            raise IndexError(f"{name}(): expected reduction dim {k} to have non-zero size; the operand has shape "
                             f"{list(x.shape)}")


def frame(d: Define, x: Operand, axes: Axes, keepdim: bool) -> tuple[tuple[Expr, ...], list[Expr], list[Expr | int]]:
    """Indices of the operand; those of them to reduce; where the result goes."""
    at = d.axes(x.shape)
    gone = places(len(at), axes)
    target: list[Expr | int] = [0 if k in gone else i for k, i in enumerate(at) if keepdim or k not in gone]
    return at, [at[k] for k in gone], target


def folded(
    monoid: str, value: Callable[..., Expr], finish: Callable[..., Expr] = lambda total, n, **attrs: total
) -> Callable[..., None]:
    """The definition: ``value(element, **attrs)`` folded by ``monoid``, then ``finish(total, n, **attrs)``."""

    def define(d: Define, x: Operand, axes: Axes, keepdim: bool, **attrs: Any) -> None:
        at, over, target = frame(d, x, axes, keepdim)
        element = value(x[at], **attrs)
        by = BOOLEAN.get(monoid, monoid) if element.dtype is dt.bool_ else monoid
        d.store(0, target, finish(d.reduce(by, element, over=over), count(x.shape, axes), **attrs))

    return define


# ---- what is folded -----------------------------------------------------------------------------------------------------
def _wide(x: Expr, **attrs: Any) -> Expr:
    return x.cast(dt.compute_dtype(x.dtype))


def _summand(x: Expr, dtype: DType | None = None) -> Expr:
    kept = convert(x, _sum(x.dtype, dtype))
    return kept.cast(dt.accumulate_dtype(kept.dtype))


def _fractional(x: Expr, dtype: DType | None = None) -> Expr:
    kept = x.cast(dtype or x.dtype)
    return kept.cast(dt.compute_dtype(kept.dtype))


def _nonzero(x: Expr, **attrs: Any) -> Expr:
    return convert(x, dt.bool_)


def _exponent(x: Expr) -> Expr:
    return _wide(x.cast(_to_float(x.dtype)))


def _variance(finish: Callable[[Expr], Expr]) -> Callable[..., None]:
    def define(d: Define, x: Operand, axes: Axes, keepdim: bool, correction: float) -> None:
        at, over, target = frame(d, x, axes, keepdim)
        mean = d.reduce("welford", _wide(x[at]), over=over)
        freedom = max(count(x.shape, axes) - correction, 0.0)
        d.store(0, target, finish(d.component(mean, 1) / float(freedom)))

    return define


def _norm(d: Define, x: Operand, axes: Axes, keepdim: bool, p: float) -> None:
    folds: dict[float, Callable[..., None]] = {
        0: folded("sum", lambda x: _wide(x).ne(0).cast(dt.compute_dtype(x.dtype))),
        1: folded("sum", lambda x: s.absolute(_wide(x))),
        2: folded("sum", lambda x: _wide(x) * _wide(x), lambda total, n: s.sqrt(total)),
        INF: folded("max", lambda x: s.absolute(_wide(x))),
        -INF: folded("min", lambda x: s.absolute(_wide(x))),
    }
    general = folded("sum", lambda x: s.power(s.absolute(_wide(x)), float(p)), lambda total, n: s.power(total, 1 / p))
    folds.get(p, general)(d, x, axes, keepdim)


# ---- gradients ------------------------------------------------------------------------------------------------------------
def _mean_gradient(b: Any, g: Any, x_spec: Spec, axes: Axes) -> Any:
    return spread(b, b.div(g, max(count(x_spec.shape, axes), 1)), x_spec.shape, axes)


def _prod_gradient(b: Any, g: Any, x: Any, axes: Axes) -> Any:
    """Each element's gradient is the product of the others, before and after it: no division, so zeros are right."""
    rows = to_rows(b, typed(b, x, g), axes)
    after = b.flip(_before(b, b.flip(rows, axes=(-1,))), axes=(-1,))
    others = from_rows(b, b.mul(_before(b, rows), after), x.shape, axes)
    return b.mul(spread(b, g, x.shape, axes), others)


def _before(b: Any, rows: Any) -> Any:
    """Products of the elements before each."""
    return b.cumprod(b.pad(rows, 1, pads=((1, -1),)), axis=-1)


def _extreme_gradient(b: Any, g: Any, x: Any, out: Any, axes: Axes) -> Any:
    """Shared evenly among the elements that are the extreme."""
    wins = b.cast(b.eq(x, keep(b, out, x.shape, axes)), dtype=g.dtype)
    share = b.div(keep(b, g, x.shape, axes), b.sum(wins, axes=axes, keepdim=True))
    return b.mul(wins, share)


def _var_gradient(b: Any, g: Any, x: Any, axes: Axes, correction: float) -> Any:
    freedom = count(x.shape, axes) - correction
    scaled = b.mul(keep(b, g, x.shape, axes), 2 / freedom if freedom > 0 else math.nan)
    return b.mul(scaled, b.sub(x, b.mean(x, axes=axes, keepdim=True)))


def _std_gradient(b: Any, g: Any, x: Any, out: Any, axes: Axes, correction: float) -> Any:
    return _var_gradient(b, _unless_zero(b, out, b.div(g, b.mul(_or_one(b, out), 2))), x, axes, correction)


def _norm_gradient(b: Any, g: Any, x: Any, out: Any, axes: Axes, p: float) -> Any:
    g, out = keep(b, g, x.shape, axes), keep(b, out, x.shape, axes)
    if p == 0:
        return b.mul(b.sign(x), 0.0)
    if p == 1:
        return b.mul(b.sign(x), g)
    if p == 2:
        return b.mul(b.div(x, _or_one(b, out)), _unless_zero(b, out, g))  # a quotient of at most 1 overflows no half
    if abs(p) == INF:
        return b.mul(b.sign(x), _extreme_gradient(b, g, b.abs(x), out, axes))
    inner = b.mul(b.sign(x), b.pow(_or_one(b, b.abs(x)), p - 1))
    return _unless_zero(b, out, b.mul(inner, b.mul(g, b.pow(_or_one(b, out), 1 - p))))


def _or_one(b: Any, x: Any) -> Any:
    return b.where(b.eq(x, 0), 1, x)


def _unless_zero(b: Any, x: Any, value: Any) -> Any:
    return b.where(b.eq(x, 0), 0, value)


def _logsumexp_gradient(b: Any, g: Any, x: Any, out: Any, axes: Axes) -> Any:
    return b.mul(keep(b, g, x.shape, axes), b.exp(b.sub(x, keep(b, out, x.shape, axes))))


# ---- positions --------------------------------------------------------------------------------------------------------------
def _found(d: Define, x: Operand, monoid: str, axis: int | None, keepdim: bool) -> tuple[list[Expr | int], Expr, Expr]:
    """Where the result goes, the extreme value and its position along ``axis`` (or in row-major order)."""
    at, over, target = frame(d, x, _axes(x, axis), keepdim)
    value = x[at].cast(dt.int32) if x.dtype is dt.bool_ else _wide(x[at])
    place = const(0, dt.index)
    for i, stride in zip(over, dense_strides([d.extent(i) for i in over]), strict=True):
        place = place + i * stride
    best = d.reduce(monoid, value, place.cast(dt.int64), over=over)
    return target, convert(best, x.dtype), d.component(best, 1, dt.int64)


def _axes(x: Spec | Operand, axis: int | None) -> Axes:
    return None if axis is None else one_axis(Spec.of(x.shape, x.dtype), axis)


def position(name: str, monoid: str, doc: str) -> Op:
    """Add a row that finds a position."""

    def define(d: Define, x: Operand, axis: int | None, keepdim: bool) -> None:
        target, _, at = _found(d, x, monoid, axis, keepdim)
        d.store(0, target, at)

    def result(x: Spec, axis: int | None, keepdim: bool) -> tuple[Spec, ...]:
        if x.dtype is dt.bool_:
            raise TypeError(f"{name}() does not take bool; convert the operand to an integer dtype")
        _refuse_empty(name, x, _axes(x, axis))
        return (Spec.of(reduced_shape(x.shape, _axes(x, axis), keepdim), dt.int64),)

    return add_op(Op(name, "reduce", ("x",), result, ALONG, define=define, doc=doc))


def extreme(name: str, monoid: str, doc: str) -> Op:
    """Add a row that finds a value and its position."""

    def define(d: Define, x: Operand, axis: int, keepdim: bool) -> None:
        target, value, at = _found(d, x, monoid, axis, keepdim)
        d.store(0, target, value)
        d.store(1, target, at)

    def result(x: Spec, axis: int, keepdim: bool) -> Sequence[Spec]:
        _refuse_empty(name, x, _axes(x, axis))
        shape = reduced_shape(x.shape, _axes(x, axis), keepdim)
        return Spec.of(shape, x.dtype), Spec.of(shape, dt.int64)

    def gradient(b: Any, g: Any, indices: Any, x_spec: Spec, axis: int) -> Any:
        shape, axes = x_spec.shape, _axes(x_spec, axis)
        return b.gather_backward(keep(b, g, shape, axes), keep(b, indices, shape, axes), shape=shape, axis=axis)

    return add_op(Op(name, "reduce", ("x",), result, {"axis": -1, "keepdim": False}, outputs=("values", "indices"), define=define,
                     gradient={"x": gradient}, differentiable=("values",), doc=doc))


# fmt: off
# ---- sums
reduce("sum", _sum, folded("sum", _summand), lambda b, g, x_spec, axes: spread(b, g, x_spec.shape, axes), {"dtype": None},
       doc="Sum; integers give int64, unless `dtype` (to which the elements are cast first) says otherwise.")
reduce("mean", _float, folded("sum", _fractional, lambda total, n, dtype: total / float(n)), _mean_gradient, {"dtype": None})
reduce("prod", _sum, folded("prod", _summand), _prod_gradient, {"dtype": None}, doc="Product; dtypes as for sum.")
reduce("count_nonzero", _int64, folded("sum", lambda x: _nonzero(x).cast(dt.int64)))
reduce("var", _float, _variance(lambda v: v), _var_gradient, {"correction": 1},
       doc="Σ(x − mean)² / (n − correction), by Welford's recurrence.")
reduce("std", _float, _variance(s.sqrt), _std_gradient, {"correction": 1}, doc="√var; its gradient is 0 where it is 0.")
reduce("norm", _float, _norm, _norm_gradient, {"p": 2}, nonempty=lambda p: abs(p) == INF, doc="(Σ|x|ᵖ)^(1/p); p of 0 counts, ±∞ take the extreme.")
reduce("logsumexp", _to_float, folded("logsumexp", _exponent), _logsumexp_gradient)
# ---- extremes
reduce("amax", _same, folded("max", _wide), _extreme_gradient, nonempty=lambda: True, doc="NaN wins; ties share the gradient.")
reduce("amin", _same, folded("min", _wide), _extreme_gradient, nonempty=lambda: True, doc="NaN wins; ties share the gradient.")
position("argmax", "argmax", "Position of the greatest: the first among equals, NaN before all.")
position("argmin", "argmin", "Position of the least: the first among equals, NaN before all.")
extreme("max_with_index", "argmax", "Greatest value along an axis and where it is; the gradient goes there.")
extreme("min_with_index", "argmin", "Least value along an axis and where it is; the gradient goes there.")
# ---- truth
reduce("any", _truth, folded("any", _nonzero))
reduce("all", _truth, folded("all", _nonzero))
# fmt: on
