"""The memory of one compiled program: blocks that nothing else uses while the program lives.

A planner packs a program's values into *slots*; replay launches into them again and again, and a captured graph has
their handles baked in, so the pool must not hand them to anybody else in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .sizes import granule

if TYPE_CHECKING:
    from .block import Block
    from .pool import Pool


class Slot(NamedTuple):
    """Where one slot lies: byte ``offset`` in ``block`` (a multiple of the device's binding granularity)."""

    block: Block
    offset: int


class Arena:
    """Slots of the given sizes in bytes: one block cut into slots where ``limits.suballocate``, else one block each.

    The memory goes back to the pool when the arena and every tensor that looks into it are gone, or is let go of
    early by ``close``. OutOfMemoryError as for any allocation; nothing is kept of an arena that failed.
    """

    def __init__(self, pool: Pool, sizes: Sequence[int]) -> None:
        limits = pool.device.limits
        self.slots: tuple[Slot, ...]
        if limits.suballocate and sum(sizes) <= limits.max_buffer // 2:
            step = max(granule(limits), limits.binding_granularity, 64)
            offsets = [0]
            for size in sizes:
                offsets.append(offsets[-1] + -(-size // step) * step)
            block = pool.allocate(offsets[-1])
            self.slots = tuple(Slot(block, offset) for offset in offsets[:-1])
        else:
            self.slots = tuple(Slot(pool.allocate(size), 0) for size in sizes)

    @property
    def nbytes(self) -> int:
        """Bytes that the arena holds, rounding included."""
        return sum(block.nbytes for block in {id(s.block): s.block for s in self.slots}.values())

    def close(self) -> None:
        """Let go of the memory; tensors that look into it keep it alive."""
        self.slots = ()
