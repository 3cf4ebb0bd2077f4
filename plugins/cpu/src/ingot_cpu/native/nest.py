"""One group of writes as a function: loops, stages, stores.

    void NAME(arguments, constants, first unit, end)

The outermost loop runs over units, which threads share; the lanes run along the axis on which most memory lies side by side.
A stage is computed in the outermost loop that knows all axes it keeps. Along the lanes a reduction has one accumulator
per lane and ends in a fixed tree; float sums of many terms go by blocks. Both depend on lengths and the definition alone, so
the bits do not depend on threads or on the width of the processor's vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported, monoids
from ingot_devices.codegen.bind import STATUS, Loops, Write
from ingot_devices.codegen.nest import Nest as Reach
from ingot_devices.codegen.nest import free_axes
from ingot_devices.dtypes import DType
from ingot_devices.ir.definition import Stage
from ingot_devices.ir.expr import Expr, walk

from . import lanes, streaming
from .access import ROW, Access, Scope, invariant
from .elementary import Elementary
from .emit import PAST_ALIGNMENT, Value
from .jit import Target
from .rows import select

FLAT = 4096
"""Elements of a unit where the lanes run along the outermost loop."""
SHORT = 32
"""An axis up to this length has one loop, under a mask, instead of one for whole vectors and one for the rest."""
COLUMNS = 256
"""The same where a stage runs in every lane."""
WIDE = 1024
"""Columns from which each step of such a stage takes many at once. No result depends on it."""
BLOCK = 128
"""Steps of a float sum that go into one accumulator before it is added to the whole."""
TREE = 256
"""Bytes of the accumulators of a reduction along the lanes: how many there are is part of its tree."""
ROW_BYTES = 64 << 10
"""A row of the stack at most: in the first two caches, and within what a thread's stack has to spare."""


class _Shape(NamedTuple):
    """How the last loop of a reduction runs: in ``parts`` vectors of ``lanes`` (0: one by one), as `lanes.weight` says."""

    lanes: int
    parts: int
    heavy: bool


class Kept(NamedTuple):
    """A part of a stage that ``write`` needs again, and the operand and offset where it waits."""

    part: Expr
    write: Write
    operand: int
    offset: Expr


