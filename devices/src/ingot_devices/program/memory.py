"""Where a program's temporaries lie: those that are never alive at once share memory.

Each temp is alive from the first node that touches it to the last. In order of their births they take the free slot that
fits best, or a new one; the slots are cut from one arena (`memory.arena`) that the program owns, or shares with programs of
the same function for other sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..memory.arena import Arena
from ..plan import Ref
from ..view import View
from .graph import Graph


@dataclass(frozen=True)
class MemoryPlan:
    """``sizes`` of the slots in bytes; ``slot_of`` each temp; ``sum`` is what the temps would take without sharing."""

    sizes: tuple[int, ...]
    slot_of: dict[int, int]
    sum: int

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        return sum(self.sizes)

    def __str__(self) -> str:
        return f"{len(self.slot_of)} temporaries of {self.sum} bytes in {len(self.sizes)} slots of {self.nbytes} bytes"


def lifetimes(graph: Graph) -> dict[int, tuple[int, int]]:
    """For each temp in use the places of the first and of the last node that names it.

    One that a kernel takes and never loads (a pad's operand, of which nothing is left) needs memory, too.
    """
    found: dict[int, tuple[int, int]] = {}
    for place, node in enumerate(graph.nodes):
        for number in {o.slot for o in node.operands if isinstance(o, Ref)}:
            if graph.buffers[number].kind == "temp":
                first, _ = found.get(number, (place, place))
                found[number] = first, place
    return found


def plan(graph: Graph) -> MemoryPlan:
    """Slots for the temps of ``graph``."""
    lives = lifetimes(graph)
    sizes: list[int] = []
    until: list[int] = []  # the last place at which what lies in a slot is alive
    slot_of: dict[int, int] = {}
    for number, (first, last) in sorted(lives.items(), key=lambda entry: entry[1][0]):
        need = max(graph.buffers[number].nbytes, 1)
        free = [k for k in range(len(sizes)) if until[k] < first]
        fitting = [k for k in free if sizes[k] >= need]
        if fitting:
            slot = min(fitting, key=lambda k: sizes[k])
        elif free:
            slot = max(free, key=lambda k: sizes[k])
            sizes[slot] = need
        else:
            slot = len(sizes)
            sizes.append(need)
            until.append(-1)
        until[slot], slot_of[number] = last, slot
    return MemoryPlan(tuple(sizes), slot_of, sum(graph.buffers[n].nbytes for n in slot_of))


def placed(graph: Graph, made: MemoryPlan, shared: Arena | None = None) -> tuple[Arena, dict[int, View]]:
    """The arena of a plan, and each temp as a view into it; ``shared``: that of a program never run at the same time."""
    arena = Arena(graph.device.pool, made.sizes, shared)
    views: dict[int, View] = {}
    limits: Any = graph.device.limits
    for number, slot in made.slot_of.items():
        layout = graph.buffers[number].layout
        block, offset = arena.slots[slot]
        views[number] = View.make(block, layout, offset // limits.storage_itemsize(layout.dtype))
    return arena, views
