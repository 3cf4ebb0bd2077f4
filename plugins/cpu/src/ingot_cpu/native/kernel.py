"""A definition as a Python function: its recipe, built, and packed with its constants.

    definition + layouts ─ recipe ─▶ IR and constants ─ jit ─▶ addresses ─ `pack` ─▶ bytes ─ `Runtime.function` ─▶ function

The function is CPython's own kind (METH_FASTCALL over machine code): a call costs no ctypes. Its ``self`` is the `bytes` that
`pack` makes; `runtime.c` says what the words are.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.codegen import blas
from ingot_devices.ir.definition import Definition
from ingot_devices.layout import Layout

from . import gemm
from .jit import Jit, NoLLVM, jit
from .recipe import Recipe, recipe

RELEASE = 100_000
"""Nanoseconds of work from which other Python threads may run beside."""


class Runtime:
    """`runtime.c`, ready: it calls kernels from Python. Opened once in a process."""

    def __init__(self, made: Jit) -> None:
        check_layout()
        text = resources.files(__package__).joinpath("runtime.ll").read_text("utf-8")
        find = made.module(text)
        self.jit = made
        futex = _FUTEX.get((os.uname().sysname, os.uname().machine), 0) if hasattr(os, "uname") else 0
        pointers, numbers = [ctypes.c_void_p] * 3, [ctypes.c_longlong] * 3
        self._setup = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *numbers, *pointers)(find("ingot_setup"))
        self._threads = ctypes.CFUNCTYPE(ctypes.c_longlong, ctypes.c_longlong)(find("ingot_threads"))
        self._sort = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *numbers)(find("ingot_sort"))
        self.gemm = int(find("ingot_gemm"))
        ctypes.CFUNCTYPE(None, *[ctypes.c_longlong] * 3)(find("ingot_blas"))(gemm.threads_setter(), blas.TINY, blas.ALONE)
        self._arguments = (id(np.ndarray), bytes.__basicsize__ - 1, futex)
        self._setup(*self._arguments, threads_wanted() - 1, *places())
        self._methods = {
            name: _Method(name.encode(), find(name), 0x80, b"") for name in ("ingot_call", "ingot_replay")
        }
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._alone)

    def _alone(self) -> None:
        """A child has no threads of the pool."""
        self._setup(*self._arguments[:2], 0, 0, 0, 0, 0)

    def threads(self, most: int = 0) -> int:
        """How many threads may share a kernel; ``most`` lowers it."""
        return int(self._threads(most))

    def sort(self, rows: Any, bits: int) -> None:
        """Sort dense rows (a matrix of uint64, none empty) by their high halves, of which ``bits`` are used; stable."""
        beside = np.empty_like(rows)
        self._sort(rows.ctypes.data, beside.ctypes.data, *rows.shape, bits)

    def function(self, name: str, packed: bytes) -> Any:
        """A Python function over ``packed``."""
        make = ctypes.pythonapi.PyCFunction_NewEx
        make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
        return make(ctypes.addressof(self._methods[name]), packed, None)


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


_FUTEX = {("Linux", "x86_64"): 202, ("Linux", "aarch64"): 98}


def threads_wanted() -> int:
    """``INGOT_CPU_THREADS``, else as many as this process may use cores."""
    given = os.environ.get("INGOT_CPU_THREADS", "")
    if given:
        if not given.isdecimal() or not int(given):
            raise ValueError(f"INGOT_CPU_THREADS={given} must be a number of threads, 1 or more")
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def places() -> tuple[int, ...]:
    """Addresses of the C library's functions that tell and choose a thread's cores; zeros where it lacks one."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    found = [getattr(library, name, None) for name in ("sched_getcpu", "sched_getaffinity", "pthread_setaffinity_np")]
    return tuple(ctypes.cast(f, ctypes.c_void_p).value or 0 if f else 0 for f in found) if all(found) else (0, 0, 0)


def check_layout() -> None:
    """`NoLLVM` where CPython or NumPy do not lay out their objects as `runtime.c` reads them."""
    import sysconfig

    if sysconfig.get_config_var("Py_GIL_DISABLED") or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise NoLLVM("native kernels need a 64-bit CPython with a GIL")
    array, text = np.arange(3, dtype=np.float32), b"known bytes"
    data = ctypes.c_void_p.from_address(id(array) + 16).value
    kind = ctypes.c_void_p.from_address(id(array) + 8).value
    if data != array.ctypes.data or kind != id(np.ndarray):
        raise NoLLVM(f"NumPy {np.__version__} keeps its data pointer at another place than was expected")
    if ctypes.string_at(id(text) + bytes.__basicsize__ - 1, len(text)) != text:
        raise NoLLVM("this Python keeps the content of bytes at another place than was expected")


@cache
def _opened() -> Runtime | str:
    try:
        return Runtime(jit())
    except NoLLVM as e:
        return str(e)


def runtime() -> Runtime:
    """The process's; `NoLLVM` says why there is none."""
    found = _opened()
    if isinstance(found, str):
        raise NoLLVM(found)
    return found


def usable() -> bool:
    """True where native kernels can be made."""
    return not isinstance(_opened(), str)


# ---- one kernel ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Native:
    """A kernel: the packed words, and what they were made of."""

    packed: bytes
    recipe: Recipe

    @property
    def address(self) -> int:
        """Where the words lie, for a program."""
        return id(self.packed) + bytes.__basicsize__ - 1

    @property
    def cost(self) -> float:
        """Nanoseconds that one thread takes, roughly."""
        return sum(p.cost for p in self.recipe.parts)

    @property
    def source(self) -> str:
        """Its IR, for people."""
        return "\n".join(p.text or f"; product of matrices of {p.product} by BLAS: {p.constants}" for p in self.recipe.parts)


def build(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int]) -> Native | None:
    """The kernel of a definition; None where there is nothing to write. `Unsupported` says why not."""
    here = runtime()
    made = recipe(definition, layouts, aliased, here.jit)
    if not made.parts:
        return None
    addresses = [here.gemm if p.product else here.jit.address(p.text, definition.name) for p in made.parts]
    return Native(pack(made, addresses), made)


def order(definition: Definition, layouts: Mapping[int, Layout]) -> Any:
    """What decides the order in which a definition's sums round: equal for two that give the same bits."""
    return recipe(definition, layouts, frozenset(), runtime().jit).trees


def pack(made: Recipe, addresses: Sequence[int]) -> bytes:
    """The words of a kernel (`runtime.c`)."""
    release = int(sum(p.cost for p in made.parts) > RELEASE)
    words = [len(made.kinds), len(made.parts), release, 0, *made.kinds]
    at = len(words) + 4 * len(made.parts)
    for p, address in zip(made.parts, addresses, strict=True):
        words += [address, at, p.units, p.grain]
        at += len(p.constants) + bool(p.product)
    for p in made.parts:
        words += [gemm.blas()[dt.dtype(p.product)], *p.constants] if p.product else p.constants
    return struct.pack(f"={len(words)}q", *words)
