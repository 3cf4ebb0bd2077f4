"""The checks that every record gets: value, nonfinite, strided, overlapping, method, in-place, promotion.

Each takes a `Subject`, a `Record` and what varies, and raises AssertionError. The derivatives are in `derivatives`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from records.record import Operand, Record, Sample

from .compare import check_result, check_values, result_dtype, rules
from .data import arrays_of, evaluate, is_float, numpy_dtype, scales
from .subject import Subject

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.5)
FEW_SPECIAL = (np.nan, np.inf, -np.inf, 1.0)


def samples_of(
    subject: Subject, record: Record, dtype: str, keep: Callable[[Sample], bool]
) -> list[Sample]:
    """The samples for ``dtype`` that ``keep`` accepts, without big ones where the device interprets."""
    fits = [s for s in record.samples if keep(s) and dtype not in s.but]
    return [s for s in fits if not (s.big and subject.is_slow)]


def run(subject: Subject, record: Record, sample: Sample, dtype: str, arrays: list[Any], tensors: list[Any]) -> None:
    """Call the op on ``tensors`` and judge every result by what the reference makes of ``arrays``."""
    what = f"{record.name}{describe(sample)} {dtype}"
    results = subject.call(record, sample, tensors, dtype)
    if record.verify is not None:
        record.verify(*[subject.read(r) for r in results], *arrays, **sample.kwargs)
    if record.reference is None:
        for got, rule in zip(results, rules(record, len(results)), strict=True):
            assert subject.name(got) == result_dtype(rule, dtype), f"{what}: dtype {got.dtype}"
        return
    expected = evaluate(record, sample, arrays)
    assert len(results) == len(expected), f"{what}: {len(results)} results, not {len(expected)}"
    each = zip(
        results, expected, rules(record, len(expected)), scales(record, sample, arrays, len(expected)), strict=True
    )
    for k, (got, wanted, rule, scale) in enumerate(each):
        check_result(subject, record, got, wanted, result_dtype(rule, dtype), f"{what} result {k}", scale)


def describe(sample: Sample) -> str:
    """The call's arguments, shapes for operands."""

    def show(x: Any) -> str:
        if isinstance(x, Operand):
            return "×".join(map(str, x.shape)) or "scalar"
        return f"[{', '.join(map(show, x))}]" if isinstance(x, (list, tuple)) else str(x)

    return "(" + ", ".join([*map(show, sample.args), *(f"{k}={show(v)}" for k, v in sample.kwargs.items())]) + ")"


def value(subject: Subject, record: Record, dtype: str, keep: Callable[[Sample], bool]) -> None:
    """Shape, dtype, device and values of every kept sample."""
    for sample in samples_of(subject, record, dtype, keep):
        arrays = arrays_of(record, sample, dtype)
        run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])


# ---- non-finite ------------------------------------------------------------------------------------------------


def nonfinite(subject: Subject, record: Record, dtype: str) -> None:
    """NaN and infinities go where the reference says."""
    cases = product_cases(record, dtype) if record.nonfinite == "product" else planted_cases(record, dtype)
    for sample, arrays in cases:
        run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])


def ordinary(sample: Sample) -> bool:
    return not (sample.big or sample.is_empty or sample.is_zero_dim)


def product_cases(record: Record, dtype: str) -> Iterator[tuple[Sample, list[Any]]]:
    """Every combination of special values over the operands under test, for each different set of arguments."""
    seen = set()
    for sample in filter(ordinary, record.samples):
        key = (len(list(sample.operands())), repr(sorted(sample.kwargs.items(), key=lambda kv: kv[0])))
        if key in seen:
            continue
        seen.add(key)
        free = [o.dtype is None for o in sample.operands()]
        special = SPECIAL if sum(free) < 3 else FEW_SPECIAL
        columns = np.array(list(itertools.product(special, repeat=sum(free)))).T
        each = iter(columns)
        yield sample, [
            next(each).astype(numpy_dtype(dtype)) if f else np.resize([True, False], columns.shape[1])
            for f in free
        ]


