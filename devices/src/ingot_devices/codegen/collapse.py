"""Fewer axes: those of extent 1 go, and two that every access walks as one are merged.

Second step of a scheduled kernel (see `bind`). ``i`` and ``j`` of extents m and n are one axis of extent m·n when in
every linear form the coefficient of ``i`` is n times that of ``j``, and every stage and write runs over both or
neither. A dense pointwise op of any rank ends as one axis, so that its kernel is the same for all shapes. Axes that are
reduced may be merged in the order of memory, which need not be the definition's: ``Loops.origin`` keeps it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from .. import dtypes as dt
from ..ir.definition import Stage
from ..ir.expr import Expr, walk
from .bind import Loops, Rewrite, Write, linear_node


def collapse(loops: Loops) -> Loops:
    """``loops`` with as few axes as possible, numbered from 0 without gaps."""
    loops = _without_ones(loops)
    merged = _merge_once(loops)
    while merged is not None:
        loops = merged
        merged = _merge_once(loops)
    return _renumbered(loops)


def groups(loops: Loops) -> list[tuple[int, ...]]:
    """The axes of ``loops`` that `collapse` makes one of, the outermost first; those of extent 1 are left out."""
    loops = _without_ones(loops)
    found: dict[int, tuple[int, ...]] = {a: (a,) for a, n in enumerate(loops.extents) if n != 1}
    while (merged := _merge_once(loops)) is not None:
        (outer,) = (a for a in found if loops.extents[a] != 1 and merged.extents[a] == 1)
        (inner,) = (a for a in found if loops.extents[a] < merged.extents[a])
        found[inner] = found.pop(outer) + found[inner]
        loops = merged
    return list(found.values())


def _without_ones(loops: Loops) -> Loops:
    ones = {a for a, n in enumerate(loops.extents) if n == 1}
    return _regrouped(loops, loops.extents, ones) if ones else loops


def _merge_once(loops: Loops) -> Loops | None:
    """Loops with one pair of axes merged into the inner one, or None."""
    used = sorted({a for w in loops.writes for a in w.axes} | {a for s in loops.stages for a in s.over})
    forms = [n for n in walk(*loops.roots()) if n.op == "linear"]
    tables = [dict(zip((_axis(a) for a in f.args), f.value[1], strict=True)) for f in forms]
    for outer, inner in permutations(used, 2):
        n = loops.extents[inner]
        if loops.extents[outer] and n and _together(loops, outer, inner):
            if all(t.get(outer, 0) == n * t.get(inner, 0) for t in tables):
                extents = list(loops.extents)
                extents[inner] *= extents[outer]
                extents[outer] = 1
                origin = [loops.walked(a) for a in range(len(extents))]
                origin[inner] = origin[outer] + origin[inner]
                return _regrouped(replace(loops, origin=tuple(origin)), tuple(extents), {outer})
    return None


def _axis(atom: Expr) -> int | Expr:
    return int(atom.value) if atom.op == "index" else atom


def _together(loops: Loops, outer: int, inner: int) -> bool:
    for stage in loops.stages:
        if (outer in stage.over) != (inner in stage.over) or (stage.kind == "scan" and outer in stage.over):
            return False
    return all(_together_in(w, outer, inner) for w in loops.writes)


def _together_in(write: Write, outer: int, inner: int) -> bool:
    if (outer in write.axes) != (inner in write.axes) or (outer in write.parallel) != (inner in write.parallel):
        return False
    if outer in write.axes and outer not in write.parallel:  # their order counts
        return write.axes.index(outer) + 1 == write.axes.index(inner)
    return True


class _Drop(Rewrite):
    """Takes axes out of every linear form: their index is 0, or is held in another axis now."""

    def __init__(self, axes: set[int]) -> None:
        super().__init__()
        self.axes = axes

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op != "linear":
            return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        terms = {
            a: c for a, c in zip(args, node.value[1], strict=True) if not (a.op == "index" and a.value in self.axes)
        }
        return linear_node(node.value[0], terms)


def _regrouped(loops: Loops, extents: tuple[int, ...], gone: set[int]) -> Loops:
    loops = replace(loops, extents=extents).rewrite(_Drop(gone))
    stages = tuple(replace(s, over=tuple(a for a in s.over if a not in gone)) for s in loops.stages)
    writes = tuple(
        replace(w, axes=tuple(a for a in w.axes if a not in gone), parallel=w.parallel - gone) for w in loops.writes
    )
    return replace(loops, stages=stages, writes=writes)


class _Renumber(Rewrite):
    def __init__(self, numbers: dict[int, int]) -> None:
        super().__init__()
        self.numbers = numbers

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "index":
            return Expr.of("index", (), dt.index, self.numbers[node.value])
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)


def _renumbered(loops: Loops) -> Loops:
    """Names depend on structure alone: the source of a kernel is the key of its class."""
    used = sorted(
        {a for w in loops.writes for a in w.axes}
        | {a for s in loops.stages for a in s.over}
        | {n.value for n in walk(*loops.roots()) if n.op == "index"}
    )
    numbers = {a: k for k, a in enumerate(used)}
    loops = loops.rewrite(_Renumber(numbers))
    stages = tuple(_moved(s, numbers) for s in loops.stages)
    writes = tuple(
        replace(w, axes=tuple(numbers[a] for a in w.axes), parallel=frozenset(numbers[a] for a in w.parallel))
        for w in loops.writes
    )
    return replace(loops, extents=tuple(loops.extents[a] for a in used), stages=stages, writes=writes,
                   origin=tuple(loops.walked(a) for a in used))  # fmt: skip


def _moved(stage: Stage, numbers: dict[int, int]) -> Stage:
    return replace(stage, over=tuple(numbers[a] for a in stage.over))
