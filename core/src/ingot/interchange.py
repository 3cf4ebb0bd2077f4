"""Tensors shared with other libraries of the process, without a copy: DLPack, and the array interface of device memory.

Beside the eager flow. On the host NumPy speaks DLPack for us; for any other memory the structures are made and read here
(DLPack 0.8, https://dmlc.github.io/dlpack/latest/c_api.html), and the contract's `Device` gives addresses and keeps
streams in order. Which memory is meant is the backend's `dlpack_type`: nothing here knows a device.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType
from ingot_devices.layout import Layout, dense_strides

from .base import TensorBase
from .cuda import KIND as NAMED_FOR
from .devices import open_device
from .lazy import discovery

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_BFLOAT = 4
_HOST = 1
_NAME, _USED = b"dltensor", b"used_dltensor"


class _Array(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)), ("offset", ctypes.c_uint64),
    ]  # fmt: skip


class _Managed(ctypes.Structure):
    """DLManagedTensor."""


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [("array", _Array), ("context", ctypes.c_void_p), ("deleter", _Deleter)]
_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_api = ctypes.pythonapi
_new = _api.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, _Destructor]
_valid = _api.PyCapsule_IsValid
_valid.restype, _valid.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
_valid_raw = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_pointer = _api.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_pointer_raw = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_rename = _api.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]

_exported: dict[int, tuple[Any, ...]] = {}  # by the address of the structure: what must live as long as it does


def _done(managed: Any) -> None:
    """The consumer gives it back."""
    _exported.pop(ctypes.addressof(managed.contents), None)


def _gone(capsule: int) -> None:
    """The capsule goes; if nobody took what it holds, that goes too."""
    if _valid_raw(capsule, _NAME):
        _exported.pop(_pointer_raw(capsule, _NAME), None)


_delete, _destroy = _Deleter(_done), _Destructor(_gone)


# ---- out -------------------------------------------------------------------------------------------------------------
def device_of_memory(tensor: TensorBase) -> tuple[int, int]:
    """DLPack's (device type, number); (1, 0) is the host."""
    device = tensor._layout.device
    kind = discovery.dlpack_type(device.kind)
    return (kind, device.index) if kind else (_HOST, 0)


def address_of(tensor: TensorBase) -> int:
    """The address of the first element."""
    layout = tensor._layout
    item = layout.device.limits.dtype_class(layout.dtype).storage.itemsize
    return int(layout.device.address(tensor._block.handle)) + tensor._offset * item if layout.size else 0


def export(tensor: Any, stream: Any, options: Mapping[str, Any]) -> Any:
    """A DLPack capsule over the tensor's memory; the consumer's ``stream`` (-1: none) waits for what is queued on it.

    The host's memory goes out through NumPy, with the protocol's other ``options``.
    """
    if device_of_memory(tensor)[0] == _HOST:
        return tensor.numpy().__dlpack__(**{k: v for k, v in options.items() if v is not None})
    layout, device = tensor._layout, tensor._layout.device
    device.require()
    if stream != -1:
        device.hand_over(stream)
    n = len(layout.shape)
    shape, strides = (ctypes.c_int64 * n)(*layout.shape), (ctypes.c_int64 * n)(*layout.strides)
    managed = _Managed()
    kind, number = device_of_memory(tensor)
    code = _BFLOAT if layout.dtype is dt.bfloat16 else _CODES[layout.dtype.kind]
    managed.array = _Array(address_of(tensor), kind, number, n, code, 8 * layout.dtype.itemsize, 1,
                           ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)),
                           ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64)), 0)  # fmt: skip
    managed.deleter = _delete
    place = ctypes.addressof(managed)
    _exported[place] = (managed, shape, strides, tensor._block)
    return _new(place, _NAME, _destroy)


