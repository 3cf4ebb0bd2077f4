"""Stages over rows on a device of lanes: a workgroup for each row, which its work-items share, then a tree.

A work-item takes every ``size``-th of the row's vectors (`wide`). A row that the group's registers hold is loaded once,
for all stages and for the writes behind them; the number of work-items is made for its length. A longer one is read by each
of them, several vectors at a time. Where several axes are reduced, the innermost of them is walked through at each point of
the others; if that is a short way, all of them are one (`paths`).

The order in which elements are combined depends on lengths, layouts and the device alone, never on what runs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import For, If
from ...limits import Limits
from .. import monoids
from ..bind import Loops, Write
from ..nest import ZERO, Nest, Scope, special, var
from . import Launch, accumulators, finish, group, wide
from .flat import by_step, decode, parallel_axes, points
from .paths import Walk
from .wide import Block

UNROLL = 4
"""Vectors of a longer row that a work-item has on their way at a time: of narrow ones more (`_unroll`)."""
HOLD, MOST = 16, 32
"""Elements that a work-item holds of a row: what it is given where the row is short enough, and at most."""
LARGEST = 1024


@dataclass(frozen=True)
class Rows:
    """How rows are shared: ``size`` work-items, ``width`` neighbours to a vector, ``steps`` vectors that each of them holds
    (0: rows are not held)."""

    size: int
    width: int
    steps: int = 0
    axis: int = field(default=0, compare=False)  # the innermost of those that are reduced


def rows_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> Rows | None:
    """How this schedule shares the rows of some writes; None where it does not fit or pay."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    stages = [loops.stages[n] for n in needed]
    if limits.lanes == 1 or not needed or any(w.combine for w in writes) or any(s.kind == "scan" for s in stages):
        return None
    if max(points(loops, s.over) for s in stages) < 2 * limits.lanes:
        return None
    last = max(stages, key=lambda s: points(loops, s.over)).over[-1]
    values = [v for s in stages for v in s.values]
    along = [w for w in writes if last in w.axes]
    width = wide.width_along(loops, last, along, values, limits)
    plain = all(s.over == (last,) for s in stages) and len({nest.free(n) for n in needed}) == 1
    if plain and last not in loops.parts and not wide.guarded(values):
        held = _held(nest, needed, writes, last, width, limits)
        if held is not None:
            return held
    width = width if all(s.over[-1:] == (last,) for s in stages) else 1
    size = group.largest(limits, group.room(stages))
    while any(len(s.over) > 1 for s in stages) and _short(loops, last, size, width) and loops.extents[last] % width:
        width //= 2
    return Rows(size, width, 0, last)


def _short(loops: Loops, axis: int, size: int, width: int) -> bool:
    """True when an axis is walked through before all work-items have several vectors of it on their way."""
    return axis not in loops.parts and loops.extents[axis] < _unroll(width) * size * width


