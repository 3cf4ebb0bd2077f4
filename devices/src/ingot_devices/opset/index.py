"""The index group: reading and writing at positions that are data.

A position out of range never touches memory: it is clamped, and a check sets the device's status word, which raises
`DeviceIndexError` later (`ir.definition`). Ops that write are two definitions, the copy (or the zeros) and then the combining
store, which acts in index order on every device: the last write wins, sums are deterministic. In place,
the copy is left out (`Op.over`).

Each read's gradient is a write and the other way round, so every order follows:

    gather ↔ gather_backward      index, index_select ↔ index_backward      embedding ↔ embedding_backward

The ``…_backward`` rows and ``bincount`` add onto zeros; those of halves give float32 sums, which the engine casts back.
What a mask leaves is in `mask`; masked_fill is ``where`` and take_along_dim is gather.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const
from ..layout import broadcast_shapes
from .op import Op, Spec, add_op
from .positions import OUT_OF_RANGE, along, check_positions, check_reachable, extent, position, value_at
from .shared import Shape, convert, one_axis, places, replaced

Positions = Sequence[Operand]


def index(
    name: str, operands: str, define: Any, result: Callable[..., Spec], attributes: Mapping[str, Any] | None = None,
    doc: str = "", decompose: Callable[..., Any] | None = None, **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; ``gradient`` maps an operand to its rule."""

    def results(*specs: Any, **attrs: Any) -> tuple[Spec, ...]:
        return (result(*specs, **attrs),)

    return add_op(Op(name, "index", tuple(operands.split()), results, attributes or {}, define=define,
                     decompose=decompose, gradient=gradient or None, doc=doc,
                     over=isinstance(define, tuple) and define[0] is _copied))


def _copied(d: Define, x: Operand, *others: Any, **attrs: Any) -> None:
    at = d.axes(x.shape)
    d.store(0, at, x[at])


def _zeros(d: Define, *operands: Any, **attrs: Any) -> None:
    out = d.outputs[0]
    d.store(0, d.axes(out.shape), const(0, out.dtype))


# ---- along one axis: gather and scatter ---------------------------------------------------------------------------------
def _gather(d: Define, x: Operand, index: Operand, axis: int) -> None:
    at = d.axes(index.shape)
    d.store(0, at, x[along(at, axis, position(d, index[at], extent(x.shape, axis), at))])


def _gather_spec(x: Spec, index: Spec, axis: int) -> Spec:
    _check_like(x.shape, index, axis)
    return Spec.of(index.shape, x.dtype)


def _check_like(shape: Shape, index: Spec, axis: int) -> None:
    check_positions(index)
    if len(shape) != index.ndim:
        raise ValueError(f"the index has {index.ndim} axes and the operand {len(shape)} (shapes {list(index.shape)} and "
                         f"{list(shape)}); they must be as many")
    skipped = places(index.ndim, one_axis(index, axis))
    if index.size and any(n > m for k, (n, m) in enumerate(zip(index.shape, shape, strict=True)) if k not in skipped):
        raise ValueError(f"the index of shape {list(index.shape)} is larger than the operand of shape {list(shape)} "
                         f"along an axis other than {axis}")
    check_reachable(extent(shape, axis), index)


def _scatter(combine: str) -> Callable[..., None]:
    def define(d: Define, x: Operand, index: Operand, src: Operand | Expr, axis: int) -> None:
        at = d.axes(index.shape)
        to = along(at, axis, position(d, index[at], extent(x.shape, axis), at))
        d.store(0, to, value_at(src, at, index.shape, x.dtype), over=at, combine=combine)

    return define


def _scatter_spec(x: Spec, index: Spec, src: Spec, axis: int) -> Spec:
    _check_like(x.shape, index, axis)
    if src.shape not in ((), index.shape):
        raise ValueError(f"the source of shape {list(src.shape)} must have the shape of the index, {list(index.shape)}")
    return Spec.of(x.shape, x.dtype)


def _gather_backward(d: Define, grad: Operand, index: Operand, shape: Shape, axis: int) -> None:
    at = d.axes(index.shape)
    to = along(at, axis, position(d, index[at], extent(shape, axis), at))
    d.store(0, to, convert(grad[at], d.outputs[0].dtype), over=at, combine="add")


def _sums_spec(grad: Spec, *positions: Any, shape: Shape, **attrs: Any) -> Spec:
    return Spec.of(shape, dt.compute_dtype(grad.dtype))


# ---- along adjacent axes: advanced indexing -----------------------------------------------------------------------------
def parts(shape: Shape, indices: Sequence[Operand | Spec], axis: int | None) -> tuple[Shape, Shape, Shape, Shape]:
    """(axes left of the indexed ones, the indexed ones, axes right of them, the shape that the indices broadcast to)."""
    first = 0 if axis is None else places(len(shape), (axis,))[0]
    last = first + len(indices)
    if not indices or last > len(shape):
        raise IndexError(f"{len(indices)} indices do not fit an operand with {len(shape)} axes from axis {first} on")
    return shape[:first], shape[first:last], shape[last:], broadcast_shapes(*(i.shape for i in indices))


