"""A sum over a product of two operands, in register tiles: matmul, linear with its epilogue, convolution.

For a CPU: no barriers. One work-item makes a block of ``ROWS`` × ``COLUMNS`` results. It copies a panel of the right
factor into private memory, in the computing type and with the columns side by side, so that any strides and storage
will do; then ``TILE`` rows at a time run through it with their accumulators in registers. Every result is summed in the
order of the summed axes, whatever the sizes of the blocks. Where the column is many axes in one (the pixels of a
convolution), the quotients that tell them apart are worked out once for a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ... import dtypes as dt
from ...ir.expr import Expr, const, walk, where
from ...ir.program import Array, For, If, Put, Statement
from ...limits import Limits
from ..bind import Loops, Write
from ..nest import ONE, ZERO, Nest, Scope, var
from . import Launch, finish
from .flat import decode, shares, unsigned

TILE, ROWS, COLUMNS, DEPTH = 4, 64, 16, 256
LEAST = 4096  # products that are worth the blocks


@dataclass(frozen=True)
class Contraction:
    """Σ left·right over ``summed``. ``left`` has the axis ``row`` (None: one row), ``right`` the axis ``column``."""

    stage: int
    left: Expr
    right: Expr
    row: int | None
    column: int
    batch: tuple[int, ...]
    summed: tuple[int, ...]


def match(loops: Loops, writes: Sequence[Write]) -> Contraction | None:
    """The contraction that ``writes`` are, or None."""
    nest = Nest(loops, tuple(writes))
    found = nest.needed([r for w in writes for r in w.roots()])
    axes = set(writes[0].axes)
    if len(found) != 1 or any(w.combine or set(w.axes) != axes for w in writes):
        return None
    stage = loops.stages[found[0]]
    value = stage.values[0]
    plain = stage.kind == "reduce" and stage.monoid == "sum" and value.op == "mul" and value.dtype is not dt.bool_
    if not plain or not stage.over or axes & set(stage.over):
        return None
    steps = _steps(writes[0])
    best: Contraction | None = None
    for left, right in (value.args, value.args[::-1]):
        made = _oriented(found[0], left, right, axes, stage.over, steps)
        if made and (best is None or steps.get(made.column, 0) < steps.get(best.column, 0)):
            best = made
    return best if best and _worthwhile(loops, best) else None


def _oriented(
    stage: int, left: Expr, right: Expr, axes: set[int], summed: tuple[int, ...], steps: dict[int, int]
) -> Contraction | None:
    a, b = _axes(left), _axes(right)
    rows = sorted((a - b) & axes, key=lambda k: steps.get(k, 0))
    columns = sorted((b - a) & axes, key=lambda k: steps.get(k, 0))
    if not columns:
        return None
    row = rows[0] if rows else None
    batch = tuple(sorted(axes - {row, columns[0]}, key=lambda k: (-steps.get(k, 0), k)))
    return Contraction(stage, left, right, row, columns[0], batch, summed)


def _steps(write: Write) -> dict[int, int]:
    """Axis → step of the output."""
    terms = zip(write.offset.args, write.offset.value[1], strict=True)
    return {a.value: c for a, c in terms if a.op == "index"}


def _axes(e: Expr) -> set[int]:
    return {n.value for n in walk(e) if n.op == "index"}


def _quotients(e: Expr, axis: int) -> list[Expr]:
    """The outermost divisions in ``e`` by a size, of what depends on ``axis`` alone."""
    found = [n for n in walk(e) if n.op in ("idiv", "mod") and n.args[1].op != "const" and _axes(n) == {axis}]
    within = {id(a) for n in found for a in walk(*n.args)}
    return [n for n in found if id(n) not in within]


def _worthwhile(loops: Loops, c: Contraction) -> bool:
    rows = 1 if c.row is None else loops.extents[c.row]
    depth = 1
    for a in c.summed:
        depth *= loops.extents[a]
    return loops.extents[c.column] >= COLUMNS // 2 and depth >= 4 and rows * loops.extents[c.column] * depth >= LEAST


def launch(loops: Loops, writes: tuple[Write, ...], c: Contraction, limits: Limits, index_bits: int) -> Launch:
    """The tiled schedule of a contraction for a CPU."""
    nest = Nest(loops, writes, index_bits)
    m = 1 if c.row is None else loops.extents[c.row]
    n = loops.extents[c.column]
    block = _Block(nest, c, tile=TILE if m >= TILE else 1, rows=ROWS if m > 16 else 16 if m > 1 else 1)
    across, down = -(-n // COLUMNS), -(-m // block.rows)
    tiles = across * down
    for a in c.batch:
        tiles *= loops.extents[a]
    depth = 1
    for a in c.summed:
        depth *= loops.extents[a]
    groups, each = shares(tiles, depth * COLUMNS * min(m, block.rows) // 8, limits)
    scope = Scope(nest)
    start = scope.name("start", Expr.of("special", (), dt.index, ("gid", 0)) * nest.scalar("each", each))
    total = nest.scalar("tiles", tiles)
    end = scope.name("end", start + nest.scalar("each", each))
    inner = Scope(nest, scope)
    tile = nest.fresh("g")
    block.emit(inner, writes, var(tile), nest.scalar("across", across), nest.scalar("down", down))
    scope.add(For(tile, start, smaller(end, total), ONE, tuple(inner.body)))
    return finish(nest, loops.name, scope.body, (groups, 1, 1), (1, 1, 1), index_bits)


def smaller(a: Expr, b: Expr) -> Expr:
    """The smaller of two indices."""
    return where(a < b, a, b)


def number(value: int) -> Expr:
    """A literal of the schedule's own: tile sizes are part of a kernel's class."""
    return const(value, dt.index)


class _Block:
    """The statements that make one block of results."""

    def __init__(self, nest: Nest, c: Contraction, tile: int, rows: int) -> None:
        self.nest, self.c, self.tile, self.rows = nest, c, tile, rows
        self.dtype = c.left.dtype
        self.sums, self.panel = "sums", "panel"
        self.tables = {n: nest.fresh("table") for n in _quotients(c.right, c.column)}

    def emit(self, scope: Scope, writes: tuple[Write, ...], tile: Expr, across: Expr, down: Expr) -> None:
        """Block number ``tile`` of ``across`` × ``down`` × batch."""
        c = self.c
        self._locate(scope, tile, across, down)
        scope.add(Array(self.sums, self.dtype, self.rows * COLUMNS, const(0, self.dtype)))
        scope.add(Array(self.panel, self.dtype, DEPTH * COLUMNS, const(0, self.dtype)))
        self._fill_tables(scope)
        *outer, last = c.summed
        scope.loop(outer, [], lambda inner: self._panels(inner, last))
        self._store(scope, writes)

    def _locate(self, scope: Scope, tile: Expr, across: Expr, down: Expr) -> None:
        """The first row and column of the block, and how many it has."""
        nest, c = self.nest, self.c
        column = scope.name("jb", unsigned(scope, "mod", tile, across))
        rest = scope.name("r", unsigned(scope, "idiv", tile, across))
        self.column = scope.name("j0", column * number(COLUMNS))
        self.columns = scope.name("wide", smaller(number(COLUMNS), nest.extent(c.column) - self.column))
        if c.row is None:
            self.row, self.height, batch = ZERO, ONE, rest
        else:
            row = scope.name("ib", unsigned(scope, "mod", rest, down))
            batch = scope.name("r", unsigned(scope, "idiv", rest, down)) if c.batch else ZERO
            self.row = scope.name("i0", row * number(self.rows))
            self.height = scope.name("high", smaller(number(self.rows), nest.extent(c.row) - self.row))
        if c.batch:
            decode(scope, c.batch, batch)

    def _fill_tables(self, scope: Scope) -> None:
        """The quotients of each column of the block."""
        if not self.tables:
            return
        scope.add(*(Array(table, n.dtype, COLUMNS, const(0, n.dtype)) for n, table in self.tables.items()))
        j = self.nest.fresh("jj")
        inner = Scope(self.nest, scope)
        place = smaller(self.column + var(j), self.nest.extent(self.c.column) - 1)
        inner.axes[self.c.column] = inner.name(f"i{self.c.column}_", place)
        for table, value in zip(self.tables.values(), inner.values(list(self.tables)), strict=True):
            inner.add(Put(table, var(j), value))
        scope.add(For(j, ZERO, number(COLUMNS), ONE, tuple(inner.body)))

    # ---- the sums --------------------------------------------------------------------------------------------------
    def _panels(self, scope: Scope, axis: int) -> None:
        """All of the innermost summed axis, ``DEPTH`` at a time."""
        nest = self.nest
        name = nest.fresh("k")
        inner = Scope(nest, scope)
        n = nest.extent(axis)
        depth = inner.name("deep", smaller(number(DEPTH), n - var(name)))
        full = self._copy(inner, axis, var(name), depth, lambda j: j)
        edge = self._copy(inner, axis, var(name), depth, lambda j: smaller(j, nest.extent(self.c.column) - 1))
        inner.add(If(self.columns.eq(number(COLUMNS)), full, edge))
        self._tiles(inner, axis, var(name), depth)
        scope.add(For(name, ZERO, n, number(DEPTH), tuple(inner.body)))

    def _copy(
        self, scope: Scope, axis: int, first: Expr, depth: Expr, clamp: Callable[[Expr], Expr]
    ) -> tuple[Statement, ...]:
        """The panel of the right factor: depth × COLUMNS, in the computing type."""
        nest = self.nest
        k, j = nest.fresh("kk"), nest.fresh("jj")
        outer = Scope(nest, scope)
        outer.axes[axis] = outer.name(f"i{axis}_", first + var(k))
        inner = Scope(nest, outer)
        inner.axes[self.c.column] = inner.name(f"i{self.c.column}_", clamp(self.column + var(j)))
        for quotient, table in self.tables.items():
            inner.memo[inner.resolve(quotient)] = Expr.of("get", (var(j),), quotient.dtype, table)
        (value,) = inner.values([self.c.right])
        inner.add(Put(self.panel, var(k) * number(COLUMNS) + var(j), value))
        outer.add(For(j, ZERO, number(COLUMNS), ONE, tuple(inner.body)))
        return (For(k, ZERO, depth, ONE, tuple(outer.body)),)

    def _tiles(self, scope: Scope, axis: int, first: Expr, depth: Expr) -> None:
        """``tile`` rows at a time through the panel. Rows past the end repeat the last one and are never stored."""
        nest, c = self.nest, self.c
        i = nest.fresh("ii")
        body = Scope(nest, scope)
        rows = [body.name("row", self._row_of(var(i) + r)) for r in range(self.tile)]
        sums = [nest.fresh("acc") for _ in rows]
        for r, name in enumerate(sums):
            body.add(Array(name, self.dtype, COLUMNS, const(0, self.dtype)))
            body.add(self._lanes(lambda j, r=r, m=name: Put(m, j, self._get(self.sums, self._spot(var(i) + r, j)))))  # type: ignore[misc]
        k = nest.fresh("kk")
        inner = Scope(nest, body)
        inner.axes[axis] = inner.name(f"i{axis}_", first + var(k))
        for row, name in zip(rows, sums, strict=True):
            if c.row is not None:
                inner.axes[c.row] = row
            self._row(inner, name, var(k))
        body.add(For(k, ZERO, depth, ONE, tuple(inner.body)))
        for r, name in enumerate(sums):
            body.add(self._lanes(lambda j, r=r, m=name: Put(self.sums, self._spot(var(i) + r, j), self._get(m, j))))  # type: ignore[misc]
        scope.add(For(i, ZERO, self.height, number(self.tile), tuple(body.body)))

    def _row_of(self, i: Expr) -> Expr:
        if self.c.row is None:
            return ZERO
        return self.row + (smaller(i, self.height - 1) if self.tile > 1 else i)

    def _row(self, scope: Scope, sums: str, k: Expr) -> None:
        """sums[j] += left · panel[k, j] for all columns."""
        (left,) = scope.values([self.c.left])
        factor = scope.name("f", left)

        def add(j: Expr) -> Statement:
            right = self._get(self.panel, k * number(COLUMNS) + j)
            return Put(sums, j, self._get(sums, j) + factor * right)

        scope.add(self._lanes(add))

    def _lanes(self, statement: Callable[[Expr], Statement]) -> For:
        name = self.nest.fresh("l")
        return For(name, ZERO, number(COLUMNS), ONE, (statement(var(name)),), unroll=True)

    def _spot(self, row: Expr, column: Expr) -> Expr:
        return row * number(COLUMNS) + column

    def _get(self, memory: str, at: Expr) -> Expr:
        return Expr.of("get", (at,), self.dtype, memory)

    # ---- the results -----------------------------------------------------------------------------------------------
    def _store(self, scope: Scope, writes: tuple[Write, ...]) -> None:
        """The epilogue: the writes' own expressions, over the sums."""
        nest, c = self.nest, self.c
        i, j = nest.fresh("ii"), nest.fresh("jj")
        outer = Scope(nest, scope)
        if c.row is not None:
            outer.axes[c.row] = outer.name(f"i{c.row}_", self.row + var(i))
        inner = Scope(nest, outer)
        inner.axes[c.column] = inner.name(f"i{c.column}_", self.column + var(j))
        total = inner.name("total", self._get(self.sums, self._spot(var(i), var(j))))
        inner.stages[c.stage] = (total,)
        inner.write(writes)
        outer.add(For(j, ZERO, self.columns, ONE, tuple(inner.body)))
        scope.add(For(i, ZERO, self.height, ONE, tuple(outer.body)))

