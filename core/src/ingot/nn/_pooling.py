"""Pooling as functions: PyTorch's arguments, turned into what the ops ``max_pool`` (or
``max_pool_with_indices``), ``avg_pool``, ``adaptive_max_pool``, ``adaptive_avg_pool`` take.

`nn.functional` exports these; `_power_pooling` has those by powers. The axes left of the pooled ones are (N, C) or (C,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ingot
from ingot.nn._convolution import Each, each
from ingot.ops.common import run
from ingot.tensor import Tensor

Adaptive = int | None | Sequence[int | None]


def _check(name: str, input: Tensor, rank: int) -> None:
    if input.ndim not in (rank + 1, rank + 2) or 0 in input.shape[1:]:
        raise RuntimeError(f"{name}: non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input, but got one "
                           f"of size {list(input.shape)}")


def _max(
    rank: int, input: Tensor, kernel_size: Each, stride: Each | None, padding: Each, dilation: Each, ceil_mode: bool,
    return_indices: bool,
) -> Any:  # fmt: skip
    _check(f"max_pool{rank}d", input, rank)
    kernel = each("kernel_size", kernel_size, rank, 1)
    step = kernel if stride is None or stride == [] else each("stride", stride, rank, 1)
    kept = return_indices or (input.requires_grad and ingot.is_grad_enabled())  # a gradient goes to where the greatest was
    made = run(
        "max_pool_with_indices" if kept else "max_pool", input, kernel=kernel, stride=step,
        padding=each("padding", padding, rank, 0), dilation=each("dilation", dilation, rank, 1), ceil_mode=bool(ceil_mode),
    )  # fmt: skip
    return made[0] if kept and not return_indices else made


def max_pool1d(
    input: Tensor, kernel_size: Each, stride: Each | None = None, padding: Each = 0, dilation: Each = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest of each window along the last axis; see `max_pool2d`."""
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor, kernel_size: Each, stride: Each | None = None, padding: Each = 0, dilation: Each = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest of each window of the last two axes: (N, C, H, W) → (N, C, H', W').

    ``stride`` is ``kernel_size`` unless given. The padding never wins. ``ceil_mode``: a last window may hang over the end.
    ``return_indices``: a pair, with int64 numbers of the elements in their planes, row by row; the least wins among equals, NaN
    before all. The gradient goes to that element.
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor, kernel_size: Each, stride: Each | None = None, padding: Each = 0, dilation: Each = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest of each window of the last three axes; see `max_pool2d`."""
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _average(
    rank: int, input: Tensor, kernel_size: Each, stride: Each | None, padding: Each, ceil_mode: bool, count_include_pad: bool,
    divisor: int | None,
) -> Tensor:  # fmt: skip
    _check(f"avg_pool{rank}d", input, rank)
    kernel, pads = each("kernel_size", kernel_size, rank, 1), each("padding", padding, rank, 0)
    step = kernel if stride is None or stride == [] else each("stride", stride, rank, 1)
    sizes = input.shape[input.ndim - rank :]
    even = all(n == k or (s == k and n % k == 0) for n, k, s in zip(sizes, kernel, step, strict=True))
    if even and not any(pads) and divisor is None and input.is_floating_point():
        split = [m for n, k in zip(sizes, kernel, strict=True) for m in (n // k, k)]  # each element is in one window
        return input.view(*input.shape[: input.ndim - rank], *split).mean(tuple(range(1 - 2 * rank, 0, 2)))
    return run("avg_pool", input, kernel=kernel, stride=step, padding=pads,
               ceil_mode=bool(ceil_mode), count_include_pad=bool(count_include_pad), divisor=divisor)  # fmt: skip


def avg_pool1d(
    input: Tensor, kernel_size: Each, stride: Each | None = None, padding: Each = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window along the last axis; see `avg_pool2d`."""
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Each, stride: Each | None = None, padding: Each = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of the last two axes: (N, C, H, W) → (N, C, H', W').

    ``count_include_pad``: the zeros of the padding count as elements. ``divisor_override``: what sums are divided by instead.
    """
    return _average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Each, stride: Each | None = None, padding: Each = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of the last three axes; see `avg_pool2d`."""
    return _average(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _sizes(name: str, rank: int, input: Tensor, output_size: Adaptive) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """What an adaptive pooling gives, and the size of its windows where it is one."""
    _check(name, input, rank)
    sizes = tuple(input.shape[input.ndim - rank :])
    given = (output_size,) * rank if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(given) != rank:
        raise RuntimeError(f"{name}: output_size must be {rank}, but got {list(given)}")
    wanted = tuple(n if m is None else m for n, m in zip(sizes, given, strict=True))
    if min(wanted) < 0:
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0 but received {list(wanted)}")
    even = 0 not in wanted and not any(n % m for n, m in zip(sizes, wanted, strict=True))
    return wanted, tuple(n // m for n, m in zip(sizes, wanted, strict=True)) if even else None


def _empty(rank: int, input: Tensor, wanted: tuple[int, ...], dtype: ingot.dtype) -> Tensor:
    return ingot.empty((*input.shape[: input.ndim - rank], *wanted), dtype=dtype, device=input.device)


def _adaptive_average(rank: int, input: Tensor, output_size: Adaptive) -> Tensor:
    wanted, kernel = _sizes(f"adaptive_avg_pool{rank}d", rank, input, output_size)
    if 0 in wanted:
        return _empty(rank, input, wanted, input.dtype)
    if kernel is None:
        return run("adaptive_avg_pool", input, size=wanted)
    return _average(rank, input, kernel, None, 0, ceil_mode=False, count_include_pad=True, divisor=None)


def _adaptive_max(rank: int, input: Tensor, output_size: Adaptive, return_indices: bool) -> Any:
    wanted, kernel = _sizes(f"adaptive_max_pool{rank}d", rank, input, output_size)
    if kernel is not None:
        return _max(rank, input, kernel, None, 0, 1, ceil_mode=False, return_indices=return_indices)
    if 0 in wanted:
        made: Any = tuple(_empty(rank, input, wanted, d) for d in (input.dtype, ingot.int64))
    else:
        made = run("adaptive_max_pool", input, size=wanted)
    return made if return_indices else made[0]


def adaptive_max_pool1d(input: Tensor, output_size: Adaptive, return_indices: bool = False) -> Any:
    """The greatest of ``output_size`` windows along the last axis; see `adaptive_max_pool2d`."""
    return _adaptive_max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Adaptive, return_indices: bool = False) -> Any:
    """The greatest of ``output_size`` windows that cover the last two axes: (N, C, H, W) → (N, C, *output_size).

    The windows are those of `adaptive_avg_pool2d`; ``return_indices``, ties, NaN and the gradient are as in `max_pool2d`.
    """
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Adaptive, return_indices: bool = False) -> Any:
    """The greatest of ``output_size`` windows that cover the last three axes; see `adaptive_max_pool2d`."""
    return _adaptive_max(3, input, output_size, return_indices)


def adaptive_avg_pool1d(input: Tensor, output_size: Adaptive) -> Tensor:
    """The means of ``output_size`` windows along the last axis; see `adaptive_avg_pool2d`."""
    return _adaptive_average(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Adaptive) -> Tensor:
    """The means of ``output_size`` windows that cover the last two axes: (N, C, H, W) → (N, C, *output_size).

    Window o of an axis cut into m is [⌊o·n / m⌋, ⌈(o + 1)·n / m⌉). None keeps an axis as it is.
    """
    return _adaptive_average(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Adaptive) -> Tensor:
    """The means of ``output_size`` windows that cover the last three axes; see `adaptive_avg_pool2d`."""
    return _adaptive_average(3, input, output_size)
