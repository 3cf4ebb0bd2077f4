"""Sorting for the CPU, stable and along one axis.

Numbers become unsigned integers that are ordered as they are. Where 32 bits hold these, the number and its position make one
key of 64, whose low half is the index; native code sorts long rows of these by radix, which is linear in their number. Keys
have no equals, so any sort of them is stable: short rows, and all without llvmlite, are sorted by NumPy, which has a radix sort
for 16 bits. What is wider, and what is small, goes by its stable merging. Of long rows the first k are found by their k-th
number.

Order: NaN above all else and equal to NaN, -0.0 equal to 0.0, as the definitions have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ingot_devices.registry import Request

from .native.kernel import runtime, usable

Array = Any
SMALL = 2048
"""Elements up to which keys are not worth their making."""
LONG = 64
"""Elements from which a row is asked for its k-th number."""
RADIX = 1024
"""Elements from which a row of keys is sorted by radix."""
LOW = np.uint64(0xFFFFFFFF)


def sort(request: Request) -> Callable[..., None]:
    """All values, and where each was."""
    axis, descending = request.attributes["axis"], request.attributes["descending"]

    def run(x: Array, values: Array, indices: Array) -> None:
        indices[...] = order(x, axis, descending) if x.ndim else 0
        values[...] = np.take_along_axis(x, indices, axis) if x.ndim else x

    return run


def topk(request: Request) -> Callable[..., None]:
    """The first ``k`` of what `sort` gives."""
    axis, k, largest = request.attributes["axis"], request.attributes["k"], request.attributes["largest"]

    def run(x: Array, values: Array, indices: Array) -> None:
        if not indices.size:
            return
        if x.size > SMALL and x.shape[axis] >= LONG:
            indices[...] = np.moveaxis(leading(np.moveaxis(x, axis, -1), k, largest), -1, axis)
        else:
            indices[...] = order(x, axis, largest)[(..., slice(0, k), *(slice(None),) * (-1 - axis))] if x.ndim else 0
        values[...] = np.take_along_axis(x, indices, axis) if x.ndim else x

    return run


def leading(rows: Array, k: int, largest: bool) -> Array:
    """Where the first ``k`` of each row are, in order: those before its k-th number, and of the equals of that the first."""
    keys, place = _comparable(rows), rows.shape[-1] - k if largest else k - 1
    last = np.partition(keys, place, axis=-1)[..., place : place + 1]
    if keys.dtype.kind == "f" and np.isnan(last).any():  # then numbers say nothing of what comes before
        return order(rows, -1, largest)[..., :k]
    before, equal = ~(keys <= last) if largest else keys < last, keys == last  # NaN is before all else among the largest
    needed = k - np.count_nonzero(before, axis=-1, keepdims=True)
    if (np.count_nonzero(equal, axis=-1, keepdims=True) != needed).any():
        equal &= np.cumsum(equal, axis=-1) <= needed
    before |= equal
    chosen = np.nonzero(before)[-1].reshape(*rows.shape[:-1], k)
    return np.take_along_axis(chosen, order(np.take_along_axis(rows, chosen, -1), -1, largest), -1)


def order(x: Array, axis: int, descending: bool) -> Array:
    """Where each is from, of a stable sort."""
    length = x.shape[axis]
    found = unsigned(x, descending) if x.size > SMALL and length <= LOW else None
    if found is None:
        return _merged(x, axis, descending)
    numbers, bits = found
    radix = length >= RADIX and usable()
    if bits <= 16 and not radix:
        return np.argsort(numbers.astype(np.uint16), axis=axis, kind="stable")
    keys = np.moveaxis(numbers, axis, -1).astype(np.uint64, order="C")
    keys <<= np.uint64(32)
    keys |= np.arange(length, dtype=np.uint64)
    if radix:
        runtime().sort(keys.reshape(-1, length), bits)
    else:
        keys.sort(-1)
    keys &= LOW
    return np.moveaxis(keys, -1, axis)


def unsigned(x: Array, descending: bool) -> tuple[Array, int] | None:
    """Unsigned integers that are ordered as ``x`` is, or the other way round, and how many bits they need.

    None where that is more than 32, and of bytes and bools, which NumPy sorts by radix as they are.
    """
    kind, size = x.dtype.kind, x.dtype.itemsize
    if size == 1 or (size == 8 and kind == "f"):
        return None
    whole = np.dtype(f"u{size}")
    bits = x.view(whole)
    if kind in "iu":
        low, high = int(x.min()), int(x.max())
        span = (high - low).bit_length()
        origin = whole.type((high if descending else low) % (1 << 8 * size))
        return None if span > 32 else (origin - bits if descending else bits - origin, span)
    sign = whole.type(1 << 8 * size - 1)
    magnitude = bits & ~sign
    keys = np.where(bits & sign, ~bits, bits | sign)
    keys[magnitude == 0] = sign
    keys[magnitude > np.array(np.inf, x.dtype).view(whole)] = ~whole.type(0)
    return (~keys if descending else keys), 8 * size


def _merged(x: Array, axis: int, descending: bool) -> Array:
    """The same by merging; descending, from the other end, so that ties keep their order."""
    keys = _comparable(x)
    if not descending:
        return np.argsort(keys, axis=axis, kind="stable")
    found = np.argsort(np.flip(keys, axis), axis=axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(found, axis)


def _comparable(x: Array) -> Array:
    return x.astype(np.float32) if x.dtype.kind not in "buif" else x
