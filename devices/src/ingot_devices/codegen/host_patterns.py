"""Definitions that are one NumPy call: recognised before `host` writes source, because small work is all overhead.

Each function takes a definition and gives its kernel, or None for one that is something else. `host_matmul` holds the
product of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.definition import Definition
from ..ir.expr import Expr
from . import Compiled
from .host_matmul import matrix_product
from .quiet import loud, quiet

Array = Any
REDUCTIONS: dict[str, Any] = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
SHORT = 512
"""A longer sum that is not along the last axis is cut into parts (`host_runtime.reduce_sum`)."""


def reduction(d: Definition) -> Compiled | None:
    """A whole operand folded over some axes into the output, with nothing before or after."""
    if len(d.stages) != 1 or len(d.stores) != 1 or d.checks or len(d.operands) != 2 or d.params:
        return None
    stage, store, source = d.stages[0], d.stores[0], d.operands[0]
    value = stage.value
    plain = stage.kind == "reduce" and stage.monoid in REDUCTIONS and value.op == "load" and store.value.op == "stage"
    if not plain or store.valid is not None or store.combine or not stage.over or value.dtype.kind == "b":
        return None
    if not _whole(value, source.shape, len(d.axes)) or (value.dtype.kind == "f" and value.dtype.itemsize < 4):
        return None
    kept = [n for n in range(len(d.axes)) if n not in stage.over and d.axes[n] != 1]
    at = [i.value for i in store.at if i.op == "index"]
    keepdims = len(store.at) == len(source.shape)
    if at != kept or not (keepdims or [d.axes[n] for n in kept] == list(d.operands[1].shape)):
        return None
    axes = tuple(stage.over) if keepdims or len(at) + len(stage.over) == len(d.axes) else None
    if axes is None or not _safe(stage.monoid, d.axes, axes):
        return None
    fold, keep = REDUCTIONS[stage.monoid].reduce, keepdims and bool(store.at)

    def kernel(x: Array, out: Array) -> None:
        token = quiet()
        try:
            fold(x, axes, None, out, keep)
        finally:
            loud(token)

    return Compiled(kernel, f"np.{REDUCTIONS[stage.monoid].__name__}.reduce(x0, {axes}, out=x1, keepdims={keep})")


def _whole(load: Expr, shape: tuple[int, ...], rank: int) -> bool:
    return len(shape) == rank == len(load.args) and [i.value for i in load.args if i.op == "index"] == [
        n for n, i in enumerate(load.args) if i.op == "index"
    ] and all(i.op == "index" or e == 1 for i, e in zip(load.args, shape, strict=True))


def _safe(monoid: str, extents: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Nothing empty, and no long sum in one running total."""
    if any(extents[a] == 0 for a in axes):
        return False
    return monoid != "sum" or len(extents) - 1 in axes or math.prod(extents[a] for a in axes) <= SHORT


def constant(d: Definition) -> Compiled | None:
    """One float number everywhere."""
    if d.stages or len(d.stores) != 1 or d.checks or len(d.operands) != 1 or len(d.params) != 1:
        return None
    store, out = d.stores[0], d.operands[0]
    value = store.value
    while value.op == "cast":
        value = value.args[0]
    whole = [i.value for i in store.at if i.op == "index"] == [n for n, e in enumerate(out.shape) if e != 1]
    if value.op != "param" or value.value != 0 or store.valid is not None or store.combine or not whole:
        return None
    if out.dtype.kind != "f" or len(store.at) != len(out.shape) or out.number != 1:
        return None
    return Compiled(_fill, "x1.fill(x0)")


def _fill(value: float, out: Array) -> None:
    if -1.0 <= value <= 1.0:
        out.fill(value)
        return
    token = quiet()  # a number beyond the dtype is infinite
    try:
        out.fill(value)
    finally:
        loud(token)


PATTERNS: tuple[Callable[[Definition], Compiled | None], ...] = (matrix_product, reduction, constant)
