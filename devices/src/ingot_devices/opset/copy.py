"""The copy group: elements moved and converted, and the backward ops that put a view's elements back among zeros.

Every row is a definition of loads at computed indices, guarded where an index can leave the operand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from ..layout import dense_strides
from .op import Op, Spec, add_op, promote_specs
from .shared import Shape, both, convert, places, replaced

CHUNK = 7
"""Operands that one launch concatenates: with the result, the eight bindings that every device has."""


def copy(
    name: str, operands: str, define: Any, result: Callable[..., Spec], attributes: Mapping[str, Any] | None = None,
    doc: str = "", decompose: Callable[..., Any] | None = None, **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; ``gradient`` maps an operand to its rule."""
    def results(*specs: Any, **attrs: Any) -> tuple[Spec, ...]:
        return (result(*specs, **attrs),)

    return add_op(Op(name, "copy", tuple(operands.split()), results, attributes or {}, define=define,
                     decompose=decompose, gradient=gradient, doc=doc))


def _like(x: Spec, *others: Any, **attrs: Any) -> Spec:
    return Spec.of(x.shape, x.dtype)


def _shaped(x: Spec, shape: Shape, **attrs: Any) -> Spec:
    return Spec.of(shape, x.dtype)


# ---- whole copies ----------------------------------------------------------------------------------------------------
def _copy(d: Define, x: Operand, **attrs: Any) -> None:
    at = d.axes(x.shape)
    d.store(0, at, x[at])


def _cast(d: Define, x: Operand, dtype: DType) -> None:
    at = d.axes(x.shape)
    d.store(0, at, convert(x[at], dtype))


def _moved(source: Callable[..., Sequence[Expr]], d: Define, x: Operand, **attrs: Any) -> None:
    """Result [at] = x[source(at)] for a result of the operand's shape."""
    at = d.axes(x.shape)
    d.store(0, at, x[tuple(source(at, x.shape, **attrs))])


def _flip(at: Sequence[Expr], shape: Shape, axes: tuple[int, ...]) -> list[Expr]:
    turned = places(len(shape), axes)
    return [const(n - 1, dt.index) - i if k in turned else i for k, (i, n) in enumerate(zip(at, shape, strict=True))]


def _roll(d: Define, x: Operand, shifts: tuple[int, ...], axes: tuple[int, ...]) -> None:
    """Each rolled axis has two parts that change places, and each of all their combinations is one copy."""
    far = dict.fromkeys(range(len(x.shape)), 0)
    for shift, axis in zip(shifts, places(len(x.shape), axes), strict=True):
        far[axis] = (far[axis] + shift) % max(x.shape[axis], 1)
    parts = [((0, n - by, by), (n - by, by, by - n)) if by else ((0, n, 0),) for n, by in zip(x.shape, far.values(), strict=True)]
    for part in product(*parts):  # where it begins, how long it is, how far it goes
        at = [i + begin for i, (begin, _, _) in zip(d.axes([n for _, n, _ in part]), part, strict=True)]
        d.store(0, [i + by for i, (_, _, by) in zip(at, part, strict=True)], x[tuple(at)])


# ---- several into one, one into several --------------------------------------------------------------------------------
def _cat(d: Define, xs: Sequence[Operand], axis: int, start: int = 0) -> Any:
    """Each operand into its own part of the result; operands beyond `CHUNK` are left to a next definition."""
    for x in xs[:CHUNK]:
        at = d.axes(x.shape)
        d.store(0, replaced(at, axis, at[axis] + start), x[at])
        start += x.shape[axis]
    rest = xs[CHUNK:]
    return (lambda d, xs, axis: _cat(d, rest, axis, start)) if rest else None


def _cat_spec(xs: Sequence[Spec], axis: int) -> Spec:
    first = xs[0].shape
    for x in xs:
        if x.ndim != len(first) or not first or replaced(x.shape, axis, 0) != replaced(first, axis, 0):
            raise ValueError(f"shapes {[list(s.shape) for s in xs]} cannot be concatenated along axis {axis}: all other "
                             "sizes must be equal")
    return Spec.of(replaced(first, axis, sum(x.shape[axis] for x in xs)), promote_specs(xs))


def _cat_gradient(b: Any, g: Any, xs_spec: Sequence[Spec], axis: int) -> tuple[Any, ...]:
    """One gradient for each operand."""
    made, start = [], 0
    for x in xs_spec:
        made.append(b.slice(g, axis=axis, start=start, stop=start + x.shape[axis], step=1))
        start += x.shape[axis]
    return tuple(made)


