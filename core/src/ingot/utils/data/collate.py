"""Collation: a list of samples becomes one batch, containers kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ingot
from ingot.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """One batch from samples of one form, as PyTorch's.

    Tensors, NumPy arrays and numbers become a tensor with a new first axis (a Python float:
    float64, an int: int64); strings stay a list; mappings, tuples and lists are collated item by
    item. TypeError for any other sample, RuntimeError for samples of unequal length.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return ingot.stack(list(batch))
    if isinstance(first, np.ndarray):
        return _from_arrays(batch)
    if isinstance(first, np.generic):
        return ingot.tensor(np.array(batch))
    if isinstance(first, float):
        return ingot.tensor(batch, dtype=ingot.float64)
    if isinstance(first, int):  # bool among them
        return ingot.tensor(batch)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        return _from_mappings(batch)
    if isinstance(first, Sequence):
        return _from_sequences(batch)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}. Give the DataLoader a collate_fn for it."
    )


def _from_arrays(batch: Sequence[Any]) -> Tensor:
    if batch[0].dtype.kind in "SUO":
        raise TypeError(
            f"default_collate: no tensor holds NumPy's {batch[0].dtype}; "
            "give the DataLoader a collate_fn"
        )
    return ingot.tensor(np.stack(batch))


def _from_mappings(batch: Sequence[Any]) -> Any:
    first = batch[0]
    collated = {key: default_collate([sample[key] for sample in batch]) for key in first}
    if type(first) is dict:
        return collated
    try:
        return type(first)(collated)
    except TypeError:  # a mapping that is not made from a mapping
        return collated


def _from_sequences(batch: Sequence[Any]) -> Any:
    first = batch[0]
    if any(len(sample) != len(first) for sample in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    collated = [default_collate(column) for column in zip(*batch, strict=True)]
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*collated)
    return collated


def default_convert(data: Any) -> Any:
    """NumPy arrays within ``data`` as tensors, all else as it is: what a loader without batches
    does.
    """
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        return data if array.dtype.kind in "SUO" else ingot.tensor(array)
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, (list, tuple)):
        return [default_convert(value) for value in data]
    return data
