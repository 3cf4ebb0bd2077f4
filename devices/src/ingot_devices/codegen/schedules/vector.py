"""Pointwise kernels on a device of lanes, several neighbours to a work-item.

It fits where neighbours along the innermost axis can be accessed together (`wide`). Where all there is to do lies along
that axis (`collapse` makes it so of every dense pointwise op), what is left over behind the last whole vector goes one by
one; where there are others, it consists of whole vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import For
from ...limits import Limits
from ..bind import Loops, Write
from ..nest import Nest, Scope, special, var
from . import Launch, finish, wide
from .flat import WORKGROUP, by_step, decode, points, unsigned
from .wide import Block


def width_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> int:
    """How many neighbours a work-item takes; 1 where this schedule does not fit."""
    axes = set(writes[0].axes)
    if limits.lanes == 1 or not axes or Nest(loops, tuple(writes)).needed([r for w in writes for r in w.roots()]):
        return 1
    axis = by_step(writes[0], sorted(axes))[-1]
    if any(set(w.axes) != axes or w.parallel != axes or wide.step_along(w.offset, axis) != 1 for w in writes):
        return 1
    width = wide.width_along(loops, axis, writes, [], limits)
    while len(axes) > 1 and loops.extents[axis] % width:
        width //= 2
    return width if loops.extents[axis] >= width else 1


def launch(loops: Loops, writes: tuple[Write, ...], width: int, limits: Limits, index_bits: int) -> Launch:
    """Groups of ``width`` neighbours, then what is left over."""
    nest = Nest(loops, writes, index_bits)
    *outer, axis = by_step(writes[0], sorted(writes[0].axes))
    length = loops.extents[axis]
    total = points(loops, outer) * (length // width)
    size = min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0])
    groups = max(min(-(-total // size), limits.max_grid[0], max(32 * limits.compute_units, 1024)), 1)
    stride = special("groups") * special("size")
    scope = Scope(nest)
    for load in wide.still(writes):
        there = scope.resolve(load)
        scope.memo[there] = scope.name("u", there)

    def together(inner: Scope, vector: Expr) -> None:
        if outer:
            across = nest.scalar("across", length // width)
            decode(inner, outer, inner.name("r", unsigned(inner, "idiv", vector, across)))
            vector = inner.name("v", unsigned(inner, "mod", vector, across))
        Block(nest, axis, width, 1, lambda *_: vector * width, 1).write(inner, writes)

    quotient = nest.scalar("quotient", total)
    scope.count("q", special("gid"), quotient, together, stride)
    if not outer:
        rest, inner = nest.fresh(f"i{axis}_"), Scope(nest, scope)
        inner.axes[axis] = var(rest)
        inner.write(writes)
        start = special("gid") + quotient * const(width, dt.index)
        scope.add(For(rest, start, nest.extent(axis), stride, tuple(inner.body)))
    made = finish(nest, loops.name, scope.body, (groups, 1, 1), (size, 1, 1), index_bits)
    return wide.told(made, limits)
