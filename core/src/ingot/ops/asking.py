"""What can be said of tensors, dtypes and shapes without computing anything."""

from __future__ import annotations

from typing import Any

from ingot_devices import layout as layouts
from ingot_devices.dtypes import DType

from ..layouts import Size
from .common import whole


def is_complex(input: Any) -> bool:
    """True for a tensor of a complex dtype."""
    return bool(input.dtype.is_complex)


def is_signed(input: Any) -> bool:
    """True for a tensor whose dtype has negative numbers."""
    return bool(input.dtype.is_signed)


def is_nonzero(input: Any) -> bool:
    """True where the one element is not 0; waits for the device."""
    if input.numel() != 1:
        what = "no values" if not input.numel() else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
    return bool(input.item())


def is_same_size(input: Any, other: Any) -> bool:
    """True for tensors of one shape."""
    return bool(input._layout.shape == other._layout.shape)


_RANKS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def can_cast(from_: Any, to: Any) -> bool:
    """True where results of the dtype ``from_`` may be written into tensors of ``to``: no category is lost."""
    for name, given in (("from_", from_), ("to", to)):
        if not isinstance(given, DType):
            raise TypeError(f"can_cast(): argument '{name}' must be a dtype such as ingot.float32, not {type(given).__name__}")
    ranks = _RANKS[from_.kind], _RANKS[to.kind]
    return ranks[0] <= ranks[1]


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes (or sizes of one axis) broadcast to."""
    try:
        made = layouts.broadcast_shapes(*(tuple(map(whole, s)) if isinstance(s, list | tuple) else (whole(s),) for s in shapes))
    except ValueError as error:
        raise RuntimeError(f"Shape mismatch: objects cannot be broadcast to a single shape: {error}") from None
    return Size(made)


def ndimension(self: Any) -> int:
    """The number of axes."""
    return len(self._layout.shape)


FUNCTIONS = {f.__name__: f for f in (broadcast_shapes, can_cast, is_complex, is_nonzero, is_same_size, is_signed)}
ALONE = frozenset({"broadcast_shapes", "can_cast"})
METHODS = {"ndimension": ndimension}
