"""Reductions of reductions on a device of lanes: stages that keep different axes get launches of their own.

A sum over rows of what each row's stages gave (a loss over a batch) would else be one group's work, or one work-item's for
each row. The first stages, and those that keep the same axes beside them, write their values to workspaces; the others,
and the writes, read them there. Either is scheduled as any other loops are, in parts where it needs them.

Little work stays in one launch. So does what would take more memory than the operands do: stages none of whose loads walks
over all of their axes, as of a product that is not to be stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...limits import Limits
from ..bind import Loops, Write
from ..nest import Nest
from . import flat, wide
from .pieces import Piece, Pieces, Workspaces

LEAST = 8192
"""Elements that are worth a launch of their own."""

Level = tuple[int, ...]


def level_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> Level | None:
    """The stages of some writes that come first; None where all belong in one launch."""
    nest = Nest(loops, tuple(writes))
    needed = nest.needed([r for w in writes for r in w.roots()])
    if limits.lanes == 1 or any(w.combine for w in writes) or any(loops.stages[n].kind != "reduce" for n in needed):
        return None
    kept = {n: nest.free(n) for n in needed}
    if len(set(kept.values())) < 2:
        return None
    level: list[int] = []
    for n in needed:
        if kept[n] == kept[needed[0]] and set(nest.needed(loops.stages[n].values)) <= set(level):
            level.append(n)
    axes = [kept[n] | set(loops.stages[n].over) for n in level]
    if max(flat.points(loops, a) for a in axes) < LEAST:
        return None
    return tuple(level) if all(wide.walked(loops.stages[n].values, a) for n, a in zip(level, axes, strict=True)) else None


def pieces(
    loops: Loops, writes: tuple[Write, ...], level: Level, early: bool, limits: Limits, workspaces: Workspaces
) -> list[Piece]:
    """The loops of the first stages, and those of the others. ``early``: no write is of an operand that is read."""
    made = Pieces(loops, writes, limits, workspaces)
    nest = Nest(loops, writes)
    rows = flat.by_step(writes[0], sorted(nest.free(level[0])))
    here = [w for w in writes if early and set(w.axes) == set(rows) and set(nest.needed(w.roots())) <= set(level)]
    stages = made.stages(level)
    stores, values = made.stores(stages, rows)
    first = made.piece(stages, [*stores, *made.rewritten(here, level)])
    made.known = dict(zip(level, values, strict=True))
    left = [n for n in made.needed if n not in level]
    return [first, made.piece(made.stages(left), made.rewritten([w for w in writes if w not in here], left))]
