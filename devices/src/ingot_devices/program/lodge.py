"""Temporaries that lie in results which nobody has written yet, and in spent inputs. Between the stages and the plan of memory.

    `slab.unite` (results, or inputs, that are one piece of memory) ─▶ lodge ─▶ `memory`

All memory that a program hands out is there when it begins: a training step has the last layer's gradient as long as the first
one's. What is alive and dead again before the first kernel that touches such a result may lie in it, and takes nothing of its
own. So may what begins after the last kernel that reads an input which nobody wants back: a value saved for a backward pass.
In a slab the largest one finds room where several values end side by side.

Each temporary moves where there is room for the shortest time, those first that are there when most is, or that are there
longest into the program, or the largest, whichever leaves least.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..memory.arena import step_of
from ..plan import Ref
from . import memory
from .graph import Graph
from .slab import Placed, moved

LEAST, SMALL = 16 << 10, 4 << 10
"""Bytes of a room, and of a temporary, from which they are looked at."""
TRIES = 8
"""For each of the orders."""
Taken = tuple[int, int, int, int]
"""From which byte of a room to which, and from which node to which, something is there."""


class Room(NamedTuple):
    """A result, a spent input, or a slab of such: what of it is taken by its own values."""

    number: int
    nbytes: int
    taken: list[Taken]


def lodge(graph: Graph) -> tuple[Graph, int]:
    """The program with temporaries moved into rooms, and how many bytes they take there."""
    limits = graph.device.limits
    rooms = _rooms(graph) if limits.suballocate else []
    if not rooms:
        return graph, 0
    lives, plain = memory.lifetimes(graph), memory.plain(graph)
    sizes = {n: -(-graph.buffers[n].nbytes // step_of(limits)) * step_of(limits) for n in lives}
    able = [n for n in memory.ordered(lives, sizes) if n in plain and graph.buffers[n].nbytes >= SMALL]

    orders = able, sorted(able, key=lambda n: -lives[n][1]), sorted(able, key=lambda n: -sizes[n])
    placed = min((_best(graph, order, lives, sizes, rooms) for order in orders), key=lambda found: found[0])[1]
    nbytes = sum(graph.buffers[n].nbytes for n in placed)
    return graph.copy([moved(graph, node, placed) for node in graph.nodes]), nbytes


def _best(
    graph: Graph, order: Sequence[int], lives: dict[int, tuple[int, int]], sizes: dict[int, int], rooms: Sequence[Room]
) -> tuple[int, Placed]:  # fmt: skip
    """The most bytes of others that are alive at once, and what is placed so; those others are placed earlier, and all is tried
    again, as in `memory`."""
    tried, order = list[tuple[int, Placed]](), list(order)
    for _ in range(1 + min(TRIES, memory.WORK // (1 + len(order) ** 2))):
        placed = _place(graph, order, lives, sizes, rooms)
        rest = {n: life for n, life in lives.items() if n not in placed}
        there = memory.alive(rest, sizes)
        most = max(there, default=0)
        tried.append((most, placed))
        if not most:
            break
        at = there.index(most)
        for number in [n for n in order if n in rest and rest[n][0] <= at <= rest[n][1]]:
            place = order.index(number)
            order.insert(place // 2, order.pop(place))
    return min(tried, key=lambda found: found[0])


def _place(
    graph: Graph, order: Sequence[int], lives: dict[int, tuple[int, int]], sizes: dict[int, int], rooms: Sequence[Room]
) -> Placed:  # fmt: skip
    """Each temporary in turn in the first room that it fits in."""
    placed, taken = Placed(), {room.number: list(room.taken) for room in rooms}
    kind_of = graph.device.limits.buffer_class
    for number in order:
        (first, last), temp = lives[number], graph.buffers[number]
        for room in rooms:
            if kind_of(graph.buffers[room.number].layout.dtype) != kind_of(temp.layout.dtype):
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
