"""The schedules: how a device runs bound loops. `plan` splits a definition into launches and chooses one for each.

    flat         one work-item per point of the parallel axes, serial loops for the rest: takes everything
    vector       pointwise along one axis on a device of lanes: several neighbours to a work-item
    row          stages over the same rows on a device of lanes: a workgroup per row, or per several, with a tree in its memory
    across       reductions across rows on a device of lanes: one workgroup per strip of columns
    column       the same on a CPU: one accumulator for each of the results side by side
    two_phase    few long rows, or few columns: parts first, then their combination
    apart        reductions of reductions on a device of lanes: one launch after the other
    claimed      stores that combine, on a device of lanes: each element of the output has one work-item that adds to it
    contraction  a sum over a product of two operands on a CPU: blocks in registers
    tiles        the same on a device of lanes: tiles in workgroup memory

A schedule gives a `Launch`: the program and where its scalars come from. Nothing here knows a device, only `Limits`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...ir.expr import Expr, walk
from ...ir.program import Program
from ...limits import Limits
from .. import Unsupported
from ..bind import STATUS, Loops, Write
from ..nest import Nest, Slot

if TYPE_CHECKING:
    from .pieces import Piece, Workspaces

Extent3 = tuple[int, int, int]


@dataclass(frozen=True)
class Launch:
    """One launch: ``operands`` are those of the program's buffers, ``slots`` those of its scalars, in order."""

    program: Program
    operands: tuple[int, ...]
    slots: tuple[Slot, ...]
    grid: Extent3
    reach: int  # the largest number that index arithmetic meets, offsets of operands left out
    multiples: Mapping[int, int] = field(default_factory=dict)  # operand → what its element offset must be a multiple of


@dataclass(frozen=True)
class Plan:
    """The launches of a definition, in order. ``workspaces``: operand number → bytes of the memory between them."""

    launches: tuple[Launch, ...]
    workspaces: Mapping[int, int]


def plan(loops: Loops, limits: Limits, index_bits: int, aliased: frozenset[int]) -> Plan:
    """How a device runs ``loops``."""
    from .pieces import Workspaces

    groups = split(loops)
    check_order(loops, groups, aliased)
    workspaces = Workspaces()
    early = not (aliased or {w.operand for w in loops.writes} & _reads(loops, loops.writes))
    parts = [piece for group in groups for piece in _pieces(loops, group, early, limits, workspaces)]
    return Plan(tuple(_launch(part, writes, limits, index_bits) for part, writes in parts), workspaces.sizes)


def _pieces(
    loops: Loops, group: tuple[Write, ...], early: bool, limits: Limits, workspaces: Workspaces
) -> list[Piece]:
    """A group of writes as the loops of its launches, in order. ``early``: no write is of an operand that is read."""
    from . import apart, two_phase

    name, found = choice(loops, group, limits)
    if name == "two_phase":
        return two_phase.phases(loops, group, found, limits, workspaces)
    if name != "apart":
        return [(loops, group)]
    parts = apart.pieces(loops, group, found, early, limits, workspaces)
    return [piece for part, _ in parts for g in split(part) for piece in _pieces(part, g, early, limits, workspaces)]


def _launch(loops: Loops, group: tuple[Write, ...], limits: Limits, index_bits: int) -> Launch:
    """One launch, by the first schedule that fits."""
    from . import across, claimed, column, contraction, flat, row, tiles, vector

    name, found = choice(loops, group, limits, whole=True)
    if name == "flat":
        return flat.launch(loops, group, limits, index_bits)
    schedules = {
        "contraction": contraction, "tiles": tiles, "column": column, "across": across, "row": row, "vector": vector,
        "claimed": claimed,
    }  # fmt: skip
    made: Launch = schedules[name].launch(loops, group, found, limits, index_bits)
    return made


def choice(loops: Loops, group: tuple[Write, ...], limits: Limits, whole: bool = False) -> tuple[str, Any]:
    """The name of the first schedule that fits a group of writes, and what it found there. ``whole``: in one launch."""
    from . import across, apart, claimed, column, contraction, rows, tiles, two_phase, vector

    found = contraction.match(loops, group)
    if found is not None and limits.lanes == 1:
        return "contraction", found
    if found is not None and tiles.fits(found, limits):
        return "tiles", found
    if not whole and (cut := two_phase.cut_of(loops, group, limits)) is not None:
        return "two_phase", cut
    if not whole and (level := apart.level_of(loops, group, limits)) is not None:
        return "apart", level
    if limits.lanes == 1:
        strip = column.column_of(loops, group)
        return ("column", strip) if strip is not None else ("flat", None)
    if min(limits.max_workgroup, limits.workgroup_memory) > 1:  # work-items that can do something together
        if (shares := claimed.shares_of(loops, group, limits)) > 1:
            return "claimed", shares
        if (columns := across.strip_of(loops, group, limits)) is not None:
            return "across", columns
        if (shared := rows.rows_of(loops, group, limits)) is not None:
            return "row", shared
    width = vector.width_of(loops, group, limits)
    return ("vector", width) if width > 1 else ("flat", None)


