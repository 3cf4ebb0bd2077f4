"""A pretend board with queues, for faults of order: work waits in its stream until somebody synchronises.

Made from the scaffold's native backend: its `AcmeDevice` does the work, this class decides when. Strict and small; between
streams the work that is queued first does not run first, so that only an event makes an order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ingot_devices import Device

Task = Callable[[], object]


class Event:
    """A mark in a stream."""

    def __init__(self) -> None:
        self.done = False
        self.time = 0


class Stream:
    """Work in order; an `Event` in it is waited for."""

    def __init__(self) -> None:
        self.work: deque[Task | Event] = deque()


class Queues(Device):
    """To be mixed in before a device that works at once."""

    streams = True

    def __init__(self, index: int) -> None:
        super().__init__(index)  # type: ignore[call-arg]
        self.lock = threading.RLock()
        self.local = threading.local()
        self.default, self.clock = Stream(), 0
        self.every = [self.default]

    def stream(self) -> Stream:
        return self.current_stream() or self.default

    def put(self, task: Task, stream: Stream | None = None) -> None:
        with self.lock:
            (stream or self.stream()).work.append(task)

    def step(self) -> bool:
        """Run one piece of work, of the youngest stream that can go on."""
        for stream in reversed(self.every):
            if stream.work:
                head = stream.work[0]
                if isinstance(head, Event):
                    if head.done:
                        stream.work.popleft()
                        return True
                    continue
                stream.work.popleft()
                head()
                return True
        return False

    def until(self, done: Callable[[], bool]) -> None:
        with self.lock:
            while not done() and self.step():
                pass

    # ---- the contract
    def copy_in(self, handle: Any, offset: int, data: memoryview) -> None:
        kept = bytes(data)
        work = super().copy_in
        self.put(lambda: work(handle, offset, memoryview(kept)))

    def copy_out(self, handle: Any, offset: int, data: memoryview) -> None:
        work, event = super().copy_out, Event()

        def read() -> None:
            work(handle, offset, data)
            event.done = True

        self.put(read)
        self.until(lambda: event.done)

    def copy(self, dst: Any, dst_offset: int, src: Any, src_offset: int, nbytes: int) -> None:
        work = super().copy
        self.put(lambda: work(dst, dst_offset, src, src_offset, nbytes))

    def launch(self, entry: Any, grid: Any, block: Any, arguments: Any, stream: Any = None) -> None:
        work = super().launch
        self.put(lambda: work(entry, grid, block, arguments), stream)

    def synchronize(self) -> None:
        self.until(lambda: not any(s.work for s in self.every))

    def create_stream(self) -> Stream:
        self.every.append(Stream())
        return self.every[-1]

    def set_stream(self, stream: Any) -> Any:
        before = self.current_stream()
        self.local.stream = stream
        return before

    def current_stream(self) -> Any:
        return getattr(self.local, "stream", None)

    def record_event(self, stream: Any = None) -> Event:
        event = Event()

        def mark() -> None:
            event.done = True
            self.clock += 1
            event.time = self.clock

        self.put(mark, stream or self.default)
        return event

    def event_done(self, event: Event) -> bool:
        return event.done

    def wait_event(self, event: Event, stream: Any = None) -> None:
        with self.lock:
            (stream or self.stream()).work.append(event)

    def synchronize_event(self, event: Event) -> None:
        self.until(lambda: event.done)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        return float(end.time - start.time)


def queued(base: type[Any]) -> type[Any]:
    """``base`` with queues before it."""
    return type(base.__name__, (Queues, base), {})
