"""Copies between host and device through page-locked memory.

The driver copies asynchronously only from and to page-locked memory. A few buffers of it take turns: while one is on
its way, the next is filled (or emptied). So a copy in returns as soon as its last piece lies in a buffer, and the device
goes on in stream order.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pycuda.driver as drv

SIZE, COUNT = 4 << 20, 4
"""Bytes of a buffer, and how many: two to overlap, and some to let small copies run ahead."""


class _Buffer:
    """One buffer and the event after its last use."""

    def __init__(self, size: int) -> None:
        self.memory: np.ndarray[Any, Any] = drv.pagelocked_empty(size, np.uint8)
        self.event: Any = None

    def ready(self) -> np.ndarray[Any, Any]:
        """The memory, once nothing uses it."""
        if self.event is not None:
            self.event.synchronize()
            self.event = None
        return self.memory

    def used(self, stream: Any) -> None:
        """``stream`` uses it from now on."""
        self.event = drv.Event()
        self.event.record(stream)


class Staging:
    """The buffers of one device, made when they are first needed. One copy at a time; its context is current."""

    def __init__(self, size: int = SIZE, count: int = COUNT) -> None:
        self.size, self.count = size, count
        self.lock = threading.Lock()
        self.buffers: list[_Buffer] = []
        self.turn = 0

    def copy_in(self, address: int, data: memoryview, stream: Any) -> None:
        """Host bytes to ``address``, in order of ``stream``; ``data`` may be reused at once."""
        source = np.frombuffer(data, np.uint8) if data.nbytes else np.empty(0, np.uint8)
        with self.lock:
            for start in range(0, source.size, self.size):
                piece = source[start : start + self.size]
                buffer = self._next()
                memory = buffer.ready()[: piece.size]
                memory[:] = piece
                drv.memcpy_htod_async(address + start, memory, stream)
                buffer.used(stream)

    def copy_out(self, address: int, data: memoryview, stream: Any) -> None:
        """Bytes at ``address`` into ``data``, after what is queued on ``stream``; returns when they are there."""
        target = np.frombuffer(data, np.uint8) if data.nbytes else np.empty(0, np.uint8)
        coming: list[tuple[_Buffer, np.ndarray[Any, Any]]] = []
        with self.lock:
            for start in range(0, target.size, self.size):
                piece = target[start : start + self.size]
                if len(coming) == self.count:
                    _arrived(*coming.pop(0))
                buffer = self._next()
                drv.memcpy_dtoh_async(buffer.ready()[: piece.size], address + start, stream)
                buffer.used(stream)
                coming.append((buffer, piece))
            for one in coming:
                _arrived(*one)

    def _next(self) -> _Buffer:
        self.turn = (self.turn + 1) % self.count
        if len(self.buffers) <= self.turn:
            self.buffers.append(_Buffer(self.size))
            self.turn = len(self.buffers) - 1
        return self.buffers[self.turn]


def _arrived(buffer: _Buffer, piece: np.ndarray[Any, Any]) -> None:
    piece[:] = buffer.ready()[: piece.size]
