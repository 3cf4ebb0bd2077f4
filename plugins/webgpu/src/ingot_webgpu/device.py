"""One WebGPU device: buffers as opaque handles, launches gathered into command buffers, WGSL from the renderer.

Opened by the backend (`WebGPU.open`). WebGPU knows one queue and no way to wait for it but mapping a buffer, which is
what a copy to the host does. A launch is encoded at once and submitted with those after it (`Batch`): its scalars lie
in a slot of one uniform buffer, so nothing waits for the launch before. wgpu is imported here: importing this is heavy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import wgpu
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.device import Arguments, Device, Handle
from ingot_devices.errors import DeviceLost, KernelBuildError, LaunchError

from .batch import Batch
from .limits import limits_of, wanted
from .probe import adapters
from .wgsl import RENDERER

_USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
_DECLARED = re.compile(r"@group\(0\)\s*@binding\((\d+)\)\s*var<(storage|uniform)(?:,\s*(read_write|read))?>")
_GROUPS = 64  # bind groups kept for each kernel


class Memory:
    """A buffer. What a bind group is known by is its ``number``: buffers come and go, numbers do not return."""

    __slots__ = ("buffer", "nbytes", "number")

    def __init__(self, buffer: Any, nbytes: int, number: int) -> None:
        self.buffer, self.nbytes, self.number = buffer, nbytes, number


class Kernel:
    """A built shader with its bind groups, by the numbers of the buffers in them."""

    __slots__ = ("block", "groups", "layout", "name", "pipeline")

    def __init__(self, name: str, layout: Any, pipeline: Any, block: int) -> None:
        self.name, self.layout, self.pipeline = name, layout, pipeline
        self.block = block  # the binding of the scalars; -1: it has none
        self.groups: dict[tuple[int, ...], Any] = {}


class WebGPUDevice(Device):
    """An open device, by its index in `probe.adapters`."""

    codegen: ClassVar[Any] = ScheduleCodegen(RENDERER)

    def __init__(self, index: int) -> None:
        adapter = adapters()[index]
        self._info = dict(adapter.info)
        limits, features = wanted(adapter)
        self._device = adapter.request_device_sync(required_limits=limits, required_features=features)
        self._batch = Batch(self._device)
        self._lock = threading.RLock()
        self._made = 0
        self.limits = limits_of(self._device)

    # ---- memory ----------------------------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Handle:
        """A buffer of ``nbytes``, at least one granule."""
        nbytes = max(nbytes, self.limits.allocation_granularity)
        if nbytes > self.limits.max_buffer:
            raise MemoryError(f"{self.name} has no buffer of {nbytes} bytes: {self.limits.max_buffer} is its largest")
        with self._errors(f"a buffer of {nbytes} bytes"):
            buffer = self._device.create_buffer(size=nbytes, usage=_USAGE)
            self._made += 1
            return Memory(buffer, nbytes, self._made)

    def release(self, handle: Handle) -> None:
        """Give a buffer back, once what was encoded with it is submitted."""
        with self._errors("giving a buffer back"):
            self._batch.submit()
            handle.buffer.destroy()

    def copy_in(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Host bytes to the device, after what is queued."""
        with self._errors("a copy to the device"):
            self._batch.submit()
            self._device.queue.write_buffer(handle.buffer, offset, data)

    def copy_out(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Device bytes to the host, after what is queued: through a buffer that is mapped."""
        with self._errors("a copy to the host"):
            self._batch.submit()
            found = self._device.queue.read_buffer(handle.buffer, offset, data.nbytes)
        data.cast("B")[:] = found

    def copy(self, dst: Handle, dst_offset: int, src: Handle, src_offset: int, nbytes: int) -> None:
        """Bytes within the device; within one buffer by way of another, as WebGPU wants."""
        with self._errors("a copy"):
            source, start = src.buffer, src_offset
            if src is dst:
                source, start = self._device.create_buffer(size=nbytes, usage=_USAGE), 0
                self._batch.copy(src.buffer, src_offset, source, 0, nbytes)
            self._batch.copy(source, start, dst.buffer, dst_offset, nbytes)

    def memory_info(self) -> tuple[int, int] | None:
        """WebGPU does not tell how much there is."""
        return None

    # ---- kernels ---------------------------------------------------------------------------------------------------
    def build(self, source: str, name: str) -> Kernel:
        """Compile WGSL; KernelBuildError shows the line that was refused.

        ``source`` declares its storage buffers as bindings 0, 1, … of group 0 in the order of the launch, and the packed
        scalars, where it takes any, as a ``var<uniform>`` behind them.
        """
        found = sorted((int(n), kind, access) for n, kind, access in _DECLARED.findall(source))
        entries = [_layout_entry(*each) for each in found]
        block = next((n for n, kind, _ in found if kind == "uniform"), -1)
        with self._lock:
            try:
                module = self._device.create_shader_module(code=source)
                layout = self._device.create_bind_group_layout(entries=entries)
                pipeline = self._device.create_compute_pipeline(
                    layout=self._device.create_pipeline_layout(bind_group_layouts=[layout]),
                    compute={"module": module, "entry_point": name},
                )
            except wgpu.GPUError as error:
                raise KernelBuildError(_explained(name, self.name, source, str(error)), source, str(error)) from error
        return Kernel(name, layout, pipeline, block)

    def launch(
        self,
        entry: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Arguments,
        stream: Any = None,
    ) -> None:
        """Encode a dispatch; the workgroup's size is part of the shader."""
        with self._errors(f"kernel {entry.name}"):
            slot = self._batch.slot(arguments.scalars) if entry.block >= 0 else None
            key = tuple(binding.handle.number for binding in arguments.bindings)
            group = entry.groups.get(key) or self._group(entry, key, arguments)
            self._batch.dispatch(entry.pipeline, group, slot, grid)

    def _group(self, entry: Kernel, key: tuple[int, ...], arguments: Arguments) -> Any:
        """The bind group of these buffers; the oldest are dropped."""
        entries = [_entry(n, b.handle.buffer, b.handle.nbytes) for n, b in enumerate(arguments.bindings)]
        if entry.block >= 0:
            entries.append(_entry(entry.block, self._batch.uniform, self._batch.slot_bytes))
        while len(entry.groups) >= _GROUPS:
            del entry.groups[next(iter(entry.groups))]
        made = entry.groups[key] = self._device.create_bind_group(layout=entry.layout, entries=entries)
        return made

    def synchronize(self) -> None:
        """Wait until all that was queued is done: a mapped buffer is the sign."""
        with self._errors("waiting"):
            self._batch.submit()
            self._device.queue.read_buffer(self._batch.uniform, 0, 4)

    def fingerprint(self) -> str:
        """Adapter, driver and wgpu: what a built kernel depends on beside its source."""
        return "|".join(str(self._info[k]) for k in ("device", "description", "backend_type")) + f"|wgpu {wgpu.__version__}"

    def close(self) -> None:
        """Drop the device and all its buffers."""
        with self._lock:
            self._batch.drop()
            self._device.destroy()

    # ---- errors ----------------------------------------------------------------------------------------------------
    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """One thread at a time, and wgpu's errors as those of the contract."""
        with self._lock:
            try:
                yield
            except wgpu.GPUOutOfMemoryError as error:
                raise MemoryError(f"{self.name} has no memory for {what} ({_first(error)})") from error
            except wgpu.GPUError as error:
                said = _first(error)
                if "lost" in str(error).lower():
                    self.lost = True
                    raise DeviceLost(f"{self.name} was lost while it worked on {what} ({said}); open it again") from error
                raise LaunchError(f"{self.name} refused {what} ({said})") from error


def _layout_entry(number: int, kind: str, access: str) -> dict[str, Any]:
    """How a declared binding is laid out; the scalars are at an offset that each launch gives."""
    if kind == "uniform":
        buffer: dict[str, Any] = {"type": "uniform", "has_dynamic_offset": True}
    else:
        buffer = {"type": "storage" if access == "read_write" else "read-only-storage"}
    return {"binding": number, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": buffer}


def _entry(number: int, buffer: Any, nbytes: int) -> dict[str, Any]:
    return {"binding": number, "resource": {"buffer": buffer, "offset": 0, "size": nbytes}}


def _first(error: Exception) -> str:
    """The innermost of wgpu's nested reasons, which stand on lines of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _explained(name: str, device: str, source: str, log: str) -> str:
    """The first error of a log, with the line of the source that it means."""
    said = re.search(r"error:\s*(.*)", log)
    place = re.search(r"wgsl:(\d+):\d+", log)
    what = said.group(1).strip() if said else log.strip().splitlines()[-1].strip()
    if place is None:
        return f"{device} could not build kernel {name}: {what}"
    lines, number = source.splitlines(), int(place.group(1))
    text = lines[number - 1].strip() if number <= len(lines) else "?"
    return f"{device} could not build kernel {name}: {what}, in line {number}: {text}"
