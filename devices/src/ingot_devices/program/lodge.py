"""Temporaries that lie in results which nobody has written yet. Between the stages and the plan of memory.

All memory that a program hands out is there when it begins: a training step has the last layer's gradient as long as the first
one's. What is alive and dead again before the first kernel that touches such a result may lie in it, and takes nothing of its
own. Each moves into the result that is written soonest after it, those first that are there when most is, or that are there
longest into the program, whichever leaves less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..memory.arena import step_of
from ..plan import Ref
from . import memory
from .graph import Graph, Node, Operand

LEAST, SMALL = 16 << 10, 4 << 10
"""Bytes of a result, and of a temporary, from which they are looked at."""
Placed = dict[int, tuple[int, int]]
"""Temporary → the result that it lies in, and at which of its bytes."""


class Room(NamedTuple):
    """A result: free until the node at ``until``."""

    number: int
    nbytes: int
    until: int


def lodge(graph: Graph) -> tuple[Graph, int]:
    """The program with temporaries moved into results, and how many bytes they take there."""
    limits = graph.device.limits
    rooms = _rooms(graph) if limits.suballocate else []
    if not rooms:
        return graph, 0
    lives, plain = memory.lifetimes(graph), _plain(graph)
    sizes = {n: -(-graph.buffers[n].nbytes // step_of(limits)) * step_of(limits) for n in lives}
    able = [n for n in memory.ordered(lives, sizes) if n in plain and graph.buffers[n].nbytes >= SMALL]

    def left(placed: Placed) -> int:
        """The most bytes of others that are alive at once."""
        return max(memory.alive({n: life for n, life in lives.items() if n not in placed}, sizes), default=0)

    orders = able, sorted(able, key=lambda n: -lives[n][1])
    placed = min((_place(graph, order, lives, sizes, rooms) for order in orders), key=left)
    moved = sum(graph.buffers[n].nbytes for n in placed)
    return graph.copy([_moved(graph, node, placed) for node in graph.nodes]), moved


def _place(
    graph: Graph, order: Sequence[int], lives: Mapping[int, tuple[int, int]], sizes: Mapping[int, int], rooms: Sequence[Room]
) -> Placed:  # fmt: skip
    """Each temporary in turn in the first result that has room for it."""
    placed, taken = Placed(), {room.number: list[tuple[int, int, int, int]]() for room in rooms}  # offset, end, first, last
    for number in order:
        (first, last), temp = lives[number], graph.buffers[number]
        for room in rooms:
            if room.until <= last or graph.buffers[room.number].layout.dtype is not temp.layout.dtype:
                continue
            offset = memory.gap(sorted(p for p in taken[room.number] if p[2] <= last and first <= p[3]), sizes[number])
            if offset + temp.nbytes <= room.nbytes:
                taken[room.number].append((offset, offset + sizes[number], first, last))
                placed[number] = room.number, offset
                break
    return placed


def _rooms(graph: Graph) -> list[Room]:
    """The results of some size, as they are written."""
    touched: dict[int, int] = {}
    for place, node in enumerate(graph.nodes):
        for operand in node.operands:
            if isinstance(operand, Ref):
                touched.setdefault(operand.slot, place)
    outputs = [b for b in graph.buffers.values() if b.kind == "output" and b.nbytes >= LEAST and touched.get(b.number, 0)]
    return sorted((Room(b.number, b.nbytes, touched[b.number]) for b in outputs), key=lambda room: room.until)


def _plain(graph: Graph) -> set[int]:
    """Temporaries that are one dtype to all who name them, and that no node takes on the host."""
    found = {b.number for b in graph.buffers.values() if b.kind == "temp"}
    for node in graph.nodes:
        for operand in node.operands:
            if isinstance(operand, Ref) and operand.slot in found:
                dtype = graph.buffers[operand.slot].layout.dtype
                if node.views or operand.layout is None or operand.layout.dtype is not dtype:
                    found.discard(operand.slot)
    return found


def _moved(graph: Graph, node: Node, placed: Placed) -> Node:
    operands = tuple(_operand(graph, o, placed) for o in node.operands)
    members = tuple(_moved(graph, m, placed) for m in node.members)
    return node if operands == node.operands and members == node.members else replace(node, operands=operands, members=members)


def _operand(graph: Graph, operand: Operand, placed: Placed) -> Operand:
    if not isinstance(operand, Ref) or operand.slot not in placed:
        return operand
    number, offset = placed[operand.slot]
    size = graph.device.limits.storage_itemsize(graph.buffers[operand.slot].layout.dtype)
    return replace(operand, slot=number, offset=operand.offset + offset // size)
