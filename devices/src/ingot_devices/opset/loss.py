"""Losses of the composite group that compare element with element, each one kernel to its last number.

``reduction`` is "none", "sum" or "mean". The losses by class are in `class_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, where
from ..layout import broadcast_shapes
from .composite import composite, need_float
from .op import Spec, promote_specs
from .shared import Shape

REDUCTIONS = ("none", "sum", "mean")


def check_reduction(reduction: str) -> None:
    """ValueError for a reduction that does not exist."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction!r} is not a valid value for reduction; it is one of {REDUCTIONS}")


def _pair_spec(x: Spec, y: Spec, *weights: Spec | None, reduction: str) -> tuple[Spec]:
    check_reduction(reduction)
    need_float("a loss", x, y)
    shape = broadcast_shapes(*(v.shape for v in (x, y, *weights) if v is not None))
    return (Spec.of(shape if reduction == "none" else (), promote_specs((x, y))),)


def _pair_backward_spec(grad: Spec, x: Spec, y: Spec, *weights: Spec | None, reduction: str) -> tuple[Spec]:
    return _pair_spec(x, y, *weights, reduction="none")


def _together(d: Define, *given: Operand | None) -> tuple[Sequence[Expr], Shape, list[Any]]:
    """Axes of the broadcast shape, that shape, and each operand's element in one computing type (None stays)."""
    shape = broadcast_shapes(*(x.shape for x in given if x is not None))
    at = d.axes(shape)
    work = dt.float32
    for x in given:
        work = work if x is None else dt.promote(work, x.dtype)
    return at, shape, [None if x is None else x.at(at, shape).cast(work) for x in given]


def _store_reduced(d: Define, at: Sequence[Expr], value: Expr, n: int, reduction: str) -> None:
    if reduction == "none":
        d.store(0, at, value)
        return
    total = d.reduce("sum", value, over=at) if at else value
    d.store(0, [], total / float(n) if reduction == "mean" else total, over=[])


def _mse(d: Define, x: Operand, y: Operand, reduction: str) -> None:
    at, shape, (a, b) = _together(d, x, y)
    _store_reduced(d, at, (a - b) * (a - b), math.prod(shape), reduction)


def _share(reduction: str, shape: Shape) -> float:
    """What one element's loss weighs in the result."""
    return 1.0 / max(math.prod(shape), 1) if reduction == "mean" else 1.0


def _mse_backward(d: Define, grad: Operand, x: Operand, y: Operand, reduction: str) -> None:
    at, shape, (a, b) = _together(d, x, y)
    d.store(0, at, (a - b) * (2 * _share(reduction, shape)) * grad.at(at, shape).cast(a.dtype))


def _mse_backward_by_parts(b: Any, grad: Any, x: Any, y: Any, reduction: str) -> Any:
    away = b.sub(x, y)
    return b.mul(b.mul(away, 2 * _share(reduction, away.shape)), grad)


def _bce(d: Define, x: Operand, y: Operand, weight: Operand | None, pos_weight: Operand | None, reduction: str) -> None:
    """pos_weight·y·log(1 + exp(-x)) + (1 - y)·log(1 + exp(x)), without overflow."""
    at, shape, (v, t, w, positive) = _together(d, x, y, weight, pos_weight)
    rest = s.log1p(s.exp(-s.absolute(v)))
    ones = t if positive is None else positive * t
    value = ones * (s.maximum(-v, 0) + rest) + (1 - t) * (s.maximum(v, 0) + rest)
    _store_reduced(d, at, value if w is None else value * w, math.prod(shape), reduction)


def _bce_backward(
    d: Define, grad: Operand, x: Operand, y: Operand, weight: Operand | None, pos_weight: Operand | None, reduction: str
) -> None:
    at, shape, (v, t, w, positive) = _together(d, x, y, weight, pos_weight)
    small = s.exp(-s.absolute(v))
    sigmoid = where(v >= 0, 1 / (small + 1), small / (small + 1))
    made = sigmoid - t if positive is None else (positive * t + 1 - t) * sigmoid - positive * t
    made = made if w is None else made * w
    d.store(0, at, made * _share(reduction, shape) * grad.at(at, shape).cast(made.dtype))


def _bce_backward_by_parts(b: Any, grad: Any, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    ones = y if pos_weight is None else b.mul(y, pos_weight)
    made = b.sub(b.mul(b.add(b.sub(ones, y), 1), b.sigmoid(x)), ones)
    made = made if weight is None else b.mul(made, weight)
    return b.mul(b.mul(made, _share(reduction, made.shape)), grad)


def _bce_target(b: Any, g: Any, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    """-x, and (pos_weight - 1)·log(1 + exp(-x)) where the positives are weighted."""
    made = b.neg(x)
    if pos_weight is not None:
        grows = b.add(b.log1p(b.exp(b.neg(b.abs(x)))), b.relu(b.neg(x)))
        made = b.add(made, b.mul(b.sub(pos_weight, 1), grows))
    made = made if weight is None else b.mul(made, weight)
    shape = broadcast_shapes(made.shape, y.shape)
    return b.mul(b.mul(made, _share(reduction, shape)), g)


MEAN = {"reduction": "mean"}
# fmt: off
composite("mse_loss", "x y", _pair_spec, MEAN, "(x - y)².", define=_mse,
          x=lambda b, g, x, y, reduction: b.mse_loss_backward(g, x, y, reduction=reduction),
          y=lambda b, g, x, y, reduction: b.mse_loss_backward(g, y, x, reduction=reduction))
composite("mse_loss_backward", "grad x y", _pair_backward_spec, MEAN, "The gradient of mse_loss's x.", define=_mse_backward, decompose=_mse_backward_by_parts)
composite("binary_cross_entropy_with_logits", "x y weight? pos_weight?", _pair_spec, MEAN, "The log loss of sigmoid(x) for a target y of [0, 1].", define=_bce,
          x=lambda b, g, x, y, weight, pos_weight, reduction: b.bce_with_logits_backward(g, x, y, weight, pos_weight, reduction=reduction),
          y=_bce_target)
composite("bce_with_logits_backward", "grad x y weight? pos_weight?", _pair_backward_spec, MEAN, "The gradient of binary_cross_entropy_with_logits' x.",
          define=_bce_backward, decompose=_bce_backward_by_parts)
# fmt: on