def planted_cases(record: Record, dtype: str) -> Iterator[tuple[Sample, list[Any]]]:
    """The ordinary samples with one special value in the first float operand."""
    for sample in filter(ordinary, record.samples):
        for special in (np.nan, np.inf, -np.inf):
            arrays = arrays_of(record, sample, dtype)
            target = next((a for a, o in zip(arrays, sample.operands(), strict=True) if o.dtype is None), None)
            if target is not None:
                target.flat[target.size // 2] = special
                yield sample, arrays


# ---- layouts ---------------------------------------------------------------------------------------------------


def transposed(subject: Subject, array: Any) -> Any:
    """The values of ``array`` with the last two axes swapped in memory."""
    if array.ndim < 2:
        return stepped(subject, array)
    return subject.tensor(np.swapaxes(array, -1, -2)).transpose(-1, -2)


def stepped(subject: Subject, array: Any) -> Any:
    """Every second element along the last axis of a larger tensor, from an offset."""
    if array.ndim == 0:
        return subject.tensor(np.stack([np.ones_like(array), array]))[1]
    size = array.shape[-1]
    larger = np.ones((*array.shape[:-1], 2 * size + 1), array.dtype)
    larger[..., 1::2] = array
    return subject.tensor(larger)[..., 1::2]


def expanded(subject: Subject, array: Any) -> Any:
    """The first slice of ``array`` along axis 0, repeated with stride 0."""
    if array.ndim == 0 or array.shape[0] == 0:
        return subject.tensor(array)
    return subject.tensor(array[:1]).expand(array.shape)


STRIDED = {"transposed": transposed, "stepped": stepped, "expanded": expanded}


def strided(subject: Subject, record: Record, dtype: str, how: str) -> None:
    """The same answer for operands that lie differently in memory."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and not s.is_empty):
        arrays = arrays_of(record, sample, dtype)
        keep = [o.values is not None and how == "expanded" for o in sample.operands()]
        tensors = [
            subject.tensor(a) if k else STRIDED[how](subject, a) for a, k in zip(arrays, keep, strict=True)
        ]
        values = [subject.read(x).astype(a.dtype) for x, a in zip(tensors, arrays, strict=True)]
        run(subject, record, sample, dtype, values, tensors)


def overlapping(subject: Subject, record: Record, dtype: str) -> None:
    """The right answer for operands whose elements share memory: windows of one buffer, each moved by one."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and not s.is_empty):
        arrays = arrays_of(record, sample, dtype)
        tensors = []
        for array, operand in zip(arrays, sample.operands(), strict=True):
            free = operand.dtype is None and operand.values is None and array.ndim > 0
            tensors.append(windows(subject, array) if free else subject.tensor(array))
        values = [subject.read(x).astype(a.dtype) for x, a in zip(tensors, arrays, strict=True)]
        run(subject, record, sample, dtype, values, tensors)


def windows(subject: Subject, array: Any) -> Any:
    """A tensor of the shape of ``array`` with stride 1 along every axis."""
    span = 1 + sum(n - 1 for n in array.shape)
    buffer = np.resize(array.reshape(-1), span)
    return subject.tensor(buffer).as_strided(array.shape, (1,) * array.ndim)


# ---- other forms of the same op --------------------------------------------------------------------------------


def method(subject: Subject, record: Record, dtype: str) -> None:
    """The method gives the same bits as the function."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and starts_with_operand(s)):
        tensors = [subject.tensor(a) for a in arrays_of(record, sample, dtype)]
        expected = subject.call(record, sample, tensors, dtype)
        by_method = Record(record.name, lambda t, x, *a, **k: getattr(x, record.method)(*a, **k), None, ())
        for got, wanted in zip(subject.call(by_method, sample, tensors, dtype), expected, strict=True):
            np.testing.assert_array_equal(subject.read(got), subject.read(wanted), err_msg=describe(sample))


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
        first = stepped(subject, arrays[0])
        tensors = [first, *(subject.tensor(a) for a in arrays[1:])]
        by_method = Record(record.name, lambda t, x, *a, **k: getattr(x, record.inplace)(*a, **k), None, ())
        (got,) = subject.call(by_method, sample, tensors, dtype)
        assert got is first, f"{record.inplace} returned another tensor"
        what, (scale, *_) = f"{record.inplace}{describe(sample)} {dtype}", scales(record, sample, arrays, 1)
        check_values(record, subject.read(first), expected, dtype, what, scale)
        base = subject.read(first._base) if first._base is not None else None
        if base is not None and first.ndim:
            np.testing.assert_array_equal(base[..., ::2], np.ones_like(base[..., ::2]))


def inplace_overlap(subject: Subject, record: Record, dtype: str) -> None:
    """An in-place op whose other operand overlaps the destination equals the op on copies made first."""
    for sample, arrays, _ in inplace_samples(subject, record, dtype):
        operands = list(sample.operands())
        fits = [a.shape == arrays[0].shape and o.dtype is None for a, o in zip(arrays, operands, strict=True)]
        if sum(fits) < 2 or arrays[0].ndim == 0 or arrays[0].size == 0:
            continue
        buffer = np.concatenate([arrays[0][:1], arrays[1]]) if fits[1] else arrays[0]
        base = subject.tensor(buffer)
        target, source = base[:-1], base[1:]
        moved = [buffer[:-1], *(buffer[1:] if f else a for f, a in zip(fits[1:], arrays[1:], strict=True))]
        tensors = [target, *(source if f else subject.tensor(a) for f, a in zip(fits[1:], arrays[1:], strict=True))]
        by_method = Record(record.name, lambda t, x, *a, **k: getattr(x, record.inplace)(*a, **k), None, ())
        subject.call(by_method, sample, tensors, dtype)
        (expected, *_), (scale, *_) = evaluate(record, sample, moved), scales(record, sample, moved, 1)
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


def float_results(record: Record, count: int, dtype: str) -> list[int]:
    """The positions of results that carry a gradient."""
    return [k for k, rule in enumerate(rules(record, count)) if is_float(result_dtype(rule, dtype))]
