"""A device under watch: fresh memory is poisoned, every allocation is fenced, and both are looked at after each call.

`guarded` gives an open device a pool over a `Fence`, an allocator between the pool and the device's own. So an element
that a kernel leaves out shows as poison instead of what lay there before, a store past the end is found in the fence
(or in what the pool rounded up), and an operand that a kernel writes to is caught against its values.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from ingot_devices.memory import Pool
from ingot_devices.memory.chunks import handle_of

from .harness.subject import Subject

POISON = b"\xfb\x7f"
"""0x7ffb: NaN as float16, bfloat16, float32 and float64; far out of range as an index."""
BAND = 64
"""Bytes of a fence, at the least: one cache line, sixteen floats."""


def poison(nbytes: int) -> bytes:
    """``nbytes`` of the pattern."""
    return (POISON * (nbytes // 2 + 1))[:nbytes]


class Changed(AssertionError):
    """A call changed its operand of this number."""

    def __init__(self, text: str, operand: int) -> None:
        super().__init__(text)
        self.operand = operand


class Outside(AssertionError):
    """Memory was written that belongs to nobody."""


class Fence:
    """Raw memory of a device with a band of known bytes behind it: what a `Pool` takes as its allocator.

    ``broken`` collects what was found written where nobody may write.
    """

    def __init__(self, device: Any) -> None:
        self.device = device
        limits = device.limits
        grain = int(np.lcm(limits.allocation_granularity, limits.copy_granularity))
        self.band = -(-BAND // grain) * grain
        self.live: dict[int, tuple[Any, int]] = {}  # handles need not be hashable
        self.broken: list[str] = []

    def allocate(self, nbytes: int) -> Any:
        """A handle on ``nbytes``, poisoned, with the band behind."""
        handle = handle_of(self.device, nbytes + self.band)
        self.device.copy_in(handle, 0, memoryview(bytearray(poison(nbytes + self.band))))
        self.live[id(handle)] = handle, nbytes
        return handle

    def release(self, handle: Any) -> None:
        """Check the band a last time and give the memory back."""
        _, nbytes = self.live.pop(id(handle))
        self.check(handle, nbytes)
        self.device.release(handle)

    def check(self, handle: Any, start: int) -> None:
        """Note what was written behind byte ``start`` of an allocation."""
        nbytes = self.live[id(handle)][1] if id(handle) in self.live else start
        unit = self.device.limits.copy_granularity
        low = -(-start // unit) * unit
        found = bytearray(nbytes + self.band - low)
        if not found:
            return
        self.device.copy_out(handle, low, memoryview(found))
        wanted = poison(nbytes + self.band)[low:]
        if bytes(found) != wanted:
            at = next(k for k, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
            self.broken.append(f"byte {low + at} was written, and the last element ends at byte {start}")

    def check_all(self) -> None:
        """Look at the band of every live allocation."""
        for handle, nbytes in list(self.live.values()):
            self.check(handle, nbytes)

    def unbroken(self, what: str) -> None:
        """`Outside`, once, where something was found."""
        if self.broken:
            found, self.broken = self.broken[0], []
            raise Outside(f"{what}: {found}")


class GuardedPool(Pool):
    """A pool over a `Fence`; memory that is handed out again is poisoned again."""

    quick = False

    def __init__(self, device: Any) -> None:
        self.fence = Fence(device)
        super().__init__(device, self.fence)

    def clean(self) -> None:
        """Give back what is not in use, and forget what was found."""
        self.empty_cache()
        self.fence.broken.clear()

    def _own(self, chunk: Any) -> Any:
        self.device.copy_in(chunk.handle, 0, memoryview(bytearray(poison(chunk.nbytes))))
        return super()._own(chunk)


class GuardedSubject(Subject):
    """Ingot on a guarded device: after each judged call, memory is judged too."""

    def afresh(self) -> None:
        """Bands that are broken go back to the device."""
        pool = self.t.devices.open_device(self.device).pool
        if isinstance(pool, GuardedPool):
            pool.clean()

    def settled(self, what: str, arrays: Sequence[Any], tensors: Sequence[Any], results: Sequence[Any]) -> None:
        """Operands keep their values; nothing is written behind a result's last element; no fence is broken."""
        for k, (array, tensor) in enumerate(zip(arrays, tensors, strict=False)):
            now = self.read(tensor)
            same = now.astype(array.dtype).tobytes() == np.ascontiguousarray(array).tobytes()
            if not (same or _equal(now, array)):
                raise Changed(f"{what}: operand {k} was changed by the call", k)
        if not results:
            return
        pool = results[0]._layout.device.pool
        if not isinstance(pool, GuardedPool):
            return
        owned = {id(t._block) for t in tensors}
        for k, result in enumerate(results):
            if id(result._block) not in owned and id(result._block.handle) in pool.fence.live:
                pool.fence.check(result._block.handle, _end(result))
                pool.fence.unbroken(f"{what} result {k}: memory outside of the result was written")
        pool.fence.check_all()
        pool.fence.unbroken(f"{what}: memory outside of the result was written")


def _equal(now: Any, array: Any) -> bool:
    """Equal values, also where the bits of a NaN differ."""
    with np.errstate(all="ignore"):
        return bool(np.array_equal(np.asarray(now, np.float64), np.asarray(array, np.float64), equal_nan=True))


def _end(result: Any) -> int:
    """The byte behind the last element of a tensor in its block."""
    layout = result._layout
    item = layout.device.limits.storage_itemsize(layout.dtype)
    return int((result._offset + layout.span) * item)


@contextmanager
def guarded(device: Any) -> Iterator[GuardedPool]:
    """The open ``device`` with a `GuardedPool` inside the block; its own pool comes back after it."""
    from ingot.dispatch import forget_plans

    own = device.pool
    own.empty_cache()
    pool = GuardedPool(device)
    forget_plans()  # plans hold the pool that they allocate from
    device.pool = pool
    try:
        yield pool
    finally:
        forget_plans()
        gc.collect()
        if not device.lost:
            pool.empty_cache()
        device.pool = own
