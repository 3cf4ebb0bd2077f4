"""Few long rows: each stage first in chunks, one work-item or workgroup each, then the chunks as one.

Every stage gets two launches of its own, a workspace between them and a workspace for its result; the writes follow in a
last launch, in which the stages' values are loads. The chunks are as many as the length and the device say, and are
combined in order, so results do not depend on what runs beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...ir.definition import Stage
from ...ir.expr import Expr, where
from ...ir.program import Put
from ...limits import Limits
from .. import monoids
from ..bind import STATUS, Loops, Write
from ..legalize import decode as decode_storage
from ..legalize import encode
from ..nest import ZERO, Nest, Scope, memory_name, special
from . import Launch, finish, flat, row

CHUNK = 4096
"""The shortest chunk that is worth a launch of its own."""


def fits(loops: Loops, writes: Sequence[Write], limits: Limits) -> bool:
    """True when rows are too few to fill the device and long enough to be cut, and every stage can be cut."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    stages = [loops.stages[n] for n in needed]
    if not needed or any(w.combine for w in writes):
        return False
    if any(s.kind == "scan" or not s.over or nest.free(n) != nest.free(needed[0]) for n, s in zip(needed, stages, strict=True)):
        return False
    rows = flat.points(loops, nest.free(needed[0]))
    longest = max(loops.extents[s.over[-1]] for s in stages)
    return 0 < rows < parallelism(limits) and longest >= 4 * CHUNK


def parallelism(limits: Limits) -> int:
    """How many rows keep the device busy without cutting them."""
    return 2 * limits.compute_units if limits.lanes == 1 else 8 * limits.compute_units


@dataclass
class Workspaces:
    """Operand numbers and sizes of the memory between launches."""

    sizes: dict[int, int] = field(default_factory=dict)

    def add(self, nbytes: int) -> int:
        """The operand number of a new one."""
        number = STATUS - 1 - len(self.sizes)
        self.sizes[number] = nbytes
        return number


def launches(
    loops: Loops, writes: tuple[Write, ...], limits: Limits, index_bits: int, workspaces: Workspaces
) -> list[Launch]:
    """Two launches for each stage, then one for the writes."""
    phases = _Phases(loops, writes, limits, index_bits, workspaces)
    made: list[Launch] = []
    for number in Nest(loops, writes).needed([r for w in writes for r in w.roots()]):
        made += phases.stage(number)
    nest = Nest(loops, writes, index_bits, kept=dict(phases.kept))
    return [*made, flat.launch(loops, writes, limits, index_bits, nest)]


