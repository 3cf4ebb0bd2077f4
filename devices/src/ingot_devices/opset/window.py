"""What rows that look through windows share: sizes, and which elements a window holds, as index expressions.

A window op has its spatial axes last. Its attributes give one number for each of them, or one for all. `Sliding` and
`Adaptive` are one axis seen by pooling, from both sides: the elements of a window (forward), and the windows that hold an
element (backward). So a gradient is a sum over few windows for each element, in parallel and always in one order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.expr import Expr, where
from .op import Spec
from .shared import Shape, both

Each = int | tuple[int, ...]
Pads = int | tuple[tuple[int, int], ...]


def each(value: Each, rank: int) -> tuple[int, ...]:
    """``value`` for each of ``rank`` axes."""
    return (value,) * rank if isinstance(value, int) else value


def pads(value: Pads, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each of ``rank`` axes."""
    return ((value, value),) * rank if isinstance(value, int) else value


def check_each(name: str, rank: int, least: int, **attributes: Each) -> None:
    """ValueError unless every attribute has ``rank`` numbers, none below ``least``."""
    for key, value in attributes.items():
        given = each(value, rank)
        if len(given) != rank or min(given, default=least) < least:
            raise ValueError(f"{name}: {key}={value!r} must be {rank} whole numbers, one for each spatial axis, none "
                             f"below {least}")


def windows(size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int, ceil_mode: bool = False) -> int:
    """How many windows fit along an axis. With ``ceil_mode`` the last may hang over, if it begins before the padding
    after the axis."""
    room = size + sum(pad) - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + pad[0] else count


def fitting(name: str, sizes: Shape, counts: Sequence[int], kernel: Sequence[int]) -> Shape:
    """``counts`` as a shape; ValueError where not one window fits."""
    if min(counts, default=1) < 1:
        raise ValueError(f"{name}: windows of {list(kernel)} do not fit spatial sizes {list(sizes)}, with their padding and "
                         "dilation; make the input or the padding larger, or the kernel smaller")
    return tuple(counts)


def spatial(name: str, x: Spec, rank: int) -> tuple[Shape, Shape]:
    """The shape of ``x`` left of its ``rank`` spatial axes, and their sizes."""
    if x.ndim < rank:
        raise ValueError(f"{name} over {rank} spatial axes does not fit an operand of shape {list(x.shape)}")
    cut = x.ndim - rank
    return x.shape[:cut], x.shape[cut:]


def split(flat: Expr, extents: Sequence[int]) -> tuple[Expr, ...]:
    """The indices behind the number ``flat`` of an element of ``extents``, row by row."""
    found: list[Expr] = []
    for n in reversed(extents[1:]):
        found.append(flat % n)
        flat = flat // n
    return (flat, *reversed(found))


def joined(at: Sequence[Expr], extents: Sequence[int]) -> Expr:
    """The number of the element ``at``, row by row: the inverse of `split`."""
    flat = at[0]
    for i, n in zip(at[1:], extents[1:], strict=True):
        flat = flat * n + i
    return flat


def within(i: Expr, size: int, least: int, most: int) -> Expr:
    """``0 ≤ i < size`` for an index known to lie in [least, most]: what is certain is not asked."""
    asked = [i >= 0] if least < 0 else []
    asked += [i < size] if most >= size else []
    return both(*asked)


def lesser(a: Expr | int, b: Expr) -> Expr:
    """The smaller of two indices."""
    return where(b > a, a, b)


def greater(a: Expr | int, b: Expr) -> Expr:
    """The larger of two indices."""
    return where(b < a, a, b)


