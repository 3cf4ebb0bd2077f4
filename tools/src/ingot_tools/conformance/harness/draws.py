"""The check of draws: from a known seed come the numbers that the specification says."""

from __future__ import annotations

import numpy as np

from ..records.philox import philox
from ..records.record import Placeholder, Record, Sample
from .checks import describe, samples_of
from .data import arguments, arrays_of
from .subject import Subject

SEED = 0x9E3779B97F4A7C15  # both halves of the key have bits
STARTS = (0, 2**32 - 2)  # blocks of a stream before the first: none, or so many that the counter's low word runs over
NUMBERS = 16  # of each sample at least, from as many seeds as it takes: one number may be right by chance


def bits(subject: Subject, record: Record, dtype: str) -> None:
    """Every sample, drawn from streams of several seeds."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.is_empty):
        drawn = turn = 0
        while drawn < NUMBERS or turn < len(STARTS):
            count = _drawn_from(subject, record, sample, dtype, SEED + turn, STARTS[turn % len(STARTS)])
            if not count:
                break
            drawn, turn = drawn + count, turn + 1


def _drawn_from(subject: Subject, record: Record, sample: Sample, dtype: str, seed: int, start: int) -> int:
    """Draw ``sample`` from block ``start`` of a stream; how many numbers that were."""
    assert record.bits is not None
    arrays = arrays_of(record, sample, dtype)
    tensors = [subject.tensor(a) for a in arrays]
    state = [*seed.to_bytes(8, "little"), *start.to_bytes(8, "little")]
    subject.t.set_rng_state(subject.t.tensor(state, dtype=subject.t.uint8))
    got = subject.read(subject.call(record, sample, tensors, dtype)[0])
    args, kwargs = arguments(sample, arrays, lambda p: p)
    kwargs = {k: v for k, v in kwargs.items() if not isinstance(v, Placeholder)}
    wanted, slack = record.bits(lambda n: philox(seed, start, n), got.shape, dtype, *args, **kwargs)
    off = np.abs(got.astype(np.float64) - np.asarray(wanted, np.float64))
    worst = int(np.argmax(off - slack)) if off.size else 0
    np.testing.assert_array_equal(off > slack, False, err_msg=(
        f"{record.name}{describe(sample)} {dtype}, seed {seed:#x}, block {start}, element {worst}: "
        f"{got.reshape(-1)[worst : worst + 1]} was drawn, the stream says {np.ravel(wanted)[worst : worst + 1]}"
    ))  # fmt: skip
    return int(got.size)
