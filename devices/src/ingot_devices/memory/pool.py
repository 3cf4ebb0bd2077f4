"""The pool of one open device: blocks of size classes, kept and reused, every byte counted.

Between a `Plan`, which takes outputs and workspaces here, and the device's raw allocator. The fast
way is memory of the same class that was freed on the same stream (`Pool._taker`, without a lock);
next comes the device; and when that has none, the ladder: wait for streams, give the cache back,
collect garbage, fail by name.

Streams: memory freed on its home stream may be used there at once, because a stream's work runs in
order. Memory that other streams used (`Pool.note_use`, at launch) or that another stream wants is
handed on when events recorded on those streams are done. Raw memory goes back to the device after
a synchronisation only.
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

from .block import Block, HostBlock, host_type, pooled_type
from .chunks import Chunk, Chunks, Foreign, handle_of, pop
from .oom import out_of_memory, too_large
from .site import call_site, text
from .sizes import round_size, whole_size

if TYPE_CHECKING:
    from ..device import Device
    from ..layout import Layout

NOTED = 1 << 16
"""The line that made a block is noted from here on; where NumPy arrays are handles, smaller ones come straight from NumPy."""

_MAX_TAKERS = 4096

ATOMIC: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
"""True with the interpreter lock: ``pool.used`` may be changed by one statement without a lock."""

_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()


class PoolStats(NamedTuple):
    """Bytes and counts of a pool. ``reserved`` is ``used`` and ``cached`` together."""

    used: int
    reserved: int
    peak: int  # of used
    cached: int  # free for reuse, or about to be
    limit: int | None
    allocations: int  # raw ones made so far
    blocks: int  # live ones, those straight from NumPy left out


class LiveAllocation(NamedTuple):
    """One live block: its rounded size and the line that made it."""

    nbytes: int
    site: str | None


class Pool:
    """Memory of one incarnation of a device. Safe from many threads.

    ``allocator`` (an object with ``allocate(nbytes)`` and ``release(handle)``) replaces the
    device's own. While ``capturing`` is True, for a graph, no event is asked, no ladder climbed.
    ``used``, ``mark`` and ``block_type`` belong to the eager path as well: see `adopt`.
    """

    quick = ATOMIC  # False where every chunk that is handed out has to pass `_own`: see `pass_own`
    noted_from = NOTED

    def __init__(self, device: Device, allocator: Any = None) -> None:
        self.device = device
        self.used = 0
        self.mark = 0  # min(peak, limit): above it begins the slow way
        self.limit: int | None = None
        self.capturing = False
        self.lock = threading.RLock()
        self.released: deque[Chunk] = deque()
        self.host = device.numpy_handles and allocator is None
        self.block_type: type[HostBlock] = host_type(self, ATOMIC)
        self._pooled_type = pooled_type(self, ATOMIC)
        self._chunks = Chunks(device, device if allocator is None else allocator)
        self._takers: dict[int, Callable[[], Block]] = {}
        self._makers: dict[Layout, Callable[[], tuple[Block, Any]]] = {}
        self._peak = 0
        _POOLS.add(self)

    # ---- allocation --------------------------------------------------------------------------
    def allocate(self, nbytes: int, exact: bool = False) -> Block:
        """A block of at least ``nbytes`` on the current stream; its content is undefined.

        ``exact``: not rounded to a size class, for memory that is kept for long. A request of 0 gives
        a valid block of the smallest class. OutOfMemoryError after the whole ladder; DeviceLost when
        the device is gone.
        """
        take = None if exact else self._takers.get(nbytes)
        if take is not None:
            return take()
        if self.host and nbytes < NOTED:
            return self.adopt(nbytes, np.empty(nbytes, np.uint8))
        if len(self._takers) >= _MAX_TAKERS:
            self._takers.clear()
        if exact:
            return self._take(whole_size(nbytes, self.device.limits))
        made: Callable[[], Block] = self._taker(round_size(nbytes, self.device.limits))
        self._takers[nbytes] = made
        return made()

    def fresh(self, layout: Layout) -> tuple[Block, Any]:
        """A block for the elements of ``layout``, and the device's native view of it."""
        make = self._makers.get(layout)
        if make is None:
            if len(self._makers) >= _MAX_TAKERS:
                self._makers.clear()
            make = self._makers[layout] = self.maker(layout)
        return make()

    def forget(self, block: Block) -> bool:
        """Count ``block`` no longer, because it is kept for good; False, and it stays, where it is not straight from NumPy."""
        if type(block) is not self.block_type:
            return False
        with self.lock:
            self.used -= block.nbytes
            block.nbytes = 0
        return True

    def maker(self, layout: Layout, exact: bool = False) -> Callable[[], tuple[Block, Any]]:
        """A function that does `fresh` for one layout, with all decided beforehand; ``exact`` as in `allocate`."""
        device = self.device
        nbytes = layout.size * device.limits.storage_itemsize(layout.dtype)
        if self.makes_arrays(layout):
            return self._host_maker(layout, nbytes)
        size = whole_size(nbytes, device.limits) if exact else round_size(nbytes, device.limits)
        if type(device).view is _plain_view():
            return self._taker(size, viewed=True)
        take, view = self._taker(size), device.view

        def make() -> tuple[Block, Any]:
            block = take()
            return block, view(block, layout, 0)

        return make

    def makes_arrays(self, layout: Layout) -> bool:
        """True where `maker`'s blocks are of ``block_type``: arrays of the layout's shape, straight from NumPy."""
        storage = self.device.limits.dtype_class(layout.dtype).storage
        return self.host and layout.size * storage.itemsize < NOTED and storage is layout.dtype and layout.is_dense

    def _host_maker(self, layout: Layout, nbytes: int) -> Callable[[], tuple[Block, Any]]:
        pool, shape, dtype, empty = self, layout.shape, layout.dtype.numpy, np.empty
        kind = self.block_type
        new = kind.__new__

        def make() -> tuple[Block, Any]:  # `adopt`, written out
            native = empty(shape, dtype)
            block = new(kind)
            block.handle = native
            block.version = 0
            block.nbytes = nbytes
            pool.used = used = pool.used + nbytes
            if used > pool.mark:
                pool.over(nbytes)
            return block, native

        def make_locked() -> tuple[Block, Any]:
            native = empty(shape, dtype)
            return pool.adopt(nbytes, native), native

        return make if ATOMIC else make_locked

    def adopt(self, nbytes: int, handle: Any) -> Block:
        """A block that owns ``handle``, a row-major NumPy array with memory of its own.

        For what a ufunc allocated itself. Where `ATOMIC`, the eager path may write it out: exactly
        this, with nothing between the two statements before the last (see `block.host_type`)::

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
        if ATOMIC:
            block.nbytes = nbytes
            self.used = used = self.used + nbytes
        else:
            with self.lock:
                block.nbytes = nbytes
                self.used = used = self.used + nbytes
        if used > self.mark:
            self.over(nbytes)
        return block

    def foreign(self, handle: Any, owner: Any) -> Block:
        """A block over memory that ``owner``, an object of another library, keeps alive.

        It is not counted. The owner is dropped when no stream of ours uses the memory any more.
        """
        stream = self.device.current_stream() if self.device.streams else None
        block = self._pooled_type.__new__(self._pooled_type)
        block.handle, block.nbytes, block.version = handle, 0, 0
        block._chunk = Foreign(handle, owner, stream)
        return block

    def over(self, nbytes: int) -> None:
        """Note the peak and hold the limit, after ``nbytes`` counted in ``used`` passed ``mark``.

        OutOfMemoryError after the ladder; the block so counted subtracts itself when dropped.
        """
        for relieve in self._ladder():
            relieve()
            with self.lock:
                self._drain()
                if self.limit is None or self.used <= self.limit:
                    self._note_peak()
                    return
        raise out_of_memory(self, nbytes, counted=nbytes)

    def _taker(self, size: int, viewed: bool = False) -> Callable[[], Any]:
        """A function that makes blocks of the class ``size``: the hot path of a device with memory of its own.

        It takes no lock: see `chunks.pop`. Where there is nothing to take, `_take` does it. With ``viewed`` it returns a
        block and its view, handle and offset.
        """

        def slow() -> Any:
            block = self._take(size)
            return (block, (block.handle, 0)) if viewed else block

        if not self.quick:
            return slow
        pool, device, kind = self, self.device, self._pooled_type
        new, released, waiting = kind.__new__, self.released, self._chunks.waiting
        streams, current, noted = device.streams, device.current_stream, size >= self.noted_from
        free_of = self._chunks.free
        default = free_of(size, None)

        def take() -> Any:
            free = default
            if streams:
                stream = current()
                if stream is not None:
                    free = free_of(size, stream)
            if released or waiting or device.lost:
                return slow()
            block = new(kind)
            if not free:
                return slow()
            chunk = free[-1]  # `pop`, written out: no call from here until the block is whole
            chunk.live = True
            del free[-1]
            block._chunk = chunk
            block.handle = handle = chunk.handle
            block.nbytes = size
            block.version = 0
            pool.used = used = pool.used + size
            if used > pool.mark:
                pool.over(size)
            if noted:
                chunk.site = call_site(2)
            return (block, (handle, 0)) if viewed else block

        return take

    def pass_own(self, all_of_them: bool) -> None:
        """Hand every chunk out through `_own` from now on, which somebody replaced to watch; or no longer.

        Plans that were made before have to be dropped (`context.changed`).
        """
        self.quick = ATOMIC and not all_of_them
        self._takers.clear()
        self._makers.clear()

    def _take(self, size: int) -> Block:
        """A block of the class ``size``, by the lock."""
        stream = self.device.current_stream() if self.device.streams else None
        with self.lock:
            self._drain()
            if self.used + size <= self.mark and not self.device.lost:
                chunk = pop(self._chunks.free(size, stream))
                if chunk is not None:
                    return self._own(chunk)
        return self._climb(size, stream)

    def _climb(self, size: int, stream: Any) -> Block:
        """A block by every means: reuse, the device, and then the ladder."""
        self.device.require()
        if size > self.device.limits.max_buffer:
            raise too_large(self, size)
        cause: MemoryError | None = None
        for relieve in self._ladder():
            relieve()
            with self.lock:
                self._drain()
                if self.limit is not None and self.used + size > self.limit:
                    continue
                try:
                    chunk = self._chunks.reuse(size, stream, not self.capturing)
                    chunk = chunk or self._chunks.make(size, stream)
                except MemoryError as error:
                    cause = error
                    continue
                block = self._own(chunk)
                self._note_peak()
                return block
        raise out_of_memory(self, size) from cause

    def raw(self, nbytes: int) -> Any:
        """A handle that no block owns and no counter has, for the contract's own use.

        OutOfMemoryError after the whole ladder.
        """
        cause: MemoryError | None = None
        for relieve in self._ladder():
            relieve()
            try:
                return handle_of(self.device, nbytes)
            except MemoryError as error:
                cause = error
        raise out_of_memory(self, nbytes) from cause

    def _ladder(self) -> tuple[Callable[[], object], ...]:
        """The steps before giving up, each followed by a try. The collector needs no lock."""
        if self.capturing:
            return (_just_try,)
        return (_just_try, self._await_streams, self.empty_cache, gc.collect, self.empty_cache)

    def _own(self, chunk: Chunk) -> Block:
        """The Block that owns ``chunk`` from now on. Called with the lock."""
        kind = self._pooled_type
        try:
            block = kind.__new__(kind)
            if chunk.nbytes >= self.noted_from:
                chunk.site = call_site(3)  # we, `_take` or `_climb`, and their caller
        except BaseException:  # an interrupt: nobody owns the chunk
            self._chunks.give(chunk)
            raise
        block.handle = chunk.handle
        block.nbytes = chunk.nbytes
        block.version = 0
        block._chunk = chunk
        self.used += chunk.nbytes
        return block

    # ---- release -----------------------------------------------------------------------------
    def note_use(self, block: Block, stream: Any) -> None:
        """``stream`` uses ``block`` from now on: its memory waits for the work queued there."""
        if stream is not block.stream:
            chunk = block._chunk
            with self.lock:
                if chunk.uses is None:
                    chunk.uses = {stream}
                else:
                    chunk.uses.add(stream)

    def _drain(self) -> None:
        """Take back what finalizers have queued. Called with the lock."""
        released = self.released
        while released:
            chunk = released.popleft()
            self.used -= chunk.nbytes
            self._chunks.give(chunk)
        if self.device.lost:
            self._chunks.forget()
        elif self._chunks.waiting and not self.capturing:
            self._chunks.poll()

    def _await_streams(self) -> None:
        """Wait until no stream holds back memory that is free otherwise."""
        if self.device.streams:
            self.device.synchronize()

    def empty_cache(self) -> None:
        """Give all free memory back to the device, once the work that may still use it is done."""
        from ..status import release

        with self.lock:
            self._drain()
            self._chunks.empty()
        release(self.device)

    def idle(self, stream: Any) -> list[Block]:
        """Blocks of all that is free with ``stream`` as its home: whoever holds them keeps it from others.

        For the workspaces of a graph, which its launches took and gave back while they were captured.
        """
        with self.lock:
            self._drain()
            found: list[Block] = []
            for free in self._chunks.home(stream):
                while (chunk := pop(free)) is not None:
                    found.append(self._own(chunk))
            return found

    # ---- what is known -----------------------------------------------------------------------
    def stats(self) -> PoolStats:
        """Exact figures, after taking back what was freed."""
        with self.lock:
            self._drain()
            chunks = self._chunks.all
            cached = sum(chunk.nbytes for chunk in chunks if not chunk.live)
            live = sum(chunk.live for chunk in chunks)
            used, peak, made = self.used, max(self._peak, self.used), self._chunks.made
            return PoolStats(used, used + cached, peak, cached, self.limit, made, live)

    def live(self, n: int = 10) -> list[LiveAllocation]:
        """The ``n`` largest live blocks, largest first; those straight from NumPy are left out."""
        with self.lock:
            self._drain()
            chunks = sorted((c for c in self._chunks.all if c.live), key=lambda c: -c.nbytes)[:n]
            return [LiveAllocation(chunk.nbytes, text(chunk.site)) for chunk in chunks]

    def set_limit(self, limit: int | None) -> None:
        """Refuse what would bring used bytes above ``limit``; None takes the limit away."""
        if limit is not None and limit < 0:
            raise ValueError(f"a memory limit is a number of bytes, or None; {limit} was given")
        with self.lock:
            self._drain()
            self.limit = limit
            self._note_peak()

    def reset_peak(self) -> None:
        """Count the peak anew, from what is used now."""
        with self.lock:
            self._drain()
            self._peak = 0
            self._note_peak()

    def _note_peak(self) -> None:
        """Bring peak and mark up to date. Called with the lock."""
        self._peak = peak = max(self._peak, self.used)
        self.mark = peak if self.limit is None else min(peak, self.limit)

    def close(self) -> None:
        """Give everything free back, before the device is closed."""
        self.empty_cache()

    def after_fork(self) -> None:
        """In a child process: the lock may be held by a thread that is not there any more.

        A device that does not survive a fork is marked as lost (`discovery`): its releases are
        dropped with the rest.
        """
        self.lock = threading.RLock()


def _plain_view() -> Any:
    """The contract's own `Device.view`: handle and offset."""
    from ..device import Device

    return Device.view


def _just_try() -> None:
    """The first step of the ladder."""


def _after_fork() -> None:
    for pool in list(_POOLS):
        pool.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
