"""Philox4x32-10 (Salmon et al., SC 2011) as an expression over uint32, and how a kernel is filled with its words.

Which element takes which word is specified in `random`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define
from ..ir.expr import Expr, const
from ..layout import dense_strides
from .shared import Shape

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
Words = Sequence[Expr]


def philox(counter: Words, key: Words) -> Words:
    """Philox4x32-10: four random words of a counter of four and a key of two (uint32 expressions)."""
    c, k = list(counter), list(key)
    for turn in range(10):
        if turn:
            k = [k[0] + INCREMENTS[0], k[1] + INCREMENTS[1]]
        (high0, low0), (high1, low1) = _product(c[0], MULTIPLIERS[0]), _product(c[2], MULTIPLIERS[1])
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
    return c


def _product(x: Expr, multiplier: int) -> tuple[Expr, Expr]:
    """High and low half."""
    return s.mulhi(x, multiplier), x * multiplier


def _block(seeds: Words, number: Expr, blocks: int) -> Words:
    """The words of block ``number`` (an index below ``blocks``)."""
    seed_lo, seed_hi, offset_lo, offset_hi = (n.cast(dt.uint32) for n in seeds)
    low = offset_lo + number.cast(dt.uint32)
    high = offset_hi + (low < offset_lo).cast(dt.uint32)
    if blocks > 1 << 32:
        high = high + (number // (1 << 32)).cast(dt.uint32)
    zero = const(0, dt.uint32)
    return philox((low, high, zero, zero), (seed_lo, seed_hi))


def fill(d: Define, seeds: Words, shape: Shape, lanes: int, make: Callable[[Words], Words]) -> None:
    """Store ``make(words)``, ``lanes`` elements, for each block: one point computes a block once and stores all of it."""
    n = math.prod(shape)
    if n == 0:
        d.store(0, d.axes(shape), const(0, d.outputs[0].dtype))
        return
    if shape and shape[-1] % lanes == 0:
        at = d.axes((*shape[:-1], shape[-1] // lanes))
        blocks = n // lanes
        number = _linear(at, dense_strides((*shape[:-1], shape[-1] // lanes)))
        for lane, value in enumerate(make(_block(seeds, number, blocks))):
            d.store(0, [*at[:-1], at[-1] * lanes + lane], value, over=at)
        return
    blocks = -(-n // lanes)
    number = d.axis(blocks)
    for lane, value in enumerate(make(_block(seeds, number, blocks))):
        if lane < n:
            place = number * lanes + lane
            inside = None if lane < (n % lanes or lanes) else place < n
            spots = [place // step % size if k else place // step
                     for k, (step, size) in enumerate(zip(dense_strides(shape), shape, strict=True))]
            d.store(0, spots, value, over=[number], valid=inside)


def _linear(at: Sequence[Expr], strides: Shape) -> Expr:
    made = const(0, dt.index)
    for i, step in zip(at, strides, strict=True):
        made = made + i * step
    return made
