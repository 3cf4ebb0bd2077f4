"""The memory of one compiled program: blocks that nothing else uses while the program lives.

A planner packs a program's values into *slots*; replay launches into them again and again, and a
captured graph has their handles baked in, so the pool must not hand them to anybody in between.
Runs take *turns* with the memory: those of several threads one after the other, and one on another
stream behind the work of the one before. So programs that are never run at once (a function
recorded for several sizes) may also share it.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

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


class Turn:
    """Whose turn it is with some memory of ``device``: that of who holds ``lock``, after `follow` where there are streams."""

    def __init__(self, device: Any) -> None:
        self._device, self.lock = device, threading.RLock()
        self.blocks: WeakSet[Block] = WeakSet()
        self._stream = device.current_stream() if device.streams else None  # the memory is new to any other
        _TURNS.add(self)

    def follow(self) -> None:
        """On another stream than before: make it wait for what the one before has queued."""
        stream = self._device.current_stream()
        if stream is not self._stream:
            self._device.wait_event(self._device.record_event(self._stream), stream)
            self._stream = stream
            for block in list(self.blocks):  # whoever takes it next waits for this stream, too
                self._device.pool.note_use(block, stream)

    def renew(self) -> None:
        """In a child of a fork: the thread that may have held it is not there."""
        self.lock = threading.RLock()


_TURNS: WeakSet[Turn] = WeakSet()


class Arena:
    """Slots of the given sizes in bytes: one block cut up where ``limits.suballocate`` and the
    largest buffer allow it, else (or where ``apart`` asks for it) one block each.

    Offsets are multiples of 64 and of the device's binding granularity. ``shared``: an arena whose
    memory may serve for this one, too, where it is large enough; a new block is at least twice as
    large then, so that ever larger ones are few. The memory goes back to the pool when the arenas
    and all that looks into them are gone (``close`` lets go of it early). OutOfMemoryError as for
    any allocation; nothing is kept of an arena that failed.
    """

    slots: tuple[Slot, ...]

    def __init__(self, pool: Pool, sizes: Sequence[int], shared: Arena | None = None, apart: bool = False) -> None:
        limits = pool.device.limits
        step = step_of(limits)
        offsets = [0]
        for size in sizes:
            offsets.append(offsets[-1] + -(-max(size, 1) // step) * step)
        need, self.device = offsets[-1], pool.device
        self.turn: Turn = Turn(pool.device) if shared is None else shared.turn
        if apart or not (limits.suballocate and need <= limits.max_buffer):
            self.slots = tuple(Slot(pool.allocate(size), 0) for size in sizes)
            self.turn.blocks.update(slot.block for slot in self.slots)
            return
        block = None if shared is None else shared.whole
        if block is None or block.nbytes < need:
            more = 0 if block is None else min(2 * block.nbytes, limits.max_buffer)
            block = pool.allocate(max(need, more), exact=True)
        self.whole = block
        self.turn.blocks.add(block)
        self.slots = tuple(Slot(block, offset) for offset in offsets[:-1])

    whole: Block | None = None
    """The one block that all slots are cut from."""

    @property
    def nbytes(self) -> int:
        """Bytes that the arena holds, rounding included."""
        return sum(block.nbytes for block in {id(s.block): s.block for s in self.slots}.values())

    def close(self) -> None:
        """Let go of the memory; views that look into it keep it alive."""
        self.slots, self.whole = (), None


def _after_fork() -> None:
    for turn in list(_TURNS):
        turn.renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
