"""Reductions along rows: several accumulators with a fixed tree on a CPU, a workgroup per row on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import Array, For, Put, Statement
from .. import monoids
from ..nest import ONE, ZERO, Scope


def reduce_lanes(scope: Scope, number: int, lanes: int) -> None:
    """Stage ``number`` over ``lanes`` accumulators: element k of the innermost axis goes to accumulator k modulo
    ``lanes``, and the accumulators are combined as a balanced tree. The order depends on the length alone."""
    nest, stage = scope.nest, scope.nest.loops.stages[number]
    *outer, last = stage.over
    arrays = [nest.fresh(f"a{number}_") for _ in monoids.initial(stage)]
    for name, value in zip(arrays, monoids.initial(stage), strict=True):
        scope.add(Array(name, value.dtype, lanes, value))
    width = const(lanes, dt.index)

    def chunks(inner: Scope) -> None:
        n = nest.extent(last)
        whole = nest.scalar(f"whole{last}", nest.loops.extents[last] // lanes * lanes)
        at, lane = nest.fresh("k"), nest.fresh("l")
        body = _step(inner, number, arrays, last, _var(at) + _var(lane), _var(lane))
        lanes_loop = For(lane, ZERO, width, ONE, body, unroll=True)
        inner.add(For(at, ZERO, whole, width, (lanes_loop,)))
        rest = nest.fresh("k")
        inner.add(For(rest, whole, n, ONE, _step(inner, number, arrays, last, _var(rest), _var(rest) - whole)))

    scope.loop(outer, stage.values, chunks)
    carried = tree(scope, number, arrays, lanes)
    scope.stages[number] = tuple(scope.shared(monoids.finished(stage, carried)))


def _step(
    scope: Scope, number: int, arrays: Sequence[str], axis: int, index: Expr, lane: Expr
) -> tuple[Statement, ...]:
    """One element into the accumulators at ``lane``."""
    stage = scope.nest.loops.stages[number]
    inner = Scope(scope.nest, scope)
    inner.axes[axis] = inner.name(f"i{axis}_", index)
    values = inner.values(stage.values)
    types = [v.dtype for v in monoids.initial(stage)]
    carried = [_get(a, lane, d) for a, d in zip(arrays, types, strict=True)]
    _put_all(inner, arrays, lane, monoids.step(stage, carried, values))
    return tuple(inner.body)


def tree(scope: Scope, number: int, arrays: Sequence[str], lanes: int) -> list[Expr]:
    """Combine private accumulators: l with l + half, half by half."""
    stage = scope.nest.loops.stages[number]
    types = [v.dtype for v in monoids.initial(stage)]
    half = lanes // 2
    while half:
        name = scope.nest.fresh("l")
        inner, lane = Scope(scope.nest, scope), _var(name)
        a = [_get(m, lane, d) for m, d in zip(arrays, types, strict=True)]
        b = [_get(m, lane + half, d) for m, d in zip(arrays, types, strict=True)]
        _put_all(inner, arrays, lane, monoids.merge(stage, a, b))
        scope.add(For(name, ZERO, const(half, dt.index), ONE, tuple(inner.body), unroll=True))
        half //= 2
    return [scope.name(f"s{number}_", _get(m, ZERO, d)) for m, d in zip(arrays, types, strict=True)]


def _put_all(scope: Scope, arrays: Sequence[str], lane: Expr, values: Sequence[Expr]) -> None:
    made = scope.shared(values)
    if len(made) > 1:
        made = [scope.name("t", v) for v in made]
    scope.add(*(Put(m, lane, v) for m, v in zip(arrays, made, strict=True)))


def _get(memory: str, at: Expr, dtype: object) -> Expr:
    return Expr.of("get", (at,), dtype, memory)  # type: ignore[arg-type]


def _var(name: str) -> Expr:
    return Expr.of("var", (), dt.index, name)
