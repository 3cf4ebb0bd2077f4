"""Sorting for the CPU, stable and along one axis: a number and its position as one 64-bit key.

NumPy sorts 64-bit integers by vector instructions, in any order of equal ones; a key whose high half orders the number and
whose low half is the position has no equal, so what comes out is the stable order. Its low halves are the indices. Small
tensors, and numbers that 32 bits do not hold, go by NumPy's stable `argsort`. The first k of a long row are found by the k-th
number alone.

Order: NaN above all else and equal to NaN, -0.0 equal to 0.0, as the definitions have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ingot_devices.registry import Request

Array = Any
SMALL = 2048
"""Elements up to which the keys are not worth their making."""
LONG = 512
"""Elements from which a row is asked for its k-th number."""
LOW = np.uint64(0xFFFFFFFF)
_TOP = np.uint32(1 << 31)


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
        if x.ndim and x.shape[axis] >= LONG:
            rows, found = np.moveaxis(x, axis, -1), np.moveaxis(indices, axis, -1)
            for at in np.ndindex(rows.shape[:-1]):
                found[at] = leading(rows[at], k, largest)
        else:
            indices[...] = order(x, axis, largest)[(..., slice(0, k), *(slice(None),) * (-1 - axis))] if x.ndim else 0
        values[...] = np.take_along_axis(x, indices, axis) if x.ndim else x

    return run


def leading(row: Array, k: int, largest: bool) -> Array:
    """Where the first ``k`` of a row are, in order: those before the k-th number, and of its equals the first."""
    keys = _comparable(row)
    place = len(keys) - k if largest else k - 1
    last = np.partition(keys, place)[place]
    if not np.isnan(last):  # NaN comes first among the largest
        before, equal = ~(keys <= last) if largest else keys < last, keys == last
    else:
        equal = np.isnan(keys)
        before = ~equal & (not largest)
    chosen = np.flatnonzero(before)
    chosen = np.sort(np.concatenate([chosen, np.flatnonzero(equal)[: k - len(chosen)]]))
    return chosen[stable(row[chosen], -1, largest)]


def order(x: Array, axis: int, descending: bool) -> Array:
    """Where each is from, of a stable sort."""
    keys = packed(x, axis, descending) if x.size > SMALL else None
    if keys is None:
        return stable(x, axis, descending)
    keys.sort(axis)
    keys &= LOW
    return keys


def stable(x: Array, axis: int, descending: bool) -> Array:
    """The same by NumPy's stable sort; descending, from the other end, so that ties keep their order."""
    keys = _comparable(x)
    if not descending:
        return np.argsort(keys, axis=axis, kind="stable")
    found = np.argsort(np.flip(keys, axis), axis=axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(found, axis)


def _comparable(x: Array) -> Array:
    return x.astype(np.float32) if x.dtype.kind not in "buif" else x


def packed(x: Array, axis: int, descending: bool) -> Array | None:
    """A key for each element: how its number is ordered, above its position on ``axis``. None where that takes more bits."""
    length = x.shape[axis]
    numbers = _ordered(x) if length <= 1 << 32 else None
    if numbers is None:
        return None
    if descending:
        np.subtract(LOW, numbers, out=numbers)
    numbers <<= np.uint64(32)
    numbers |= np.arange(length, dtype=np.uint64).reshape(-1, *(1,) * (-1 - axis))
    return numbers


def _ordered(x: Array) -> Array | None:
    """Numbers as uint64 below 2³², in the same order; None for 64-bit ones that lie further apart."""
    kind, size = x.dtype.kind, x.dtype.itemsize
    if kind in "bu" and size < 8:
        return x.astype(np.uint64)
    if kind in "iu":
        low, high = int(x.min()), int(x.max())
        wide = x if size == 8 else x.astype(np.int64)
        return (wide - wide.dtype.type(low)).astype(np.uint64) if high - low < 1 << 32 else None
    if kind == "f" and size == 8:
        return None
    floats = x.astype(np.float32)
    floats += np.float32(0.0)  # -0.0 becomes 0.0
    np.copyto(floats, np.float32(np.nan), where=np.isnan(floats))  # which has no sign
    bits = floats.view(np.uint32)
    negative = bits >= _TOP
    np.bitwise_xor(bits, np.where(negative, np.uint32(0xFFFFFFFF), _TOP), out=bits)
    return bits.astype(np.uint64)
