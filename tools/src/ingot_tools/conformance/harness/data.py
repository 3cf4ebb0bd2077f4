"""The arrays of a sample: the same values on every device and in every run.

Follows a record: `arrays_of` makes one NumPy array per operand, already rounded to the dtype under
test; `fill` puts arrays or tensors where the operands stand in the arguments.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ml_dtypes
import numpy as np

from ..records.record import Domain, Operand, Placeholder, Record, Sample

NUMPY = {"bfloat16": np.dtype(ml_dtypes.bfloat16)}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of that name (``bfloat16`` from ml_dtypes)."""
    return NUMPY.get(name) or np.dtype(name)


def is_float(name: str) -> bool:
    return "float" in name


def wide(array: Any) -> Any:
    """``array`` in the type in which references compute: float64, int64 (uint64 as it wraps) or
    bool."""
    array = np.asarray(array)
    if array.dtype == np.bool_:
        return array
    return array.astype(np.int64 if array.dtype.kind in "ui" else np.float64)


def arrays_of(record: Record, sample: Sample, dtype: str) -> list[Any]:
    """One array per operand, in its own dtype."""
    made = []
    for position, operand in enumerate(sample.operands()):
        seed = zlib.crc32(f"{record.name}/{position}/{operand.shape}".encode())
        target = operand.dtype or dtype
        if operand.values is not None:
            array = np.asarray(operand.values).reshape(operand.shape)
        else:
            array = draw(record.domain_of(operand, position), operand.shape, target, seed)
        made.append(array.astype(numpy_dtype(target)))
    return made


def draw(domain: Domain, shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    """Values of ``domain``: distinct and away from its ``avoid`` points for floats, else drawn at
    random."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    if dtype == "bool":
        return rng.integers(0, 2, shape)
    if not is_float(dtype):
        low = max(domain.ints[0], 0) if dtype.startswith("u") else domain.ints[0]
        return rng.integers(low, domain.ints[1], shape)
    where = (rng.permutation(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1)
    values = domain.low + where * (domain.high - domain.low)
    if domain.step:
        values = np.round(values / domain.step) * domain.step + domain.offset
    for point in domain.avoid:
        near = np.abs(values - point) < 0.05
        values[near] = point + np.where(values[near] < point, -0.05, 0.05)
    return values.reshape(shape)


def fill(item: Any, values: Iterator[Any], placeholders: Callable[[Placeholder], Any]) -> Any:
    """``item`` (arguments of a sample) with each operand replaced by the next of ``values``."""
    if isinstance(item, Operand):
        return next(values)
    if isinstance(item, Placeholder):
        return placeholders(item)
    if isinstance(item, tuple):
        return tuple(fill(x, values, placeholders) for x in item)
    if isinstance(item, list):
        return [fill(x, values, placeholders) for x in item]
    return item


def arguments(
    sample: Sample, values: Iterable[Any], placeholders: Callable[[Placeholder], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword arguments of ``sample`` with ``values`` for operands."""
    each = iter(values)
    args = fill(sample.args, each, placeholders)
    return args, {k: fill(v, each, placeholders) for k, v in sample.kwargs.items()}


def scales(record: Record, sample: Sample, arrays: list[Any], count: int) -> list[Any]:
    """Per result, the size at which an error in ulp counts at the least (`Record.scale`)."""
    if record.scale == "terms":
        return evaluate(record, sample, [np.abs(a) for a in arrays])
    return [record.scale] * count


def evaluate(record: Record, sample: Sample, arrays: Iterable[Any]) -> list[Any]:
    """The reference's results, wide. ``device`` and ``dtype`` keywords are the library's and left
    out."""
    assert record.reference is not None
    promote = np.float64 if record.result == "float" else None
    values = [wide(a) if promote is None else wide(a).astype(promote) for a in arrays]
    args, kwargs = arguments(sample, values, lambda p: p)
    kwargs = {k: v for k, v in kwargs.items() if not isinstance(v, Placeholder)}
    with np.errstate(all="ignore"):
        results = record.reference(*args, **kwargs)
    return [np.asarray(r) for r in results] if isinstance(results, (tuple, list)) else [np.asarray(results)]
