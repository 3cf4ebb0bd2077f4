"""Memory of an old gradient that a replay lets go and wants again at once, for the new one.

Used by `replaying`. Taking it from the pool anew costs more than what a small step computes. It is handed on only where nobody
else holds it: a tensor, a view, a NumPy array or an export adds a reference to the block or to its array, and CPython counts
them.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

from ingot_devices.layout import Layout
from ingot_devices.memory.pool import ATOMIC, Pool


class _Sample:
    """A tensor with a gradient, and a block with a handle, of which nobody else knows."""

    def __init__(self, depth: int = 2) -> None:
        self.handle = object()
        self.grad = self._block = _Sample(depth - 1) if depth else None


def _alone() -> tuple[int, int]:
    """What `keeper`'s function counts where nobody else has block or handle: how variables and arguments count differs between
    versions of CPython."""
    holder = _Sample()
    grad: Any = holder.grad
    holder.grad = None
    holder._block = None
    block = grad._block
    del grad
    handle = block.handle
    return getrefcount(block), getrefcount(handle)


def keeper(pool: Pool, layout: Layout) -> Callable[[Any], Any] | None:
    """A function that takes the gradient of a tensor away and returns its block, or None if that cannot serve for ``layout``.

    None instead of a function where blocks do not come straight from NumPy: there the pool has the memory back as quickly.
    """
    if not (ATOMIC and pool.makes_arrays(layout)):
        return None
    kind, shape, dtype, count = pool.block_type, layout.shape, layout.dtype.numpy, getrefcount
    blocks, handles = _alone()

    def keep(holder: Any) -> Any:
        grad = holder.grad
        if grad is None:
            return None
        holder.grad = None
        block = grad._block
        del grad
        if type(block) is not kind:
            return None
        handle = block.handle
        if count(block) == blocks and count(handle) == handles and handle.shape == shape and handle.dtype is dtype:
            block.version = 0
            return block
        return None

    return keep
