"""The window group, second half: max and average pooling over the last axes, adaptive too, and their gradients.

A gradient looks from an element at the few windows that hold it (see `window`) and adds up what they hand back, in the
order of the windows. Max pooling that is to have a gradient keeps where each maximum lies, as the number of the element in its
plane, row by row; the least number wins among equals, NaN before all. Average pooling is linear, so its two rows are each other's gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .composite import need_float, wide
from .op import Op, Spec, add_op
from .shared import Shape, both
from .window import Adaptive, Each, Sliding, attributes, check_each, each, fitting, joined, spatial, volume, windows

MAX = attributes(dilation=1, ceil_mode=False)
AVERAGE = attributes(ceil_mode=False, count_include_pad=True, divisor=None)
SHAPE: dict[str, Any] = {"shape": None}
SIZE: dict[str, Any] = {"size": (1,)}


def pool(
    name: str, operands: str, define: Callable[..., None], result: Callable[..., Sequence[Spec]], attrs: Mapping[str, Any],
    doc: str, outputs: str = "out", **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; ``gradient`` maps an operand to its rule."""
    return add_op(Op(name, "window", tuple(operands.split()), result, attrs, tuple(outputs.split()), define=define,
                     gradient=gradient, doc=doc))


# ---- the axes --------------------------------------------------------------------------------------------------------
def _rank(*values: Any) -> int:
    return max((len(v) for v in values if isinstance(v, tuple)), default=1)


def sliding(
    name: str, x: Spec, kernel: Each, stride: Each, padding: Each, dilation: Each = 1, ceil_mode: bool = False,
    count_include_pad: bool = True, **_: Any,
) -> tuple[Shape, list[Sliding]]:  # fmt: skip
    """The axes of ``x`` left of the pooled ones, and those; ValueError where the windows do not fit."""
    rank = _rank(kernel, stride, padding, dilation)
    lead, sizes = spatial(name, x, rank)
    check_each(name, rank, 1, kernel=kernel, stride=stride, dilation=dilation)
    check_each(name, rank, 0, padding=padding)
    numbers = [each(v, rank) for v in (kernel, stride, padding, dilation)]
    if any(2 * p > d * (k - 1) + 1 for k, _, p, d in zip(*numbers, strict=True)):
        raise ValueError(f"{name}: padding={padding!r} must be at most half of the window (kernel={kernel!r}, "
                         f"dilation={dilation!r})")
    rows = list(zip(sizes, *numbers, strict=True))
    counts = [windows(n, k, s, (p, p), d, ceil_mode) for n, k, s, p, d in rows]
    fitting(name, sizes, counts, numbers[0])
    axes = [Sliding(n, k, s, p, d, count, count_include_pad) for (n, k, s, p, d), count in zip(rows, counts, strict=True)]
    if any(a.misses for a in axes):
        raise ValueError(f"{name}: a window of kernel={kernel!r} and dilation={dilation!r} holds no element of spatial sizes "
                         f"{list(sizes)}; make the padding or the dilation smaller")
    return lead, axes


def adaptive(x: Spec, size: tuple[int, ...], **_: Any) -> tuple[Shape, list[Adaptive]]:
    """The axes of ``x`` left of the pooled ones, and those."""
    lead, sizes = spatial("adaptive pooling", x, len(size))
    if min(size) < 1 or min(sizes) < 1:
        raise ValueError(f"adaptive pooling of spatial sizes {list(sizes)} into {list(size)}: none of them may be below 1")
    return lead, [Adaptive(n, m) for n, m in zip(sizes, size, strict=True)]


def _axes(name: str, x: Spec, **attrs: Any) -> tuple[Shape, Sequence[Sliding | Adaptive]]:
    return adaptive(x, **attrs) if "size" in attrs else sliding(name, x, **attrs)


# ---- max -------------------------------------------------------------------------------------------------------------
def _values_spec(x: Spec, **attrs: Any) -> tuple[Spec, ...]:
    return _max_spec(x, **attrs)[:1]


