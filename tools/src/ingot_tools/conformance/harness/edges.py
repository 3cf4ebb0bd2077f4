"""The check of sizes: every record whose sizes are free, one below, at and above each edge at which a schedule changes.

Lanes, vectors, workgroups, tiles: where a kernel's main loop ends and its tail begins. What the edges of a device are,
its `Limits` say; powers of two are added, because tiles are made of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..records.record import Operand, Record, S, Sample, V
from .checks import run
from .data import arrays_of
from .subject import Subject

POWERS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
FEW = (4, 8, 16)
TERMS = 40
"""Factors of a product: with more of them the error grows past the record's bound, and so does the reference's."""
SHORT = {"prod", "cumprod"}


SOME = 6
"""Sizes of a record whose kernels depend on them (a reduction's tree is fixed by its length): each costs a build."""


def sizes(subject: Subject, record: Record) -> list[int]:
    """The sizes to try on this device: all of them where one kernel serves all, else some, other ones for each record."""
    edges = set(FEW if subject.is_slow else POWERS) | set(subject.edges)
    top = max(FEW) + 1 if subject.is_slow else 2 * max(POWERS)
    top = min(top, TERMS) if record.name in SHORT else top
    every = sorted({n for e in edges for n in (e - 1, e, e + 1) if 0 < n <= top} | {1, 2})
    if record.group in ("unary", "binary"):
        return every
    return sorted(random.Random(record.name).sample(every, min(SOME, len(every))))


def resized(record: Record, n: int) -> Iterator[Sample]:
    """The record's calls with axes of ``n`` elements."""
    shapes = SHAPES.get(record.name) or GROUPS.get(record.group)
    if shapes is not None:
        yield from shapes(record, n)


def has_free_sizes(record: Record) -> bool:
    """Some call of the record can be resized."""
    return not record.view and record.reference is not None and next(resized(record, 4), None) is not None


def edges(subject: Subject, record: Record, dtype: str) -> None:
    """The right values for sizes around each edge."""
    for n in sizes(subject, record):
        for sample in resized(record, n):
            if dtype not in sample.but:
                arrays = arrays_of(record, sample, dtype)
                run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])


# ---- which axes are free -----------------------------------------------------------------------------------------------
def _alike(record: Record) -> Sample | None:
    """A sample whose operands have one shape of two axes."""
    for sample in record.samples:
        shapes = {o.shape for o in sample.operands()}
        if len(shapes) == 1 and len(next(iter(shapes))) == 2 and not (sample.big or sample.is_empty):
            return sample
    return None


def _pointwise(record: Record, n: int) -> Iterator[Sample]:
    base = _alike(record)
    for shape in ((n,), (3, n), (n, 3)) if base is not None else ():
        yield reshaped(base, lambda o, shape=shape: shape)  # type: ignore[arg-type, misc]


def _reduction(record: Record, n: int) -> Iterator[Sample]:
    """Each different call (axis, keepdim …), the axes one after the other made ``n`` long."""
    for base in record.samples:
        shape = next((o.shape for o in base.operands()), ())
        if not base.big and 0 not in shape and 0 < len(shape) < 3:
            for axis in range(len(shape)):
                yield reshaped(base, lambda o, k=axis: (*o.shape[:k], n, *o.shape[k + 1 :]))  # type: ignore[misc]


def reshaped(sample: Sample, shape: Callable[[Operand], tuple[int, ...]]) -> Sample:
    """``sample`` with other shapes; values that were given are repeated."""

    def one(item: Any) -> Any:
        if not isinstance(item, Operand):
            return item
        made = shape(item)
        values = None if item.values is None else np.resize(np.asarray(item.values), made)
        return replace(item, shape=made, values=values)

    return replace(sample, args=tuple(map(one, sample.args)), kwargs={k: one(v) for k, v in sample.kwargs.items()})


def _product(*others: int) -> Callable[[Record, int], Iterator[Sample]]:
    """Matrix products, with rows, columns and terms of ``n``; ``others`` are the sizes in front (a batch)."""

    def made(record: Record, n: int) -> Iterator[Sample]:
        for rows, terms, columns in ((n, 3, 5), (3, n, 5), (5, 3, n), (n, n, 1) if n < 70 else (1, n, n)):
            yield S(V(*others, rows, terms), V(*others, terms, columns))

    return made


def _linear(record: Record, n: int) -> Iterator[Sample]:
    for rows, terms, columns in ((n, 3, 5), (3, n, 5), (5, 3, n)):
        yield S(V(rows, terms), V(columns, terms), V(columns))


def _vectors(record: Record, n: int) -> Iterator[Sample]:
    yield S(V(n), V(n))


def _rows(record: Record, n: int) -> Iterator[Sample]:
    yield S(V(3, n), dim=-1)
    yield S(V(n, 3), dim=0)


Shapes = Callable[[Record, int], Iterator[Sample]]
GROUPS: dict[str, Shapes] = {"unary": _pointwise, "binary": _pointwise, "reduction": _reduction}
SHAPES: dict[str, Shapes] = {
    "mm": _product(), "matmul": _product(), "bmm": _product(2), "linear": _linear, "dot": _vectors, "outer": _vectors,
    "softmax": _rows, "log_softmax": _rows, "sort": _rows, "argsort": _rows,
}  # fmt: skip


def of_limits(limits: Any) -> Sequence[int]:
    """The edges that a device's `Limits` name: lanes, elements of a vector, the largest workgroup."""
    return sorted({limits.lanes, limits.vector_bytes // 4, limits.max_workgroup} - {0})
