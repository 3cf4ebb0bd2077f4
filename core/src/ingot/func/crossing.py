"""Into lanes and out of them: the views that `vmap` begins and ends with, and their nodes on the tape.

``enter`` takes the first axis of a tensor away, ``leave`` brings it back, ``share`` lets a tensor be the same in all lanes (its
gradient is the sum over them). Nothing is copied. Axes lie one upon the other by age, so that a tensor has one device whatever
way it came: where a younger axis is in the way, it is left first and entered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingot_devices.context import state
from ingot_devices.layout import Layout, bottom

from ..autograd.node import Node, next_seq
from ..base import TensorBase
from ..cpu import KIND as CPU
from ..devices import device_of
from ..ops.shape import movedim
from .lanes import Axis, LaneBlock, Lanes, is_shared, lanes_of


class _Crossing(Node):
    """A node with one edge; ``session`` keeps the axis."""

    def __init__(self, edge: Any, axis: Axis) -> None:
        self.edges, self.axis, self.session, self.seq = (edge,), axis, axis.session, next_seq()


class EnterNode(_Crossing):
    """The gradient of `enter` leaves."""

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        return (leave(grads[0], self.axis),)


class ShareNode(_Crossing):
    """The gradient of `share` leaves, and is summed over the lanes."""

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        return (leave(grads[0], self.axis).sum(0),)


class LeaveNode(_Crossing):
    """The gradient of `leave` enters."""

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        return (enter(grads[0], self.axis),)


def _crossed(made: Any, x: Any, node: type[_Crossing], axis: Axis) -> Any:
    """``made`` of ``x``, on the tape."""
    if x._inference:
        made._inference = True
    if state.context.grad and x._edge is not None:
        made._edge = (node(x._edge, axis), 0)
    return made


def _into(x: Any, axis: Axis, first: bool) -> Any:
    """``x`` on lanes of ``axis``, which is younger than its own: with its first axis as the lanes, or the same in all."""
    layout = x._layout
    item = layout.device.limits.storage_itemsize(layout.dtype)
    shape, strides, stride = layout.shape, layout.strides, 0
    if first:
        shape, strides, stride = shape[1:], strides[1:], strides[0] * item
    lane = Layout.of(shape, strides, layout.dtype, Lanes.over(layout.device, axis))
    return TensorBase.kind.make(LaneBlock(x._block, x._offset * item, stride, lane.span * item, axis.session), lane)


def every_lane(x: Any) -> Any:
    """``x`` without its youngest axis, which is the first one of the result, and without history."""
    before = state.context
    state.context = before.change(grad=False)
    try:
        made = lanes_of(x)
        return made.expand((x._layout.device.size, *made._layout.shape)) if is_shared(x) else made
    finally:
        state.context = before


def _top(x: Any) -> Axis | None:
    axes: tuple[Axis, ...] = x._layout.device.axes
    return axes[-1] if axes else None


def _leave_top(x: Any, axis: Axis) -> Any:
    return _crossed(every_lane(x), x, LeaveNode, axis)


def enter(x: Any, axis: Axis) -> Any:
    """``x`` on lanes of ``axis``, which are its first axis."""
    top = _top(x)
    if top is None or top.age < axis.age:
        return _crossed(_into(x, axis, True), x, EnterNode, axis)
    return enter(enter(movedim(_leave_top(x, top), 1, 0), axis), top)


def share(x: Any, axis: Axis) -> Any:
    """``x`` on lanes of ``axis``, the same in all."""
    top = _top(x)
    if top is None or top.age < axis.age:
        return _crossed(_into(x, axis, False), x, ShareNode, axis)
    return enter(share(_leave_top(x, top), axis), top)


def leave(x: Any, axis: Axis) -> Any:
    """``x`` without ``axis``, which is the first axis of the result."""
    if axis not in x._layout.device.axes:
        x = share(x, axis)
    top = _top(x)
    assert top is not None
    made = _leave_top(x, top)
    return made if top is axis else enter(movedim(leave(made, axis), 1, 0), top)


def lifted(x: Any, axes: Sequence[Axis]) -> Any:
    """``x`` on lanes of all ``axes``: those that it lacks share it."""
    for axis in axes:
        if axis not in x._layout.device.axes:
            x = share(x, axis)
    return x


def _by_age(axes: set[Axis]) -> list[Axis]:
    return sorted(axes, key=lambda a: a.age)


def drawn_on(device: Any) -> Any:
    """Where random numbers are drawn inside `vmap`: ``device`` with all axes around the caller."""
    return Lanes.over(bottom(device), *_by_age({*device.axes, *state.axes}))


def together(name: str, operands: Sequence[Any]) -> tuple[list[Any], Any]:
    """Operands of the op ``name``, of which some lie on lanes: each tensor on all axes of the others, and the device of all.

    Zero-dim CPU tensors come along to another device; RuntimeError for others.
    """
    made = list(operands)
    places = [k for k, o in enumerate(made) if isinstance(o, TensorBase)]
    axes = _by_age({a for k in places for a in made[k]._layout.device.axes})
    home = bottom(next((made[k] for k in places if made[k]._layout.shape), made[places[0]])._layout.device)
    for k in places:
        device = made[k]._layout.device
        if bottom(device) is not home:
            if device.axes or made[k]._layout.shape or device.kind != CPU:
                raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found at least two devices, "
                                   f"{home.name} and {bottom(device).name}! Move one of them with .to()")
            made[k] = made[k].to(device_of(home))
        made[k] = lifted(made[k], axes)
    return made, Lanes.over(home, *axes)
