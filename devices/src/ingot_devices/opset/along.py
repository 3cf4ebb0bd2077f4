"""Elements taken from, and put back along, one axis: how the gradient of a value goes to where it was found.

Beside the index group's gather and scatter these know that an operand's shape gives all sizes, so that the gradient of a
maximum (one position in each line) is a choice and no scatter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import const, where
from .op import Op, Spec, add_op
from .shared import replaced

REFUSED = "index out of range along an axis"


def along(
    name: str, operands: str, define: Any, size: Callable[..., int], attributes: dict[str, Any], doc: str, **gradient: Callable[..., Any]
) -> Op:
    """Add a row; ``size`` finds the result's size along ``axis`` from the specs and attributes."""

    def result(x: Spec, indices: Spec, axis: int, **attrs: Any) -> tuple[Spec, ...]:
        if x.ndim != indices.ndim or not indices.dtype.is_integral:
            raise ValueError(f"{name} takes integer indices with as many axes as the operand; given: "
                             f"{indices.dtype.name}{list(indices.shape)} for shape {list(x.shape)}")
        return (Spec.of(replaced(indices.shape, axis, size(x, indices, axis, **attrs)), x.dtype),)

    return add_op(Op(name, "index", tuple(operands.split()), result, {"axis": -1, **attributes}, define=define, gradient=gradient, doc=doc))


def _take(d: Define, x: Operand, indices: Operand, axis: int) -> None:
    at = d.axes(indices.shape)
    place = d.gathered(indices[at], x.shape[axis], REFUSED, over=at)
    d.store(0, at, x[replaced(at, axis, place)])


def _put(d: Define, y: Operand, indices: Operand, axis: int, size: int) -> Any:
    at = d.axes(replaced(y.shape, axis, size))
    if y.shape[axis] != 1:
        d.store(0, at, const(0, y.dtype))
        return _add
    line = replaced(at, axis, 0)
    d.store(0, at, where(indices[line].cast(dt.index).eq(at[axis]), y[line], 0))
    return None


def _add(d: Define, y: Operand, indices: Operand, axis: int, size: int) -> None:
    at = d.axes(y.shape)
    place = d.gathered(indices[at], size, REFUSED, over=at)
    d.store(0, replaced(at, axis, place), y[at], over=at, combine="add")


along("take_along", "x indices", _take, lambda x, indices, axis: indices.shape[axis], {}, "x[…, indices[…, j], …] along an axis.",
      x=lambda b, g, indices, x_spec, axis: b.put_along(g, indices, axis=axis, size=x_spec.shape[axis]))
along("put_along", "y indices", _put, lambda y, indices, axis, size: size, {"size": 1},
      "Zeros of `size` along an axis, with every y[…, j] added at indices[…, j].",
      y=lambda b, g, indices, axis: b.take_along(g, indices, axis=axis))
