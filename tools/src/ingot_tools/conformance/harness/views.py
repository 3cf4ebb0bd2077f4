"""The checks of views: they share memory with their base, and a write through one is recorded on
the base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..records.record import Record, Sample
from .checks import describe, samples_of
from .data import arrays_of, evaluate
from .derivatives import pattern
from .subject import Subject


def reached(record: Record, sample: Sample, shape: tuple[int, ...]) -> list[Any]:
    """Per result, the flat positions of the base that it shows."""
    positions = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    return evaluate(record, sample, [positions])


def usable(subject: Subject, record: Record, dtype: str) -> Iterator[tuple[Sample, Any, list[Any]]]:
    """Samples with their array and what each result shows of it."""
    for sample in samples_of(subject, record, dtype, lambda s: not (s.big or s.is_empty)):
        (array,) = arrays_of(record, sample, dtype)
        yield sample, array, reached(record, sample, array.shape)


def shares_memory(subject: Subject, record: Record, dtype: str) -> None:
    """Writing into a result writes into the operand, exactly where the result shows it."""
    for sample, array, shown in usable(subject, record, dtype):
        for k, positions in enumerate(shown):
            if len(set(positions.reshape(-1).tolist())) < positions.size:
                continue  # nothing may be written through a view that overlaps itself
            base = subject.tensor(array)
            subject.call(record, sample, [base], dtype)[k].fill_(9)
            expected = array.astype(np.float64)
            expected.reshape(-1)[positions.reshape(-1)] = 9
            np.testing.assert_array_equal(
                subject.read(base), expected, err_msg=f"{record.name}{describe(sample)} result {k}"
            )


def inplace_on_view(subject: Subject, record: Record, dtype: str) -> None:
    """d/dx ⟨w, x after its view was scaled by x⟩ is w·x inside the view (its values as constants),
    w outside."""
    for sample, array, shown in usable(subject, record, dtype):
        inside = np.zeros(array.size, bool)
        inside[shown[0].reshape(-1)] = True
        if len(shown) > 1 or len(set(shown[0].reshape(-1).tolist())) < shown[0].size:
            continue  # such views cannot be written through
        leaf = subject.tensor(array).requires_grad_()
        base = leaf * 1
        (view,) = subject.call(record, sample, [base], dtype)
        view.mul_(view.detach().clone()).mul_(1)
        weights = pattern(array.shape, 0.3)
        (got,) = subject.t.autograd.grad([base], [leaf], [subject.tensor(weights, dtype)])
        factor = np.where(inside.reshape(array.shape), array, 1.0)
        np.testing.assert_allclose(
            subject.read(got),
            weights * factor,
            rtol=0,
            atol=1e-5,
            err_msg=f"{record.name}{describe(sample)}",
        )
