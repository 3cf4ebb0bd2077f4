"""The asynchronous queue: work waits in streams and runs when somebody synchronises.

`SimDevice` queues copies and launches here. Within a stream work runs in order; between streams any order is right, so
a seeded one is taken. What fails while it runs is kept, and raised at the synchronisation, as drivers do.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_NUMBERS = itertools.count(1)


class Event:
    """A mark in a stream. ``time_ns`` is when it was passed, None before."""

    def __init__(self) -> None:
        self.time_ns: int | None = None

    @property
    def done(self) -> bool:
        return self.time_ns is not None


@dataclass
class Task:
    """Queued work: ``run`` it; ``handles`` are the buffers it uses. One with ``after`` waits for that event."""

    what: str
    run: Callable[[], None] | None = None
    handles: frozenset[int] = frozenset()
    after: Event | None = None


@dataclass(eq=False)
class Stream:
    """One queue in order. Compared by identity."""

    tasks: deque[Task] = field(default_factory=deque)
    number: int = field(default_factory=lambda: next(_NUMBERS))

    def __repr__(self) -> str:
        return f"<sim stream {self.number}, {len(self.tasks)} waiting>"


class Queue:
    """All streams of a device and the order in which their work runs. Not safe by itself: the device locks."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.default = Stream()
        self.streams: list[Stream] = [self.default]
        self.ran = 0
        self._failed: list[BaseException] = []

    def create(self) -> Stream:
        """A further stream."""
        self.streams.append(Stream())
        return self.streams[-1]

    def put(self, stream: Stream | None, task: Task) -> None:
        """Queue ``task`` on ``stream`` (None: the default one)."""
        (stream or self.default).tasks.append(task)

    def record(self, stream: Stream | None) -> Event:
        """An event after what ``stream`` holds now."""
        event = Event()

        def mark() -> None:
            event.time_ns = time.perf_counter_ns()

        self.put(stream, Task("event", mark))
        return event

    def using(self, handle: int) -> Task | None:
        """A waiting task that uses ``handle``, if there is one."""
        return next((t for s in self.streams for t in s.tasks if handle in t.handles), None)

    def step(self) -> bool:
        """Run one task that is free to run; False when there is none."""
        ready = [s for s in self.streams if s.tasks and (s.tasks[0].after is None or s.tasks[0].after.done)]
        if not ready:
            return False
        stream = ready[0] if len(ready) == 1 else self.random.choice(ready)
        task = stream.tasks.popleft()
        self.ran += 1
        if task.run is not None:
            try:
                task.run()
            except Exception as error:  # raised at the synchronisation, where a driver reports it
                self._failed.append(error)
        return True

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run tasks in a seeded order until ``done()``; then raise what failed first."""
        while not done() and self.step():
            pass
        self.raise_failed()

    def finish(self) -> None:
        """Run everything, then raise what failed first."""
        self.run_until(lambda: not any(s.tasks for s in self.streams))

    def raise_failed(self) -> None:
        """Raise the first failure of queued work; further ones are dropped with it."""
        if self._failed:
            failed, self._failed = self._failed, []
            raise failed[0]

    def clear(self) -> None:
        """Forget all that waits: the device was lost."""
        for stream in self.streams:
            stream.tasks.clear()
        self._failed.clear()
