"""A definition as a Python function: its nests, built, and packed with their constants.

    definition + layouts ─ `lower` ─▶ Loops ─ `Nest` for each group ─▶ IR ─ jit ─▶ address ─ `pack` ─▶ bytes ─▶ function

The function is CPython's own kind (METH_FASTCALL over machine code): a call costs no ctypes. Its ``self`` is the `bytes` that
`pack` makes; `runtime.c` says what the words are.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported, monoids
from ingot_devices.codegen.bind import Loops, Write, bind
from ingot_devices.codegen.collapse import collapse
from ingot_devices.codegen.legalize import legalize
from ingot_devices.codegen.nest import Nest as Reach
from ingot_devices.codegen.schedules import check_order, split
from ingot_devices.ir.definition import Definition
from ingot_devices.ir.expr import walk
from ingot_devices.layout import Layout
from ingot_devices.limits import DTypeClass, Limits

from . import gemm
from .elementary import KNOWN, Elementary
from .jit import Jit, NoLLVM, jit
from .nest import HEAVY, Nest, weight

ABSENT, ARRAY, FLOAT, INTEGER, BOOLEAN = range(5)
KINDS = {"f": FLOAT, "i": INTEGER, "u": INTEGER, "b": BOOLEAN}
MOST = 128
LIMITS = Limits(
    dtypes={
        dt.bfloat16: DTypeClass("stored", dt.uint16, dt.float32),
        dt.float16: DTypeClass("stored", dt.float16, dt.float32),
    }
)
"""How native code keeps dtypes: halves are computed in float32."""
RELEASE = 100_000
"""Nanoseconds of work from which other Python threads may run beside."""
GRAIN = 10_000
"""Nanoseconds of work that one thread takes at a time at least."""
NANOSECONDS = {"light": 0.06, "heavy": 0.5}
"""What an element takes, by the weight of its expression: for choosing chunks, not for timing."""


class Runtime:
    """`runtime.c`, ready: it calls kernels from Python. Opened once in a process."""

    def __init__(self, made: Jit) -> None:
        check_layout()
        text = resources.files(__package__).joinpath("runtime.ll").read_text("utf-8")
        find = made.module(text)
        self.jit = made
        futex = _FUTEX.get((os.uname().sysname, os.uname().machine), 0) if hasattr(os, "uname") else 0
        self._setup = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_longlong] * 3)(find("ingot_setup"))
        self._threads = ctypes.CFUNCTYPE(ctypes.c_longlong, ctypes.c_longlong)(find("ingot_threads"))
        self.gemm = int(find("ingot_gemm"))
        self._arguments = (id(np.ndarray), bytes.__basicsize__ - 1, futex)
        self._setup(*self._arguments, threads_wanted() - 1)
        self._methods = {
            name: _Method(name.encode(), find(name), 0x80, b"") for name in ("ingot_call", "ingot_replay")
        }
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._alone)

    def _alone(self) -> None:
        """A child has no threads of the pool."""
        self._setup(*self._arguments[:2], 0, 0)

    def threads(self, most: int = 0) -> int:
        """How many threads may share a kernel; ``most`` lowers it."""
        return int(self._threads(most))

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
def _opened() -> Runtime | NoLLVM:
    try:
        return Runtime(jit())
    except NoLLVM as e:
        return e


def runtime() -> Runtime:
    """The process's; `NoLLVM` says why there is none."""
    found = _opened()
    if isinstance(found, NoLLVM):
        raise found
    return found


def usable() -> bool:
    """True where native kernels can be made."""
    return not isinstance(_opened(), NoLLVM)


# ---- one kernel ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Group:
    """One nest, built: where its code is, its constants, and how its work is shared."""

    address: int
    constants: tuple[int, ...]
    units: int
    grain: int
    cost: float  # nanoseconds, roughly
    text: str


@dataclass(frozen=True)
class Native:
    """A kernel: the packed words, and what they were made of."""

    packed: bytes
    groups: tuple[Group, ...]
    kinds: tuple[int, ...]
    workspace: int = 0

    @property
    def address(self) -> int:
        """Where the words lie, for a program."""
        return id(self.packed) + bytes.__basicsize__ - 1


def lower(definition: Definition, layouts: Mapping[int, Layout]) -> Loops:
    """Bound loops in the types and operators that native code has."""
    loops = collapse(monoids.rewrite(bind(definition, layouts)))
    return legalize(loops, LIMITS, KNOWN, 64).rewrite(Elementary())


