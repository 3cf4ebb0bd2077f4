"""A contraction on a device of lanes: tiles of both factors in workgroup memory, a square of results in each work-item.

A group of ``SIDE`` × ``SIDE`` work-items makes a tile of results. All of them copy the next ``SIDE`` steps of both
factors into workgroup memory, in the computing type; then each adds up its own results from there. Every result is
summed in the order of the summed axes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, const, where
from ...ir.program import Array, Barrier, For, If, Local, Put, Statement
from ...limits import Limits
from ..bind import Loops, Write
from ..nest import ONE, ZERO, Nest, Scope, special, var
from . import Launch, finish
from .contraction import Contraction, smaller
from .flat import decode, points, unsigned

SIDE = 16


def fits(c: Contraction, limits: Limits) -> bool:
    """True where the group and its two tiles are allowed; both sides need an axis of their own."""
    group = min(limits.max_workgroup, limits.max_workgroup_dims[0]) >= SIDE * SIDE
    return c.row is not None and group and 2 * SIDE * SIDE * c.left.dtype.itemsize <= limits.workgroup_memory


def launch(loops: Loops, writes: tuple[Write, ...], c: Contraction, limits: Limits, index_bits: int) -> Launch:
    """One group for each tile of results."""
    assert c.row is not None
    nest = Nest(loops, writes, index_bits)
    m, n = loops.extents[c.row], loops.extents[c.column]
    room = limits.workgroup_memory // (2 * SIDE * SIDE * c.left.dtype.itemsize)
    each = 4 if min(m, n) >= 4 * SIDE and room >= 4 else 1
    across, down = -(-n // (SIDE * each)), -(-m // (SIDE * each))
    total = across * down * points(loops, c.batch)
    scope = Scope(nest)
    tile = _Tile(nest, c, each)
    scope.count(
        "g", special("group"), nest.scalar("tiles", total),
        lambda inner, p: tile.emit(inner, writes, p, nest.scalar("across", across), nest.scalar("down", down)),
        special("groups"),
    )  # fmt: skip
    groups = min(total, limits.max_grid[0], 65535)
    return finish(nest, loops.name, scope.body, (groups, 1, 1), (SIDE * SIDE, 1, 1), index_bits)


class _Tile:
    """The statements of one tile; a work-item has ``each`` × ``each`` results."""

    def __init__(self, nest: Nest, c: Contraction, each: int) -> None:
        assert c.row is not None
        self.nest, self.c, self.each, self.width = nest, c, each, SIDE * each
        self.dtype, self.row_axis = c.left.dtype, c.row
        self.sums = nest.fresh("sums")
        self.left, self.right = nest.fresh("left"), nest.fresh("right")
        nest.locals += [Local(name, self.dtype, SIDE * self.width) for name in (self.left, self.right)]

    def emit(self, scope: Scope, writes: tuple[Write, ...], tile: Expr, across: Expr, down: Expr) -> None:
        """Tile number ``tile`` of ``across`` × ``down`` × batch."""
        nest, c, side = self.nest, self.c, const(SIDE, dt.index)
        width = const(self.width, dt.index)
        self.column = scope.name("j0", unsigned(scope, "mod", tile, across) * width)
        rest = scope.name("r", unsigned(scope, "idiv", tile, across))
        self.row = scope.name("i0", unsigned(scope, "mod", rest, down) * width)
        if c.batch:
            decode(scope, c.batch, scope.name("r", unsigned(scope, "idiv", rest, down)))
        self.x = scope.name("x_", unsigned(scope, "mod", special("lid"), side) * const(self.each, dt.index))
        self.y = scope.name("y_", unsigned(scope, "idiv", special("lid"), side) * const(self.each, dt.index))
        scope.add(Array(self.sums, self.dtype, self.each**2, const(0, self.dtype)))
        *outer, last = c.summed

        def steps(inner: Scope) -> None:
            inner.count("k", ZERO, nest.extent(last), lambda s, k: self._step(s, last, k), side)

        scope.loop(outer, [], steps)
        self._store(scope, writes)

    def _step(self, scope: Scope, axis: int, first: Expr) -> None:
        """SIDE steps of the innermost summed axis."""
        c = self.c
        self._copy(scope, axis, first, self.left, c.left, self.row_axis, self.row)
        self._copy(scope, axis, first, self.right, c.right, c.column, self.column)
        scope.add(Barrier())
        scope.count("kk", ZERO, const(SIDE, dt.index), self._multiply)
        scope.add(Barrier())

    def _copy(self, scope: Scope, axis: int, first: Expr, memory: str, factor: Expr, side: int, start: Expr) -> None:
        """SIDE × width elements of a factor, by all work-items; 0 beyond the summed axis."""
        nest, width = self.nest, const(self.width, dt.index)

        def element(inner: Scope, at: Expr) -> None:
            k = inner.name("k_", first + unsigned(inner, "idiv", at, width))
            place = start + unsigned(inner, "mod", at, width)
            inner.axes[side] = inner.name("at", smaller(place, nest.extent(side) - 1))
            inner.axes[axis] = inner.name("ks", smaller(k, nest.extent(axis) - 1))
            (value,) = inner.values([factor])
            inner.add(Put(memory, at, where(k < nest.extent(axis), value, const(0, self.dtype))))

        scope.count("e", special("lid"), const(SIDE * self.width, dt.index), element, const(SIDE * SIDE, dt.index))

    def _multiply(self, scope: Scope, k: Expr) -> None:
        """One step of the work-item's own results."""
        width = const(self.width, dt.index)
        a = [scope.name("a", self._get(self.left, k * width + (self.y + r))) for r in range(self.each)]
        b = [scope.name("b", self._get(self.right, k * width + (self.x + r))) for r in range(self.each)]
        for r, left in enumerate(a):
            for q, right in enumerate(b):
                spot = const(r * self.each + q, dt.index)
                scope.add(Put(self.sums, spot, self._get(self.sums, spot) + left * right))

    def _get(self, memory: str, at: Expr) -> Expr:
        return Expr.of("get", (at,), self.dtype, memory)

    def _store(self, scope: Scope, writes: Sequence[Write]) -> None:
        """The epilogue for the results that exist."""
        nest, c, each = self.nest, self.c, const(self.each, dt.index)

        def result(inner: Scope, r: Expr, q: Expr) -> tuple[Statement, ...]:
            row, column = self.row + (self.y + r), self.column + (self.x + q)
            body = Scope(nest, inner)
            body.axes[self.row_axis] = body.name(f"i{self.row_axis}_", row)
            body.axes[c.column] = body.name(f"i{c.column}_", column)
            body.stages[c.stage] = (body.name("total", self._get(self.sums, r * each + q)),)
            body.write(writes)
            inside = (row < nest.extent(self.row_axis)) & (column < nest.extent(c.column))
            return (If(inside, tuple(body.body)),)

        r, q = nest.fresh("rr"), nest.fresh("qq")
        inner = Scope(nest, scope)
        inner.add(For(q, ZERO, each, ONE, result(inner, var(r), var(q)), unroll=True))
        scope.add(For(r, ZERO, each, ONE, tuple(inner.body), unroll=True))