def _max_spec(x: Spec, **attrs: Any) -> tuple[Spec, ...]:
    if x.dtype is dt.bool_:
        raise TypeError("max_pool does not take bool; convert the operand to another dtype")
    lead, axes = _axes("max_pool", x, **attrs)
    shape = (*lead, *(a.count for a in axes))
    return Spec.of(shape, x.dtype), Spec.of(shape, dt.int64)


def _max(d: Define, x: Operand, **attrs: Any) -> None:
    lead, axes = _axes("max_pool", Spec.of(x.shape, x.dtype), **attrs)
    at = d.axes(d.outputs[0].shape)
    taps = d.axes([a.taps for a in axes])
    places = [a.nearest(w, t) for a, w, t in zip(axes, at[len(lead) :], taps, strict=True)]
    number = joined(places, x.shape[len(lead) :]).cast(dt.int64)
    best = d.reduce("argmax", wide(x[(*at[: len(lead)], *places)]), number, over=taps)
    d.store(0, at, best)
    if len(d.outputs) > 1:
        d.store(1, at, d.component(best, 1, dt.int64))


def _max_backward(d: Define, grad: Operand, indices: Operand, shape: Shape, **attrs: Any) -> None:
    lead, axes = _axes("max_pool", Spec.of(shape, grad.dtype), **attrs)
    at = d.axes(shape)
    back = d.axes([a.seen for a in axes])
    found = [a.last(i) - j for a, i, j in zip(axes, at[len(lead) :], back, strict=True)]
    inside = both(*((w >= 0) & (w < a.count) for a, w in zip(axes, found, strict=True)))
    seen = [*at[: len(lead)], *found]
    here = indices.load(seen, inside, -1).eq(joined(at[len(lead) :], shape[len(lead) :]).cast(dt.int64))
    total = d.reduce("sum", where(here, wide(grad.load(seen, inside)), 0), over=back)
    d.store(0, at, total)


def _max_backward_spec(grad: Spec, indices: Spec, shape: Shape, **attrs: Any) -> tuple[Spec, ...]:
    (wanted, _) = _max_spec(Spec.of(shape, grad.dtype), **attrs)
    if grad.shape != wanted.shape or indices.shape != wanted.shape:
        raise ValueError(f"max_pool of shape {list(shape)} gives {list(wanted.shape)}; gradient and indices have "
                         f"{list(grad.shape)} and {list(indices.shape)}")
    return (Spec.of(shape, grad.dtype),)


def _picked(b: Any, g: Any, indices: Any, kernel: Each, stride: Each, padding: Each, dilation: Each) -> Any:
    return _at_places(b, g, indices, _rank(kernel, stride, padding, dilation))


def _at_places(b: Any, g: Any, indices: Any, rank: int) -> Any:
    """``g`` at the maxima: planes flattened, read at their numbers."""
    lead = g.shape[: g.ndim - rank]
    flat = b.gather(b.view(g, shape=(*lead, volume(g.shape[g.ndim - rank :]))),
                    b.view(indices, shape=(*lead, volume(indices.shape[g.ndim - rank :]))), axis=-1)
    return b.view(flat, shape=indices.shape)


# ---- average ---------------------------------------------------------------------------------------------------------
def _average_spec(x: Spec, **attrs: Any) -> tuple[Spec, ...]:
    need_float("avg_pool", x)
    lead, axes = _axes("avg_pool", x, **attrs)
    if attrs.get("divisor") == 0:
        raise ValueError("avg_pool: the divisor must not be zero")
    return (Spec.of((*lead, *(a.count for a in axes)), x.dtype),)


def _divisor(axes: Sequence[Sliding | Adaptive], window: Sequence[Expr], like: Expr, divisor: int | None) -> Expr:
    """What the sum over a window is divided by."""
    if divisor is not None:
        return const(divisor, like.dtype)
    size = const(1, dt.index)
    for a, w in zip(axes, window, strict=True):
        size = size * a.length(w)
    return size.cast(like.dtype)