def build(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int]) -> Native | None:
    """The kernel of a definition; None where there is nothing to write. `Unsupported` says why not."""
    loops = lower(definition, layouts)
    if not loops.writes:
        return None
    numbers = dict(definition.params)
    count = 1 + max([*(o.number for o in definition.operands), *numbers], default=-1)
    if count > MOST:
        raise Unsupported(f"it has {count} operands; a native kernel takes {MOST}")
    kinds, groups = _kinds(loops, numbers, count), list[Group]()
    if gemm.is_product(loops):
        product = gemm.match(loops, aliased)
        if product is None:
            raise Unsupported("BLAS does not take this product as it lies")
        groups.append(_product(product))
        loops = replace(product.loops, writes=product.rest)
    if loops.writes:
        parts = split(loops)
        check_order(loops, parts, aliased)
        groups += [_group(loops, writes, numbers, count, bool(aliased)) for writes in parts]
    return Native(pack(kinds, groups), tuple(groups), kinds)


def order(definition: Definition, layouts: Mapping[int, Layout]) -> Any:
    """What decides the order in which a definition's sums round: equal for two that give the same bits."""
    loops = lower(definition, layouts)
    if gemm.is_product(loops):
        product = gemm.match(loops, frozenset())
        if product is None:
            raise Unsupported("BLAS does not take this product as it lies")
        return "product", product.batch, product.constants[8:16]
    numbers, parts = dict(definition.params), split(loops)
    check_order(loops, parts, frozenset())
    return [Nest(loops, writes, numbers, MOST, runtime().jit.target).trees for writes in parts]


def _product(product: gemm.Product) -> Group:
    shared, grain = gemm.units(product)
    text = f"; product of matrices by BLAS: {product.constants[1:]}"
    return Group(runtime().gemm, product.constants, shared, grain, product.work * gemm.NANOSECONDS, text)


def _group(
    loops: Loops, writes: Sequence[Write], numbers: dict[int, dt.DType], operands: int, aliased: bool
) -> Group:
    made = runtime().jit
    nest = Nest(loops, writes, numbers, operands, made.target, aliased)
    text = nest.text()
    address = made.address(text, loops.name)
    cost = _cost(loops, writes)
    grain = 0 if not nest.parallel else max(1, min(nest.units, round(GRAIN * nest.units / max(cost, 1.0))))
    if cost < 2 * GRAIN:
        grain = 0
    return Group(address, tuple(nest.access.constants), nest.units, grain, cost, text)


def _cost(loops: Loops, writes: Sequence[Write]) -> float:
    """Nanoseconds that one thread takes, roughly."""
    total = 0.0
    needed = Reach(loops, tuple(writes)).needed([r for w in writes for r in w.roots()])
    each = [(set(w.axes), w.roots()) for w in writes]
    for n in needed:
        stage = loops.stages[n]
        axes = {a.value for a in walk(*stage.values) if a.op == "index"} | set(stage.over)
        each.append((axes, stage.values))
    for axes, roots in each:
        points = 1
        for a in axes:
            points *= loops.extents[a]
        total += points * NANOSECONDS["heavy" if weight(roots) > HEAVY else "light"]
    return total


def _kinds(loops: Loops, numbers: Mapping[int, dt.DType], count: int) -> tuple[int, ...]:
    kinds = [ABSENT] * count
    for n in walk(*loops.roots()):
        if n.op == "get" and n.value >= 0:
            kinds[n.value] = ARRAY
        elif n.op == "param" and n.value >= 0:
            kinds[n.value] = KINDS[numbers[n.value].kind]
    for w in loops.writes:
        if w.operand >= 0:
            kinds[w.operand] = ARRAY
    return tuple(kinds)


def pack(kinds: Sequence[int], groups: Sequence[Group], workspace: int = 0) -> bytes:
    """The words of a kernel (`runtime.c`)."""
    release = int(sum(g.cost for g in groups) > RELEASE)
    words = [len(kinds), len(groups), release, workspace, *kinds]
    at = len(words) + 4 * len(groups)
    for g in groups:
        words += [g.address, at, g.units, g.grain]
        at += len(g.constants)
    for g in groups:
        words += g.constants
    return struct.pack(f"={len(words)}q", *words)