def _stack(b: Any, xs: Sequence[Any], axis: int) -> Any:
    place = len(xs[0].shape) + 1 + axis
    return b.cat(*(b.view(x, shape=(*x.shape[:place], 1, *x.shape[place:])) for x in xs), axis=axis)


def _stack_spec(xs: Sequence[Spec], axis: int) -> Spec:
    first = xs[0].shape
    if any(x.shape != first for x in xs):
        raise ValueError(f"shapes {[list(x.shape) for x in xs]} cannot be stacked: they must be equal")
    place = len(first) + 1 + axis
    return Spec.of((*first[:place], len(xs), *first[place:]), promote_specs(xs))


def _repeat(d: Define, x: Operand, repeats: tuple[int, ...]) -> None:
    lead = len(repeats) - len(x.shape)
    copies, at = d.axes(repeats), d.axes(x.shape)
    along = [c * n + i for c, n, i in zip(copies[lead:], x.shape, at, strict=True)]
    d.store(0, (*copies[:lead], *along), x[at], over=(*copies, *at))


def _repeat_spec(x: Spec, repeats: tuple[int, ...]) -> Spec:
    lead = len(repeats) - x.ndim
    if lead < 0:
        raise ValueError(f"repeats {list(repeats)} name fewer axes than the operand has (shape {list(x.shape)})")
    return Spec.of(tuple(n * r for n, r in zip((1,) * lead + x.shape, repeats, strict=True)), x.dtype)


def _repeat_gradient(b: Any, g: Any, x_spec: Spec, repeats: tuple[int, ...]) -> Any:
    """The copies side by side, then summed."""
    rank = len(repeats)
    sizes = (1,) * (rank - x_spec.ndim) + x_spec.shape
    parted = b.view(g, shape=tuple(n for pair in zip(repeats, sizes, strict=True) for n in pair))
    return b.view(b.sum(parted, axes=tuple(range(-2 * rank, 0, 2))), shape=x_spec.shape)


# ---- edges and triangles ----------------------------------------------------------------------------------------------
def _pad(d: Define, x: Operand, value: Expr, pads: tuple[tuple[int, int], ...]) -> None:
    at = d.axes(_pad_spec(Spec.of(x.shape, x.dtype), None, pads).shape)
    source, conditions = list(at), []
    for k, (before, after) in enumerate(pads, len(at) - len(pads)):
        source[k] = at[k] - before
        conditions += [at[k] >= before] if before > 0 else []
        conditions += [at[k] < before + x.shape[k]] if after > 0 else []
    inside = both(*conditions)
    d.store(0, at, where(inside, x.load(source, inside), value.cast(x.dtype)))


def _pad_spec(x: Spec, value: Spec | None, pads: tuple[tuple[int, int], ...]) -> Spec:
    lead = x.ndim - len(pads)
    shape = (*x.shape[: max(lead, 0)], *(n + a + z for n, (a, z) in zip(x.shape[max(lead, 0) :], pads, strict=False)))
    if lead < 0 or any(n < 0 for n in shape):
        raise ValueError(f"padding {list(pads)} does not fit shape {list(x.shape)}: one (before, after) for each of the "
                         "last axes, and no axis may get a negative size")
    return Spec.of(shape, x.dtype)


def _triangle(keep: Callable[[Expr, Expr], Expr]) -> Callable[..., None]:
    def define(d: Define, x: Operand, diagonal: int) -> None:
        at = d.axes(x.shape)
        d.store(0, at, x.load(at, keep(at[-1], at[-2] + diagonal)))

    return define


def _matrix(x: Spec, *others: Any, **attrs: Any) -> Spec:
    if x.ndim < 2:
        raise ValueError(f"a matrix (2 axes or more) is needed, shape {list(x.shape)} was given")
    return Spec.of(x.shape, x.dtype)


def _fill_diagonal(d: Define, x: Operand, value: Expr) -> None:
    at = d.axes(x.shape)
    d.store(0, at, where(at[-1].eq(at[-2]), value.cast(x.dtype), x[at]))