def _average(d: Define, x: Operand, **attrs: Any) -> None:
    lead, axes = _axes("avg_pool", Spec.of(x.shape, x.dtype), **attrs)
    at = d.axes(d.outputs[0].shape)
    window, taps = at[len(lead) :], d.axes([a.taps for a in axes])
    found = [a.tap(w, t) for a, w, t in zip(axes, window, taps, strict=True)]
    value = wide(x.load([*at[: len(lead)], *(i for i, _ in found)], both(*(inside for _, inside in found))))
    total = d.reduce("sum", value, over=taps)
    d.store(0, at, total / _divisor(axes, window, total, attrs.get("divisor")), over=at)


def _average_backward(d: Define, grad: Operand, shape: Shape, **attrs: Any) -> None:
    lead, axes = _axes("avg_pool", Spec.of(shape, grad.dtype), **attrs)
    at = d.axes(shape)
    place, back = at[len(lead) :], d.axes([a.seen for a in axes])
    found = [a.last(i) - j for a, i, j in zip(axes, place, back, strict=True)]
    inside = both(*(a.holds(w, i) for a, w, i in zip(axes, found, place, strict=True)))
    share = wide(grad.load([*at[: len(lead)], *found], inside))
    term = share / where(inside, _divisor(axes, found, share, attrs.get("divisor")), 1)
    d.store(0, at, d.reduce("sum", term, over=back), over=at)


def _average_backward_spec(grad: Spec, shape: Shape, **attrs: Any) -> tuple[Spec, ...]:
    (wanted,) = _average_spec(Spec.of(shape, grad.dtype), **attrs)
    if grad.shape != wanted.shape:
        raise ValueError(f"the pooling of shape {list(shape)} gives {list(wanted.shape)}, not {list(grad.shape)}")
    return (Spec.of(shape, grad.dtype),)


# fmt: off
pool("max_pool", "x", _max, _values_spec, MAX, "The greatest of each window.",
     x=lambda b, g, x, x_spec, kernel, stride, padding, dilation, ceil_mode: b.max_pool_backward(g, b.max_pool_with_indices(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)[1], shape=x_spec.shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode))
pool("max_pool_with_indices", "x", _max, _max_spec, MAX, "The greatest of each window, and its number in the plane.", "out indices",
     x=lambda b, g, x_spec, indices, kernel, stride, padding, dilation, ceil_mode: b.max_pool_backward(g, indices, shape=x_spec.shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode))
pool("max_pool_backward", "grad indices", _max_backward, _max_backward_spec, SHAPE | MAX, "The gradient of max_pool's x: each window's, where its greatest lies.",
     grad=_picked)
pool("adaptive_max_pool", "x", _max, _max_spec, SIZE, "The greatest of each of `size` windows that cover the last axes, about equal in size, and its number in the plane.", "out indices",
     x=lambda b, g, x_spec, indices, size: b.adaptive_max_pool_backward(g, indices, shape=x_spec.shape, size=size))
pool("adaptive_max_pool_backward", "grad indices", _max_backward, _max_backward_spec, SHAPE | SIZE, "The gradient of adaptive_max_pool's x.",
     grad=lambda b, g, indices, size: _at_places(b, g, indices, len(size)))
pool("avg_pool", "x", _average, _average_spec, AVERAGE, "The mean of each window, or its sum over `divisor`.",
     x=lambda b, g, x_spec, kernel, stride, padding, ceil_mode, count_include_pad, divisor: b.avg_pool_backward(g, shape=x_spec.shape, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad, divisor=divisor))
pool("avg_pool_backward", "grad", _average_backward, _average_backward_spec, SHAPE | AVERAGE, "The gradient of avg_pool's x.",
     grad=lambda b, g, kernel, stride, padding, ceil_mode, count_include_pad, divisor: b.avg_pool(g, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad, divisor=divisor))
pool("adaptive_avg_pool", "x", _average, _average_spec, SIZE, "The mean of each of `size` windows that cover the last axes, about equal in size.",
     x=lambda b, g, x_spec, size: b.adaptive_avg_pool_backward(g, shape=x_spec.shape, size=size))
pool("adaptive_avg_pool_backward", "grad", _average_backward, _average_backward_spec, SHAPE | SIZE, "The gradient of adaptive_avg_pool's x.",
     grad=lambda b, g, size: b.adaptive_avg_pool(g, size=size))
# fmt: on