def order(loops: Loops, group: tuple[Write, ...], limits: Limits) -> Any:
    """What decides in which order the stages of a group of writes are combined, beside their lengths."""
    from . import apart
    from .pieces import Workspaces

    name, found = choice(loops, group, limits)
    if name == "two_phase":
        return name, found, choice(loops, group, limits, whole=True)
    if name == "apart":
        parts = apart.pieces(loops, group, found, False, limits, Workspaces())
        return name, tuple(order(part, g, limits) for part, _ in parts for g in split(part))
    return (name, found) if name in ("across", "row") else "flat" if name in ("vector", "claimed") else name


def split(loops: Loops) -> list[tuple[Write, ...]]:
    """Writes that belong in one launch: same axes, or a stage in common. Two writes to one operand never do."""
    nest = Nest(loops, loops.writes)
    groups: list[tuple[list[Write], set[int], set[frozenset[int]]]] = []
    for w in loops.writes:
        stages = set(nest.needed(w.roots()))
        axes = frozenset(w.axes)
        for members, shared, kinds in groups:
            clash = any(m.operand == w.operand != STATUS for m in members)
            ordered = w.combine is not None or any(m.combine is not None for m in members)
            fits = axes in kinds if ordered else bool(stages & shared) or axes in kinds
            if fits and not clash and not (w.combine and any(m.combine for m in members)):
                members.append(w)
                shared |= stages
                kinds.add(axes)
                break
        else:
            groups.append(([w], stages, {axes}))
    return [tuple(g[0]) for g in groups]


def check_order(loops: Loops, groups: Sequence[tuple[Write, ...]], aliased: frozenset[int]) -> None:
    """All loads see memory before any store: refuse what several launches or loops could not keep to."""
    outputs = {w.operand for w in loops.writes if w.operand != STATUS}
    if not (aliased or outputs & _reads(loops, loops.writes)):
        return
    done: set[int] = set()
    for group in groups:
        shared = (aliased if done - {STATUS} else frozenset()) | done
        late = _reads(loops, group) & shared
        if late - {w.operand for w in group if w.combine is not None}:
            raise Unsupported("it would read an operand after an earlier launch has overwritten it")
        done |= {w.operand for w in group}
        _check_positions(loops, group, aliased)


def _check_positions(loops: Loops, group: tuple[Write, ...], aliased: frozenset[int]) -> None:
    """An operand that is read and written in one launch is read by whoever writes the same element."""
    offsets = {w.offset for w in group}
    plain = [w for w in group if w.combine is None and w.operand != STATUS]
    touched = aliased | {w.operand for w in plain}
    stages = {n for w in group for n in Nest(loops, group).needed(w.roots())}
    direct = [n for w in plain for n in walk(*w.roots()) if n.op == "get"]
    inside = [n for k in stages for v in loops.stages[k].values for n in walk(v) if n.op == "get"]
    if plain and any(n.value in touched and n.args[0] not in offsets for n in (*direct, *inside)):
        raise Unsupported("it reads other elements of an operand than the ones it overwrites")
    loops_of: dict[Expr, set[frozenset[int]]] = {}
    for w in plain:
        loops_of.setdefault(w.offset, set()).add(frozenset(w.axes))
    several = len({frozenset(w.axes) for w in plain}) > 1
    for w in plain if several else ():
        read = [n for n in walk(*w.roots()) if n.op == "get" and n.value in touched]
        if any(loops_of.get(n.args[0]) != {frozenset(w.axes)} for n in read):
            raise Unsupported("it overwrites an operand in one loop and reads it in another")


def _reads(loops: Loops, writes: Sequence[Write]) -> set[int]:
    nest = Nest(loops, tuple(writes))
    roots = [r for w in writes for r in w.roots()]
    stages = [v for n in nest.needed(roots) for v in loops.stages[n].values]
    return {n.value for n in walk(*roots, *stages) if n.op == "get"}


def finish(nest: Nest, name: str, body: Sequence[object], grid: Extent3, block: Extent3, index_bits: int) -> Launch:
    """The launch of a nest whose statements are ``body``."""
    buffers = nest.buffers()
    ordered = sorted(nest.slots.values(), key=lambda s: -_width(s, index_bits))
    program = Program(
        "ingot_" + re.sub(r"\W", "_", name),
        tuple(buffers.values()),
        tuple(s.scalar for s in ordered),
        tuple(nest.locals),
        tuple(body),  # type: ignore[arg-type]
        block,
        index_bits,
    )
    reach = max((abs(s.value) for s in ordered if s.source == "value"), default=0)
    return Launch(program, tuple(buffers), tuple(ordered), grid, reach, nest.multiples)


def _width(slot: Slot, index_bits: int) -> int:
    """Bytes of a scalar in the packed block; the widest come first, so that it has no holes."""
    return index_bits // 8 if slot.scalar.dtype.kind == "n" else slot.scalar.dtype.itemsize