@dataclass(frozen=True)
class Sliding:
    """One axis under windows of ``kernel`` elements, ``dilation`` apart, one every ``stride``; ``count`` of them."""

    size: int
    kernel: int
    stride: int
    pad: int
    dilation: int
    count: int
    count_pad: bool = True

    @property
    def taps(self) -> int:
        """The most elements that a window has."""
        return self.kernel

    @property
    def seen(self) -> int:
        """The most windows that hold one element."""
        return -(-(self.dilation * (self.kernel - 1) + 1) // self.stride)

    @property
    def misses(self) -> bool:
        """True where some window, dilated, steps over every element."""
        starts = (w * self.stride - self.pad for w in range(self.count) if self.dilation > 1)
        return any(x + max(-(x // self.dilation), 0) * self.dilation >= self.size for x in starts)

    def start(self, window: Expr) -> Expr:
        """Where a window begins; negative inside the padding."""
        return window * self.stride - self.pad

    def last(self, i: Expr) -> Expr:
        """The last window that may hold element ``i``, which need not exist."""
        return (i + self.pad) // self.stride

    def tap(self, window: Expr, t: Expr) -> tuple[Expr, Expr]:
        """Element ``t`` of a window, and whether it exists."""
        i = self.start(window) + t * self.dilation
        most = (self.count - 1) * self.stride - self.pad + (self.kernel - 1) * self.dilation
        return i, within(i, self.size, -self.pad, most)

    def nearest(self, window: Expr, t: Expr) -> Expr:
        """Element ``t`` of a window, or in its place the nearest that exists: no greatest value is changed by that."""
        first, d = self.start(window), self.dilation
        if self.pad:
            t = greater((d - 1 - first) // d, t)
        if (self.count - 1) * self.stride - self.pad + (self.kernel - 1) * d >= self.size:
            t = lesser((self.size - 1 - first) // d, t)
        return first + t * d

    def holds(self, window: Expr, i: Expr) -> Expr:
        """Whether a window (an undilated one) exists and holds element ``i``."""
        most = (self.size - 1 + self.pad) // self.stride
        exists = within(window, self.count, 1 - self.seen, most)
        return both(exists, i < self.start(window) + self.kernel) if self.kernel % self.stride else exists

    def length(self, window: Expr) -> Expr:
        """How many elements are counted for a window: the padding too, where that is wanted, but nothing beyond it."""
        start = self.start(window)
        end = lesser(self.size + self.pad, start + self.kernel) if self._overhangs(self.pad) else start + self.kernel
        if not self.count_pad:
            end = lesser(self.size, end) if self._overhangs(0) else end
            start = greater(0, start) if self.pad else start
        return end - start

    def _overhangs(self, pad: int) -> bool:
        return (self.count - 1) * self.stride - self.pad + self.kernel > self.size + pad


@dataclass(frozen=True)
class Adaptive:
    """One axis cut into ``count`` windows of about equal size: [⌊o·size/count⌋, ⌈(o+1)·size/count⌉)."""

    size: int
    count: int

    @property
    def taps(self) -> int:
        """The most elements that a window has."""
        return max((-(-(o + 1) * self.size // self.count) - o * self.size // self.count for o in range(self.count)), default=0)

    @property
    def seen(self) -> int:
        """The most windows that hold one element."""
        n, m = self.size, self.count
        return max((-(-(i + 1) * m // n) - i * m // n for i in range(n)), default=0)

    def start(self, window: Expr) -> Expr:
        """Where a window begins."""
        return window * self.size // self.count

    def stop(self, window: Expr) -> Expr:
        """Where a window ends."""
        return ((window + 1) * self.size + (self.count - 1)) // self.count

    def nearest(self, window: Expr, t: Expr) -> Expr:
        """Element ``t`` of a window, or in its place the last one."""
        return lesser(self.stop(window) - 1, self.start(window) + t)

    def last(self, i: Expr) -> Expr:
        """The last window that holds element ``i``."""
        return ((i + 1) * self.count + (self.size - 1)) // self.size - 1

    def tap(self, window: Expr, t: Expr) -> tuple[Expr, Expr]:
        """Element ``t`` of a window, and whether it has so many."""
        i = self.start(window) + t
        return i, i < self.stop(window)

    def holds(self, window: Expr, i: Expr) -> Expr:
        """Whether a window exists and holds element ``i``."""
        return both(window >= 0, i < self.stop(window))

    def length(self, window: Expr) -> Expr:
        """How many elements a window has."""
        return self.stop(window) - self.start(window)


def volume(extents: Sequence[int]) -> int:
    """The number of elements of ``extents``."""
    return math.prod(extents)


def attributes(**defaults: Any) -> dict[str, Any]:
    """The attributes of windows, and others."""
    return {"kernel": 1, "stride": 1, "padding": 0, **defaults}
