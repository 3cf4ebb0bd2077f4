"""The checks of other forms: the method, the in-place method, operands of two dtypes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from records.record import Operand, Record, Sample

from .checks import describe, run, samples_of
from .compare import check_values
from .data import arrays_of, evaluate, numpy_dtype, scales
from .layouts import stepped
from .subject import Subject


def method(subject: Subject, record: Record, dtype: str) -> None:
    """The method gives the same bits as the function."""
    for sample in samples_of(
        subject, record, dtype, lambda s: not s.big and starts_with_operand(s)
    ):
        tensors = [subject.tensor(a) for a in arrays_of(record, sample, dtype)]
        expected = subject.call(record, sample, tensors, dtype)
        by_method = Record(
            record.name, lambda t, x, *a, **k: getattr(x, record.method)(*a, **k), None, ()
        )
        for got, wanted in zip(
            subject.call(by_method, sample, tensors, dtype), expected, strict=True
        ):
            np.testing.assert_array_equal(
                subject.read(got), subject.read(wanted), err_msg=describe(sample)
            )


def starts_with_operand(sample: Sample) -> bool:
    return bool(sample.args) and isinstance(sample.args[0], Operand)


def inplace_samples(
    subject: Subject, record: Record, dtype: str
) -> Iterator[tuple[Sample, list[Any], Any]]:
    """Samples whose result fits into the first operand, with arrays and the expected result."""
    for sample in samples_of(
        subject, record, dtype, lambda s: not s.big and starts_with_operand(s)
    ):
        arrays = arrays_of(record, sample, dtype)
        expected = evaluate(record, sample, arrays)[0]
        if expected.shape == arrays[0].shape:
            yield sample, arrays, expected


def inplace(subject: Subject, record: Record, dtype: str) -> None:
    """The in-place method writes the same values into its tensor, and into nothing around it."""
    for sample, arrays, expected in inplace_samples(subject, record, dtype):
        first = stepped(subject, arrays[0])
        tensors = [first, *(subject.tensor(a) for a in arrays[1:])]
        by_method = Record(
            record.name, lambda t, x, *a, **k: getattr(x, record.inplace)(*a, **k), None, ()
        )
        (got,) = subject.call(by_method, sample, tensors, dtype)
        assert got is first, f"{record.inplace} returned another tensor"
        what, (scale, *_) = (
            f"{record.inplace}{describe(sample)} {dtype}",
            scales(record, sample, arrays, 1),
        )
        check_values(record, subject.read(first), expected, dtype, what, scale)
        base = subject.read(first._base) if first._base is not None else None
        if base is not None and first.ndim:
            np.testing.assert_array_equal(base[..., ::2], np.ones_like(base[..., ::2]))


def inplace_overlap(subject: Subject, record: Record, dtype: str) -> None:
    """An in-place op whose other operand overlaps the destination equals the op on copies made
    first."""
    for sample, arrays, _ in inplace_samples(subject, record, dtype):
        operands = list(sample.operands())
        fits = [
            a.shape == arrays[0].shape and o.dtype is None
            for a, o in zip(arrays, operands, strict=True)
        ]
        if sum(fits) < 2 or arrays[0].ndim == 0 or arrays[0].size == 0:
            continue
        buffer = np.concatenate([arrays[0][:1], arrays[1]]) if fits[1] else arrays[0]
        base = subject.tensor(buffer)
        target, source = base[:-1], base[1:]
        moved = [
            buffer[:-1],
            *(buffer[1:] if f else a for f, a in zip(fits[1:], arrays[1:], strict=True)),
        ]
        tensors = [
            target,
            *(
                source if f else subject.tensor(a)
                for f, a in zip(fits[1:], arrays[1:], strict=True)
            ),
        ]
        by_method = Record(
            record.name, lambda t, x, *a, **k: getattr(x, record.inplace)(*a, **k), None, ()
        )
        subject.call(by_method, sample, tensors, dtype)
        (expected, *_), (scale, *_) = (
            evaluate(record, sample, moved),
            scales(record, sample, moved, 1),
        )
        what = f"overlapping {record.inplace}{describe(sample)}"
        check_values(record, subject.read(target), expected, dtype, what, scale)


def promotion(subject: Subject, record: Record, left: str, right: str, common: str) -> None:
    """Operands of two dtypes give what the op gives for both in their promoted dtype."""
    for sample in samples_of(subject, record, common, lambda s: not s.big and not s.is_zero_dim):
        operands = list(sample.operands())
        free = [k for k, o in enumerate(operands) if o.dtype is None]
        if len(free) != 2:
            continue
        dtypes = dict(zip(free, (left, right), strict=True))
        arrays = [arrays_of(record, sample, dtypes.get(k, left))[k] for k in range(len(operands))]
        tensors = [subject.tensor(a) for a in arrays]
        values = [a.astype(numpy_dtype(common)) if k in dtypes else a for k, a in enumerate(arrays)]
        run(subject, record, sample, common, values, tensors)
