"""The log loss of two classes, of the composite group: from logits and from probabilities, each one kernel to its last number.

From probabilities no logarithm counts as less than -100 and no x·(1 - x) that a gradient is divided by as less than 1e-12, so
that both are finite at 0 and 1, as PyTorch has it. What is no probability is refused (`DeviceValueError`).
"""

from __future__ import annotations

import math
from typing import Any

from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, where
from ..layout import broadcast_shapes
from .activation import decay
from .composite import composite
from .loss import MEAN, pair_backward_spec, pair_spec, share_of, store_reduced, together

OF_INPUT = "all elements of input should be between 0 and 1"
OF_TARGET = "all elements of target should be between 0 and 1"
LEAST_LOG, LEAST_SPREAD = -100.0, 1e-12


# ---- from logits -----------------------------------------------------------------------------------------------------
def _with_logits(
    d: Define, x: Operand, y: Operand, weight: Operand | None, pos_weight: Operand | None, reduction: str
) -> None:
    """pos_weight·y·log(1 + exp(-x)) + (1 - y)·log(1 + exp(x)), without overflow."""
    at, shape, (v, t, w, positive) = together(d, x, y, weight, pos_weight)
    rest = s.log1p(s.exp(-s.absolute(v)))
    ones = t if positive is None else positive * t
    value = ones * (s.maximum(-v, 0) + rest) + (1 - t) * (s.maximum(v, 0) + rest)
    store_reduced(d, at, value if w is None else value * w, math.prod(shape), reduction)


def _with_logits_backward(
    d: Define, grad: Operand, x: Operand, y: Operand, weight: Operand | None, pos_weight: Operand | None, reduction: str
) -> None:
    at, shape, (v, t, w, positive) = together(d, x, y, weight, pos_weight)
    small = decay(v)
    sigmoid = where(v >= 0, 1 / (small + 1), small / (small + 1))
    made = sigmoid - t if positive is None else (positive * t + 1 - t) * sigmoid - positive * t
    made = made if w is None else made * w
    d.store(0, at, made * share_of(reduction, shape) * grad.at(at, shape).cast(made.dtype))


def _with_logits_backward_by_parts(b: Any, grad: Any, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    ones = y if pos_weight is None else b.mul(y, pos_weight)
    made = b.sub(b.mul(b.add(b.sub(ones, y), 1), b.sigmoid(x)), ones)
    made = made if weight is None else b.mul(made, weight)
    return b.mul(b.mul(made, share_of(reduction, made.shape)), grad)


def _with_logits_target(b: Any, g: Any, x: Any, y: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    """-x, and (pos_weight - 1)·log(1 + exp(-x)) where the positives are weighted."""
    made = b.neg(x)
    if pos_weight is not None:
        made = b.add(made, b.mul(b.sub(pos_weight, 1), b.softplus(made, 1.0, 40.0)))
    return _weighed(b, g, made, y, weight, reduction)


def _weighed(b: Any, g: Any, made: Any, other: Any, weight: Any, reduction: str) -> Any:
    """A slope by one operand with what all slopes are multiplied by; ``other`` is the second operand."""
    made = made if weight is None else b.mul(made, weight)
    shape = broadcast_shapes(made.shape, other.shape)
    return b.mul(b.mul(made, share_of(reduction, shape)), g)


# ---- from probabilities ----------------------------------------------------------------------------------------------
def _bce(d: Define, x: Operand, y: Operand, weight: Operand | None, reduction: str) -> None:
    at, shape, (v, t, w) = together(d, x, y, weight)
    for given, code in ((v, OF_INPUT), (t, OF_TARGET)):
        d.check((given >= 0) & (given <= 1), code, at)
    value = (t - 1) * s.maximum(s.log1p(-v), LEAST_LOG) - t * s.maximum(s.log(v), LEAST_LOG)
    store_reduced(d, at, value if w is None else value * w, math.prod(shape), reduction)


def _bce_backward(d: Define, grad: Operand, x: Operand, y: Operand, weight: Operand | None, reduction: str) -> None:
    at, shape, (v, t, w) = together(d, x, y, weight)
    made: Expr = (v - t) / s.maximum((1 - v) * v, LEAST_SPREAD)
    made = made if w is None else made * w
    d.store(0, at, made * share_of(reduction, shape) * grad.at(at, shape).cast(made.dtype))


def _bce_backward_by_parts(b: Any, grad: Any, x: Any, y: Any, weight: Any, reduction: str) -> Any:
    spread = b.floored(b.mul(b.neg(b.sub(x, 1)), x), LEAST_SPREAD)
    return _weighed(b, grad, b.div(b.sub(x, y), spread), y, weight, reduction)


def _bce_target(b: Any, g: Any, x: Any, y: Any, weight: Any, reduction: str) -> Any:
    """log(1 - x) - log(x), infinite at either end."""
    return _weighed(b, g, b.sub(b.log1p(b.neg(x)), b.log(x)), y, weight, reduction)


# fmt: off
composite("binary_cross_entropy_with_logits", "x y weight? pos_weight?", pair_spec, MEAN, "The log loss of sigmoid(x) for a target y of [0, 1].", define=_with_logits,
          x=lambda b, g, x, y, weight, pos_weight, reduction: b.bce_with_logits_backward(g, x, y, weight, pos_weight, reduction=reduction),
          y=_with_logits_target)
composite("bce_with_logits_backward", "grad x y weight? pos_weight?", pair_backward_spec, MEAN, "The gradient of binary_cross_entropy_with_logits' x.",
          define=_with_logits_backward, decompose=_with_logits_backward_by_parts)
composite("binary_cross_entropy", "x y weight?", pair_spec, MEAN, "The log loss of probabilities x for a target y of [0, 1].", define=_bce,
          x=lambda b, g, x, y, weight, reduction: b.bce_backward(g, x, y, weight, reduction=reduction), y=_bce_target)
composite("bce_backward", "grad x y weight?", pair_backward_spec, MEAN, "The gradient of binary_cross_entropy's x.",
          define=_bce_backward, decompose=_bce_backward_by_parts)
# fmt: on
