"""Steps of many parameters in few launches: between `Optimizer.step` and `dispatch`.

A launch costs the host microseconds and a small parameter's step costs the device less, so steps wait for one another and run
side by side, several in one launch, where the device can join kernels (`ingot_devices.joint`)::

    with Steps(joined) as steps:  steps.add(OPS["adamw_step"], …) for each parameter   ──▶   launches

The results are those of a launch each, to the bit. Under a recorder nothing waits: `program.gather` does there what this
does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingot_devices.context import state
from ingot_devices.opset.op import Op

from .. import dispatch
from ..dispatch import Entry
from ..lazy import LazyModule

joint = LazyModule("ingot_devices.joint")
_joint: dict[Any, Entry] = {}
_alone: set[Any] = set()
dispatch._fast.append(_joint)  # there they are counted, and dropped with the plans that they are made of
dispatch._forget.append(_alone.clear)


@dataclass(slots=True)
class Step:
    """A call that waits: the op's operands are ``tensors`` and then ``numbers``."""

    op: Op
    tensors: tuple[Any, ...]
    numbers: tuple[Any, ...]
    attrs: tuple[Any, ...]

    def run(self) -> None:
        """Launch it alone."""
        dispatch.call(self.op, (*self.tensors, *self.numbers), self.attrs)


class Steps:
    """A scope, without the tape, in which steps are launched; those that wait are launched at its end.

    ``joined``: whether any may wait.
    """

    def __init__(self, joined: bool) -> None:
        self.joined = joined and not state.context.recording
        self.waiting: list[Step] = []
        self.device: Any = None  # of the last step
        self.waits = False  # whether a step there waits

    def __enter__(self) -> Steps:
        self.before = state.context
        state.context = self.before.change(grad=False)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            state.context = self.before

    def add(self, op: Op, tensors: tuple[Any, ...], numbers: tuple[Any, ...], attrs: tuple[Any, ...]) -> None:
        """One step of one parameter; ``tensors``: itself, its gradient, and its moments, which are updated with it."""
        device = tensors[0]._layout.device
        if device is not self.device:
            self.device, self.waits = device, self.joined and joint.most(device, len(tensors)) > 1
        if self.waits:
            self.waiting.append(Step(op, tensors, numbers, attrs))
        else:
            dispatch.call(op, (*tensors, *numbers), attrs)
        tensors[0]._block.version += 1
        for t in tensors[2:]:
            t._block.version += 1

    def flush(self) -> None:
        """Launch what waits: side by side, unless two share memory."""
        waiting, self.waiting = self.waiting, []
        blocks = [id(t._block) for step in waiting for t in step.tensors]
        if len(set(blocks)) < len(blocks):
            for step in waiting:
                step.run()
            return
        kinds: dict[Any, list[Step]] = {}
        for step in waiting:
            kinds.setdefault((step.op, step.attrs, step.tensors[0]._layout.device), []).append(step)
        for (op, _, device), steps in kinds.items():
            most = joint.most(device, len(steps[0].tensors))
            for at in range(0, len(steps), most):
                _launch(op, steps[at : at + most])


def _launch(op: Op, steps: Sequence[Step]) -> None:
    """Run these in one launch, or one after the other where there is no kernel for it."""
    layouts = tuple([t._layout for step in steps for t in step.tensors])
    key = (op, steps[0].attrs, state.context, layouts, tuple([type(n) for step in steps for n in step.numbers]))
    entry = _joint.get(key)
    if entry is None and len(steps) > 1 and key not in _alone:
        entry = _joined(op, steps)
        if entry is None:
            _alone.add(key)
        else:
            _joint[key] = entry
    if entry is None or entry.step is None:
        for step in steps:
            step.run()
        return
    operands: list[Any] = []
    for step in steps:
        operands += [t._native if t._native is not None else t.native() for t in step.tensors]
        operands += step.numbers
    entry.calls += 1
    entry.step(*operands)


def _joined(op: Op, steps: Sequence[Step]) -> Entry | None:
    """The entry of these together; None where there is none: then each will say for itself what is wrong with it."""
    plans = []
    for step in steps:
        try:
            given = (*step.tensors, *step.numbers)
            entry, operands = dispatch.find(op, given, step.attrs, state.context, None)
        except RuntimeError:
            return None
        if any(a is not b for a, b in zip(operands, given, strict=True)):
            return None
        plans.append(entry.plan)
    plan = joint.join(plans)
    return None if plan is None else Entry(op, plan.keys, steps[0].attrs, plan)
