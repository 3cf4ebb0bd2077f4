"""Streams and events (`torch.Stream`, `torch.Event`): queues of a device beside its default one, and marks in them.

What a thread does goes to the stream that is current there, on the device of the work. Streams keep order by events
alone. Memory belongs to the stream on which it was made; a tensor that another stream uses, and that may be dropped
before that is done, is told so by `Tensor.record_stream`. A device without streams has its default one only, and
everything here works on that. The contract's part: `ingot_devices.Device`, *streams, events and clocks*.
"""

from __future__ import annotations

import threading
from typing import Any

from ingot_devices.context import state

from .base import TensorBase
from .devices import device as device_spec
from .devices import open_device

_NEW = object()


class _Entered(threading.local):
    """The streams that were current before those that this thread has entered."""

    def __init__(self) -> None:
        self.before: list[Any] = []


_entered = _Entered()


def _opened(spec: Any) -> Any:
    """The open device that ``spec`` names; None is the current accelerator's."""
    _stop("a stream or an event")
    return open_device(device_spec("auto") if spec is None else spec)


def _stop(what: str) -> None:
    """A recording cannot replay what happens outside of its program."""
    if state.context.recording:
        state.recorder.stop(what)


class Stream:
    """A queue of ``device`` (None: the current accelerator). ``priority`` is taken and has no effect.

    ``with stream:`` makes it current for this thread. RuntimeError where work of another device is to be waited for.
    """

    def __init__(self, device: Any = None, priority: int = 0, *, _raw: Any = _NEW) -> None:
        self._opened = device if _raw is not _NEW else _opened(device)
        self._raw = self._opened.create_stream() if _raw is _NEW else _raw

    @property
    def device(self) -> Any:
        """The device whose queue it is."""
        return device_spec(self._opened.name)

    def __enter__(self) -> Stream:
        _stop("a stream")
        _entered.before.append(self._opened.set_stream(self._raw))
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.set_stream(_entered.before.pop())

    def record_event(self, event: Event | None = None) -> Event:
        """Mark the end of what is queued so far."""
        made = event if event is not None else Event(self._opened.name)
        made.record(self)
        return made

    def wait_event(self, event: Event) -> None:
        """Let what is queued here from now on wait for ``event``."""
        _need(event, Event, "wait_event")
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let what is queued here from now on wait for what ``stream`` has queued so far."""
        _need(stream, Stream, "wait_stream")
        self.wait_event(stream.record_event())

    def query(self) -> bool:
        """True when all that was queued is done."""
        return self.record_event().query()

    def synchronize(self) -> None:
        """Wait until all that was queued is done."""
        self.record_event().synchronize()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self._opened is other._opened and self._raw is other._raw

    def __hash__(self) -> int:
        return hash((id(self._opened), id(self._raw)))

    def __repr__(self) -> str:
        return f"ingot.Stream(device={self._opened.name}{', the default one' if self._raw is None else ''})"


class Event:
    """A mark in a stream. ``enable_timing`` for `elapsed_time`; ``blocking`` and ``interprocess`` are taken, as PyTorch's."""

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        if interprocess:
            raise RuntimeError("events are not shared between processes here: give interprocess=False")
        self._opened = _opened(device)
        self._timing = enable_timing
        self._raw: Any = None

    @property
    def device(self) -> Any:
        """The device in whose streams it may stand."""
        return device_spec(self._opened.name)

    def record(self, stream: Stream | None = None) -> None:
        """Mark the end of what ``stream`` (None: the current one) has queued so far."""
        _stop("an event")
        self._raw = self._opened.record_event(self._queue(stream))

    def wait(self, stream: Stream | None = None) -> None:
        """Let ``stream`` (None: the current one) wait here, on the device; nothing if it was never recorded."""
        _stop("an event")
        if self._raw is not None:
            self._opened.wait_event(self._raw, self._queue(stream))

    def query(self) -> bool:
        """True when what is marked is done, or nothing was."""
        return self._raw is None or bool(self._opened.event_done(self._raw))

    def synchronize(self) -> None:
        """Wait in this thread until what is marked is done."""
        if self._raw is not None:
            self._opened.synchronize_event(self._raw)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from here to ``end_event``, by the device's clock."""
        _need(end_event, Event, "elapsed_time")
        if not (self._timing and end_event._timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._raw is None or end_event._raw is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError("Both events must be completed before calculating elapsed time: synchronize first.")
        return float(self._opened.elapsed_ms(self._raw, end_event._raw))

    def _queue(self, stream: Stream | None) -> Any:
        return self._opened.current_stream() if stream is None else _raw(stream, self._opened, "an event")

    def __repr__(self) -> str:
        return f"ingot.Event(device={self._opened.name})"


def _need(given: Any, kind: type, what: str) -> None:
    """TypeError where ``given`` is no ``kind``."""
    if not isinstance(given, kind):
        raise TypeError(f"{what} takes an ingot.{kind.__name__}, not {type(given).__name__}")


def checked(stream: Any, what: str) -> Stream:
    """``stream``; TypeError where it is none."""
    _need(stream, Stream, what)
    made: Stream = stream
    return made


def _raw(stream: Any, opened: Any, what: str) -> Any:
    """The driver's stream behind ``stream``, which has to be one of ``opened``."""
    if checked(stream, what)._opened is not opened:
        raise RuntimeError(f"{what}: it is on {opened.name}, and the stream is of {stream._opened.name}")
    return stream._raw


def current_stream(device: Any = None) -> Stream:
    """The stream that this thread's work on ``device`` goes to."""
    opened = _opened(device)
    return Stream(opened, _raw=opened.current_stream())


def default_stream(device: Any = None) -> Stream:
    """The stream of ``device`` that is current where none was set."""
    return Stream(_opened(device), _raw=None)


def set_stream(stream: Stream) -> None:
    """Make ``stream`` current for this thread from now on; ``with stream:`` does it for a while."""
    _stop("a stream")
    checked(stream, "set_stream")._opened.set_stream(stream._raw)


def record_stream(tensor: TensorBase, stream: Stream) -> None:
    """See `Tensor.record_stream`."""
    opened = tensor._layout.device
    raw = _raw(stream, opened, "record_stream")
    if opened.streams:
        opened.pool.note_use(tensor._block, raw)
