"""Plans that run side by side: several calls of an op that touch nothing of each other's results, as one launch.

The eager counterpart of `program.gather`, for a compiler above that has such calls at hand: an optimizer's steps. `most`
says how many a device joins, `join` makes one plan of their plans; its operands are theirs in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .codegen import Unsupported
from .codegen.replay import Launch
from .layout import Layout
from .plan import Plan, Ref, Step
from .program.gather import MOST, elementwise


def most(device: Any, tensors: int) -> int:
    """How many calls with as many ``tensors`` each are one launch on ``device``; 1 where it joins none."""
    if device.limits.lanes == 1 or not hasattr(device.codegen, "together"):
        return 1
    bindings: int = device.limits.max_bindings
    return max(1, min(MOST, bindings // tensors))


def join(plans: Sequence[Plan]) -> Plan | None:
    """One plan of one launch; None where there is no such kernel."""
    device, name = plans[0].device, f"{len(plans)} × {plans[0].op}"
    members, first = [], 0
    for plan in plans:
        step = plan.steps[0]
        if plan.allocations or plan.order is None or step.definition is None or not elementwise(step.definition):
            return None
        slots = {n: o.slot for n, o in enumerate(step.operands) if isinstance(o, Ref)}
        lies = {slot: key for slot, key in enumerate(plan.keys) if isinstance(key, Layout)}
        operands = tuple(Ref(slot, lies[slot]) if slot in lies else None for slot in slots.values())
        members.append((Launch(operands, step.definition, aliased=step.aliased), {n: first + s for n, s in slots.items()}))
        first += plan.inputs
    try:
        made = device.codegen.together(members, device)
    except Unsupported:
        return None
    call = Step(made.call, tuple(Ref(n) for n in range(first)), "generated", name, made.launches, source=made.source)
    joint = Plan(name, device, first, (), (call,), (), "generated")
    joint.keys = tuple(key for plan in plans for key in plan.keys)
    return joint
