"""Bytes between the host and a device, and between two devices, for values of any layout.

Called by the core for ``tensor(...)``, ``numpy()``, ``item()`` and ``to()``, and by the host route
for the operands that it computes on. Below are a device's raw copies: bytes at an offset, in whole
units of its copy granularity.

Host arrays have the *logical* dtype; device memory has its *storage* form (`Limits.dtypes`). Where
the two differ, numbers are cast to the storage type, and a float that is stored as an unsigned
integer is its bit pattern, filled up with zeros: bfloat16 in uint32 is the low half of the word.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .context import state

if TYPE_CHECKING:
    from .device import Device
    from .dtypes import DType
    from .layout import Layout
    from .limits import DTypeClass
    from .memory import Block
    from .view import View

Array = np.ndarray[Any, Any]


# ---- the storage form ----------------------------------------------------------------------------
def encode(array: Array, dtype: DType, kept: DTypeClass) -> Array:
    """``array`` of the logical ``dtype`` as the elements that a device stores for it."""
    if kept.storage is dtype:
        return array
    if _as_bits(dtype, kept):
        array = array.view(np.dtype(f"u{dtype.itemsize}"))
    return array.astype(kept.storage.numpy)


def decode(stored: Array, dtype: DType, kept: DTypeClass) -> Array:
    """What `encode` was given: elements in their storage form as an array of ``dtype``."""
    if kept.storage is dtype:
        return stored
    if _as_bits(dtype, kept):
        return stored.astype(np.dtype(f"u{dtype.itemsize}")).view(dtype.numpy)
    return stored.astype(dtype.numpy)


def _as_bits(dtype: DType, kept: DTypeClass) -> bool:
    return dtype.kind == "f" and kept.storage.kind == "u"


# ---- host and device -----------------------------------------------------------------------------
def write(view: View, array: Array) -> None:
    """Copy a host array into ``view``, in the order of the current stream.

    ``array`` has the view's shape and dtype (ValueError and TypeError show both); it may be reused
    on return. Elements between those of a strided view keep their values. The block's version is
    the caller's to count.
    """
    layout, device, block = view._layout, view._layout.device, view._block
    if array.dtype != layout.dtype.numpy:
        raise TypeError(f"an array of {array.dtype} cannot be written to a value of {layout.dtype}")
    if array.shape != layout.shape:
        raise ValueError(f"an array of shape {array.shape} cannot be written to {layout}")
    device.require()
    if not layout.size:
        return
    if state.context.recording:
        state.recorder.stop("a copy from the host")
    kept = device.limits.dtype_class(layout.dtype)
    stored, item = encode(array, layout.dtype, kept), kept.storage.itemsize
    start, span = view._offset * item, layout.span * item
    _note_use(device, block)
    if device.host_visible:
        device.synchronize()
        _window(device.host_bytes(block.handle), start, layout, kept)[...] = stored
    elif layout.is_dense:
        _write_bytes(device, block, start, _bytes(stored))
    else:
        memory = _read_bytes(device, block, start, span)
        _window(memory, 0, layout, kept)[...] = stored
        _write_bytes(device, block, start, memory)


def read(view: View) -> Array:
    """A new host array with the view's elements, after all work that was queued before.

    Raises what a kernel has left in the device's status word: `DeviceIndexError` or `DeviceValueError`, with op and line.
    """
    layout, device, block = view._layout, view._layout.device, view._block
    device.require()
    if state.context.recording:
        state.recorder.stop("a value read on the host (item(), print, a branch on a tensor …)")
    if not layout.size:
        return np.empty(layout.shape, layout.dtype.numpy)
    kept = device.limits.dtype_class(layout.dtype)
    item = kept.storage.itemsize
    _note_use(device, block)
    if device.host_visible:
        device.synchronize()
        if device.numpy_handles and kept.storage is layout.dtype:  # then an array is what kernels take
            stored = view.native().copy()
        else:
            stored = _window(device.host_bytes(block.handle), view._offset * item, layout, kept).copy()
    else:
        memory = _read_bytes(device, block, view._offset * item, layout.span * item)
        stored = _window(memory, 0, layout, kept)
        if not (layout.is_dense and memory.base is None):
            stored = stored.copy()
    _check_status(device)
    return decode(stored, layout.dtype, kept)


def read_number(view: View) -> Any:
    """The one element of ``view`` as a Python number; `read` else. Small blocks of the host are asked as they are."""
    block, layout = view._block, view._layout
    device = layout.device
    if type(block) is not device.pool.block_type or block.handle.dtype is not layout.dtype.numpy or state.context.recording:
        return read(view).item()
    device.require()
    device.synchronize()
    value = block.handle.item(view._offset)
    _check_status(device)
    return value


def copy_view(dst: View, src: View) -> None:
    """Copy ``src`` into ``dst``, on one device or between two; shapes and dtypes are equal.

    Whole ranges go from device to device where that is possible, all else through the host. For
    views that overlap, all of ``src`` is read before ``dst`` is written.
    """
    to, of = dst._layout, src._layout
    if to.shape != of.shape or to.dtype is not of.dtype:
        raise ValueError(f"{of} cannot be copied into {to}: shapes and dtypes must be equal")
    if state.context.recording:
        state.recorder.stop("a copy between two devices")
    to.device.require()
    of.device.require()
    if to.size and not (to.is_dense and of.is_dense and _copy_range(dst, src)):
        write(dst, read(src))


def _copy_range(dst: View, src: View) -> bool:
    """Copy from one dense value to another without the host; False if it cannot be done."""
    device, source = dst._layout.device, src._layout.device
    kept = device.limits.dtype_class(dst._layout.dtype)
    if source.limits.dtype_class(dst._layout.dtype).storage is not kept.storage:
        return False
    item = kept.storage.itemsize
    to, of, nbytes = dst._offset * item, src._offset * item, dst._layout.size * item
    unit = max(device.limits.copy_granularity, source.limits.copy_granularity)
    if to % unit or of % unit or nbytes % unit:
        return False
    _note_use(device, dst._block)
    _note_use(source, src._block)
    if device is source:
        if dst._block is src._block and abs(to - of) < nbytes:
            return False
        device.copy(dst._block.handle, to, src._block.handle, of, nbytes)
        return True
    source.synchronize()  # two devices have no common order of work
    handles = dst._block.handle, src._block.handle
    if not device.copy_peer(handles[0], to, source, handles[1], of, nbytes):
        return False
    device.synchronize()
    return True


# ---- bytes ---------------------------------------------------------------------------------------
def _write_bytes(device: Device, block: Block, start: int, data: Array) -> None:
    """Write ``data`` (uint8) at byte ``start``; what shares a copy unit with it keeps its value."""
    unit = device.limits.copy_granularity
    end = start + data.nbytes
    low, high = start // unit * unit, -(-end // unit) * unit
    if (low, high) != (start, end):
        staging = np.empty(high - low, np.uint8)
        if low != start:
            device.copy_out(block.handle, low, staging[:unit].data)
        if high != end:
            device.copy_out(block.handle, high - unit, staging[-unit:].data)
        staging[start - low : end - low] = data
        data = staging
    device.copy_in(block.handle, low, data.data)


def _read_bytes(device: Device, block: Block, start: int, nbytes: int) -> Array:
    """``nbytes`` from byte ``start`` on as a uint8 array, which owns its memory if it was exact."""
    unit = device.limits.copy_granularity
    low, high = start // unit * unit, -(-(start + nbytes) // unit) * unit
    staging = np.empty(high - low, np.uint8)
    device.copy_out(block.handle, low, staging.data)
    return staging if high - low == nbytes else staging[start - low : start - low + nbytes]


def _window(memory: Array, start: int, layout: Layout, kept: DTypeClass) -> Array:
    """The elements of ``layout`` in the uint8 array ``memory``, from byte ``start`` on."""
    item = kept.storage.itemsize
    strides = tuple(stride * item for stride in layout.strides)
    return np.ndarray(layout.shape, kept.storage.numpy, memory, start, strides)


def _bytes(array: Array) -> Array:
    """The elements of ``array`` in row-major order as uint8 (extension types export no buffer)."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _note_use(device: Device, block: Block) -> None:
    if device.streams:
        block.pool.note_use(block, device.current_stream())


def _check_status(device: Device) -> None:
    """Raise what kernels have noted. Only a process that has built such a kernel has the module."""
    status = sys.modules.get(f"{__package__}.status")
    if status is not None:
        status.check(device)
