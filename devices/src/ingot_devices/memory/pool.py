"""The pool of one open device: blocks of size classes, kept and reused, every byte counted.

Between a `Plan`, which takes outputs and workspaces here, and the device's raw allocator. The fast way is a block of
the same class that was freed on the same stream; next comes the device; and when that has none, the ladder.

**Streams.** Memory freed on its home stream may be used there at once, because the work of a stream runs in order.
Memory that other streams used (``note_use``, called at launch), or that another stream wants, is handed on when events
recorded on those streams are done. Raw memory goes back to the device only after a synchronisation.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DeviceLost
from .block import Block, Chunk, HostBlock, host_block_type
from .oom import out_of_memory, too_large
from .site import call_site
from .sizes import round_size

if TYPE_CHECKING:
    from ..device import Device
    from ..layout import Layout

NOTED = 1 << 16
"""Host-visible devices note the line of blocks from this size on, and take smaller ones straight from NumPy."""

_ATOMIC: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()


class PoolStats(NamedTuple):
    """Bytes and counts of a pool. ``reserved`` is what the device gave and did not get back, cache included."""

    used: int
    reserved: int
    peak: int
    cached: int
    limit: int | None
    allocations: int  # raw ones made so far
    blocks: int  # live ones, those that come straight from NumPy left out


class LiveAllocation(NamedTuple):
    """One live block: its rounded size and the line that made it, where it was noted."""

    nbytes: int
    site: str | None


class Pool:
    """Memory of one incarnation of a device. Safe from many threads.

    ``allocator`` (an object with ``allocate(nbytes)`` and ``release(handle)``) replaces the device's own. While
    ``capturing`` is True (a graph is being captured) no event is asked and the ladder is not climbed.

    ``used`` and ``mark`` are read and written by the eager path itself: see `adopt`.
    """

    def __init__(self, device: Device, allocator: Any = None) -> None:
        self.device = device
        self.used = 0
        self.mark = 0  # min(peak, limit): above it the slow way, `over`
        self.limit: int | None = None
        self.lock = threading.RLock()
        self.released: deque[Chunk] = deque()
        self.capturing = False
        self.host = bool(device.numpy_handles) and allocator is None
        self.block_type: type[HostBlock] = host_block_type(self, _ATOMIC)
        self._allocator = device if allocator is None else allocator
        self._peak = 0
        self._allocations = 0
        self._forked = False
        self._free: dict[int, dict[Any, list[Chunk]]] = {}  # by class, by stream
        self._live: set[Chunk] = set()
        self._waiting: list[Chunk] = []  # freed, while other streams may still use them
        self._pooled = 0  # bytes of live chunks
        self._cached = 0  # bytes of free and waiting chunks
        _POOLS.add(self)

    # ---- allocation --------------------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Block:
        """A block of at least ``nbytes`` on the device's current stream; its content is undefined.

        A request of 0 gives a valid block of the smallest class. OutOfMemoryError after the whole ladder;
        DeviceLost when the device is gone.
        """
        if self.host and nbytes < NOTED:
            return self.adopt(nbytes, np.empty(nbytes, np.uint8))
        return self._take(round_size(nbytes, self.device.limits))

    def fresh(self, layout: Layout) -> tuple[Block, Any]:
        """A block for ``layout`` (dense) and the device's native view of it; the content is undefined."""
        return self.maker(layout)()

    def maker(self, layout: Layout) -> Callable[[], tuple[Block, Any]]:
        """A function like ``fresh`` for one ``layout``, with everything decided beforehand: for the eager path."""
        device = self.device
        kept = device.limits.dtype_class(layout.dtype)
        nbytes = layout.size * kept.storage.itemsize
        if not (self.host and nbytes < NOTED and kept.storage is layout.dtype):
            take, view, size = self._take, device.view, round_size(nbytes, device.limits)

            def make() -> tuple[Block, Any]:
                block = take(size)
                return block, view(block, layout, 0)

            return make

        if not _ATOMIC:
            return lambda: self._adopt_new(layout, nbytes)
        shape, dtype, empty, kind = layout.shape, layout.dtype.numpy, np.empty, self.block_type
        new = kind.__new__

        def make_small() -> tuple[Block, Any]:
            native = empty(shape, dtype)
            block = new(kind)
            block.handle = native
            block.version = 0
            block.nbytes = nbytes
            self.used = used = self.used + nbytes
            if used > self.mark:
                self.over(nbytes)
            return block, native

        return make_small

    def _adopt_new(self, layout: Layout, nbytes: int) -> tuple[Block, Any]:
        native = np.empty(layout.shape, layout.dtype.numpy)
        return self.adopt(nbytes, native), native

    def adopt(self, nbytes: int, handle: Any) -> Block:
        """A block that owns ``handle``, a row-major NumPy array with memory of its own, counted as ``nbytes``.

        For what a ufunc allocated itself. The eager path may write it out; it is exactly this, in this order, with
        no call between the last two statements (that makes them atomic under the interpreter lock)::

            block = new(kind)               # kind = pool.block_type, new = kind.__new__
            block.handle = handle
            block.version = 0
            block.nbytes = nbytes
            pool.used = used = pool.used + nbytes
            if used > pool.mark:
                pool.over(nbytes)
        """
        kind = self.block_type
        block = kind.__new__(kind)
        block.handle = handle
        block.version = 0
        if not _ATOMIC:
            with self.lock:
                block.nbytes = nbytes
                self.used += nbytes
            used = self.used
        else:
            block.nbytes = nbytes
            self.used = used = self.used + nbytes
        if used > self.mark:
            self.over(nbytes)
        return block

    def over(self, nbytes: int) -> None:
        """``used`` passed ``mark``, with a request of ``nbytes`` counted already: note the peak, hold the limit.

        Raises OutOfMemoryError after the ladder; the block that was counted subtracts itself when it is dropped.
        """
        for relief in self._ladder():
            relief()
            with self.lock:
                self._drain()
                if self.limit is None or self.used <= self.limit:
                    self._note_peak()
                    return
        raise out_of_memory(self, nbytes, not self.capturing)

    def _take(self, size: int) -> Block:
        """A block of exactly the class ``size``."""
        device = self.device
        stream = device.current_stream() if device.streams else None
        with self.lock:
            if self.released:
                self._drain()
            free = self._free.get(size)
            if free and (chunks := free.get(stream)) and self.used + size <= self.mark and not device.lost:
                return self._own(chunks.pop(), stream, True)
        return self._climb(size, stream)

    def _climb(self, size: int, stream: Any) -> Block:
        """Allocate with every means: reuse, the device, and then the ladder."""
        if self._forked:
            raise DeviceLost(
                f"{self.device.name} was opened before this process was forked, and a driver does not survive a fork. "
                "Start worker processes by spawn or forkserver, or open the device in the child"
            )
        self.device.require()
        if size > self.device.limits.max_buffer:
            raise too_large(self, size)
        cause: MemoryError | None = None
        for relief in self._ladder():
            relief()
            with self.lock:
                self._drain()
                if self.limit is not None and self.used + size > self.limit:
                    continue
                chunk = self._reuse(size, stream)
                if chunk is not None:
                    return self._own(chunk, stream, True)
                try:
                    handle = self._allocator.allocate(size)
                except MemoryError as error:
                    cause = error
                    continue
                self._allocations += 1
                return self._own(Chunk(handle, size), stream, False)
        raise out_of_memory(self, size, not self.capturing) from cause

    def _ladder(self) -> tuple[Callable[[], object], ...]:
        """The steps before giving up, each followed by a try. The collector runs outside the lock."""
        if self.capturing:
            return (_nothing,)
        return (_nothing, self._await_streams, self.empty_cache, gc.collect, self.empty_cache)

    def _own(self, chunk: Chunk, stream: Any, cached: bool) -> Block:
        """The Block that owns ``chunk`` from now on. Called with the lock."""
        size = chunk.nbytes
        site = chunk.site = call_site() if size >= NOTED or not self.host else None
        chunk.stream = stream
        self._live.add(chunk)
        self._pooled += size
        if cached:
            self._cached -= size
        self.used = used = self.used + size
        if used > self.mark:
            self._note_peak()
        block = Block.__new__(Block)
        block.handle = chunk.handle
        block.nbytes = size
        block.pool = self
        block.stream = stream
        block.uses = None
        block.version = 0
        block.site = site
        block._chunk = chunk
        return block

    # ---- release -----------------------------------------------------------------------------------------------
    def note_use(self, block: Block, stream: Any) -> None:
        """``stream`` uses ``block`` from now on: its memory waits for the work queued there. Called at launch."""
        if stream is not block.stream:
            with self.lock:
                if block.uses is None:
                    block.uses = {stream}
                else:
                    block.uses.add(stream)

    def _drain(self) -> None:
        """Take back what finalizers have queued. Called with the lock."""
        released = self.released
        while released:
            chunk = released.popleft()
            self._live.discard(chunk)
            self._pooled -= chunk.nbytes
            self.used -= chunk.nbytes
            if self.device.lost:
                continue
            self._cached += chunk.nbytes
            chunk.site = None
            if chunk.uses:
                self._waiting.append(chunk)
            else:
                self._keep(chunk)
        if self.device.lost:
            self._forget()
        elif self._waiting and not self.capturing:
            self._poll()

    def _poll(self) -> None:
        """Move memory whose other streams are done to the free lists. Called with the lock."""
        device = self.device
        waiting, self._waiting = self._waiting, []
        while waiting:
            chunk = waiting.pop()
            self._waiting.append(chunk)  # where it stays if the driver raises
            while chunk.uses:
                chunk.events.append(device.record_event(next(iter(chunk.uses))))
                chunk.uses.pop()
            chunk.events = [e for e in chunk.events if not device.event_done(e)]
            if not chunk.events:
                self._waiting.remove(chunk)
                self._keep(chunk)

    def _keep(self, chunk: Chunk) -> None:
        """Put a chunk that no queued work uses, its home stream's aside, into its free list."""
        chunk.uses = None
        self._free.setdefault(chunk.nbytes, {}).setdefault(chunk.stream, []).append(chunk)

    def _reuse(self, size: int, stream: Any) -> Chunk | None:
        """A free chunk of the class: the stream's own, else one whose stream is done with it. Called with the lock."""
        free = self._free.get(size)
        if not free:
            return None
        if own := free.get(stream):
            return own.pop()
        if not self.capturing:
            for other, chunks in list(free.items()):
                if chunks and self.device.event_done(self.device.record_event(other)) and chunks:
                    return chunks.pop()
        return None

    def _await_streams(self) -> None:
        """Wait until memory that other streams use or used is free for all."""
        if self._cached and self.device.streams:
            self.device.synchronize()

    def empty_cache(self) -> None:
        """Give all free memory back to the device, once the work that may still use it is done."""
        with self.lock:
            self._drain()
            if not self._cached or self.device.lost:
                return
            self.device.synchronize()
            chunks = [c for by_stream in self._free.values() for free in by_stream.values() for c in free]
            chunks += self._waiting
            self._forget()
            for chunk in chunks:
                self._allocator.release(chunk.handle)

    def _forget(self) -> None:
        """Drop the cache: its memory was given back, or went with the device. Called with the lock."""
        self._free.clear()
        self._waiting.clear()
        self._cached = 0

    # ---- what is known -----------------------------------------------------------------------------------------
    def stats(self) -> PoolStats:
        """Exact figures, after taking back what was freed."""
        with self.lock:
            self._drain()
            used = self.used
            reserved = used + self._cached
            return PoolStats(
                used, reserved, max(self._peak, used), self._cached, self.limit, self._allocations, len(self._live)
            )

    def live(self, n: int = 10) -> list[LiveAllocation]:
        """The ``n`` largest live allocations, largest first; small ones straight from NumPy are not listed."""
        with self.lock:
            self._drain()
            chunks = sorted(self._live, key=lambda chunk: -chunk.nbytes)[:n]
            return [LiveAllocation(chunk.nbytes, chunk.site) for chunk in chunks]

    def set_limit(self, limit: int | None) -> None:
        """Refuse allocations that would bring used bytes above ``limit``; None takes the limit away."""
        if limit is not None and limit < 0:
            raise ValueError(f"a memory limit is a number of bytes from 0 on, or None; {limit} was given")
        with self.lock:
            self._drain()
            self.limit = limit
            self._note_peak()

    def reset_peak(self) -> None:
        """Count the peak anew from what is used now."""
        with self.lock:
            self._drain()
            self._peak = 0
            self._note_peak()

    def _note_peak(self) -> None:
        """Bring ``peak`` and ``mark`` up to date. Called with the lock."""
        self._peak = peak = max(self._peak, self.used)
        self.mark = peak if self.limit is None else min(peak, self.limit)

    def close(self) -> None:
        """Give everything free back, before the device is closed."""
        self.empty_cache()

    def after_fork(self) -> None:
        """In a child process: NumPy's memory was copied and goes on; a driver's is the parent's, and is let go."""
        self.lock = threading.RLock()
        if not self.device.numpy_handles:
            self._forked = self.device.lost = True


def _nothing() -> None:
    """The first step of the ladder: just try."""


def _after_fork() -> None:
    for pool in list(_POOLS):
        pool.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
