"""The sort group: order along an axis, stable and with NaN the greatest, and what follows from order.

Up to `RANKED` elements, each finds its rank by counting who comes before it. Beyond, blocks of `BLOCK` are sorted so, and
then merged in pairs: each element's place is its own in its block and, by binary search, that of its key in the sibling.
Every pass is one launch without atomics, stable, and the same on every device.

Unique, from what the core reads back::

    values, order, starts, ranks = b.unique_runs(x)          # x flat
    k = ranks[-1]                                            # 0 if x is empty
    unique, inverse, counts = b.unique(values, order, starts, ranks, size=k)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .op import Op, Spec, add_op
from .positions import along, extent
from .shared import both, one_axis, places, replaced

RANKED = 1024
"""The longest axis that is sorted by counting alone."""
BLOCK = 256
"""What a longer one is cut into; a power of two."""


def sort(
    name: str, operands: str, result: Callable[..., Sequence[Spec]], attributes: Mapping[str, Any], outputs: str,
    doc: str, define: Any = None, decompose: Callable[..., Any] | None = None, **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; ``gradient`` maps an operand to its rule."""
    names = tuple(outputs.split())
    return add_op(Op(name, "sort", tuple(operands.split()), result, attributes, names, define=define,
                     decompose=decompose, gradient=gradient or None, differentiable=names[:1], doc=doc))


# ---- order -----------------------------------------------------------------------------------------------------------
def key(x: Expr) -> Expr:
    """``x`` in a type that compares."""
    return x.cast(dt.int32 if x.dtype is dt.bool_ else dt.compute_dtype(x.dtype))


def before(a: Expr, b: Expr, descending: bool = False) -> Expr:
    """True where ``a`` comes strictly before ``b``; NaN counts as the greatest value."""
    if descending:
        a, b = b, a
    return (a < b) | (s.isnan(b) & ~s.isnan(a)) if a.dtype.kind == "f" else a < b


