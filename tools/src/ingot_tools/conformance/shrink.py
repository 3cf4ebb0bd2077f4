"""One call of a case by itself: whether it fails, and the smallest one that fails in the same way.

Sizes that are equal are made smaller together, as a product's inner ones have to be; a sample that the reference refuses
is no call. Of a pointwise op the element that is wrong is tried alone first.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .harness.checks import run
from .harness.compare import observing, result_dtype, rules
from .harness.data import arrays_of, evaluate, is_float, numpy_dtype
from .harness.edges import reshaped
from .harness.layouts import lay
from .harness.subject import Subject
from .records.record import Record, Sample


@dataclass(frozen=True)
class Call:
    """A sample with its ``arrays``, whose tensors lie as the check ``how`` lays them (`layouts.STRIDED`; empty: dense)."""

    subject: Subject
    record: Record
    sample: Sample
    dtype: str
    arrays: list[Any]
    how: str = ""

    def operands(self) -> tuple[list[Any], list[Any]]:
        """Tensors, and the values that they have."""
        return lay(self.subject, self.sample, self.arrays, self.how)

    def fault(self) -> BaseException | None:
        """What running it raises."""
        self.subject.afresh()
        try:
            tensors, values = self.operands()
            with observing():
                run(self.subject, self.record, self.sample, self.dtype, values, tensors)
        except Exception as error:
            return error.with_traceback(None)
        return None

    def of(self, sample: Sample) -> Call | None:
        """The same of another sample, with values that are drawn anew; None where that means nothing."""
        try:
            made = replace(self, sample=sample, arrays=arrays_of(self.record, sample, self.dtype))
            return made if made.is_sound else None
        except Exception:  # values of an index that is given do not fit, or the like
            return None

    @property
    def is_sound(self) -> bool:
        """The reference takes it."""
        try:
            return self.record.reference is not None and bool(evaluate(self.record, self.sample, self.arrays))
        except Exception:
            return False

    def expected(self, values: list[Any]) -> list[Any]:
        """What the reference makes of operands with these values; integers as the result's dtype has them."""
        found = evaluate(self.record, self.sample, values)
        kinds = [result_dtype(rule, self.dtype) for rule in rules(self.record, len(found))]
        return [w if is_float(kind) else w.astype(numpy_dtype(kind)) for w, kind in zip(found, kinds, strict=True)]

    @property
    def wrong(self) -> tuple[int, tuple[int, ...]]:
        """The result that is furthest from what it should be, and where."""
        tensors, values = self.operands()
        results = self.subject.call(self.record, self.sample, tensors, self.dtype)
        worst, found = -1.0, (0, tuple[int, ...]())
        for k, (result, wanted) in enumerate(zip(results, self.expected(values), strict=True)):
            got, wanted = np.asarray(self.subject.read(result), np.float64), np.asarray(wanted, np.float64)
            with np.errstate(all="ignore"):
                off = np.where((got == wanted) | (np.isnan(got) & np.isnan(wanted)), 0.0, np.abs(got - wanted))
            off = np.where(np.isnan(off), np.inf, off)
            if off.size and float(off.max()) > worst:
                worst, found = float(off.max()), (k, tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape)))
        return found


def alike(one: BaseException | None, other: BaseException | None) -> bool:
    """Both are faults of a kind: numbers in messages count nothing, and of a failed check no word does."""
    if one is None or other is None or type(one) is not type(other):
        return False
    return isinstance(one, AssertionError) or re.sub(r"[\d.]+", "", str(one)) == re.sub(r"[\d.]+", "", str(other))


def shrunk(call: Call, fault: BaseException, seconds: float) -> Call:
    """The smallest call that was found, within so many seconds, to fail as ``call`` does."""
    end = time.monotonic() + seconds
    for single in _single(call):
        if alike(fault, single.fault()):
            return single
    for size in sorted({n for o in call.sample.operands() for n in o.shape}):
        step = size - 1
        while step and time.monotonic() < end:
            smaller = call.of(_with(call.sample, size, size - step))
            if smaller is not None and alike(fault, smaller.fault()):
                call, size = smaller, size - step
                step = size - 1
            else:
                step //= 2
    return call


def _with(sample: Sample, size: int, other: int) -> Sample:
    return reshaped(sample, lambda o: tuple(other if n == size else n for n in o.shape))


def _single(call: Call) -> Iterator[Call]:
    """A pointwise call on the element alone that is wrong."""
    shapes = {a.shape for a in call.arrays}
    if call.record.group in ("unary", "binary") and not call.how and len(shapes) == 1 and call.is_sound:
        try:
            _, at = call.wrong
            arrays = [a[at].reshape(1) for a in call.arrays]
        except Exception:  # it does not come so far, or its result is of another shape
            return
        yield replace(call, sample=reshaped(call.sample, lambda o: (1,)), arrays=arrays)
