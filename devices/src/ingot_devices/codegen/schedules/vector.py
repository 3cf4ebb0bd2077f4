"""Pointwise kernels on a device of lanes, several neighbours to a work-item.

It fits where all there is to do lies along one axis (`collapse` makes that of every dense pointwise op) and neighbours can
be accessed together (`wide`). What is left over behind the last whole vector goes one by one.
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
from .flat import WORKGROUP
from .wide import Block


def width_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> int:
    """How many neighbours a work-item takes; 1 where this schedule does not fit."""
    axes = {a for w in writes for a in w.axes}
    if limits.lanes == 1 or len(axes) != 1 or Nest(loops, tuple(writes)).needed([r for w in writes for r in w.roots()]):
        return 1
    (axis,) = axes
    if any(w.parallel != axes or wide.step_along(w.offset, axis) != 1 for w in writes):
        return 1
    width = wide.width_along(loops, axis, writes, [], limits)
    return width if loops.extents[axis] >= width else 1


def launch(loops: Loops, writes: tuple[Write, ...], width: int, limits: Limits, index_bits: int) -> Launch:
    """Groups of ``width`` neighbours, then what is left over."""
    nest = Nest(loops, writes, index_bits)
    (axis,) = writes[0].axes
    total = loops.extents[axis]
    size = min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0])
    groups = min(-(-total // (size * width)), limits.max_grid[0], max(32 * limits.compute_units, 1024))
    stride = special("groups") * special("size")
    scope = Scope(nest)
    quotient = nest.scalar("quotient", total // width)

    def together(inner: Scope, vector: Expr) -> None:
        Block(nest, axis, width, 1, lambda *_: vector * width, 1).write(inner, writes)

    scope.count("q", special("gid"), quotient, together, stride)
    rest, inner = nest.fresh(f"i{axis}_"), Scope(nest, scope)
    inner.axes[axis] = var(rest)
    inner.write(writes)
    start = special("gid") + quotient * const(width, dt.index)
    scope.add(For(rest, start, nest.extent(axis), stride, tuple(inner.body)))
    made = finish(nest, loops.name, scope.body, (groups, 1, 1), (size, 1, 1), index_bits)
    return wide.told(made, limits)
