"""Reductions along rows: several accumulators with a fixed tree on a CPU, a workgroup per row on a device of lanes.

The order in which elements are combined depends on the length and the device alone, never on what runs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import Array, Barrier, For, If, Local, Put, Statement
from ...limits import Limits
from .. import monoids
from ..bind import Loops, Write
from ..nest import ONE, ZERO, Nest, Scope, special, var
from . import Launch, finish
from .flat import by_step, decode, parallel_axes, points

WORKGROUP = 256


@dataclass(frozen=True)
class Range:
    """The part of a stage's innermost axis that is reduced: from ``start`` to ``stop``; ``whole`` of it in full steps
    of the accumulators (None: it is worked out in the kernel)."""

    start: Expr
    stop: Expr
    whole: Expr | None = None


# ---- a CPU: accumulators ---------------------------------------------------------------------------------------------
def reduce_lanes(scope: Scope, number: int, lanes: int, part: Range | None = None) -> None:
    """Stage ``number`` over ``lanes`` accumulators: element k of the innermost axis goes to accumulator k modulo
    ``lanes``, and the accumulators are combined as a balanced tree."""
    carried = accumulate(scope, number, lanes, part)
    stage = scope.nest.loops.stages[number]
    scope.stages[number] = tuple(scope.shared(monoids.finished(stage, carried)))


def accumulate(scope: Scope, number: int, lanes: int, part: Range | None = None) -> list[Expr]:
    """The carried values of `reduce_lanes`, not finished."""
    nest, stage = scope.nest, scope.nest.loops.stages[number]
    *outer, last = stage.over
    if part is None:
        whole = nest.scalar(f"whole{last}", nest.loops.extents[last] // lanes * lanes)
        part = Range(ZERO, nest.extent(last), whole)
    bounds = part
    arrays = [nest.fresh(f"a{number}_") for _ in monoids.initial(stage)]
    for name, value in zip(arrays, monoids.initial(stage), strict=True):
        scope.add(Array(name, value.dtype, lanes, value))
    width = const(lanes, dt.index)

    def chunks(inner: Scope) -> None:
        whole = bounds.whole if bounds.whole is not None else inner.name("whole", _whole(bounds, lanes))
        at, lane = nest.fresh("k"), nest.fresh("l")
        body = _step(inner, number, arrays, last, var(at) + var(lane), var(lane))
        inner.add(For(at, bounds.start, whole, width, (For(lane, ZERO, width, ONE, body, unroll=True),)))
        rest = nest.fresh("k")
        body = _step(inner, number, arrays, last, var(rest), var(rest) - whole)
        inner.add(For(rest, whole, bounds.stop, ONE, body))

    scope.loop(outer, stage.values, chunks)
    return _tree(scope, number, arrays, lanes)


def _whole(part: Range, lanes: int) -> Expr:
    """``start`` plus the largest multiple of ``lanes`` (a power of two) that fits."""
    wide = (part.stop - part.start).cast(dt.uint32)
    return part.start + ((wide >> lanes.bit_length() - 1) << lanes.bit_length() - 1).cast(dt.index)


def _step(
    scope: Scope, number: int, arrays: Sequence[str], axis: int, index: Expr, lane: Expr
) -> tuple[Statement, ...]:
    """One element into the accumulators at ``lane``."""
    stage = scope.nest.loops.stages[number]
    inner = Scope(scope.nest, scope)
    inner.axes[axis] = inner.name(f"i{axis}_", index)
    values = inner.values(stage.values)
    carried = _elements(scope, number, arrays, lane)
    inner.put_all(arrays, lane, monoids.step(stage, carried, values))
    return tuple(inner.body)


def _tree(scope: Scope, number: int, arrays: Sequence[str], lanes: int) -> list[Expr]:
    """Combine private accumulators: l with l + half, half by half."""
    stage = scope.nest.loops.stages[number]
    half = lanes // 2
    while half:
        name = scope.nest.fresh("l")
        inner, lane = Scope(scope.nest, scope), var(name)
        a, b = _elements(scope, number, arrays, lane), _elements(scope, number, arrays, lane + half)
        inner.put_all(arrays, lane, monoids.merge(stage, a, b))
        scope.add(For(name, ZERO, const(half, dt.index), ONE, tuple(inner.body), unroll=True))
        half //= 2
    return [scope.name(f"s{number}_", e) for e in _elements(scope, number, arrays, ZERO)]


def _elements(scope: Scope, number: int, memories: Sequence[str], at: Expr) -> list[Expr]:
    """The carried values of a stage that lie at ``at``."""
    types = [v.dtype for v in monoids.initial(scope.nest.loops.stages[number])]
    return [Expr.of("get", (at,), d, m) for m, d in zip(memories, types, strict=True)]


# ---- lanes: a workgroup per row ----------------------------------------------------------------------------------------
def fits(loops: Loops, writes: Sequence[Write], limits: Limits) -> bool:
    """True when a workgroup per row pays: lanes, stages that are long enough, nothing that runs in order."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    stages = [loops.stages[n] for n in needed]
    if limits.lanes == 1 or not needed or any(w.combine for w in writes) or any(s.kind == "scan" for s in stages):
        return False
    return max(points(loops, s.over) for s in stages) >= 2 * limits.lanes


