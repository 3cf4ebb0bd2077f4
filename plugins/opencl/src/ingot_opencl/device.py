"""One OpenCL device: memory as opaque buffers, in-order queues, kernels from generated OpenCL C.

Opened by the backend (`OpenCL.open`). The default queue serves all threads; `create_stream` makes further ones. Built
programs are kept on disk by source, driver and device. pyopencl is imported here, so importing this module is heavy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pyopencl as cl
from ingot_devices import dtypes as dt
from ingot_devices.cache import Cache, key
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.device import Arguments, Device, Handle
from ingot_devices.errors import DeviceLost, KernelBuildError, LaunchError
from ingot_devices.limits import DTypeClass, Limits, refused

from .dialect import RENDERER
from .probe import devices

_OPTIONS = ("-cl-std=CL1.2", "-w")
_EXACT_DIVISION = "-cl-fp32-correctly-rounded-divide-sqrt"
_NO_MEMORY = (
    cl.status_code.MEM_OBJECT_ALLOCATION_FAILURE,
    cl.status_code.OUT_OF_RESOURCES,
    cl.status_code.OUT_OF_HOST_MEMORY,
    cl.status_code.INVALID_BUFFER_SIZE,
)
_LOST = -9999  # what NVIDIA's driver says of an illegal access; other drivers end the process


class Kernel:
    """A built kernel. Its arguments are state of the kernel object: one thread at a time sets them and queues it."""

    __slots__ = ("kernel", "lock", "name", "set_arg", "set_bytes")

    def __init__(self, program: cl.Program, name: str) -> None:
        self.kernel = cl.Kernel(program, name)
        self.set_arg: Callable[[int, Any], None] = self.kernel.set_arg
        # bytes straight to the driver, 80 times faster than `set_arg` finds out what they are
        self.set_bytes: Callable[[int, Any], None] = getattr(self.kernel, "_set_arg_buf", self.set_arg)
        self.name = name
        self.lock = threading.Lock()


class OpenCLDevice(Device):
    """An open device, by its index in `probe.devices`."""

    codegen = ScheduleCodegen(RENDERER)
    streams: ClassVar[bool] = True

    def __init__(self, index: int) -> None:
        self._device = devices()[index]
        self._context = cl.Context([self._device])
        self._default = self._queue()
        self._queues: list[cl.CommandQueue] = []  # the further ones, each for good: memory of a queue that is gone has no home
        self._local = threading.local()
        self._cache = Cache("opencl")
        self.limits = limits_of(self._device)
        self._options = list(_OPTIONS)
        if self._device.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
            self._options.append(_EXACT_DIVISION)

    # ---- memory ----------------------------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Handle:
        """A buffer of ``nbytes``, at least one granule: OpenCL has no empty ones."""
        nbytes = max(nbytes, self.limits.allocation_granularity)
        try:
            return cl.Buffer(self._context, cl.mem_flags.READ_WRITE, nbytes)
        except (cl.MemoryError, cl.RuntimeError, cl.LogicError) as error:
            raise self._typed(error, f"a buffer of {nbytes} bytes") from error

    def release(self, handle: Handle) -> None:
        """Give a buffer back."""
        handle.release()

    def copy_in(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Host bytes to the device, after what is queued."""
        self._copied(self._stream(), handle, data, dst_offset=offset, is_blocking=True)

    def copy_out(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Device bytes to the host, after what is queued."""
        self._copied(self._stream(), data, handle, src_offset=offset, is_blocking=True)

    def copy(self, dst: Handle, dst_offset: int, src: Handle, src_offset: int, nbytes: int) -> None:
        """Bytes within the device."""
        self._copied(self._stream(), dst, src, dst_offset=dst_offset, src_offset=src_offset, byte_count=nbytes)

    def _copied(self, queue: cl.CommandQueue, dst: Any, src: Any, **how: Any) -> None:
        try:
            cl.enqueue_copy(queue, dst, src, **how)
        except cl.Error as error:
            raise self._typed(error, "a copy") from error

    def window(self, handle: Handle, offset: int, nbytes: int) -> Handle | None:
        """A sub-buffer; of one that is a sub-buffer itself there is none."""
        if handle.get_info(cl.mem_info.ASSOCIATED_MEMOBJECT) is not None:
            return None
        return handle.get_sub_region(offset, nbytes)

    def memory_info(self) -> tuple[int, int] | None:
        """OpenCL does not tell how much is free."""
        return None

    # ---- kernels ---------------------------------------------------------------------------------------------------
    def build(self, source: str, name: str) -> Kernel:
        """Compile OpenCL C, or take the binary that was kept; KernelBuildError shows the line that was refused."""
        entry = key(source, self.fingerprint(), " ".join(self._options))
        binary = self._cache.get(entry)
        kernel = self._loaded(binary, name)
        if kernel is not None:
            return kernel
        program = self._compiled(source, name)
        binaries: Any = program.get_info(cl.program_info.BINARIES)
        self._cache.put(entry, binaries[0])
        # PoCL has compiled the kernel to give the binary, and would do it again at the first launch of `program`
        return self._loaded(binaries[0], name) or Kernel(program, name)

    def _loaded(self, binary: bytes | None, name: str) -> Kernel | None:
        """The kernel in ``binary``; None when there is none, or the driver does not take what it gave."""
        if not binary:
            return None
        try:
            return Kernel(cl.Program(self._context, [self._device], [binary]).build(), name)
        except cl.Error:
            return None

    def _compiled(self, source: str, name: str) -> cl.Program:
        program: Any = cl.Program(cl._cl._Program(self._context, source))  # past pyopencl's own cache of sources
        try:
            built: cl.Program = program.build(self._options)
            return built
        except cl.Error as error:
            log = str(program.get_build_info(self._device, cl.program_build_info.LOG)) or str(error)
            raise KernelBuildError(_explained(name, self.name, source, log), source, log) from error

    def launch(
        self,
        entry: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Arguments,
        stream: Any = None,
    ) -> None:
        """Queue a kernel: buffers in order of their bindings, then the block of scalars by value."""
        size = (grid[0] * block[0], grid[1] * block[1], grid[2] * block[2])
        set_arg = entry.set_arg
        try:
            with entry.lock:
                position = 0
                for handle, _ in arguments.bindings:
                    set_arg(position, handle)
                    position += 1
                if arguments.scalars:
                    entry.set_bytes(position, arguments.scalars)
                cl.enqueue_nd_range_kernel(stream or self._default, entry.kernel, size, block)
        except cl.Error as error:
            raise self._typed(error, f"kernel {entry.name}") from error

    def resources(self, entry: Kernel) -> Mapping[str, int]:
        """What `clGetKernelWorkGroupInfo` tells."""
        asked = cl.kernel_work_group_info
        names = {
            "bytes of private memory": asked.PRIVATE_MEM_SIZE, "bytes of workgroup memory": asked.LOCAL_MEM_SIZE,
            "largest workgroup": asked.WORK_GROUP_SIZE,
            "workgroup in multiples of": asked.PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
        }  # fmt: skip
        told: dict[str, Any] = {name: entry.kernel.get_work_group_info(what, self._device) for name, what in names.items()}
        return {name: int(n) for name, n in told.items()}

    def synchronize(self) -> None:
        """Wait for all queues."""
        try:
            for queue in (self._default, *self._queues):
                queue.finish()
        except cl.Error as error:
            raise self._typed(error, "waiting") from error

    def fingerprint(self) -> str:
        """Platform, device and driver: what a kept binary is good for."""
        d, p = self._device, self._device.platform
        return "|".join(
            str(x).strip() for x in (p.name, p.version, d.name, d.version, d.driver_version, cl.VERSION_TEXT)
        )

    # ---- streams and events ----------------------------------------------------------------------------------------
    def _queue(self) -> cl.CommandQueue:
        return cl.CommandQueue(self._context, properties=cl.command_queue_properties.PROFILING_ENABLE)

    def _stream(self) -> cl.CommandQueue:
        return getattr(self._local, "stream", None) or self._default

    def create_stream(self) -> Any:
        """A further in-order queue."""
        queue = self._queue()
        self._queues.append(queue)
        return queue

    def set_stream(self, stream: Any) -> Any:
        """Make ``stream`` current for this thread and return the one before."""
        before = self.current_stream()
        self._local.stream = stream
        return before

    def current_stream(self) -> Any:
        """This thread's queue; None is the default one."""
        return getattr(self._local, "stream", None)

    def record_event(self, stream: Any = None) -> Any:
        """A marker after the work that ``stream`` (None: the default one) has queued so far."""
        queue = stream or self._default
        event = cl.enqueue_marker(queue)
        queue.flush()
        return event

    def event_done(self, event: Any) -> bool:
        """True when the marker was reached."""
        return bool(event.command_execution_status == cl.command_execution_status.COMPLETE)

    def wait_event(self, event: Any, stream: Any = None) -> None:
        """Make a queue wait for a marker of another."""
        cl.enqueue_barrier(stream or self._default, wait_for=[event])

    def synchronize_event(self, event: Any) -> None:
        """Wait here."""
        event.wait()

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two reached markers, by the device's clock."""
        return float(end.profile.end - start.profile.end) / 1e6

    # ---- errors ----------------------------------------------------------------------------------------------------
    def _typed(self, error: cl.Error, what: str) -> Exception:
        """The error of the contract for a status of OpenCL."""
        code = getattr(error, "code", None)
        if isinstance(error, cl.MemoryError) or code in _NO_MEMORY:
            return MemoryError(f"{self.name} has no memory for {what} ({error})")
        if code == _LOST:
            self.lost = True
            return DeviceLost(f"{self.name} was lost while it worked on {what} ({error}); open it again")
        return LaunchError(f"{self.name} refused {what} ({error})")


def limits_of(device: Any) -> Limits:
    """What a device says of itself."""
    is_cpu = bool(device.type & cl.device_type.CPU)
    fp64 = "cl_khr_fp64" in device.extensions or bool(getattr(device, "double_fp_config", 0))
    kept = {
        dt.bool_: DTypeClass("stored", dt.uint8, dt.bool_),
        dt.float16: DTypeClass("stored", dt.float16, dt.float32),
        dt.bfloat16: DTypeClass("stored", dt.uint16, dt.float32),
    }
    if not fp64:
        kept[dt.float64] = refused(dt.float64, f"{device.name.strip()} has no float64 (cl_khr_fp64)")
    x, y, z = device.max_work_item_sizes[:3]
    return Limits(
        allocation_granularity=max(64, device.mem_base_addr_align // 8),
        max_buffer=device.max_mem_alloc_size,
        max_binding=device.max_mem_alloc_size,
        max_argument_bytes=device.max_parameter_size - 8 * 64,
        max_bindings=64,
        max_workgroup=device.max_work_group_size,
        max_workgroup_dims=(x, y, z),
        max_grid=(2**31 - 1, 2**31 - 1, 2**31 - 1),
        workgroup_memory=device.local_mem_size,
        lanes=1 if is_cpu else 32,
        vector_bytes=4,  # OpenCL C has no way to tell a compiler what is aligned
        compute_units=device.max_compute_units,
        memory=device.global_mem_size,
        dtypes=kept,
    )


def _explained(name: str, device: str, source: str, log: str) -> str:
    """The first error of a build log, with the line of the source that it means."""
    found = re.search(r":(\d+):\d+:\s*(?:(?:fatal )?error:)?\s*(.*)", log)
    if not found:
        return f"{device} could not build kernel {name}: {log.strip()[:500]}"
    lines = source.splitlines()
    number = int(found.group(1))
    text = lines[number - 1].strip() if number <= len(lines) else "?"
    return f"{device} could not build kernel {name}: {found.group(2)}, in line {number}: {text}"
