"""Pointwise kernels on a device of lanes, several neighbours to a work-item: wide accesses keep more of them on their way.

It fits where all there is to do lies along one axis (`collapse` makes that of every dense pointwise op) on which each
operand steps by one element, or stands still. Where all element offsets are multiples of the width, which the kernel
looks at, a work-item takes ``width`` neighbours in an unrolled loop, which the device's compiler joins to one access: it
is told that buffers are aligned (`Program.aligned`), and sees it of the offsets, whose low bits are cut off. What is left
over, and everything where an offset is odd, goes one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ... import dtypes as dt
from ...dtypes import DType
from ...ir.expr import Expr, const, walk
from ...ir.program import Array, For, If, Put, Statement
from ...limits import Limits
from ..bind import STATUS, Loops, Write
from ..nest import ONE, ZERO, Nest, Scope, special, var
from . import Launch, finish
from .flat import WORKGROUP

WIDEST = 8
"""Neighbours that one work-item takes at most: registers are limited, too."""


def width_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> int:
    """How many neighbours a work-item takes; 1 where this schedule does not fit."""
    nest = Nest(loops, tuple(writes))
    roots = [r for w in writes for r in w.roots()]
    axes = {a for w in writes for a in w.axes}
    if limits.lanes == 1 or len(axes) != 1 or nest.needed(roots):
        return 1
    if any(w.combine or w.valid is not None or w.operand == STATUS or w.parallel != axes for w in writes):
        return 1
    placed = _placed(roots)
    if any(n.op == "where" and id(n.args[0]) in placed for n in walk(*roots)):  # it may keep a load within bounds
        return 1
    loads = [n for n in walk(*roots) if n.op == "get"]
    steps = [_step(n.args[0]) for n in loads] + [_step(w.offset) for w in writes]
    if any(s not in (0, 1) for s in steps) or any(_step(w.offset) != 1 for w in writes):
        return 1
    sizes = [n.dtype.itemsize for n, s in zip(loads, steps, strict=False) if s] + [w.value.dtype.itemsize for w in writes]
    wide = max(1, min(limits.vector_bytes // min(sizes), WIDEST))
    return wide if loops.extents[min(axes)] >= wide else 1


def _step(form: Expr) -> int | None:
    """The step along the one axis, of an offset that is a multiple of it, or stands still; None for any other."""
    still = form.op == "linear" and not form.args
    if still or (form.op == "linear" and form.value[0] == 0 and all(a.op == "index" for a in form.args)):
        return int(sum(form.value[1]))
    return None


def _placed(roots: Sequence[Expr]) -> set[int]:
    """The ids of the expressions that depend on the place, not only on what lies there."""
    found: set[int] = set()
    for n in walk(*roots):  # operands before users
        if n.op == "index" or (n.op != "get" and any(id(a) in found for a in n.args)):
            found.add(id(n))
    return found


def launch(loops: Loops, writes: tuple[Write, ...], width: int, limits: Limits, index_bits: int) -> Launch:
    """Groups of ``width`` neighbours, then what is left over."""
    nest = Nest(loops, writes, index_bits)
    (axis,) = writes[0].axes
    total = loops.extents[axis]
    size = min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0])
    groups = min(-(-total // (size * width)), limits.max_grid[0], max(32 * limits.compute_units, 1024))
    wide, low = const(width, dt.index), const(width - 1, dt.index)
    stride = special("groups") * special("size")
    scope = Scope(nest)
    count = nest.extent(axis)
    loads = [n for n in walk(*(r for w in writes for r in w.roots())) if n.op == "get"]
    outputs = {w.operand for w in writes}
    operands = sorted({n.value for n in loads if _step(n.args[0])} | outputs)
    for load in loads:  # what stands still is read once, before anything is written
        if not _step(load.args[0]) and load.value not in outputs and load.dtype is not dt.float16:
            there = scope.resolve(load)
            scope.memo[there] = scope.name("u", there)
    bases = {n: nest.base(n) for n in operands}

    nest.bases = {n: base & const(-width, dt.index) for n, base in bases.items()}
    quotient = nest.scalar("quotient", total // width)
    many = nest.fresh("q")
    inner = Scope(nest, scope)
    _together(nest, inner, writes, axis, var(many) * wide, wide)
    fast: list[Statement] = [For(many, special("gid"), quotient, stride, tuple(inner.body))]
    nest.bases = {}
    fast.append(_one_by_one(nest, scope, writes, axis, special("gid") + quotient * wide, count, stride))
    slow = _one_by_one(nest, scope, writes, axis, special("gid"), count, stride)
    together = None
    for base in bases.values():
        together = base if together is None else together | base
    assert together is not None
    scope.add(If((together & low).eq(0), tuple(fast), (slow,)))
    made = finish(nest, loops.name, scope.body, (groups, 1, 1), (size, 1, 1), index_bits)
    return replace(made, program=replace(made.program, aligned=limits.vector_bytes))


def _together(nest: Nest, scope: Scope, writes: tuple[Write, ...], axis: int, first: Expr, width: Expr) -> None:
    """``width`` neighbours from ``first`` on: all loads, then all values, then all stores.

    Each is a loop of its own over private arrays, so that nothing stands between accesses that could be one.
    """
    lane = var(nest.fresh("l"))
    scope.axes[axis] = first + lane
    offsets = [nest.base(w.operand) + scope.offset(w.operand, w.offset) for w in writes]
    values = [scope.resolve(w.value) for w in writes]
    loads = [n for n in walk(*values) if n.op == "get" and lane in walk(n)]
    made: dict[Expr, Expr] = {}
    loading, computing, storing = (Scope(nest, scope) for _ in range(3))
    for load in loads:
        made[load] = _array(nest, scope, load.dtype, width, lane)
        loading.add(Put(made[load].value, lane, load))
    results = computing.shared([_replaced(v, made) for v in values])
    for w, value, offset in zip(writes, results, offsets, strict=True):
        held = _array(nest, scope, value.dtype, width, lane)
        computing.add(Put(held.value, lane, value))
        storing.add(Put(nest.target(w), offset, held))
    for part in (loading, computing, storing):
        if part.body:
            scope.add(For(lane.value, ZERO, width, ONE, tuple(part.body), unroll=True))


def _array(nest: Nest, scope: Scope, dtype: DType, width: Expr, lane: Expr) -> Expr:
    """Element ``lane`` of a new private array of ``width``."""
    name = nest.fresh("v")
    scope.add(Array(name, dtype, int(width.value), const(0, dtype)))
    return Expr.of("get", (lane,), dtype, name)


def _replaced(root: Expr, found: Mapping[Expr, Expr]) -> Expr:
    """``root`` with ``found`` in the places of its loads."""
    made: dict[Expr, Expr] = {}
    for node in walk(root):
        args = tuple(made[a] for a in node.args)
        new = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        made[node] = found.get(node, new)
    return made[root]


def _one_by_one(
    nest: Nest, scope: Scope, writes: tuple[Write, ...], axis: int, start: Expr, stop: Expr, stride: Expr
) -> Statement:
    name = nest.fresh("r")
    body = Scope(nest, scope)
    body.axes[axis] = var(name)
    body.write(writes)
    return For(name, start, stop, stride, tuple(body.body))
