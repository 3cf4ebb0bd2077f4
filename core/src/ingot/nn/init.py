"""Initial values for parameters: fill a tensor in place, with PyTorch's rules and defaults.

Called by the layers' `reset_parameters` and by users through `Module.apply`. All run without
recording a gradient and return the tensor they filled.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import ingot
from ingot.tensor import Tensor

_MATRIX = 2  # dimensions that a tensor needs for fan-in and fan-out to exist
_GAINS = {
    **dict.fromkeys(("linear", "sigmoid", "identity"), 1.0),
    **{f"conv{n}d": 1.0 for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": 1.0 for n in (1, 2, 3)},
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}
_SLOPE = 0.01  # of leaky_relu, when none is given


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a function; ``param``: leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        slope = _SLOPE if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope!r} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    try:
        return _GAINS[nonlinearity]
    except KeyError:
        raise ValueError(
            f"Unsupported nonlinearity {nonlinearity!r}; known: leaky_relu, {', '.join(_GAINS)}"
        ) from None


# ---- plain fills ---------------------------------------------------------------------------------


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from the uniform distribution on [a, b)."""
    with ingot.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from the normal distribution."""
    with ingot.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with ``val``."""
    with ingot.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with one."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zero."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity; ValueError when ``tensor`` is not 2-dimensional."""
    if tensor.dim() != _MATRIX:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with ingot.no_grad():
        return tensor.copy_(ingot.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Fill from the normal distribution cut off outside [a, b]."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    if _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std) <= _RARE:
        return _uniform_rejected(tensor, mean, std, a, b, generator)
    with ingot.no_grad():
        tensor.normal_(mean, std, generator=generator)
        while (outside := (tensor < a) | (tensor > b)).any():
            again = ingot.empty_like(tensor).normal_(mean, std, generator=generator)
            tensor.copy_(ingot.where(outside, again, tensor))
    return tensor


_RARE = 0.3  # below this share of accepted normals, uniform candidates are cheaper


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _uniform_rejected(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any
) -> Tensor:
    """Uniform candidates on [a, b], accepted with their density over the greatest there."""
    nearest = (max(a, min(mean, b)) - mean) / std
    with ingot.no_grad():
        pending = ingot.ones_like(tensor, dtype=ingot.bool)
        while pending.any():
            candidate = ingot.empty_like(tensor).uniform_(a, b, generator=generator)
            chance = ingot.empty_like(tensor).uniform_(generator=generator)
            score = (candidate - mean) / std
            density = ((nearest * nearest - score * score) * 0.5).exp()
            tensor.copy_(ingot.where(pending, candidate, tensor))
            pending = pending & (chance >= density)
    return tensor


# ---- fills scaled by fan-in and fan-out ----------------------------------------------------------


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(inputs, outputs) of one unit: sizes 1 and 0, times the product of the axes after."""
    if tensor.dim() < _MATRIX:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    outputs, inputs, *field = tensor.shape
    return inputs * math.prod(field), outputs * math.prod(field)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    fans = dict(zip(("fan_in", "fan_out"), _calculate_fan_in_and_fan_out(tensor), strict=True))
    if mode.lower() not in fans:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(fans)}")
    return fans[mode.lower()]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with variance gain² · 2 / (fan_in + fan_out)."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with variance gain² · 2 / (fan_in + fan_out)."""
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform with variance gain² / fan; ``a`` is leaky_relu's slope, ``mode`` "fan_in" or
    "fan_out".
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with variance gain² / fan; ``a`` is leaky_relu's slope, ``mode`` "fan_in" or
    "fan_out".
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _is_empty(tensor: Tensor) -> bool:
    if 0 not in tensor.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return True


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix times ``gain``, the axes after the first taken as one."""
    if tensor.dim() < _MATRIX:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    import numpy as np

    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    drawn = ingot.empty((rows, columns)).normal_(generator=generator).numpy().astype(np.float64)
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform
    matrix = np.ascontiguousarray((q.T if rows < columns else q) * gain, dtype=np.float64)
    with ingot.no_grad():
        return tensor.copy_(ingot.from_numpy(matrix.reshape(tuple(tensor.shape))))