# ---- what views leave among zeros: each is the gradient of the view of that name ------------------------------------------
def _slice_backward(d: Define, y: Operand, shape: Shape, axis: int, start: int, stop: int, step: int) -> None:
    at = d.axes(shape)
    n, i = y.shape[axis], at[axis] - start
    inside = both(at[axis] >= start, at[axis] < start + n * step, (i % step).eq(0))
    d.store(0, at, y.load(replaced(at, axis, i // step), inside))


def _diagonal_backward(d: Define, y: Operand, shape: Shape, offset: int, axis1: int, axis2: int) -> None:
    at = d.axes(shape)
    i, j = at[axis1], at[axis2]
    rest = [n for k, n in enumerate(at) if k not in (axis1 % len(shape), axis2 % len(shape))]
    d.store(0, at, y.load([*rest, i if offset >= 0 else j], j.eq(i + offset)))


def _unfold_backward(d: Define, y: Operand, shape: Shape, axis: int, size: int, step: int) -> None:
    """Each element sums the windows that saw it."""
    at = d.axes(shape)
    inner = d.axis(size)
    first = at[axis] - inner
    window = first // step
    inside = both(first >= 0, window < y.shape[axis - 1], (first % step).eq(0))
    seen = y.load([*replaced(at, axis, window), inner], inside)
    total = d.reduce("sum", seen.cast(dt.accumulate_dtype(y.dtype)), over=[inner])
    d.store(0, at, total)


def _zeros(d: Define, y: Operand, shape: Shape, **attrs: Any) -> None:
    d.store(0, d.axes(shape), const(0, y.dtype))


def _as_strided_added(d: Define, y: Operand, shape: Shape, strides: Shape, offset: int) -> None:
    at = d.axes(y.shape)
    number = const(offset, dt.index)
    for i, s in zip(at, strides, strict=True):
        number = number + i * s
    target = [number // s % max(n, 1) for n, s in zip(shape, dense_strides(shape), strict=True)]
    d.store(0, target, y[at], over=at, combine="add")


# fmt: off
# ---- whole copies
copy("copy", "x", _copy, _like, x=lambda b, g: g, doc="The same elements, dense.")
copy("cast", "x", _cast, lambda x, dtype: Spec.of(x.shape, dtype), {"dtype": None}, x=lambda b, g, x_spec: b.cast(g, dtype=x_spec.dtype),
     doc="Another dtype: floats to integers towards zero; anything but 0 is true.")
copy("flip", "x", lambda d, x, **a: _moved(_flip, d, x, **a), _like, {"axes": ()}, x=lambda b, g, axes: b.flip(g, axes=axes))
copy("roll", "x", _roll, _like, {"shifts": (), "axes": ()},
     x=lambda b, g, shifts, axes: b.roll(g, shifts=tuple(-s for s in shifts), axes=axes))
# ---- several into one, one into several
copy("cat", "*xs", _cat, _cat_spec, {"axis": -1}, xs=_cat_gradient, doc="Operands end to end along an axis.")
copy("stack", "*xs", None, _stack_spec, {"axis": -1}, decompose=_stack,
     xs=lambda b, g, xs_spec, axis: tuple(b.select(g, axis=axis, index=k) for k in range(len(xs_spec))), doc="Operands along a new axis (of the result).")
copy("repeat", "x", _repeat, _repeat_spec, {"repeats": ()}, x=_repeat_gradient, doc="Copies along each axis, leading ones included.")
# ---- edges and triangles
copy("pad", "x value", _pad, _pad_spec, {"pads": ()}, x=lambda b, g, pads: b.pad(g, 0, pads=tuple((-a, -z) for a, z in pads)),
     doc="`value` around the last axes: one (before, after) for each, in the order of the axes; negative ones crop.")
copy("tril", "x", _triangle(lambda j, i: j <= i), _matrix, {"diagonal": 0}, x=lambda b, g, diagonal: b.tril(g, diagonal=diagonal))
copy("triu", "x", _triangle(lambda j, i: j >= i), _matrix, {"diagonal": 0}, x=lambda b, g, diagonal: b.triu(g, diagonal=diagonal))
copy("fill_diagonal", "x value", _fill_diagonal, _matrix, x=lambda b, g: b.fill_diagonal(g, 0), doc="`value` where the last two indices agree.")
# ---- gradients of views
copy("slice_backward", "y", _slice_backward, _shaped, {"shape": None, "axis": -1, "start": 0, "stop": None, "step": 1},
     y=lambda b, g, axis, start, stop, step: b.slice(g, axis=axis, start=start, stop=stop, step=step))
copy("diagonal_backward", "y", _diagonal_backward, _shaped, {"shape": None, "offset": 0, "axis1": -2, "axis2": -1},
     y=lambda b, g, offset, axis1, axis2: b.diagonal(g, offset=offset, axis1=axis1, axis2=axis2))
copy("unfold_backward", "y", _unfold_backward, _shaped, {"shape": None, "axis": -1, "size": 1, "step": 1},
     y=lambda b, g, axis, size, step: b.unfold(g, axis=axis, size=size, step=step))
copy("as_strided_backward", "y", (_zeros, _as_strided_added), _shaped, {"shape": None, "strides": None, "offset": 0},
     y=lambda b, g, y_spec, strides, offset: b.as_strided(g, shape=y_spec.shape, strides=strides, offset=offset))
# fmt: on
