"""Reductions across rows on a device of lanes: neighbours in memory belong to different results.

A group makes the results of a strip of columns. Its work-items stand in a rectangle: those side by side take neighbouring
vectors (`wide`) of a row, those behind one another take rows in turn; a tree in workgroup memory for each column combines
what they found. Stages that follow and writes along the rows walk down the strip in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import Statement
from ...limits import Limits
from .. import monoids
from ..bind import Loops, Write
from ..nest import Nest, Scope, special
from . import Launch, accumulators, finish, group, wide
from .column import beside
from .contraction import smaller
from .flat import by_step, decode, parallel_axes, points, unsigned
from .wide import Block

UNROLL = 4
"""Rows that a work-item has on their way at a time."""
SHORTEST = 16
"""Rows that are worth a tree."""

@dataclass(frozen=True)
class Strip:
    """How a strip is shared: ``across`` work-items with ``width`` columns each, ``down`` of them behind one another."""

    across: int
    down: int
    width: int
    column: int = field(default=0, compare=False)
    over: tuple[int, ...] = field(default=(), compare=False)

    @property
    def columns(self) -> int:
        """Columns of the strip."""
        return self.across * self.width


def strip_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> Strip | None:
    """How this schedule shares what some writes need; None where it does not fit or pay."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    stages = [loops.stages[n] for n in needed]
    if limits.lanes == 1 or not stages or any(w.combine or w.valid is not None for w in writes):
        return None
    over, kept = stages[0].over, nest.free(needed[0])
    if any(s.kind != "reduce" or s.over != over or nest.free(n) != kept for n, s in zip(needed, stages, strict=True)):
        return None
    if not over or not kept or points(loops, over) < SHORTEST or any(set(w.axes) - set(over) != kept for w in writes):
        return None
    column = by_step(writes[0], sorted(kept))[-1]
    values = [v for s in stages for v in s.values]
    if not beside(values, column, over):
        return None
    width = wide.width_along(loops, column, writes, values, limits)
    while loops.extents[column] % width:
        width //= 2
    across = min(group.power(-(-loops.extents[column] // width)), limits.lanes)
    size = group.largest(limits, group.room(stages) * width)
    return Strip(across, max(size // across, 1), width, column, over)


def launch(loops: Loops, writes: tuple[Write, ...], strip: Strip, limits: Limits, index_bits: int) -> Launch:
    """One group for each strip."""
    nest = Nest(loops, writes, index_bits)
    outer = [a for a in parallel_axes(nest, writes) if a != strip.column]
    strips = -(-loops.extents[strip.column] // strip.columns)

    def body(scope: Scope, point: Expr) -> None:
        count = nest.scalar("strips", strips)
        if outer:
            decode(scope, outer, scope.name("r", unsigned(scope, "idiv", point, count)))
            point = unsigned(scope, "mod", point, count)
        _Strip(nest, writes, strip, scope, scope.name("j", point * strip.columns)).emit(scope)

    statements, grid = group.each_point(nest, points(loops, outer) * strips, limits, body)
    made = finish(nest, loops.name, statements, grid, (strip.across * strip.down, 1, 1), index_bits)
    return wide.told(made, limits) if strip.width > 1 else made


class _Strip:
    """The statements of the strip whose first column is ``first``."""

    def __init__(self, nest: Nest, writes: tuple[Write, ...], strip: Strip, scope: Scope, first: Expr) -> None:
        self.nest, self.writes, self.strip, self.first = nest, writes, strip, first
        self.size = strip.across * strip.down
        across = const(strip.across, dt.index)
        self.x = scope.name("x_", unsigned(scope, "mod", special("lid"), across) * strip.width)
        self.y = scope.name("y_", unsigned(scope, "idiv", special("lid"), across))
        # work-items beyond the last column repeat it, and nobody asks for what they find
        self.mine = scope.name("mine", smaller(first + self.x, nest.extent(strip.column) - strip.width))

    def emit(self, scope: Scope) -> None:
        """All stages, then the writes."""
        nest, roots = self.nest, [r for w in self.writes for r in w.roots()]
        numbers = nest.needed(roots)
        short = [w for w in self.writes if not set(w.axes) & set(self.strip.over)]
        long = [w for w in self.writes if w not in short]
        self.totals: dict[int, Callable[[Expr], tuple[Expr, ...]]] = {}
        for number in numbers:
            self._reduce(scope, number, bool(long) or number != numbers[-1])
        if short:
            group.together(scope, self.strip.columns, self.size, lambda inner, t: self._write(inner, t, short))
        for axes in sorted({w.axes for w in long}):
            self._write_down(scope, [w for w in long if w.axes == axes])

    # ---- stages ------------------------------------------------------------------------------------------------------
    def _reduce(self, scope: Scope, number: int, shared: bool) -> None:
        """Stage ``number`` of all columns; if ``shared``, any work-item can read it afterwards, else who writes it."""
        strip, stage = self.strip, self.nest.loops.stages[number]
        *outer, last = stage.over
        arrays = accumulators.accumulators(scope, number, strip.width)
        scope.loop(outer, [], lambda inner: self._rows(inner, number, last, arrays))
        tree = group.Tree(scope, number, strip.columns, strip.down)
        lanes = Block(self.nest, strip.column, strip.width, 1, lambda *_: self.mine, 1)
        at = self.y * strip.columns + self.x + lanes.lane
        lanes.each(scope, [lambda inner: tree.put(inner, at, accumulators.elements(inner, number, arrays, lanes.lane))])
        tree.grow(scope, self.size)
        read = tree.keep(scope, self.size, shared)
        self.totals[number] = lambda column: tuple(monoids.finished(stage, read(column)))

    def _rows(self, scope: Scope, number: int, axis: int, arrays: Sequence[str]) -> None:
        """All rows, or those of a part, into accumulators."""
        start, stop = scope.bounds(axis)
        whole = scope.name("even", start + ((stop - start) & const(-UNROLL * self.strip.down, dt.index)))

        self._some(scope, number, axis, arrays, (start + self.y, whole), UNROLL)
        self._some(scope, number, axis, arrays, (whole + self.y, stop), 1)

    def _some(
        self, scope: Scope, number: int, axis: int, arrays: Sequence[str], bounds: tuple[Expr, Expr], steps: int
    ) -> None:
        """A loop over rows, ``steps`` at a time: all loads, then all that is done with them."""
        values = self.nest.loops.stages[number].values
        loads = [] if wide.guarded(values) else wide.loads_along(self.strip.column, values)

        def several(inner: Scope, row: Expr) -> None:
            block = self._block(axis, row, steps)
            block.hold(inner, loads)
            block.load(inner, loads)

            def one(s: Scope) -> None:
                self._known(s, self.x + block.lane)
                accumulators.add(s, number, arrays, block.lane, [wide.replaced(v, block.held) for v in values])

            block.each(inner, [one])

        scope.count("k", *bounds, several, const(steps * self.strip.down, dt.index))

    def _block(self, axis: int, row: Expr, steps: int) -> Block:
        """The work-item's columns in ``steps`` of its rows."""

        def place(scope: Scope, step: Expr) -> Expr:
            scope.axes[axis] = row + step * self.strip.down
            return self.mine

        return Block(self.nest, self.strip.column, self.strip.width, steps, place, steps)

    def _known(self, scope: Scope, column: Expr) -> None:
        """In ``scope``, all stages made so far have their values for a column of the strip."""
        for number, read in self.totals.items():
            scope.stages[number] = read(column)

    # ---- writes ------------------------------------------------------------------------------------------------------
    def _write(self, scope: Scope, column: Expr, writes: Sequence[Write]) -> None:
        """What is written once for each column."""
        inner, place = Scope(self.nest, scope), self.first + column
        inner.axes[self.strip.column] = place
        self._known(inner, column)
        inner.write(writes)
        body: tuple[Statement, ...] = tuple(inner.body)
        if self.nest.loops.extents[self.strip.column] % self.strip.columns:
            scope.when(place < self.nest.extent(self.strip.column), body)
        else:
            scope.add(*body)

    def _write_down(self, scope: Scope, writes: Sequence[Write]) -> None:
        """What is written in each row."""
        *outer, last = [a for a in self.strip.over if a in writes[0].axes]

        def rows(inner: Scope) -> None:
            inner.count("k", self.y, self.nest.extent(last), row, const(self.strip.down, dt.index))

        def row(inner: Scope, number: Expr) -> None:
            block = self._block(last, number, 1)
            self._known(inner, self.x + block.lane)
            block.write(inner, writes)

        columns = Scope(self.nest, scope)
        columns.loop(outer, [], rows)
        scope.when(self.first + self.x < self.nest.extent(self.strip.column), columns.body)
