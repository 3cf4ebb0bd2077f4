"""Pooling by powers: a function of `_pooling`'s averages. `nn.functional` exports these."""

from __future__ import annotations

import math
from typing import Any

from ingot.nn._convolution import Each, each
from ingot.nn._pooling import avg_pool1d, avg_pool2d, avg_pool3d
from ingot.tensor import Tensor

AVERAGES: tuple[Any, ...] = (avg_pool1d, avg_pool2d, avg_pool3d)


def _powers(rank: int, input: Tensor, norm_type: float, kernel_size: Each, stride: Each | None, ceil_mode: bool) -> Tensor:
    powers = input.pow(norm_type)
    if norm_type == 0:
        raise ValueError(f"lp_pool{rank}d: norm_type must not be 0, which has no root; for means there is avg_pool{rank}d")
    kernel = each("kernel_size", kernel_size, rank, 1)
    means = AVERAGES[rank - 1](powers, kernel, stride, 0, ceil_mode)
    return (means.sign() * means.abs().relu()).mul(math.prod(kernel)).pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Each, stride: Each | None = None, ceil_mode: bool = False
) -> Tensor:
    """The ``norm_type``-th root of each window's sum of powers, along the last axis; see `lp_pool2d`."""
    return _powers(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Each, stride: Each | None = None, ceil_mode: bool = False
) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last two axes, p being ``norm_type``: (N, C, H, W) → (N, C, H', W').

    ``stride`` is ``kernel_size`` unless given. A window that hangs over the end counts as if its mean went on there. Where a
    sum is 0, the gradient is NaN, as PyTorch's.
    """
    return _powers(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Each, stride: Each | None = None, ceil_mode: bool = False
) -> Tensor:
    """The ``norm_type``-th root of each window's sum of powers, of the last three axes; see `lp_pool2d`."""
    return _powers(3, input, norm_type, kernel_size, stride, ceil_mode)
