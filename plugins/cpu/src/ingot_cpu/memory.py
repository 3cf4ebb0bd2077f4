"""Raw host memory: uint8 arrays on 64-byte boundaries, on huge pages from 2 MiB on.

Below the pool: called when no free block fits. What costs time in large elementwise work is not
the arithmetic but the page faults of fresh memory (16 384 for 64 MiB of small pages): huge pages
take one fault for 512, and the pool's reuse takes none.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

ALIGNMENT = 64  # a cache line, and the widest vector
HUGE = 2 << 20  # the huge page of x86-64, and of AArch64 with pages of 4 KiB

_HUGE_PAGES = hasattr(mmap, "MAP_ANONYMOUS") and hasattr(mmap, "MADV_HUGEPAGE")


def allocate(nbytes: int) -> Bytes:
    """``nbytes`` of host memory, uninitialised; MemoryError when the system has none."""
    if _HUGE_PAGES and nbytes >= HUGE:
        return _on_huge_pages(nbytes)
    return _aligned(np.empty(nbytes + ALIGNMENT, np.uint8), ALIGNMENT, nbytes)


def _aligned(memory: Bytes, alignment: int, nbytes: int) -> Bytes:
    """The first ``nbytes`` of ``memory`` that begin at a multiple of ``alignment``."""
    start = -memory.__array_interface__["data"][0] % alignment
    return memory[start : start + nbytes]


def _on_huge_pages(nbytes: int) -> Bytes:
    """Private anonymous memory; the map is undone when the last array on it is gone."""
    try:
        pages = mmap.mmap(-1, nbytes + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"the system has no {nbytes} bytes of memory: {error}") from error
    try:
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them: as good, with more page faults
        return _aligned(np.frombuffer(pages, np.uint8), ALIGNMENT, nbytes)
    return _aligned(np.frombuffer(pages, np.uint8), HUGE, nbytes)
