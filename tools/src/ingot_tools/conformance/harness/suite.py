"""Every check that a record gets, as one table: the op tests of the devices and those of PyTorch
run the same.

A `Check` lists its cases for a record (none where it does not apply) and runs one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..records.promotion import PROMOTED
from ..records.record import Record
from . import beyond, checks, derivatives, draws, edges, extremes, forms, layouts, repeat, views
from .compare import result_dtype
from .subject import Subject


@dataclass(frozen=True)
class Check:
    """``cases(record)`` names the cases; ``run(subject, record, case)`` raises AssertionError."""

    name: str
    cases: Callable[[Record], Sequence[str]]
    run: Callable[[Subject, Record, str], None]

    def __str__(self) -> str:
        return self.name


def by_dtype(record: Record) -> Sequence[str]:
    return record.dtypes


def main(applies: Callable[[Record], object]) -> Callable[[Record], Sequence[str]]:
    """One case, in the record's main dtype, where ``applies``."""
    return lambda record: (record.main_dtype,) if applies(record) else ()


def has(kind: str) -> Callable[[Record], bool]:
    """Some sample is of that kind (``is_empty``, ``is_zero_dim``)."""
    return lambda record: any(getattr(s, kind) for s in record.samples)


def orders(record: Record) -> Sequence[str]:
    """The dtypes in which derivatives are checked."""
    return [d for d in ("float32", "float64") if d in record.dtypes] if record.grad else ()


def pairs(record: Record) -> list[str]:
    """Pairs of different dtypes that have a common one which the op takes, every third of them."""
    if not record.promotes:
        return []
    found = [f"{a}+{b}" for (a, b), c in PROMOTED.items() if a != b and {a, b, c} <= set(record.dtypes)]
    return found[sum(map(ord, record.name)) % 3 :: 3]


def value(subject: Subject, record: Record, dtype: str) -> None:
    checks.value(subject, record, dtype, lambda s: not (s.is_empty or s.is_zero_dim))


def empty(subject: Subject, record: Record, dtype: str) -> None:
    checks.value(subject, record, dtype, lambda s: s.is_empty)


def zero_dim(subject: Subject, record: Record, dtype: str) -> None:
    checks.value(subject, record, dtype, lambda s: s.is_zero_dim)


def strided(how: str, applies: Callable[[Record], object] | None = None) -> Check:
    def run(subject: Subject, record: Record, dtype: str) -> None:
        layouts.strided(subject, record, dtype, how)

    return Check(how, main(applies or movable), run)


def movable(record: Record) -> bool:
    """Has an operand that may lie otherwise, and one answer."""
    draws = record.reference is None
    return not (record.dense_only or draws) and any(True for s in record.samples for _ in s.operands())


def has_rows(record: Record) -> bool:
    """Has an operand of two axes or more."""
    return any(len(o.shape) > 1 for s in record.samples for o in s.operands())


def promotion(subject: Subject, record: Record, case: str) -> None:
    left, right = case.split("+")
    subject.need(left, right, PROMOTED[left, right])
    forms.promotion(subject, record, left, right, PROMOTED[left, right])


def nonfinite(record: Record) -> bool:
    return record.nonfinite in ("product", "planted")


SUITE = (
    Check("value", by_dtype, value),
    Check("empty", main(has("is_empty")), empty),
    Check("zero_dim", main(has("is_zero_dim")), zero_dim),
    Check("nonfinite", main(nonfinite), checks.nonfinite),
    strided("transposed"),
    strided("stepped"),
    strided("padded", lambda r: movable(r) and has_rows(r)),
    strided("expanded"),
    strided("shifted"),
    strided("far"),
    Check("overlapping", main(movable), layouts.overlapping),
    Check("extremes", extremes.ranges, extremes.extremes),
    Check("edges", main(edges.has_free_sizes), edges.edges),
    Check("bits", lambda r: r.dtypes if r.bits is not None else (), draws.bits),
    Check("beyond", lambda r: r.dtypes if r.beyond else (), beyond.beyond),
    Check("repeated", main(repeat.deterministic), repeat.repeated),
    Check("gradient", orders, derivatives.gradient),
    Check("second_order", lambda r: orders(r) if r.second else (), derivatives.second_order),
    Check("method", main(lambda r: r.method and r.reference), forms.method),
    Check("inplace", main(lambda r: r.inplace), forms.inplace),
    Check("inplace_overlap", main(lambda r: r.inplace), forms.inplace_overlap),
    Check("promotion", pairs, promotion),
    Check("view", main(lambda r: r.view), views.shares_memory),
    Check("inplace_on_view", main(lambda r: r.view), views.inplace_on_view),
)

BY_NAME = {check.name: check for check in SUITE}


def each_case(records: Sequence[Record]) -> Iterator[tuple[Check, Record, str]]:
    """Every (check, record, case)."""
    for check in SUITE:
        for record in records:
            for case in check.cases(record):
                yield check, record, case


def run_case(subject: Subject, check: Check, record: Record, case: str) -> None:
    """Run one case: AssertionError where it is wrong, `Refused` where the device refuses an operand's dtype or a result's."""
    given = case.split("+")
    each = record.result if isinstance(record.result, tuple) else (record.result,)
    subject.need(*given, *(result_dtype(rule, dtype) for rule in each for dtype in given))
    check.run(subject, record, case)
