"""Dropout of whole channels as functions (Tompson et al., 2015); `nn.functional` exports these, and `dropout` of elements."""

from __future__ import annotations

import ingot
from ingot.ops.named import warn
from ingot.tensor import Tensor


def check_probability(p: float) -> None:
    """ValueError unless ``p`` is within [0, 1]."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _channels(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    """Channels are axis 1, or 0 without a batch axis."""
    check_probability(p)
    if not training or p == 0.0:
        return input
    if input.dim() < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input, but got "
                           f"{input.dim()}")
    kept = 2 if batched else 1
    shape = (*input.shape[:kept], *(1,) * (input.dim() - kept))
    factors = ingot.dropout(ingot.ones(shape, dtype=input.dtype, device=input.device), p, True)
    return input.mul_(factors) if inplace else input * factors


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of (N, C, L) or (C, L) with probability ``p``, and scale the rest by 1/(1-p), if ``training``."""
    if input.dim() not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that dropout1d "
                           "exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, "
                           "and an optional batch dimension (i.e. 2D or 3D inputs).")
    return _channels(input, p, training, inplace, input.dim() == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of (N, C, H, W) with probability ``p``; three axes are (N, C, L), with a warning, as in PyTorch."""
    if input.dim() == 3:
        warn("dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
             "input is interpreted as shape (N, C, L), where C is the channel dim. Please use dropout1d instead.")
    _unusual("dropout2d", input, (3, 4))
    return _channels(input, p, training, inplace, True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W) with probability ``p``; see `dropout1d`."""
    _unusual("dropout3d", input, (4, 5))
    return _channels(input, p, training, inplace, input.dim() == 5)


def _unusual(name: str, input: Tensor, usual: tuple[int, int]) -> None:
    if input.dim() not in usual:
        warn(f"{name}: Received a {input.dim()}-D input to {name}, which is deprecated and will result in an error in a future "
             "release. To retain the behavior and silence this warning, please use dropout instead. Note that "
             f"{name} takes inputs of {usual[0]} or {usual[1]} axes.")
