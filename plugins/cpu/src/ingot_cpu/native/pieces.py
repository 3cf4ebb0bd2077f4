"""Loops cut where a condition on an index changes: a border, a slice's place among zeros, operands end to end.

A value that is one thing where ``i >= 3`` and another elsewhere asks that of every element, and reads under a mask. Here each
such axis is cut at its bounds, and every piece is a loop of its own in which the conditions are known: a fill, a copy, what the
definition computes there. Called by `recipe` for pointwise writes of many elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import STATUS, Loops, Rewrite, Write
from ingot_devices.codegen.collapse import collapse
from ingot_devices.ir.expr import Expr, const, walk

LEAST = 32_768
"""Elements from which on more loops take less time than they cost."""
MOST = 9
"""Pieces of a write: a border on all sides of a plane."""
Ranges = Mapping[int, tuple[int, int]]
"""Axis → (first, end) of a piece."""


class Bound(NamedTuple):
    """A comparison that changes at ``point`` of an axis: it holds from there on (``rises``), or before."""

    axis: int
    point: int
    rises: bool


def bound(node: Expr) -> Bound | None:
    """What a comparison of an index with a number comes to; None for any other expression."""
    if node.op not in ("ge", "gt", "le", "lt") or any(a.op != "linear" for a in node.args):
        return None
    (left, lefts), (right, rights) = (a.value for a in node.args)
    terms = [(a, c) for a, c in zip(node.args[0].args, lefts, strict=True)]
    terms += [(a, -c) for a, c in zip(node.args[1].args, rights, strict=True)]
    if len(terms) != 1 or terms[0][0].op != "index" or terms[0][1] not in (1, -1):
        return None
    (atom, factor), rest = terms[0], left - right  # factor · i + rest, compared with 0
    above = node.op in ("ge", "gt")
    strict = node.op in ("gt", "le")  # these change one further
    point = -rest + int(strict) if factor == 1 else rest + int(not strict)
    return Bound(atom.value, point, above == (factor == 1))


def cut(loops: Loops) -> Loops:
    """The same writes in pieces, where they are pointwise, plain and large, and nothing that is written is read."""
    written = {w.operand for w in loops.writes}
    read = {n.value for n in walk(*loops.roots()) if n.op == "get"}
    if loops.stages or written & read or len(written) < len(loops.writes):
        return loops
    extents, writes = list(loops.extents), list[Write]()
    for w in loops.writes:
        pieces = list(_pieces(loops, w, w.value, {})) if _takes(loops, w) else []
        if 1 < len(pieces) <= MOST:
            writes += [_piece(w, value, ranges, extents) for ranges, value in pieces]
        else:
            writes.append(w)
    if len(writes) == len(loops.writes):
        return loops
    return collapse(replace(loops, extents=tuple(extents), writes=tuple(writes)))


def _takes(loops: Loops, w: Write) -> bool:
    size = 1
    for a in w.axes:
        size = size * loops.extents[a]
    return bool(size >= LEAST) and w.combine is None and w.valid is None and w.operand != STATUS


def _pieces(loops: Loops, w: Write, value: Expr, ranges: Ranges) -> Iterator[tuple[Ranges, Expr]]:
    """Ranges of axes, and the value there: along the outermost axis that has bounds, then along the next.

    In a piece, what was the index of a bound may have become a plain one: then its axis is cut once more.
    """
    bounds = {b for b in map(bound, walk(value)) if b is not None and b.axis in w.axes}
    if not bounds:
        yield ranges, value
        return
    axis = min(b.axis for b in bounds)
    first, end = ranges.get(axis, (0, loops.extents[axis]))
    points = [first]
    for point in (*sorted(b.point for b in bounds if b.axis == axis and first < b.point < end), end):
        points += [point] if point > points[-1] else []
    if len(points) > MOST + 1:
        yield ranges, value
        return
    for first, last in pairwise(points):
        yield from _pieces(loops, w, _Known(axis, first)(value), {**ranges, axis: (first, last)})


class _Known(Rewrite):
    """An expression where an index of ``axis`` is ``first`` or a little more: no bound lies between."""

    def __init__(self, axis: int, first: int) -> None:
        super().__init__()
        self.axis, self.first = axis, first

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        found = bound(node)
        if found is not None and found.axis == self.axis:
            return const(bool((self.first >= found.point) == found.rises), dt.bool_)
        if node.op == "where" and args[0].op == "const":
            return args[1] if args[0].value else args[2]
        if node.op in ("and", "or") and node.dtype is dt.bool_ and "const" in (args[0].op, args[1].op):
            known, other = args if args[0].op == "const" else args[::-1]
            return other if bool(known.value) == (node.op == "and") else known
        if node.op == "not" and args[0].op == "const":
            return const(not args[0].value, dt.bool_)
        if node.op == "linear" and args != node.args:
            return _form(node.value[0], zip(args, node.value[1], strict=True))
        return super().rule(node, args)


def _form(base: int, parts: Iterable[tuple[Expr, int]]) -> Expr:
    """A linear form of atoms and of linear forms."""
    terms: dict[Expr, int] = {}
    for part, factor in parts:
        start, inner = part.value if part.op == "linear" else (0, None)
        base = base + start * factor
        for atom, c in zip(part.args, inner, strict=True) if inner is not None else [(part, 1)]:
            terms[atom] = terms.get(atom, 0) + c * factor
    kept = {a: c for a, c in terms.items() if c}
    return Expr.of("linear", tuple(kept), dt.index, (base, tuple(kept.values())))


class _Moved(Rewrite):
    """Indices of axes as those of others, and so much more."""

    def __init__(self, axes: Mapping[int, tuple[int, int]]) -> None:
        super().__init__()
        self.axes = axes

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "index" and node.value in self.axes:
            axis, first = self.axes[node.value]
            return Expr.of("linear", (Expr.of("index", (), dt.index, axis),), dt.index, (first, (1,)))
        if node.op == "linear" and args != node.args:
            return _form(node.value[0], zip(args, node.value[1], strict=True))
        return super().rule(node, args)


def _piece(w: Write, value: Expr, ranges: Ranges, extents: list[int]) -> Write:
    """The write over ``ranges``, along axes of its own, which are added to ``extents``."""
    axes = {}
    for axis, (first, last) in ranges.items():
        axes[axis] = (len(extents), first)
        extents.append(last - first)
    moved = _Moved(axes)

    def own(axis: int) -> int:
        return axes[axis][0] if axis in axes else axis

    return replace(w, offset=moved(w.offset), value=moved(value), axes=tuple(map(own, w.axes)),
                   parallel=frozenset(map(own, w.parallel)))  # fmt: skip
