"""One NVIDIA GPU: memory as addresses, and kernels from generated CUDA C; its context and streams are in `streams`.

Opened by the backend (`CUDA.open`). A handle is an address, an int; what a launch passes is the addresses and then the
block of scalars, packed. Importing this module imports pycuda.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pycuda.driver as drv
from ingot_devices.cache import Cache, key
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.device import Arguments, Device, Handle
from ingot_devices.errors import LaunchError

from . import compiler, cublaslt, ranges, raw
from .dialect import RENDERER
from .limits import BINDINGS, limits_of
from .scope import HERE
from .staging import Staging
from .streams import StreamDevice

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


class CUDADevice(StreamDevice):
    """An open GPU, by the driver's index."""

    codegen = ScheduleCodegen(RENDERER)

    def __init__(self, index: int) -> None:
        super().__init__(index)
        names = drv.device_attribute
        self.capability: tuple[int, int] = self._device.compute_capability()
        self.limits = limits_of(self._device.get_attribute, names, self._device.total_memory())
        self.shared_most = int(self._device.get_attribute(names.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN))
        self._target = compiler.target(self.capability)
        self._allocations: dict[int, Any] = {}
        self._modules: list[Any] = []  # every kernel's; they live as long as the device
        self._workspaces: dict[int, int] = {}
        self._cache = Cache("cuda")
        self._staging = Staging()

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

    def address(self, handle: Handle) -> int:
        """A handle is an address."""
        return int(handle)

    def window(self, handle: Handle, offset: int, nbytes: int) -> Handle:
        """An address within the allocation."""
        return handle + offset

    def share_in(self, address: int) -> Handle:
        """The next aligned address before it; ValueError for memory of another GPU or another context."""
        if HERE.device is not self:
            self.enter()
        context, index = raw.home_of(address)
        if index != self.index or context not in (0, self.context.handle):
            raise ValueError(f"the memory at {address:#x} belongs to cuda:{index} and to "
                             f"{'another' if context != self.context.handle else 'this'} context; {self.name} uses its "
                             "primary context alone: make the other library do so, or copy through the host")  # fmt: skip
        return address - address % self.limits.vector_bytes  # in the same allocation: those are aligned to 256 bytes

    def _things(self) -> list[Any]:
        buffers = [b.memory.base for b in self._staging.buffers]
        return [*super()._things(), *self._allocations.values(), *self._modules, *buffers]

    def close(self) -> None:
        """Give everything back; tensors that still live are gone."""
        if not self.lost:
            self.synchronize()
            self._workspaces.clear()
            self._allocations.clear()
            self._staging = Staging()

    def copy_peer(
        self, dst: Handle, dst_offset: int, source: Device, src: Handle, src_offset: int, nbytes: int
    ) -> bool:
        """Bytes from another GPU: straight where the two reach each other, through the driver's staging where not."""
        if not isinstance(source, CUDADevice):
            return False
        if HERE.device is not self:
            self.enter()
        raw.copy_peer(dst + dst_offset, self.context, src + src_offset, source.context, nbytes, self._stream())
        return True

    def memory_info(self) -> tuple[int, int]:
        """(free, total) bytes, as the driver counts for all processes."""
        if HERE.device is not self:
            self.enter()
        free, total = drv.mem_get_info()
        return int(free), int(total)

    def push_range(self, name: str) -> None:
        """A range on NVTX's time line; ContractError where the package that hands it on is missing."""
        ranges.push(self.name, name)

    def pop_range(self) -> None:
        """The end of the innermost one."""
        ranges.pop(self.name)

    # ---- kernels ---------------------------------------------------------------------------------------------------
    def build(self, source: str, name: str, dynamic: int = 0) -> Kernel:
        """Compile CUDA C, or take the cubin that was kept; KernelBuildError shows the line that was refused."""
        if HERE.device is not self:
            self.enter()
        entry = key(source, self.fingerprint())
        kept = self._cache.get(entry)
        if kept is not None:
            try:
                return self._loaded(kept, name, dynamic)
            except drv.Error:  # what another driver wrote, or a damaged file
                self._cache.remove(entry)
        made = compiler.compile_source(source, name, self._target, where=self.name)
        try:
            kernel = self._loaded(made, name, dynamic)
        except drv.Error as error:
            raise self._typed(error, f"the built kernel {name}") from error
        self._cache.put(entry, made)
        return kernel

    def _loaded(self, binary: bytes, name: str, dynamic: int) -> Kernel:
        module = drv.module_from_buffer(binary)
        self._modules.append(module)
        return Kernel(module, name, dynamic)

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
            entry.launch(grid, block, packed, entry.dynamic, stream or self._default)
        except drv.Error as error:
            raise self._typed(error, f"kernel {entry.name}") from error

    def launcher(
        self,
        entry: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        accesses: tuple[str, ...],
        scalars: struct.Struct,
    ) -> Callable[..., None]:
        """`launch` with all decided beforehand: what is left at a call is to pack, and the driver's call."""
        if "launch" in vars(self):  # somebody watches launches
            return super().launcher(entry, grid, block, accesses, scalars)
        self._check(entry, grid, block)
        pack = struct.Struct(f"@{len(accesses)}Q{scalars.format.removeprefix('@')}").pack
        launch, dynamic, name, local, default = entry.launch, entry.dynamic, entry.name, self._local, self._default
        note = self.recent.append

        def queue(*given: Any) -> None:
            if HERE.device is not self:
                self.enter()
            note(name)
            try:
                launch(grid, block, pack(*given), dynamic, local.stream or default)
            except drv.Error as error:
                raise self._typed(error, f"kernel {name}") from error

        return queue

    def entering(self, name: str) -> int:
        """The current stream's handle, for a call of another library's ``name``; the device's context is current afterwards."""
        if HERE.device is not self:
            self.enter()
        self.recent.append(name)
        return int(self._stream().handle)

    def library(self, name: str) -> tuple[int, int]:
        """What a call of another library's ``name`` needs: the current stream's handle, and memory to work in.

        The device's context is current afterwards. Each stream has a workspace of its own, of `cublaslt.WORKSPACE`.
        """
        stream = self.entering(name)
        workspace = self._workspaces.get(stream)
        if workspace is None:
            workspace = self._workspaces[stream] = self.pool.raw(cublaslt.WORKSPACE)
        return stream, workspace

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

    def fingerprint(self) -> str:
        """Architecture, compiler and its options: what a kept cubin is good for."""
        return "|".join((self._target, str(compiler.version()), *compiler.OPTIONS))
