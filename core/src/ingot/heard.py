"""Dispatch while a recorder listens (`ingot_devices.context`): plans are found and run as ever, and the recorder is told.

`dispatch` and `inplace` come here on a miss, and under a context that says ``recording`` every look-up is one; nothing is
kept there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingot_devices.context import Context, state
from ingot_devices.opset.op import Op

from . import dispatch


def call(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...], context: Context, device: Any) -> Any:
    """`dispatch.call`."""
    entry, operands = dispatch.find(op, operands, attrs, context, device)
    outs = run(op, entry, operands)
    if context.grad and entry.rules is not None and dispatch._wants_grad(context, operands):
        dispatch.record(entry, operands, outs)
    return outs[0] if len(outs) == 1 else tuple(outs)


def find(
    op: Op, operands: Sequence[Any], attrs: tuple[Any, ...], context: Context, device: Any
) -> tuple[dispatch.Entry, list[Any]]:
    """`dispatch.find`: how a plan is found is no part of what ran."""
    state.context = plain = context.change(recording=False)
    try:
        return dispatch.find(op, operands, attrs, plain, device)
    finally:
        state.context = context


def run(op: Op, entry: dispatch.Entry, operands: Sequence[Any]) -> list[Any]:
    """`dispatch.run`, and tell the recorder. What a plan does inside is not news: on the host it reads and writes.

    On lanes (`ingot.func`) only what is inside is: the ops that run beneath.
    """
    if entry.plan.device.axes:
        return dispatch.run(entry, operands)
    before = state.context
    state.context = before.change(recording=False)
    try:
        outs = dispatch.run(entry, operands)
    finally:
        state.context = before
    state.recorder.note(op, entry.plan, operands, outs)
    return outs
