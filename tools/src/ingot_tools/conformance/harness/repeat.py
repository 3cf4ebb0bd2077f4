"""The check of determinism: the same call on the same values gives the same bits, time after time."""

from __future__ import annotations

import numpy as np

from ..records.record import Record
from .checks import describe, samples_of
from .data import arrays_of
from .subject import Subject

TIMES = 3


def deterministic(record: Record) -> bool:
    """The call draws nothing (or leaves nothing undefined): it has one answer."""
    return record.reference is not None


def repeated(subject: Subject, record: Record, dtype: str) -> None:
    """`TIMES` runs, each with new operands and with other memory freed in between, agree bit for bit."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.is_empty):
        arrays = arrays_of(record, sample, dtype)
        first: list[bytes] = []
        for turn in range(TIMES):
            moved = [subject.tensor(np.zeros(7 + 5 * turn, np.float32))]  # so that the next block is another one
            results = subject.call(record, sample, [subject.tensor(a) for a in arrays], dtype)
            bits = [subject.read(r).tobytes() for r in results]
            assert not first or bits == first, f"{record.name}{describe(sample)} {dtype}: run {turn + 1} gave other bits"
            first = bits
            del moved