def _points(
    d: Define, shape: Shape, indices: Positions, axis: int | None
) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """Axes over every point that is read or written: (its indices, where it lies in the operand)."""
    left, sizes, right, batch = parts(shape, indices, axis)
    a, b, c = d.axes(left), d.axes(batch), d.axes(right)
    found = [d.gathered(i.at(b, batch), n, OUT_OF_RANGE, b) for i, n in zip(indices, sizes, strict=True)]
    return (*a, *b, *c), (*a, *found, *c)


def _index(d: Define, x: Operand, indices: Positions, axis: int | None) -> None:
    at, found = _points(d, x.shape, indices, axis)
    d.store(0, at, x[found])


def points_shape(shape: Shape, indices: Sequence[Spec], axis: int | None) -> Shape:
    """The shape of everything that ``indices`` reach; IndexError where they reach into nothing."""
    check_positions(*indices)
    left, sizes, right, batch = parts(shape, indices, axis)
    for n in sizes:
        check_reachable(n, Spec(batch, dt.int64))
    return (*left, *batch, *right)


def _index_spec(x: Spec, indices: Sequence[Spec], axis: int | None) -> Spec:
    return Spec.of(points_shape(x.shape, indices, axis), x.dtype)


def _index_put(d: Define, x: Operand, values: Operand | Expr, indices: Positions, accumulate: bool, axis: int | None) -> None:
    at, found = _points(d, x.shape, indices, axis)
    left, _, right, batch = parts(x.shape, indices, axis)
    value = value_at(values, at, (*left, *batch, *right), x.dtype)
    d.store(0, found, value, over=at, combine="add" if accumulate else "set")


def _index_put_spec(x: Spec, values: Spec, indices: Sequence[Spec], accumulate: bool, axis: int | None) -> Spec:
    target = points_shape(x.shape, indices, axis)
    if broadcast_shapes(values.shape, target) != target:
        raise ValueError(f"values of shape {list(values.shape)} do not broadcast to the indexed shape {list(target)}")
    return Spec.of(x.shape, x.dtype)


def _index_backward(d: Define, grad: Operand, indices: Positions, shape: Shape, axis: int | None) -> None:
    at, found = _points(d, shape, indices, axis)
    d.store(0, found, convert(grad[at], d.outputs[0].dtype), over=at, combine="add")


# ---- one list of positions along an axis ---------------------------------------------------------------------------------
def _index_select(d: Define, x: Operand, index: Operand, axis: int) -> None:
    at = d.axes(replaced(x.shape, axis, index.shape[0]))
    d.store(0, at, x[along(at, axis, position(d, index[at[axis]], x.shape[axis], [at[axis]]))])


def _index_select_spec(x: Spec, index: Spec, axis: int) -> Spec:
    _check_list(x, index, axis)
    return Spec.of(replaced(x.shape, axis, index.shape[0]), x.dtype)


def _check_list(x: Spec, index: Spec, axis: int) -> None:
    check_positions(index)
    places(x.ndim, (axis,))
    if index.ndim != 1:
        raise ValueError(f"the index must have one axis, shape {list(index.shape)} was given")
    check_reachable(x.shape[axis], index)


def _index_add(d: Define, x: Operand, index: Operand, src: Operand, axis: int) -> None:
    at = d.axes(src.shape)
    to = along(at, axis, position(d, index[at[axis]], x.shape[axis], [at[axis]]))
    d.store(0, to, convert(src[at], x.dtype), over=at, combine="add")


def _index_add_spec(x: Spec, index: Spec, src: Spec, axis: int) -> Spec:
    _check_list(x, index, axis)
    if src.shape != replaced(x.shape, axis, index.shape[0]):
        raise ValueError(f"the source of shape {list(src.shape)} must be shaped as what index_select reads, "
                         f"{list(replaced(x.shape, axis, index.shape[0]))}")
    return Spec.of(x.shape, x.dtype)


# ---- tables ------------------------------------------------------------------------------------------------------------
def _embedding(d: Define, weight: Operand, ids: Operand, padding_idx: int) -> None:
    at, column = d.axes(ids.shape), d.axis(weight.shape[1])
    d.store(0, [*at, column], weight[position(d, ids[at], weight.shape[0], at), column])


def _embedding_spec(weight: Spec, ids: Spec, padding_idx: int) -> Spec:
    check_positions(ids)
    if weight.ndim != 2:
        raise ValueError(f"'weight' must have two axes (rows, columns), shape {list(weight.shape)} was given")
    check_reachable(weight.shape[0], ids)
    return Spec.of((*ids.shape, weight.shape[1]), weight.dtype)


def _embedding_backward(d: Define, grad: Operand, ids: Operand, rows: int, padding_idx: int) -> None:
    at, column = d.axes(ids.shape), d.axis(grad.shape[-1])
    row = position(d, ids[at], rows, at)
    kept = row.ne(padding_idx) if padding_idx >= 0 else None
    value = convert(grad[(*at, column)], d.outputs[0].dtype)
    d.store(0, [row, column], value, over=[*at, column], combine="add", valid=kept)


