"""From indices to a batch: the part of a DataLoader that runs in the main process or in a worker
alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

import ingot
from ingot.tensor import Tensor
from ingot.utils.data.collate import default_collate
from ingot.utils.data.dataset import IterableDataset, Subset, TensorDataset

Fetch = Callable[[Any], Any]


def make_fetch(
    dataset: Any, collate: Callable[[Any], Any], batched: bool, drop_last: bool
) -> Fetch:
    """The function that turns what the sampler gave (a list of indices, or one index) into a batch.

    For an IterableDataset only the number of indices counts, and StopIteration tells the end.
    """
    if isinstance(dataset, IterableDataset):
        return _stream(iter(dataset), collate, batched, drop_last)
    if not batched:
        return lambda index: collate(dataset[index])
    whole = getattr(dataset, "__getitems__", None)

    def one_by_one(indices: list[int]) -> Any:
        return collate(whole(indices) if whole else [dataset[i] for i in indices])

    if collate is default_collate and (table := _as_table(dataset)) is not None:
        return _rows(*table, one_by_one)
    return one_by_one


def _stream(
    samples: Iterator[Any], collate: Callable[[Any], Any], batched: bool, drop_last: bool
) -> Fetch:
    def take(indices: Any) -> Any:
        if not batched:
            return collate(next(samples))
        batch = list(islice(samples, len(indices)))
        if not batch or (drop_last and len(batch) < len(indices)):
            raise StopIteration
        return collate(batch)

    return take


def _as_table(dataset: Any) -> tuple[tuple[Tensor, ...], list[Any]] | None:
    """(tensors, maps of indices to apply in turn) when ``dataset`` is rows of tensors; None
    otherwise.
    """
    maps = []
    while type(dataset) is Subset:
        maps.append(dataset.indices)
        dataset = dataset.dataset
    return (dataset.tensors, maps) if type(dataset) is TensorDataset else None


def _places(indices: list[int], size: int) -> np.ndarray[Any, Any]:
    """``indices`` counted from the start; IndexError for one that is out of range."""
    rows = np.array(indices, np.int64)
    if rows.min() < 0:
        rows[rows < 0] += size
    if rows.min() < 0 or rows.max() >= size:
        wrong = next(i for i in indices if not -size <= i < size)
        raise IndexError(f"index {wrong} is out of range for a dataset of {size} samples")
    return rows


def _rows(tensors: tuple[Tensor, ...], maps: list[Any], slow: Fetch) -> Fetch:
    """The fast path: a whole batch by one indexing of each tensor, equal to collating its rows."""

    def take(indices: Any) -> Any:
        if not indices or type(indices[0]) is not int:
            return slow(indices)
        for chosen in maps:
            indices = [chosen[i] for i in indices]
        rows = ingot.tensor(_places(indices, len(tensors[0])))
        return [tensor.index_select(0, rows.to(tensor.device)) for tensor in tensors]

    return take
