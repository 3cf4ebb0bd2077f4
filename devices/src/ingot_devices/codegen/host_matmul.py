"""Matrix products without a detour: definitions that are one ``np.matmul`` into the output, with a bias at most.

`host` tries this before it writes source: most of a network's time is in here, and small products are all overhead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..ir.definition import Definition
from ..ir.expr import Expr
from . import Compiled
from .blas import alone

Array = Any


def matrix_product(d: Definition) -> Compiled | None:
    """The kernel of ``out[b…, m…, n] = Σₖ x[b…, m…, k]·y[b…, k, n] (+ bias)``, axes in any order; None if it is not one."""
    if len(d.stages) != 1 or len(d.stores) != 1 or d.checks:
        return None
    stage, store = d.stages[0], d.stores[0]
    node = stage.value
    if (stage.kind, stage.monoid, len(stage.over), node.op) != ("reduce", "sum", 1, "mul") or store.valid or store.combine:
        return None
    bias = _bias(store.value)
    sides = [_axes(a) for a in node.args]
    target = _indices(store.at)
    if bias is False or None in (*sides, target) or node.dtype.kind == "b":
        return None
    plan = _Axes(sides[0], sides[1], target, stage.over[0])  # type: ignore[arg-type]
    if not plan.fits:
        return None
    numbers = (node.args[0].value, node.args[1].value, store.operand)
    return _kernel(d, plan, numbers, None if bias is None else (bias, _axes(bias)))


class _Axes:
    """Which axes are batch, rows, columns; and the way from each operand to (batch…, rows, k), (batch…, k, columns)."""

    def __init__(self, x: list[int], y: list[int], out: list[int], k: int) -> None:
        self.batch = [a for a in out if a in x and a in y]
        self.rows = [a for a in out if a in x and a not in y]
        self.columns = [a for a in out if a in y and a not in x]
        whole = {*self.batch, *self.rows, *self.columns}
        self.fits = (
            len(self.columns) == 1 and len(self.rows) >= 1 and (len(self.rows) == 1 or not self.batch)
            and set(x) == {*self.batch, *self.rows, k} and set(y) == {*self.batch, *self.columns, k}
            and set(out) == whole and len(out) == len(whole) and k in x and k in y
        )
        if self.fits:
            self.x = [x.index(a) for a in (*self.batch, *self.rows, k)]
            self.y = [y.index(a) for a in (*self.batch, k, *self.columns)]
            self.out = [out.index(a) for a in (*self.batch, *self.rows, *self.columns)]


def _indices(at: Sequence[Expr]) -> list[int] | None:
    found = [i.value for i in at if i.op == "index"]
    return found if len(found) == len(at) == len(set(found)) else None


def _axes(load: Expr) -> list[int] | None:
    return _indices(load.args) if load.op == "load" else None


def _bias(value: Expr) -> Any:
    """None for a bare sum, the load that is added to it, or False for anything else."""
    if value.op == "stage":
        return None
    if value.op == "add" and value.args[0].op == "stage" and value.args[1].op == "load" and _axes(value.args[1]):
        return value.args[1]
    return False


def _turn(order: list[int]) -> Callable[[Array], Array] | None:
    """The transposition to ``order``; None where it changes nothing."""
    if order == sorted(order):
        return None
    if order == [1, 0]:
        return lambda a: a.T
    return lambda a: a.transpose(order)


def _kernel(d: Definition, plan: _Axes, numbers: tuple[int, int, int], bias: Any) -> Compiled | None:
    nx, ny, no = numbers
    tx, ty, to = _turn(plan.x), _turn(plan.y), _turn(plan.out)
    flat = len(plan.rows) > 1
    whole = [] if flat else [*plan.batch, *plan.rows, *plan.columns]  # what is added for each column, or for each element
    if (flat and to is not None) or (bias is not None and (bias[1] not in (plan.columns, whole) or to is not None)):
        return None
    nb = None if bias is None else bias[0].value
    matmul, add = np.matmul, np.add

    def kernel(*operands: Array) -> None:
        x, y, out = operands[nx], operands[ny], operands[no]
        if tx is not None:
            x = tx(x)
        if ty is not None:
            y = ty(y)
        if to is not None:
            out = to(out)
        if flat:
            rows = prod(x.shape[:-1])  # not -1, which NumPy cannot tell where there are no elements
            x, out = x.reshape(rows, x.shape[-1]), out.reshape(rows, out.shape[-1])
        matmul(x, y, out=out)
        if nb is not None:
            add(out, operands[nb], out=out)

    swapped = [("ᵀ" if t is not None else "") for t in (tx, ty)]
    text = f"np.matmul(x{nx}{swapped[0]}, x{ny}{swapped[1]}, out=x{no})" + ("" if nb is None else f"; x{no} += x{nb}")
    return Compiled(alone(kernel, d.axes), text)