class Nest:
    """Writes one group of writes of ``loops`` down."""

    def __init__(
        self, loops: Loops, writes: Sequence[Write], numbers: dict[int, DType], operands: int, target: Target,
        aliased: bool = False,
    ) -> None:  # fmt: skip
        self.aliased = aliased
        self.kept: dict[int, Kept] = {}  # stage → a part of it that a store needs again, and where it waits
        self.loops, self.writes = loops, tuple(writes)
        self.access = Access(loops, numbers, operands, target)
        self.f = self.access.f
        self.reach = Reach(loops, self.writes)
        self.elementary = Elementary()
        roots = [r for w in writes for r in w.roots()]
        self._reads: dict[tuple[Expr, ...], list[int]] = {}
        self.needed = self._needs(roots)
        self.stages = [loops.stages[n] for n in self.needed]
        self.axis = lanes.main_axis(self.stages, self.writes, self._roots(), self.loops.extents)
        self.streams = frozenset[int]() if aliased or not target.streams else streaming.operands(loops, self.writes, self.axis)
        self.units = 1
        self.row: int | None = None  # the innermost axis of the loops over rows
        self.trees: list[tuple[Any, ...]] = []
        self.parallel = False
        self._write_group()

    # ---- the whole -----------------------------------------------------------------------------------------------------
    def text(self) -> str:
        """The function's IR."""
        return self.f.text()

    def _write_group(self) -> None:
        common = frozenset.intersection(*(frozenset(w.axes) for w in self.writes))
        serial = {a for w in self.writes for a in w.axes if a not in w.parallel}
        scans = {a for s in self.stages if s.kind == "scan" for a in s.over}
        if len(scans) > 1:
            raise Unsupported("scans along two axes cannot run in one loop")
        rows = self._rows(common, scans)
        outer = [a for a in sorted(rows) if a not in serial and a != self.axis]
        ordered = [a for a in self.writes[0].axes if a in rows and a in serial and a != self.axis]
        last = [self.axis] if self.axis in rows else []
        if self.axis in serial or (scans and self.axis in scans):
            raise Unsupported("its order counts along the axis that memory lies on")
        if self.stages and last:
            self._open(outer, last, ordered)
        else:
            self._open(outer, [], [*ordered, *last])

    def _rows(self, common: frozenset[int], scans: set[int]) -> frozenset[int]:
        """The axes that are open when the stages are computed; all of them where there is no stage."""
        if not self.stages:
            return common
        if scans:
            return common - scans
        kept = frozenset[int]().union(*(free_axes(self.loops, n) for n in self.needed))
        return kept & common

    def _open(self, outer: list[int], lanes: list[int], inner: list[int]) -> None:
        """The loops over rows, in order; units are the first of them."""
        scope = Scope()
        if outer:
            first = max(outer, key=lambda a: (self.loops.extents[a] > 1, -outer.index(a)))
            rest = [a for a in outer if a != first]
            self.units, self.parallel = self.loops.extents[first], True
            self.row = [first, *rest][-1] if self.stages else None
            lo, hi = Value("%lo", dt.index), Value("%hi", dt.index)
            self._each(scope, first, lo, hi, lambda s: self._deeper(s, [*rest, *lanes, *inner]))
        elif lanes or (inner and inner[0] == self.axis and not self.stages):
            axis, unit = self.axis, COLUMNS if self.stages else FLAT
            self.units, self.parallel = -(-self.loops.extents[axis] // unit), True
            size, step = self.access.extent(axis), self.access.number(unit)
            lo = self.f.times(Value("%lo", dt.index), step)
            hi = self.f.least(self.f.times(Value("%hi", dt.index), step), size)
            within = inner if lanes else inner[1:]
            self._lanes(scope, axis, lo, hi, self._roots(), lambda s: self._deeper(s, within), self._last_of(within))
        else:
            self._deeper(scope, inner)

    def _deeper(self, scope: Scope, axes: list[int]) -> None:
        if not axes:
            self._settled(scope, self.writes)
            return
        axis, rest = axes[0], axes[1:]
        self._hoist(scope, self._roots(), axes)
        none, size = self.access.number(0), self.access.extent(axis)
        if axis == self.axis and not scope.lanes:
            self._lanes(scope, axis, none, size, self._roots(), lambda s: self._deeper(s, rest), self._last_of(rest))
        else:
            self._each(scope, axis, none, size, lambda s: self._deeper(s, rest))

    def _last_of(self, within: Sequence[int]) -> Sequence[Write]:
        """What is stored in the innermost loop, when only the axes ``within`` are left."""
        return () if within or self.stages else self.writes

    def _needs(self, roots: Sequence[Expr]) -> list[int]:
        """The stages that ``roots`` read, also through others, in order."""
        if not self.loops.stages:
            return []
        key = tuple(roots)
        if key not in self._reads:
            self._reads[key] = self.reach.needed(roots)
        return self._reads[key]

    def _roots(self) -> list[Expr]:
        return [r for w in self.writes for r in w.roots()] + [v for s in self.stages for v in s.values]

    # ---- loops ---------------------------------------------------------------------------------------------------------
    def _each(self, scope: Scope, axis: int, lo: Value, hi: Value, body: Callable[[Scope], None]) -> None:
        """``body`` for one index of ``axis`` after another."""

        def one(index: Value, carried: list[Value]) -> list[Value]:
            body(scope.inside(axis, index))
            return carried

        self.f.loop(lo, hi, self.access.number(1), [], one)

    def _lanes(
        self, scope: Scope, axis: int, lo: Value, hi: Value, roots: Sequence[Expr], body: Callable[[Scope], None],
        writes: Sequence[Write] = (),
    ) -> None:  # fmt: skip
        """``body`` for vectors of indices of ``axis``; ``writes``: what it stores, where this is the last loop."""

        fetches = not self.stages and streaming.fetches(self.loops, writes)

        def carry(inner: Scope, carried: list[Value]) -> list[Value]:
            if fetches:
                streaming.ahead(self.access, inner, axis, self.row, self._roots())
            body(inner)
            return carried

        heavy = lanes.weight(roots) > lanes.HEAVY
        vectors = 1 if heavy else 2
        if self.stages and not heavy and self.loops.extents[axis] >= WIDE:
            vectors = 16  # each step of a stage reads as far along memory as it can
        count = lanes.count(roots, vectors)
        past = [w for w in writes if w.operand in self.streams and count * w.value.dtype.itemsize % PAST_ALIGNMENT == 0]
        if past:
            lo = self._streamed(scope, axis, lo, hi, count * 2 if heavy else count, past, body)
        self._vectors(scope, axis, lo, hi, count, 1, heavy or bool(past), [], carry)

    def _streamed(
        self, scope: Scope, axis: int, lo: Value, hi: Value, lanes: int, past: Sequence[Write], body: Callable[[Scope], None]
    ) -> Value:  # fmt: skip
        """A loop over whole vectors in which ``past`` are stored past the caches; where it ends."""
        stop = streaming.end(self.access, scope, axis, lo, hi, lanes, past)

        def one(index: Value, carried: list[Value]) -> list[Value]:
            inner = scope.inside(axis, index, lanes=lanes, vector=axis, streams=frozenset(w.operand for w in past))
            if not self.kept:
                streaming.ahead(self.access, inner, axis, self.row, self._roots())
            body(inner)
            return carried

        self.f.loop(lo, stop, self.access.number(lanes), [], one)
        return stop

    def _vectors(
        self, scope: Scope, axis: int, lo: Value, hi: Value, lanes: int, parts: int, once: bool, carried: list[Value],
        body: Callable[[Scope, list[Value]], list[Value]],
    ) -> list[Value]:  # fmt: skip
        """A loop of ``parts`` vectors a step, and a partial one for the rest; ``once``: the same code for both.

        ``carried`` has the values of each part in turn.
        """
        step, none = self.access.number(lanes * parts), self.access.number(0)
        once = once or self.loops.extents[axis] <= SHORT

        def each(index: Value, held: list[Value], one: Callable[[Value, list[Value]], list[Value]]) -> list[Value]:
            size = len(held) // parts
            made: list[Value] = []
            for k in range(parts):
                made += one(self.f.add(index, self.access.number(k * lanes)), held[k * size : (k + 1) * size])
            return made

        def some(index: Value, held: list[Value]) -> list[Value]:
            rest = self.f.op(f"sub nsw i64 {hi.text}, {index.text}", dt.index, 0)
            count = self.f.least(rest, self.access.number(lanes))
            count = self.f.most(count, none) if parts > 1 else count
            mask = self.access.mask(count, lanes)
            inner = scope.inside(axis, index, lanes=lanes, vector=axis, mask=mask.text, count=count)
            return [select(self.f, mask, v, h) for v, h in zip(body(inner, held), held, strict=True)]

        if once:
            return self.f.loop(lo, hi, step, carried, lambda i, h: each(i, h, some))

        def all_(index: Value, held: list[Value]) -> list[Value]:
            return body(scope.inside(axis, index, lanes=lanes, vector=axis), held)

        length = self.f.op(f"sub nsw i64 {hi.text}, {lo.text}", dt.index, 0)
        full = self.f.op(f"and i64 {length.text}, {-lanes * parts}", dt.index, 0)
        middle = self.f.add(lo, full)
        held = self.f.loop(lo, middle, step, carried, lambda i, h: each(i, h, all_))
        return self.f.loop(middle, hi, step, held, lambda i, h: each(i, h, some))

    def _hoist(self, scope: Scope, roots: Sequence[Expr], axes: Sequence[int]) -> None:
        """Compute what does not change in the loops over ``axes`` before them."""
        added_to = [w.operand for w in self.writes if len(w.parallel) < len(w.axes)]  # an element after the other, in order
        for part in invariant(roots, self._unopened(scope), scope.stages, added_to):
            self.access.value(scope, part)

    def _unopened(self, scope: Scope) -> list[int]:
        return [a for a in range(len(self.loops.extents)) if a not in scope.axes]

    # ---- stages --------------------------------------------------------------------------------------------------------
    def _settle(self, scope: Scope, roots: Sequence[Expr]) -> None:
        """Compute the reductions that ``roots`` read and that keep only open axes."""
        for n in self._needs(roots):
            stage = self.loops.stages[n]
            if n not in scope.stages and stage.kind == "reduce" and free_axes(self.loops, n) <= scope.axes.keys():
                scope.stages[n] = self._reduce(scope, n, stage)

    def _reduce(self, scope: Scope, number: int, stage: Stage) -> tuple[Value, ...]:
        values = stage.values
        if not stage.over:
            self._settle(scope, values)
            return tuple(self.access.vector(scope, v) for v in values)
        nested = any(n not in scope.stages for n in self._needs(values))
        if not nested:
            self._hoist(scope, values, stage.over)
        axis = -1 if scope.lanes or nested else lanes.best_axis(self.axis, stage.over, values, self.loops.extents)
        heavy = lanes.weight(values) > lanes.HEAVY
        width = min(64, TREE // values[0].dtype.itemsize)
        parts = 2 if heavy and axis >= 0 else 1
        order = [a for a in stage.over if a != axis] + ([axis] if axis >= 0 else [])
        self._note(stage, order, axis >= 0)
        shape = _Shape(width // parts if axis >= 0 else 0, parts, heavy)
        first = self._first(scope, stage, shape.lanes or scope.lanes) * parts
        held = self._folded(scope, stage, order, shape, first)
        if axis >= 0:
            held = self._across(scope, stage, held, parts)
        return self._finished(scope, stage, held)

    def _first(self, scope: Scope, stage: Stage, lanes: int) -> list[Value]:
        """The carried values before any element."""
        made = [self.access.value(scope, v) for v in monoids.initial(stage)]
        return [self.f.spread(v, lanes) for v in made] if lanes else made

    def _note(self, stage: Stage, order: Sequence[int], lanes: bool) -> None:
        """What decides the order in which a stage rounds."""
        if stage.monoid in ("sum", "prod") and stage.values[0].dtype.kind == "f":
            walked = tuple((self.loops.extents[a], *self.loops.walked(a)) for a in order)
            self.trees.append((stage.monoid, stage.values[0].dtype.name, walked, lanes))

    def _folded(
        self, scope: Scope, stage: Stage, order: Sequence[int], shape: _Shape, held: list[Value]
    ) -> list[Value]:
        """The carried values after loops over ``order``."""
        axis, rest = order[0], order[1:]
        if not rest:
            return self._last(scope, axis, stage, shape, held)
        none, size, one = self.access.number(0), self.access.extent(axis), self.access.number(1)
        return self.f.loop(none, size, one, held,
                           lambda i, h: self._folded(scope.inside(axis, i), stage, rest, shape, h))

    def _last(self, scope: Scope, axis: int, stage: Stage, shape: _Shape, held: list[Value]) -> list[Value]:
        """The innermost loop of a reduction, a float sum by blocks."""
        none, size = self.access.number(0), self.access.extent(axis)

        def run(lo: Value, hi: Value, carried: list[Value]) -> list[Value]:
            if shape.lanes:
                return self._vectors(scope, axis, lo, hi, shape.lanes, shape.parts, shape.heavy, carried,
                                     lambda s, h: self._step(s, stage, h))
            one = self.access.number(1)
            return self.f.loop(lo, hi, one, carried, lambda i, h: self._step(scope.inside(axis, i), stage, h))

        if not (stage.monoid == "sum" and held[0].dtype.kind == "f"):
            return run(none, size, held)
        first = self._first(scope, stage, held[0].lanes) * shape.parts
        step = self.access.number(BLOCK * (shape.lanes * shape.parts or 1))

        def block(start: Value, total: list[Value]) -> list[Value]:
            part = run(start, self.f.least(self.f.add(start, step), size), first)
            size_ = len(total) // shape.parts
            pieces = [slice(k * size_, (k + 1) * size_) for k in range(shape.parts)]
            return [v for piece in pieces for v in self._merged(scope, stage, total[piece], part[piece])]

        return self.f.loop(none, size, step, held, block)

    def _step(self, scope: Scope, stage: Stage, held: list[Value]) -> list[Value]:
        self._settle(scope, stage.values)
        carried = [self.access.variable(scope, h) for h in held]
        made = [self.access.variable(scope, self.access.vector(scope, v)) for v in stage.values]
        waiting = [kept for n, kept in self.kept.items() if self.loops.stages[n] is stage]
        if waiting and self.streams and scope.lanes:  # this is the loop that computes longest
            streaming.ahead(self.access, scope, self.axis, self.row, self._roots())
        for kept in waiting:
            self.access.store(scope, kept.operand, kept.offset, self.access.vector(scope, kept.part), None)
        return [self.access.vector(scope, self.elementary(v)) for v in monoids.step(stage, carried, made)]

    def _merged(self, scope: Scope, stage: Stage, a: Sequence[Value], b: Sequence[Value]) -> list[Value]:
        left, right = ([self.access.variable(scope, v) for v in side] for side in (a, b))
        inner = replace(scope, memo=dict(scope.memo))
        return [self.access.value(inner, v) for v in monoids.merge(stage, left, right)]

    def _across(self, scope: Scope, stage: Stage, held: list[Value], parts: int) -> list[Value]:
        """The lanes as one value: halves, quarters, … in a fixed tree. Parts are lanes that lie apart."""
        while parts > 1:
            half = len(held) // 2
            size = half // (parts // 2)
            pieces = [slice(k * size, (k + 1) * size) for k in range(parts // 2)]
            lower, upper = held[:half], held[half:]
            held = [v for piece in pieces for v in self._merged(scope, stage, lower[piece], upper[piece])]
            parts //= 2
        while held[0].lanes:
            pairs = [self.f.halves(h) for h in held]
            held = self._merged(scope, stage, [p[0] for p in pairs], [p[1] for p in pairs])
        return held

    def _finished(self, scope: Scope, stage: Stage, held: Sequence[Value]) -> tuple[Value, ...]:
        carried = [self.access.variable(scope, h) for h in held]
        return tuple(self.access.value(scope, self.elementary(v)) for v in monoids.finished(stage, carried))

    # ---- stores --------------------------------------------------------------------------------------------------------
    def _settled(self, scope: Scope, writes: Sequence[Write]) -> None:
        """All rows are open: the stages, then the writes, those with the same axes in one loop."""
        self._keep(scope, writes)
        self._settle(scope, [r for w in writes for r in w.roots()])
        groups: dict[tuple[int, ...], list[Write]] = {}
        for w in writes:
            groups.setdefault(tuple(a for a in w.axes if a not in scope.axes), []).append(w)
        for axes in sorted(groups, key=len):
            self._stores(scope, list(axes), groups[axes])

    def _keep(self, scope: Scope, writes: Sequence[Write]) -> None:
        """What a stage computes at length and a store needs again waits in the output (softmax: the exponentials)."""
        read = {n.value for n in walk(*self._roots()) if n.op == "get"}
        for w in writes if not self.aliased and not scope.lanes else ():
            terms = dict(zip((a.value for a in w.offset.args if a.op == "index"), w.offset.value[1], strict=False))
            left = [a for a in w.axes if a not in scope.axes]
            plain = len(terms) == len(w.offset.args) and w.combine is None and w.valid is None
            if not plain or left != [self.axis] or terms.get(self.axis) != 1 or w.operand in read or w.operand == STATUS:
                continue
            mine = set(walk(w.value))
            for n in self.needed:
                stage = self.loops.stages[n]
                part = stage.values[0]
                fits = stage.kind == "reduce" and stage.over == (self.axis,) and part.dtype is w.value.dtype
                if fits and part in mine and lanes.weight([part]) > lanes.HEAVY // 2 and not self.kept:
                    self.kept[n] = self._place_of(part, w)

    def _place_of(self, part: Expr, w: Write) -> Kept:
        """The output, or a row of the stack where the output is not to be in the caches."""
        if w.operand in self.streams and self.loops.extents[self.axis] * part.dtype.itemsize <= ROW_BYTES:
            return Kept(part, w, ROW, self.access.row(self.access.extent(self.axis), part.dtype, {self.axis: 1}))
        self.streams -= {w.operand}
        return Kept(part, w, w.operand, w.offset)

    def _stores(self, scope: Scope, axes: list[int], writes: list[Write]) -> None:
        roots = [r for w in writes for r in w.roots()]
        scans = [n for n in self._needs(roots) if self.loops.stages[n].kind == "scan" and n not in scope.stages]
        if scans:
            along = self.loops.stages[scans[0]].over
            axes = [a for a in axes if a not in along] + [a for a in axes if a in along]
        elif axes and not scope.lanes and not self._waiting(scope, roots):
            best = lanes.best_axis(self.axis, axes, roots, self.loops.extents)
            axes = [a for a in axes if a != best] + [best]
        self._loops(scope, axes, scans, roots, writes)

    def _waiting(self, scope: Scope, roots: Sequence[Expr]) -> bool:
        """True where a reduction is left that wants the lanes for itself."""
        left = [n for n in self._needs(roots) if n not in scope.stages]
        return any(self.loops.stages[n].kind == "reduce" and self.axis in self.loops.stages[n].over for n in left)

    def _loops(self, scope: Scope, axes: list[int], scans: list[int], roots: list[Expr], writes: list[Write]) -> None:
        if not axes:
            self._put(scope, scans, writes)
            return
        axis, rest = axes[0], axes[1:]
        if not scans:
            self._hoist(scope, roots, axes)
        none, size, one = self.access.number(0), self.access.extent(axis), self.access.number(1)
        if rest or scans or scope.lanes or self._waiting(scope, roots):
            starting = [n for n in scans if axis in self.loops.stages[n].over]
            first = [self._start(scope, n) for n in starting]
            flat = [v for values in first for v in values]

            def each(index: Value, held: list[Value]) -> list[Value]:
                inner, given = scope.inside(axis, index), iter(held)
                for n, values in zip(starting, first, strict=True):
                    inner.carried[n] = [next(given) for _ in values]
                self._loops(inner, rest, scans, roots, writes)
                return [v for n in starting for v in inner.carried[n]]

            self.f.loop(none, size, one, flat, each)
        else:
            self._lanes(scope, axis, none, size, roots, lambda s: self._put(s, [], writes), writes)

    def _start(self, scope: Scope, number: int) -> list[Value]:
        return [self.access.vector(scope, v) for v in monoids.initial(self.loops.stages[number])]

    def _scan(self, scope: Scope, number: int) -> None:
        stage = self.loops.stages[number]
        values = stage.values
        if not stage.over:
            self._settle(scope, values)
            scope.stages[number] = tuple(self.access.vector(scope, v) for v in values)
            return
        if number not in scope.carried:
            raise Unsupported("a scan is read where its axis does not run in order")
        for inner in self._needs(values):
            if inner not in scope.stages:
                raise Unsupported("a scan reads a stage that is not known before its loop")
        held = self._step(scope, stage, scope.carried[number])
        scope.carried[number] = held
        scope.stages[number] = self._finished(scope, stage, held)

    def _put(self, scope: Scope, scans: list[int], writes: Sequence[Write]) -> None:
        """Every value, then every store."""
        for n in scans:
            self._scan(scope, n)
        self._settle(scope, [r for w in writes for r in w.roots()])
        for kept in self.kept.values():
            if self.axis in scope.axes and kept.write in writes:
                again = Expr.of("get", (kept.offset,), kept.part.dtype, kept.operand)
                scope.memo[kept.part] = self.access.value(scope, again)
        made = []
        for w in writes:
            value = self.access.value(scope, w.value)
            valid = None if w.valid is None else self.access.vector(scope, w.valid)
            made.append((w, value, valid))
        for w, value, valid in made:
            if w.operand == STATUS:
                assert valid is not None
                self.access.fail(scope, valid, value)
            else:
                self.access.store(scope, w.operand, w.offset, value, valid)
