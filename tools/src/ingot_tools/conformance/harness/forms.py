"""The checks of other forms: the method, the in-place method, operands of two dtypes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..records.record import Operand, Record, Sample
from ..records.record import method as method_of
from .checks import describe, run, samples_of
from .compare import check_values
from .data import arrays_of, evaluate, numpy_dtype, scales
from .layouts import stepped_in
from .subject import Subject


def method(subject: Subject, record: Record, dtype: str) -> None:
    """The method gives the same bits as the function."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and starts_with_operand(s)):
        tensors = [subject.tensor(a) for a in arrays_of(record, sample, dtype)]
        expected = subject.call(record, sample, tensors, dtype)
        results = subject.call(as_method(record.method), sample, tensors, dtype)
        for got, wanted in zip(results, expected, strict=True):
            np.testing.assert_array_equal(subject.read(got), subject.read(wanted), err_msg=describe(sample))


def as_method(name: str) -> Record:
    """The method of that name on the first operand."""
    return Record(name, method_of(name), None, ())


def starts_with_operand(sample: Sample) -> bool:
    return bool(sample.args) and isinstance(sample.args[0], Operand)


def inplace_samples(subject: Subject, record: Record, dtype: str) -> Iterator[tuple[Sample, list[Any], Any]]:
    """Samples whose result fits into the first operand, with arrays and the expected result."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and starts_with_operand(s)):
        arrays = arrays_of(record, sample, dtype)
        expected = evaluate(record, sample, arrays)[0]
        if expected.shape == arrays[0].shape:
            yield sample, arrays, expected


def inplace(subject: Subject, record: Record, dtype: str) -> None:
    """The in-place method writes the same values into its tensor, and into nothing around it."""
    for sample, arrays, expected in inplace_samples(subject, record, dtype):
        base, first = stepped_in(subject, arrays[0])
        tensors = [first, *(subject.tensor(a) for a in arrays[1:])]
        (got,) = subject.call(as_method(record.inplace), sample, tensors, dtype)
        assert got is first, f"{record.inplace} returned another tensor"
        what = f"{record.inplace}{describe(sample)} {dtype}"
        scale = scales(record, sample, arrays, 1)[0]
        check_values(record, subject.read(first), expected, dtype, what, scale)
        around = subject.read(base)[..., ::2] if first.ndim else subject.read(base)[:1]
        np.testing.assert_array_equal(around, np.ones_like(around), err_msg=f"around {what}")


def inplace_overlap(subject: Subject, record: Record, dtype: str) -> None:
    """An in-place op whose other operand overlaps the destination equals the op on copies."""
    for sample, arrays, _ in inplace_samples(subject, record, dtype):
        first, others = arrays[0], range(1, len(arrays))
        free = [o.dtype is None for o in sample.operands()]
        source = next((k for k in others if free[k] and arrays[k].shape == first.shape), None)
        if source is None or first.size == 0 or first.ndim == 0:
            continue
        buffer = np.concatenate([first[:1], arrays[source]])
        base, given = subject.tensor(buffer), [subject.tensor(a) for a in arrays]
        given[0], given[source] = base[:-1], base[1:]
        arrays[0] = buffer[:-1]
        expected = evaluate(record, sample, arrays)[0]
        scale = scales(record, sample, arrays, 1)[0]
        subject.call(as_method(record.inplace), sample, given, dtype)
        what = f"overlapping {record.inplace}{describe(sample)}"
        check_values(record, subject.read(given[0]), expected, dtype, what, scale)


def promotion(subject: Subject, record: Record, left: str, right: str, common: str) -> None:
    """Operands of two dtypes give what the op gives for both in their promoted dtype."""
    for sample in samples_of(subject, record, common, lambda s: not s.big and not s.is_zero_dim):
        if {left, right} & set(sample.but):
            continue
        operands = list(sample.operands())
        free = [k for k, o in enumerate(operands) if o.dtype is None]
        if len(free) != 2:
            continue
        dtypes = dict(zip(free, (left, right), strict=True))
        arrays = [arrays_of(record, sample, dtypes.get(k, left))[k] for k in range(len(operands))]
        tensors = [subject.tensor(a) for a in arrays]
        values = [a.astype(numpy_dtype(common)) if k in dtypes else a for k, a in enumerate(arrays)]
        run(subject, record, sample, common, values, tensors)
