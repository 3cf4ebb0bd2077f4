"""Max pooling and both poolings' gradients, one tap of the window at a time over whole planes.

The generated NumPy code gathers every window as an array; here each tap is a view of the input by strides. Registered for
``max_pool``, ``max_pool_with_indices``, ``max_pool_backward``, ``avg_pool`` and ``avg_pool_backward``. Max pooling gives what
the definition gives, to the bit; an average differs in the order of its sums alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ingot_devices.opset.op import Spec
from ingot_devices.opset.pool import sliding
from ingot_devices.opset.window import Sliding
from ingot_devices.registry import Kernel, Request

Array = Any
Part = tuple[slice, ...]


def _axes(request: Request, shape: tuple[int, ...]) -> tuple[int, list[Sliding]]:
    """How many axes are not pooled, and those that are."""
    attrs = {k: v for k, v in request.attributes.items() if k not in ("shape", "divisor")}
    lead, axes = sliding(request.op, Spec.of(shape, request.outputs[0].dtype), **attrs)
    return len(lead), axes


def _taps(axes: list[Sliding]) -> Iterator[tuple[Part, Part, tuple[int, ...]]]:
    """For each tap: the windows in which it exists, the elements that it is there, and the first of these."""
    for tap in np.ndindex(*(a.kernel for a in axes)):
        windows, elements, firsts = [], [], []
        for a, t in zip(axes, tap, strict=True):
            offset = t * a.dilation - a.pad
            first = max(-(offset // a.stride), 0)
            last = min((a.size - 1 - offset) // a.stride, a.count - 1)
            start = first * a.stride + offset
            windows.append(slice(first, max(last + 1, first)))
            elements.append(slice(start, start + a.stride * max(last - first, -1) + 1, a.stride))
            firsts.append(start)
        if all(s.stop > s.start for s in windows):
            yield tuple(windows), tuple(elements), tuple(firsts)


def max_pool(request: Request) -> Callable[..., None] | None:
    """The greatest so far and its place, from the first element of each window on; the first of equals stays."""
    _, axes = _axes(request, request.layouts[0].shape)
    if request.outputs[0].dtype.numpy.kind not in "iuf":
        return None  # NumPy compares no bfloat16 with masks
    steps = [math.prod(a.size for a in axes[k + 1 :]) for k in range(len(axes))]
    taps = [(windows, elements, _numbers(axes, windows, firsts, steps)) for windows, elements, firsts in _taps(axes)]
    first = np.ix_(*(_firsts(a) for a in axes))
    floats = request.outputs[0].dtype.kind == "f"

    def run(x: Array, out: Array, indices: Array | None = None) -> None:
        out[...] = x[(..., *first)]
        if indices is not None:
            indices[...] = sum(i * step for i, step in zip(first, steps, strict=True))
        for windows, elements, number in taps:
            value, best = x[(..., *elements)], out[(..., *windows)]
            if floats:
                better = np.less_equal(value, best)
                np.logical_not(better, out=better)
                better &= best == best  # NaN is greater than all, and the first of them stays
            else:
                better = value > best
            np.copyto(best, value, where=better)
            if indices is not None:
                np.copyto(indices[(..., *windows)], number, where=better)

    return run


def _firsts(a: Sliding) -> Array:
    """The first element of each window."""
    start = np.arange(a.count) * a.stride - a.pad
    return start + np.maximum(-(start // a.dilation), 0) * a.dilation


def _numbers(axes: list[Sliding], windows: Part, firsts: tuple[int, ...], steps: list[int]) -> Array:
    """The numbers in the plane of what a tap is in each of its windows."""
    number = np.zeros((), np.int64)
    for a, w, first, step in zip(axes, windows, firsts, steps, strict=True):
        number = number[..., None] + (first + a.stride * np.arange(w.stop - w.start)) * step
    return number


def max_pool_backward(request: Request) -> Callable[..., None]:
    """Each gradient added at the place that its window chose, in double."""
    lead, _ = _axes(request, request.outputs[0].shape)

    def run(grad: Array, indices: Array, out: Array) -> None:
        rows, plane = math.prod(out.shape[:lead]), math.prod(out.shape[lead:])
        places = indices.reshape(rows, math.prod(indices.shape[lead:])) + plane * np.arange(rows)[:, None]
        made = np.bincount(places.reshape(-1), grad.astype(np.float64).reshape(-1), rows * plane)
        out[...] = made.reshape(out.shape)

    return run


def _divisors(axes: list[Sliding], divisor: int | None, dtype: Any) -> Array:
    """What the sum over each window is divided by."""
    if divisor is not None:
        return np.full(tuple(a.count for a in axes), divisor, dtype)
    total = np.ones((), dtype)
    for a in axes:
        first = np.arange(a.count) * a.stride - a.pad
        pad = a.pad if a.count_pad else 0
        total = total[..., None] * (np.minimum(first + a.kernel, a.size + pad) - np.maximum(first, -pad)).astype(dtype)
    return total


def _work(request: Request) -> Any:
    return np.float64 if request.outputs[0].dtype.itemsize == 8 else np.float32


def avg_pool(request: Request) -> Callable[..., None]:
    """The sum over the taps, divided."""
    _, axes = _axes(request, request.layouts[0].shape)
    work, taps = _work(request), list(_taps(axes))
    divisors = _divisors(axes, request.attributes["divisor"], work)

    def run(x: Array, out: Array) -> None:
        total: Array = np.zeros(out.shape, work)
        for windows, elements, _ in taps:
            total[(..., *windows)] += x[(..., *elements)].astype(work, copy=False)
        out[...] = total / divisors

    return run


def avg_pool_backward(request: Request) -> Callable[..., None]:
    """Each window's share, added to its elements."""
    _, axes = _axes(request, request.outputs[0].shape)
    work, taps = _work(request), list(_taps(axes))
    divisors = _divisors(axes, request.attributes["divisor"], work)

    def run(grad: Array, out: Array) -> None:
        share = grad.astype(work, copy=False) / divisors
        total: Array = np.zeros(out.shape, work)
        for windows, elements, _ in taps:
            total[(..., *elements)] += share[(..., *windows)]
        out[...] = total

    return run


KERNELS = (
    *(
        Kernel(made.__name__, "cpu", made, layout="dense")
        for made in (max_pool, max_pool_backward, avg_pool, avg_pool_backward)
    ),
    Kernel("max_pool_with_indices", "cpu", max_pool, layout="dense"),
)
