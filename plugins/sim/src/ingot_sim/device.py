"""The pretend accelerator as a `Device`: strict about limits and memory, lazy about time.

Opened by the backend in ``ingot_sim``. Each call is checked against the limits (`LaunchError` names
the limit), counted for the faults, and queued; the queue runs at synchronisation points only, so a
program that reads too early gets poison, not luck. ``codegen`` decides what a kernel is: its meaning
(`definition`) or the program of a parallel device (`program`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from ingot_devices.device import Arguments, Device
from ingot_devices.errors import ContractError, DeviceLost, LaunchError

from .codegen import SimCodegen
from .config import SimConfig
from .faults import Faults
from .graph import Capture, Graph
from .memory import Memory
from .queue import Event, Queue, Stream, Task

Dims = tuple[int, int, int]


class Kernel(Protocol):
    """What `SimDevice.build` returns: a kernel that can run on the device's memory."""

    name: str
    local_bytes: int

    def run(self, device: SimDevice, grid: Dims, block: Dims, buffers: list[memoryview], scalars: bytes) -> None:
        """Run all of it. ``buffers`` are the whole memories of the bindings."""
        ...


class SimDevice(Device):
    """A strict pretend accelerator; see `config` for what it can pretend to be.

    ``faults`` (`Faults`) injects failures; ``live_handles()`` counts buffers not given back.
    """

    codegen: ClassVar[Any] = SimCodegen()
    streams: ClassVar[bool] = True

    def __init__(self, config: SimConfig | None = None) -> None:
        self.config = config or SimConfig.from_env()
        self.limits = self.config.limits
        self.faults = Faults(self.config.faults)
        self.memory = Memory(self.config.memory)
        self.queue = Queue(self.config.seed)
        self.launches = 0
        self.ranges: list[tuple[int, str]] = []  # what a vendor's profiler would show: how deep, and the name
        self._open_ranges: dict[int, int] = {}  # thread → ranges that it has not ended
        self._lock = threading.RLock()
        self._current = threading.local()

    # ---- memory ----------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> int:
        """A handle on poisoned memory. MemoryError when it is full, or when a fault says so."""
        with self._operation():
            grain = self.limits.allocation_granularity
            if nbytes <= 0 or nbytes % grain:
                raise LaunchError(
                    f"{self.name}: an allocation of {nbytes} bytes is no positive multiple of "
                    f"allocation_granularity = {grain}"
                )
            if nbytes > self.limits.max_buffer:
                raise MemoryError(f"{self.name}: {nbytes} bytes are more than max_buffer = {self.limits.max_buffer}")
            if self.faults.strike("oom"):
                count = self.faults.counts["oom"]
                raise MemoryError(f"{self.name}: allocation {count} was asked to fail")
            return self.memory.allocate(nbytes)

    def release(self, handle: int) -> None:
        """Take memory back. ContractError while queued work uses it, and for a wrong handle."""
        with self._lock:
            if self.lost:
                return
            user = self.queue.using(handle)
            if user is not None:
                raise ContractError(
                    f"{self.name}: handle {handle:#x} ({self.memory.size(handle)} bytes) is released "
                    f"while queued work uses it: {user.what}"
                )
            self.memory.release(handle)

    def window(self, handle: int, offset: int, nbytes: int) -> int:
        """A handle on some bytes of a buffer: nothing reaches past them through it."""
        with self._lock:
            return self.memory.part(handle, offset, nbytes)

    def live_handles(self) -> int:
        """How many buffers are allocated and not released."""
        return len(self.memory)

    def copy_in(self, handle: int, offset: int, data: memoryview) -> None:
        with self._operation():
            self._uncaptured("a copy from the host")
            self._check_copy(offset, data.nbytes)
            self.memory.window(handle, offset, data.nbytes, "written")
            kept = bytes(data)

            def write() -> None:
                self.memory.window(handle, offset, len(kept), "written")[:] = kept

            self._put(Task(f"copy in of {len(kept)} bytes", write, self._used(handle)))

    def copy_out(self, handle: int, offset: int, data: memoryview) -> None:
        with self._operation():
            self._uncaptured("a copy to the host")
            nbytes = data.nbytes
            self._check_copy(offset, nbytes)
            self.memory.window(handle, offset, nbytes, "read")
            target = data.cast("B") if data.ndim else data

            def read() -> None:
                target[:] = self.memory.window(handle, offset, nbytes, "read")

            self._put(Task(f"copy out of {nbytes} bytes", read, self._used(handle)))
            event = self.queue.record(self.current_stream())
            self.queue.run_until(lambda: event.done)

    def copy(self, dst: int, dst_offset: int, src: int, src_offset: int, nbytes: int) -> None:
        with self._operation():
            self._check_copy(dst_offset, nbytes)
            self._check_copy(src_offset, nbytes)
            if dst == src and abs(dst_offset - src_offset) < nbytes:
                raise ContractError(f"{self.name}: a copy of {nbytes} bytes overlaps itself")
            self.memory.window(dst, dst_offset, nbytes, "written")
            self.memory.window(src, src_offset, nbytes, "read")

            def move() -> None:
                taken = bytes(self.memory.window(src, src_offset, nbytes, "read"))
                self.memory.window(dst, dst_offset, nbytes, "written")[:] = taken

            self._put(Task(f"copy of {nbytes} bytes", move, self._used(dst, src)))

    def memory_info(self) -> tuple[int, int] | None:
        """(free, total) bytes, where a size was given."""
        total = self.config.memory
        return None if total is None else (total - self.memory.used, total)

    # ---- kernels ---------------------------------------------------------------------------------
    def build(self, source: Any, name: str) -> Kernel:
        """The kernel of ``source``: a `Program`, or a kernel already."""
        from ingot_devices.ir.program import Program

        if isinstance(source, Program):
            from .program import ProgramKernel

            return ProgramKernel(source, self.limits)
        if hasattr(source, "run"):
            return source  # type: ignore[no-any-return]
        raise ContractError(f"{self.name} builds programs of the kernel IR, not {type(source).__name__}")

    def launch(self, entry: Kernel, grid: Dims, block: Dims, arguments: Arguments, stream: Any = None) -> None:
        """Check the launch against the limits, count it, queue it."""
        with self._operation():
            self._check_launch(entry, grid, block, arguments)
            if self.faults.strike("launch"):
                count = self.faults.counts["launch"]
                raise LaunchError(f"{self.name}: launch {count} ({entry.name}) was asked to fail")
            handles = [b.handle for b in arguments.bindings]
            for handle in handles:
                self.memory.whole(handle, "bound")
            scalars = bytes(arguments.scalars)

            def run() -> None:
                buffers = [self._binding(b.handle, b.access) for b in arguments.bindings]
                entry.run(self, grid, block, buffers, scalars)

            self.launches += 1
            task = Task(f"kernel {entry.name}", run, self._used(*handles))
            self.queue.put(stream if stream is not None else self.current_stream(), task)

    def _binding(self, handle: int, access: str) -> memoryview:
        whole = self.memory.whole(handle, "used by a kernel")
        return whole if "w" in access else whole.toreadonly()

    def synchronize(self) -> None:
        """Run all that is queued, check every guard band."""
        with self._operation():
            self._uncaptured("waiting")
            self.queue.finish()
            self.memory.check_all()

    def fingerprint(self) -> str:
        return f"sim/{self.config.mode}"

    # ---- streams and events ----------------------------------------------------------------------
    def create_stream(self) -> Stream:
        """A further queue, whose order against the others is free."""
        with self._lock:
            return self.queue.create()

    def set_stream(self, stream: Any) -> Any:
        """Make ``stream`` (None: the default one) current for this thread; the one before."""
        before = self.current_stream()
        self._current.stream = stream
        return before

    def current_stream(self) -> Any:
        return getattr(self._current, "stream", None)

    def record_event(self, stream: Any = None) -> Event:
        with self._lock:
            self.require()
            return self.queue.record(stream)

    def event_done(self, event: Event) -> bool:
        """Whether ``event`` is passed. Asking lets time go by: one piece of queued work runs."""
        with self._lock:
            if not event.done and not self.lost:
                self.queue.step()
            return event.done

    def wait_event(self, event: Event, stream: Any = None) -> None:
        with self._lock:
            self.require()
            self.queue.put(stream, Task("wait for an event", after=event))

    def synchronize_event(self, event: Event) -> None:
        with self._operation():
            self.queue.run_until(lambda: event.done)

    def begin_capture(self) -> bool:
        """What this thread queues from now on is kept for a graph instead; only launches and copies within the device."""
        with self._lock:
            self.require()
            self._current.before = self.set_stream(Capture())
            self.pool.capturing = True
            return True

    def end_capture(self) -> Graph:
        """The graph; LaunchError if something was queued that cannot be in one."""
        capture = self.set_stream(self._current.before)
        self.pool.capturing = False
        return Graph(self, capture.finish(self.name))

    def run_graph(self, tasks: Sequence[Task]) -> None:
        """Queue the work of a graph (`queue.Graph`)."""
        with self._operation():
            for task in tasks:
                for handle in task.handles:
                    self.memory.whole(handle, "used by a graph")
                self._put(task)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        """Milliseconds between two events; both must be done."""
        if start.time_ns is None or end.time_ns is None:
            raise LaunchError(f"{self.name}: elapsed time needs two events that are done")
        return (end.time_ns - start.time_ns) / 1e6

    def push_range(self, name: str) -> None:
        """Begin a range: kept in `ranges`."""
        thread = threading.get_ident()
        with self._lock:
            depth = self._open_ranges.get(thread, 0)
            self.ranges.append((depth, name))
            self._open_ranges[thread] = depth + 1

    def pop_range(self) -> None:
        """End the innermost range of this thread; an error where there is none."""
        thread = threading.get_ident()
        with self._lock:
            if not self._open_ranges.get(thread):
                raise ContractError(f"{self.name}: pop_range without a push_range in this thread")
            self._open_ranges[thread] -= 1

    def close(self) -> None:
        """Drop what is left. Work after it is refused."""
        with self._lock:
            self.lost = True
            self.queue.clear()
            self.memory.forget()

    # ---- strictness ------------------------------------------------------------------------------
    def _operation(self) -> _Operation:
        return _Operation(self)

    def _uncaptured(self, what: str) -> None:
        stream = self.current_stream()
        if isinstance(stream, Capture):
            stream.refuse(what)

    def _used(self, *handles: int) -> frozenset[int]:
        return frozenset(map(self.memory.owner, handles))

    def _put(self, task: Task) -> None:
        self.queue.put(self.current_stream(), task)

    def _check_copy(self, offset: int, nbytes: int) -> None:
        unit = self.limits.copy_granularity
        if offset % unit or nbytes % unit:
            raise LaunchError(
                f"{self.name}: a copy of {nbytes} bytes at {offset} is not made of whole units of "
                f"copy_granularity = {unit}"
            )

    def _check_launch(self, entry: Kernel, grid: Dims, block: Dims, arguments: Arguments) -> None:
        limits = self.limits
        handles = [b.handle for b in arguments.bindings]
        items = block[0] * block[1] * block[2]
        rules: list[tuple[str, Any, Any, bool]] = [
            ("max_bindings", limits.max_bindings, len(handles), len(handles) > limits.max_bindings),
            ("max_argument_bytes", limits.max_argument_bytes, len(arguments.scalars),
             len(arguments.scalars) > limits.max_argument_bytes),
            ("max_workgroup", limits.max_workgroup, items, items > limits.max_workgroup),
            ("max_workgroup_dims", limits.max_workgroup_dims, block, _beyond(block, limits.max_workgroup_dims)),
            ("max_grid", limits.max_grid, grid, _beyond(grid, limits.max_grid)),
            ("workgroup_memory", limits.workgroup_memory, entry.local_bytes,
             entry.local_bytes > limits.workgroup_memory),
        ]  # fmt: skip
        for name, allowed, given, broken in rules:
            if broken:
                raise LaunchError(f"{self.name}: {entry.name} has {given} where the limit {name} = {allowed}")
        written = {b.handle for b in arguments.bindings if "w" in b.access}
        if any(handles.count(h) > 1 for h in written):
            raise ContractError(
                f"{self.name}: {entry.name} writes to a handle that it binds twice; operands that "
                "share a handle are one binding"
            )
        for handle in handles:
            size = self.memory.size(handle)
            if size > limits.max_binding:
                raise LaunchError(
                    f"{self.name}: {entry.name} binds {size} bytes where the limit max_binding = {limits.max_binding}"
                )

    def _lose(self) -> None:
        self.lost = True
        self.queue.clear()
        self.memory.forget()


class _Operation:
    """One call of the host: locked, refused on a lost device, and counted for the fault ``lost``."""

    __slots__ = ("device",)

    def __init__(self, device: SimDevice) -> None:
        self.device = device

    def __enter__(self) -> None:
        device = self.device
        device._lock.acquire()
        try:
            device.require()
            if device.faults.strike("lost"):
                device._lose()
                raise DeviceLost(
                    f"{device.name} was lost at operation {device.faults.counts['lost']}, as asked; "
                    f"open it again with ingot.accelerator.reset({device.name!r})"
                )
        except BaseException:
            device._lock.release()
            raise

    def __exit__(self, *exc: object) -> None:
        self.device._lock.release()


def _beyond(given: Dims, allowed: Dims) -> bool:
    return any(not 0 < g <= a for g, a in zip(given, allowed, strict=True))
