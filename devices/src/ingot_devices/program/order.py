"""An order that needs less memory: what only lets go of some is done as soon as it can be. Behind the stages (see `lower`).

A kernel that makes no temporary and is the last to read one runs right behind the last node that it has to wait for. So the
gradient of a weight, whose memory is there anyway, is computed before the gradient of the layer's input, which wants memory of
its own, and the layer's input is gone by then.
"""

from __future__ import annotations

from collections.abc import Iterator

from .gather import Touched
from .graph import Graph, Node


def order(graph: Graph) -> Iterator[Graph]:
    """The same nodes, those that free more than they need moved up; nothing where that is the order that they have."""
    last = {number: node for node in graph.nodes for number in node.read_buffers()}
    first: dict[int, Node] = {}
    for node in graph.nodes:
        for number in node.written_buffers():
            first.setdefault(number, node)
    made: list[Node] = []
    for node in graph.nodes:
        place = len(made)
        if not node.views and _gain(graph, node, first, last) > 0:
            while place and _free(graph, made[place - 1], node):
                place -= 1
        made.insert(place, node)
    if made != graph.nodes:
        yield graph.copy(made)


def _gain(graph: Graph, node: Node, first: dict[int, Node], last: dict[int, Node]) -> int:
    """Bytes of temporaries that it is the last to read, less those that it is the first to write."""
    buffers = graph.buffers
    freed = sum(buffers[n].nbytes for n in node.read_buffers() if buffers[n].kind == "temp" and last[n] is node)
    taken = sum(buffers[n].nbytes for n in node.written_buffers() if buffers[n].kind == "temp" and first[n] is node)
    return freed - taken


def _free(graph: Graph, before: Node, node: Node) -> bool:
    """True where the two may run in either order. What changes memory from before stays behind what may refuse its operands:
    a step that fails has changed nothing then."""
    touched = Touched()
    touched.add(before)
    changes = any(graph.buffers[n].kind == "input" for n in node.written_buffers())
    return not before.views and not (before.refuses and changes) and not touched.meets(node)
