"""A reduction within one work-item: private accumulators, element k of the innermost axis to accumulator k modulo their
number, then a balanced tree over them. A CPU's compiler makes vectors of it; on a device of lanes it is one work-item's share.

The order in which elements are combined depends on the length and the device alone, never on what runs beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import Array, For, Statement
from .. import monoids
from ..nest import ONE, ZERO, Scope, var


def reduce_lanes(scope: Scope, number: int, lanes: int) -> None:
    """Stage ``number`` over ``lanes`` accumulators."""
    nest, stage = scope.nest, scope.nest.loops.stages[number]
    *outer, last = stage.over
    arrays = accumulators(scope, number, lanes)
    width = const(lanes, dt.index)

    def chunks(inner: Scope) -> None:
        start, stop = inner.bounds(last)
        if last in nest.loops.parts:
            whole = inner.name("even", start + ((stop - start) & const(-lanes, dt.index)))
        else:
            whole = nest.scalar(f"whole{last}", nest.loops.extents[last] // lanes * lanes)
        at, lane, rest = nest.fresh("k"), nest.fresh("l"), nest.fresh("k")
        body = _step(inner, number, arrays, last, var(at) + var(lane), var(lane))
        inner.add(For(at, start, whole, width, (For(lane, ZERO, width, ONE, body, unroll=True),)))
        body = _step(inner, number, arrays, last, var(rest), var(rest) - whole)
        inner.add(For(rest, whole, stop, ONE, body))

    scope.loop(outer, stage.values, chunks)
    carried = tree(scope, number, arrays, lanes)
    scope.stages[number] = tuple(scope.shared(monoids.finished(stage, carried)))


def accumulators(scope: Scope, number: int, lanes: int) -> list[str]:
    """Private arrays with the initial values of a stage."""
    nest, made = scope.nest, []
    for value in monoids.initial(nest.loops.stages[number]):
        made.append(nest.fresh(f"a{number}_"))
        scope.add(Array(made[-1], value.dtype, lanes, value))
    return made


def _step(
    scope: Scope, number: int, arrays: Sequence[str], axis: int, index: Expr, lane: Expr
) -> tuple[Statement, ...]:
    inner = Scope(scope.nest, scope)
    inner.axes[axis] = inner.name(f"i{axis}_", index)
    add(inner, number, arrays, lane, scope.nest.loops.stages[number].values)
    return tuple(inner.body)


def add(scope: Scope, number: int, arrays: Sequence[str], lane: Expr, values: Sequence[Expr]) -> None:
    """One element, with these ``values``, into the accumulators at ``lane``."""
    made = scope.values(values)
    scope.put_all(arrays, lane, monoids.step(scope.nest.loops.stages[number], elements(scope, number, arrays, lane), made))


def tree(scope: Scope, number: int, arrays: Sequence[str], lanes: int) -> list[Expr]:
    """Combine private accumulators: l with l + half, half by half."""
    stage = scope.nest.loops.stages[number]
    half = lanes // 2
    while half:
        name = scope.nest.fresh("l")
        inner, lane = Scope(scope.nest, scope), var(name)
        a, b = elements(scope, number, arrays, lane), elements(scope, number, arrays, lane + half)
        inner.put_all(arrays, lane, monoids.merge(stage, a, b))
        scope.add(For(name, ZERO, const(half, dt.index), ONE, tuple(inner.body), unroll=True))
        half //= 2
    return [scope.name(f"s{number}_", e) for e in elements(scope, number, arrays, ZERO)]


def elements(scope: Scope, number: int, memories: Sequence[str], at: Expr) -> list[Expr]:
    """The carried values of a stage that lie at ``at``."""
    types = [v.dtype for v in monoids.initial(scope.nest.loops.stages[number])]
    return [Expr.of("get", (at,), d, m) for m, d in zip(memories, types, strict=True)]
