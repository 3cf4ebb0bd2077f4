"""The checks of memory: operands that lie with steps, swapped, repeated or overlapping."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..records.record import Operand, Record, Sample
from .checks import run, samples_of
from .data import arrays_of
from .subject import Subject


def transposed(subject: Subject, array: Any, number: int) -> Any:
    """The values of ``array`` with the last two axes swapped in memory."""
    if array.ndim < 2:
        return stepped(subject, array, number)
    return subject.tensor(np.swapaxes(array, -1, -2)).transpose(-1, -2)


def stepped(subject: Subject, array: Any, number: int) -> Any:
    """Every second element along the last axis of a larger tensor, from an offset; every third of the next operand, …"""
    return stepped_in(subject, array, 2 + number)[1]


def stepped_in(subject: Subject, array: Any, step: int = 2) -> tuple[Any, Any]:
    """The larger tensor, whose other elements are ones, and its part with the values of ``array``."""
    if array.ndim == 0:
        base = subject.tensor(np.stack([np.ones_like(array), array]))
        return base, base[1]
    size = array.shape[-1]
    larger = np.ones((*array.shape[:-1], step * size + 1), array.dtype)
    larger[..., 1::step] = array
    base = subject.tensor(larger)
    return base, base[..., 1::step]


def padded(subject: Subject, array: Any, number: int) -> Any:
    """Rows that lie further apart than they are long, in each operand by another distance."""
    if array.ndim < 2:
        return subject.tensor(array)
    size = array.shape[-1]
    larger = np.ones((*array.shape[:-1], size + 1 + number), array.dtype)
    larger[..., :size] = array
    return subject.tensor(larger)[..., :size]


def expanded(subject: Subject, array: Any, number: int) -> Any:
    """The first slice of ``array`` along axis 0, repeated with stride 0."""
    if array.ndim == 0 or array.shape[0] == 0:
        return subject.tensor(array)
    return subject.tensor(array[:1]).expand(array.shape)


def shifted(subject: Subject, array: Any, number: int = 0) -> Any:
    """Dense, and one element behind where an allocation begins: no vector is aligned there."""
    larger = np.ones(array.size + 2, array.dtype)
    larger[1:-1] = array.reshape(-1)
    return subject.tensor(larger)[1:-1].view(array.shape)


FAR = 4099
"""Elements between neighbours of the innermost axis: a prime, beyond any cache line and any tile."""
FARTHEST = 1 << 20


def far_strides(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The strides of operands whose elements are far apart, and the elements that memory for them has."""
    strides: list[int] = []
    step = FAR
    for n in reversed(shape):
        strides.insert(0, step)
        step = step * max(n, 1) + 17
    return tuple(strides), 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))


def far(subject: Subject, array: Any, number: int) -> Any:
    """Each element thousands of elements from the next one: offsets that need more than 16 bits."""
    strides, span = far_strides(array.shape)
    if not array.size or span > FARTHEST:
        return shifted(subject, array)
    memory = np.ones(span, array.dtype)
    steps = [s * array.itemsize for s in strides]
    np.ndarray(array.shape, array.dtype, memory, 0, steps)[...] = array
    return subject.tensor(memory).as_strided(array.shape, strides)


STRIDED = {
    "transposed": transposed, "stepped": stepped, "padded": padded, "expanded": expanded, "shifted": shifted, "far": far,
}  # fmt: skip


def dense(subject: Subject, array: Any, number: int) -> Any:
    """As it comes."""
    return subject.tensor(array)


def way(operand: Operand, how: str) -> str:
    """How an operand lies in the check ``how``; empty: dense."""
    return "" if operand.values is not None and how == "expanded" else how


def lay(subject: Subject, sample: Sample, arrays: list[Any], how: str) -> tuple[list[Any], list[Any]]:
    """Tensors that lie so, and the values that they have: a layout may repeat some."""
    ways = [STRIDED.get(way(o, how), dense) for o in sample.operands()]
    tensors = [put(subject, a, k) for k, (put, a) in enumerate(zip(ways, arrays, strict=True))]
    return tensors, [subject.read(x).astype(a.dtype) for x, a in zip(tensors, arrays, strict=True)]


def strided(subject: Subject, record: Record, dtype: str, how: str) -> None:
    """The same answer for operands that lie differently in memory."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and not s.is_empty):
        arrays = arrays_of(record, sample, dtype)
        tensors, values = lay(subject, sample, arrays, how)
        run(subject, record, sample, dtype, values, tensors)


def overlapping(subject: Subject, record: Record, dtype: str) -> None:
    """The right answer for operands whose elements share memory: windows of one buffer, each moved
    by one."""
    for sample in samples_of(subject, record, dtype, lambda s: not s.big and not s.is_empty):
        arrays = arrays_of(record, sample, dtype)
        tensors = []
        for array, operand in zip(arrays, sample.operands(), strict=True):
            free = operand.dtype is None and operand.values is None and array.ndim > 0
            tensors.append(windows(subject, array) if free else subject.tensor(array))
        values = [subject.read(x).astype(a.dtype) for x, a in zip(tensors, arrays, strict=True)]
        run(subject, record, sample, dtype, values, tensors)


def windows(subject: Subject, array: Any) -> Any:
    """A tensor of the shape of ``array`` with stride 1 along every axis."""
    span = 1 + sum(n - 1 for n in array.shape)
    buffer = np.resize(array.reshape(-1), span)
    return subject.tensor(buffer).as_strided(array.shape, (1,) * array.ndim)
