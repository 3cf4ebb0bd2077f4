"""Along which axis the lanes run, how many there are, what an expression weighs: what `nest` asks before it writes a loop."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import Write
from ingot_devices.ir.definition import Stage
from ingot_devices.ir.expr import Expr, walk

LINE = 16
"""Elements of a line of the cache, roughly."""
HEAVY = 24
"""An expression of more operators than this is computed in fewer lanes at once, and once instead of twice for the rest."""
MANY = {"scaled": 9}
"""Operators that are several instructions (`rows`)."""


def main_axis(stages: Sequence[Stage], writes: Sequence[Write], roots: Sequence[Expr], extents: Sequence[int]) -> int:
    """The axis on which most memory lies side by side; it may be one that stages reduce. -1 where there is none, and where
    it is one whose order counts, beside which the others lie far apart: elements come one by one there, rows in threads."""
    offsets = [n.args[0] for n in walk(*roots) if n.op == "get"] + [w.offset for w in writes]
    used = sorted({a for w in writes for a in w.axes} | {a for s in stages for a in s.over})
    scans = {a for s in stages if s.kind == "scan" for a in s.over}
    serial = {a for w in writes for a in w.axes if a not in w.parallel}
    score = {a: _score(offsets, a, extents) for a in used}
    free = [a for a in used if a not in scans and a not in serial]
    best = max(free, key=lambda a: (score[a], a), default=-1)
    return -1 if best >= 0 and not stages and score[best] < 0 < max((score[a] for a in serial), default=0) else best


def best_axis(main: int, axes: Sequence[int], roots: Sequence[Expr], extents: Sequence[int]) -> int:
    """The best of ``axes`` for the lanes of a loop over them: ``main`` where it is among them."""
    if main in axes:
        return main
    offsets = [n.args[0] for n in walk(*roots) if n.op == "get"]
    return max(axes, key=lambda a: (_score(offsets, a, extents), a))


def _score(offsets: Sequence[Expr], axis: int, extents: Sequence[int]) -> int:
    """How many elements lie side by side along ``axis``, less half of those that lie a line of the cache apart or more."""
    total = 0
    for form in offsets:
        terms = dict(zip(form.args, form.value[1], strict=True)) if form.op == "linear" else {}
        elements = math.prod(extents[n.value] for n in walk(form) if n.op == "index")
        for atom, factor in terms.items():
            if atom.op == "index" and atom.value == axis:
                total += elements * (2 if factor == 1 else -1 if abs(factor) >= LINE else 0)
    return total


def weight(roots: Sequence[Expr]) -> int:
    """How many operators an evaluation takes."""
    return sum(MANY.get(n.op, 1) for n in walk(*roots) if n.args and n.op not in ("get", "linear"))


def count(roots: Sequence[Expr], vectors: int) -> int:
    """Lanes of ``vectors`` times 64 bytes of the widest dtype that is computed with, 64 at most."""
    widest = max((n.dtype.itemsize for n in walk(*roots) if n.dtype is not dt.index), default=4)
    return min(64 if vectors < 16 else 256, 64 * vectors // max(widest, 2))
