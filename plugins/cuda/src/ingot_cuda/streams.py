"""A GPU's primary context, its streams, events and graphs, and what its driver's errors mean.

The lower half of `device.CUDADevice`. The primary context is the one that other libraries of the process use too. The
default stream serves all threads and keeps order with the driver's own default stream, and so with those libraries;
`create_stream` makes further ones, which keep no order but that of events.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import pycuda.driver as drv
from ingot_devices.device import Device
from ingot_devices.errors import DeviceLost, DeviceUnavailable

from . import faults, raw
from .probe import EXCLUSIVE
from .scope import HERE

_NONBLOCKING = 1  # CU_STREAM_NON_BLOCKING: keeps no order with the driver's default stream
_LEGACY = 1  # the driver's default stream, for which everybody's streams but the non-blocking ones wait


class _Current(threading.local):
    """What a thread has made current; None is the default stream."""

    stream: Any = None
    before: Any = None


class StreamDevice(Device):
    """The context of one GPU, by the driver's index, and what is queued there."""

    streams: ClassVar[bool] = True

    def __init__(self, index: int) -> None:
        drv.init()
        self._device = drv.Device(index)
        self.context = self._retain()
        self.name, self.kind, self.index = f"cuda:{index}", "cuda", index
        self.recent: deque[str] = deque(maxlen=faults.RECENT)  # names of the last launches
        HERE.enter(self, self.context)
        self._default = drv.Stream()
        self._local = _Current()
        # asked at each allocation and launch: no frame of Python for it
        self.current_stream: Callable[[], Any] = partial(getattr, self._local, "stream")

    def _retain(self) -> Any:
        try:
            return self._device.retain_primary_context()
        except drv.Error as error:
            mode = self._device.get_attribute(drv.device_attribute.COMPUTE_MODE)
            why = "; another process has it, and its compute mode is exclusive" if int(mode) == EXCLUSIVE else ""
            raise DeviceUnavailable(f"{self._device.name()} gives no context ({error}){why}") from error

    def require(self) -> None:
        """DeviceLost if this incarnation is dead; a CUDA context that was lost does not come back in the process."""
        if self.lost:
            raise DeviceLost(f"{self.name} was lost, and its tensors with it: start a new process (by spawn, not by "
                             "fork), and load a checkpoint")  # fmt: skip

    def enter(self) -> None:
        """Make this device's context current in this thread."""
        self.require()
        HERE.enter(self, self.context)

    def synchronize(self) -> None:
        """Wait for all streams of the context."""
        if HERE.device is not self:
            self.enter()
        try:
            drv.Context.synchronize()
        except drv.Error as error:
            raise self._typed(error, "waiting") from error

    # ---- streams and events ----------------------------------------------------------------------------------------
    def _stream(self) -> Any:
        return self._local.stream or self._default

    def create_stream(self) -> Any:
        """A further stream, which keeps order with others by events alone."""
        if HERE.device is not self:
            self.enter()
        return drv.Stream(_NONBLOCKING)

    def set_stream(self, stream: Any) -> Any:
        """Make ``stream`` current for this thread and return the one before."""
        before = self.current_stream()
        self._local.stream = stream
        return before

    def record_event(self, stream: Any = None) -> Any:
        """An event after the work that ``stream`` (None: the default one) has queued so far."""
        if HERE.device is not self:
            self.enter()
        return drv.Event().record(stream or self._default)

    def event_done(self, event: Any) -> bool:
        """True when the event was reached."""
        if HERE.device is not self:
            self.enter()
        try:
            return bool(event.query())
        except drv.Error as error:
            raise self._typed(error, "an event") from error

    def wait_event(self, event: Any, stream: Any = None) -> None:
        """Make a stream wait for an event of another."""
        if HERE.device is not self:
            self.enter()
        (stream or self._default).wait_for_event(event)

    def synchronize_event(self, event: Any) -> None:
        """Wait here."""
        if HERE.device is not self:
            self.enter()
        try:
            event.synchronize()
        except drv.Error as error:
            raise self._typed(error, "waiting for an event") from error

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two reached events, by the device's clock (0.5 µs fine)."""
        if HERE.device is not self:
            self.enter()
        return float(end.time_since(start))

    # ---- streams of other libraries: a number is the driver's handle, as DLPack has it --------------------------------
    def stream_number(self) -> int:
        """The current stream's handle."""
        return int(self._stream().handle)

    def hand_over(self, stream: int | None) -> None:
        """Make another library's stream (None: the driver's default one) wait for what is queued on ours."""
        if HERE.device is not self:
            self.enter()
        target = stream or _LEGACY
        if target != _LEGACY or self.current_stream() is not None:  # the two default streams keep order by themselves
            raw.make_wait(target, self.stream_number())

    def take_over(self, stream: int | None) -> None:
        """Make our stream wait for what is queued on another library's."""
        if HERE.device is not self:
            self.enter()
        if stream is not None and (stream != _LEGACY or self.current_stream() is not None):
            raw.make_wait(self.stream_number(), stream)

    # ---- graphs ------------------------------------------------------------------------------------------------------
    def begin_capture(self) -> bool:
        """Record what this thread queues from now on, on a stream of its own, into a graph."""
        if HERE.device is not self:
            self.enter()
        stream = drv.Stream(_NONBLOCKING)
        raw.begin_capture(stream)
        self._local.before = self.set_stream(stream)
        self.pool.capturing = True
        return True

    def end_capture(self) -> raw.Graph:
        """The graph; its ``replay()`` queues all of it on the current stream. What it uses must stay allocated."""
        stream = self._local.stream
        self.set_stream(self._local.before)
        self.pool.capturing = False
        return raw.Graph(self, raw.end_capture(stream), stream)

    def run_graph(self, executable: Any) -> None:
        """Queue a graph (see `raw.Graph`)."""
        if HERE.device is not self:
            self.enter()
        self.recent.append("a graph")
        raw.done("cuGraphLaunch", executable, self._stream().handle)

    def dispose(self, name: str, thing: Any) -> None:
        """Call a destructor of the driver; from a finalizer, so nothing is raised.

        Not when the interpreter ends: the context was taken off this thread for good then, and the driver cleans up.
        """
        if sys.is_finalizing():
            return
        with suppress(Exception):
            if HERE.device is not self:
                self.enter()
            raw.done(name, thing)

    # ---- errors ----------------------------------------------------------------------------------------------------
    def _typed(self, error: Exception, what: str) -> Exception:
        """The contract's error for a driver's; the device is lost if the context is."""
        capturing = "pool" in self.__dict__ and self.pool.capturing
        made = faults.typed(error, self.name, what, tuple(self.recent), capturing)
        if isinstance(made, DeviceLost) and not self.lost:
            self.lost = True
            faults.abandon(self._things())
        return made

    def _things(self) -> list[Any]:
        """The objects of pycuda that this device holds."""
        return [self._default]
