"""How many threads NumPy's own OpenBLAS takes for one product.

OpenBLAS wakes its threads from about a million multiply-adds on and lets them spin until all are done: where another
process has the core, a product of 20 µs takes 20 ms. Below `ALONE` one thread is at most 60 µs slower than two, so a small
product takes one. Used by `host_matmul`; nothing is changed where NumPy brings another BLAS.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ALONE = 8_000_000
"""Multiply-adds of the largest product that is computed by the calling thread alone."""


TINY = 262_144
"""OpenBLAS itself takes one thread up to here (its ``SMP_THRESHOLD_MIN`` times ``GEMM_MULTITHREAD_THRESHOLD``)."""


def alone(function: Callable[..., Any], extents: Sequence[int]) -> Callable[..., Any]:
    """``function``, which does one product over axes of ``extents``, on one thread where that is small."""
    set_threads = _set_threads()
    if set_threads is None or not TINY < math.prod(extents) <= ALONE:
        return function

    def call(*operands: Any) -> Any:
        before = set_threads(1)
        try:
            return function(*operands)
        finally:
            if before != 1:  # a product in another thread has set it, and sets it back
                set_threads(before)

    return call


@cache
def _set_threads() -> Callable[[int], int] | None:
    """OpenBLAS' ``openblas_set_num_threads_local``, which returns what was set before; None where NumPy brings none."""
    for folder in (Path(np.__file__).parent.parent / "numpy.libs", Path(np.__file__).parent / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                found = ctypes.CDLL(str(path)).openblas_set_num_threads_local
            except (OSError, AttributeError):
                continue
            found.argtypes, found.restype = [ctypes.c_int], ctypes.c_int
            return found
    return None
