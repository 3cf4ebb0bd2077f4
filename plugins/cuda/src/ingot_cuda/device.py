"""One NVIDIA GPU: its primary context, memory as addresses, streams, and kernels from generated CUDA C.

Opened by the backend (`CUDA.open`). The primary context is the one that other libraries of the process use too. The
default stream serves all threads and keeps order with the driver's own default stream, so with theirs; `create_stream`
makes further ones, which keep no order but that of events. A handle is an address, an int; what a launch passes is the
addresses and then the block of scalars, packed. Importing this module imports pycuda.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from typing import Any, ClassVar

import pycuda.driver as drv
from ingot_devices.cache import Cache, key
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.device import Arguments, Device, Handle
from ingot_devices.errors import DeviceLost, DeviceUnavailable, LaunchError

from . import compiler, faults
from .dialect import RENDERER
from .limits import BINDINGS, limits_of
from .probe import EXCLUSIVE
from .scope import HERE
from .staging import Staging

_NONBLOCKING = 1  # CU_STREAM_NON_BLOCKING: keeps no order with the driver's default stream
_PACK = [struct.Struct(f"@{n}Q").pack for n in range(BINDINGS + 1)]


class Kernel:
    """A loaded kernel. ``dynamic`` is the shared memory in bytes that a launch asks for beside the declared."""

    __slots__ = ("block", "dynamic", "grid", "launch", "module", "name", "shared", "threads")

    def __init__(self, module: Any, name: str, dynamic: int = 0) -> None:
        function = module.get_function(name)
        self.module, self.name, self.dynamic = module, name, dynamic
        self.launch = function._launch_kernel  # takes packed bytes: a third of the time of `function(…)`
        self.threads = int(function.get_attribute(drv.function_attribute.MAX_THREADS_PER_BLOCK))
        self.shared = int(function.get_attribute(drv.function_attribute.SHARED_SIZE_BYTES))
        self.grid = self.block = None  # those of the last launch, which were checked
        if dynamic:
            function.set_attribute(drv.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, dynamic)


class CUDADevice(Device):
    """An open GPU, by the driver's index."""

    codegen = ScheduleCodegen(RENDERER)
    streams: ClassVar[bool] = True

    def __init__(self, index: int) -> None:
        drv.init()
        self._device = drv.Device(index)
        self.context = self._retain()
        self.name, self.index = f"cuda:{index}", index
        HERE.enter(self, self.context)
        names = drv.device_attribute
        self.capability: tuple[int, int] = self._device.compute_capability()
        self.limits = limits_of(self._device.get_attribute, names, self._device.total_memory())
        self.shared_most = int(self._device.get_attribute(names.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN))
        self._target = compiler.target(self.capability)
        self._default = drv.Stream()
        self._local = threading.local()
        self._allocations: dict[int, Any] = {}
        self._cache = Cache("cuda")
        self._staging = Staging()
        self.recent: deque[str] = deque(maxlen=faults.RECENT)

    def _retain(self) -> Any:
        try:
            return self._device.retain_primary_context()
        except drv.Error as error:
            mode = self._device.get_attribute(drv.device_attribute.COMPUTE_MODE)
            why = "; it is in exclusive use by another process" if int(mode) == EXCLUSIVE else ""
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

    # ---- memory ----------------------------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Handle:
        """The address of ``nbytes``, at least one granule."""
        if HERE.device is not self:
            self.enter()
        try:
            made = drv.mem_alloc(max(nbytes, self.limits.allocation_granularity))
        except drv.Error as error:
            raise self._typed(error, f"{nbytes} bytes") from error
        address = int(made)
        self._allocations[address] = made
        return address

    def release(self, handle: Handle) -> None:
        """Give memory back."""
        made = self._allocations.pop(handle)
        if HERE.device is not self:
            self.enter()
        made.free()

    def copy_in(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Host bytes to the device, through page-locked memory, in stream order."""
        if HERE.device is not self:
            self.enter()
        try:
            self._staging.copy_in(handle + offset, data, self._stream())
        except drv.Error as error:
            raise self._typed(error, "a copy from the host") from error

    def copy_out(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Device bytes to the host, after what is queued."""
        if HERE.device is not self:
            self.enter()
        try:
            self._staging.copy_out(handle + offset, data, self._stream())
        except drv.Error as error:
            raise self._typed(error, "a copy to the host") from error

    def copy(self, dst: Handle, dst_offset: int, src: Handle, src_offset: int, nbytes: int) -> None:
        """Bytes within the device, in stream order."""
        if HERE.device is not self:
            self.enter()
        try:
            drv.memcpy_dtod_async(dst + dst_offset, src + src_offset, nbytes, self._stream())
        except drv.Error as error:
            raise self._typed(error, "a copy within the device") from error

    def memory_info(self) -> tuple[int, int]:
        """(free, total) bytes, as the driver counts for all processes."""
        if HERE.device is not self:
            self.enter()
        free, total = drv.mem_get_info()
        return int(free), int(total)

    # ---- kernels ---------------------------------------------------------------------------------------------------
    def build(self, source: str, name: str, dynamic: int = 0) -> Kernel:
        """Compile CUDA C, or take the cubin that was kept; KernelBuildError shows the line that was refused."""
        if HERE.device is not self:
            self.enter()
        entry = key(source, self.fingerprint())
        kept = self._cache.get(entry)
        if kept is not None:
            try:
                return Kernel(drv.module_from_buffer(kept), name, dynamic)
            except drv.Error:  # what another driver wrote, or a damaged file
                self._cache.remove(entry)
        made = compiler.compile_source(source, name, self._target, where=self.name)
        try:
            kernel = Kernel(drv.module_from_buffer(made), name, dynamic)
        except drv.Error as error:
            raise self._typed(error, f"the built kernel {name}") from error
        self._cache.put(entry, made)
        return kernel

    def launch(
        self,
        entry: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Arguments,
        stream: Any = None,
    ) -> None:
        """Queue a kernel: the addresses in order of their bindings, then the block of scalars."""
        if HERE.device is not self:
            self.enter()
        if entry.grid is not grid or entry.block is not block:
            self._check(entry, grid, block)
        bindings, scalars = arguments
        packed = _PACK[len(bindings)](*[b[0] for b in bindings]) + scalars
        self.recent.append(entry.name)
        try:
            entry.launch(grid, block, packed, entry.dynamic, stream or self._stream())
        except drv.Error as error:
            raise self._typed(error, f"kernel {entry.name}") from error

    def _check(self, entry: Kernel, grid: Any, block: Any) -> None:
        """Refuse what cannot run, with the limit, before the driver is asked."""
        limits = self.limits
        threads = block[0] * block[1] * block[2]
        shared = entry.shared + entry.dynamic
        most = max(self.shared_most, limits.workgroup_memory)
        if threads > entry.threads or any(b > m for b, m in zip(block, limits.max_workgroup_dims, strict=True)):
            raise LaunchError(f"{self.name} refused kernel {entry.name}: a block of {block} has {threads} threads; this "
                              f"kernel takes {entry.threads}, at most {limits.max_workgroup_dims}")  # fmt: skip
        if any(g > m for g, m in zip(grid, limits.max_grid, strict=True)):
            raise LaunchError(f"{self.name} refused kernel {entry.name}: a grid of {grid} blocks; at most {limits.max_grid}")
        if shared > most:
            raise LaunchError(f"{self.name} refused kernel {entry.name}: it wants {shared} bytes of shared memory; a block "
                              f"has {most}")  # fmt: skip
        entry.grid, entry.block = grid, block

    def synchronize(self) -> None:
        """Wait for all streams of the context."""
        if HERE.device is not self:
            self.enter()
        try:
            drv.Context.synchronize()
        except drv.Error as error:
            raise self._typed(error, "waiting") from error

    def fingerprint(self) -> str:
        """Architecture, compiler and its options: what a kept cubin is good for."""
        return "|".join((self._target, str(compiler.version()), *compiler.OPTIONS))

    # ---- streams and events ----------------------------------------------------------------------------------------
    def _stream(self) -> Any:
        return getattr(self._local, "stream", None) or self._default

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

    def current_stream(self) -> Any:
        """This thread's stream; None is the default one."""
        return getattr(self._local, "stream", None)

    def record_event(self, stream: Any = None) -> Any:
        """An event after the work queued so far."""
        if HERE.device is not self:
            self.enter()
        return drv.Event().record(stream or self._stream())

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
        (stream or self._stream()).wait_for_event(event)

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

    # ---- errors ----------------------------------------------------------------------------------------------------
    def _typed(self, error: Exception, what: str) -> Exception:
        """The contract's error for a driver's; the device is lost if the context is."""
        made = faults.typed(error, self.name, what, tuple(self.recent))
        if isinstance(made, DeviceLost):
            self.lost = True
        return made
