"""The window group, first half: convolution over any number of spatial axes, and its two gradients.

All three are one trilinear form T(x, w, g) = Σ x·w·g in turn solved for each of its factors, so they are closed under
differentiation:

    convolution(x, w) = ∂T/∂g        convolution_input(g, w) = ∂T/∂x        convolution_weight(g, x) = ∂T/∂w

Each is a contraction of two operands: one sum stage over a product. The pixels are one axis, and so are the channels with
the taps of the kernel; quotients and remainders find the place in the other operand (the implicit form of what Chellapilla,
Puri and Simard, 2006, do with a matrix in memory). `codegen.bind` makes plain strides of them where memory allows it.
Shapes are (N, C, spatial…) and (O, C / groups, taps…); nothing is flipped: it is what the field calls a convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import Expr
from .op import Op, Spec, add_op
from .shared import Shape, both
from .window import Each, Pads, check_each, each, fitting, pads, split, volume, windows, within

HOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
"""``padding`` is one number, or (before, after) for each spatial axis."""


def convolution(
    name: str, operands: str, define: Callable[..., None], result: Callable[..., Spec], doc: str, shaped: bool = True,
    **gradient: Callable[..., Any],
) -> Op:  # fmt: skip
    """Add a row; a ``shaped`` one has the attribute ``shape`` of its result."""

    def results(*specs: Spec | None, **attrs: Any) -> tuple[Spec, ...]:
        found = {s.dtype for s in specs if s is not None}
        if len(found) > 1 or next(iter(found)).kind != "f":
            names = " and ".join(s.dtype.name for s in specs if s is not None)
            raise TypeError(f"{name} takes operands of one floating point dtype; given: {names}. Convert one of them first")
        return (result(*specs, **attrs),)

    return add_op(Op(name, "window", tuple(operands.split()), results, ({"shape": None} if shaped else {}) | HOW, define=define,
                     gradient=gradient, doc=doc))


# ---- shapes ----------------------------------------------------------------------------------------------------------
def _counts(
    x: Shape, weight: Shape, stride: Each, padding: Pads, dilation: Each, groups: int
) -> Shape:
    """The spatial sizes of what a convolution of these shapes gives."""
    rank = len(x) - 2
    if rank < 1 or len(weight) != len(x):
        raise ValueError(f"a convolution takes an input (N, C, spatial…) and a weight (O, C / groups, taps…) of as many axes, "
                         f"at least 3; shapes {list(x)} and {list(weight)} were given")
    if groups < 1 or x[1] != weight[1] * groups or weight[0] % groups:
        raise ValueError(f"a weight of shape {list(weight)} does not fit {x[1]} channels in {groups} groups: it needs "
                         f"{x[1]} / {groups} channels and a multiple of {groups} outputs")
    check_each("convolution", rank, 1, stride=stride, dilation=dilation)
    if len(pads(padding, rank)) != rank or min(n for pair in pads(padding, rank) for n in pair) < 0:
        raise ValueError(f"convolution: padding={padding!r} must be one number, or (before, after) for each of {rank} axes, "
                         "none of them negative")
    counts = [windows(*of) for of in zip(x[2:], weight[2:], each(stride, rank), pads(padding, rank), each(dilation, rank),
                                         strict=True)]  # fmt: skip
    return fitting("convolution", x[2:], counts, weight[2:])


def _forward_spec(x: Spec, weight: Spec, bias: Spec | None, **how: Any) -> Spec:
    counts = _counts(x.shape, weight.shape, **how)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"a bias of shape {list(bias.shape)} does not fit {weight.shape[0]} outputs")
    return Spec.of((x.shape[0], weight.shape[0], *counts), x.dtype)


def _gradient_spec(grad: Spec, x: Shape, weight: Shape, **how: Any) -> None:
    """ValueError unless ``grad`` is shaped as what the convolution of ``x`` and ``weight`` gives."""
    wanted = (x[0], weight[0], *_counts(x, weight, **how))
    if grad.shape != wanted:
        raise ValueError(f"the convolution of shapes {list(x)} and {list(weight)} gives {list(wanted)}, not {list(grad.shape)}")


def _input_spec(grad: Spec, weight: Spec, shape: Shape, **how: Any) -> Spec:
    _gradient_spec(grad, shape, weight.shape, **how)
    return Spec.of(shape, grad.dtype)


def _weight_spec(grad: Spec, x: Spec, shape: Shape, **how: Any) -> Spec:
    _gradient_spec(grad, x.shape, shape, **how)
    return Spec.of(shape, grad.dtype)


# ---- definitions -----------------------------------------------------------------------------------------------------
def _seen(
    pixel: Sequence[Expr], tap: Sequence[Expr], counts: Shape, kernel: Shape, sizes: Shape, stride: Each, padding: Pads,
    dilation: Each,
) -> tuple[list[Expr], Expr]:  # fmt: skip
    """Where in the input the taps of the windows at ``pixel`` lie, and whether that is inside."""
    rank = len(pixel)
    places, inside = [], []
    rows = zip(pixel, tap, counts, kernel, sizes, each(stride, rank), pads(padding, rank), each(dilation, rank), strict=True)
    for p, t, count, k, size, s, (before, _), d in rows:
        places.append(p * s + t * d - before)
        inside.append(within(places[-1], size, -before, (count - 1) * s + (k - 1) * d - before))
    return places, both(*inside)


def _product(d: Define, x: Expr, y: Expr, over: Sequence[Expr]) -> Expr:
    work = dt.accumulate_dtype(x.dtype)
    return d.reduce("sum", x.cast(work) * y.cast(work), over=over)


def _forward(
    d: Define, x: Operand, weight: Operand, bias: Operand | None, stride: Each, padding: Pads, dilation: Each, groups: int
) -> None:
    (inner, *kernel), counts = weight.shape[1:], d.outputs[0].shape[2:]
    outputs = weight.shape[0] // groups
    n, g, o, p, k = d.axes((x.shape[0], groups, outputs, volume(counts), inner * volume(kernel)))
    pixel, (c, *tap) = split(p, counts), split(k, weight.shape[1:])
    places, inside = _seen(pixel, tap, counts, tuple(kernel), x.shape[2:], stride, padding, dilation)
    total = _product(d, weight[(g * outputs + o, c, *tap)], x.load([n, g * inner + c, *places], inside), [k])
    if bias is not None:
        total = total + bias[g * outputs + o].cast(total.dtype)
    d.store(0, [n, g * outputs + o, *pixel], total, over=[n, g, o, p])


def _input(
    d: Define, grad: Operand, weight: Operand, shape: Shape, stride: Each, padding: Pads, dilation: Each, groups: int
) -> None:
    rank, counts, kernel = len(shape) - 2, grad.shape[2:], weight.shape[2:]
    outputs, inner = weight.shape[0] // groups, weight.shape[1]
    n, g, c, i, k = d.axes((shape[0], groups, inner, volume(shape[2:]), outputs * volume(kernel)))
    place, (o, *turned) = split(i, shape[2:]), split(k, (outputs, *kernel))  # taps from the last on: no number is negative
    pixel, tap, inside = [], [], []
    rows = zip(place, turned, counts, kernel, shape[2:], each(stride, rank), pads(padding, rank), each(dilation, rank), strict=True)
    for at, t, count, taps, size, s, (before, _), apart in rows:
        first = before - (taps - 1) * apart
        ahead = -(min(first, 0) // s)
        reach = at + t * apart + (first + ahead * s)  # s times the window that sees `at` through this tap, and `ahead` more
        pixel.append(reach // s - ahead)
        tap.append(taps - 1 - t)
        inside.append(within(pixel[-1], count, first // s, (size - 1 + before) // s))
        inside += [(reach % s).eq(0)] if s > 1 else []
    seen = grad.load([n, g * outputs + o, *pixel], both(*inside))
    d.store(0, [n, g * inner + c, *place], _product(d, weight[(g * outputs + o, c, *tap)], seen, [k]), over=[n, g, c, i])


def _weight(
    d: Define, grad: Operand, x: Operand, shape: Shape, stride: Each, padding: Pads, dilation: Each, groups: int
) -> None:
    outputs, inner, counts = shape[0] // groups, shape[1], grad.shape[2:]
    g, o, k, n, p = d.axes((groups, outputs, volume(shape[1:]), x.shape[0], volume(counts)))
    pixel, (c, *tap) = split(p, counts), split(k, shape[1:])
    places, inside = _seen(pixel, tap, counts, shape[2:], x.shape[2:], stride, padding, dilation)
    seen = x.load([n, g * inner + c, *places], inside)
    d.store(0, [g * outputs + o, c, *tap], _product(d, grad[(n, g * outputs + o, *pixel)], seen, [n, p]), over=[g, o, k])


# ---- gradients -------------------------------------------------------------------------------------------------------
def _to_input(b: Any, g: Any, x_spec: Spec, weight: Any, stride: Each, padding: Pads, dilation: Each, groups: int) -> Any:
    return b.convolution_input(g, weight, shape=x_spec.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _to_weight(b: Any, g: Any, x: Any, weight_spec: Spec, stride: Each, padding: Pads, dilation: Each, groups: int) -> Any:
    return b.convolution_weight(g, x, shape=weight_spec.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)


def over_channels(b: Any, g: Any) -> Any:
    """The sum over all axes but the channels (axis 1)."""
    axes = tuple(a for a in range(-g.ndim, 0) if a != 1 - g.ndim)
    return b.sum(g, axes=axes, keepdim=False)


# fmt: off
convolution("convolution", "x weight bias?", _forward, _forward_spec, "Σ over channels and taps of x·weight, plus bias: (N, C, …), (O, C / groups, …), (O) → (N, O, …).",
            shaped=False, x=_to_input, weight=_to_weight, bias=over_channels)
convolution("convolution_input", "grad weight", _input, _input_spec, "The gradient of convolution's x, of the given shape; by itself, a transposed convolution.",
            grad=lambda b, g, weight, stride, padding, dilation, groups: b.convolution(g, weight, None, stride=stride, padding=padding, dilation=dilation, groups=groups),
            weight=lambda b, g, grad, weight_spec, stride, padding, dilation, groups: _to_weight(b, grad, g, weight_spec, stride, padding, dilation, groups))
convolution("convolution_weight", "grad x", _weight, _weight_spec, "The gradient of convolution's weight, of the given shape.",
            grad=lambda b, g, x, stride, padding, dilation, groups: b.convolution(x, g, None, stride=stride, padding=padding, dilation=dilation, groups=groups),
            x=lambda b, g, grad, x_spec, stride, padding, dilation, groups: _to_input(b, grad, x_spec, g, stride, padding, dilation, groups))
# fmt: on
