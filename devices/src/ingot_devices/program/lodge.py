"""Temporaries that lie in results which nobody has written yet, and in spent inputs. Between the stages and the plan of memory.

    unite (slabs: results, or inputs, that are one piece of memory) ─▶ lodge ─▶ `memory`

All memory that a program hands out is there when it begins: a training step has the last layer's gradient as long as the first
one's. What is alive and dead again before the first kernel that touches such a result may lie in it, and takes nothing of its
own. So may what begins after the last kernel that reads an input which nobody wants back: a value saved for a backward pass.
Each temporary moves where there is room for the shortest time, those first that are there when most is, or that are there
longest into the program, whichever leaves less. In a slab the largest one finds room where several values end side by side.
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
"""Bytes of a room, and of a temporary, from which they are looked at."""
Placed = dict[int, tuple[int, int]]
"""Buffer → the one that it lies in, and at which of its bytes."""
Taken = tuple[int, int, int, int]
"""From which byte of a room to which, and from which node to which, something is there."""


class Room(NamedTuple):
    """A result, a spent input, or a slab of such: what of it is taken by its own values."""

    number: int
    nbytes: int
    taken: list[Taken]


def unite(graph: Graph) -> Graph:
    """The program with what is to lie in slabs lying there: its slabs are ordinary buffers."""
    placed: Placed = {n: (slab, offset) for slab, places in graph.slabs.items() for n, offset in places.items()}
    if not placed:
        return graph
    made = graph.copy([_moved(graph, node, placed) for node in graph.nodes])
    made.buffers = {n: b for n, b in made.buffers.items() if n not in placed}
    return made


def lodge(graph: Graph) -> tuple[Graph, int]:
    """The program with temporaries moved into rooms, and how many bytes they take there."""
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
    """Each temporary in turn in the first room that it fits in."""
    placed, taken = Placed(), {room.number: list(room.taken) for room in rooms}
    width_of = graph.device.limits.access_size
    for number in order:
        (first, last), temp = lives[number], graph.buffers[number]
        for room in rooms:
            if width_of(graph.buffers[room.number].layout.dtype) != width_of(temp.layout.dtype):
                continue
            offset = memory.gap(sorted(p for p in taken[room.number] if p[2] <= last and first <= p[3]), sizes[number])
            if offset + temp.nbytes <= room.nbytes:
                taken[room.number].append((offset, offset + sizes[number], first, last))
                placed[number] = room.number, offset
                break
    return placed


def _rooms(graph: Graph) -> list[Room]:
    """Those of some size, the one that is free for the shortest time first."""
    end, touched = len(graph.nodes), dict[int, dict[tuple[int, int], list[int]]]()
    for place, node in enumerate(graph.nodes):
        for operand in node.operands:
            if isinstance(operand, Ref) and operand.layout is not None:
                width = graph.device.limits.storage_itemsize(operand.layout.dtype)
                reach = operand.offset * width, (operand.offset + operand.layout.span) * width
                touched.setdefault(operand.slot, {}).setdefault(reach, []).append(place)
    found = []
    for b in graph.buffers.values():
        if b.nbytes >= LEAST and b.number in touched and (b.spent or b.kind == "output"):
            lives = [(*reach, *((0, at[-1]) if b.spent else (at[0], end))) for reach, at in touched[b.number].items()]
            found.append((max(end - last + first for _, _, first, last in lives), Room(b.number, b.nbytes, lives)))
    return [room for _, room in sorted(found, key=lambda pair: pair[0])]


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
