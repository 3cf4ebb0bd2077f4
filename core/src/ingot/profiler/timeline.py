"""What is recorded: an observer of plans and devices that writes events down.

Host rows are threads, device rows are devices. Host times are `time.perf_counter_ns`. A launch on a device with a queue
has an event before and after it; when the profile ends, their times are read and laid on the host's clock, by an event
that was waited for at the beginning. Where the host computes, the op's own time is the device's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingot_devices.device import Device
from ingot_devices.memory.site import call_site, text
from ingot_devices.observe import Observer, Patches
from ingot_devices.plan import Plan, Step


@dataclass
class Event:
    """One thing that happened. ``kind``: op, launch, copy, allocation, range (host rows) or kernel (device rows).

    ``start`` and ``duration`` in nanoseconds since the profile began; ``row`` is a thread's name or a device's.
    ``link`` joins a launch to its kernel. ``details``: bytes, op, route, site … by kind.
    """

    kind: str
    name: str
    row: str
    start: int
    duration: int
    link: int = 0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Launch:
    """A launch whose device times are not known yet."""

    device: Device
    event: Event
    before: Any
    after: Any


class Timeline(Observer):
    """Collects the events of one profile."""

    def __init__(self) -> None:
        self.origin = time.perf_counter_ns()
        self.events: list[Event] = []
        self._lock = threading.Lock()
        self._patches: dict[Device, Patches] = {}
        self._hosts: dict[Device, bool] = {}
        self._bases: dict[Device, tuple[Any, int]] = {}
        self._launches: list[_Launch] = []
        self._local = threading.local()

    def now(self) -> int:
        """Nanoseconds since the profile began."""
        return time.perf_counter_ns() - self.origin

    def add(self, kind: str, name: str, start: int, row: str = "", **details: Any) -> Event:
        """Write an event down that ends now."""
        event = Event(kind, name, row or threading.current_thread().name, start, self.now() - start, details=details)
        with self._lock:
            self.events.append(event)
        return event

    # ---- plans -------------------------------------------------------------------------------------------------------
    def around(self, plan: Plan, step: Step, call: Callable[..., Any]) -> Callable[..., Any]:
        name = step.op if len(plan.steps) == 1 else f"{plan.op}/{step.op}"
        route, device = step.route, plan.device

        def run(*values: Any) -> Any:
            local = self._local
            local.op, local.launched = name, 0
            start = self.now()
            try:
                return call(*values)
            finally:
                event = self.add("op", name, start, route=route, device=device.name)
                if not local.launched and (device.numpy_handles or route == "host"):
                    row = device.name if route != "host" or device.numpy_handles else "host"
                    with self._lock:
                        self.events.append(Event("kernel", name, row, event.start, event.duration, details={"op": name}))

        return run

    def whole(self, plan: Plan, run: Callable[..., Any]) -> Callable[..., Any]:
        def timed(operands: Sequence[Any], kind: Any) -> Any:
            start = self.now()
            try:
                return run(operands, kind)
            finally:
                self.add("op", plan.op, start, route=plan.route, device=plan.device.name, steps=len(plan.steps))

        return timed

    def making(self, plan: Plan, make: Callable[[], Any]) -> Callable[[], Any]:
        def made() -> Any:
            self._local.op = plan.op
            return make()

        return made

    def region(self, name: str, call: Callable[[], Any], nothing: Any = None) -> Any:
        start = self.now()
        made = call()
        if made is not nothing:
            self.add("op", name, start, route="replay")
        return made

    def enter(self, name: str) -> int:
        return self.now()

    def leave(self, name: str, entered: int) -> None:
        self.add("range", name, entered)

    # ---- devices -----------------------------------------------------------------------------------------------------
    def attach(self, device: Device) -> None:
        patches = self._patches[device] = Patches()
        self._hosts[device] = device.pool.host
        device.pool.host = False  # so that small blocks are seen, too
        patches.replace(device, "launch", lambda inner: self._launch(device, inner))
        for name, size in (("copy_in", 2), ("copy_out", 2), ("copy", 4)):
            patches.replace(device, name, self._copy(device, name, size))
        patches.replace(device.pool, "_own", lambda inner: self._allocation(device, inner))
        device.pool.pass_own(True)
        if not device.numpy_handles:
            device.synchronize()
            base = device.record_event(None)
            device.synchronize_event(base)
            self._bases[device] = base, self.now()

    def detach(self, device: Device) -> None:
        patches = self._patches.pop(device, None)
        if patches is not None:
            patches.undo()
            device.pool.host = self._hosts[device]
            device.pool.pass_own(False)

    def _launch(self, device: Device, inner: Callable[..., Any]) -> Callable[..., Any]:
        def launch(entry: Any, grid: Any, block: Any, arguments: Any, stream: Any = None) -> None:
            op = getattr(self._local, "op", "")
            self._local.launched = 1
            start = self.now()
            before = device.record_event(stream)
            inner(entry, grid, block, arguments, stream)
            after = device.record_event(stream)
            name = str(getattr(entry, "name", "kernel"))
            event = self.add("launch", name, start, op=op, device=device.name, grid=list(grid), block=list(block))
            with self._lock:
                self._launches.append(_Launch(device, event, before, after))
                event.link = len(self._launches)

        return launch

    def _copy(self, device: Device, name: str, size: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        names = {"copy_in": f"host → {device.name}", "copy_out": f"{device.name} → host", "copy": f"within {device.name}"}

        def around(inner: Callable[..., Any]) -> Callable[..., Any]:
            def copy(*given: Any) -> None:
                nbytes = given[size] if size == 4 else given[size].nbytes
                start = self.now()
                inner(*given)
                self.add("copy", names[name], start, nbytes=nbytes, device=device.name, site=text(call_site(2)) or "")

            return copy

        return around

    def _allocation(self, device: Device, inner: Callable[..., Any]) -> Callable[..., Any]:
        def own(chunk: Any) -> Any:
            block = inner(chunk)
            op = getattr(self._local, "op", "")
            self.add("allocation", f"{block.nbytes} bytes", self.now(), nbytes=block.nbytes, device=device.name, op=op,
                     site=text(call_site(2)) or "", used=device.pool.used + block.nbytes)  # fmt: skip
            return block

        return own

    # ---- the end -----------------------------------------------------------------------------------------------------
    def finish(self) -> list[Event]:
        """Read the devices' clocks; every event, in order of beginning."""
        for device in {launch.device for launch in self._launches}:
            if not device.lost:
                device.synchronize()
        for launch in self._launches:
            device = launch.device
            if device.lost or device not in self._bases:
                continue
            base, at = self._bases[device]
            start = at + int(1e6 * device.elapsed_ms(base, launch.before))
            start = max(start, launch.event.start)  # two clocks: no kernel runs before it was launched
            took = int(1e6 * device.elapsed_ms(launch.before, launch.after))
            found = launch.event
            details = {"op": found.details["op"], "grid": found.details["grid"], "block": found.details["block"]}
            self.events.append(Event("kernel", found.name, device.name, start, max(took, 0), found.link, details))
        self._launches.clear()
        return sorted(self.events, key=lambda e: e.start)
