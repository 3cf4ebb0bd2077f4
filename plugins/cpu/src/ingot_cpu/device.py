"""The CPU as a device: memory is NumPy's, a kernel's operand is a NumPy array, and every call is done when it returns.

Opened by the backend in ``ingot_cpu``; kernels come from ``ingot_cpu.kernels`` (registered) and from the NumPy code
generator of the contract.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ingot_devices.device import Device
from ingot_devices.limits import Limits
from ingot_devices.memory.block import held_bytes

from . import memory

if TYPE_CHECKING:
    from ingot_devices.layout import Layout
    from ingot_devices.memory import Block


class CpuDevice(Device):
    """Host memory and NumPy. Handles are NumPy arrays: the pool's own uint8 ones, or any that a ufunc made.

    A native view is an array of the operand's shape, strides and dtype; it keeps its block alive by itself.
    """

    limits = Limits(
        allocation_granularity=16,  # what malloc promises; blocks from 64 KiB on lie on 64 bytes
        lanes=1,
        vector_bytes=memory.ALIGNMENT,
        compute_units=os.cpu_count() or 1,
        max_workgroup=1,
        max_workgroup_dims=(1, 1, 1),
        workgroup_memory=0,
    )
    host_visible: ClassVar[bool] = True
    numpy_handles: ClassVar[bool] = True

    def allocate(self, nbytes: int) -> Any:
        return memory.allocate(nbytes)

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
        """The memory as uint8. Through a view, not a buffer: extension types (bfloat16) export none."""
        if handle.dtype == np.uint8 and handle.ndim == 1:
            return handle  # type: ignore[no-any-return]
        return handle.reshape(-1).view(np.uint8)  # type: ignore[no-any-return]

    def view(self, block: Block, layout: Layout, offset: int) -> Any:
        """An array of ``layout`` that begins ``offset`` elements into ``block``, and owns the block."""
        dtype = layout.dtype.numpy
        if not layout.size:
            return np.empty(layout.shape, dtype)
        handle = block.handle
        if handle.dtype == np.uint8 and handle.ndim == 1:
            buffer = held_bytes(block)
        else:
            buffer = self.host_bytes(handle)
        item = dtype.itemsize
        if layout.is_dense:
            return np.ndarray(layout.shape, dtype, buffer, offset * item)
        strides = tuple(s * item for s in layout.strides)
        return np.ndarray(layout.shape, dtype, buffer, offset * item, strides)

    def memory_info(self) -> tuple[int, int] | None:
        """(available, total) bytes of the machine, where the system tells them."""
        names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
        if "SC_AVPHYS_PAGES" not in names or "SC_PHYS_PAGES" not in names:
            return None
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
