"""Moves between devices and dtypes: what ``to()`` is asked for, the copy, and the node whose gradient goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.context import state
from ingot_devices.layout import Layout
from ingot_devices.transfer import copy_view

from .autograd.node import Node, next_seq
from .base import TensorBase
from .devices import device as device_name
from .devices import device_of, open_device
from .ops import creation
from .ops.common import check_dtype, run


class MoveNode(Node):
    """One edge, and the open device that it leads to."""

    def __init__(self, edge: Any, home: Any, seq: int) -> None:
        self.edges, self.home, self.seq = (edge,), home, seq

    @property
    def name(self) -> str:
        return "ToCopyBackward"

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        return (grads[0].to(device_of(self.home)),)


def destination(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, bool]:
    """(device or None, dtype or None, copy) of ``to``'s arguments."""
    target, dtype = kwargs.get("device"), kwargs.get("dtype")
    for a in args:
        if isinstance(a, dt.DType) or a in (float, int, bool):
            dtype = a
        elif isinstance(a, TensorBase):
            target, dtype = device_of(a._layout.device), a._layout.dtype
        elif isinstance(a, bool) or a is None:
            continue
        else:
            target = a
    if isinstance(target, int) and not isinstance(target, bool):
        target = device_name(target)
    return target, check_dtype(dtype), bool(kwargs.get("copy", False))


def moved(x: Any, opened: Any) -> Any:
    """``x`` on another device; the gradient moves back."""
    if x._layout.device.axes:
        raise RuntimeError("vmap: a tensor cannot be moved to another device inside; move it before the call")
    layout = Layout.dense(x._layout.shape, x._layout.dtype, opened)
    block, native = opened.pool.fresh(layout)
    made = TensorBase.kind.make(block, layout, 0, native)
    source = x if x._layout.is_dense else run("copy", x.detach())
    copy_view(made, source)
    if state.context.grad and x._edge is not None:
        made._edge = (MoveNode(x._edge, x._layout.device, next_seq()), 0)
    return made


def sent(x: Any, target: Any, dtype: Any, copy: bool) -> Any:
    """``x`` in ``dtype`` on device ``target``, where they are given. It is cast where it is, or there if it cannot be here."""
    home = x._layout.device
    stays = target is None or (home.axes and device_name(target) == device_of(home))
    opened = home if stays else open_device(target)
    if dtype is not None and dtype is not x._layout.dtype:
        if opened is not home and home.limits.dtype_class(dtype).kind == "refused":
            return run("cast", moved(x, opened), dtype=dtype)
        x, copy = run("cast", x, dtype=dtype), False
    if opened is not home:
        return moved(x, opened)
    return run("copy", x) if copy else x


def rebuild(array: Any, place: str, requires_grad: bool) -> Any:
    """A tensor from what a pickle holds of it."""
    made = creation.from_array(array, dt.from_numpy(array.dtype), place)
    return made.requires_grad_() if requires_grad else made
