"""What rows of several groups share: axes and shapes of a reduction, a conversion, and moves that gradient rules make.

Functions of a builder ``b`` are pieces of gradient rules; the others are used by result rules and definitions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.expr import Expr, const
from .op import Spec

Shape = tuple[int, ...]
Axes = tuple[int, ...] | None


def convert(x: Expr, dtype: DType) -> Expr:
    """``x`` in ``dtype``; anything but 0 is true."""
    if dtype is dt.bool_ and x.dtype is not dt.bool_:
        return x.ne(0)
    return x.cast(dtype)


def both(*conditions: Expr) -> Expr:
    """All of ``conditions`` (bool expressions); those that are known drop out."""
    made = const(True, dt.bool_)
    for c in conditions:
        if made.op != "const":
            made = made if c.op == "const" and c.value else made & c
        elif made.value:
            made = c
    return made


def replaced(items: Sequence[Any], axis: int, item: Any) -> tuple[Any, ...]:
    """``items`` with the one at ``axis`` exchanged."""
    changed = list(items)
    changed[axis] = item
    return tuple(changed)


def places(ndim: int, axes: Axes) -> tuple[int, ...]:
    """``axes`` (negative, or None for all) counted from the left; IndexError for one that is not there."""
    if axes is None:
        return tuple(range(ndim))
    for a in axes:
        if not -ndim <= a < 0:
            raise IndexError(f"axis {a} is not among the {ndim} axes of the operand (they are counted from the right)")
    return tuple(sorted(a % ndim for a in axes))


def kept_shape(shape: Shape, axes: Axes) -> Shape:
    """``shape`` with the reduced axes at size 1."""
    gone = places(len(shape), axes)
    return tuple(1 if k in gone else n for k, n in enumerate(shape))


def reduced_shape(shape: Shape, axes: Axes, keepdim: bool) -> Shape:
    """The shape that a reduction over ``axes`` leaves."""
    if keepdim:
        return kept_shape(shape, axes)
    gone = places(len(shape), axes)
    return tuple(n for k, n in enumerate(shape) if k not in gone)


def count(shape: Shape, axes: Axes) -> int:
    """How many elements a reduction over ``axes`` folds into one."""
    return math.prod(shape[k] for k in places(len(shape), axes))


def one_axis(spec: Spec, axis: int) -> Axes:
    """``axis`` as the axes of a reduction or scan; a zero-dim operand has none."""
    return (axis,) if spec.ndim else ()


# ---- pieces of gradient rules ------------------------------------------------------------------------------------
def keep(b: Any, value: Any, shape: Shape, axes: Axes) -> Any:
    """A reduction's result (or its gradient) with the reduced axes of ``shape`` back at size 1."""
    return b.view(value, shape=kept_shape(shape, axes))


def spread(b: Any, value: Any, shape: Shape, axes: Axes) -> Any:
    """A reduction's result (or its gradient) broadcast to the operand's ``shape``."""
    if not value.ndim:
        return b.expand(value, shape=shape)
    return b.expand(keep(b, value, shape, axes), shape=shape)


def typed(b: Any, x: Any, like: Any) -> Any:
    """``x`` in the dtype of ``like``."""
    return x if x.dtype is like.dtype else b.cast(x, dtype=like.dtype)


def swap(b: Any, x: Any, axis1: int = -1, axis2: int = -2) -> Any:
    """``x`` with two axes exchanged: the transpose of matrices, by default."""
    if axis1 == axis2:
        return x
    dims = list(range(min(axis1, axis2), 0))
    dims[axis1], dims[axis2] = dims[axis2], dims[axis1]
    return b.permute(x, dims=tuple(dims))


def to_rows(b: Any, x: Any, axes: Axes) -> Any:
    """``x`` with ``axes`` moved to the end and flattened into one."""
    order = _rows_first(x.ndim, axes)
    kept = reduced_shape(x.shape, axes, keepdim=False)
    return b.view(b.permute(x, dims=order), shape=(*kept, count(x.shape, axes)))


def from_rows(b: Any, rows: Any, shape: Shape, axes: Axes) -> Any:
    """The inverse of `to_rows`, back to ``shape``."""
    order = _rows_first(len(shape), axes)
    return b.permute(b.view(rows, shape=tuple(shape[d] for d in order)), dims=inverse(order))


def _rows_first(ndim: int, axes: Axes) -> tuple[int, ...]:
    gone = places(ndim, axes)
    return tuple(k - ndim for k in (*(k for k in range(ndim) if k not in gone), *gone))


def inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``dims``."""
    undo = [0] * len(dims)
    for k, d in enumerate(dims):
        undo[d] = k - len(dims)
    return tuple(undo)
