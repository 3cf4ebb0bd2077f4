"""Where a program's temporaries lie: those that are never alive at once share memory.

Each temp is alive from the first node that touches it to the last. Where a device lets a block be cut up, all of them lie in
one, each placed in the smallest gap that those alive beside it leave ("greedy by breadth": Pisarchyk and Lee, 2020): first what
is there when most is. What then sticks out at the end is placed earlier and all is tried again ("squeaky wheel" optimisation:
Joslin and Clements, 1999), until it takes no more than is alive at once, or for `TRIES`. Elsewhere, in order of their births,
they take the free slot that fits best, or a new one. Where a kernel sees elements of one size only in a block
(``limits.mixed_buffers`` is false), those of each size lie in a block of their own. The program owns the memory
(`memory.arena`), or shares it with programs of the same function for other sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..memory.arena import Arena, step_of
from ..plan import Ref
from ..view import View
from .graph import Graph

TRIES = 40
WORK = 200_000
"""Pairs of temps that all tries may look at: a tenth of a second."""


@dataclass(frozen=True)
class MemoryPlan:
    """``sizes`` of the slots in bytes; ``place_of`` each temp, its slot and the byte in it that it begins at; ``sum`` is what
    the temps would take without sharing; ``lodged``, what others take that lie in results and spent inputs (`lodge`).
    ``over``: results in the place of an operand that dies (`in_place`). ``apart``: no slot may share a block with another.
    """

    sizes: tuple[int, ...]
    place_of: dict[int, tuple[int, int]]
    sum: int
    lodged: int = 0
    over: int = 0
    apart: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        return sum(self.sizes)

    def __str__(self) -> str:
        others = f", {self.lodged} bytes in results and spent inputs" if self.lodged else ""
        others += f", {self.over} results in the place of an operand" if self.over else ""
        return f"{len(self.place_of)} temporaries of {self.sum} bytes in {len(self.sizes)} slots of {self.nbytes} bytes{others}"


NOTHING = MemoryPlan((), {}, 0)
"""The plan of no temporaries."""


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


def plain(graph: Graph) -> set[int]:
    """Temporaries that are one dtype to all who name them, and that no node takes on the host."""
    found = {b.number for b in graph.buffers.values() if b.kind == "temp"}
    for node in graph.nodes:
        for operand in node.operands:
            if isinstance(operand, Ref) and operand.slot in found:
                dtype = graph.buffers[operand.slot].layout.dtype
                if node.views or operand.layout is None or operand.layout.dtype is not dtype:
                    found.discard(operand.slot)
    return found


def plan(graph: Graph) -> MemoryPlan:
    """Places for the temps of ``graph``."""
    lives, limits = lifetimes(graph), graph.device.limits
    needs = {n: max(graph.buffers[n].nbytes, 1) for n in lives}
    whole = sum(graph.buffers[n].nbytes for n in lives)
    if limits.suballocate:
        widths = {n: limits.buffer_class(graph.buffers[n].layout.dtype) for n in lives}
        packed = [
            _offsets({n: lives[n] for n in lives if widths[n] == width}, needs, step_of(limits))
            for width in sorted(set(widths.values()))
        ]
        if all(size <= limits.max_buffer for size, _ in packed):
            place_of = {n: (slot, offset) for slot, (_, offsets) in enumerate(packed) for n, offset in offsets.items()}
            return MemoryPlan(tuple(size for size, _ in packed), place_of, whole, apart=len(packed) > 1)
    sizes, slot_of = _slots(lives, needs)
    return MemoryPlan(tuple(sizes), {n: (slot, 0) for n, slot in slot_of.items()}, whole)


def _offsets(lives: dict[int, tuple[int, int]], needs: dict[int, int], step: int) -> tuple[int, dict[int, int]]:
    """(bytes of the block, where in it each temp begins), in multiples of ``step``."""
    sizes = {n: -(-needs[n] // step) * step for n in lives}
    most, order = max(alive(lives, sizes), default=0), ordered(lives, sizes)
    best, found = 0, dict[int, int]()
    for trial in range(1 + min(TRIES, WORK // (1 + len(lives) ** 2))):
        offsets = _packed(order, lives, sizes)
        top = max(order, key=lambda n: offsets[n] + sizes[n], default=-1)
        reached = offsets[top] + sizes[top] if offsets else 0
        if not trial or reached < best:
            best, found = reached, offsets
        if best <= most:
            break
        place = order.index(top)
        order.insert(place // 2, order.pop(place))
    return best, found


def alive(lives: dict[int, tuple[int, int]], sizes: dict[int, int]) -> list[int]:
    """Bytes that are alive at each node."""
    found = [0] * (1 + max((last for _, last in lives.values()), default=0))
    for n, (first, last) in lives.items():
        for place in range(first, last + 1):
            found[place] += sizes[n]
    return found


def ordered(lives: dict[int, tuple[int, int]], sizes: dict[int, int]) -> list[int]:
    """The temps, those first that are there when most is, of these the longest-lived and largest."""
    there = alive(lives, sizes)
    return sorted(lives, key=lambda n: (-max(there[lives[n][0] : lives[n][1] + 1]), lives[n][0] - lives[n][1], -sizes[n]))


def _packed(order: Sequence[int], lives: dict[int, tuple[int, int]], sizes: dict[int, int]) -> dict[int, int]:
    """Where each temp begins, placed in ``order``."""
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last)
    found: dict[int, int] = {}
    for number in order:
        first, last = lives[number]
        found[number] = offset = gap(sorted(p for p in placed if p[2] <= last and first <= p[3]), sizes[number])
        placed.append((offset, offset + sizes[number], first, last))
    return found


def gap(beside: list[tuple[int, int, int, int]], size: int) -> int:
    """The start of the smallest gap of ``size`` bytes between those ``beside``, which are in order; else their end."""
    best, width, reached = -1, 0, 0
    for offset, end, _, _ in beside:
        free = offset - reached
        if free >= size and (best < 0 or free < width):
            best, width = reached, free
        reached = max(reached, end)
    return reached if best < 0 else best


def _slots(lives: dict[int, tuple[int, int]], needs: dict[int, int]) -> tuple[list[int], dict[int, int]]:
    """(sizes of the slots, the slot of each temp)."""
    sizes: list[int] = []
    until: list[int] = []  # the last place at which what lies in a slot is alive
    slot_of: dict[int, int] = {}
    for number, (first, last) in sorted(lives.items(), key=lambda entry: entry[1][0]):
        need = needs[number]
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
    return sizes, slot_of


def placed(graph: Graph, made: MemoryPlan, shared: Arena | None = None) -> tuple[Arena, dict[int, View]]:
    """The arena of a plan, and each temp as a view into it; ``shared``: that of a program never run at the same time."""
    arena = Arena(graph.device.pool, made.sizes, shared, made.apart)
    views: dict[int, View] = {}
    limits: Any = graph.device.limits
    for number, (slot, inner) in made.place_of.items():
        layout = graph.buffers[number].layout
        block, offset = arena.slots[slot]
        views[number] = View.make(block, layout, (offset + inner) // limits.storage_itemsize(layout.dtype))
    return arena, views
