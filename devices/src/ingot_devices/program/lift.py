"""From plans that ran to a graph: what a recorder saw, one node for each step of each plan.

Eager and compiled are equal to the bit because a program begins as the very steps that ran: the same definitions, the same
kernels written by hand, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codegen.replay import Input
from ..plan import Lazy, Plan, Ref, Step
from .graph import Derived, Graph, Node, Operand, accesses


def apply(graph: Graph, plan: Plan, operands: Sequence[Operand]) -> list[Ref]:
    """Append the steps of ``plan`` on ``operands``; where its results lie.

    Each `Ref` among the operands names a buffer of the graph, with its layout.
    """
    slots: list[Any] = list(operands)
    slots += [Ref(graph.buffer("temp", layout).number, layout) for layout in plan.allocations]
    mutated = {r.slot for r in plan.results if r.slot < plan.inputs}
    for step in plan.steps:
        graph.nodes.append(_node(graph, plan, step, slots, mutated))
    return [_placed(slots[r.slot], r) for r in plan.results]


def _placed(held: Ref, ref: Ref) -> Ref:
    """``ref``, which is relative to what its slot holds, as a place in a buffer."""
    return held if ref.layout is None else Ref(held.slot, ref.layout, held.offset + ref.offset)


def _node(graph: Graph, plan: Plan, step: Step, slots: list[Any], mutated: set[int]) -> Node:
    operands = tuple(_operand(graph, o, slots) for o in step.operands)
    if step.definition is not None:
        reads, writes = accesses(step.definition)
    else:  # nobody says what it does: it reads all, and writes what the plan made or mutates
        places = [n for n, o in enumerate(operands) if isinstance(o, Ref)]
        own = [n for n in places if step.operands[n].slot >= plan.inputs or step.operands[n].slot in mutated]  # type: ignore[union-attr]
        reads, writes = tuple(n for n in places if n not in own or _read_too(step, n, own)), tuple(own)
    return Node(step.op, operands, reads, writes, step.definition, None if step.definition else step.call, step.views,
                step.route, step.launches, behind=step.behind, attach=step.attach)  # fmt: skip


def _read_too(step: Step, position: int, own: Sequence[int]) -> bool:
    """True unless ``position`` is among the last operands, where a kernel's results stand."""
    tail = len(step.operands) - position
    return any(n not in own for n in range(len(step.operands) - tail, len(step.operands)))


def _operand(graph: Graph, operand: Any, slots: list[Any]) -> Operand:
    if isinstance(operand, Ref):
        held = slots[operand.slot]
        return _placed(held, operand) if isinstance(held, Ref) else held
    if isinstance(operand, Lazy):
        given = tuple(None if isinstance(s, Ref) else s for s in slots)
        if not any(isinstance(g, Input) for g in given):
            value: Operand = operand.compute(given)
            return value
        graph.derived.append(Derived(operand.compute, given))
        return Input(graph.inputs + len(graph.derived) - 1)
    return operand  # type: ignore[no-any-return]