def launch(loops: Loops, writes: tuple[Write, ...], limits: Limits, index_bits: int) -> Launch:
    """One workgroup for each point of the axes that all writes keep."""
    nest = Nest(loops, writes, index_bits)
    axes = parallel_axes(nest, writes)
    size = group_size(nest, limits)

    def body(scope: Scope) -> None:
        nest.shared = lambda inner, number: reduce_group(inner, number, size)
        scope.settle([r for w in writes for r in w.roots()])
        _write_together(scope, writes, size)

    statements, groups = per_group(nest, axes, limits, body)
    return finish(nest, loops.name, statements, (groups, 1, 1), (size, 1, 1), index_bits)


def group_size(nest: Nest, limits: Limits) -> int:
    """A power of two that the device takes and whose trees fit its workgroup memory."""
    room = limits.workgroup_memory // 64
    bound = min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0], max(room, 1))
    return 1 << (bound.bit_length() - 1)


def per_group(
    nest: Nest, axes: Sequence[int], limits: Limits, body: Callable[[Scope], None]
) -> tuple[Sequence[Statement], int]:
    """``body`` at every point of ``axes``, one workgroup at a time; statements and number of groups."""
    scope = Scope(nest)
    if not axes:
        scope.uniform = True
        body(scope)
        return scope.body, 1
    total = points(nest.loops, axes)
    inner = Scope(nest, scope)
    inner.uniform = True
    row = nest.fresh("p")
    decode(inner, axes, var(row))
    body(inner)
    count = nest.extent(axes[0]) if len(axes) == 1 else nest.scalar("total", total)
    scope.add(For(row, special("group"), count, special("groups"), tuple(inner.body)))
    return scope.body, min(total, limits.max_grid[0], 65535)


def reduce_group(scope: Scope, number: int, size: int, part: Range | None = None) -> None:
    """Stage ``number`` by all work-items of a group: each takes every ``size``-th element of the innermost axis, then a
    tree in workgroup memory."""
    carried = accumulate_group(scope, number, size, part)
    stage = scope.nest.loops.stages[number]
    scope.stages[number] = tuple(scope.shared(monoids.finished(stage, carried)))


def accumulate_group(scope: Scope, number: int, size: int, part: Range | None = None) -> list[Expr]:
    """The carried values of `reduce_group`, the same in all work-items, not finished."""
    nest, stage = scope.nest, scope.nest.loops.stages[number]
    carried = scope.carry(number, f"s{number}")
    lid = special("lid")
    if not stage.over:
        scope.advance(stage, carried, scope.values(stage.values))
        return carried
    *outer, last = stage.over
    bounds = part or Range(ZERO, nest.extent(last))

    def strided(inner: Scope) -> None:
        body = Scope(nest, inner)
        name = nest.fresh(f"i{last}_")
        body.axes[last] = var(name)
        body.settle(stage.values)
        body.advance(stage, carried, body.values(stage.values))
        inner.add(For(name, bounds.start + lid, bounds.stop, const(size, dt.index), tuple(body.body)))

    scope.loop(outer, stage.values, strided)
    return _group_tree(scope, number, carried, size)


def _group_tree(scope: Scope, number: int, carried: Sequence[Expr], size: int) -> list[Expr]:
    nest, stage, lid = scope.nest, scope.nest.loops.stages[number], special("lid")
    memories = [nest.fresh(f"m{number}_") for _ in carried]
    nest.locals += [Local(m, c.dtype, size) for m, c in zip(memories, carried, strict=True)]
    scope.add(*(Put(m, lid, c) for m, c in zip(memories, carried, strict=True)), Barrier())
    half = size // 2
    while half:
        inner = Scope(nest, scope)
        a = _elements(scope, number, memories, lid)
        b = _elements(scope, number, memories, lid + half)
        inner.put_all(memories, lid, monoids.merge(stage, a, b))
        scope.add(If(lid < half, tuple(inner.body)), Barrier())
        half //= 2
    made = [scope.name(f"r{number}_", e, mutable=True) for e in _elements(scope, number, memories, ZERO)]
    scope.add(Barrier())  # before the memory is used for the next row
    return made


def _write_together(scope: Scope, writes: Sequence[Write], size: int) -> None:
    """The writes of a row: those of a whole row by all work-items, those of one element by the first."""
    nest = scope.nest
    kinds: dict[tuple[int, ...], list[Write]] = {}
    for w in writes:
        kinds.setdefault(tuple(a for a in w.axes if a not in scope.axes), []).append(w)
    for axes, members in sorted(kinds.items(), key=lambda item: len(item[0])):
        if not axes:
            inner = Scope(nest, scope)
            inner.write(members)
            scope.add(If(special("lid").eq(0), tuple(inner.body)))
            continue
        *outer, last = by_step(members[0], axes)

        def strided(loop: Scope, last: int = last, members: list[Write] = members) -> None:
            body = Scope(nest, loop)
            name = nest.fresh(f"i{last}_")
            body.axes[last] = var(name)
            body.write(members)
            loop.add(For(name, special("lid"), nest.extent(last), const(size, dt.index), tuple(body.body)))

        scope.loop(outer, [], strided)

