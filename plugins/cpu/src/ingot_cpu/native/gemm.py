"""Products of matrices by the BLAS that NumPy brings, called by its address: no NumPy in between.

`kernel.build` asks `match` first. A definition whose one stage sums a product over one axis becomes a group that runs the BLAS
into the output, and a nest for what the definition does with the sum (a bias, an activation), in place. The eager op and a
replayed program run the same two, so they agree to the bit. Where no BLAS is found, or an operand lies so that BLAS does
not take it, NumPy's matmul computes the product.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import STATUS, Loops, Rewrite, Write
from ingot_devices.codegen.blas import ALONE, library, set_threads
from ingot_devices.codegen.nest import free_axes
from ingot_devices.dtypes import DType
from ingot_devices.ir.expr import Expr, walk

NAMES = {dt.float32: "scipy_cblas_sgemm64_", dt.float64: "scipy_cblas_dgemm64_"}
"""How the OpenBLAS in NumPy's wheels is called, with integers of 64 bits."""
NANOSECONDS = 0.02
"""What a multiplication and addition takes, roughly: for choosing chunks."""
SHARE, SIDE = 1_000_000, 64
"""Multiply-adds of a part of a product at least, and its rows or columns."""


@cache
def blas() -> dict[DType, int]:
    """The addresses of the products by dtype; empty where NumPy brings no OpenBLAS that is known."""
    found = library()
    return {d: _address(getattr(found, name)) for d, name in NAMES.items() if hasattr(found, name)}


def threads_setter() -> int:
    """The address of what says how many threads BLAS takes; 0 where there is none."""
    found = set_threads()
    return 0 if found is None else _address(found)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@dataclass(frozen=True)
class Side:
    """A matrix of a batch: its operand, first element, strides of (batch, rows, columns) in elements."""

    operand: int
    start: int
    batch: int
    rows: int
    columns: int

    def leading(self, rows: int, columns: int) -> tuple[bool, int] | None:
        """(stored by columns, distance of rows or columns), None where BLAS does not take it."""
        if (self.columns == 1 or columns == 1) and (rows == 1 or self.rows >= columns):
            return False, max(self.rows if rows > 1 else columns, columns, 1)
        if (self.rows == 1 or rows == 1) and (columns == 1 or self.columns >= rows):
            return True, max(self.columns if columns > 1 else rows, rows, 1)
        return None


Sides = tuple[Side, Side, Side]


@dataclass(frozen=True)
class Product:
    """A matched definition: the constants of `ingot_gemm` after the function, the batch, and the loops that are left."""

    dtype: str
    constants: tuple[int, ...]
    batch: int
    work: int
    rest: tuple[Write, ...]
    loops: Loops


def is_product(loops: Loops) -> bool:
    """True where a stage sums products of factors of which each varies over an axis that the other does not."""
    for stage in loops.stages:
        node = stage.value
        if stage.over and (stage.kind, stage.monoid, node.op) == ("reduce", "sum", "mul") and node.dtype.kind != "b":
            x, y = ({n.value for n in walk(a) if n.op == "index"} for a in node.args)
            if set(stage.over) <= x & y and x - y and y - x:
                return True
    return False


def stage_of(loops: Loops) -> tuple[Expr, Expr, int] | None:
    """The two loads and the axis of a single sum of a product that BLAS has."""
    found = sum_of(loops)
    return found if found is not None and found[0].op == found[1].op == "get" and found[0].dtype in NAMES else None


def sum_of(loops: Loops) -> tuple[Expr, Expr, int] | None:
    """The two factors and the axis of a single sum of products."""
    if len(loops.stages) != 1:
        return None
    stage = loops.stages[0]
    node = stage.value
    if (stage.kind, stage.monoid, len(stage.over), node.op) != ("reduce", "sum", 1, "mul"):
        return None
    x, y = node.args
    return x, y, stage.over[0]


def axes_of(load: Expr) -> dict[int, int] | None:
    """Axis → stride of a load whose offset is affine."""
    return strides(load.args[0])


def strides(form: Expr) -> dict[int, int] | None:
    """Axis → stride of an affine offset."""
    return {a.value: c for a, c in zip(form.args, form.value[1], strict=True)} if all(
        a.op == "index" for a in form.args) else None


def match(loops: Loops, aliased: frozenset[int]) -> Product | None:
    """The product in ``loops``, where BLAS can compute it into an output that a store covers."""
    found = stage_of(loops)
    if found is None or aliased or loops.stages[0].value.dtype not in blas():
        return None
    x, y, k = found
    ax, ay = axes_of(x), axes_of(y)
    if ax is None or ay is None or k not in ax or k not in ay:
        return None
    read = {n.value for w in loops.writes for r in w.roots() for n in walk(r) if n.op == "get"}
    kept = free_axes(loops, 0)
    for w in loops.writes:
        target = _target(w, kept, x.dtype)
        if target is None or w.operand in read | {x.value, y.value}:
            continue
        if any(o.operand == w.operand and o is not w for o in loops.writes):
            continue
        words = _constants(loops, x, y, k, w, target)
        if words is not None:
            return _product(loops, x.dtype, w, *words)
    return None


