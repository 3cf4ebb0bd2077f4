"""Pooling by powers, normalisation by what channels nearby hold, and distances of all pairs of rows: functions of other ops.

`nn.functional` exports these.
"""

from __future__ import annotations

import math
from typing import Any

import ingot
from ingot.nn._convolution import Each, each
from ingot.nn._distance import pairwise_distance
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


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha · mean of x² over ``size`` channels nearby)^beta: (N, C, …) → same (Krizhevsky et al., 2012).

    The channels are ``size // 2`` before and the rest from the own one on; those beyond the ends are zeros that count.
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if input.numel() == 0:
        return input
    squares = (input * input).flatten(2).transpose(1, 2)  # (N, pixels, C)
    padded = ingot.nn.functional.pad(squares, (size // 2, (size - 1) // 2))
    means = avg_pool1d(padded, size, 1).transpose(1, 2).reshape(input.shape)
    return input / means.mul(alpha).add(k).pow(beta)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The ``p``-norm of the difference of each pair of rows: (N, D) → (N · (N - 1) / 2), the pairs (0, 1), (0, 2) …"""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = ingot.triu_indices(len(input), len(input), 1, device=input.device)
    return pairwise_distance(input[first], input[second], p, eps=0.0)
