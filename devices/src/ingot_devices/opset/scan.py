"""The scan group: running folds along one axis, and what their gradients need.

A scan keeps its operand's shape; a zero-dim operand is its own scan. ``reverse`` runs from the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .op import Op, Spec, add_op
from .reduce import _exponent, _float, _sum, _summand, _wide
from .shared import replaced, swap, typed


def scan(name: str, define: Callable[..., None], x: Callable[..., Any], attributes: Mapping[str, Any], doc: str) -> Op:
    """Add a row with one result; ``x`` is the gradient rule. Integers give int64 unless ``dtype`` says otherwise."""

    def result(x: Spec, axis: int, dtype: DType | None = None, **attrs: Any) -> tuple[Spec, ...]:
        return (Spec.of(x.shape, _sum(x.dtype, dtype)),)

    return add_op(Op(name, "scan", ("x",), result, {"axis": -1, "dtype": None, **attributes}, define=define, gradient={"x": x}, doc=doc))


def _line(d: Define, x: Operand | Spec, axis: int, reverse: bool = False) -> tuple[tuple[Expr, ...], Expr]:
    """Indices of an element, and the axis to scan along (the literal 0 of a zero-dim operand)."""
    at = d.axes(x.shape)
    if not x.shape:
        return at, d.axis(1)
    along = at[axis]
    return (replaced(at, axis, const(x.shape[axis] - 1, dt.index) - along) if reverse else at), along


def _running(monoid: str) -> Callable[..., None]:
    def define(d: Define, x: Operand, axis: int, dtype: DType | None, reverse: bool = False) -> None:
        at, along = _line(d, x, axis, reverse)
        d.store(0, at, d.scan(monoid, _summand(x[at], dtype), along=along))

    return define


def _cumprod_gradient(b: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    return b.cumprod_backward(g, typed(b, x, g), out, axis=axis) if x.ndim else g


# ---- gradient of cumprod -----------------------------------------------------------------------------------------------
def _cumprod_backward(b: Any, y: Any, x: Any, out: Any, axis: int) -> Any:
    """Σ_{j≥i} y_j · Π_{k≤j, k≠i} x_k in linear time.

    Before the first zero that is Σ y_j·out_j / x_i; at the first zero, the products skip it; after it, all are 0.
    """
    zero = b.eq(x, 0)
    zeros = b.cumsum(zero, axis=axis)
    first = b.logical_and(zero, b.eq(zeros, 1))
    skipping = b.cumprod(b.where(first, 1, x), axis=axis)
    at = b.cumsum(b.mul(y, skipping), axis=axis, reverse=True)
    before = b.div(b.cumsum(b.mul(y, out), axis=axis, reverse=True), b.where(zero, 1, x))
    return b.where(b.eq(zeros, 0), before, b.where(first, at, 0))


def _omitting(b: Any, x: Any, axis: int) -> tuple[Any, Any]:
    """[…, i, k] is x_k, or 1 where k = i; and its products along k: Π_{k≤j} without factor i, as […, i, j]."""
    rows = swap(b, x, axis, -1)
    *lead, n = rows.shape
    square = b.expand(b.view(rows, shape=(*lead, 1, n)), shape=(*lead, n, n))
    omitted = b.fill_diagonal(square, 1)
    return omitted, b.cumprod(omitted, axis=-1)


def _column(b: Any, x: Any, axis: int) -> Any:
    rows = swap(b, x, axis, -1)
    return b.view(rows, shape=(*rows.shape, 1))


def _row(b: Any, x: Any, axis: int) -> Any:
    rows = swap(b, x, axis, -1)
    return b.view(rows, shape=(*rows.shape[:-1], 1, rows.shape[-1]))


def _cumprod_backward_y(b: Any, g: Any, x: Any, axis: int) -> Any:
    """Σ_{i≤j} g_i · Π_{k≤j, k≠i} x_k; quadratic in the axis, as all of the second order is."""
    _, products = _omitting(b, x, axis)
    return swap(b, b.sum(b.mul(_column(b, g, axis), b.triu(products)), axes=(-2,)), axis, -1)


def _cumprod_backward_x(b: Any, g: Any, y: Any, x: Any, axis: int) -> Any:
    """For each i the gradient of its own cumprod, whose factor i is the constant 1."""
    omitted, products = _omitting(b, x, axis)
    weights = b.triu(b.mul(_column(b, g, axis), _row(b, y, axis)))
    slopes = b.fill_diagonal(b.cumprod_backward(weights, omitted, products, axis=-1), 0)
    return swap(b, b.sum(slopes, axes=(-2,)), axis, -1)


# ---- running sums of exponentials ----------------------------------------------------------------------------------------
def _logcumsumexp(d: Define, x: Operand, axis: int, reverse: bool) -> None:
    at, along = _line(d, x, axis, reverse)
    d.store(0, at, d.scan("logsumexp", _exponent(x[at]), along=along))


def _logcumsumexp_gradient(b: Any, g: Any, x: Any, out: Any, axis: int, reverse: bool) -> Any:
    """Σ_{j≥i} g_j·exp(x_i − out_j), no factor of which overflows: what is positive in g and what is negative, by logarithms."""
    def part(h: Any) -> Any:
        positive = b.gt(h, 0)
        logs = b.where(positive, b.log(b.where(positive, h, 1)), -6e4 if h.dtype is dt.float16 else -1e38)
        return b.exp(b.add(b.logcumsumexp(b.sub(logs, out), axis=axis, reverse=not reverse), x))

    return b.sub(part(g), part(b.neg(g)))


# ---- running extremes -----------------------------------------------------------------------------------------------------
def extreme(name: str, monoid: str, doc: str) -> Op:
    """Add a row that finds the running extreme and where it was met last."""

    def define(d: Define, x: Operand, axis: int) -> None:
        at, along = _line(d, x, axis)
        value = x[at].cast(dt.int32) if x.dtype is dt.bool_ else _wide(x[at])
        best = d.scan(monoid, value, along=along)
        met = value.eq(best)
        if value.dtype.kind == "f":
            met = met | s.isnan(value)
        last = d.scan("max", where(met, along.cast(dt.int64), 0), along=along)
        d.store(0, at, best.ne(0) if x.dtype is dt.bool_ else best)
        d.store(1, at, last)

    def result(x: Spec, axis: int) -> Sequence[Spec]:
        return Spec.of(x.shape, x.dtype), Spec.of(x.shape, dt.int64)

    def gradient(b: Any, g: Any, indices: Any, axis: int) -> Any:
        return b.gather_backward(g, indices, shape=g.shape, axis=axis)

    return add_op(Op(name, "scan", ("x",), result, {"axis": -1}, outputs=("values", "indices"), define=define,
                     gradient={"x": gradient}, differentiable=("values",), doc=doc))


# fmt: off
scan("cumsum", _running("sum"), lambda b, g, axis, reverse: b.cumsum(g, axis=axis, reverse=not reverse), {"reverse": False},
     "Running sum, from the end if `reverse`.")
scan("cumprod", _running("prod"), _cumprod_gradient, {}, "Running product.")
add_op(Op("logcumsumexp", "scan", ("x",), lambda x, axis, reverse: (Spec.of(x.shape, _float(x.dtype)),), {"axis": -1, "reverse": False},
          define=_logcumsumexp, gradient={"x": _logcumsumexp_gradient}, doc="Running log Σ exp(x), by the greatest so far."))
extreme("cummax", "max", "Running maximum and where it was met last; NaN stays.")
extreme("cummin", "min", "Running minimum and where it was met last; NaN stays.")
add_op(Op("cumprod_backward", "scan", ("y", "x", "out"), lambda y, x, out, axis: (Spec.of(x.shape, x.dtype),), {"axis": -1},
          outputs=("grad",), differentiable=("grad",), decompose=_cumprod_backward,
          gradient={"y": _cumprod_backward_y, "x": _cumprod_backward_x},
          doc="The gradient of cumprod(x) = out by x, for the gradient y of out; right where x is 0. Its own rule for x is "
              "the whole derivative, so `out` has none."))
# fmt: on