def _target(w: Write, kept: frozenset[int], d: DType) -> dict[int, int] | None:
    """Axis → stride of a store that covers all results in their own type."""
    if w.operand == STATUS or w.combine or w.valid is not None or w.value.dtype is not d or set(w.axes) != kept:
        return None
    form = w.offset
    return {a.value: c for a, c in zip(form.args, form.value[1], strict=True)} if all(
        a.op == "index" for a in form.args) and {a.value for a in form.args} == kept else None


def _constants(loops: Loops, x: Expr, y: Expr, k: int, w: Write, out: dict[int, int]) -> tuple[int, tuple[int, ...]] | None:
    """How many matrices there are, and the words of `ingot_gemm` after the function's address."""
    ax, ay = axes_of(x) or {}, axes_of(y) or {}
    rows, columns = ax.keys() - ay.keys(), ay.keys() - ax.keys()
    batch = (ax.keys() & ay.keys()) - {k}
    if len(rows) != 1 or len(columns) != 1 or len(batch) > 1:
        return None
    (i,), (j,) = rows, columns
    b = next(iter(batch), -1)
    m, n, size = loops.extents[i], loops.extents[j], loops.extents[k]
    sides = (
        Side(x.value, x.args[0].value[0], ax.get(b, 0), ax[i], ax[k]),
        Side(y.value, y.args[0].value[0], ay.get(b, 0), ay[k], ay[j]),
        Side(w.operand, w.offset.value[0], out.get(b, 0), out[i], out[j]),
    )
    left, right, made = sides[0].leading(m, size), sides[1].leading(size, n), sides[2].leading(m, n)
    if left is None or right is None or made is None:
        return None
    if made[0]:  # outᵀ = yᵀ·xᵀ
        sides = (_turned(sides[1]), _turned(sides[0]), _turned(sides[2]))
        m, n = n, m
        left, right, made = (not right[0], right[1]), (not left[0], left[1]), (False, made[1])
    sides, m, n, count = (sides, m, n, loops.extents[b]) if b >= 0 else _parted(sides, m, n, size)
    item = x.dtype.itemsize
    return count, (
        int(x.dtype is dt.float64), *(s.operand for s in sides), *(s.start * item for s in sides),
        int(left[0]), int(right[0]), m, n, size, left[1], right[1], made[1], *(s.batch * item for s in sides),
    )  # fmt: skip


def _parted(sides: Sides, m: int, n: int, size: int) -> tuple[Sides, int, int, int]:
    """A product that BLAS would compute in the calling thread alone, as blocks of columns or of rows, which our threads share.

    The sides, the rows and columns of a block, and how many there are: it follows from the sizes, so no bit depends on threads.
    """
    x, y, out = sides
    work = m * n * size
    for parts in (8, 4, 2) if work <= ALONE else ():
        if work < parts * SHARE:
            continue
        if n % parts == 0 and n >= m and n >= parts * SIDE:
            block = n // parts
            return (x, replace(y, batch=y.columns * block), replace(out, batch=out.columns * block)), m, block, parts
        if m % parts == 0 and m >= parts * SIDE:
            block = m // parts
            return (replace(x, batch=x.rows * block), y, replace(out, batch=out.rows * block)), block, n, parts
    return (x, y, out), m, n, 1


def _turned(side: Side) -> Side:
    return replace(side, rows=side.columns, columns=side.rows)


def _product(loops: Loops, d: DType, w: Write, batch: int, constants: tuple[int, ...]) -> Product:
    """What is left when the sum lies in the output of ``w``."""
    change = _Sum(Expr.of("get", (w.offset,), d, w.operand))
    left = replace(loops, stages=()).rewrite(change)
    rest = tuple(new for new, old in zip(left.writes, loops.writes, strict=True)
                 if not (old is w and old.value.op == "stage"))
    return Product(d.name, constants, batch, batch * constants[9] * constants[10] * max(constants[11], 1), rest, left)


class _Sum(Rewrite):
    """The sum, read back from where it lies."""

    def __init__(self, made: Expr) -> None:
        super().__init__()
        self.made = made

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "stage":
            return self.made
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)


def units(product: Product) -> Sequence[int]:
    """(units, grain): what BLAS would compute in the calling thread is shared by our threads, a large product by BLAS's own."""
    each = product.work / max(product.batch, 1)
    return product.batch, 0 if each > ALONE else max(1, round(10_000 / max(each * NANOSECONDS, 1)))
