"""The memory of one compiled program: blocks that nothing else uses while the program lives.

A planner packs a program's values into *slots*; replay launches into them again and again, and a
captured graph has their handles baked in, so the pool must not hand them to anybody in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .sizes import granule

if TYPE_CHECKING:
    from ..limits import Limits
    from .block import Block
    from .pool import Pool

_ALIGNMENT = 64


def step_of(limits: Limits) -> int:
    """What offsets into an arena are multiples of."""
    return math.lcm(granule(limits), limits.binding_granularity, _ALIGNMENT)


class Slot(NamedTuple):
    """Where one slot lies: ``offset`` bytes into ``block``."""

    block: Block
    offset: int


class Arena:
    """Slots of the given sizes in bytes: one block cut up where ``limits.suballocate`` and the
    largest buffer allow it, else one block each.

    Offsets are multiples of 64 and of the device's binding granularity. The memory goes back to the
    pool when the arena and all that looks into it are gone (``close`` lets go of it early).
    OutOfMemoryError as for any allocation; nothing is kept of an arena that failed.
    """

    slots: tuple[Slot, ...]

    def __init__(self, pool: Pool, sizes: Sequence[int]) -> None:
        limits = pool.device.limits
        step = step_of(limits)
        offsets = [0]
        for size in sizes:
            offsets.append(offsets[-1] + -(-max(size, 1) // step) * step)
        if limits.suballocate and offsets[-1] <= limits.max_buffer:
            block = pool.allocate(offsets[-1], exact=True)
            self.slots = tuple(Slot(block, offset) for offset in offsets[:-1])
        else:
            self.slots = tuple(Slot(pool.allocate(size), 0) for size in sizes)

    @property
    def nbytes(self) -> int:
        """Bytes that the arena holds, rounding included."""
        return sum(block.nbytes for block in {id(s.block): s.block for s in self.slots}.values())

    def close(self) -> None:
        """Let go of the memory; views that look into it keep it alive."""
        self.slots = ()
