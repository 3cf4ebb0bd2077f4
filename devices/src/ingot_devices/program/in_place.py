"""Results take the place of an operand which nobody needs any more. Behind the stages, before the plan of memory.

    … workspaces ─▶ `order` ─▶ in_place ─▶ `slab.unite` ─▶ `lodge` ─▶ `memory`

A kernel whose operand dies in it may write over that operand, element for element, as ``x.relu_()`` does: of the two only one
takes memory, and the caches hold half as much. Two values become one buffer, which lives as long as both did. It is
done where the code generator makes the kernel for operands that lie so (`Node.aliased`), and nowhere else.
"""

from __future__ import annotations

from typing import Any

from ..codegen import Unsupported
from ..ir.definition import Definition, Store
from ..ir.expr import walk
from ..plan import Ref
from .graph import Graph, Node
from .memory import plain
from .slab import moved

Touched = dict[int, list[int]]
"""Buffer → the places of the nodes that name it, in order."""


def in_place(graph: Graph) -> Graph:
    """The program with results in the place of operands that die where they are made."""
    nodes, touched, able = list(graph.nodes), _touched(graph), plain(graph)
    for place in range(len(nodes)):
        for store in _stores(nodes[place].definition):
            found = _pair(graph, nodes[place], store, place, touched, able)
            if found is None:
                continue
            gone, kept = found
            there = {gone: (kept, 0)}
            if _builds(moved(graph, nodes[place], there), graph.device):
                touched[kept] = sorted({*touched.pop(gone), *touched[kept]})
                for at in touched[kept]:
                    nodes[at] = moved(graph, nodes[at], there)
    return graph.copy(nodes)


def _stores(definition: Definition | None) -> tuple[Store, ...]:
    """Those of a pointwise kernel, or of one of rows: what is reduced is what is written. A product is left alone: many a
    library takes none whose result lies over what is added to it."""
    if definition is None or any(s.combine is not None for s in definition.stores):
        return ()
    written = {axis for store in definition.stores for axis in store.axes}
    return definition.stores if all(written >= {*s.over} for s in definition.stages) else ()


def _pair(graph: Graph, node: Node, store: Store, place: int, touched: Touched, able: set[int]) -> tuple[int, int] | None:
    """The buffer that goes and the one that takes its place: first the result's, or where that is handed out, the operand's."""
    result, definition = node.operands[store.operand], node.definition
    assert isinstance(result, Ref) and definition is not None
    over = graph.buffers[result.slot]
    if over.kind == "input" or touched[over.number][0] != place:
        return None
    others = {n.value for t in definition.stores if t is not store for n in walk(t.value) if n.op == "load"}
    for number in node.reads:
        operand = node.operands[number]
        if not isinstance(operand, Ref) or number in others:  # another store may come later, and read it
            continue
        under = graph.buffers[operand.slot]
        if under.number == over.number or under.number not in able or touched[under.number][-1] != place:
            continue
        if operand.layout == result.layout and operand.offset == result.offset == 0 and under.nbytes == over.nbytes:
            return (over.number, under.number) if over.number in able else (under.number, over.number)
    return None


def _touched(graph: Graph) -> Touched:
    found: Touched = {}
    for place, node in enumerate(graph.nodes):
        for number in {o.slot for o in node.operands if isinstance(o, Ref)}:
            found.setdefault(number, []).append(place)
    return found


def _builds(node: Node, device: Any) -> bool:
    """Whether the kernel is made for operands that lie so, in no other way than for those that do not."""
    codegen, layouts = device.codegen, {n: o.layout for n, o in enumerate(node.operands) if isinstance(o, Ref)}
    try:
        getattr(codegen, "strictly", codegen.compile)(node.definition, layouts, device, node.aliased)
    except Unsupported:
        return False
    return True