def array_interface(tensor: TensorBase) -> dict[str, Any]:
    """The array interface of device memory (Numba's protocol, version 3): address, shape, strides in bytes, stream.

    AttributeError on other backends than the one that it is named for, so that ``hasattr`` says no.
    """
    layout, device = tensor._layout, tensor._layout.device
    if device.kind != NAMED_FOR:
        raise AttributeError(f"the memory of {device.name} has no such interface; use DLPack")
    if layout.dtype is dt.bfloat16:
        raise AttributeError("the array interface has no name for bfloat16; use DLPack")
    item = layout.dtype.itemsize
    return {
        "shape": layout.shape,
        "typestr": layout.dtype.numpy.str,
        "data": (address_of(tensor), False),
        "strides": None if layout.is_dense else tuple(s * item for s in layout.strides),
        "stream": device.stream_number(),
        "version": 3,
    }


# ---- in --------------------------------------------------------------------------------------------------------------
def adopt(source: Any) -> Any:
    """A tensor over the memory of ``source``, which speaks DLPack for memory that is not the host's.

    BufferError where no usable backend knows that memory, or the layout or dtype is not one that a tensor has.
    """
    kind, number = source.__dlpack_device__()
    found = discovery.of_dlpack(int(kind))
    if found is None:
        raise BufferError(f"no usable backend has memory of DLPack's device type {int(kind)}; copy it to the host first")
    device = open_device(f"{found}:{int(number)}")
    capsule = source.__dlpack__(stream=device.stream_number())
    if not _valid(capsule, _NAME):
        raise BufferError(f"{type(source).__name__}.__dlpack__ gave no capsule of DLPack 0.x")
    place = _pointer(capsule, _NAME)
    array = _Managed.from_address(place).array
    _rename(capsule, _USED)
    owner = _Owner(place)  # from here on it is ours to give back
    if (array.device_type, array.device_id) != (int(kind), int(number)):
        raise BufferError(f"{type(source).__name__} says that it is on {(int(kind), int(number))}, and its memory on "
                          f"{(array.device_type, array.device_id)}")  # fmt: skip
    shape = tuple(array.shape[: array.ndim])
    strides = tuple(array.strides[: array.ndim]) if array.strides else dense_strides(shape)
    return _over(device, (array.data or 0) + array.offset, shape, strides, _dtype(array), owner)


def adopt_interface(source: Any, interface: Mapping[str, Any]) -> Any:
    """A tensor over the memory that ``source`` describes by an array ``interface``."""
    import numpy

    device = open_device(NAMED_FOR)
    dtype = dt.from_numpy(numpy.dtype(interface["typestr"]))
    shape = tuple(interface["shape"])
    given = interface.get("strides")
    if given is not None and any(s % dtype.itemsize for s in given):
        raise BufferError(f"strides of {given} bytes are no whole elements of {dtype.name}")
    strides = dense_strides(shape) if given is None else tuple(s // dtype.itemsize for s in given)
    device.take_over(interface.get("stream"))
    return _over(device, interface["data"][0], shape, strides, dtype, source)


def _over(device: Any, address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType, owner: Any) -> Any:
    if any(s < 0 for s in strides):
        raise BufferError(f"strides {strides}: a tensor's are not negative; make it contiguous first")
    layout = Layout.of(shape, strides, dtype, device)
    if not layout.size:
        return TensorBase.kind.make(device.pool.allocate(0), layout)
    if address % dtype.itemsize:
        raise BufferError(f"the memory of {dtype.name} begins at an address that is no multiple of {dtype.itemsize}")
    handle = device.share_in(address)
    offset = (address - device.address(handle)) // dtype.itemsize
    return TensorBase.kind.make(device.pool.foreign(handle, owner), layout, offset)


class _Owner:
    """What another library lent: told when it may have it back."""

    def __init__(self, place: int) -> None:
        self.place = place

    def __del__(self) -> None:
        managed = _Managed.from_address(self.place)
        if managed.deleter:
            managed.deleter(ctypes.pointer(managed))


def _dtype(array: _Array) -> DType:
    for d in dt.ALL:
        code = _BFLOAT if d is dt.bfloat16 else _CODES.get(d.kind)
        if (code, 8 * d.itemsize) == (array.code, array.bits) and array.lanes == 1:
            return d
    raise BufferError(f"no dtype has DLPack's code {array.code} with {array.bits} bits in {array.lanes} lanes")
