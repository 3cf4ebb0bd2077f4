"""What rows that address by data share: positions that are checked, places along an axis, what is written there."""

from __future__ import annotations

from collections.abc import Sequence

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .op import Spec
from .shared import Shape, convert, replaced

OUT_OF_RANGE = "index out of range"


def position(d: Define, value: Expr, size: int, over: Sequence[Expr]) -> Expr:
    """``value`` as an index into ``size`` elements: checked, and 0 where it is out of range. Negative is out of range."""
    i = value.cast(dt.index)
    inside = (i >= 0) & (i < size)
    d.check(inside, OUT_OF_RANGE, over)
    return where(inside, i, const(0, dt.index))


def extent(shape: Shape, axis: int) -> int:
    """The size along ``axis``; a zero-dim operand counts as one element."""
    return shape[axis] if shape else 1


def along(at: Sequence[Expr], axis: int, i: Expr) -> tuple[Expr, ...]:
    """``at`` with ``i`` on ``axis``; nothing to replace in a zero-dim operand."""
    return replaced(at, axis, i) if at else ()


def value_at(source: Operand | Expr, at: Sequence[Expr], shape: Shape, dtype: dt.DType) -> Expr:
    """What is written: an element of ``source`` broadcast to ``shape``, or the number itself, in ``dtype``."""
    return convert(source.at(at, shape) if isinstance(source, Operand) else source, dtype)


def check_positions(*given: Spec) -> None:
    """TypeError for positions that are not int32 or int64."""
    for p in given:
        if p.dtype not in (dt.int32, dt.int64):
            raise TypeError(f"indices must be int64 or int32, {p.dtype.name} was given; convert them with .long()")


def check_reachable(size: int, positions: Spec) -> None:
    """IndexError for any position at all into an axis that has no element."""
    if size == 0 and positions.size:
        raise IndexError(f"index out of range: {positions.size} indices into an axis of size 0")
