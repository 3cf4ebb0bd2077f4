"""Results, or inputs, that are one piece of memory: a *slab*. Beside the stages: made with the graph, united after the last.

    slab ─ stages see its members as buffers of their own ─▶ unite ─▶ `lodge` ─▶ … a run ─▶ cut: members as blocks

One allocation where there were as many as there are gradients; a graph of the device has one address baked in; and temporaries
larger than any member find room where several are not there yet, or not any more. In return the memory of all members goes
when the last of them goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..device import Device
from ..layout import Layout
from ..memory import Block
from ..memory.parts import part
from ..memory.pool import NOTED
from ..plan import Ref
from .graph import Buffer, Graph, Node, Operand

Placed = dict[int, tuple[int, int]]
"""Buffer → the one that it lies in, and at which of its bytes."""
Cut = Callable[[Block], tuple[Block, Any]]


def slab(graph: Graph, members: Sequence[int], kind: str, handed: bool = False) -> list[Buffer]:
    """Let ``members`` lie in one buffer, in this order; where they may not in one for all, in one for each class of elements.

    Returns those buffers: none where a member is alone, or the device cuts nothing up. ``handed``: members are handed out as
    blocks (`cutters`): not where that is slower than small arrays straight from NumPy.
    """
    device, limits = graph.device, graph.device.limits
    able = limits.suballocate and (not handed or type(device).window is not Device.window)
    step = math.lcm(limits.allocation_granularity, limits.binding_granularity, 256)
    classes: dict[int, list[int]] = {}
    for n in members if able else ():
        classes.setdefault(limits.buffer_class(graph.buffers[n].layout.dtype), []).append(n)
    found = []
    for together in classes.values():
        places, end = dict[int, int](), 0
        for n in together:
            places[n], end = end, end + -(-max(graph.buffers[n].nbytes, 1) // step) * step
        if len(together) < 2 or end > limits.max_buffer or (handed and device.pool.host and end < NOTED):
            continue
        dtype = graph.buffers[together[0]].layout.dtype
        layout = Layout.dense((-(-end // limits.storage_itemsize(dtype)),), dtype, device)
        made = graph.buffer(kind, layout, "a slab")
        graph.slabs[made.number] = places
        found.append(made)
    return found


def unite(graph: Graph) -> Graph:
    """The program with what is to lie in slabs lying there: its slabs are ordinary buffers."""
    placed: Placed = {n: (whole, offset) for whole, places in graph.slabs.items() for n, offset in places.items()}
    if not placed:
        return graph
    made = graph.copy([moved(graph, node, placed) for node in graph.nodes])
    made.buffers = {n: b for n, b in made.buffers.items() if n not in placed}
    return made


def moved(graph: Graph, node: Node, placed: Placed) -> Node:
    """``node`` with what is in ``placed`` where it lies."""
    operands = tuple(_operand(graph, o, placed) for o in node.operands)
    members, parts = (tuple(moved(graph, n, placed) for n in nodes) for nodes in (node.members, node.parts))
    same = operands == node.operands and members == node.members and parts == node.parts
    return node if same else replace(node, operands=operands, members=members, parts=parts)


def _operand(graph: Graph, operand: Operand, placed: Placed) -> Operand:
    if not isinstance(operand, Ref) or operand.slot not in placed:
        return operand
    number, offset = placed[operand.slot]
    size = graph.device.limits.storage_itemsize(graph.buffers[operand.slot].layout.dtype)
    return replace(operand, slot=number, offset=operand.offset + offset // size)


def cutters(graph: Graph) -> dict[int, tuple[int, Cut]]:
    """Member → its slab, and a function from that one's block to the member's and its native view."""
    return {
        n: (whole, _cutter(graph.device, graph.buffers[n], offset))
        for whole, places in graph.slabs.items()
        for n, offset in places.items()
    }


def _cutter(device: Any, member: Buffer, offset: int) -> Cut:
    layout, nbytes = member.layout, max(member.nbytes, 1)

    def cut(whole: Block) -> tuple[Block, Any]:
        handle = device.window(whole.handle, offset, nbytes)
        if handle is None:  # a window itself, for guard bands: of these some drivers give none
            found: tuple[Block, Any] = device.pool.fresh(layout)
            device.copy(found[0].handle, 0, whole.handle, offset, nbytes)
            return found
        one = part(whole, handle, nbytes)
        return one, device.view(one, layout, 0)

    return cut
