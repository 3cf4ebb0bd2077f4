"""The CPU as a device: memory is NumPy's, an operand is a NumPy array, a call is done on return.

Opened by the backend in ``ingot_cpu``; the kernels are registered by that package too, and what
has no registered kernel is generated: natively, or as NumPy source (`ingot_cpu.native.codegen`).
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ingot_devices.device import Device
from ingot_devices.limits import Limits
from ingot_devices.memory.block import HostMemory, held

from . import memory
from .native.codegen import CpuCodegen
from .native.jit import NoLLVM, jit

if TYPE_CHECKING:
    from ingot_devices.layout import Layout
    from ingot_devices.memory import Block


class CpuDevice(Device):
    """Host memory and NumPy. Handles are NumPy arrays: uint8 ones, or any that a ufunc made.

    A native view is an array with the operand's shape, strides and dtype; it owns the block where that is pooled.
    """

    limits = Limits(
        allocation_granularity=16,  # what malloc gives; blocks from 64 KiB on lie on 64 bytes
        lanes=1,
        vector_bytes=memory.ALIGNMENT,
        compute_units=os.cpu_count() or 1,
        max_workgroup=1,
        max_workgroup_dims=(1, 1, 1),
        workgroup_memory=0,
    )
    codegen: ClassVar[Any] = CpuCodegen()
    host_visible: ClassVar[bool] = True
    numpy_handles: ClassVar[bool] = True

    def allocate(self, nbytes: int) -> Any:
        return memory.allocate(nbytes).view(HostMemory)

    def release(self, handle: Any) -> None:
        """Nothing: the memory goes when the last array on it does."""

    def copy_in(self, handle: Any, offset: int, data: memoryview) -> None:
        self.host_bytes(handle)[offset : offset + data.nbytes] = np.frombuffer(data, np.uint8)

    def copy_out(self, handle: Any, offset: int, data: memoryview) -> None:
        np.frombuffer(data, np.uint8)[:] = self.host_bytes(handle)[offset : offset + data.nbytes]

    def copy(self, dst: Any, dst_offset: int, src: Any, src_offset: int, nbytes: int) -> None:
        source = self.host_bytes(src)[src_offset : src_offset + nbytes]
        self.host_bytes(dst)[dst_offset : dst_offset + nbytes] = source

    def synchronize(self) -> None:
        """Nothing is ever queued."""

    def host_bytes(self, handle: Any) -> np.ndarray[Any, Any]:
        """The memory as uint8. By a view, not a buffer: extension types (bfloat16) export none."""
        return handle.reshape(-1).view(np.uint8)  # type: ignore[no-any-return]

    def view(self, block: Block, layout: Layout, offset: int) -> Any:
        """An array of ``layout``, ``offset`` elements into ``block``, whose memory it keeps alive."""
        dtype = layout.dtype.numpy
        if not layout.size:
            return np.empty(layout.shape, dtype)
        handle = block.handle
        if handle.dtype.kind == "V":  # exports no buffer
            handle = self.host_bytes(handle)
        if type(handle) is HostMemory:  # it is used again when the block is gone; other arrays have memory of their own
            handle = held(block, handle)
        itemsize = dtype.itemsize
        if layout.is_dense:
            return np.ndarray(layout.shape, dtype, handle, offset * itemsize)
        strides = tuple([stride * itemsize for stride in layout.strides])
        return np.ndarray(layout.shape, dtype, handle, offset * itemsize, strides)

    def window(self, handle: Any, offset: int, nbytes: int) -> Any:
        """A slice of the array."""
        return self.host_bytes(handle)[offset : offset + nbytes].view(HostMemory)

    def fingerprint(self) -> str:
        """Processor and code generator: a home folder may be shared by machines, and what was tuned on one is of one."""
        try:
            return f"cpu/{jit().fingerprint()}/{os.cpu_count()}"
        except NoLLVM:
            return f"cpu/numpy {np.__version__}/{platform.machine()}/{platform.processor()}/{os.cpu_count()}"

    def memory_info(self) -> tuple[int, int] | None:
        """(available, total) bytes of the machine, where the system tells them."""
        names = getattr(os, "sysconf_names", {})
        if "SC_AVPHYS_PAGES" not in names or "SC_PHYS_PAGES" not in names:
            return None
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
