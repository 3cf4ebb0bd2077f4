"""Distances between vectors, and the losses that compare such distances. `nn.functional` exports these."""

from __future__ import annotations

from collections.abc import Callable

import ingot
from ingot.nn._losses import check_reduction, reduced
from ingot.ops.common import run
from ingot.tensor import Tensor

TINY = 1e-12  # added to squared lengths, as PyTorch does


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The ``p``-norm of x1 - x2 + eps along the last axis: (…, D) and (…, D) → (…)."""
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The ``p``-norm of the difference of each pair of rows: (N, D) → (N · (N - 1) / 2), the pairs (0, 1), (0, 2) …"""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = ingot.triu_indices(len(input), len(input), 1, device=input.device)
    return pairwise_distance(input[first], input[second], p, eps=0.0)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1·x2 / (|x1| |x2|) along ``dim``; no length counts as less than ``eps``."""
    if not ingot.result_type(x1, x2).is_floating_point:
        raise RuntimeError("expected common dtype to be floating point, yet common dtype is "
                           f"{ingot.result_type(x1, x2)!r}")
    x1, x2 = ingot.broadcast_tensors(x1, x2)
    return (_direction(x1, dim, eps) * _direction(x2, dim, eps)).sum(dim)


def _direction(x: Tensor, dim: int, eps: float) -> Tensor:
    return x / run("floored", x.norm(2, dim, keepdim=True), float(eps))


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """1 - cos of the angle where the target is 1, max(0, cos - margin) where it is -1, reduced.

    Vectors (N, D) with targets (N,), or (D,) with a target without axes.
    """
    check_reduction(reduction)
    if target.ndim > 1:
        raise RuntimeError(f"0D or 1D target tensor expected, multi-target not supported: its size is {list(target.shape)}")
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with "
                           f"sizes {list(input1.shape)} and {list(input2.shape)}.")
    lengths = ((x * x).sum(-1) + TINY for x in (input1, input2))
    cosine = (input1 * input2).sum(-1) / ingot.mul(*lengths).sqrt()
    alike = ingot.where(target == 1, 1 - cosine, 0.0)
    return reduced(alike + ingot.where(target == -1, (cosine - margin).clamp_min(0), 0.0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_with_distance_loss` with `pairwise_distance`."""
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin, swap=swap, reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), reduced (Schroff et al., 2015).

    ``swap``: the negative's distance is the lesser of those to the anchor and to the positive (Balntas et al., 2016).
    """
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError("The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
                           f"got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ingot.minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp_min(0), reduction)
