"""Losses of the composite group that compare element with element, each one kernel to its last number.

``reduction`` is "none", "sum" or "mean". The log loss of two classes is in `binary_loss`, losses by class are in `class_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr
from ..layout import broadcast_shapes
from .composite import composite, need_float, wide
from .op import Spec, promote_specs
from .shared import Shape

REDUCTIONS = ("none", "sum", "mean")


def check_reduction(reduction: str) -> None:
    """ValueError for a reduction that does not exist."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction!r} is not a valid value for reduction; it is one of {REDUCTIONS}")


def pair_spec(x: Spec, y: Spec, *weights: Spec | None, reduction: str) -> tuple[Spec]:
    """The result of a loss of x and y: their broadcast shape (weights take part), or a number."""
    check_reduction(reduction)
    need_float("a loss", x, y)
    shape = broadcast_shapes(*(v.shape for v in (x, y, *weights) if v is not None))
    return (Spec.of(shape if reduction == "none" else (), promote_specs((x, y))),)


def pair_backward_spec(grad: Spec, x: Spec, y: Spec, *weights: Spec | None, reduction: str) -> tuple[Spec]:
    """Its gradient, as large as the loss before it was reduced."""
    return pair_spec(x, y, *weights, reduction="none")


def together(d: Define, *given: Operand | None) -> tuple[Sequence[Expr], Shape, list[Any]]:
    """Axes of the broadcast shape, that shape, and each operand's element in one computing type (None stays)."""
    shape = broadcast_shapes(*(x.shape for x in given if x is not None))
    at = d.axes(shape)
    work = dt.float32
    for x in given:
        work = work if x is None else dt.promote(work, x.dtype)
    return at, shape, [None if x is None else x.at(at, shape).cast(work) for x in given]


def store_reduced(d: Define, at: Sequence[Expr], value: Expr, n: int, reduction: str) -> None:
    """Write each element's loss, or the sum or mean of all ``n``."""
    if reduction == "none":
        d.store(0, at, value)
        return
    total = d.reduce("sum", value, over=at) if at else value
    d.store(0, [], total / float(n) if reduction == "mean" else total, over=[])


def _mse(d: Define, x: Operand, y: Operand, reduction: str) -> None:
    at, shape, (a, b) = together(d, x, y)
    store_reduced(d, at, (a - b) * (a - b), math.prod(shape), reduction)


def share_of(reduction: str, shape: Shape) -> float:
    """What one element's loss weighs in the result."""
    return 1.0 / max(math.prod(shape), 1) if reduction == "mean" else 1.0


def _mse_backward(d: Define, grad: Operand, x: Operand, y: Operand, reduction: str) -> None:
    at, shape, (a, b) = together(d, x, y)
    d.store(0, at, (a - b) * (2 * share_of(reduction, shape)) * grad.at(at, shape).cast(a.dtype))


def _mse_backward_by_parts(b: Any, grad: Any, x: Any, y: Any, reduction: str) -> Any:
    away = b.sub(x, y)
    return b.mul(b.mul(away, 2 * share_of(reduction, away.shape)), grad)


def _floored(d: Define, x: Operand, low: Expr, refused: str) -> None:
    at = d.axes(x.shape)
    v = wide(x[at])
    if refused:
        d.check(~(v < 0), refused, at)
    d.store(0, at, s.maximum(v, low.cast(v.dtype)))


def _floored_spec(x: Spec, low: Spec, refused: str) -> tuple[Spec]:
    need_float("floored", x)
    return (Spec.of(x.shape, x.dtype),)


MEAN = {"reduction": "mean"}
# fmt: off
composite("mse_loss", "x y", pair_spec, MEAN, "(x - y)².", define=_mse,
          x=lambda b, g, x, y, reduction: b.mse_loss_backward(g, x, y, reduction=reduction),
          y=lambda b, g, x, y, reduction: b.mse_loss_backward(g, y, x, reduction=reduction))
composite("mse_loss_backward", "grad x y", pair_backward_spec, MEAN, "The gradient of mse_loss's x.", define=_mse_backward, decompose=_mse_backward_by_parts)
composite("floored", "x low", _floored_spec, {"refused": ""}, "x, or low where that is more; the gradient passes as if nothing were changed. refused: said of an x below 0, if not empty.",
          define=_floored, x=lambda b, g: g)
# fmt: on
