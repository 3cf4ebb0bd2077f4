"""How rows are shared on a device of lanes: what `row` makes statements of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...limits import Limits
from ..bind import Loops, Write
from ..nest import Nest
from . import group, wide
from .flat import points

UNROLL = 4
"""Vectors of a longer row that a work-item has on their way at a time: of narrow ones more (`unroll`)."""
HOLD, MOST = 16, 32
"""Elements that a work-item holds of a row: what it is given where the row is short enough, and at most."""
LARGEST = 1024
SEVERAL = 4
"""Warps of a group that has several rows, each of less than a warp."""


@dataclass(frozen=True)
class Rows:
    """How rows are shared: ``size`` work-items to each, ``width`` neighbours to a vector, ``steps`` vectors that each of
    them holds (0: rows are not held), ``several`` rows to a group."""

    size: int
    width: int
    steps: int = 0
    axis: int = field(default=0, compare=False)  # the innermost of those that are reduced
    several: int = field(default=1, compare=False)


def rows_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> Rows | None:
    """How this schedule shares the rows of some writes; None where it does not fit or pay."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    stages = [loops.stages[n] for n in needed]
    if limits.lanes == 1 or not needed or any(w.combine for w in writes) or any(s.kind == "scan" for s in stages):
        return None
    longest = max(stages, key=lambda s: points(loops, s.over))
    if not longest.over:
        return None
    last = longest.over[-1]
    values = [v for s in stages for v in s.values]
    along = [w for w in writes if last in w.axes]
    width = wide.width_along(loops, last, along, values, limits)
    plain = all(s.over == (last,) for s in stages) and len({nest.free(n) for n in needed}) == 1
    if plain and last not in loops.parts and not wide.guarded(values):
        held = _held(nest, needed, writes, last, width, limits)
        if held is not None:
            return held
    if max(points(loops, s.over) for s in stages) < 2 * limits.lanes:
        return None
    width = width if all(s.over[-1:] == (last,) for s in stages) else 1
    size = group.largest(limits, group.room(stages))
    while any(len(s.over) > 1 for s in stages) and short(loops, last, size, width) and loops.extents[last] % width:
        width //= 2
    return Rows(size, width, 0, last)


def short(loops: Loops, axis: int, size: int, width: int) -> bool:
    """True when an axis is walked through before all work-items have several vectors of it on their way."""
    return axis not in loops.parts and loops.extents[axis] < unroll(width) * size * width


def unroll(width: int) -> int:
    """Vectors on their way at a time. Accumulators meet their elements in the same order whatever it is."""
    return UNROLL * max(UNROLL // width, 1)


def _held(
    nest: Nest, needed: Sequence[int], writes: Sequence[Write], last: int, width: int, limits: Limits
) -> Rows | None:
    """How rows are shared that registers hold."""
    length, kept = nest.loops.extents[last], nest.free(needed[0])
    loads = wide.loads_along(last, [v for n in needed for v in nest.loops.stages[n].values])
    if not loads or any(w.valid is not None or not set(w.axes) <= {*kept, last} or not kept <= set(w.axes) for w in writes):
        return None
    while length % width:
        width //= 2
    largest = group.largest(limits, group.room([nest.loops.stages[n] for n in needed]), LARGEST)
    each = max(width, group.power(HOLD // len(loads)) if len(loads) < HOLD else 1)
    size, warp = min(group.power(-(-length // each)), largest), min(limits.lanes, largest)
    several = 1
    if size < warp and size > 1 and wide.walked([v for n in needed for v in nest.loops.stages[n].values], {*kept, last}):
        several = min(SEVERAL * warp, largest) // size
    elif length < 2 * limits.lanes:
        return None
    else:
        size = max(size, warp)
    steps = group.power(-(-length // (size * width)))
    return Rows(size, width, steps, last, several) if steps * width * len(loads) <= MOST else None
