"""What a device can do, as a declared record.

Planner, pool and schedules obey it: launches are split, grids folded, sizes rounded. Read by `memory`, `codegen`
and the test-suite; written by each backend's `Device`. Every field has a default that fits an ordinary
64-bit device, so a backend names only what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal

from . import dtypes as dt
from .dtypes import DType


@dataclass(frozen=True)
class DTypeClass:
    """How a device keeps one dtype.

    ``kind``: *native* (stored and computed as it is), *stored* (kept in ``storage`` elements and computed in
    ``compute``), *emulated* (computed by several operations of narrower types: `emulated`) or *refused*.
    """

    kind: Literal["native", "stored", "emulated", "refused"]
    storage: DType
    compute: DType
    reason: str = ""


@cache
def native(d: DType) -> DTypeClass:
    """``d`` as it is."""
    return DTypeClass("native", d, d)


@cache
def emulated(d: DType) -> DTypeClass:
    """A 64-bit integer that generated kernels compute as a pair of 32-bit words, low word first, as the host keeps it."""
    return DTypeClass("emulated", d, d)


def refused(d: DType, reason: str) -> DTypeClass:
    """No kernel of this device takes ``d``, for a ``reason`` that ``ingot explain`` and conformance tell: what is computed in
    it runs on the host."""
    return DTypeClass("refused", d, d, reason)


@dataclass(frozen=True)
class Limits:
    """The declared abilities and bounds of one device. Sizes are bytes unless said otherwise."""

    allocation_granularity: int = 64  # every allocation is a multiple of this, and is aligned to it
    binding_granularity: int = 1  # a binding's base offset must be a multiple of this
    copy_granularity: int = 1  # offsets and sizes of copies are multiples of this
    max_buffer: int = 1 << 48  # largest single allocation
    max_binding: int = 1 << 48  # largest extent that one binding can reach
    max_bindings: int = 64  # buffers per launch
    max_argument_bytes: int = 4096  # the packed block of scalars
    max_workgroup: int = 1024  # work-items of a workgroup
    max_workgroup_dims: tuple[int, int, int] = (1024, 1024, 64)
    max_grid: tuple[int, int, int] = (2**31 - 1, 65535, 65535)  # workgroups per dimension
    workgroup_memory: int = 32768
    lanes: int = 32  # work-items that run in step; 1 says: prefer one work-item per row, no barriers
    vector_bytes: int = 16  # widest useful access of one work-item; allocations are aligned to it
    compute_units: int = 1
    index_bits: int = 64
    suballocate: bool = True  # a block may be cut from a larger allocation
    mixed_buffers: bool = True  # a kernel may see elements of several sizes in one allocation
    contraction_off: bool = True  # the compiler can be told not to contract a*b+c
    memory: int | None = None  # total device memory, where it is known
    dtypes: Mapping[DType, DTypeClass] = field(default_factory=dict)  # only what is not native

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtypes", MappingProxyType(dict(self.dtypes)))

    def dtype_class(self, d: DType) -> DTypeClass:
        """How this device keeps ``d``; native unless declared otherwise."""
        found = self.dtypes.get(d)
        return native(d) if found is None else found

    def storage_itemsize(self, d: DType) -> int:
        """Bytes that one element of ``d`` takes in device memory."""
        return self.dtype_class(d).storage.itemsize

    def buffer_class(self, d: DType) -> int:
        """Elements of one class may share a buffer: all of them, or those that kernels load as many bytes at once of (a word,
        where a dtype is emulated by words)."""
        if self.mixed_buffers:
            return 0
        return 4 if self.dtype_class(d).kind == "emulated" else self.storage_itemsize(d)


WEBGPU = Limits(
    allocation_granularity=256,
    binding_granularity=256,
    copy_granularity=4,
    max_buffer=256 << 20,
    max_binding=128 << 20,
    max_bindings=8,
    max_argument_bytes=65536,
    max_workgroup=256,
    max_workgroup_dims=(256, 256, 64),
    max_grid=(65535, 65535, 65535),
    workgroup_memory=16384,
    vector_bytes=4,
    index_bits=32,
    mixed_buffers=False,
    contraction_off=False,
    dtypes={
        dt.bool_: DTypeClass("stored", dt.uint32, dt.uint32),
        **{d: DTypeClass("stored", dt.uint32, dt.float32) for d in (dt.float16, dt.bfloat16)},
        **{d: DTypeClass("stored", dt.uint32, dt.uint32) for d in (dt.uint8, dt.uint16)},
        **{d: DTypeClass("stored", dt.int32, dt.int32) for d in (dt.int8, dt.int16)},
        **{d: emulated(d) for d in (dt.int64, dt.uint64)},
        dt.float64: refused(dt.float64, "WebGPU has no 64-bit floats"),
    },
)  # fmt: skip
"""WebGPU's guaranteed limits (W3C WebGPU, section 3.6.2), as a device may declare them."""
