"""The raw allocations of one pool, and which of them are free for whom.

Below `Pool`, which counts and decides, and calls everything here with its lock. A `Chunk` is live
while a `Block` owns it; then it waits, if other streams than its home used it, for events on those;
then it lies in the free list of its size and home stream, where that stream may take it at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..device import Device
    from .site import Site


class Chunk:
    """One raw allocation. ``home`` is the free list of its size and home stream."""

    __slots__ = ("events", "handle", "home", "live", "nbytes", "site", "uses")

    def __init__(self, handle: Any, nbytes: int, home: list[Chunk]) -> None:
        self.handle = handle
        self.nbytes = nbytes
        self.home = home
        self.live = True
        self.site: Site | None = None
        self.uses: set[Any] | None = None  # other streams, as long as they have no event
        self.events: list[Any] = []  # of other streams, once the block is gone


class Foreign(Chunk):
    """Memory that another library owns: given back by dropping its ``owner``, once no stream of ours
    uses it any more. No list of a pool ever has it.
    """

    __slots__ = ("owner", "stream")

    def __init__(self, handle: Any, owner: Any, stream: Any) -> None:
        super().__init__(handle, 0, _Dropped())
        self.owner = owner
        self.stream = stream


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
        """A new one, from the device; it raises what the device raises."""
        home = self.free(size, stream)
        chunk = Chunk(self.allocator.allocate(size), size, home)
        self.all.add(chunk)
        self.made += 1
        return chunk

    def reuse(self, size: int, stream: Any, ask: bool) -> Chunk | None:
        """A free one for ``stream``: its own, else (``ask``) one whose stream is done with it."""
        own = self.free(size, stream)
        if own:
            return pop(own)
        if ask:
            for other, free in list(self._free[size].items()):
                if free and self.device.event_done(self.device.record_event(other)) and free:
                    chunk = pop(free)
                    chunk.home = own
                    return chunk
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
                chunk.home.append(chunk)

    def forget(self) -> list[Chunk]:
        """Drop all that are not live, and return them."""
        dropped = [chunk for chunk in self.all if not chunk.live]
        self.all.difference_update(dropped)
        self.waiting.clear()
        for by_stream in self._free.values():
            for free in by_stream.values():
                free.clear()
        return dropped

    def empty(self) -> None:
        """Give all that are not live back to the device, once no queued work can use them."""
        if any(not chunk.live for chunk in self.all):
            self.device.synchronize()
            for chunk in self.forget():
                self.allocator.release(chunk.handle)


def pop(free: list[Chunk]) -> Chunk:
    """The last of a free list, live at once: a finalizer that the collector runs inside the next
    call may empty the cache, and must not find it there.
    """
    chunk = free[-1]
    chunk.live = True
    del free[-1]
    return chunk
