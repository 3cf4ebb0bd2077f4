"""The checks that every record gets: value, nonfinite, strided, overlapping, method, in-place,
promotion.

Each takes a `Subject`, a `Record` and what varies, and raises AssertionError. The derivatives are
in `derivatives`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..records.record import Operand, Record, Sample
from . import compare
from .compare import check_result, result_dtype, rules
from .data import arrays_of, evaluate, is_float, numpy_dtype, scales
from .subject import Subject

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.5)
FEW_SPECIAL = (np.nan, np.inf, -np.inf, 1.0)


def samples_of(subject: Subject, record: Record, dtype: str, keep: Callable[[Sample], bool]) -> list[Sample]:
    """The samples for ``dtype`` that ``keep`` accepts and that there is time for."""
    fits = [s for s in record.samples if keep(s) and dtype not in s.but]
    return [s for s in fits if subject.takes(s)]


def run(
    subject: Subject,
    record: Record,
    sample: Sample,
    dtype: str,
    arrays: list[Any],
    tensors: list[Any],
) -> None:
    """Call the op on ``tensors`` and judge every result by what the reference makes of
    ``arrays``."""
    what = f"{record.name}{describe(sample)} {dtype}"
    results = subject.call(record, sample, tensors, dtype)
    if record.verify is not None:
        compare.verified(record.verify, [subject.read(r) for r in results], arrays, sample.kwargs)
    if record.reference is None:
        for got, rule in zip(results, rules(record, len(results)), strict=True):
            assert subject.name(got) == result_dtype(rule, dtype), f"{what}: dtype {got.dtype}"
        subject.settled(what, arrays, tensors, results)
        return
    expected = evaluate(record, sample, arrays)
    assert len(results) == len(expected), f"{what}: {len(results)} results, not {len(expected)}"
    each = zip(
        results,
        expected,
        rules(record, len(expected)),
        scales(record, sample, arrays, len(expected)),
        strict=True,
    )
    for k, (got, wanted, rule, scale) in enumerate(each):
        check_result(subject, record, got, wanted, result_dtype(rule, dtype), f"{what} result {k}", scale)
    subject.settled(what, arrays, tensors, results)


def describe(sample: Sample) -> str:
    """The call's arguments, shapes for operands."""

    def show(x: Any) -> str:
        if isinstance(x, Operand):
            return "x".join(map(str, x.shape)) or "scalar"
        return f"[{', '.join(map(show, x))}]" if isinstance(x, (list, tuple)) else str(x)

    return "(" + ", ".join([*map(show, sample.args), *(f"{k}={show(v)}" for k, v in sample.kwargs.items())]) + ")"


def value(subject: Subject, record: Record, dtype: str, keep: Callable[[Sample], bool]) -> None:
    """Shape, dtype, device and values of every kept sample."""
    for sample in samples_of(subject, record, dtype, keep):
        arrays = arrays_of(record, sample, dtype)
        run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])


# ---- non-finite ----------------------------------------------------------------------------------


def nonfinite(subject: Subject, record: Record, dtype: str) -> None:
    """NaN and infinities go where the reference says."""
    cases = product_cases(record, dtype) if record.nonfinite == "product" else planted_cases(record, dtype)
    for sample, arrays in cases:
        run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])


def ordinary(sample: Sample) -> bool:
    return not (sample.big or sample.is_empty or sample.is_zero_dim)


def product_cases(record: Record, dtype: str) -> Iterator[tuple[Sample, list[Any]]]:
    """Every combination of special values over the operands under test, for each different set of
    arguments."""
    seen = set()
    for sample in filter(ordinary, record.samples):
        key = (
            len(list(sample.operands())),
            repr(sorted(sample.kwargs.items(), key=lambda kv: kv[0])),
        )
        if key in seen:
            continue
        seen.add(key)
        free = [o.dtype is None for o in sample.operands()]
        special = record.special or (SPECIAL if sum(free) < 3 else FEW_SPECIAL)
        columns = np.array(list(itertools.product(special, repeat=sum(free)))).T
        each = iter(columns)
        yield (
            sample,
            [next(each).astype(numpy_dtype(dtype)) if f else np.resize([True, False], columns.shape[1]) for f in free],
        )


def planted_cases(record: Record, dtype: str) -> Iterator[tuple[Sample, list[Any]]]:
    """The ordinary samples with one special value in the first float operand."""
    for sample in filter(ordinary, record.samples):
        for special in (np.nan, np.inf, -np.inf):
            arrays = arrays_of(record, sample, dtype)
            target = next((a for a, o in zip(arrays, sample.operands(), strict=True) if o.dtype is None), None)
            if target is not None:
                target.flat[target.size // 2] = special
                yield sample, arrays


def float_results(record: Record, count: int, dtype: str) -> list[int]:
    """The positions of results that carry a gradient."""
    return [k for k, rule in enumerate(rules(record, count)) if is_float(result_dtype(rule, dtype))]
