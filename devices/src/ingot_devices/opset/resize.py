"""The window group, third part: spatial axes resized by interpolation, and the gradient, each in one launch for all axes.

An output element reads a few neighbours of the place where it lies in the input (`Resized.tap`); an element of the input
gathers what the outputs around it read of it (`Resized.share`), in parallel and always in one order. The op is linear, so its two
rows are each other's gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .composite import need_float, wide
from .op import Spec
from .pool import pool
from .shared import Shape, both
from .window import spatial, within

KINDS = {"nearest": (1, 0), "nearest-exact": (1, 0), "linear": (2, 0), "cubic": (4, -1)}
"""Kind → (elements that are read, the first of them from the place down)."""
SHARPNESS = -0.75  # Keys' a


@dataclass(frozen=True)
class Resized:
    """One axis of ``size`` elements resized to ``count``: element o lies at about o·``scale``."""

    size: int
    count: int
    scale: float
    kind: str
    corners: bool  # the first and the last elements lie upon each other, not their edges

    @property
    def taps(self) -> int:
        """How many elements an output reads."""
        return KINDS[self.kind][0]

    @property
    def middle(self) -> bool:
        """Whether the middle of an element is its place, not its beginning."""
        return not self.corners and self.kind != "nearest"

    def place(self, o: Expr, work: DType) -> Expr:
        """Where output ``o`` lies."""
        at = o.cast(work)
        at = (at + 0.5) * self.scale if self.middle else at * self.scale
        if self.kind in ("linear", "cubic") and self.middle:
            at = at - 0.5
        return s.maximum(at, 0) if self.kind == "linear" else at

    def tap(self, o: Expr, t: Expr | int, work: DType) -> tuple[Expr, Expr | None]:
        """The ``t``-th element that output ``o`` reads, and its weight; None for 1."""
        at = self.place(o, work)
        down = s.floor(at)
        i = down.cast(dt.index) + t + KINDS[self.kind][1]
        i = where(i < 0, const(0, dt.index), where(i >= self.size, const(self.size - 1, dt.index), i))
        return i, self._weight(at - down, t, work)

    def _weight(self, part: Expr, t: Expr | int, work: DType) -> Expr | None:
        """Of the ``t``-th element, where the place is ``part`` of the way from one element to the next."""
        if self.kind == "linear":
            return (part if t else 1 - part) if isinstance(t, int) else where(t.eq(0), 1 - part, part)
        if self.kind != "cubic":
            return None
        number = const(t, work) if isinstance(t, int) else t.cast(work)
        x, a = s.absolute(part + 1 - number), SHARPNESS
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        return where(x <= 1, near, ((x - 5) * a * x + 8 * a) * x - 4 * a)

    @property
    def times(self) -> int:
        """How many outputs there are for an element, where that is a whole number everywhere; else 0."""
        whole, rest = divmod(self.count, self.size)
        return whole if not (rest or self.corners) and whole and self.scale == 1 / whole else 0

    @property
    def seen(self) -> int:
        """The most outputs that read one element; 3 more where it is not known exactly which they are."""
        if self.times:
            return min(self.count, self.taps * self.times)
        return min(self.count, math.ceil(self.taps / self.scale) + 3) if self.scale > 0 else self.count

    def output(self, i: Expr, j: Expr, work: DType) -> tuple[Expr, Expr]:
        """The ``j``-th output that may read element ``i``, and whether there is such a one.

        Those that do lie at places from i - ``before`` to ``taps`` further, and `place` solved for the output says which they are.
        """
        if self.seen == self.count:
            return j, const(True, dt.bool_)
        before = self.taps + KINDS[self.kind][1] - 1
        if self.times:
            first = i * self.times - (2 * before - 1) * self.times // 2 if before else i * self.times
            return first + j, within(first + j, self.count, -self.count, 2 * self.count)
        half = 0.5 if self.middle else 0.0
        shift = half if self.taps > 1 else 0.0
        o = s.floor((i.cast(work) + (shift - before)) * (1 / self.scale) - half).cast(dt.index) - 1 + j
        return o, within(o, self.count, -1, self.count)

    def share(self, i: Expr, o: Expr, work: DType) -> Expr:
        """The weight of element ``i`` in output ``o``."""
        total = const(0, work)
        for t in range(self.taps):
            at, weight = self.tap(o, t, work)
            total = total + where(at.eq(i), const(1, work) if weight is None else weight, const(0, work))
        return total


def resized(x: Spec, sizes: Shape, scales: tuple[float, ...], kind: str, corners: bool) -> tuple[Shape, list[Resized]]:
    """The axes of ``x`` left of the resized ones, and those."""
    lead, before = spatial("resize", x, len(sizes))
    if kind not in KINDS:
        raise ValueError(f"resize knows no kind {kind!r}; there are {', '.join(KINDS)}")
    if min(sizes) < 1 or min(before) < 1:
        raise ValueError(f"resize of spatial sizes {list(before)} to {list(sizes)}: none of them may be below 1")
    return lead, [Resized(*each, kind, corners) for each in zip(before, sizes, scales, strict=True)]


def _spec(x: Spec, sizes: Shape, scales: tuple[float, ...], kind: str, corners: bool) -> tuple[Spec, ...]:
    lead, _ = resized(x, sizes, scales, kind, corners)
    if not kind.startswith("nearest"):
        need_float(f"resize by {kind} interpolation", x)
    return (Spec.of((*lead, *sizes), x.dtype),)


def _work(x: Operand) -> DType:
    return dt.compute_dtype(x.dtype) if x.dtype.kind == "f" else dt.float32


def _product(weights: Sequence[Expr | None], value: Expr) -> Expr:
    for w in weights:
        value = value if w is None else value * w
    return value


def _resize(d: Define, x: Operand, sizes: Shape, scales: tuple[float, ...], kind: str, corners: bool) -> None:
    lead, axes = resized(Spec.of(x.shape, x.dtype), sizes, scales, kind, corners)
    at = d.axes((*lead, *sizes))
    taps = d.axes([a.taps for a in axes])
    found = [a.tap(o, t, _work(x)) for a, o, t in zip(axes, at[len(lead) :], taps, strict=True)]
    value = x[(*at[: len(lead)], *(i for i, _ in found))]
    if axes[0].taps > 1:
        value = d.reduce("sum", _product([w for _, w in found], wide(value)), over=taps)
    d.store(0, at, value, over=at)


def _back_spec(grad: Spec, shape: Shape, **how: Any) -> tuple[Spec, ...]:
    (wanted,) = _spec(Spec.of(shape, grad.dtype), **how)
    if grad.shape != wanted.shape:
        raise ValueError(f"resizing shape {list(shape)} gives {list(wanted.shape)}, not {list(grad.shape)}")
    return (Spec.of(shape, grad.dtype),)


def _back(
    d: Define, grad: Operand, shape: Shape, sizes: Shape, scales: tuple[float, ...], kind: str, corners: bool
) -> None:
    lead, axes = resized(Spec.of(shape, grad.dtype), sizes, scales, kind, corners)
    work, at = _work(grad), d.axes(shape)
    places, back = at[len(lead) :], d.axes([a.seen for a in axes])
    outputs = [a.output(i, j, work) for a, i, j in zip(axes, places, back, strict=True)]
    seen = wide(grad.load([*at[: len(lead)], *(o for o, _ in outputs)], both(*(inside for _, inside in outputs))))
    shares = [a.share(i, o, work) for a, i, (o, _) in zip(axes, places, outputs, strict=True)]
    d.store(0, at, d.reduce("sum", _product(shares, seen), over=back), over=at)


HOW: dict[str, Any] = {"sizes": None, "scales": None, "kind": "nearest", "corners": False}
# fmt: off
pool("resize", "x", _resize, _spec, HOW, "The last axes resized to `sizes`, by the kind of interpolation; `scales` are input elements for each of the output.",
     x=lambda b, g, x_spec, sizes, scales, kind, corners: b.resize_backward(g, shape=x_spec.shape, sizes=sizes, scales=scales, kind=kind, corners=corners))
pool("resize_backward", "grad", _back, _back_spec, {"shape": None} | HOW, "The gradient of resize's x.",
     grad=lambda b, g, sizes, scales, kind, corners: b.resize(g, sizes=sizes, scales=scales, kind=kind, corners=corners))
# fmt: on
