"""What a WebGPU device declares: the adapter's limits, and WebGPU's dtype classes.

`wanted` is what is asked of the adapter when a device is opened (WebGPU grants its guaranteed minimum otherwise),
`limits_of` what the contract is told.
"""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.limits import DTypeClass, Limits, emulated, refused

HALVES = "shader-f16"
GRANULE = 256  # of binding offsets, in WebGPU's guaranteed limits
SCALARS = 4096  # bytes of a launch's scalars: a slot of the uniform buffer is no larger

_WANTED = (
    "max-buffer-size", "max-storage-buffer-binding-size", "max-storage-buffers-per-shader-stage",
    "max-compute-workgroup-storage-size", "max-compute-invocations-per-workgroup", "max-compute-workgroup-size-x",
    "max-compute-workgroup-size-y", "max-compute-workgroup-size-z", "max-compute-workgroups-per-dimension",
)  # fmt: skip


def wanted(adapter: Any) -> tuple[dict[str, int], list[str]]:
    """The limits and features that a device is opened with: the adapter's, where kernels profit."""
    return {name: adapter.limits[name] for name in _WANTED}, [HALVES] if HALVES in adapter.features else []


def limits_of(device: Any) -> Limits:
    """What an open wgpu device can do. A driver for the CPU runs work-items in the lanes of its vectors, as a GPU does."""
    given = device.limits
    largest = min(given["max-buffer-size"], given["max-storage-buffer-binding-size"])
    grid = given["max-compute-workgroups-per-dimension"]
    x, y, z = (given[f"max-compute-workgroup-size-{d}"] for d in "xyz")
    half = dt.float16 if HALVES in device.features else dt.uint32
    return Limits(
        allocation_granularity=GRANULE,
        binding_granularity=GRANULE,
        copy_granularity=4,
        max_buffer=largest // GRANULE * GRANULE,
        max_binding=largest // GRANULE * GRANULE,
        max_bindings=min(given["max-storage-buffers-per-shader-stage"], 64),
        max_argument_bytes=SCALARS - 16,
        max_workgroup=min(given["max-compute-invocations-per-workgroup"], 256),
        max_workgroup_dims=(min(x, 256), min(y, 256), min(z, 64)),
        max_grid=(grid, grid, grid),
        workgroup_memory=given["max-compute-workgroup-storage-size"],
        lanes=32,
        vector_bytes=4,  # a shader has no wider access to a word array
        index_bits=32,
        mixed_buffers=False,  # a shader declares a buffer with one type of elements
        contraction_off=False,
        dtypes={
            dt.bool_: DTypeClass("stored", dt.uint32, dt.bool_),
            dt.float16: DTypeClass("stored", half, dt.float32),
            dt.bfloat16: DTypeClass("stored", dt.uint32, dt.float32),
            **{d: DTypeClass("stored", dt.uint32, dt.uint32) for d in (dt.uint8, dt.uint16)},
            **{d: DTypeClass("stored", dt.int32, dt.int32) for d in (dt.int8, dt.int16)},
            **{d: emulated(d) for d in (dt.int64, dt.uint64)},
            dt.float64: refused(dt.float64, "WebGPU has no 64-bit floats: use float32, or another device"),
        },
    )
