"""One work-item per point of the parallel axes, serial loops for everything else. It takes every definition.

On a device of lanes the points are dealt out one by one (neighbours get neighbours); on a CPU each work-item takes a
run of them, the innermost axis as a plain loop that its compiler makes vectors of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, where
from ...ir.program import For, Statement
from ...limits import Limits
from ..bind import STATUS, Loops, Write
from ..nest import ONE, Nest, Scope, special
from . import Extent3, Launch, finish

WORKGROUP = 256
GRAIN = 4096  # elements that are worth a work-item of a CPU
SHARES = 8  # work-items per core of a CPU: enough to even out, few enough to cost nothing
LANES = 16  # accumulators of a serial reduction


def launch(loops: Loops, writes: tuple[Write, ...], limits: Limits, index_bits: int) -> Launch:
    """The generic schedule of ``writes``."""
    nest = Nest(loops, writes, index_bits)
    outer = parallel_axes(nest, writes)
    nest.lanes = LANES if limits.lanes == 1 else 1

    def body(scope: Scope) -> None:
        emit_writes(scope, writes)

    statements, grid, block = spread(nest, outer, limits, body, roots=_roots(writes))
    return finish(nest, loops.name, statements, grid, block, index_bits)


def _roots(writes: Sequence[Write]) -> list[Expr]:
    return [r for w in writes for r in w.roots()]


def parallel_axes(nest: Nest, writes: Sequence[Write]) -> list[int]:
    """The axes that all writes have and no stage runs over, the one with the smallest step of the output last."""
    common = set(writes[0].parallel)
    for w in writes[1:]:
        common &= w.parallel
    for number in nest.needed(_roots(writes)):
        common -= set(nest.loops.stages[number].over)
    target = next((w for w in writes if w.operand != STATUS), writes[0])
    return by_step(target, sorted(common))


def emit_writes(scope: Scope, writes: Sequence[Write]) -> None:
    """The writes, in loops over the axes that have no index yet; those that need the same loops share them."""
    scope.settle(_roots(writes))
    kinds: dict[tuple[int, ...], list[Write]] = {}
    for w in writes:
        kinds.setdefault(tuple(a for a in w.axes if a not in scope.axes), []).append(w)
    for axes, members in sorted(kinds.items(), key=lambda item: len(item[0])):
        if axes:
            ordered = list(axes) if any(w.combine for w in members) else by_step(members[0], axes)
            scope.loop(ordered, _roots(members), lambda inner, m=members: inner.write(m))  # type: ignore[misc]
        else:
            scope.write(members)


def by_step(write: Write, axes: Sequence[int]) -> list[int]:
    """``axes``, the one with the smallest step of the output last."""
    steps = {a.value: c for a, c in zip(write.offset.args, write.offset.value[1], strict=True) if a.op == "index"}
    return sorted(axes, key=lambda a: (-steps.get(a, 0), a))


# ---- dealing out ---------------------------------------------------------------------------------------------------
def spread(
    nest: Nest, axes: list[int], limits: Limits, body: Callable[[Scope], None], roots: Sequence[Expr] = ()
) -> tuple[Sequence[Statement], Extent3, Extent3]:
    """Statements, grid and workgroup that run ``body`` at every point of ``axes``; ``roots`` is what it computes."""
    scope = Scope(nest)
    if not axes:
        body(scope)
        return scope.body, (1, 1, 1), (1, 1, 1)
    if limits.lanes > 1:
        return _dealt(nest, scope, axes, limits, body)
    if any(w.combine for w in nest.writes):
        return _in_order(nest, scope, axes, limits)
    if not nest.needed(roots):
        return _runs(nest, scope, axes, limits, body, roots)
    return _shares(nest, scope, axes, limits, body)


def points(loops: Loops, axes: Iterable[int]) -> int:
    """The number of points of ``axes``."""
    total = 1
    for a in axes:
        total *= loops.extents[a]
    return total


def _dealt(
    nest: Nest, scope: Scope, axes: list[int], limits: Limits, body: Callable[[Scope], None]
) -> tuple[Sequence[Statement], Extent3, Extent3]:
    """Point p goes to work-item p modulo their number."""
    total = points(nest.loops, axes)
    size = min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0])
    groups = min(-(-total // size), limits.max_grid[0], max(64 * limits.compute_units, 1024))
    inner = Scope(nest, scope)
    point = Expr.of("var", (), dt.index, nest.fresh("q"))
    decode(inner, axes, point)
    body(inner)
    stride = special("groups") * special("size")
    count = nest.extent(axes[0]) if len(axes) == 1 else nest.scalar("total", total)
    scope.add(For(point.value, special("gid"), count, stride, tuple(inner.body)))
    return scope.body, (groups, 1, 1), (size, 1, 1)


def _shares(
    nest: Nest, scope: Scope, axes: list[int], limits: Limits, body: Callable[[Scope], None]
) -> tuple[Sequence[Statement], Extent3, Extent3]:
    """Each work-item takes a run of points."""
    total = points(nest.loops, axes)
    count = nest.extent(axes[0]) if len(axes) == 1 else nest.scalar("total", total)
    groups, each = shares(total, work(nest) // max(total, 1), limits)
    start, stop = _run(nest, scope, special("gid"), each, count)
    inner = Scope(nest, scope)
    point = Expr.of("var", (), dt.index, nest.fresh("q"))
    decode(inner, axes, point)
    body(inner)
    scope.add(For(point.value, start, stop, ONE, tuple(inner.body)))
    return scope.body, (groups, 1, 1), (1, 1, 1)


def _runs(
    nest: Nest, scope: Scope, axes: list[int], limits: Limits, body: Callable[[Scope], None], roots: Sequence[Expr]
) -> tuple[Sequence[Statement], Extent3, Extent3]:
    """Each work-item takes runs of the innermost axis, at one point of the others after the other."""
    *outer, last = axes
    rows, length = points(nest.loops, outer), nest.loops.extents[last]
    if not outer:
        groups, each = shares(length, 1, limits)
        scope.settle(roots)
        start, stop = _run(nest, scope, special("gid"), each, nest.extent(last))
        _loop(nest, scope, last, start, stop, body)
        return scope.body, (groups, 1, 1), (1, 1, 1)
    groups, each = shares(rows, length, limits)
    start, stop = _run(nest, scope, special("gid"), each, nest.scalar("total", rows))
    inner = Scope(nest, scope)
    point = Expr.of("var", (), dt.index, nest.fresh("q"))
    decode(inner, outer, point)
    inner.settle(roots)
    _loop(nest, inner, last, Expr.of("const", (), dt.index, 0), nest.extent(last), body)
    scope.add(For(point.value, start, stop, ONE, tuple(inner.body)))
    return scope.body, (groups, 1, 1), (1, 1, 1)


def _in_order(
    nest: Nest, scope: Scope, axes: list[int], limits: Limits
) -> tuple[Sequence[Statement], Extent3, Extent3]:
    """Combining writes: each work-item has a run of the innermost parallel axis, and walks the others in order."""
    *outer, last = axes
    writes = nest.writes
    serial = [a for a in writes[0].axes if a not in axes]
    count = points(nest.loops, outer) if outer else nest.loops.extents[last]
    groups, each = shares(count, work(nest) // max(count, 1), limits)
    start, stop = _run(nest, scope, special("gid"), each, nest.scalar("total", count) if outer else nest.extent(last))

    def along(first: Expr, end: Expr) -> Callable[[Scope], None]:
        return lambda inner: _loop(nest, inner, last, first, end, lambda s: s.write(writes))

    if not outer:
        scope.loop(serial, _roots(writes), along(start, stop))
        return scope.body, (groups, 1, 1), (1, 1, 1)
    inner = Scope(nest, scope)
    point = Expr.of("var", (), dt.index, nest.fresh("q"))
    decode(inner, outer, point)
    inner.loop(serial, _roots(writes), along(Expr.of("const", (), dt.index, 0), nest.extent(last)))
    scope.add(For(point.value, start, stop, ONE, tuple(inner.body)))
    return scope.body, (groups, 1, 1), (1, 1, 1)


def _loop(nest: Nest, scope: Scope, axis: int, start: Expr, stop: Expr, body: Callable[[Scope], None]) -> None:
    inner = Scope(nest, scope)
    name = nest.fresh(f"i{axis}_")
    inner.axes[axis] = Expr.of("var", (), dt.index, name)
    body(inner)
    scope.add(For(name, start, stop, ONE, tuple(inner.body)))


def _run(nest: Nest, scope: Scope, which: Expr, each: int, count: Expr) -> tuple[Expr, Expr]:
    """The part of ``count`` points that work-item ``which`` takes."""
    share = nest.scalar("each", each)
    start = scope.name("start", which * share)
    end = scope.name("end", start + share)
    return start, scope.name("stop", where(end < count, end, count))


def shares(points: int, cost: int, limits: Limits) -> tuple[int, int]:
    """How many work-items, and how many of ``points`` (of ``cost`` elements each) go to one."""
    wanted = min(points, max(1, points * max(cost, 1) // GRAIN), SHARES * limits.compute_units, limits.max_grid[0])
    each = -(-points // max(wanted, 1))
    return -(-points // max(each, 1)), each


def work(nest: Nest) -> int:
    """Roughly how many elements the nest computes."""
    loops = nest.loops
    best = 1
    for n in nest.needed(_roots(nest.writes)):
        best = max(best, points(nest.loops, sorted({*nest.free(n), *loops.stages[n].over})))
    return max([best, *(points(nest.loops, w.axes) for w in nest.writes)])


def decode(scope: Scope, axes: Sequence[int], point: Expr) -> None:
    """The indices of ``axes`` from the number of a point, row-major."""
    rest = point
    for k, axis in reversed(list(enumerate(axes))):
        if k == 0:
            scope.axes[axis] = scope.name(f"i{axis}_", rest)
            return
        n = scope.nest.extent(axis)
        scope.axes[axis] = scope.name(f"i{axis}_", unsigned(scope, "mod", rest, n))
        rest = scope.name("r", unsigned(scope, "idiv", rest, n))


def unsigned(scope: Scope, op: str, a: Expr, b: Expr) -> Expr:
    """a // b or a % b of two numbers that are not negative."""
    wide = dt.uint64 if scope.nest.index_bits == 64 else dt.uint32
    x, y = (Expr.of("cast", (v,), wide) for v in (a, b))
    return Expr.of("cast", (Expr.of(op, (x, y), wide),), dt.index)

