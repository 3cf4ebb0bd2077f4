"""Losses that ask for a margin between scores, and soft ones. `nn.functional` exports these.

At the edge of a margin the gradient is PyTorch's: `clamp_min` lets it pass there, `relu` does not.
"""

from __future__ import annotations

import ingot
from ingot.nn._losses import check_reduction, reduced
from ingot.ops.common import run
from ingot.tensor import Tensor


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - target · (input1 - input2)), reduced: a target of 1 wants input1 greater, -1 input2."""
    check_reduction(reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError("margin_ranking_loss : All input tensors should have same dimension but got sizes: "
                           f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} ")
    return reduced(((input2 - input1) * target + margin).clamp_min(0), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """The input where the target is 1, max(0, margin - input) where it is -1 (elsewhere both), reduced."""
    check_reduction(reduction)
    near = (margin - input).clamp_min(0)
    return reduced(ingot.where(target != 1, near, 0.0) + ingot.where(target != -1, input, 0.0), reduction)


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target · input)) for targets of 1 and -1, reduced; finite wherever the input is."""
    check_reduction(reduction)
    agreed = ingot.mul(input, target)
    if agreed.shape != input.shape:
        raise RuntimeError(f"output with shape {list(input.shape)} doesn't match the broadcast shape {list(agreed.shape)}")
    return -reduced(run("softplus", agreed, -1.0, 40.0), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The mean over classes (the last axis) of each class's log loss from logits, times ``weight`` (C,), reduced."""
    check_reduction(reduction)
    if not input.ndim:
        raise IndexError("multilabel_soft_margin_loss: classes lie on the last axis, but the input has no dimensions")
    truth = target if target.is_floating_point() else target.to(input.dtype)
    each = run("binary_cross_entropy_with_logits", input, truth, weight, None, reduction="none")
    return reduced(each.sum(input.ndim - 1) / input.shape[-1], reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Σ max(0, margin - x[target] + x[i])ᵖ over the other classes i, times weight[target], over the number of classes, for
    scores (N, C) or (C,) and class indices (N,) or one; reduced (Crammer and Singer, 2001).
    """
    check_reduction(reduction)
    rows, places = _scores_and_places(input, target)
    _check_margin(p, weight, rows.shape[1])
    short = (rows - rows.gather(1, places) + margin).relu()
    short = short if p == 1 else short.square()
    short = short if weight is None else short * weight[places]
    return reduced(short.scatter(1, places, 0.0).mean(1).view(target.shape), reduction)


def _check_margin(p: int, weight: Tensor | None, classes: int) -> None:
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, not {p}")
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"weight must be one-dimensional, but it has shape {list(weight.shape)}")
    if weight is not None and len(weight) != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")


def _scores_and_places(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Scores as (N, C) and class indices as (N, 1)."""
    rows = input if input.ndim > 1 else input.reshape(1, -1)
    if rows.ndim != 2 or not rows.shape[1]:
        raise RuntimeError("Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
                           f"{list(input.shape)}")
    if target.ndim > 1 or target.numel() != len(rows):
        raise RuntimeError(f"multi_margin_loss: expected target size [{len(rows)}], one for each sample, but got "
                           f"{list(target.shape)}. Input has shape {list(input.shape)}.")
    if target.dtype is not ingot.int64:
        raise RuntimeError(f"expected scalar type Long for the target, found {target.dtype!r}")
    return rows, target.reshape(-1, 1)
