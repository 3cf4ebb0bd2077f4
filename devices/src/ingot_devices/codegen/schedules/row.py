"""Stages over rows on a device of lanes: a workgroup for each row, which its work-items share, then a tree.

A work-item takes every ``size``-th of the row's vectors (`wide`). A row that the group's registers hold is loaded once,
for all stages and for the writes behind them; the number of work-items is made for its length. A longer one is read by each
of them, several vectors at a time. Where several axes are reduced, the innermost of them is walked through at each point of
the others; if that is a short way, all of them are one (`paths`).

The order in which elements are combined depends on lengths, layouts and the device alone, never on what runs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import For, If
from ...limits import Limits
from .. import monoids
from ..bind import Loops, Write
from ..nest import ZERO, Nest, Scope, special, var
from . import Launch, accumulators, finish, group, wide
from .contraction import smaller
from .flat import by_step, decode, parallel_axes, points, unsigned
from .paths import Walk
from .rows import Rows, short, unroll
from .wide import Block


def launch(loops: Loops, writes: tuple[Write, ...], rows: Rows, limits: Limits, index_bits: int) -> Launch:
    """One workgroup for each point of the axes that all writes keep."""
    nest = Nest(loops, writes, index_bits)
    axes = parallel_axes(nest, writes)
    shared = _Rows(nest, writes, rows)

    def body(scope: Scope, point: Expr) -> None:
        point = shared.stand(scope, point, total)
        if axes:
            decode(scope, axes, point)
        shared.emit(scope)

    total = points(loops, axes)
    statements, grid = group.each_point(nest, -(-total // rows.several), limits, body)
    made = finish(nest, loops.name, statements, grid, (rows.size * rows.several, 1, 1), index_bits)
    return wide.told(made, limits) if rows.width > 1 else made


class _Rows:
    """The statements of one row, or of several side by side."""

    def __init__(self, nest: Nest, writes: tuple[Write, ...], rows: Rows) -> None:
        self.nest, self.writes, self.rows = nest, writes, rows
        self.block: Block | None = None  # the row that is held
        self.lid, self.row = special("lid"), ZERO  # the work-item's number in its row, and the row's in the group
        self.there: Expr | None = None  # that there is such a row

    def stand(self, scope: Scope, point: Expr, total: int) -> Expr:
        """The number of the work-item's row, of ``total``; those behind the last repeat it, and write nothing."""
        rows = self.rows
        if rows.several == 1:
            return point
        self.lid = scope.name("x_", unsigned(scope, "mod", special("lid"), const(rows.size, dt.index)))
        self.row = scope.name("y_", unsigned(scope, "idiv", special("lid"), const(rows.size, dt.index)))
        mine, end = scope.name("row", point * rows.several + self.row), self.nest.scalar("rows", total)
        if total % rows.several == 0:
            return mine
        self.there = mine < end
        return scope.name("row", smaller(mine, end - 1))

    def emit(self, scope: Scope) -> None:
        """All stages, then the writes."""
        nest, roots = self.nest, [r for w in self.writes for r in w.roots()]
        needed = nest.needed(roots)
        self.values = [v for n in needed for v in nest.loops.stages[n].values]
        if self.rows.steps:
            self._hold(scope)
        nest.shared = self.reduce
        scope.settle(roots)
        self._write(scope)

    # ---- stages ------------------------------------------------------------------------------------------------------
    def _hold(self, scope: Scope) -> None:
        """The row in private arrays. Where it has more vectors than work-items, half of the steps is full."""
        rows, axis = self.rows, self.rows.axis
        length = self.nest.loops.extents[axis]
        exact = length == rows.size * rows.width * rows.steps
        full = rows.steps if exact else rows.steps // 2 if length >= rows.size * rows.width else 0
        walk = Walk(scope, (axis,))
        first = self.lid * rows.width
        block = self.block = self._block(walk, first, rows.steps, full, lambda first: first < walk.stop)
        loads = wide.loads_along(axis, self.values)
        block.hold(scope, loads)
        block.load(scope, loads)

    def _block(
        self, walk: Walk, first: Expr, steps: int = 1, full: int | None = None, inside: Callable[[Expr], Expr] | None = None
    ) -> Block:
        """A work-item's vectors from element ``first`` of a walk on; the next one lies behind those of all the others."""
        rows = self.rows

        def place(scope: Scope, step: Expr) -> Expr:
            return walk.place(scope, first + step * (rows.size * rows.width))

        return Block(self.nest, walk.axes[-1], rows.width, steps, place, steps if full is None else full, inside)

    def reduce(self, scope: Scope, number: int) -> None:
        """Stage ``number`` by all work-items of a group; all of them know its value."""
        nest, rows = self.nest, self.rows
        stage = nest.loops.stages[number]
        if not stage.over:
            carried = scope.carry(number, f"s{number}")
            scope.advance(stage, carried, scope.values(stage.values))
        else:
            arrays = accumulators.accumulators(scope, number, rows.width)
            if self.block is not None:
                self._add(scope, self.block, number, arrays)
            else:
                outer, axes = self._walked(stage.over)
                scope.loop(outer, stage.values, lambda inner: self._stream(inner, number, axes, arrays))
            tree = group.Tree(scope, number, rows.several, rows.size)
            tree.put(scope, self.row + self.lid * rows.several, accumulators.tree(scope, number, arrays, rows.width))
            tree.grow(scope, rows.size * rows.several)
            carried = tree.total(scope, self.row)
        scope.stages[number] = tuple(scope.shared(monoids.finished(stage, carried)))

    def _add(self, scope: Scope, block: Block, number: int, arrays: Sequence[str]) -> None:
        """The elements of a block into accumulators."""
        values = self.nest.loops.stages[number].values

        def one(inner: Scope) -> None:
            inner.settle(values)
            accumulators.add(inner, number, arrays, block.lane, [wide.replaced(v, block.held) for v in values])

        block.each(scope, [one])

    def _walked(self, axes: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """``axes`` in two: those that are looped over, and those that are walked through as one."""
        rows = self.rows
        whole = axes[-1] == rows.axis and short(self.nest.loops, rows.axis, rows.size, rows.width)
        return ((), axes) if whole else (axes[:-1], axes[-1:])

    def _stream(self, scope: Scope, number: int, axes: Sequence[int], arrays: Sequence[str]) -> None:
        """All vectors of a row, or of a part of one, into accumulators."""
        width, several, axis = self.rows.width, self.rows.size * self.rows.width, axes[-1]
        many, walk = unroll(width), Walk(scope, axes)
        start, stop, mine = walk.start, walk.stop, self.lid * width
        whole = scope.name("even", start + ((stop - start) & const(-many * several, dt.index)))
        vectors = stop if width == 1 else scope.name("vectors", start + ((stop - start) & const(-width, dt.index)))

        self._vectors(scope, number, walk, arrays, (start + mine, whole), many)
        self._vectors(scope, number, walk, arrays, (whole + mine, vectors), 1)
        if width > 1 and self.nest.loops.extents[axis] % width:
            rest, inner = self.nest.fresh(f"i{axis}_"), Scope(self.nest, scope)
            inner.axes[axis] = var(rest)
            accumulators.add(inner, number, arrays, ZERO, self.nest.loops.stages[number].values)
            scope.add(For(rest, vectors + self.lid, stop, const(self.rows.size, dt.index), tuple(inner.body)))

    def _vectors(
        self, scope: Scope, number: int, walk: Walk, arrays: Sequence[str], bounds: tuple[Expr, Expr], steps: int
    ) -> None:
        """A loop over vectors, ``steps`` at a time: all loads, then all that is done with them."""
        values = self.nest.loops.stages[number].values
        loads = [] if wide.guarded(values) else wide.loads_along(walk.axes[-1], values)

        def several(inner: Scope, first: Expr) -> None:
            block = self._block(walk, first, steps)
            block.hold(inner, loads)
            block.load(inner, loads)
            self._add(inner, block, number, arrays)

        scope.count("k", *bounds, several, const(steps * self.rows.size * self.rows.width, dt.index))

    # ---- writes ------------------------------------------------------------------------------------------------------
    def _write(self, scope: Scope) -> None:
        """The writes of a row: those of a whole row by all work-items, those of one element by the first."""
        kinds: dict[tuple[int, ...], list[Write]] = {}
        for w in self.writes:
            kinds.setdefault(tuple(a for a in w.axes if a not in scope.axes), []).append(w)
        for axes, members in sorted(kinds.items(), key=lambda item: len(item[0])):
            if not axes:
                inner = Scope(self.nest, scope)
                inner.write(members)
                first = self.lid.eq(0)
                scope.when(first if self.there is None else first & self.there, inner.body)
            elif self.block is not None:
                inner = Scope(self.nest, scope)
                self.block.write(inner, members)
                scope.add(*(inner.body if self.there is None else [If(self.there, tuple(inner.body))]))
            else:
                outer, walked = self._walked(by_step(members[0], axes))
                scope.loop(outer, [], partial(self._write_row, axes=walked, writes=members))

    def _write_row(self, scope: Scope, axes: Sequence[int], writes: Sequence[Write]) -> None:
        along = {s.over[-1] for s in self.nest.loops.stages if s.over}
        width, size, axis = self.rows.width, self.rows.size, axes[-1]
        walk = Walk(scope, axes)
        if width == 1 or axis not in along or self.nest.loops.extents[axis] % width:
            name, inner = self.nest.fresh("k"), Scope(self.nest, scope)
            inner.axes[axis] = walk.place(inner, var(name))
            inner.write(writes)
            scope.add(For(name, self.lid, walk.stop, const(size, dt.index), tuple(inner.body)))
            return

        scope.count("k", self.lid * width, walk.stop,
                    lambda inner, k: self._block(walk, k).write(inner, writes), const(size * width, dt.index))  # fmt: skip
