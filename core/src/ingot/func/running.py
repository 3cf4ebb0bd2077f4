"""How an op runs on lanes: by its rule, else by its decomposition, else one lane after the other.

    Lanes.plan ──▶ run ──▶ a rule (`rules`) ──▶ dispatch on the device beneath
                       └─▶ the row's decomposition, each op of it on lanes
                       └─▶ the op beneath, once for each lane
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingot_devices.builder import Builder
from ingot_devices.context import state
from ingot_devices.opset.op import OPS, Op, Spec
from ingot_devices.planning import decompose
from ingot_devices.view import View

from .. import dispatch
from ..autograd.eager import builder
from ..base import TensorBase
from ..inplace import write_into
from ..views import apply_view
from .call import Call
from .lanes import Lanes, fill, is_shared, lanes_of
from .rules import RULES, aligned, drawn


def run(
    device: Lanes, op: Op, values: Sequence[Any], attrs: tuple[Any, ...], outputs: Sequence[Spec], results: Sequence[Any]
) -> None:
    """Run ``op`` on ``values`` and give ``results`` what comes out; those that the op mutates are written."""
    before = state.context
    state.context = before.change(grad=False, autocast=(), inference=False)
    try:
        for place in op.mutates.values():
            own(values[place], any(isinstance(v, View) and not is_shared(v) for v in values))
        made, shared = _made(device, op, values, attrs, outputs)
        taken: list[Any] = [lanes_of(v)._block for v in values if isinstance(v, View)]  # a result has memory of its own
        for k, (result, value) in enumerate(zip(results, made, strict=True)):
            if k not in op.mutates:
                if not value._layout.is_dense or any(value._block is block for block in taken):
                    value = builder.copy(value)
                taken.append(value._block)
                fill(result, value, shared)
    finally:
        state.context = before


def _made(
    device: Lanes, op: Op, values: Sequence[Any], attrs: tuple[Any, ...], outputs: Sequence[Spec]
) -> tuple[Sequence[Any], bool]:
    """The results beneath, and whether they are the same in all lanes."""
    draws = op.group == "random" and device.axis.randomness == "different"
    if not draws and not any(isinstance(v, View) and not is_shared(v) for v in values):
        operands = [lanes_of(v) if isinstance(v, View) else v for v in values]
        return _several(dispatch.call(op, operands, attrs, device.beneath)), True
    call = Call(device, op, values, attrs, outputs)
    found = drawn(call) if draws else RULES.get(op.name, aligned)(call)
    if found is not None and call.gave(_several(found)):
        return _several(found), False
    if op.decompose is not None:
        return [_held(call, v) for v in _several(decompose(op, _Parts(device), values, attrs))], False
    return _one_by_one(call, attrs), False


def _several(made: Any) -> Sequence[Any]:
    return made if isinstance(made, (tuple, list)) else (made,)


def _held(call: Call, value: Any) -> Any:
    """A value on lanes as one beneath, with the lanes in any case."""
    made = lanes_of(value)
    return builder.expand(made, shape=(call.size, *made._layout.shape)) if is_shared(value) else made


class _Parts(Builder):
    """Runs the ops of a decomposition on lanes; what has no operands there is made there."""

    lasting = False

    def __init__(self, device: Lanes) -> None:
        self.device = device

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        if op.view is not None:
            return apply_view(op, operands[0], attributes)
        here = any(isinstance(o, TensorBase) for o in operands)
        return dispatch.call(op, operands, attributes, None if here else self.device)


def _one_by_one(call: Call, attrs: tuple[Any, ...]) -> list[Any]:
    """Lane after lane."""
    beneath = call.device.beneath
    made = [dispatch.call(OPS["full"], (0,), ((call.size, *s.shape), s.dtype), beneath) for s in call.outputs]
    operands = [call.at(k) for k in range(len(call.values))]
    for lane in range(call.size):
        given = [_lane(o, lane) if call.differs(k) else o for k, o in enumerate(operands)]
        for k, (out, one) in enumerate(zip(made, _several(dispatch.call(call.op, given, attrs)), strict=True)):
            if k not in call.op.mutates:
                write_into(_lane(out, lane), one)
    return made


def _lane(x: Any, lane: int) -> Any:
    return builder.select(x, axis=-len(x._layout.shape), index=lane)


def own(view: Any, differs: bool) -> None:
    """Make the memory of ``view`` ready for a write of what ``differs`` by lane; RuntimeError where it is the caller's."""
    block = view._block
    if block.whole is None:
        raise RuntimeError(
            "vmap: an argument, or a tensor from outside, cannot be written in place inside; write to a clone() of it"
        )
    if differs and not block.stride:
        device = view._layout.device
        beneath, layout = device.beneath, block.whole
        item = beneath.limits.storage_itemsize(layout.dtype)
        one = TensorBase.kind.make(block.inner, layout, block.start // item)
        every = builder.copy(builder.expand(one, shape=(device.size, *layout.shape)))
        block.inner, block.start, block.stride = every._block, every._offset * item, layout.size * item


def write(value: Any, view: Any) -> None:
    """Copy ``value`` over ``view``, both on the same lanes."""
    before = state.context
    state.context = before.change(grad=False, autocast=())
    try:
        own(view, not is_shared(value))
        write_into(lanes_of(view), lanes_of(value, len(view._layout.shape)))
    finally:
        state.context = before