def _unroll(width: int) -> int:
    """Vectors on their way at a time. Accumulators meet their elements in the same order whatever it is."""
    return UNROLL * max(UNROLL // width, 1)


def _held(
    nest: Nest, needed: Sequence[int], writes: Sequence[Write], last: int, width: int, limits: Limits
) -> Rows | None:
    """How rows are shared that registers hold."""
    length, kept = nest.loops.extents[last], nest.free(needed[0])
    loads = wide.loads_along(last, [v for n in needed for v in nest.loops.stages[n].values])
    if not loads or any(w.valid is not None or not set(w.axes) <= {*kept, last} or not kept <= set(w.axes) for w in writes):
        return None
    while length % width:
        width //= 2
    largest = group.largest(limits, group.room([nest.loops.stages[n] for n in needed]), LARGEST)
    each = max(width, group.power(HOLD // len(loads)) if len(loads) < HOLD else 1)
    size = min(max(group.power(-(-length // each)), min(limits.lanes, largest)), largest)
    steps = group.power(-(-length // (size * width)))
    return Rows(size, width, steps, last) if steps * width * len(loads) <= MOST else None


def launch(loops: Loops, writes: tuple[Write, ...], rows: Rows, limits: Limits, index_bits: int) -> Launch:
    """One workgroup for each point of the axes that all writes keep."""
    nest = Nest(loops, writes, index_bits)
    axes = parallel_axes(nest, writes)
    shared = _Rows(nest, writes, rows)

    def body(scope: Scope, point: Expr) -> None:
        if axes:
            decode(scope, axes, point)
        shared.emit(scope)

    statements, grid = group.each_point(nest, points(loops, axes), limits, body)
    made = finish(nest, loops.name, statements, grid, (rows.size, 1, 1), index_bits)
    return wide.told(made, limits) if rows.width > 1 else made


class _Rows:
    """The statements of one row."""

    def __init__(self, nest: Nest, writes: tuple[Write, ...], rows: Rows) -> None:
        self.nest, self.writes, self.rows = nest, writes, rows
        self.block: Block | None = None  # the row that is held

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
        first = special("lid") * rows.width
        block = self.block = self._block(walk, first, rows.steps, full, lambda first: first < walk.stop)
        loads = wide.loads_along(axis, self.values)
        block.hold(scope, loads)
        block.load(scope, loads)

    def _block(
        self, walk: Walk, first: Expr, steps: int = 1, full: int | None = None, inside: Callable[[Expr], Expr] | None = None
    ) -> Block:
        """A work-item's vectors from element ``first`` of a walk on; the next one lies behind those of all the others."""
        rows = self.rows
        place = lambda scope, step: walk.place(scope, first + step * (rows.size * rows.width))  # noqa: E731 - ``first``
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
            tree = group.Tree(scope, number, 1, rows.size)
            tree.put(scope, special("lid"), accumulators.tree(scope, number, arrays, rows.width))
            tree.grow(scope, rows.size)
            carried = tree.total(scope, ZERO)
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
        short = axes[-1] == rows.axis and _short(self.nest.loops, rows.axis, rows.size, rows.width)
        return ((), axes) if short else (axes[:-1], axes[-1:])

    def _stream(self, scope: Scope, number: int, axes: Sequence[int], arrays: Sequence[str]) -> None:
        """All vectors of a row, or of a part of one, into accumulators."""
        width, several, axis = self.rows.width, self.rows.size * self.rows.width, axes[-1]
        unroll, walk = _unroll(width), Walk(scope, axes)
        start, stop, mine = walk.start, walk.stop, special("lid") * width
        whole = scope.name("whole", start + ((stop - start) & const(-unroll * several, dt.index)))
        vectors = stop if width == 1 else scope.name("vectors", start + ((stop - start) & const(-width, dt.index)))

        self._vectors(scope, number, walk, arrays, (start + mine, whole), unroll)
        self._vectors(scope, number, walk, arrays, (whole + mine, vectors), 1)
        if width > 1 and self.nest.loops.extents[axis] % width:
            rest, inner = self.nest.fresh(f"i{axis}_"), Scope(self.nest, scope)
            inner.axes[axis] = var(rest)
            accumulators.add(inner, number, arrays, ZERO, self.nest.loops.stages[number].values)
            scope.add(For(rest, vectors + special("lid"), stop, const(self.rows.size, dt.index), tuple(inner.body)))

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
                scope.add(If(special("lid").eq(0), tuple(inner.body)))
            elif self.block is not None:
                self.block.write(scope, members)
            else:
                outer, walked = self._walked(by_step(members[0], axes))
                scope.loop(outer, [], lambda inner, a=walked, m=members: self._write_row(inner, a, m))  # type: ignore[misc]

    def _write_row(self, scope: Scope, axes: Sequence[int], writes: Sequence[Write]) -> None:
        along = {s.over[-1] for s in self.nest.loops.stages if s.over}
        width, size, axis = self.rows.width, self.rows.size, axes[-1]
        walk = Walk(scope, axes)
        if width == 1 or axis not in along or self.nest.loops.extents[axis] % width:
            name, inner = self.nest.fresh("k"), Scope(self.nest, scope)
            inner.axes[axis] = walk.place(inner, var(name))
            inner.write(writes)
            scope.add(For(name, special("lid"), walk.stop, const(size, dt.index), tuple(inner.body)))
            return

        scope.count("k", special("lid") * width, walk.stop,
                    lambda inner, k: self._block(walk, k).write(inner, writes), const(size * width, dt.index))  # fmt: skip
