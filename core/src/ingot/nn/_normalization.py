"""Normalisation as functions: over a batch, over groups of channels, by the root mean square.

`nn.functional` exports these; layer_norm is there. All statistics are worked out in float32 at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import ingot
from ingot.nn._padding import pad
from ingot.nn._pooling import avg_pool1d
from ingot.ops.common import run
from ingot.ops.neural import update_running_
from ingot.tensor import Tensor


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x − mean) / √(var + eps) · weight + bias for each channel of (N, C, …) (Ioffe and Szegedy, 2015).

    ``training``: mean and (biased) variance are the batch's, and the running ones, where given, move by ``momentum`` towards
    them (towards the unbiased variance). Otherwise they are the running ones. ValueError for a batch with one value for each
    channel, which has no variance; RuntimeError for shapes that do not fit.
    """
    _check_channels(input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("running_mean and running_var must be defined in evaluation mode")
        return run("batch_norm_inference", input, running_mean, running_var, weight, bias, float(eps))
    count = input.numel() // max(input.shape[1], 1)
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    made: Tensor
    made, mean, var, _ = run("batch_norm", input, weight, bias, float(eps))
    if running_mean is not None and running_var is not None and input.numel():
        update_running_(running_mean, running_var, mean, var, share=float(momentum), unbiased=count / (count - 1))
    return made


def _check_channels(input: Tensor, **given: Tensor | None) -> None:
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm takes an input (N, C, …), but got one of size {list(input.shape)}")
    for name, tensor in given.items():
        if tensor is not None and tuple(tensor.shape) != (input.shape[1],):
            raise RuntimeError(f"{name} should contain {input.shape[1]} elements not {tensor.numel()}, one for each channel")


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`batch_norm` with statistics for each sample and channel of (N, C, …) (Ulyanov et al., 2016).

    The running ones, where given, move towards the means over the batch; they are used where ``use_input_stats`` is False.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_channels(input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    batch, channels, *space = input.shape
    count = math.prod(space)
    if count == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    each = (None if p is None else p.repeat(batch) for p in (weight, bias))
    made, mean, var, _ = run("batch_norm", input.reshape(1, batch * channels, *space), *each, float(eps))
    if running_mean is not None and running_var is not None and input.numel():
        means = (s.view(batch, channels).mean(0) for s in (mean, var))
        update_running_(running_mean, running_var, *means, share=float(momentum), unbiased=count / (count - 1))
    whole: Tensor = made.view(input.shape)
    return whole


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x − mean) / √(var + eps) · weight + bias, with a mean and variance for each sample and group of channels of (N, C, …)
    (Wu and He, 2018); ``weight`` and ``bias`` are (C,).
    """
    shape = tuple(input.shape)
    if num_groups < 1 or len(shape) < 2 or shape[1] % num_groups:
        raise RuntimeError("Expected number of channels in input to be divisible by num_groups, but got input of shape "
                           f"{list(shape)} and num_groups={num_groups}")
    each = math.prod(shape[1:]) // num_groups  # elements of a group
    made = ingot.layer_norm(input.reshape(shape[0], num_groups, each), (each,), eps=eps).view(shape)
    column = (shape[1], *(1,) * (len(shape) - 2))
    made = made if weight is None else made * weight.view(column)
    return made if bias is None else made + bias.view(column)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean(x²) + eps) · weight over the last axes (Zhang and Sennrich, 2019); ``eps`` None is the dtype's precision."""
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[max(input.ndim - len(shape), 0) :]) != shape:
        wanted = ", ".join(map(str, ("*", *shape)))
        raise RuntimeError(f"Given normalized_shape={list(shape)}, expected input with shape [{wanted}], but got input of size "
                           f"{list(input.shape)}")
    wide = input.float() if input.dtype in (ingot.float16, ingot.bfloat16) else input
    mean = (wide * wide).mean(tuple(range(-len(shape), 0)), keepdim=True)
    made = (wide * (mean + (_EPSILON[input.dtype.itemsize] if eps is None else eps)).rsqrt()).to(input.dtype)
    return made if weight is None else made * weight


_EPSILON = {2: 2.0**-23, 4: 2.0**-23, 8: 2.0**-52}  # of the dtype that is computed in, by the bytes of the input's


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha · mean of x² over ``size`` channels nearby)^beta: (N, C, …) → same (Krizhevsky et al., 2012).

    The channels are ``size // 2`` before and the rest from the own one on; those beyond the ends are zeros that count.
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if input.numel() == 0:
        return input
    squares = (input * input).flatten(2).transpose(1, 2)  # (N, pixels, C)
    padded = pad(squares, (size // 2, (size - 1) // 2))
    means = avg_pool1d(padded, size, 1).transpose(1, 2).reshape(input.shape)
    return input / means.mul(alpha).add(k).pow(beta)
