"""Where the time goes: every backend's work on one time line (`torch.profiler`'s names).

    with ingot.profiler.profile() as prof:
        train()
    print(prof.key_averages().table())
    prof.export_chrome_trace("trace.json")        # opens in Perfetto

`timeline` watches (host ops, launches, copies, allocations; device times from events), `trace` writes the Chrome trace,
`table` sums up. `ranges` names the same work in the profiler that a device's vendor has, through the device. Nothing of it is
imported, and no op pays for it, until a profile begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingot_devices import observe

from .ranges import Ranges
from .table import Averages
from .timeline import Event, Timeline
from .trace import write_trace

_current: list[Timeline] = []


class profile:
    """Record while the block runs. One at a time in a process.

    ``events``: the list of `Event`, in order of their beginning, once the block has ended.
    """

    def __init__(self) -> None:
        self._timeline: Timeline | None = None
        self.events: Sequence[Event] = ()

    def __enter__(self) -> profile:
        if _current:
            raise RuntimeError("a profile is running already; end it before another begins")
        self._timeline = Timeline()
        _current.append(self._timeline)
        observe.begin(self._timeline)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._timeline is not None
        observe.end(self._timeline)
        _current.clear()
        self.events = self._timeline.finish()

    def key_averages(self) -> Averages:
        """Sums by name and kind."""
        return Averages(self.events)

    def export_chrome_trace(self, path: str | Path) -> None:
        """Write the events as JSON in the Chrome trace-event format."""
        write_trace(self.events, Path(path))


@contextmanager
def record_function(name: str) -> Iterator[Any]:
    """Name a range of the host's time line: ``with record_function("forward"): …``. Free when nothing is recorded."""
    entered = [(observer, observer.enter(name)) for observer in observe.OBSERVERS]
    try:
        yield None
    finally:
        for observer, token in reversed(entered):
            observer.leave(name, token)


@contextmanager
def emit_ranges() -> Iterator[None]:
    """Name every op, compiled step and `record_function` on the time line of the vendor's own profiler, while the block runs.

    Run the program under that profiler. RuntimeError, with each device's reason, where no open device takes ranges.
    """
    ranges = Ranges()
    observe.begin(ranges)
    try:
        ranges.require()
        yield
    finally:
        observe.end(ranges)


__all__ = ["Averages", "Event", "Timeline", "emit_ranges", "profile", "record_function", "write_trace"]
