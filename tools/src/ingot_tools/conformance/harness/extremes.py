"""The check of range: arithmetic on the largest and smallest values of a dtype, on floats of very different size, and on zeros,
the last of which lies behind the last whole vector.

The records' samples are small numbers, on which a value that was cut to fewer bits on its way looks right; and none is zero
where an op has a kink there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..records.record import Record, S, Sample, V
from .checks import run
from .data import is_float, numpy_dtype
from .subject import Subject

UNARY = ("neg", "abs", "sign", "bitwise_not", "clone", "contiguous")
BINARY = (
    "add", "sub", "mul", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "bitwise_and", "bitwise_or", "bitwise_xor",
)  # fmt: skip
CONVERTED = ("int", "long")
FITS = ("float32", "float64", "int32", "int16", "int8", "uint16", "uint8")  # what a reference in float64 converts exactly
COUNT = 37
EXPONENT = 60
"""Of the largest float: products stay in float32's range, and results above the subnormal numbers, which a device may flush."""
HALF_EXPONENT = 5


def ranges(record: Record) -> Sequence[str]:
    """The dtypes in which the record's op is exact over the whole range. (References hold uint64 as it wraps.)"""
    if record.name in CONVERTED:
        return [d for d in record.dtypes if d in FITS]
    named = record.name in (*UNARY, *BINARY)
    return [d for d in record.dtypes if d not in ("bool", "uint64")] if named else ()


def extremes(subject: Subject, record: Record, dtype: str) -> None:
    """Values over the whole range of ``dtype``, its ends among them."""
    sample, arrays = call_of(record, dtype)
    run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])


def call_of(record: Record, dtype: str) -> tuple[Sample, list[Any]]:
    """The one call of the check."""
    count = 2 if record.name in BINARY else 1
    rng = np.random.default_rng(len(record.name))
    arrays = [drawn(rng, dtype, k) for k in range(count)]
    if record.name in CONVERTED and is_float(dtype):
        arrays = [rng.uniform(-(2.0**30), 2.0**30, COUNT).astype(numpy_dtype(dtype))]
    return S(*(V(COUNT) for _ in range(count))), arrays


def drawn(rng: np.random.Generator, dtype: str, k: int) -> Any:
    """Values of one operand, the k-th."""
    if is_float(dtype):
        top = HALF_EXPONENT if dtype == "float16" else EXPONENT
        made = np.ldexp(rng.uniform(1, 2, COUNT), rng.integers(-top, top, COUNT)) * rng.choice((-1, 1), COUNT)
        made[-2:] = -0.0 if k else 0.0, 0.0
        return made.astype(numpy_dtype(dtype))
    info = np.iinfo(dtype)
    made = rng.integers(info.min, info.max, COUNT, dtype=dtype, endpoint=True)
    ends = (info.min, info.max, info.min // 2, info.max // 2 + 1)
    made[: len(ends)] = np.roll(ends, k).astype(dtype)
    made[-1] = 0
    return made