def _ranks(d: Define, x: Operand, axis: int, descending: bool, block: int) -> None:
    n = x.shape[axis]
    at, group, lane, other = d.axes(replaced(x.shape, axis, 1)), d.axis(-(-n // block)), d.axis(block), d.axis(block)
    start = group * block
    inside = None if n % block == 0 else start + lane < n
    there = None if inside is None else start + other < n
    mine = key(x.load(along(at, axis, start + lane), inside))
    theirs = key(x.load(along(at, axis, start + other), there))
    first = before(theirs, mine, descending) | (~before(mine, theirs, descending) & (other < lane))
    first = first if there is None else first & there
    rank = d.reduce("sum", first.cast(dt.int32), over=[other])
    points = [*at, group, lane]
    d.store(0, along(at, axis, start + lane), (start + rank.cast(dt.index)).cast(dt.int64), over=points, valid=inside)


def _arrange(d: Define, x: Operand, ranks: Operand, axis: int) -> None:
    at = d.axes(x.shape)
    to = along(at, axis, ranks[at].cast(dt.index))
    d.store(0, to, x[at], over=at)
    d.store(1, to, at[axis].cast(dt.int64), over=at)


def _merge(d: Define, x: Operand, order: Operand, axis: int, descending: bool, width: int) -> None:
    """Blocks of ``width`` in order become blocks of twice that; among equal keys those of the left one come first."""
    n = x.shape[axis]
    at, pair, side, lane = d.axes(replaced(x.shape, axis, 1)), d.axis(-(-n // (2 * width))), d.axis(2), d.axis(width)
    start = pair * (2 * width)
    i, sibling = start + side * width + lane, start + (1 - side) * width
    inside = i < n
    mine = key(x.load(along(at, axis, i), inside))

    def passes(k: Expr, valid: Expr) -> Expr:
        other = key(x.load(along(at, axis, sibling + k), valid))
        return where(side.eq(0), before(other, mine, descending), ~before(mine, other, descending))

    found = _count(width, lambda k: both(k < width, sibling + k < n), passes)
    to, points = along(at, axis, start + lane + found), [*at, pair, side, lane]
    for k, source in enumerate((x, order)):
        d.store(k, to, source.load(along(at, axis, i), inside), over=points, valid=inside)


def _count(limit: int, exists: Callable[[Expr], Expr], passes: Callable[[Expr, Expr], Expr]) -> Expr:
    """How many leading elements pass, of at most ``limit`` that exist: binary search, from the highest bit down."""
    found = const(0, dt.index)
    step = 1 << (limit.bit_length() - 1) if limit else 0
    while step:
        probe = found + (step - 1)
        valid = exists(probe)
        found = where(valid & passes(probe, valid), found + step, found)
        step //= 2
    return found


def _sort(b: Any, x: Any, axis: int, descending: bool) -> tuple[Any, ...]:
    if x.ndim == 0:
        return tuple(b.view(v, shape=()) for v in b.sort(b.view(x, shape=(1,)), axis=-1, descending=descending))
    n = x.shape[axis]
    width = max(n, 1) if n <= RANKED else BLOCK
    ranks = b.sort_ranks(x, axis=axis, descending=descending, block=width)
    made = b.arrange(x, ranks, axis=axis)
    while width < n:
        made = b.sort_merge(*made, axis=axis, descending=descending, width=width)
        width *= 2
    return tuple(made)


def _topk(b: Any, x: Any, k: int, axis: int, largest: bool) -> tuple[Any, ...]:
    made = b.sort(x, axis=axis, descending=largest)
    return tuple(b.slice(v, axis=axis, start=0, stop=k, step=1) for v in made) if x.ndim else made


def _unordered(b: Any, g: Any, x_spec: Spec, indices: Any, axis: int) -> Any:
    """The gradient of values that were taken from ``indices`` along the axis."""
    return b.gather_backward(g, indices, shape=x_spec.shape, axis=axis)


# ---- runs of equal values ------------------------------------------------------------------------------------------------
def _run_starts(d: Define, x: Operand) -> None:
    (i,) = d.axes(x.shape)
    d.store(0, [i], i.eq(0) | key(x[i]).ne(key(x.load([i - 1], i > 0))))


def _unpermute(d: Define, x: Operand, order: Operand) -> None:
    (i,) = d.axes(x.shape)
    d.store(0, [order[i].cast(dt.index)], x[i], over=[i])


def _unique_runs(b: Any, x: Any) -> tuple[Any, ...]:
    values, order = b.sort(x, axis=-1)
    starts = b.run_starts(values)
    return values, order, starts, b.cumsum(starts, axis=-1)


def _unique(b: Any, values: Any, order: Any, starts: Any, ranks: Any, size: int) -> tuple[Any, ...]:
    numbers = b.sub(ranks, 1)
    return (b.compact(values, starts, ranks, size=size), b.unpermute(numbers, order), b.bincount(numbers, size=size))


# ---- binary search -----------------------------------------------------------------------------------------------------
def _searchsorted(d: Define, sequence: Operand, values: Operand, right: bool) -> None:
    at = d.axes(values.shape)
    rows = at[:-1] if len(sequence.shape) > 1 else ()
    n = sequence.shape[-1]
    work = dt.compute_dtype(dt.promote(values.dtype, sequence.dtype))
    value = values[at].cast(work)

    def passes(k: Expr, valid: Expr) -> Expr:
        there = sequence.load([*rows, k], valid).cast(work)
        return ~before(value, there) if right else before(there, value)

    d.store(0, at, _count(n, lambda k: k < n, passes).cast(dt.int64), over=at)


def _searchsorted_spec(sequence: Spec, values: Spec, right: bool) -> tuple[Spec]:
    if sequence.ndim == 0 or (sequence.ndim > 1 and sequence.shape[:-1] != values.shape[:-1]):
        raise ValueError("the sorted sequence has one axis, or all but its last size are those of the values; shapes "
                         f"{list(sequence.shape)} and {list(values.shape)} were given")
    return (Spec.of(values.shape, dt.int64),)


# ---- results -----------------------------------------------------------------------------------------------------------
def _sorted_spec(x: Spec, axis: int, **attrs: Any) -> tuple[Spec, Spec]:
    places(x.ndim, one_axis(x, axis))
    return Spec.of(x.shape, x.dtype), Spec.of(x.shape, dt.int64)


def _topk_spec(x: Spec, k: int, axis: int, largest: bool) -> tuple[Spec, Spec]:
    if not 0 <= k <= extent(x.shape, axis):
        raise ValueError(f"k must lie between 0 and the size along the axis, {extent(x.shape, axis)}; it is {k}")
    shape = replaced(x.shape, axis, k) if x.ndim else ()
    return Spec.of(shape, x.dtype), Spec.of(shape, dt.int64)


def _flat(x: Spec) -> None:
    if x.ndim != 1:
        raise ValueError(f"one axis is needed, shape {list(x.shape)} was given")


def _runs_spec(x: Spec) -> tuple[Spec, ...]:
    _flat(x)
    return x, Spec.of(x.shape, dt.int64), Spec.of(x.shape, dt.bool_), Spec.of(x.shape, dt.int64)


def _starts_spec(x: Spec) -> tuple[Spec]:
    _flat(x)
    return (Spec.of(x.shape, dt.bool_),)


BY = {"axis": -1, "descending": False}
# fmt: off
sort("sort", "x", _sorted_spec, BY, "values indices", "Values in order along an axis, and where they were. Always stable.", decompose=_sort, x=_unordered)
sort("argsort", "x", lambda x, **attrs: _sorted_spec(x, **attrs)[1:], BY, "indices", "Where the values in order were.",
     decompose=lambda b, x, axis, descending: b.sort(x, axis=axis, descending=descending)[1])
sort("topk", "x", _topk_spec, {"k": 1, "axis": -1, "largest": True}, "values indices", "The first k of `sort`, descending if `largest`.", decompose=_topk, x=_unordered)
sort("sort_ranks", "x", lambda x, axis, **attrs: _sorted_spec(x, axis)[1:], {**BY, "block": 1}, "ranks", "Where each element comes to stand in a block of `block`.", _ranks)
sort("arrange", "x ranks", lambda x, ranks, axis: _sorted_spec(x, axis), {"axis": -1}, "values indices", "Each element at its rank, and where it was.", _arrange)
sort("sort_merge", "x order", lambda x, order, axis, **attrs: _sorted_spec(x, axis), {**BY, "width": 1}, "values indices",
     "Sorted blocks of `width` (a power of two) and where they were, merged in pairs.", _merge)
sort("run_starts", "x", _starts_spec, {}, "starts", "True where a sorted list's element differs from the one before.", _run_starts)
sort("unpermute", "x order", lambda x, order: (x,), {}, "out", "out[order[i]] = x[i].", _unpermute)
sort("unique_runs", "x", _runs_spec, {}, "values order starts ranks", "The sorted list, where it was, where runs start and the running number of runs.", decompose=_unique_runs)
sort("unique", "values order starts ranks", lambda values, order, starts, ranks, size: (Spec.of((size,), values.dtype), order, Spec.of((size,), dt.int64)), {"size": 0},
     "unique inverse counts", "What `unique_runs` found: each value once, its number for each element, and how often it occurs.", decompose=_unique)
sort("searchsorted", "sequence values", _searchsorted_spec, {"right": False}, "out", "How many elements of a sorted sequence lie before each value (`right`: or equal it).", _searchsorted)
# fmt: on
