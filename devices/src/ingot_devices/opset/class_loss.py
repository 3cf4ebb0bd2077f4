"""The losses by class of the composite group: nll_loss and cross_entropy.

Classes lie on ``axis``, targets are class indices without that axis: one equal to ``ignore_index`` counts nothing, any other
outside the classes is refused by a check. ``reduction`` is "none", "sum" or "mean"; the mean divides by the sum of the targets'
weights, the residual ``total``. cross_entropy is one kernel to its last number; devices whose schedules cannot nest its two
reductions take its decomposition. Class weights have no gradient, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .composite import composite, need_float, wide
from .loss import MEAN, check_reduction
from .op import Spec, promote_specs
from .positions import OUT_OF_RANGE, check_positions
from .shared import Shape, places, replaced


# ---- what definitions share ------------------------------------------------------------------------------------------
def _rows(at: Sequence[Expr], axis: int) -> tuple[Expr, ...]:
    """``at`` without the axis of the classes."""
    return (*at[:axis], *at[len(at) + axis + 1 :])


def _class(d: Define, target: Operand, rows: Sequence[Expr], classes: int, ignore_index: int) -> tuple[Expr, Expr]:
    """The target of a row, 0 where it is ignored or refused, and whether it counts."""
    t = target[tuple(rows)].cast(dt.index)
    kept, inside = t.ne(ignore_index), (t >= 0) & (t < classes)
    d.check(~kept | inside, OUT_OF_RANGE, rows)
    return where(kept & inside, t, const(0, dt.index)), kept


def _weight(weight: Operand | None, t: Expr, kept: Expr, work: DType) -> Expr:
    """The weight of a row by its target; 0 where it is ignored."""
    return where(kept, const(1, work) if weight is None else weight[t].cast(work), 0)


def _classes_spec(x: Spec, target: Spec, weight: Spec | None, axis: int) -> tuple[Shape, DType]:
    """The rows' shape and the dtype of what is summed; errors for operands that do not fit."""
    need_float("a loss by class", x, weight)
    check_positions(target)
    k = places(x.ndim, (axis,))[0]
    rows = (*x.shape[:k], *x.shape[k + 1 :])
    if target.shape != rows:
        raise ValueError(f"the target has shape {list(target.shape)}; for an input of shape {list(x.shape)} with classes "
                         f"on axis {axis} it must have {list(rows)}")
    if weight is not None and weight.shape != (x.shape[k],):
        raise ValueError(f"weight must have one element for each of the {x.shape[k]} classes, its shape is "
                         f"{list(weight.shape)}")
    return rows, dt.compute_dtype(x.dtype)


def _at_rows(b: Any, value: Any, shape: Shape, axis: int) -> Any:
    """A value of each row, with the axis of the classes back at size 1."""
    return b.view(value, shape=replaced(shape, axis, 1))


# ---- nll_loss --------------------------------------------------------------------------------------------------------
def _nll_rows(d: Define, x: Operand, target: Operand, weight: Operand | None, axis: int, ignore_index: int) -> None:
    rows = d.axes(target.shape)
    t, kept = _class(d, target, rows, x.shape[axis], ignore_index)
    k = len(x.shape) + axis
    picked = wide(x[(*rows[:k], t, *rows[k:])])
    w = _weight(weight, t, kept, picked.dtype)
    d.store(0, rows, where(kept, -(picked * w), 0), over=rows)
    d.store(1, rows, w, over=rows)


def _nll_rows_backward(
    d: Define, grad: Operand, target: Operand, weight: Operand | None, axis: int, ignore_index: int, classes: int
) -> None:
    k = len(target.shape) + 1 + axis
    at = d.axes((*target.shape[:k], classes, *target.shape[k:]))
    rows = _rows(at, axis)
    t, kept = _class(d, target, rows, classes, ignore_index)
    g = wide(grad[rows])
    d.store(0, at, where(t.eq(at[axis]) & kept, -(g * _weight(weight, t, kept, g.dtype)), 0), over=at)


