"""Losses that compare an input with a target: by distance, by class, by the likelihood of a distribution.

`nn.functional` exports these; losses with a margin are in `_margin_losses` and `_distance`. ``reduction`` is "mean", "sum" or
"none" everywhere (`reduced`).
"""

from __future__ import annotations

import math

import ingot
from ingot.ops.common import run
from ingot.ops.named import warn
from ingot.tensor import Tensor

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str, *more: str) -> None:
    """ValueError unless ``reduction`` is "none", "mean", "sum" or one of ``more``."""
    if reduction not in (*REDUCTIONS, *more):
        raise ValueError(f"{reduction!r} is not a valid value for reduction; it is one of {(*REDUCTIONS, *more)}")


def reduced(values: Tensor, reduction: str) -> Tensor:
    """``values``, their mean or their sum."""
    check_reduction(reduction)
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


# ---- by distance ---------------------------------------------------------------------------------


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """(input - target)², reduced."""
    return ingot.mse_loss(input, target, reduction=reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """|input - target|, reduced."""
    return reduced(ingot.sub(*_alike(input, target)).abs(), reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """0.5 d² / beta where d = |input - target| < beta, else d - 0.5 beta, reduced."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    values: Tensor = run("huber", *_alike(input, target), float(beta))
    return reduced(values if beta == 1 else values * (1 / beta), reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """0.5 d² where d = |input - target| < delta, else delta · (d - 0.5 delta), times ``weight``, reduced (Huber, 1964)."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    values: Tensor = run("huber", *_alike(input, target), float(delta))
    if weight is None:
        return reduced(values, reduction)
    if weight.shape != input.shape:
        raise ValueError(f"Weights and input must have the same size, but they have {weight.shape} and {input.shape}.")
    return reduced(values * weight, reduction)


def _alike(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The two, with a warning where they are not of one size."""
    if input.shape != target.shape:
        warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size."
        )
    return input, target


# ---- by class ------------------------------------------------------------------------------------


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-input[class] for log-probabilities (N, C, …) and class indices (N, …), reduced."""
    return ingot.nll_loss(
        input, target, weight=weight, ignore_index=ignore_index, reduction=reduction
    )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits (N, C, …) with indices (N, …) or probabilities (N, C, …), reduced."""
    return ingot.cross_entropy(
        input,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy of logits with targets in [0, 1] of the same shape, reduced."""
    _require_one_size(input, target)
    return ingot.binary_cross_entropy_with_logits(
        input, target, weight=weight, reduction=reduction, pos_weight=pos_weight
    )


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Binary cross entropy of probabilities with targets in [0, 1] of the same shape, reduced.

    No logarithm counts as less than -100. A value outside [0, 1] is an error (a RuntimeError), which a device with a queue
    tells at the next synchronisation.
    """
    check_reduction(reduction)
    _require_one_size(input, target)
    made: Tensor = run("binary_cross_entropy", input, target, weight, reduction=reduction)
    return made


def _require_one_size(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")


# ---- by likelihood -------------------------------------------------------------------------------


def kl_div(
    input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """target · (log(target) - input) for log-probabilities ``input``, reduced (Kullback and Leibler, 1951).

    ``log_target``: the target is log-probabilities, too. ``reduction="batchmean"``, which is the divergence, is the sum over
    the size of the first axis; "mean" warns.
    """
    check_reduction(reduction, "batchmean")
    if not input.is_floating_point() or not target.is_floating_point():
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if reduction == "mean":
        warn("kl_div: reduction 'mean' divides by the number of all elements, so it is not the divergence; 'batchmean' divides "
             "by the size of the first axis alone.")
    if log_target:
        values = target.exp() * (target - input)
    else:  # 0 · log(0) is 0
        values = (target * target.log()).masked_fill(target == 0, 0.0).addcmul(target, input, value=-1)
    if reduction != "batchmean":
        return reduced(values, reduction)
    return values.sum() / input.shape[0] if input.ndim else values


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """-log likelihood of counts ``target`` under Poisson distributions of the means exp(input), or of the means ``input``
    without ``log_input``, reduced. Its term log(target!) is left out, or for targets above 1 as Stirling has it if ``full``.
    """
    check_reduction(reduction)
    if log_input:
        values = input.exp().addcmul(target, input, value=-1)
    else:
        values = input.addcmul(target, (input + eps).log(), value=-1)
    if full:
        stirling = (target + 0.5) * target.log() - target + 0.5 * math.log(2 * math.pi)
        values = values + stirling.masked_fill(target <= 1, 0.0)
    return reduced(values, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """-log likelihood of ``target`` under normal distributions of the means ``input`` and variances ``var``, reduced (Nix and
    Weigend, 1994). Its term log(2π) / 2 is left out unless ``full``.

    ``var`` is shaped as the input, or has no last axis, or size 1 in one; what is less than ``eps`` counts as that, and its
    gradient flows on. A negative one is a ValueError, which a device with a queue tells at the next synchronisation.
    """
    check_reduction(reduction)
    if isinstance(var, (float, int)) and var < 0:
        raise ValueError(f"{_NEGATIVE}: {var}")
    given: Tensor = ingot.full_like(input, var) if isinstance(var, (float, int)) else _fitting(var, input)
    spread: Tensor = run("floored", given, float(eps), refused=_NEGATIVE)
    values = spread.log().addcdiv((input - target).square(), spread)
    return reduced((values + math.log(2 * math.pi) if full else values) * 0.5, reduction)


_NEGATIVE = "var has negative entry/entries"


def _fitting(var: Tensor, input: Tensor) -> Tensor:
    """``var`` as it broadcasts to the input; ValueError for a size that it must not have."""
    shape, given = tuple(input.shape), tuple(var.shape)
    if given == shape:
        return var
    if given == shape[:-1]:
        return var.unsqueeze(-1)
    if len(given) == len(shape) and [m for n, m in zip(shape, given, strict=True) if n != m] == [1]:
        return var
    raise ValueError(f"var is of incorrect size: {list(given)} does not fit an input of size {list(shape)}; it may lack the "
                     "last axis, or have size 1 in one")
