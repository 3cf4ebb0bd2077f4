"""Padding layers: `functional.pad` with its options kept, a row for each mode and number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ingot.nn import functional as F
from ingot.nn.modules.module import Module
from ingot.tensor import Tensor

Padding = int | Sequence[int]


class _Pad(Module):
    """``padding``: one number for all sides, or (before, after) for each axis, from the last on."""

    rank: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: Padding) -> None:
        super().__init__()
        sides = 2 * self.rank
        self.padding = (padding,) * sides if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != sides:
            raise ValueError(f"{self._get_name()}: padding must be one number, or {sides} of them, but got {padding!r}")

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self.rank + 1, self.rank + 2):
            raise ValueError(f"expected {self.rank + 1}D or {self.rank + 2}D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """With ``value``; the input may have any axes before the padded ones."""

    mode = "constant"

    def __init__(self, padding: Padding, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A number around the last axis."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """A number around the last two axes."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """A number around the last three axes."""

    rank = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Padding) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Zeros around the last axis."""

    rank = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two axes."""

    rank = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three axes."""

    rank = 3


class ReflectionPad1d(_Pad):
    """The input mirrored at its edges, which are not repeated: (N, C, L)."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The input mirrored at its edges, which are not repeated: (N, C, H, W)."""

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The input mirrored at its edges, which are not repeated: (N, C, D, H, W)."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The edges again: (N, C, L)."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edges again: (N, C, H, W)."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The edges again: (N, C, D, H, W)."""

    rank, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The input from its other end: (N, C, L)."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The input from its other ends: (N, C, H, W)."""

    rank, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The input from its other ends: (N, C, D, H, W)."""

    rank, mode = 3, "circular"