def _padded(b: Any, g: Any, ids: Any, padding_idx: int) -> Any:
    """Rows of ``g`` by id, with zeros for the padding."""
    rows = b.embedding(g, ids)
    if padding_idx < 0:
        return rows
    return b.where(b.view(b.eq(ids, padding_idx), shape=(*ids.shape, 1)), 0.0, rows)


def _one_hot(d: Define, ids: Operand, classes: int) -> None:
    at, c = d.axes(ids.shape), d.axis(classes)
    d.store(0, [*at, c], position(d, ids[at], classes, at).eq(c).cast(dt.int64), over=[*at, c])


def _one_hot_spec(ids: Spec, classes: int) -> Spec:
    check_positions(ids)
    check_reachable(classes, ids)
    return Spec.of((*ids.shape, classes), dt.int64)


def _bincount(d: Define, x: Operand, size: int) -> None:
    at = d.axes(x.shape)
    d.store(0, [position(d, x[at], size, at)], const(1, dt.int64), over=at, combine="add")


AXIS, FROM = {"axis": -1}, {"axis": None}
# fmt: off
# ---- along one axis
index("gather", "x index", _gather, _gather_spec, AXIS, "out[i…] = x[i… with index[i…] on the axis]; shaped as the index.",
      x=lambda b, g, x_spec, index, axis: b.gather_backward(g, index, shape=x_spec.shape, axis=axis))
index("gather_backward", "grad index", (_zeros, _gather_backward), _sums_spec, {"shape": None, **AXIS}, "Zeros of a shape, plus `grad` where gather reads.",
      grad=lambda b, g, index, axis: b.gather(g, index, axis=axis))
index("scatter", "x index src", (_copied, _scatter("set")), _scatter_spec, AXIS,
      "x with src (shaped as the index, or a number) written where gather reads. The gradient for src supposes that no place is written twice.",
      x=lambda b, g, index, axis: b.scatter(g, index, 0, axis=axis), src=lambda b, g, index, axis: b.gather(g, index, axis=axis))
index("scatter_add", "x index src", (_copied, _scatter("add")), _scatter_spec, AXIS, "x plus src where gather reads, in index order.",
      x=lambda b, g: g, src=lambda b, g, index, axis: b.gather(g, index, axis=axis))
# ---- along adjacent axes
index("index", "x *indices", _index, _index_spec, FROM,
      "x at indices that broadcast together, for adjacent axes of x from `axis` on (None: the first); negative ones count from the end.",
      x=lambda b, g, x_spec, indices, axis: b.index_backward(g, *indices, shape=x_spec.shape, axis=axis))
index("index_backward", "grad *indices", (_zeros, _index_backward), _sums_spec, {"shape": None, **FROM}, "Zeros of a shape, plus `grad` where index reads.",
      grad=lambda b, g, indices, axis: b.index(g, *indices, axis=axis))
index("index_put", "x values *indices", (_copied, _index_put), _index_put_spec, {"accumulate": False, **FROM},
      "x with values (broadcast) written, or added, where index reads.",
      x=lambda b, g, indices, accumulate, axis: g if accumulate else b.index_put(g, 0, *indices, accumulate=False, axis=axis),
      values=lambda b, g, indices, axis: b.index(g, *indices, axis=axis))
# ---- one list of positions
index("index_select", "x index", _index_select, _index_select_spec, AXIS, "The slices of x at a list of positions along an axis.",
      x=lambda b, g, x_spec, index, axis: b.index_backward(g, index, shape=x_spec.shape, axis=axis))
index("index_add", "x index src", (_copied, _index_add), _index_add_spec, AXIS, "x plus the slices of src at a list of positions along an axis.",
      x=lambda b, g: g, src=lambda b, g, index, axis: b.index_select(g, index, axis=axis))
# ---- tables
index("embedding", "weight ids", _embedding, _embedding_spec, {"padding_idx": -1}, "The rows of weight at ids; the row `padding_idx` gets no gradient (-1: none).",
      weight=lambda b, g, weight_spec, ids, padding_idx: b.embedding_backward(g, ids, rows=weight_spec.shape[0], padding_idx=padding_idx))
index("embedding_backward", "grad ids", (_zeros, _embedding_backward), lambda grad, ids, rows, padding_idx: Spec.of((rows, grad.shape[-1]), dt.compute_dtype(grad.dtype)),
      {"rows": 0, "padding_idx": -1}, "Zeros, plus `grad` in the rows that embedding reads.", grad=_padded)
index("one_hot", "ids", _one_hot, _one_hot_spec, {"classes": 0}, "int64 ones at the ids along a new last axis.")
index("bincount", "x", (_zeros, _bincount), lambda x, size: Spec.of((size,), dt.int64), {"size": 0}, "How often each of 0 … size-1 occurs.")
# fmt: on
