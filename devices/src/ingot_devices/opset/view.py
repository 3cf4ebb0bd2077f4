"""The view group: other ways to look at the same elements. Nothing is computed and nothing is copied.

Each row is a rule on layouts: (shape, strides, attributes) → (shape, strides, elements that the start moves by), or None
where only a copy can be seen that way (the caller then copies first). Strides are in elements and not negative.
A gradient that has to put elements back among zeros is a ``…_backward`` op of the copy group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..layout import dense_strides, is_dense
from .op import Op, Spec, add_op
from .shared import Shape, inverse, places, replaced

Seen = tuple[Shape, Shape, int]


def view(name: str, rule: Callable[..., Seen | None], attributes: Mapping[str, Any], x: Callable[..., Any], doc: str) -> Op:
    """Add a row; ``x`` is the gradient rule of the operand."""

    def result(spec: Spec, **attrs: Any) -> tuple[Spec, ...]:
        seen = rule(spec.shape, dense_strides(spec.shape), **attrs)
        assert seen is not None, "a dense operand can be seen any way"
        return (Spec.of(seen[0], spec.dtype),)

    return add_op(Op(name, "view", ("x",), result, attributes, view=rule, gradient={"x": x}, doc=doc))


def _axis(shape: Shape, axis: int) -> int:
    return places(len(shape), (axis,))[0]


# ---- rules on layouts ------------------------------------------------------------------------------------------------
def _view(old: Shape, strides: Shape, shape: Shape) -> Seen | None:
    """Groups of old axes that lie in one piece are cut anew; None when a new axis crosses from one piece to another."""
    if math.prod(old) != math.prod(shape):
        raise ValueError(f"shape {list(shape)} is invalid for input of size {math.prod(old)} (shape {list(old)})")
    if 0 in old or is_dense(old, strides):
        return shape, dense_strides(shape), 0
    made: list[int] = []
    left = list(shape)
    for size, stride in reversed(_pieces(old, strides)):
        filled = 1
        while left and (filled < size or left[-1] == 1):
            made.append(stride * filled)
            filled *= left.pop()
        if filled != size:
            return None
    return shape, tuple(reversed(made)), 0


def _pieces(shape: Shape, strides: Shape) -> list[tuple[int, int]]:
    """(elements, innermost stride) of each run of axes that one stride walks through; axes of size 1 are skipped."""
    pieces: list[tuple[int, int]] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if pieces and pieces[-1][1] == n * s:
            pieces[-1] = (pieces[-1][0] * n, s)
        else:
            pieces.append((n, s))
    return pieces


def _permute(shape: Shape, strides: Shape, dims: tuple[int, ...]) -> Seen:
    if sorted(dims) != list(range(-len(dims), 0)) or len(dims) > len(shape):
        raise ValueError(f"dims {list(dims)} do not name each of the last {len(dims)} of {len(shape)} axes once")
    lead = len(shape) - len(dims)
    return (*shape[:lead], *(shape[d] for d in dims)), (*strides[:lead], *(strides[d] for d in dims)), 0


def _expand(old: Shape, strides: Shape, shape: Shape) -> Seen:
    lead = len(shape) - len(old)
    if lead < 0 or any(n not in (1, m) for n, m in zip(old, shape[lead:], strict=True)):
        raise ValueError(f"shape {list(old)} cannot be expanded to {list(shape)}: only new leading axes and axes of "
                         "size 1 can grow")
    kept = (s if n == m else 0 for n, m, s in zip(old, shape[lead:], strides, strict=True))
    return shape, (*(0,) * lead, *kept), 0


def _slice(shape: Shape, strides: Shape, axis: int, start: int, stop: int, step: int) -> Seen:
    k = _axis(shape, axis)
    n = max(0, -((start - stop) // step))
    return replaced(shape, k, n), replaced(strides, k, strides[k] * step), start * strides[k] if n else 0


def _select(shape: Shape, strides: Shape, axis: int, index: int) -> Seen:
    k = _axis(shape, axis)
    if not 0 <= index < shape[k]:
        raise IndexError(f"index {index} is out of range for axis {axis} with size {shape[k]}")
    return (*shape[:k], *shape[k + 1 :]), (*strides[:k], *strides[k + 1 :]), index * strides[k]


def _diagonal(shape: Shape, strides: Shape, offset: int, axis1: int, axis2: int) -> Seen:
    i, j = _axis(shape, axis1), _axis(shape, axis2)
    if i == j:
        raise ValueError(f"the axes of a diagonal differ; both are {axis1}")
    n = max(0, min(shape[i] + min(offset, 0), shape[j] - max(offset, 0)))
    rest = [k for k in range(len(shape)) if k not in (i, j)]
    start = offset * strides[j] if offset >= 0 else -offset * strides[i]
    return (*(shape[k] for k in rest), n), (*(strides[k] for k in rest), strides[i] + strides[j]), start if n else 0


def _unfold(shape: Shape, strides: Shape, axis: int, size: int, step: int) -> Seen:
    k = _axis(shape, axis)
    if not 0 <= size <= shape[k] or step < 1:
        raise ValueError(f"windows of {size} by steps of {step} do not fit axis {axis} with size {shape[k]}")
    windows = (shape[k] - size) // step + 1
    return (*replaced(shape, k, windows), size), (*replaced(strides, k, strides[k] * step), strides[k]), 0


def _as_strided(old: Shape, had: Shape, shape: Shape, strides: Shape, offset: int) -> Seen | None:
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and not 0 <= offset <= last < math.prod(old):
        raise ValueError(f"sizes {list(shape)} and strides {list(strides)} from {offset} reach element {last}, outside "
                         f"the {math.prod(old)} elements of the operand")
    return (shape, strides, offset) if is_dense(old, had) else None


# ---- the rows --------------------------------------------------------------------------------------------------------
# fmt: off
view("view", _view, {"shape": None}, lambda b, g, x_spec: b.view(g, shape=x_spec.shape),
     doc="The elements in row-major order under another shape (reshape, flatten, squeeze, unsqueeze…).")
view("permute", _permute, {"dims": None}, lambda b, g, dims: b.permute(g, dims=inverse(dims)),
     doc="Axes in another order: dims[k] is the axis that comes to place k. Fewer dims than axes permute the last ones.")
view("expand", _expand, {"shape": None}, lambda b, g: g,
     doc="Broadcast to a shape, with stride 0 along the new axes. The engine sums the gradient back.")
view("slice", _slice, {"axis": -1, "start": 0, "stop": None, "step": 1},
     lambda b, g, x_spec, axis, start, stop, step: b.slice_backward(g, shape=x_spec.shape, axis=axis, start=start, stop=stop, step=step),
     doc="start:stop:step along an axis; 0 ≤ start, stop ≤ size, step ≥ 1.")
view("select", _select, {"axis": -1, "index": 0},
     lambda b, g, x_spec, axis, index: b.slice_backward(b.view(g, shape=replaced(x_spec.shape, axis % x_spec.ndim, 1)),
                                                        shape=x_spec.shape, axis=axis, start=index, stop=index + 1, step=1),
     doc="One index (from 0) along an axis, which goes.")
view("diagonal", _diagonal, {"offset": 0, "axis1": -2, "axis2": -1},
     lambda b, g, x_spec, offset, axis1, axis2: b.diagonal_backward(g, shape=x_spec.shape, offset=offset, axis1=axis1, axis2=axis2),
     doc="The diagonal of two axes as a new last axis; a positive offset lies along axis2.")
view("unfold", _unfold, {"axis": -1, "size": 1, "step": 1},
     lambda b, g, x_spec, axis, size, step: b.unfold_backward(g, shape=x_spec.shape, axis=axis, size=size, step=step),
     doc="Windows of `size` by `step` along an axis: the axis counts windows, a new last axis runs inside.")
view("as_strided", _as_strided, {"shape": None, "strides": None, "offset": 0},
     lambda b, g, x_spec, shape, strides, offset: b.as_strided_backward(g, shape=x_spec.shape, strides=strides, offset=offset),
     doc="Element [i…] is number offset + Σ i·stride of the operand's elements in row-major order, all inside it. So the "
         "caller gives a dense operand (PyTorch's storage offset less the operand's own), or the base of one that is not.")
# fmt: on
