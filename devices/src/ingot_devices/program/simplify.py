"""First rewriting of a recorded program: equal work once, copies not at all, nothing that nobody reads.

Only what changes no bit: no arithmetic is rearranged here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..plan import Ref
from .graph import Graph, Node


def simplify(graph: Graph) -> Graph:
    """`common`, then `without_copies`, then `live`."""
    return live(without_copies(common(graph)))


# ---- common subexpressions -------------------------------------------------------------------------------------------
def common(graph: Graph) -> Graph:
    """A node that computes what an earlier one did, from memory that nobody wrote in between, is left out."""
    writers = graph.writers()
    seen: dict[Any, tuple[int, Node]] = {}
    renamed: dict[int, int] = {}
    kept: list[Node] = []
    for place, node in enumerate(graph.nodes):
        node = _renamed(node, renamed)
        fresh = _single_temps(graph, node, writers)
        if fresh is None or node.refuses:
            kept.append(node)
            continue
        key = (node.definition, tuple(_key(o, n in node.writes) for n, o in enumerate(node.operands)))
        found = seen.get(key)
        if found is not None and _untouched(found[1].read_buffers(), writers, found[0], place):
            for mine, other in zip(node.refs(node.writes), found[1].refs(found[1].writes), strict=True):
                renamed[mine.slot] = other.slot
            continue
        seen[key] = (place, node)
        kept.append(node)
    return graph.copy(kept)


def _key(operand: Any, written: bool) -> Any:
    if isinstance(operand, Ref):
        return (operand.layout, operand.offset) if written else operand
    return (type(operand), repr(operand))  # 1, 1.0 and True differ, and so do 0.0 and -0.0


def _single_temps(graph: Graph, node: Node, writers: dict[int, list[int]]) -> list[int] | None:
    """The temps that ``node`` writes, where each is written whole, and by it alone; None otherwise."""
    found = []
    for ref in node.refs(node.writes):
        buffer = graph.buffers[ref.slot]
        if buffer.kind != "temp" or len(writers[ref.slot]) != 1 or ref.layout is not buffer.layout or ref.offset:
            return None
        found.append(ref.slot)
    return None if node.read_buffers() & set(found) else found


def _untouched(buffers: set[int], writers: dict[int, list[int]], first: int, last: int) -> bool:
    """True when no node from ``first`` up to ``last`` writes one of ``buffers``."""
    return not any(first <= w < last for b in buffers for w in writers[b])


def _renamed(node: Node, names: dict[int, int]) -> Node:
    if not names:
        return node
    operands = tuple(replace(o, slot=names[o.slot]) if isinstance(o, Ref) and o.slot in names else o for o in node.operands)
    return node if operands == node.operands else replace(node, operands=operands)


# ---- copies ----------------------------------------------------------------------------------------------------------
def without_copies(graph: Graph) -> Graph:
    """A whole, dense copy between buffers that live here is a new name, where neither side is written afterwards."""
    at = 0
    while at < len(graph.nodes):
        found = _copied(graph.nodes[at])
        names = None if found is None else _merged(graph, at, *found)
        if names is None:
            at += 1
            continue
        nodes = graph.nodes[:at] + graph.nodes[at + 1 :]
        graph = graph.copy([_renamed(n, names) for n in nodes])
    return graph


def _copied(node: Node) -> tuple[Ref, Ref] | None:
    """(source, target) of a node that moves a dense value to another place, element for element."""
    d = node.definition
    if d is None or len(d.stores) != 1 or d.stages or d.checks or len(d.operands) != 2:
        return None
    store = d.stores[0]
    if store.value.op != "load" or store.combine or store.valid is not None or store.value.args != store.at:
        return None
    source, target = node.operands[store.value.value], node.operands[store.operand]
    if not (isinstance(source, Ref) and isinstance(target, Ref)) or source.layout is not target.layout:
        return None
    return (source, target) if source.layout is not None and source.layout.is_dense else None


def _merged(graph: Graph, at: int, source: Ref, target: Ref) -> dict[int, int] | None:
    """What to rename so that the copy at ``at`` does nothing; None where that would change a value."""
    of, to = graph.buffers[source.slot], graph.buffers[target.slot]
    whole = source.layout is of.layout and target.layout is to.layout and not source.offset and not target.offset
    if not whole or of.number == to.number:
        return None
    writers, readers = graph.writers(), graph.readers()
    if writers[to.number] != [at] or any(r < at for r in readers[to.number]):
        return None
    if any(w > at for w in writers[of.number]):
        return None
    if to.kind == "temp" and (of.kind == "temp" or not any(w >= at for w in writers[of.number])):
        return {to.number: of.number}
    return {of.number: to.number} if of.kind == "temp" and to.kind == "output" else None


# ---- dead code -------------------------------------------------------------------------------------------------------
def live(graph: Graph) -> Graph:
    """Without the nodes whose results nobody reads. A node that can refuse its operands stays."""
    needed = {b.number for b in graph.buffers.values() if b.kind != "temp"}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.refuses or node.written_buffers() & needed:
            kept.append(node)
            needed |= node.read_buffers() | node.written_buffers()
    return graph.copy(kept[::-1])
