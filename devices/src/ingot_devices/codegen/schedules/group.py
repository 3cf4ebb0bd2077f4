"""What the work-items of a group do together on a device of lanes: a group for each point, trees in workgroup memory.

A tree has few rounds, and so few barriers: in each, a work-item combines ``RADIX`` values that the round before left. The
last round everybody makes for himself, which saves one more. A group that takes several points meets once more before the
memory is used for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ... import dtypes as dt
from ...ir.definition import Stage
from ...ir.expr import Expr, const
from ...ir.program import Barrier, For, If, Local, Put, Statement
from ...limits import Limits
from .. import monoids
from ..nest import Nest, Scope, special, var
from .accumulators import elements

WORKGROUP = 256
GROUPS = 65535
"""Groups of a launch at most; a group takes several points where there are more."""
RADIX = 16
"""Values that a work-item combines in one round of a tree."""

Extent3 = tuple[int, int, int]


def largest(limits: Limits, room: int, most: int = WORKGROUP) -> int:
    """The largest power of two of work-items that the device takes, each with ``room`` bytes of workgroup memory."""
    bound = min(most, limits.max_workgroup, limits.max_workgroup_dims[0], max(limits.workgroup_memory // room, 1))
    return 1 << (bound.bit_length() - 1)


def room(stages: Sequence[Stage]) -> int:
    """Bytes of workgroup memory that the trees of ``stages`` take for a work-item with one accumulator."""
    return max(sum(v.dtype.itemsize for s in stages for v in monoids.initial(s)), 1)


def power(n: int) -> int:
    """The smallest power of two that is no less than ``n``."""
    return 1 << max(n - 1, 0).bit_length()


def each_point(
    nest: Nest, total: int, limits: Limits, body: Callable[[Scope, Expr], None]
) -> tuple[Sequence[Statement], Extent3]:
    """``body`` at each of ``total`` points, one group at a time; statements and grid."""
    groups = min(total, limits.max_grid[0], GROUPS)
    scope = Scope(nest)
    if groups == total:
        scope.uniform = True
        body(scope, scope.name("g", special("group")))
        return scope.body, (groups, 1, 1)
    inner, point = Scope(nest), nest.fresh("g")
    inner.uniform = True
    body(inner, var(point))
    if nest.locals:
        inner.add(Barrier())
    scope.add(For(point, special("group"), nest.scalar("points", total), special("groups"), tuple(inner.body)))
    return scope.body, (groups, 1, 1)


def together(scope: Scope, count: int, size: int, body: Callable[[Scope, Expr], None]) -> None:
    """``body`` for each number below ``count``, dealt out to the ``size`` work-items of a group."""
    inner, lid = Scope(scope.nest, scope), special("lid")
    if count <= size:
        body(inner, lid)
        scope.add(*inner.body if count == size else [If(lid < count, tuple(inner.body))])
        return
    name = scope.nest.fresh("t")
    body(inner, var(name))
    scope.add(For(name, lid, const(count, dt.index), const(size, dt.index), tuple(inner.body)))


class Tree:
    """A tree for each of ``results`` values side by side, ``depth`` work-items to each, in workgroup memory."""

    def __init__(self, scope: Scope, number: int, results: int, depth: int) -> None:
        self.number, self.results, self.depth = number, results, depth
        self.stage: Stage = scope.nest.loops.stages[number]
        types = [v.dtype for v in monoids.initial(self.stage)]
        self.memories = [scope.nest.fresh(f"m{number}_") for _ in types]
        scope.nest.locals += [Local(m, d, results * depth) for m, d in zip(self.memories, types, strict=True)]

    def put(self, scope: Scope, at: Expr, values: Sequence[Expr]) -> None:
        """A work-item's ``values``: place ``at`` is result + ``results`` · (its number in the result's tree)."""
        scope.add(*(Put(m, at, v) for m, v in zip(self.memories, values, strict=True)))

    def grow(self, scope: Scope, size: int) -> None:
        """All rounds but the last."""
        scope.add(Barrier())
        while self.depth > RADIX:
            left = max(self.depth // RADIX, 1)
            together(scope, left * self.results, size, partial(self._round, left=left))
            scope.add(Barrier())
            self.depth = left

    def _round(self, scope: Scope, t: Expr, left: int) -> None:
        scope.put_all(self.memories, t, self._combined(scope, t, left * self.results, self.depth // left))

    def total(self, scope: Scope, result: Expr) -> list[Expr]:
        """The carried values of a result: the last round."""
        made = self._combined(scope, result, self.results, self.depth)
        return [scope.name(f"r{self.number}_", v) for v in scope.shared(made)]

    def keep(self, scope: Scope, size: int, shared: bool) -> Callable[[Expr], list[Expr]]:
        """The last round for all results, and how any work-item reads one afterwards; unless ``shared``, who has made it."""
        if self.depth > 1:
            together(scope, self.results, size, partial(self._round, left=1))
            scope.add(*[Barrier()] if shared else [])
        return lambda result: elements(scope, self.number, self.memories, result)

    def _combined(self, scope: Scope, at: Expr, step: int, count: int) -> list[Expr]:
        values = [elements(scope, self.number, self.memories, at + k * step) for k in range(count)]
        while len(values) > 1:
            half = len(values) // 2
            values = [list(monoids.merge(self.stage, a, b)) for a, b in zip(values[:half], values[half:], strict=True)]
        return values[0]
