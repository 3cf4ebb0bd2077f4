"""What a GPU can do, as the contract's `Limits`, from the driver's attributes."""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.limits import DTypeClass, Limits

BINDINGS = 64
_ARGUMENTS = 4096  # bytes that every architecture takes
_POINTER = 8
STATIC_SHARED = 48 * 1024
"""Shared memory that a kernel may declare; more is dynamic, and asked for at the launch."""

DTYPES = {
    dt.bool_: DTypeClass("stored", dt.uint8, dt.bool_),
    dt.float16: DTypeClass("stored", dt.float16, dt.float32),
    dt.bfloat16: DTypeClass("stored", dt.uint16, dt.float32),
}


def limits_of(attribute: Any, names: Any, memory: int) -> Limits:
    """The limits of a GPU with ``memory`` bytes; ``attribute(x)`` gives its value of an attribute in ``names``."""
    return Limits(
        allocation_granularity=256,
        max_buffer=memory,
        max_binding=memory,
        max_bindings=BINDINGS,
        max_argument_bytes=_ARGUMENTS - BINDINGS * _POINTER,
        max_workgroup=attribute(names.MAX_THREADS_PER_BLOCK),
        max_workgroup_dims=(
            attribute(names.MAX_BLOCK_DIM_X), attribute(names.MAX_BLOCK_DIM_Y), attribute(names.MAX_BLOCK_DIM_Z),
        ),
        max_grid=(
            attribute(names.MAX_GRID_DIM_X), attribute(names.MAX_GRID_DIM_Y), attribute(names.MAX_GRID_DIM_Z),
        ),
        workgroup_memory=min(attribute(names.MAX_SHARED_MEMORY_PER_BLOCK), STATIC_SHARED),
        lanes=attribute(names.WARP_SIZE),
        compute_units=attribute(names.MULTIPROCESSOR_COUNT),
        memory=memory,
        dtypes=DTYPES,
    )  # fmt: skip


TYPICAL = Limits(
    allocation_granularity=256,
    max_argument_bytes=_ARGUMENTS - BINDINGS * _POINTER,
    workgroup_memory=STATIC_SHARED,
    compute_units=108,
    dtypes=DTYPES,
)
"""An ordinary GPU's limits, for compiling kernels where there is none."""
