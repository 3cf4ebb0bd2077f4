"""Layouts: how a tensor's elements lie in a block, as interned records.

A `Layout` is (shape, strides, dtype, device), without the element offset: plans are looked up by layouts, and an
offset is an argument of a launch. Interned, so that a key hashes by identity; a miss is correct, only slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .dtypes import DType

_MAX_INTERNED = 65536


class Layout:
    """Shape, strides (both in elements), dtype and device of a tensor. Make them with `Layout.of`.

    Attributes: ``size`` (number of elements), ``span`` (elements between the lowest and one past the highest
    offset reached), ``is_dense`` (row-major without gaps).
    """

    __slots__ = ("device", "dtype", "is_dense", "shape", "size", "span", "strides")
    _interned: ClassVar[dict[tuple[Any, ...], Layout]] = {}

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType
    device: Any
    size: int
    span: int
    is_dense: bool

    @staticmethod
    def of(shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType, device: Any) -> Layout:
        """The one Layout with these fields. ``strides`` are not negative."""
        key = (shape, strides, dtype, device)
        found = Layout._interned.get(key)
        if found is not None:
            return found
        if len(Layout._interned) >= _MAX_INTERNED:
            Layout._interned.clear()
        made = object.__new__(Layout)
        made.shape, made.strides, made.dtype, made.device = key
        size = 1
        span = 1
        for n, s in zip(shape, strides, strict=True):
            size *= n
            span += (n - 1) * s
        made.size = size
        made.span = span if size else 0
        made.is_dense = is_dense(shape, strides)
        return Layout._interned.setdefault(key, made)

    @staticmethod
    def forget(device: Any) -> None:
        """Drop the layouts of a device that was closed, and of those that stand on it: they would keep it alive."""
        for key in [k for k in list(Layout._interned) if bottom(k[-1]) is device]:
            Layout._interned.pop(key, None)

    @staticmethod
    def dense(shape: Sequence[int], dtype: DType, device: Any) -> Layout:
        """Row-major without gaps."""
        shape = tuple(shape)
        key = (shape, None, dtype, device)  # under this name, too, it is found without its strides
        found = Layout._interned.get(key)
        if found is None:
            found = Layout._interned[key] = Layout.of(shape, dense_strides(shape), dtype, device)
        return found

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        dims = "×".join(map(str, self.shape)) or "scalar"
        how = "" if self.is_dense else f" strides {self.strides}"
        return f"{self.dtype.name}[{dims}]{how}"


def bottom(device: Any) -> Any:
    """The device that ``device`` stands on in the end (`Device.beneath`): itself, as a rule."""
    while getattr(device, "beneath", None) is not None:
        device = device.beneath
    return device


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides of ``shape``, in elements."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """True when the elements lie row-major without gaps (strides of axes of size 0 or 1 do not count)."""
    expected = 1
    for n, s in zip(reversed(shape), reversed(strides), strict=True):
        if n == 0:
            return True
        if n != 1:
            if s != expected:
                return False
            expected *= n
    return True


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all of ``shapes`` broadcast to; ValueError shows the shapes that do not."""
    rank = max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for k, n in enumerate(shape, rank - len(shape)):
            if n != 1 and n != result[k]:
                if result[k] != 1:
                    given = " and ".join(str(list(s)) for s in shapes)
                    raise ValueError(f"shapes {given} do not broadcast: axis {k - rank} has both "
                                     f"{result[k]} and {n} (sizes must be equal, or one of them 1)")
                result[k] = n
    return tuple(result)
