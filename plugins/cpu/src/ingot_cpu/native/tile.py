"""Small products of matrices, written out: a call of BLAS costs more than their arithmetic; and those of integers, which BLAS
does not have.

`recipe` asks `match` before it asks `gemm`. The kernel keeps a tile of the result in registers (some rows, vectors along the
columns), adds up one product after another by fused multiply-add, and does at once what the definition does with the sums
(a bias, an activation). Each sum is taken in order, in one accumulator: its bits depend on its terms alone, not on the size
of the matrices, the tile or the processor. Columns of integers are shared out among threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import STATUS, Loops, Write
from ingot_devices.codegen.nest import free_axes
from ingot_devices.dtypes import DType
from ingot_devices.ir.expr import Expr, const, walk

from . import gemm
from .access import ROW, Access, Scope
from .emit import Value, type_of
from .jit import Target

WORK = 262_144
"""Multiply-adds of the largest matrix product: what OpenBLAS would compute in one thread."""
LENGTH = 1024
"""Terms of the longest sum: one accumulator is exact enough up to there."""
FILLED = 0.75
"""The share of the lanes that must be in use."""
PANEL = 64 << 10
"""Bytes of the stack for a factor whose columns do not lie side by side."""
NARROW_ROWS = 4
"""The same without AVX-512, with one vector of 64 bytes: in two registers or in four."""
SQUARE = 4
"""Rows and columns that are exchanged at a time."""
ROWS = {1: 8, 2: 8, 3: 4, 4: 4}
"""By vectors of a row, the rows in the making at once, a power of two: enough sums to wait for none, and few enough to fit."""


@dataclass(frozen=True)
class Plan:
    """The axes of the result's ``rows`` and ``columns``, the summed one and that of a batch (-1: none); the factors (loads, or
    integers made wider), of which ``y`` varies along the columns; whether that is ``packed`` first."""

    rows: int
    columns: int
    summed: int
    batch: int
    x: Expr
    y: Expr
    packed: bool


def match(loops: Loops, aliased: frozenset[int]) -> Plan | None:
    """How to compute the product in ``loops`` here; None where it is not a small one, or a store would disturb its factors."""
    found = gemm.stage_of(loops) or _integers(loops)
    if found is None or aliased or not loops.writes:
        return None
    x, y, k = found
    ax, ay = gemm.axes_of(load_of(x)), gemm.axes_of(load_of(y))
    if ax is None or ay is None or not _disjoint(loops, load_of(x), load_of(y)):
        return None
    batch = (ax.keys() & ay.keys()) - {k}
    if len(batch) > 1 or len(ax.keys() - ay.keys()) != 1 or len(ay.keys() - ax.keys()) != 1:
        return None
    (i,), (j,) = ax.keys() - ay.keys(), ay.keys() - ax.keys()
    if not _along(loops, j) and _along(loops, i):
        (i, j), (x, y), (ax, ay) = (j, i), (y, x), (ay, ax)
    m, n, size = (loops.extents[a] for a in (i, j, k))
    packed = ay[j] != 1
    vector = 64 // x.dtype.itemsize
    fits = x.dtype.kind == "i" or (m * n * size <= WORK and size <= LENGTH)
    fits = fits and n >= FILLED * (-(-n // vector) * vector) and _along(loops, j)
    fits = fits and (not packed or n * size * x.dtype.itemsize <= PANEL)
    return Plan(i, j, k, next(iter(batch), -1), x, y, packed) if fits else None


def _integers(loops: Loops) -> tuple[Expr, Expr, int] | None:
    """The two factors and the axis of a single sum of products of integers, which are widened as they are loaded."""
    found = gemm.sum_of(loops)
    fits = found is not None and found[0].dtype is dt.int64 and all(load_of(a).op == "get" for a in found[:2])
    return found if fits else None


def load_of(factor: Expr) -> Expr:
    """Where a factor comes from memory."""
    return factor.args[0] if factor.op == "cast" else factor


def _along(loops: Loops, axis: int) -> bool:
    """True where the result lies side by side along ``axis``."""
    return all((gemm.strides(w.offset) or {}).get(axis) == 1 for w in loops.writes)


def _disjoint(loops: Loops, x: Expr, y: Expr) -> bool:
    """True where each store covers the result once, and touches nothing that another element is made of."""
    kept = free_axes(loops, 0)
    places = {w.operand: w.offset for w in loops.writes}
    if len(places) < len(loops.writes) or {x.value, y.value} & places.keys():
        return False
    plain = all(w.operand != STATUS and w.combine is None and w.valid is None and set(w.axes) == kept == w.parallel
                for w in loops.writes)  # fmt: skip
    reads = [n for w in loops.writes for r in w.roots() for n in walk(r) if n.op == "get" and n.value in places]
    return plain and all(n.args[0] == places[n.value] for n in reads)


class Tile:
    """The kernel of a `Plan`, as `nest.Nest` is one of a group of writes."""

    def __init__(self, loops: Loops, plan: Plan, numbers: dict[int, DType], operands: int, target: Target) -> None:
        self.loops, self.plan = loops, plan
        self.access = Access(loops, numbers, operands, target)
        self.f = self.access.f
        walked = (loops.extents[plan.summed], *loops.walked(plan.summed))
        self.trees: list[Any] = [("product", "in order", plan.x.dtype.name, walked)]
        d = plan.x.dtype
        vector = 64 // d.itemsize
        vectors = int(min(4, -(-loops.extents[plan.columns] // vector))) if target.wide else 1
        self.lanes, self.rows = vector * vectors, ROWS[vectors] if target.wide else NARROW_ROWS
        strips = d.kind == "i" and not plan.packed and plan.batch < 0
        batch = loops.extents[plan.batch] if plan.batch >= 0 else 1
        self.units = -(-loops.extents[plan.columns] // self.lanes) if strips else batch
        self.parallel = self.units > 1
        (self._strips if strips else self._batch)()

    def text(self) -> str:
        """The function's IR."""
        return self.f.text()

    # ---- loops ---------------------------------------------------------------------------------------------------------
    def _loop(self, lo: Value, hi: Value, step: int, body: Any) -> None:
        """``body(index)`` from ``lo`` on in steps."""

        def one(index: Value, carried: list[Value]) -> list[Value]:
            body(index)
            return carried

        self.f.loop(lo, hi, self.access.number(step), [], one)

    def _batch(self) -> None:
        scope = Scope()
        if self.plan.batch < 0:
            self._matrix(scope)
            return
        lo, hi = Value("%lo", dt.index), Value("%hi", dt.index)
        self._loop(lo, hi, 1, lambda b: self._matrix(scope.inside(self.plan.batch, b)))

    def _strips(self) -> None:
        """Columns, as many as there are lanes at a time."""
        scope, size = Scope(), self.access.extent(self.plan.columns)
        lo, hi = (self.f.times(Value(v, dt.index), self.access.number(self.lanes)) for v in ("%lo", "%hi"))
        self._loop(lo, self.f.least(hi, size), self.lanes, lambda j: self._columns(scope, j, size, self.plan.y))

    def _matrix(self, scope: Scope) -> None:
        plan, none = self.plan, self.access.number(0)
        y = self._packed(scope) if plan.packed else plan.y
        size = self.access.extent(plan.columns)
        self._loop(none, size, self.lanes, lambda j: self._columns(scope, j, size, y))

    def _packed(self, scope: Scope) -> Expr:
        """``y`` in memory of the stack, its columns side by side; in squares where what is summed lies side by side."""
        plan, d = self.plan, self.plan.y.dtype
        n, k = self.loops.extents[plan.columns], self.loops.extents[plan.summed]
        form = self.access.row(self.access.constant("panel", n * k), d, {plan.summed: n, plan.columns: 1})

        def one(j: Value, at: Value) -> None:
            inner = scope.inside(plan.columns, j).inside(plan.summed, at)
            self.access.store(inner, ROW, form, self.access.value(inner, plan.y), None)

        none, columns, summed = self.access.number(0), self.access.extent(plan.columns), self.access.extent(plan.summed)
        square = plan.y.op == "get" and (gemm.axes_of(plan.y) or {}).get(plan.summed) == 1
        across = self.f.op(f"and i64 {columns.text}, {-SQUARE}", dt.index, 0) if square else none
        down = self.f.op(f"and i64 {summed.text}, {-SQUARE}", dt.index, 0) if square else none
        if square:
            self._loop(none, across, SQUARE, lambda j: self._loop(
                none, down, SQUARE, lambda at: self._turned(scope, j, at, form)))  # fmt: skip
            self._loop(none, across, 1, lambda j: self._loop(down, summed, 1, lambda at: one(j, at)))
        self._loop(across, columns, 1, lambda j: self._loop(none, summed, 1, lambda at: one(j, at)))
        return Expr.of("get", (form,), d, ROW)

    def _turned(self, scope: Scope, column: Value, at: Value, form: Expr) -> None:
        """A square of ``y``, read along the sums and written along the columns."""
        plan, f = self.plan, self.f

        def address(of: Expr, operand: int, j: int, k: int) -> str:
            inner = scope.inside(plan.columns, f.add(column, self.access.number(j)))
            inner = inner.inside(plan.summed, f.add(at, self.access.number(k)))
            return f.at(self.access.base(operand), plan.y.dtype, self.access.place(inner, of, operand).scalar)

        given = [f.load(address(plan.y.args[0], plan.y.value, j, 0), plan.y.dtype, SQUARE) for j in range(SQUARE)]
        for k, row in enumerate(f.transposed(given)):
            f.store(row, address(form, ROW, 0, k))

    def _columns(self, scope: Scope, first: Value, size: Value, y: Expr) -> None:
        """All rows of the columns from ``first`` on, as many as there are lanes; masked where they are more than columns."""
        count, mask = None, None  # all lanes
        if self.loops.extents[self.plan.columns] % self.lanes:
            rest = self.f.op(f"sub nsw i64 {size.text}, {first.text}", dt.index, 0)
            count = self.f.least(rest, self.access.number(self.lanes))
            mask = self.access.mask(count, self.lanes).text
        inner = scope.inside(self.plan.columns, first, lanes=self.lanes, vector=self.plan.columns, count=count, mask=mask)
        none, rows = self.access.number(0), self.access.extent(self.plan.rows)
        full = self.f.op(f"and i64 {rows.text}, {-self.rows}", dt.index, 0) if self.rows > 1 else none
        self._loop(none, full, self.rows, lambda i: self._tile(inner, i, self.rows, y))
        self._loop(full, rows, 1, lambda i: self._tile(inner, i, 1, y))

    def _tile(self, scope: Scope, first: Value, rows: int, y: Expr) -> None:
        """``rows`` rows from ``first`` on, from the products to the stores."""
        plan, access = self.plan, self.access
        scopes = [scope.inside(plan.rows, self.f.add(first, access.number(r))) for r in range(rows)]
        zero = self.f.spread(access.value(scope, const(0, plan.x.dtype)), self.lanes)

        def step(index: Value, held: list[Value]) -> list[Value]:
            right = access.vector(scope.inside(plan.summed, index), y)
            left = [access.vector(s.inside(plan.summed, index), plan.x) for s in scopes]
            return [self._added(h, a, right) for a, h in zip(left, held, strict=True)]

        none, size = access.number(0), access.extent(plan.summed)
        sums = self.f.loop(none, size, access.number(1), [zero] * rows, step)
        for inner, total in zip(scopes, sums, strict=True):
            inner.stages[0] = (total,)
            self._stores(inner, self.loops.writes)

    def _added(self, total: Value, a: Value, b: Value) -> Value:
        """total + a·b."""
        d, kind = total.dtype, type_of(total.dtype, total.lanes)
        if d.kind == "f":
            return self.f.call("fma", d, [a, b, total])
        product = self.f.op(f"mul {kind} {a.text}, {b.text}", d, total.lanes)
        return self.f.op(f"add {kind} {total.text}, {product.text}", d, total.lanes)

    def _stores(self, scope: Scope, writes: Sequence[Write]) -> None:
        """Every value, then every store."""
        made = [(w, self.access.value(scope, w.value)) for w in writes]
        for w, value in made:
            self.access.store(scope, w.operand, w.offset, value, None)
