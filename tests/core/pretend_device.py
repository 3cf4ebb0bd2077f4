"""A pretend device for tests of memory and transfers: opaque handles, a budget, streams by hand.

It is strict where real drivers are silent: a stale or foreign handle, a copy that breaks the copy
granularity and a release that queued work may still need all raise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ingot_devices.device import Device
from ingot_devices.limits import Limits
from ingot_devices.memory import Pool


class Event:
    """Done when its stream has been run up to ``at``."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.at = stream.queued


class Stream:
    """Counts the pieces of work queued and done."""

    def __init__(self) -> None:
        self.queued = 0
        self.done = 0

    def work(self) -> None:
        self.queued += 1

    def run(self) -> None:
        self.done = self.queued


class PretendDevice(Device):
    """Memory of at most ``budget`` bytes in dictionaries of byte arrays; ``calls`` is a log."""

    def __init__(self, budget: int | None = None, limits: Limits | None = None) -> None:
        self.name, self.kind = "pretend:0", "pretend"
        self.limits = limits or Limits()
        self.budget = budget
        self.memory: dict[int, np.ndarray[Any, Any]] = {}
        self.calls: list[str] = []
        self.next_handle = 1000
        self.current: Stream | None = None
        self.default = Stream()
        self.made: list[Stream] = []
        self.pool = Pool(self)

    # ---- mandatory ---------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> int:
        self.calls.append("allocate")
        if nbytes % self.limits.allocation_granularity or nbytes > self.limits.max_buffer:
            raise ValueError(f"{nbytes} bytes are not allowed here")
        if self.budget is not None and self.held() + nbytes > self.budget:
            raise MemoryError(f"the board has {self.budget} bytes")
        self.next_handle += 1
        self.memory[self.next_handle] = np.full(nbytes, 0xA5, np.uint8)
        return self.next_handle

    def release(self, handle: int) -> None:
        self.calls.append("release")
        if any(s.done < s.queued for s in [self.default, *self.made]):
            raise RuntimeError("memory was released while work was queued")
        del self.memory[handle]

    def copy_in(self, handle: int, offset: int, data: memoryview) -> None:
        self._aligned(offset, data.nbytes)
        target = self.memory[handle][offset : offset + data.nbytes]
        target[:] = np.frombuffer(data, np.uint8)

    def copy_out(self, handle: int, offset: int, data: memoryview) -> None:
        self._aligned(offset, data.nbytes)
        np.frombuffer(data, np.uint8)[:] = self.memory[handle][offset : offset + data.nbytes]

    def copy(self, dst: int, dst_offset: int, src: int, src_offset: int, nbytes: int) -> None:
        self.calls.append("copy")
        self._aligned(dst_offset, nbytes)
        self._aligned(src_offset, nbytes)
        if dst == src and abs(dst_offset - src_offset) < nbytes:
            raise ValueError("the ranges of a copy overlap")
        source = self.memory[src][src_offset : src_offset + nbytes]
        self.memory[dst][dst_offset : dst_offset + nbytes] = source

    def synchronize(self) -> None:
        self.calls.append("synchronize")
        for stream in [self.default, *self.made]:
            stream.run()

    def held(self) -> int:
        return sum(m.nbytes for m in self.memory.values())

    def _aligned(self, offset: int, nbytes: int) -> None:
        unit = self.limits.copy_granularity
        if offset % unit or nbytes % unit or not nbytes:
            raise ValueError(f"a copy of {nbytes} bytes at {offset} breaks the unit of {unit}")


class StreamedDevice(PretendDevice):
    """The same with streams; work is done when the test says so."""

    streams = True

    def create_stream(self) -> Stream:
        self.made.append(Stream())
        return self.made[-1]

    def set_stream(self, stream: Stream | None) -> Stream | None:
        before, self.current = self.current, stream
        return before

    def current_stream(self) -> Stream | None:
        return self.current

    def record_event(self, stream: Any = None) -> Event:
        self.calls.append("record_event")
        return Event(stream or self.default)

    def event_done(self, event: Event) -> bool:
        return event.stream.done >= event.at

    def wait_event(self, event: Event, stream: Any = None) -> None:
        self.calls.append("wait_event")

    def synchronize_event(self, event: Event) -> None:
        event.stream.run()