def _nll_rows_spec(x: Spec, target: Spec, weight: Spec | None, axis: int, ignore_index: int) -> tuple[Spec, Spec]:
    rows, work = _classes_spec(x, target, weight, axis)
    return Spec.of(rows, x.dtype), Spec.of(rows, work)


def _nll_backward_spec(
    grad: Spec, target: Spec, weight: Spec | None, axis: int, ignore_index: int, classes: int
) -> tuple[Spec]:
    k = target.ndim + 1 + axis
    return (Spec.of((*target.shape[:k], classes, *target.shape[k:]), grad.dtype),)


def _nll_loss(b: Any, x: Any, target: Any, weight: Any, axis: int, ignore_index: int, reduction: str) -> Any:
    losses, weights = b.nll_loss_rows(x, target, weight, axis=axis, ignore_index=ignore_index)
    return _reduced(b, losses, weights, reduction)


def _reduced(b: Any, losses: Any, weights: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    total = b.sum(losses, axes=None)
    return total if reduction == "sum" else b.cast(b.div(total, b.sum(weights, axes=None)), dtype=losses.dtype)


def _reduced_spec(
    x: Spec, target: Spec, weight: Spec | None, *others: Any, axis: int, ignore_index: int = -100, reduction: str
) -> tuple[Spec]:
    check_reduction(reduction)
    rows, _ = _classes_spec(x, target, weight, axis)
    return (Spec.of(rows if reduction == "none" else (), x.dtype),)


# ---- cross_entropy ---------------------------------------------------------------------------------------------------
def _entropies(
    d: Define, x: Operand, target: Operand, weight: Operand | None, smoothing: Expr | None, axis: int, ignore_index: int
) -> tuple[tuple[Expr, ...], Expr, Expr, Expr]:
    """The rows' axes; the loss, log Σ exp and weight of a row."""
    at = d.axes(x.shape)
    rows, c, classes = _rows(at, axis), at[axis], x.shape[axis]
    v = wide(x[at])
    top = d.reduce("max", v, over=[c])
    lse = s.log(d.reduce("sum", s.exp(v - top), over=[c])) + top
    t, kept = _class(d, target, rows, classes, ignore_index)
    w = _weight(weight, t, kept, v.dtype)
    loss = w * (lse - wide(x[replaced(at, axis, t)]))
    if smoothing is not None:
        every = lse - v if weight is None else (lse - v) * weight[c].cast(v.dtype)
        even = d.reduce("sum", every, over=[c]) / float(classes)
        part = smoothing.cast(v.dtype)
        loss = loss * (1 - part) + even * part
    return rows, where(kept, loss, 0), lse, w


def _entropy_rows(
    d: Define, x: Operand, target: Operand, weight: Operand | None, smoothing: Expr | None, axis: int, ignore_index: int
) -> None:
    rows, loss, lse, w = _entropies(d, x, target, weight, smoothing, axis, ignore_index)
    for k, value in enumerate((loss, lse, w)):
        d.store(k, rows, value, over=rows)


def _cross_entropy(
    d: Define, x: Operand, target: Operand, weight: Operand | None, smoothing: Expr | None, axis: int,
    ignore_index: int, reduction: str,
) -> None:  # fmt: skip
    rows, loss, lse, w = _entropies(d, x, target, weight, smoothing, axis, ignore_index)
    total = d.reduce("sum", w, over=rows) if rows else w
    if reduction == "none":
        d.store(0, rows, loss, over=rows)
    else:
        made = d.reduce("sum", loss, over=rows) if rows else loss
        d.store(0, [], made / total if reduction == "mean" else made, over=[])
    d.store(1, rows, lse, over=rows)
    d.store(2, [], total, over=[])


def _cross_entropy_by_parts(
    b: Any, x: Any, target: Any, weight: Any, smoothing: Any, axis: int, ignore_index: int, reduction: str
) -> tuple[Any, Any, Any]:
    losses, lse, weights = b.cross_entropy_rows(x, target, weight, smoothing, axis=axis, ignore_index=ignore_index)
    return _reduced(b, losses, weights, reduction), lse, b.sum(weights, axes=None)


def _cross_entropy_spec(
    x: Spec, target: Spec, weight: Spec | None, smoothing: Any, axis: int, ignore_index: int, reduction: str
) -> tuple[Spec, ...]:
    rows, work = _classes_spec(x, target, weight, axis)
    out = _reduced_spec(x, target, weight, axis=axis, reduction=reduction)
    return *out, Spec.of(rows, work), Spec.of((), work)


def _entropy_rows_spec(x: Spec, target: Spec, weight: Spec | None, smoothing: Any, axis: int, ignore_index: int) -> Any:
    rows, work = _classes_spec(x, target, weight, axis)
    return Spec.of(rows, x.dtype), Spec.of(rows, work), Spec.of(rows, work)


def _entropy_backward(
    d: Define, grad: Operand, x: Operand, target: Operand, weight: Operand | None, lse: Operand, total: Operand | None,
    smoothing: Expr | None, axis: int, ignore_index: int,
) -> None:  # fmt: skip
    """(probability - one at the target)·weight of each row, smoothed, times what the row weighs in the result."""
    at = d.axes(x.shape)
    rows, c, classes = _rows(at, axis), at[axis], x.shape[axis]
    v = wide(x[at])
    t, kept = _class(d, target, rows, classes, ignore_index)
    p = s.exp(v - lse[rows])
    made = _weight(weight, t, kept, v.dtype) * (p - t.eq(c).cast(v.dtype))
    if smoothing is not None:
        part = smoothing.cast(v.dtype)
        if weight is None:
            even = p - 1.0 / classes
        else:
            other = d.axis(classes)
            even = (p * d.reduce("sum", weight[other].cast(v.dtype), over=[other]) - weight[c].cast(v.dtype)) / float(classes)
        made = made * (1 - part) + even * part
    g = grad[rows if len(grad.shape) == len(rows) else ()].cast(v.dtype)
    g = g if total is None else g / total[()]
    d.store(0, at, where(kept, made * g, 0), over=at)


def _entropy_backward_by_parts(
    b: Any, grad: Any, x: Any, target: Any, weight: Any, total: Any, smoothing: Any, axis: int, ignore_index: int
) -> Any:
    shape, classes = x.shape, x.shape[axis]
    p = b.softmax(b.cast(x, dtype=dt.compute_dtype(x.dtype)), axis=axis)
    hit = b.class_mask(target, axis=axis, classes=classes)
    kept = _at_rows(b, b.ne(target, ignore_index), shape, axis)
    made = b.where(hit, b.sub(p, 1), p)
    weights = None if weight is None else b.view(weight, shape=(classes, *(1,) * (-1 - axis)))
    if weights is not None:
        own = b.sum(b.where(hit, weights, 0), axes=(axis,), keepdim=True)
        made = b.mul(made, own)
    if smoothing is not None:
        even = b.sub(p, 1.0 / classes)
        if weights is not None:
            even = b.div(b.sub(b.mul(p, b.sum(weight, axes=None)), weights), float(classes))
        made = b.add(b.mul(made, 1 - smoothing), b.mul(even, smoothing))
    g = _at_rows(b, grad, shape, axis) if grad.ndim else grad
    made = b.mul(made, g if total is None else b.div(g, total))
    return b.cast(b.where(kept, made, 0), dtype=x.dtype)


def _class_mask(d: Define, target: Operand, axis: int, classes: int) -> None:
    k = len(target.shape) + 1 + axis
    at = d.axes((*target.shape[:k], classes, *target.shape[k:]))
    d.store(0, at, target[_rows(at, axis)].cast(dt.index).eq(at[axis]), over=at)


def _class_mask_spec(target: Spec, axis: int, classes: int) -> tuple[Spec]:
    k = target.ndim + 1 + axis
    return (Spec.of((*target.shape[:k], classes, *target.shape[k:]), dt.bool_),)


# ---- cross_entropy with probabilities -------------------------------------------------------------------------------------
def _soft_cross_entropy(b: Any, x: Any, target: Any, weight: Any, smoothing: Any, axis: int, reduction: str) -> Any:
    classes = x.shape[axis]
    if smoothing is not None:
        target = b.add(b.mul(target, 1 - smoothing), smoothing / classes)
    terms = b.mul(b.log_softmax(x, axis=axis), target)
    if weight is not None:
        terms = b.mul(terms, b.view(weight, shape=(classes, *(1,) * (-1 - axis))))
    losses = b.neg(b.sum(terms, axes=(axis,), keepdim=False))
    if reduction == "none":
        return losses
    total = b.sum(losses, axes=None)
    return total if reduction == "sum" else b.div(total, float(math.prod(losses.shape)))


def _soft_spec(x: Spec, target: Spec, weight: Spec | None, smoothing: Any, axis: int, reduction: str) -> tuple[Spec]:
    check_reduction(reduction)
    need_float("cross_entropy with probabilities", x, target, weight)
    if x.shape != target.shape:
        raise ValueError(f"probabilities of shape {list(target.shape)} must have the input's shape, {list(x.shape)}")
    k = places(x.ndim, (axis,))[0]
    rows = (*x.shape[:k], *x.shape[k + 1 :])
    return (Spec.of(rows if reduction == "none" else (), promote_specs((x, target))),)


CLASSES = {"axis": -1, "ignore_index": -100}
# fmt: off
composite("nll_loss", "x target weight?", _reduced_spec, {**CLASSES, **MEAN}, "-x at the target, weighted.", decompose=_nll_loss)
composite("nll_loss_rows", "x target weight?", _nll_rows_spec, CLASSES, "nll_loss of each row, and its weight.", "out weights", define=_nll_rows,
          x=lambda b, g, x_spec, target, weight, axis, ignore_index:
              b.nll_loss_rows_backward(g, target, weight, axis=axis, ignore_index=ignore_index, classes=x_spec.shape[axis]))
composite("nll_loss_rows_backward", "grad target weight?", _nll_backward_spec, {**CLASSES, "classes": 0}, "The gradient of nll_loss_rows' x.", define=_nll_rows_backward,
          grad=lambda b, g, target, weight, axis, ignore_index: b.nll_loss_rows(g, target, weight, axis=axis, ignore_index=ignore_index)[0])
composite("cross_entropy", "x target weight? smoothing?", _cross_entropy_spec, {**CLASSES, **MEAN}, "nll_loss of log_softmax, with label smoothing.",
          "out lse total", define=_cross_entropy, decompose=_cross_entropy_by_parts,
          x=lambda b, g, x, target, weight, lse, total, smoothing, axis, ignore_index, reduction:
              b.cross_entropy_backward(g, x, target, weight, lse, total if reduction == "mean" else None, smoothing, axis=axis, ignore_index=ignore_index))
composite("cross_entropy_rows", "x target weight? smoothing?", _entropy_rows_spec, CLASSES, "cross_entropy of each row, its log Σ exp and its weight.", "out lse weights",
          define=_entropy_rows, x=lambda b, g, x, target, weight, lse, smoothing, axis, ignore_index:
              b.cross_entropy_backward(g, x, target, weight, lse, None, smoothing, axis=axis, ignore_index=ignore_index))
composite("cross_entropy_backward", "grad x target weight? lse total? smoothing?", lambda grad, x, *others, **attrs: (Spec.of(x.shape, x.dtype),), CLASSES,
          "The gradient of cross_entropy's x; `total` is what the mean divides by.", define=_entropy_backward, decompose=_entropy_backward_by_parts)
composite("class_mask", "target", _class_mask_spec, {"axis": -1, "classes": 0}, "True at the target along a new axis of classes; nowhere if it is none of them.", define=_class_mask)
composite("soft_cross_entropy", "x target weight? smoothing?", _soft_spec, {"axis": -1, **MEAN}, "cross_entropy with a probability for each class.", decompose=_soft_cross_entropy)
# fmt: on
