"""The check of indices that are data: the first one beyond either end is refused, the same call with index 0 is not, and the
program goes on.

Which values are beyond is the record's to say (`Record.beyond`). A device that computes later may tell when the result is read.
"""

from __future__ import annotations

import numpy as np

from ..records.record import Record
from .checks import describe, run, samples_of
from .data import arrays_of
from .subject import Subject


def beyond(subject: Subject, record: Record, dtype: str) -> None:
    """Every call of ``record.beyond`` is an IndexError, with zeros as its indices it is none, and what comes after is right."""
    missed: list[str] = []
    kinds = (IndexError,) if subject.t.__name__ == "ingot" else (IndexError, RuntimeError)
    for sample in record.beyond:
        arrays = arrays_of(record, sample, dtype)
        try:
            for result in subject.call(record, sample, [subject.tensor(a) for a in arrays], dtype):
                subject.read(result)
        except kinds:
            first = [np.zeros_like(a) if o.values is not None else a for a, o in zip(arrays, sample.operands(), strict=True)]
            for result in subject.call(record, sample, [subject.tensor(a) for a in first], dtype):
                subject.read(result)
            continue
        missed.append(f"{describe(sample)}: {arrays}")
    for sample in samples_of(subject, record, dtype, lambda s: not s.is_empty):
        arrays = arrays_of(record, sample, dtype)
        run(subject, record, sample, dtype, arrays, [subject.tensor(a) for a in arrays])
        break
    assert not missed, f"{record.name} {dtype}: an index beyond the end was not refused: {'; '.join(missed)}"