class _Phases:
    """The stages of one group of writes, one after the other."""

    def __init__(
        self, loops: Loops, writes: tuple[Write, ...], limits: Limits, index_bits: int, workspaces: Workspaces
    ) -> None:
        self.loops, self.writes, self.limits, self.index_bits = loops, writes, limits, index_bits
        self.workspaces = workspaces
        self.kept: dict[int, Callable[[Scope], None]] = {}

    def stage(self, number: int) -> list[Launch]:
        """The launches of one stage; afterwards it is kept."""
        stage = self.loops.stages[number]
        length = self.loops.extents[stage.over[-1]]
        rows = sorted(self._nest().free(number))
        count = min(-(-length // CHUNK), 8 * self.limits.compute_units if self.limits.lanes == 1 else 256)
        each = -(-length // count)
        count = -(-length // each)
        partial = _Memory(self, stage, flat.points(self.loops, rows) * count)
        made = [self._chunks(number, rows, count, each, partial)]
        total = _Memory(self, stage, flat.points(self.loops, rows))
        made.append(self._combine(number, rows, count, partial, total))
        self.kept[number] = lambda scope: self._read(scope, number, rows, total)
        return made

    def _nest(self) -> Nest:
        return Nest(self.loops, self.writes, self.index_bits, kept=dict(self.kept))

    def _chunks(self, number: int, rows: list[int], count: int, each: int, partial: _Memory) -> Launch:
        """Each chunk of each row to its carried values."""
        nest = self._nest()
        last = self.loops.stages[number].over[-1]
        lanes = self.limits.lanes > 1
        size = row.group_size(nest, self.limits) if lanes else 1
        total = flat.points(self.loops, rows) * count

        def body(scope: Scope, point: Expr) -> None:
            chunk = scope.name("chunk", flat.unsigned(scope, "mod", point, nest.scalar("chunks", count)))
            rest = scope.name("r", flat.unsigned(scope, "idiv", point, nest.scalar("chunks", count)))
            if rows:
                flat.decode(scope, rows, rest)
            scope.settle(self.loops.stages[number].values)
            start = scope.name("start", chunk * nest.scalar("each", each))
            end = scope.name("end", start + nest.scalar("each", each))
            stop = scope.name("stop", where(end < nest.extent(last), end, nest.extent(last)))
            part = row.Range(start, stop)
            if lanes:
                carried = row.accumulate_group(scope, number, size, part)
            else:
                carried = row.accumulate(scope, number, flat.LANES, part)
            partial.put(scope, nest, point, carried, special("lid").eq(0) if lanes else None)

        return self._over(nest, total, size, body)

    def _combine(self, number: int, rows: list[int], count: int, partial: _Memory, total: _Memory) -> Launch:
        """The chunks of each row, in order, to the stage's values."""
        nest = self._nest()
        stage = self.loops.stages[number]

        def body(scope: Scope, point: Expr) -> None:
            carried = scope.carry(number, f"s{number}")
            chunks = nest.scalar("chunks", count)

            def step(inner: Scope, chunk: Expr) -> None:
                values = partial.get(nest, point * chunks + chunk)
                inner.assign(carried, monoids.merge(stage, carried, values))

            scope.count("q", ZERO, chunks, step)
            total.put(scope, nest, point, scope.shared(monoids.finished(stage, carried)), None)

        return self._over(nest, flat.points(self.loops, rows), 1, body)

    def _read(self, scope: Scope, number: int, rows: list[int], total: _Memory) -> None:
        """The value of a kept stage."""
        at: Expr = ZERO
        for axis in rows:
            at = at * scope.nest.extent(axis) + scope.axes[axis]
        scope.stages[number] = tuple(scope.name(f"s{number}_", v) for v in total.get(scope.nest, at))

    def _over(self, nest: Nest, total: int, size: int, body: Callable[[Scope, Expr], None]) -> Launch:
        """``body`` for each of ``total`` points, one group each."""
        scope = Scope(nest)

        def one(inner: Scope, point: Expr) -> None:
            inner.uniform = True
            body(inner, point)

        scope.count("p", special("group"), nest.scalar("points", total), one, special("groups"))
        groups = min(total, self.limits.max_grid[0])
        return finish(nest, self.loops.name, scope.body, (groups, 1, 1), (size, 1, 1), self.index_bits)


class _Memory:
    """Workspaces for the carried values of ``size`` points of a stage."""

    def __init__(self, phases: _Phases, stage: Stage, size: int) -> None:
        limits = phases.limits
        self.types = [v.dtype for v in monoids.initial(stage)]
        self.kinds = [limits.dtype_class(d) for d in self.types]
        self.numbers = [phases.workspaces.add(size * k.storage.itemsize) for k in self.kinds]

    def get(self, nest: Nest, at: Expr) -> list[Expr]:
        """The values at a point."""
        raw = [nest.load(n, k.storage, at) for n, k in zip(self.numbers, self.kinds, strict=True)]
        return [decode_storage(r, d, k) for r, d, k in zip(raw, self.types, self.kinds, strict=True)]

    def put(self, scope: Scope, nest: Nest, at: Expr, values: Sequence[Expr], only: Expr | None) -> None:
        """Store the values of a point (``only`` by the work-items for which it holds)."""
        puts = []
        for n, d, k, v in zip(self.numbers, self.types, self.kinds, values, strict=True):
            nest.stored[n] = k.storage
            puts.append(Put(memory_name(n), at, encode(v, d, k)))
        scope.add(*puts) if only is None else scope.when(only, puts)

