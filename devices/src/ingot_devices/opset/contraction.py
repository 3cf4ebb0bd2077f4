"""The contraction group: sums of products over a shared axis. Each row is one sum stage; the rest is its epilogue.

Halves are summed in float32, integers in int64. Leading axes are a batch and broadcast. mm, bmm, dot, outer and einsum
are made of these by the core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, where
from ..layout import broadcast_shapes
from .op import Op, Spec, add_op
from .shared import Shape, swap


def contraction(
    name: str, operands: str, define: Callable[..., None], shape: Callable[..., Shape], doc: str,
    attributes: Mapping[str, Any] | None = None, **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; ``shape`` finds the result's shape from the operands' specs, all tensors have one dtype."""

    def result(*specs: Spec | None, **attrs: Any) -> tuple[Spec, ...]:
        found = {s.dtype for s in specs if s is not None and s.rank}
        if len(found) > 1 or dt.bool_ in found:
            names = " and ".join(s.dtype.name for s in specs if s is not None and s.rank)
            raise TypeError(f"{name} takes operands of one dtype, bool excepted; given: {names}. Convert one of them first")
        return (Spec.of(shape(*specs), found.pop()),)

    return add_op(Op(name, "contraction", tuple(operands.split()), result, attributes or {}, define=define,
                     gradient=gradient, doc=doc))


def _product(d: Define, x: Expr, y: Expr, k: Expr) -> Expr:
    """Σ x·y over ``k``."""
    work = dt.accumulate_dtype(x.dtype)
    return d.reduce("sum", x.cast(work) * y.cast(work), over=[k])


# ---- matmul -----------------------------------------------------------------------------------------------------------------
def _matmul_shape(x: Spec, y: Spec) -> Shape:
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matrices of shapes {list(x.shape)} and {list(y.shape)} cannot be multiplied: the last size of "
                         "the first must be the last but one of the second")
    return (*broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])


def _matmul(d: Define, x: Operand, y: Operand) -> None:
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    m, n, size = x.shape[-2], y.shape[-1], x.shape[-1]
    *lead, i, j, k = d.axes((*batch, m, n, size))
    total = _product(d, x.at([*lead, i, k], (*batch, m, size)), y.at([*lead, k, j], (*batch, size, n)), k)
    d.store(0, [*lead, i, j], total)


def _matmul_x(b: Any, g: Any, y: Any, x_spec: Spec) -> Any:
    if x_spec.ndim == 2 and g.ndim > 2:  # one matrix against a batch: the batch is summed over, too
        return b.matmul(_side(b, g), swap(b, _side(b, y)))
    return b.matmul(g, swap(b, y))


def _matmul_y(b: Any, g: Any, x: Any, y_spec: Spec) -> Any:
    if y_spec.ndim == 2 and g.ndim > 2:
        return b.matmul(swap(b, rows(b, x)), rows(b, g))
    return b.matmul(swap(b, x), g)


def rows(b: Any, x: Any) -> Any:
    """``x`` as one matrix: all axes but the last flattened into rows."""
    return x if x.ndim == 2 else b.view(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _side(b: Any, x: Any) -> Any:
    """A batch of matrices as one, side by side."""
    *batch, m, n = x.shape
    order = (-2, *range(-x.ndim, -2), -1)
    return b.view(b.permute(x, dims=order), shape=(m, math.prod(batch) * n))


# ---- linear -----------------------------------------------------------------------------------------------------------------
def _linear_shape(x: Spec, weight: Spec, bias: Spec | None) -> Shape:
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"an input of shape {list(x.shape)} does not fit a weight of shape {list(weight.shape)}: its last "
                         "size must be the weight's second (outputs, inputs)")
    shape = (*x.shape[:-1], weight.shape[0])
    if bias is not None and not _broadcasts(bias.shape, shape):
        raise ValueError(f"a bias of shape {list(bias.shape)} does not fit {weight.shape[0]} outputs")
    return shape


def _broadcasts(given: Shape, shape: Shape) -> bool:
    """True where ``given`` broadcasts to ``shape``."""
    return len(given) <= len(shape) and all(n in (1, m) for n, m in zip(reversed(given), reversed(shape), strict=False))


def _linear(d: Define, x: Operand, weight: Operand, bias: Operand | None) -> None:
    *lead, j, k = d.axes((*x.shape[:-1], *weight.shape))
    total = _product(d, x[(*lead, k)], weight[j, k], k)
    if bias is not None:
        total = total + bias.at([*lead, j], (*x.shape[:-1], weight.shape[0])).cast(total.dtype)
    d.store(0, [*lead, j], total)


def _linear_weight(b: Any, g: Any, x: Any) -> Any:
    return b.matmul(swap(b, rows(b, g)), rows(b, x))


# ---- addmm ------------------------------------------------------------------------------------------------------------------
def _addmm_shape(bias: Spec, x: Spec, y: Spec, *numbers: Spec) -> Shape:
    shape = _matmul_shape(x, y)
    if len(shape) != 2 or broadcast_shapes(bias.shape, shape) != shape:
        raise ValueError(f"a summand of shape {list(bias.shape)} does not broadcast to the product's shape {list(shape)}")
    return shape


def _addmm(d: Define, bias: Operand, x: Operand, y: Operand, beta: Expr, alpha: Expr) -> None:
    """beta·bias + alpha·(x·y); the summand is not looked at where beta is 0."""
    i, j, k = d.axes((x.shape[0], y.shape[1], x.shape[1]))
    total = _product(d, x[i, k], y[k, j], k)
    factor = beta.cast(total.dtype)
    added = bias.at([i, j], (x.shape[0], y.shape[1])).cast(total.dtype)
    d.store(0, [i, j], where(factor.eq(0), 0, factor * added) + alpha.cast(total.dtype) * total)


# fmt: off
contraction("matmul", "x y", _matmul, _matmul_shape, "(…, m, k)·(…, k, n) → (…, m, n), the batch axes broadcast.", x=_matmul_x, y=_matmul_y)
contraction("linear", "x weight bias?", _linear, _linear_shape, "x·weightᵀ + bias: (…, k), (n, k), (n) or (…, n) → (…, n).",
            x=lambda b, g, weight: b.linear(g, swap(b, weight), None), weight=_linear_weight, bias=lambda b, g: g)
contraction("addmm", "bias x y beta alpha", _addmm, _addmm_shape, "beta·bias + alpha·(x·y), for matrices.",
            bias=lambda b, g, beta: b.mul(g, beta), x=lambda b, g, y, alpha: b.mul(b.matmul(g, swap(b, y)), alpha),
            y=lambda b, g, x, alpha: b.mul(b.matmul(swap(b, x), g), alpha))
# fmt: on
