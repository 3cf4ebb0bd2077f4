"""Gradients of slices on their way to the value that was cut.

Each alone would be laid among zeros as large as the whole and added to the others. The walk keeps them as they are until all
have come, and then puts them side by side: one pass over the whole, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ingot_devices.layout import Layout

Piece = tuple[int, int, int, Any]
"""(axis from the right, start, stop, gradient)."""


class Pieces:
    """Gradients of parts of a value of ``layout``, in the order in which they came."""

    __slots__ = ("layout", "parts")

    def __init__(self, layout: Layout, piece: Piece) -> None:
        self.layout = layout
        self.parts = [piece]

    def whole(self, builder: Any) -> tuple[Any, bool]:
        """The gradient of the whole value, and whether it is new."""
        parts = sorted((p for p in self.parts if p[2] > p[1]), key=lambda p: p[1])
        if len(parts) == 1 and parts[0][2] - parts[0][1] == self.layout.shape[parts[0][0]]:
            return parts[0][3], False
        if len(parts) > 1 and all(a[0] == b[0] and a[2] <= b[1] for a, b in pairwise(parts)):
            return self._joined(builder, parts), True
        made = None
        for axis, start, stop, g in self.parts:
            part = builder.slice_backward(g, shape=self.layout.shape, axis=axis, start=start, stop=stop, step=1)
            made = part if made is None else builder.add(made, part)
        return made, True

    def _joined(self, builder: Any, parts: list[Piece]) -> Any:
        """Parts that do not overlap, along one axis, with zeros in the gaps."""
        axis, at, made = parts[0][0], 0, list[Any]()
        end = self.layout.shape[axis]
        for _, start, stop, g in (*parts, (axis, end, end, None)):
            if start > at:
                made.append(self._nothing(builder, axis, start - at))
            made.append(g)
            at = stop
        return builder.cat(*made[:-1], axis=axis)

    def _nothing(self, builder: Any, axis: int, size: int) -> Any:
        """Zeros along ``size`` places of the axis, in the memory of one."""
        shape = list(self.layout.shape)
        shape[axis] = size
        nothing = builder.zeros(Layout.dense((1,) * len(shape), self.layout.dtype, self.layout.device))
        return builder.expand(nothing, shape=tuple(shape))


def _slice(builder: Any, layout: Layout, g: Any, axis: int, start: int, stop: int, step: int) -> Piece | None:
    return (axis, start, stop, g) if step == 1 else None


def _select(builder: Any, layout: Layout, g: Any, axis: int, index: int) -> Piece | None:
    shape = list(layout.shape)
    shape[axis] = 1
    return (axis, index, index + 1, builder.view(g, shape=tuple(shape)))


CUTS: dict[str, Callable[..., Piece | None]] = {"slice": _slice, "select": _select}
"""View ops that cut a part out along one axis: what their gradient is as a piece, or None where it is none."""


def piece_of(builder: Any, layout: Layout, name: str, attributes: tuple[Any, ...], g: Any) -> Pieces | None:
    """The gradient of a cut as a piece of the value that was cut."""
    found = CUTS[name](builder, layout, g, *attributes)
    return None if found is None else Pieces(layout, found)
