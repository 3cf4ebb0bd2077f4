"""Reductions across rows on a CPU: neighbours in memory belong to different results, so the lanes are the results.

A work-item takes a strip of columns and walks down all rows with one accumulator for each column. To keep long sums
exact, a block of rows is summed by itself and then added to the whole; the blocks depend on nothing but the length.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, const, walk
from ...ir.program import Array, For, If, Statement
from ...limits import Limits
from .. import monoids
from ..bind import Loops, Write
from ..nest import ONE, ZERO, Nest, Scope, special, var
from . import Launch, finish
from .contraction import smaller
from .flat import by_step, decode, parallel_axes, points, shares, unsigned

BLOCK = 256
NARROW, WIDE = 16, 64


def column_of(loops: Loops, writes: Sequence[Write]) -> int | None:
    """The axis of the results that lie side by side, where this schedule fits; None elsewhere."""
    nest = Nest(loops, tuple(writes))
    found = nest.needed([r for w in writes for r in w.roots()])
    axes = set(writes[0].axes)
    if len(found) != 1 or any(w.combine or set(w.axes) != axes for w in writes):
        return None
    stage = loops.stages[found[0]]
    if stage.kind != "reduce" or not stage.over or axes & set(stage.over):
        return None
    best = by_step(writes[0], sorted(axes))[-1:] if axes else []
    if not best or loops.extents[best[0]] < NARROW // 2:
        return None
    return best[0] if beside(stage.values, best[0], stage.over) else None


def beside(values: Sequence[Expr], column: int, over: Sequence[int]) -> bool:
    """True when more of the loads in ``values`` lie side by side along ``column`` than along the reduced axes.

    Loads that vary along both decide, if there are any: those of one row or column are few elements, read again and again.
    """
    steps = [_steps(n.args[0]) for v in values for n in walk(v) if n.op == "get"]
    steps = [s for s in steps if column in s and not s.keys().isdisjoint(over)] or steps
    across = sum(s.get(column, 0) == 1 for s in steps)
    return across > sum(s.get(a, 0) == 1 for s in steps for a in over)


def _steps(form: Expr) -> dict[int, int]:
    if form.op != "linear":
        return {}
    return {a.value: c for a, c in zip(form.args, form.value[1], strict=True) if a.op == "index"}


def launch(loops: Loops, writes: tuple[Write, ...], column: int, limits: Limits, index_bits: int) -> Launch:
    """Strips of columns, one after the other in each work-item."""
    nest = Nest(loops, writes, index_bits)
    (number,) = nest.needed([r for w in writes for r in w.roots()])
    width = WIDE if loops.extents[column] >= WIDE else NARROW
    outer = [a for a in parallel_axes(nest, writes) if a != column]
    across = -(-loops.extents[column] // width)
    strips = across * points(loops, outer)
    groups, each = shares(strips, width * points(loops, loops.stages[number].over), limits)
    scope = Scope(nest)
    start = scope.name("start", special("gid") * nest.scalar("each", each))
    stop = scope.name("stop", smaller(start + nest.scalar("each", each), nest.scalar("strips", strips)))

    def strip(inner: Scope, which: Expr) -> None:
        tiles = nest.scalar("across", across)
        first = inner.name("j0", unsigned(inner, "mod", which, tiles) * const(width, dt.index))
        if outer:
            decode(inner, outer, inner.name("r", unsigned(inner, "idiv", which, tiles)))
        _Strip(nest, number, column, width, first).emit(inner, writes)

    scope.count("g", start, stop, strip)
    return finish(nest, loops.name, scope.body, (groups, 1, 1), (1, 1, 1), index_bits)


class _Strip:
    """The statements for ``width`` columns from ``first`` on."""

    def __init__(self, nest: Nest, number: int, column: int, width: int, first: Expr) -> None:
        self.nest, self.number, self.column, self.first = nest, number, column, first
        self.width = const(width, dt.index)
        self.stage = nest.loops.stages[number]
        self.types = [v.dtype for v in monoids.initial(self.stage)]

    def emit(self, scope: Scope, writes: tuple[Write, ...]) -> None:
        """Totals of all columns, then the writes."""
        nest = self.nest
        wide = scope.name("wide", smaller(self.width, nest.extent(self.column) - self.first))
        totals = self._arrays(scope, "total")
        *outer, last = self.stage.over

        def blocks(inner: Scope) -> None:
            start, stop = inner.bounds(last)
            inner.count("k", start, stop, lambda s, k: self._block(s, last, k, stop, totals, wide), const(BLOCK, dt.index))

        scope.loop(outer, [], blocks)

        def store(inner: Scope, lane: Expr) -> None:
            inner.axes[self.column] = inner.name(f"i{self.column}_", self.first + lane)
            carried = self._get(totals, lane)
            inner.stages[self.number] = tuple(inner.shared(monoids.finished(self.stage, carried)))
            inner.write(writes)

        scope.count("l", ZERO, wide, store)

    def _block(self, scope: Scope, axis: int, start: Expr, end: Expr, totals: Sequence[str], wide: Expr) -> None:
        """Up to BLOCK rows, with accumulators of their own. Columns past the last repeat it and are never stored."""
        nest = self.nest
        stop = scope.name("stop", smaller(start + const(BLOCK, dt.index), end))
        sums = self._arrays(scope, "sum")
        whole = self._rows(scope, axis, start, stop, sums, None)
        edge = self._rows(scope, axis, start, stop, sums, nest.extent(self.column) - 1)
        scope.add(If(wide.eq(self.width), whole, edge))
        lane = nest.fresh("l")
        inner = Scope(nest, scope)
        inner.put_all(totals, var(lane), monoids.merge(self.stage, self._get(totals, var(lane)), self._get(sums, var(lane))))
        scope.add(For(lane, ZERO, self.width, ONE, tuple(inner.body), unroll=True))

    def _rows(
        self, scope: Scope, axis: int, start: Expr, stop: Expr, sums: Sequence[str], most: Expr | None
    ) -> tuple[Statement, ...]:
        nest = self.nest
        row, lane = nest.fresh("k"), nest.fresh("l")
        body = Scope(nest, scope)
        body.axes[axis] = var(row)
        inner = Scope(nest, body)
        place = self.first + var(lane)
        inner.axes[self.column] = inner.name(f"i{self.column}_", place if most is None else smaller(place, most))
        values = inner.values(self.stage.values)
        inner.put_all(sums, var(lane), monoids.step(self.stage, self._get(sums, var(lane)), values))
        body.add(For(lane, ZERO, self.width, ONE, tuple(inner.body), unroll=True))
        return (For(row, start, stop, ONE, tuple(body.body)),)

    def _arrays(self, scope: Scope, name: str) -> list[str]:
        names = [self.nest.fresh(name) for _ in self.types]
        for n, v in zip(names, monoids.initial(self.stage), strict=True):
            scope.add(Array(n, v.dtype, int(self.width.value), v))
        return names

    def _get(self, memories: Sequence[str], at: Expr) -> list[Expr]:
        return [Expr.of("get", (at,), d, m) for m, d in zip(memories, self.types, strict=True)]
