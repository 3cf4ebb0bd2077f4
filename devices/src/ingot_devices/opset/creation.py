"""The creation group: values out of numbers. No row has a tensor among its operands, so none has a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.definition import Define
from ..ir.expr import Expr, const, where
from .op import Op, Spec, add_op
from .shared import Shape, convert


def creation(
    name: str, operands: str, define: Callable[..., None], shape: Callable[..., Shape], attributes: Mapping[str, Any], doc: str
) -> Op:
    """Add a row; ``shape`` finds the result's shape from the attributes, its dtype is the attribute ``dtype``."""

    def result(*numbers: Spec | None, dtype: DType, **attrs: Any) -> tuple[Spec, ...]:
        return (Spec.of(shape(**attrs), dtype),)

    return add_op(Op(name, "creation", tuple(operands.split()), result, {**attributes, "dtype": dt.float32}, define=define, doc=doc))


def _full(d: Define, value: Expr, shape: Shape, dtype: DType) -> None:
    d.store(0, d.axes(shape), convert(value, dtype))


def _arange(d: Define, start: Expr, step: Expr, n: int, dtype: DType) -> None:
    work = dt.compute_dtype(dtype)
    i = d.axis(n)
    d.store(0, [i], start.cast(work) + i.cast(work) * step.cast(work))


def _linspace(d: Define, start: Expr, end: Expr, n: int, dtype: DType) -> None:
    """From both ends towards the middle, so that the last element is ``end`` to the bit."""
    work = dt.compute_dtype(dtype) if dtype.kind == "f" else dt.float32
    first, last = start.cast(work), end.cast(work)
    i = d.axis(n)
    if n <= 1:
        d.store(0, [i], first)
        return
    step = (last - first) / float(n - 1)
    up = first + i.cast(work) * step
    down = last - (const(n - 1, dt.index) - i).cast(work) * step
    d.store(0, [i], where(i < n // 2, up, down))


def _eye(d: Define, n: int, m: int, dtype: DType) -> None:
    i, j = d.axes((n, m))
    d.store(0, [i, j], where(i.eq(j), const(1, dtype), const(0, dtype)), over=[i, j])


creation("full", "value", _full, lambda shape: shape, {"shape": ()}, "One number everywhere (zeros, ones, fill).")
creation("arange", "start step", _arange, lambda n: (n,), {"n": 0}, "start + i·step.")
creation("linspace", "start end", _linspace, lambda n: (n,), {"n": 0}, "`n` numbers, evenly from start to end.")
creation("eye", "", _eye, lambda n, m: (n, m), {"n": 0, "m": 0}, "Ones on the diagonal of an n×m matrix.")
