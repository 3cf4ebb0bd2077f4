"""Kernels that beat the generated ones: what NumPy has an algorithm for, or what it does better in another order.

Registered through the hook ``ingot_kernels``. Each gives what the op's definition gives, to the bit. Those of random words are
for NumPy alone: native code (`ingot_cpu.native`) makes the words ten times as fast from the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.opset.philox import INCREMENTS, MULTIPLIERS
from ingot_devices.registry import Kernel, Request

from .native.kernel import usable
from .sorting import sort, topk

Array = Any
CHUNK = 4096
"""Blocks of random words that are made at a time, so that what they are made from stays in the cache."""


def words(size: int, seed_lo: int, seed_hi: int, offset_lo: int, offset_hi: int) -> Array:
    """The first ``size`` words of the stream of a state (`ingot_devices.opset.random`)."""
    blocks = -(-size // 4)
    made = np.empty((blocks, 4), np.uint32)
    start = np.uint64(offset_lo | offset_hi << 32)
    for first in range(0, blocks, CHUNK):
        part = made[first : first + CHUNK]
        _philox(start + np.arange(first, first + len(part), dtype=np.uint64), (seed_lo, seed_hi), part)
    return made.reshape(-1)[:size]


def _philox(counters: Array, key: tuple[int, int], out: Array) -> None:
    """Philox4x32-10: words 0 and 2 of the state are the rows of ``a``, words 1 and 3 those of ``b``."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    factors = np.array(MULTIPLIERS, np.uint64)[:, None]
    steps = np.array(INCREMENTS, np.uint64)[:, None]
    keys = np.array(key, np.uint64)[:, None]
    a = np.zeros((2, len(counters)), np.uint64)
    b = np.zeros_like(a)
    a[0], b[0] = counters & low, counters >> half
    product = np.empty_like(a)
    crossed = product[::-1]
    for turn in range(10):
        if turn:
            keys = (keys + steps) & low
        np.multiply(a, factors, out=product)
        np.right_shift(crossed, half, out=a)
        a ^= b
        a ^= keys
        np.bitwise_and(crossed, low, out=b)
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = a[0], b[0], a[1], b[1]


def random_bits(request: Request) -> Callable[..., None] | None:
    """Words of the stream."""
    if usable():
        return None

    def run(seed_lo: int, seed_hi: int, offset_lo: int, offset_hi: int, out: Array) -> None:
        out[...] = words(out.size, seed_lo, seed_hi, offset_lo, offset_hi).reshape(out.shape)

    return run


def uniform(request: Request) -> Callable[..., None] | None:
    """float32 in [0, 1): the 24 highest bits of each word."""
    if usable() or request.outputs[0].dtype is not dt.float32 or request.layouts[4] is not None:
        return None

    def run(
        seed_lo: int, seed_hi: int, offset_lo: int, offset_hi: int, low: None, high: None, out: Array
    ) -> None:
        drawn = words(out.size, seed_lo, seed_hi, offset_lo, offset_hi)
        drawn >>= np.uint32(8)
        out[...] = drawn.reshape(out.shape)
        np.multiply(out, np.float32(2.0**-24), out=out)

    return run


KERNELS = tuple(Kernel(made.__name__, "cpu", made) for made in (sort, topk, random_bits, uniform))
