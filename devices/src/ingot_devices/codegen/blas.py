"""How many threads NumPy's own OpenBLAS takes for one product.

OpenBLAS wakes its threads from about a million multiply-adds on and lets them spin until all are done: where another
process has the core, a product of 20 µs takes 20 ms. Below `ALONE` one thread is at most 60 µs slower than two, so a small
product takes one. Used wherever a product is handed to it; nothing is changed where NumPy brings another BLAS.
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
    set_to = set_threads()
    if set_to is None or not TINY < math.prod(extents) <= ALONE:
        return function

    def call(*operands: Any) -> Any:
        before = set_to(1)
        try:
            return function(*operands)
        finally:
            if before != 1:  # a product in another thread has set it, and sets it back
                set_to(before)

    return call


@cache
def library() -> ctypes.CDLL | None:
    """The OpenBLAS that NumPy brings; None where it brings none."""
    home = Path(np.__file__).parent
    for path in sorted([*home.parent.glob("numpy.libs/*openblas*"), *home.glob(".dylibs/*openblas*")]):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    return None


@cache
def set_threads() -> Callable[[int], int] | None:
    """OpenBLAS' ``openblas_set_num_threads_local``, which returns what was set before; None where there is none."""
    found = getattr(library(), "openblas_set_num_threads_local", None)
    if found is not None:
        found.argtypes, found.restype = [ctypes.c_int], ctypes.c_int
    return found
