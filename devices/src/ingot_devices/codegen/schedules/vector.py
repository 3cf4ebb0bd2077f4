"""Pointwise kernels on a device of lanes, several neighbours to a work-item.

It fits where neighbours along the innermost axis of the output can be stored together (`wide`), and loads are as far
apart or where data say. Where all there is to do lies along
that axis (`collapse` makes it so of every dense pointwise op), what is left over behind the last whole vector goes one by
one; where there are others, it consists of whole vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...dtypes import DType
from ...ir.expr import Expr, const, walk
from ...ir.program import For
from ...limits import Limits
from ..bind import STATUS, Loops, Write
from ..nest import Nest, Scope, special, var
from . import Launch, finish, wide
from .flat import WORKGROUP, by_step, decode, points, unsigned
from .wide import Block

GROUPS = 32
"""Workgroups per compute unit; what is more is walked in strides. (`tools/gpu/dealing.py` measures other numbers.)"""


def width_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> int:
    """How many neighbours a work-item takes; 1 where this schedule does not fit."""
    axes = set(writes[0].axes)
    if limits.lanes == 1 or not axes or Nest(loops, tuple(writes)).needed([r for w in writes for r in w.roots()]):
        return 1
    stores = [w for w in writes if w.operand != STATUS]
    if not stores or any(set(w.axes) != axes or w.parallel != axes or w.combine for w in writes):
        return 1
    axis = by_step(stores[0], sorted(axes))[-1]
    if any(w.valid is not None or wide.step_along(w.offset, axis) != 1 for w in stores):
        return 1
    width = wide.together(axis, [(w.offset, w.value.dtype) for w in stores] + _loads(axis, stores), limits)
    while len(axes) > 1 and loops.extents[axis] % width:
        width //= 2
    return width if loops.extents[axis] >= width else 1


def _loads(axis: int, stores: Sequence[Write]) -> list[tuple[Expr, DType]]:
    """The accesses that decide with the stores: loads at fixed steps. Behind a guard, only those that are no neighbours
    do, and say no; each element of the others is loaded by itself, and so is what lies where data say."""
    values = [w.value for w in stores]
    fixed = [n for n in walk(*values) if n.op == "get" and wide.step_along(n.args[0], axis) is not None]
    if wide.guarded(values):
        fixed = [n for n in fixed if wide.step_along(n.args[0], axis) not in (0, 1)]
    return [(n.args[0], n.dtype) for n in fixed]


def launch(loops: Loops, writes: tuple[Write, ...], width: int, limits: Limits, index_bits: int) -> Launch:
    """Groups of ``width`` neighbours, then what is left over."""
    nest = Nest(loops, writes, index_bits)
    first = next(w for w in writes if w.operand != STATUS)
    *outer, axis = by_step(first, sorted(first.axes))
    length = loops.extents[axis]
    total = points(loops, outer) * (length // width)
    size = min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0])
    groups = max(min(-(-total // size), limits.max_grid[0], max(GROUPS * limits.compute_units, 1024)), 1)
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
