"""Comparing what a device gave with a reference, in units of the last place of the result's
dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ml_dtypes
import numpy as np

from ..records.record import Record
from .data import is_float, numpy_dtype
from .subject import Subject

FINFO = {"bfloat16": ml_dtypes.finfo("bfloat16")}


def spacing(magnitude: Any, dtype: str) -> Any:
    """One unit in the last place of ``dtype`` at ``magnitude`` (float64, not below the smallest
    normal number)."""
    info = FINFO.get(dtype) or np.finfo(dtype)
    exponent = np.floor(np.log2(np.maximum(np.abs(magnitude), float(info.smallest_normal))))
    return np.exp2(exponent) * float(info.eps)


def result_dtype(rule: Any, dtype: str) -> str:
    """The dtype that ``rule`` (`Record.result`) gives for operands of ``dtype``."""
    if callable(rule):
        return str(rule(dtype))
    if rule == "same":
        return dtype
    if rule == "float":
        return dtype if is_float(dtype) else "float32"
    if rule == "sum":
        return dtype if is_float(dtype) else "int64"
    return str(rule)


def rules(record: Record, count: int) -> tuple[Any, ...]:
    """One rule per result."""
    return record.result[:count] if isinstance(record.result, tuple) else (record.result,) * count


def verified(verify: Callable[..., None], results: list[Any], arrays: list[Any], kwargs: Mapping[str, Any]) -> None:
    """What ``verify`` says of results. (Like `close`, in one place: a run that only collects kernels believes everything.)"""
    verify(*results, *arrays, **kwargs)


def check_result(
    subject: Subject,
    record: Record,
    got: Any,
    expected: Any,
    dtype: str,
    what: str,
    scale: Any = 0.0,
) -> None:
    """Shape, dtype, device and values of one result."""
    assert isinstance(got, subject.t.Tensor), f"{what}: {type(got)} is no Tensor"
    assert tuple(got.shape) == expected.shape, f"{what}: shape {tuple(got.shape)}, not {expected.shape}"
    assert subject.name(got) == dtype, f"{what}: dtype {subject.name(got)}, not {dtype}"
    assert str(got.device).split(":")[0] == subject.device.split(":")[0], f"{what}: on {got.device}"
    values = subject.read(got)
    check_values(record, values, expected, dtype, what, scale)
    if got.ndim > 1 and got.is_contiguous():
        flat = subject.read(got.view(-1))
        np.testing.assert_array_equal(flat, values.reshape(-1), err_msg=f"{what} lies otherwise")


def check_values(record: Record, got: Any, expected: Any, dtype: str, what: str, scale: Any = 0.0) -> None:
    """Values only; ``got`` as read back, ``expected`` wide."""
    if not is_float(dtype):
        with np.errstate(invalid="ignore"):
            wanted = expected.astype(numpy_dtype(dtype))
        np.testing.assert_array_equal(got, wanted, err_msg=what)
        return
    ulp = record.half_ulp if dtype in ("float16", "bfloat16") and record.ulp else record.ulp
    close(got, expected, dtype, ulp, scale, what)


class Worst:
    """The largest error met, in units in the last place, while somebody asks (`observing`)."""

    units: float | None = None


@contextmanager
def observing() -> Iterator[Worst]:
    """Collect the largest error of the comparisons inside the block."""
    before, found = _observers.copy(), Worst()
    _observers[:] = [found]
    try:
        yield found
    finally:
        _observers[:] = before


_observers: list[Worst] = []


def _observe(units: Any) -> None:
    """``units`` is an array of errors."""
    finite = units[np.isfinite(units)]
    for observer in _observers:
        observer.units = max(observer.units or 0.0, float(finite.max(initial=0.0)))


def close(got: Any, expected: Any, dtype: str, ulp: float, scale: Any, what: str) -> None:
    """|got - expected| within ``ulp`` units at max(|expected|, ``scale``); NaN and infinities
    equal."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    with np.errstate(all="ignore"):
        rounded = expected.astype(numpy_dtype(dtype)).astype(np.float64)
        allowed = ulp * spacing(np.maximum(np.abs(expected), scale), dtype)
        ok = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | (np.abs(got - expected) <= allowed)
        ok &= np.isnan(got) == np.isnan(rounded)
        if ok.all() and not _observers:
            return
        units = np.where(got == rounded, 0.0, np.abs(got - expected) * ulp / allowed if ulp else np.abs(got - expected))
    if _observers:
        _observe(units)
    if ok.all():
        return
    at = tuple(int(i) for i in np.argwhere(~ok)[0])
    raise AssertionError(
        f"{what}: {np.count_nonzero(~ok)} of {ok.size} differ; at {at} got {got[at]!s}, "
        f"expected {expected[at]!s}, "
        f"{units[at]:.3g} ulp apart where {ulp:g} are allowed"
    )
