"""A reduction that few work-items would make, cut in two: its parts first, then their combination.

The stages of a group of writes become loops of their own. The first have one more axis, which numbers the parts of a
reduced axis (`bind.Part`), and write what each part carries to a workspace; the second reduce that along the new axis.
Either is then scheduled as any other loops are. The last combination is made where the writes are, if they are made once
for each row; the others follow in launches of their own, in which the stages' values are loads.

There are as many parts as lengths and the device say, so results do not depend on what runs beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...limits import Limits
from ..bind import Loops, Part, Write
from ..nest import Nest
from . import across, flat, split
from .pieces import Piece, Pieces, Workspaces

CHUNK = 4096
"""On a CPU, the elements of the shortest part that is worth a work-item of its own."""
LEAST = 8192
"""On a device of lanes, those of the shortest part that is worth a group; a part of a row is a multiple of it."""
FILL = 8
"""Groups that keep a compute unit busy; with half as many, nothing is cut. Of strips of columns, half as many do."""


@dataclass(frozen=True)
class Cut:
    """``count`` parts of an axis, ``each`` of it to a part."""

    axis: int
    count: int
    each: int


# ---- what is cut -----------------------------------------------------------------------------------------------------
def cut_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> Cut | None:
    """How the stages are cut; None where there are rows enough, or they are short, or a stage cannot be cut."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    stages = [loops.stages[n] for n in needed]
    if not needed or any(w.combine for w in writes):
        return None
    over, kept = stages[0].over, nest.free(needed[0])
    if not over or any(
        s.kind != "reduce" or s.over != over or nest.free(n) != kept for n, s in zip(needed, stages, strict=True)
    ):
        return None
    rows = flat.points(loops, kept)
    if not rows or not flat.points(loops, over):
        return None
    return _on_cpu(loops, over[-1], rows, limits) if limits.lanes == 1 else _on_lanes(loops, writes, over, rows, limits)


def _on_cpu(loops: Loops, last: int, rows: int, limits: Limits) -> Cut | None:
    length = loops.extents[last]
    if rows >= 2 * limits.compute_units or length < 4 * CHUNK:
        return None
    return _cut(last, length, min(-(-length // CHUNK), 8 * limits.compute_units), 1)


def _on_lanes(loops: Loops, writes: Sequence[Write], over: Sequence[int], rows: int, limits: Limits) -> Cut | None:
    strip = across.strip_of(loops, writes, limits)
    columns = strip.columns if strip else 1
    groups = rows if strip is None else rows // loops.extents[strip.column] * -(-loops.extents[strip.column] // columns)
    if 2 * groups > FILL * limits.compute_units:
        return None
    fill = FILL if strip is None else FILL // 2
    wanted = min(-(-fill * limits.compute_units // groups), flat.points(loops, over) * columns // LEAST)
    axis = next((a for a in over if 2 * loops.extents[a] > wanted), over[-1])  # whole rows, if there are enough of them
    unit = LEAST if axis == over[-1] and strip is None else 1
    return _cut(axis, loops.extents[axis], wanted, unit)


def _cut(axis: int, length: int, count: int, unit: int) -> Cut | None:
    each = -(-length // (max(min(count, length), 1) * unit)) * unit
    count = -(-length // each)
    return Cut(axis, count, each) if count > 1 else None


# ---- the loops that come of it ---------------------------------------------------------------------------------------
def phases(
    loops: Loops, writes: tuple[Write, ...], cut: Cut, limits: Limits, workspaces: Workspaces
) -> list[Piece]:
    """The loops of each launch, in order, with what they write."""
    return _Phases(loops, writes, cut, limits, workspaces).all()


class _Phases(Pieces):
    """One group of writes on its way into several launches."""

    def __init__(
        self, loops: Loops, writes: tuple[Write, ...], cut: Cut, limits: Limits, workspaces: Workspaces
    ) -> None:
        super().__init__(loops, writes, limits, workspaces)
        self.cut, self.number = cut, len(loops.extents)  # the axis of the parts
        self.rows = flat.by_step(writes[0], sorted(Nest(loops, writes).free(self.needed[0])))
        self.loops = replace(loops, extents=(*loops.extents, cut.count))

    def all(self) -> list[Piece]:
        """Two launches for each level of stages, and more for writes that are not made once for each row."""
        made: list[Piece] = []
        while left := [n for n in self.needed if n not in self.known]:
            level = [n for n in left if not self.reads(n) & set(left)]
            stages = self.stages(level)
            writes, parts = self.stores(stages, (self.number, *self.rows))
            made.append(self.piece(stages, writes, {self.cut.axis: Part(self.number, self.cut.each)}))
            combined = tuple(replace(s, over=(self.number,), values=tuple(v)) for s, v in zip(stages, parts, strict=True))
            here = [w for w in self.writes if level == left and set(w.axes) == set(self.rows)]
            rest = [w for w in self.writes if w not in here]
            writes, totals = self.stores(combined, self.rows) if rest else ([], [])
            made.append(self.piece(combined, [*writes, *self.rewritten(here, level)]))
            if not rest:
                return made
            self.known |= dict(zip(level, totals, strict=True))
        loops, _ = self.piece((), self.rewritten(rest, []))
        return [*made, *((loops, group) for group in split(loops))]
