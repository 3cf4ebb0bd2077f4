"""Windows over the last axes: convolution and its transpose, pooling; and normalisation over a batch or groups."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .record import ASIDE, FLOAT, Domain, Record, S, V, functional

POSITIVE = Domain(0.5, 2.0)
WHOLE = ("int64", "int32", "uint8")
DOUBLE = ("float64",)  # whose precision is another: what eps=None stands for
NO_SCALAR = "an axis for the channels is needed"


def W(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row of ``nn.functional``."""
    options.setdefault("no_zero_dim", NO_SCALAR)
    return Record(name, functional(name), reference, group="window", **options)


def axes(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


# ---- convolution -----------------------------------------------------------------------------------------------------
def seen(tap: Sequence[int], counts: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[slice, ...]:
    """What a tap of the kernel sees of the padded input, window by window."""
    return tuple(slice(t * d, t * d + s * (n - 1) + 1, s) for t, n, s, d in zip(tap, counts, stride, dilation, strict=True))


def conv(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Tap by tap: a product over the channels of each group."""
    rank = weight.ndim - 2
    alone = x.ndim == rank + 1
    x = x[None] if alone else x
    s, d, kernel = axes(stride, rank), axes(dilation, rank), weight.shape[2:]
    if padding == "same":
        total = [a * (k - 1) for a, k in zip(d, kernel, strict=True)]
        pads = [(n // 2, n - n // 2) for n in total]
    else:
        pads = [(n, n) for n in axes(0 if padding == "valid" else padding, rank)]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    counts = [(n - a * (k - 1) - 1) // b + 1 for n, k, b, a in zip(x.shape[2:], kernel, s, d, strict=True)]
    out = np.zeros((x.shape[0], weight.shape[0], *counts))
    inner, outer = weight.shape[1], weight.shape[0] // groups
    for g, tap in itertools.product(range(groups), np.ndindex(*kernel)):
        part = x[(slice(None), slice(g * inner, (g + 1) * inner), *seen(tap, counts, s, d))]
        taps = weight[(slice(g * outer, (g + 1) * outer), slice(None), *tap)]
        out[:, g * outer : (g + 1) * outer] += np.moveaxis(np.tensordot(taps, part, (1, 1)), 0, 1)
    out = out if bias is None else out + bias.reshape(-1, *(1,) * rank)
    return out[0] if alone else out


def conv_transpose(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Any:  # fmt: skip
    """Tap by tap: each element of the input times the kernel, added where it falls."""
    rank = weight.ndim - 2
    s, d, p, more = (axes(v, rank) for v in (stride, dilation, padding, output_padding))
    kernel, counts = weight.shape[2:], x.shape[2:]
    whole = [(n - 1) * b + a * (k - 1) + 1 + m for n, k, b, a, m in zip(counts, kernel, s, d, more, strict=True)]
    outer, inner = weight.shape[1], weight.shape[0] // groups
    out = np.zeros((x.shape[0], outer * groups, *whole))
    for g, tap in itertools.product(range(groups), np.ndindex(*kernel)):
        taps = weight[(slice(g * inner, (g + 1) * inner), slice(None), *tap)]
        part = np.tensordot(taps, x[:, g * inner : (g + 1) * inner], (0, 1))
        out[(slice(None), slice(g * outer, (g + 1) * outer), *seen(tap, counts, s, d))] += np.moveaxis(part, 0, 1)
    cut = tuple(slice(q, n - q) for q, n in zip(p, whole, strict=True))
    out = out[(slice(None), slice(None), *cut)]
    return out if bias is None else out + bias.reshape(-1, *(1,) * rank)


# ---- pooling ---------------------------------------------------------------------------------------------------------
Cell = tuple[tuple[int, ...], list[tuple[int, int]]]


def starts(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> list[int]:
    """Where the windows along an axis begin."""
    reach = dilation * (kernel - 1)
    found = list(range(-padding, size + padding - reach, stride))
    following = found[-1] + stride
    return [*found, following] if ceil_mode and found[-1] + reach < size + padding - 1 and following < size else found


def pooled(x: Any, rank: int, fold: Callable[[Any, Sequence[int]], Any], kernel: Any, stride: Any, padding: Any, dilation: Any,
           ceil_mode: bool) -> list[Any]:  # fmt: skip
    """``fold`` of each window: (…, elements), and the first index of the window along each axis."""
    k, p, d = axes(kernel, rank), axes(padding, rank), axes(dilation, rank)
    s = k if stride is None else axes(stride, rank)
    sizes = x.shape[x.ndim - rank :]
    firsts = [starts(*of, ceil_mode) for of in zip(sizes, k, s, p, d, strict=True)]
    results = []
    for first in itertools.product(*firsts):
        places = [[i for i in range(f, f + a * m, a) if 0 <= i < n] for f, a, m, n in zip(first, d, k, sizes, strict=True)]
        flat = np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), sizes).reshape(-1)
        results.append(fold(x.reshape(*x.shape[: x.ndim - rank], int(np.prod(sizes)))[..., flat], (*first, *flat)))
    shape = (*x.shape[: x.ndim - rank], *map(len, firsts))
    columns = zip(*results, strict=True)
    return [np.stack(c, -1).reshape(shape) for c in columns]


def max_pool(rank: int) -> Callable[..., Any]:
    def reference(
        x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:  # fmt: skip
        def fold(window: Any, where: Sequence[int]) -> Any:
            best = np.argmax(window, -1)
            return np.take_along_axis(window, best[..., None], -1)[..., 0], np.asarray(where[rank:])[best]

        made = pooled(x, rank, fold, kernel_size, stride, padding, dilation, ceil_mode)
        return tuple(made) if return_indices else made[0]

    return reference


def avg_pool(rank: int) -> Callable[..., Any]:
    def reference(
        x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: Any = None,
    ) -> Any:  # fmt: skip
        sizes, ends = x.shape[x.ndim - rank :], axes(padding, rank)

        def fold(window: Any, where: Sequence[int]) -> Any:
            size = window.shape[-1]
            if count_include_pad:
                rows = zip(where, axes(kernel_size, rank), sizes, ends, strict=False)
                size = int(np.prod([min(first + k, n + p) - first for first, k, n, p in rows]))
            return (window.sum(-1) / (divisor_override or size),)

        return pooled(x, rank, fold, kernel_size, stride, padding, 1, ceil_mode)[0]

    return reference


def adaptive(rank: int, greatest: bool) -> Callable[..., Any]:
    """The mean of each window, or the greatest and its number."""

    def reference(x: Any, output_size: Any, return_indices: bool = False) -> Any:
        lead, sizes = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
        given = (output_size,) * rank if isinstance(output_size, int) else output_size
        wanted = [n if m is None else m for n, m in zip(sizes, given, strict=True)]
        out, where = np.zeros((*lead, *wanted)), np.zeros((*lead, *wanted), np.int64)
        numbers = np.arange(np.prod(sizes, dtype=int)).reshape(sizes)
        for at in np.ndindex(*wanted):
            part: Any = tuple(slice(o * n // m, -(-(o + 1) * n // m)) for o, n, m in zip(at, sizes, wanted, strict=True))
            window, place = x[(..., *part)].reshape(*lead, numbers[part].size), (..., *at)
            best = np.argmax(window, -1)
            where[place] = numbers[part].reshape(-1)[best]
            out[place] = np.take_along_axis(window, best[..., None], -1)[..., 0] if greatest else window.mean(-1)
        return (out, where) if return_indices else out

    return reference


def lp_pool(rank: int) -> Callable[..., Any]:
    def reference(x: Any, p: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
        count = int(np.prod(axes(kernel_size, rank)))  # the mean goes on beyond the end
        return (avg_pool(rank)(x**p, kernel_size, stride, 0, ceil_mode) * count) ** (1 / p)

    return reference


# ---- normalisation ---------------------------------------------------------------------------------------------------
def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    sums = np.zeros(x.shape)
    for c in range(x.shape[1]):
        sums[:, c] = (x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1] ** 2).sum(1)
    return x / (k + alpha * sums / size) ** beta


def column(value: Any, x: Any) -> Any:
    return value.reshape(-1, *(1,) * (x.ndim - 2))


def statistics(x: Any) -> Iterator[Any]:
    over = tuple(k for k in range(x.ndim) if k != 1)
    yield from (x.mean(over), x.var(over))


def batch_norm(
    x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:  # fmt: skip
    mean, var = statistics(x) if training else (mean, var)
    y = (x - column(mean, x)) / np.sqrt(column(var, x) + eps)
    y = y if weight is None else y * column(weight, x)
    return y if bias is None else y + column(bias, x)


def moved(x: Any, mean: Any, var: Any, momentum: float = 0.1) -> Any:
    """The running statistics after a batch."""
    count = x.size // x.shape[1]
    new_mean, new_var = statistics(x)
    return mean * (1 - momentum) + new_mean * momentum, var * (1 - momentum) + new_var * momentum * count / (count - 1)


def move(t: Any, x: Any, mean: Any, var: Any, momentum: float = 0.1) -> Any:
    mean, var = mean.clone(), var.clone()
    t.nn.functional.batch_norm(x, mean, var, training=True, momentum=momentum)
    return mean, var


def instance_norm(x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    over = tuple(range(2, x.ndim))
    y = (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + eps)
    y = y if weight is None else y * column(weight, x)
    return y if bias is None else y + column(bias, x)


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    y = x.reshape(x.shape[0], num_groups, int(np.prod(x.shape[1:])) // num_groups)
    y = ((y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + eps)).reshape(x.shape)
    y = y if weight is None else y * column(weight, x)
    return y if bias is None else y + column(bias, x)


def rms_norm(x: Any, shape: Any, weight: Any = None, eps: Any = None) -> Any:
    over = tuple(range(-len(shape), 0))
    y = x / np.sqrt((x * x).mean(over, keepdims=True) + (2.0**-23 if eps is None else eps))
    return y if weight is None else y * weight


CONVOLUTIONS = (
    S(V(2, 2, 3, 3), V(1, 2, 2, 2)), S(V(1, 2, 3, 3), V(2, 2, 2, 2), V(2)), S(V(1, 2, 4, 3), V(2, 2, 3, 3), V(2), padding=1),
    S(V(1, 1, 5, 5), V(2, 1, 2, 3), stride=2, padding=(1, 0)), S(V(1, 2, 5, 3), V(2, 1, 2, 2), V(2), groups=2, dilation=(2, 1)),
    S(V(1, 1, 4, 4), V(1, 1, 3, 2), padding="same"), S(V(2, 3, 3), V(1, 2, 2, 2), stride=(2, 1)),
    S(V(2, 3, 2, 2), V(3, 3, 1, 1), V(3)), S(V(1, 2, 3, 3), V(2, 2, 1, 1), stride=2),
    S(V(0, 2, 3, 3), V(2, 2, 2, 2), V(2)),
    S(V(2, 8, 17, 19), V(16, 8, 3, 3), V(16), padding=1, big=True),
    S(V(2, 8, 17, 19), V(16, 4, 3, 3), stride=2, groups=2, big=True),
    S(V(2, 12, 17, 19), V(12, 1, 3, 3), V(12), padding=1, groups=12, big=True),
    S(V(1, 24, 17, 19), V(36, 2, 3, 5), stride=2, padding=2, groups=12, big=True),
    S(V(1, 3, 20, 20), V(24, 3, 7, 7), stride=2, padding=3, big=True), S(V(3, 16, 9, 9), V(32, 16, 1, 1), big=True),
)  # fmt: skip
TRANSPOSED = (
    S(V(1, 2, 2, 3), V(2, 2, 2, 2), V(2)), S(V(1, 2, 2, 2), V(2, 1, 3, 3), V(1), stride=2, padding=1, output_padding=1),
    S(V(1, 2, 3, 2), V(2, 1, 2, 2), groups=2, dilation=2), S(V(0, 2, 2, 2), V(2, 3, 2, 2)),
    S(V(2, 8, 9, 7), V(8, 12, 4, 4), V(12), stride=2, padding=1, big=True),
)  # fmt: skip
MAXIMA = (
    S(V(1, 2, 4, 4), 2), S(V(2, 5, 5), 3, stride=2, padding=1), S(V(1, 2, 4, 5), (2, 3), stride=(1, 2), padding=(1, 0)),
    S(V(1, 1, 5, 6), 2, stride=2, ceil_mode=True), S(V(1, 1, 6, 5), 2, stride=1, dilation=2),
    S(V(1, 2, 4, 4), 2, return_indices=True), S(V(1, 1, 5, 5), 3, stride=2, padding=1, ceil_mode=True, return_indices=True),
    S(V(0, 2, 4, 4), 2), S(V(2, 5, 19, 18), 3, stride=2, padding=1, big=True, return_indices=True),
)  # fmt: skip
AVERAGES = (
    S(V(1, 2, 4, 4), 2), S(V(2, 5, 5), 3, stride=2, padding=1), S(V(1, 2, 4, 5), (2, 3), stride=(1, 2), padding=(1, 0)),
    S(V(1, 1, 5, 6), 2, stride=2, ceil_mode=True), S(V(1, 2, 5, 5), 3, stride=2, padding=1, count_include_pad=False),
    S(V(1, 1, 5, 6), 3, stride=2, padding=1, ceil_mode=True), S(V(1, 1, 4, 4), 2, divisor_override=3),
    S(V(1, 1, 5, 6), 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    S(V(2, 2, 4, 5), (4, 5)), S(V(1, 2, 4, 6), (4, 3)), S(V(1, 2, 4, 6), (4, 3), stride=(1, 3)),
    S(V(1, 2, 4, 5), (4, 5), divisor_override=3), S(V(1, 2, 4, 5), (4, 5), stride=1, padding=(1, 0)),
    S(V(0, 2, 4, 4), 2), S(V(2, 5, 19, 18), 3, stride=2, padding=1, big=True), S(V(2, 3, 15, 16), (5, 4), big=True),
)  # fmt: skip
BATCHES = (
    S(V(4, 3), None, None, training=True), S(V(3, 2, 2, 2), None, None, V(2), V(2), training=True),
    S(V(2, 2, 3), None, None, V(2), None, training=True, eps=0.1), S(V(3, 1, 4), None, None, V(1), V(1), training=True),
    S(V(3, 2), V(2, grad=False), V(2, domain=POSITIVE, grad=False)),
    S(V(2, 2, 3), V(2, grad=False), V(2, domain=POSITIVE, grad=False), V(2), V(2)),
    S(V(0, 2, 3), V(2, grad=False), V(2, domain=POSITIVE, grad=False), V(2), V(2)),
    S(V(5, 7, 9, 11), None, None, V(7), V(7), training=True, big=True),
    S(V(5, 7, 9, 11), V(7, grad=False), V(7, domain=POSITIVE, grad=False), V(7), V(7), big=True),
)  # fmt: skip
SUMS = {"ulp": 8, "scale": "terms"}
MEANS = {"ulp": 4, "scale": "terms"}
POWERS: dict[str, Any] = {"domain": POSITIVE, "ulp": 32, "half_ulp": 6}
NORMAL: dict[str, Any] = {"domain": ASIDE, "ulp": 32, "half_ulp": 6, "scale": 1.0}

# fmt: off
RECORDS = (
    W("conv1d", conv, **SUMS, samples=(
        S(V(2, 2, 5), V(3, 2, 2), V(3)), S(V(1, 2, 6), V(2, 1, 3), stride=2, padding=1, groups=2), S(V(2, 4), V(2, 2, 3)),
        S(V(1, 1, 7), V(2, 1, 2), dilation=3, padding="same"), S(V(0, 2, 5), V(3, 2, 2)),
        S(V(3, 8, 70), V(16, 8, 5), V(16), padding=2, big=True))),
    W("conv2d", conv, **SUMS, samples=CONVOLUTIONS),
    W("conv3d", conv, **SUMS, samples=(
        S(V(1, 1, 3, 2, 3), V(2, 1, 2, 2, 2), V(2)),
        S(V(1, 2, 2, 3, 3), V(2, 1, 2, 1, 2), stride=(1, 2, 1), padding=1, groups=2),
        S(V(0, 1, 2, 2, 2), V(1, 1, 2, 2, 2)), S(V(2, 4, 7, 8, 9), V(8, 4, 3, 3, 3), padding=1, big=True))),
    W("conv_transpose1d", conv_transpose, **SUMS, samples=(
        S(V(2, 2, 3), V(2, 3, 2), V(3)), S(V(1, 2, 3), V(2, 1, 3), stride=2, padding=1, groups=2), S(V(0, 2, 3), V(2, 3, 2)))),
    W("conv_transpose2d", conv_transpose, **SUMS, samples=TRANSPOSED),
    W("conv_transpose3d", conv_transpose, **SUMS, samples=(
        S(V(1, 2, 2, 1, 2), V(2, 1, 2, 2, 1), V(1)), S(V(1, 3, 2, 1, 4), V(3, 2, 1, 3, 2), stride=(1, 1, 3)),
        S(V(1, 2, 1, 2, 2), V(2, 1, 2, 1, 3), stride=(1, 2, 2), padding=(0, 0, 1), groups=2),
        S(V(0, 1, 2, 2, 2), V(1, 1, 2, 2, 2)))),
    W("max_pool1d", max_pool(1), dtypes=FLOAT, ulp=0, result=("same", "int64"), samples=(
        S(V(1, 2, 7), 3), S(V(2, 7), 2, stride=1, padding=1, return_indices=True), S(V(0, 2, 4), 2))),
    W("max_pool2d", max_pool(2), dtypes=FLOAT + WHOLE, ulp=0, result=("same", "int64"), samples=MAXIMA),
    W("max_pool3d", max_pool(3), dtypes=FLOAT, ulp=0, result=("same", "int64"), samples=(
        S(V(1, 2, 3, 4, 4), 2), S(V(2, 4, 3, 5), (2, 1, 3), stride=(1, 2, 2), padding=(1, 0, 1), return_indices=True),
        S(V(0, 1, 2, 2, 2), 2))),
    W("avg_pool1d", avg_pool(1), **MEANS, samples=(
        S(V(1, 2, 7), 3), S(V(2, 7), 2, stride=1, padding=1), S(V(0, 2, 4), 2),
        S(V(1, 2, 6), 4, stride=3, padding=2, ceil_mode=True))),
    W("avg_pool2d", avg_pool(2), **MEANS, samples=AVERAGES),
    W("avg_pool3d", avg_pool(3), **MEANS, samples=(
        S(V(1, 2, 3, 4, 4), 2), S(V(2, 4, 3, 5), (2, 1, 3), stride=(1, 2, 2), padding=(1, 0, 1), count_include_pad=False),
        S(V(1, 1, 2, 3, 2), 2, stride=1, divisor_override=3), S(V(0, 1, 2, 2, 2), 2))),
    W("adaptive_avg_pool3d", adaptive(3, greatest=False), **MEANS, samples=(
        S(V(1, 2, 3, 4, 5), (2, 3, 2)), S(V(2, 3, 2, 4), (None, 1, 2)), S(V(0, 1, 2, 2, 2), 2))),
    W("adaptive_avg_pool1d", adaptive(1, greatest=False), **MEANS, samples=(
        S(V(1, 2, 8), 3), S(V(2, 3), 5), S(V(2, 6), 2), S(V(0, 2, 4), 3))),
    W("adaptive_avg_pool2d", adaptive(2, greatest=False), **MEANS, samples=(
        S(V(1, 2, 5, 4), (2, 3)), S(V(2, 4, 4), 2), S(V(1, 2, 3, 5), (None, 1)), S(V(1, 1, 3, 2), (5, 3)), S(V(2, 3, 3, 3), 1),
        S(V(0, 2, 4, 4), 3), S(V(2, 3, 20, 17), (7, 7), big=True))),
    W("adaptive_max_pool1d", adaptive(1, greatest=True), dtypes=FLOAT, ulp=0, result=("same", "int64"), samples=(
        S(V(1, 2, 8), 3), S(V(2, 3), 5, return_indices=True), S(V(2, 6), 2), S(V(0, 2, 4), 3))),
    W("adaptive_max_pool2d", adaptive(2, greatest=True), dtypes=FLOAT + WHOLE, ulp=0, result=("same", "int64"), samples=(
        S(V(1, 2, 5, 4), (2, 3)), S(V(2, 4, 4), 2), S(V(1, 2, 3, 5), (None, 2), return_indices=True), S(V(1, 1, 3, 2), (5, 3)),
        S(V(2, 3, 3, 3), 1), S(V(0, 2, 4, 4), 3), S(V(2, 3, 20, 17), (7, 7), return_indices=True, big=True))),
    W("adaptive_max_pool3d", adaptive(3, greatest=True), dtypes=FLOAT, ulp=0, result=("same", "int64"), samples=(
        S(V(1, 2, 3, 4, 5), (2, 3, 2), return_indices=True), S(V(2, 3, 2, 4), (None, 1, 2)), S(V(0, 1, 2, 2, 2), 2))),
    W("lp_pool1d", lp_pool(1), **POWERS, samples=(S(V(1, 2, 7), 3.0, 3), S(V(2, 7), 1.5, 2, stride=1), S(V(0, 2, 4), 2.0, 2))),
    W("lp_pool2d", lp_pool(2), **POWERS, samples=(
        S(V(1, 2, 4, 4), 2.0, 2), S(V(1, 1, 4, 5), 3.0, (2, 3), stride=(1, 2)), S(V(1, 1, 5, 6), 2.0, 2, ceil_mode=True),
        S(V(0, 2, 4, 4), 2.0, 2), S(V(2, 3, 19, 18), 2.0, 3, stride=2, big=True))),
    W("lp_pool3d", lp_pool(3), **POWERS, samples=(S(V(1, 2, 2, 4, 3), 2.0, (1, 2, 3)), S(V(0, 1, 2, 2, 2), 2.0, 2))),
    W("local_response_norm", local_response_norm, ulp=16, half_ulp=6, scale=1.0, samples=(
        S(V(1, 4, 3), 3), S(V(2, 3, 2, 2), 4, alpha=0.5, beta=0.5, k=2.0), S(V(1, 5, 1, 2, 2), 1, alpha=1.0),
        S(V(0, 4, 3), 2), S(V(3, 17, 9, 7), 5, alpha=0.1, big=True))),
    W("batch_norm", batch_norm, **NORMAL, samples=BATCHES),
    Record("batch_norm_update", move, moved, group="window", grad=False, **NORMAL, no_zero_dim=NO_SCALAR,
           no_empty="no variance", nonfinite="an infinite element leaves no variance",
           samples=(S(V(4, 3), V(3), V(3, domain=POSITIVE)), S(V(2, 2, 3), V(2), V(2, domain=POSITIVE), momentum=0.5))),
    W("instance_norm", instance_norm, **NORMAL, no_empty="PyTorch takes no empty batch", samples=(
        S(V(2, 2, 4), None, None), S(V(2, 2, 2, 2), None, None, V(2), V(2)), S(V(1, 3, 4), None, None, V(3), None, eps=0.1),
        S(V(3, 5, 9, 11), None, None, V(5), V(5), big=True))),
    W("group_norm", group_norm, **NORMAL, samples=(
        S(V(2, 4), 2), S(V(2, 4, 3), 2, V(4), V(4)), S(V(2, 2, 2, 2), 1, V(2), None), S(V(0, 4, 2), 2, V(4), V(4)),
        S(V(3, 6, 9, 7), 3, V(6), V(6), big=True))),
    W("rms_norm", rms_norm, **NORMAL, samples=(
        S(V(3, 4), (4,), but=DOUBLE), S(V(2, 2, 3), (2, 3), V(2, 3), eps=1e-5), S(V(3, 4), (4,), eps=0.1),
        S(V(0, 4), (4,), V(4)), S(V(9, 65), (65,), V(65), but=DOUBLE, big=True))),
)
# fmt: on
