"""A pool with bands: what surrounds each block is filled with a pattern, and can be looked at.

In the place of `Pool` under ``INGOT_DEBUG=bounds``. The rear band begins right after the bytes that were asked for, not
after the size class; a front band is there where the device can give a handle on a part of an allocation
(`Device.window`). Blocks straight from NumPy, which have no bands, are not made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .chunks import Chunk, handle_of
from .pool import Pool
from .site import text
from .sizes import granule, round_size, whole_size

if TYPE_CHECKING:
    from ..device import Device
    from ..layout import Layout
    from .block import Block

BAND = 256
PATTERN = 0xB5


class Fenced:
    """A raw allocator that puts a front band before each allocation, where the device has windows."""

    def __init__(self, device: Device, inner: Any) -> None:
        self.device, self.inner = device, inner
        grain = granule(device.limits)
        self.front = -(-BAND // grain) * grain
        self.whole: dict[int, tuple[Any, Any]] = {}  # id of a window → (itself, the allocation that it is of)

    def allocate(self, nbytes: int) -> Any:
        handle = handle_of(self.inner, nbytes + self.front)
        window = self.device.window(handle, self.front, nbytes)
        if window is None:
            return handle
        self.device.copy_in(handle, 0, memoryview(bytes([PATTERN]) * self.front))
        self.whole[id(window)] = (window, handle)
        return window

    def release(self, handle: Any) -> None:
        _, whole = self.whole.pop(id(handle), (None, handle))
        self.inner.release(whole)


class GuardedPool(Pool):
    """See the module's docstring."""

    noted_from = 0

    def __init__(self, device: Device, allocator: Any = None) -> None:
        super().__init__(device, allocator)
        self.host = False
        self.fence = Fenced(device, allocator or device)
        self._chunks.allocator = self.fence
        self._asked: dict[Chunk, int] = {}

    def allocate(self, nbytes: int, exact: bool = False) -> Block:
        """A block of ``nbytes``, with bands."""
        size = whole_size if exact else round_size
        block = self._take(size(nbytes + BAND, self.device.limits))
        chunk = block._chunk
        self._asked[chunk] = nbytes
        self._fill(chunk)
        return block

    def maker(self, layout: Layout, exact: bool = False) -> Callable[[], tuple[Block, Any]]:
        """As `Pool.maker`."""
        nbytes = layout.size * self.device.limits.storage_itemsize(layout.dtype)

        def make() -> tuple[Block, Any]:
            block = self.allocate(nbytes, exact)
            return block, self.device.view(block, layout, 0)

        return make

    def check_bands(self) -> str:
        """What is written into a band of a live block, for people; an empty string if nothing is. Bands are mended."""
        self.device.synchronize()
        for chunk, asked in list(self._asked.items()):
            if chunk.live:
                found = self._broken(chunk, asked)
                if found:
                    return found
        return ""

    def _rear(self, chunk: Chunk) -> tuple[int, int]:
        unit = self.device.limits.copy_granularity
        return -(-self._asked[chunk] // unit) * unit, chunk.nbytes

    def _fill(self, chunk: Chunk) -> None:
        start, stop = self._rear(chunk)
        self.device.copy_in(chunk.handle, start, memoryview(bytes([PATTERN]) * (stop - start)))

    def _broken(self, chunk: Chunk, asked: int) -> str:
        start, stop = self._rear(chunk)
        made = text(chunk.site)
        block = f"a block of {asked} bytes" + (f" (made at {made})" if made else "")
        rear = self._look(chunk.handle, start, stop)
        if rear.size:
            self._fill(chunk)
            return f"{rear.size} bytes from byte {start + int(rear[0])} on, behind {block}"
        window = self.fence.whole.get(id(chunk.handle))
        if window is not None:
            front = self._look(window[1], 0, self.fence.front)
            if front.size:
                self.device.copy_in(window[1], 0, memoryview(bytes([PATTERN]) * self.fence.front))
                return f"{front.size} bytes from byte {int(front[0]) - self.fence.front} on, before {block}"
        return ""

    def _look(self, handle: Any, start: int, stop: int) -> Any:
        """Places in [start, stop) that are not the pattern."""
        seen = np.empty(stop - start, np.uint8)
        self.device.copy_out(handle, start, seen.data)
        return np.flatnonzero(seen != PATTERN)
