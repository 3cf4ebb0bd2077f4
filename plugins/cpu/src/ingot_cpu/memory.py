"""Raw host memory: uint8 arrays on 64-byte boundaries, on huge pages from 2 MiB on.

Below the pool: called when no free block fits. What costs time in large elementwise work is not the arithmetic but
the page faults of fresh memory (16 384 for 64 MiB of small pages): huge pages take one fault for 512, and the pool's
reuse takes none.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

ALIGNMENT = 64  # a cache line, and the widest vector
HUGE = 2 << 20  # the huge page of x86-64 and of 4 KiB-granule AArch64

_MAPS = hasattr(mmap, "MAP_ANONYMOUS") and hasattr(mmap, "MADV_HUGEPAGE")


def allocate(nbytes: int) -> Bytes:
    """``nbytes`` of host memory, uninitialised; MemoryError when the system has none."""
    return _huge(nbytes) if _MAPS and nbytes >= HUGE else aligned(np.empty(nbytes + ALIGNMENT, np.uint8), ALIGNMENT, nbytes)


def aligned(memory: Bytes, alignment: int, nbytes: int) -> Bytes:
    """The first ``nbytes`` of ``memory`` from a multiple of ``alignment`` on."""
    start = -memory.__array_interface__["data"][0] % alignment
    return memory[start : start + nbytes]


def _huge(nbytes: int) -> Bytes:
    """Private anonymous memory on a huge-page boundary; the map is undone when the last array on it is gone."""
    try:
        pages = mmap.mmap(-1, nbytes + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"the system gave no {nbytes} bytes: {error}") from error
    try:
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel built without them: the memory is as good, with more page faults
        return aligned(np.frombuffer(pages, np.uint8), ALIGNMENT, nbytes)
    return aligned(np.frombuffer(pages, np.uint8), HUGE, nbytes)
