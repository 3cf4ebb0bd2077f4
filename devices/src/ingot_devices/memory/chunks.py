"""The raw allocations of one pool, and which of them are free for whom.

Below `Pool`, which counts and decides, and calls everything here with its lock. A `Chunk` is live
while a `Block` owns it; then it waits, if other streams than its home used it, for events on those;
then it lies in the free list of its size and home stream, where that stream may take it at once.

Blocks that die and the pool's fast way put and take chunks at the end of a free list without that lock (see `pop`). So a
list is the truth about what is free, and a chunk is taken out of one before anything is asked about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ContractError

if TYPE_CHECKING:
    from ..device import Device
    from .site import Site


class Chunk:
    """One raw allocation. ``home`` is the free list of its size and home stream."""

    __slots__ = ("events", "handle", "home", "live", "nbytes", "site", "stream", "uses")

    def __init__(self, handle: Any, nbytes: int, home: list[Chunk], stream: Any) -> None:
        self.handle = handle
        self.nbytes = nbytes
        self.home = home
        self.stream = stream  # whose list that is
        self.live = True
        self.site: Site | None = None
        self.uses: set[Any] | None = None  # other streams, as long as they have no event
        self.events: list[Any] = []  # of other streams, once the block is gone


class Foreign(Chunk):
    """Memory that another library owns: given back by dropping its ``owner``, once no stream of ours
    uses it any more. No list of a pool ever has it.
    """

    __slots__ = ("owner",)

    def __init__(self, handle: Any, owner: Any, stream: Any) -> None:
        super().__init__(handle, 0, _Dropped(), stream)
        self.owner = owner
        self.uses = set()  # not None: no finalizer of a block drops what another library made


class _Dropped(list[Chunk]):
    """Where foreign memory goes instead of a free list."""

    def append(self, chunk: Chunk) -> None:
        """Drop the owner."""
        if isinstance(chunk, Foreign):
            chunk.owner = None


class Chunks:
    """Every raw allocation that the device has not got back."""

    def __init__(self, device: Device, allocator: Any) -> None:
        self.device = device
        self.allocator = allocator
        self.all: set[Chunk] = set()
        self.waiting: list[Chunk] = []
        self.made = 0  # raw allocations so far
        self._free: dict[int, dict[Any, list[Chunk]]] = {}  # by size and stream; the lists stay

    def free(self, size: int, stream: Any) -> list[Chunk]:
        """The free list of ``size`` and ``stream``: one list for good."""
        return self._free.setdefault(size, {}).setdefault(stream, [])

    def home(self, stream: Any) -> list[list[Chunk]]:
        """The free lists of ``stream``, one for each size that it has had."""
        return [by_stream[stream] for by_stream in self._free.values() if stream in by_stream]

    def make(self, size: int, stream: Any) -> Chunk:
        """A new one, from the device; it raises what the device raises, and ContractError for a handle that is none."""
        chunk = Chunk(handle_of(self.allocator, size), size, self.free(size, stream), stream)
        self.all.add(chunk)
        self.made += 1
        return chunk

    def reuse(self, size: int, stream: Any, ask: bool) -> Chunk | None:
        """A free one for ``stream``: its own, else (``ask``) one whose stream is done with it."""
        own = self.free(size, stream)
        chunk = pop(own)
        if chunk is not None or not ask:
            return chunk
        for other, free in list(self._free[size].items()):
            chunk = pop(free)
            if chunk is None:
                continue
            try:
                done = self.device.event_done(self.device.record_event(other))
            except BaseException:
                self.give(chunk)
                raise
            if done:
                chunk.home, chunk.stream = own, stream
                return chunk
            self.give(chunk)
        return None

    def give(self, chunk: Chunk) -> None:
        """Take back what a block owned."""
        chunk.live = False
        if isinstance(chunk, Foreign) and self.device.streams:  # its owner keeps no order with our streams
            chunk.uses = {chunk.stream, *(chunk.uses or ())}
        (self.waiting if chunk.uses else chunk.home).append(chunk)

    def poll(self) -> None:
        """Free those that other streams are done with."""
        device = self.device
        for chunk in list(self.waiting):
            while chunk.uses:  # one by one: if the driver raises, the rest is as it was
                chunk.events.append(device.record_event(next(iter(chunk.uses))))
                chunk.uses.pop()
            chunk.events = [event for event in chunk.events if not device.event_done(event)]
            if not chunk.events:
                self.waiting.remove(chunk)
                chunk.uses = None
                chunk.home.append(chunk)

    def forget(self) -> list[Chunk]:
        """Drop all that are free or wait to be, and return them."""
        dropped = list(self.waiting)
        self.waiting.clear()
        for by_stream in list(self._free.values()):
            for free in list(by_stream.values()):
                while (chunk := pop(free)) is not None:
                    chunk.live = False
                    dropped.append(chunk)
        self.all.difference_update(dropped)
        return dropped

    def empty(self) -> None:
        """Give all that are not live back to the device, once no queued work can use them."""
        dropped = self.forget()
        if not dropped:
            return
        try:
            self.device.synchronize()
        except BaseException:
            self.all.update(dropped)
            for chunk in dropped:
                (self.waiting if chunk.uses or chunk.events else chunk.home).append(chunk)
            raise
        for chunk in dropped:
            self.allocator.release(chunk.handle)


def handle_of(allocator: Any, nbytes: int) -> Any:
    """What the allocator gives for ``nbytes``; ContractError where that is None."""
    handle = allocator.allocate(nbytes)
    if handle is None:
        raise ContractError(f"{type(allocator).__name__}.allocate({nbytes}) returned None; it must return a handle, or raise "
                            "MemoryError where there is no memory")  # fmt: skip
    return handle


def pop(free: list[Chunk]) -> Chunk | None:
    """The last of a free list, live from now on; None if there is none.

    No call stands between the three statements, so neither another thread nor a finalizer that the collector runs comes
    between them: the pool's fast way does the same without the lock.
    """
    if not free:
        return None
    chunk = free[-1]
    chunk.live = True
    del free[-1]
    return chunk
