"""A stage between `simplify` and `fuse`: a kernel that somebody wrote, and the op behind it, as one call.

Who wrote the kernel says what it can do behind (`codegen.Compiled.behind`): a library's product adds a bias and takes an
activation on the way to memory. That rounds once less, and a library may choose another order of sums for it. So results are
not the eager ones to the bit: this is done only where that was asked for (`Graph.exact` is false), and each place is listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..codegen import Unsupported
from ..opset.op import OPS, Spec
from ..plan import Ref
from .graph import Graph, Node

REACH = 8
"""How many nodes further on the op may stand."""


def epilogues(graph: Graph) -> Graph:
    """The program with such pairs joined; the same one where results must be the eager ones, to the bit."""
    if graph.exact:
        return graph
    made = graph.copy(graph.nodes)
    at = 0
    while at < len(made.nodes):
        if not any(_join(made, at, place) for place in range(at + 1, min(len(made.nodes), at + 1 + REACH))):
            at += 1
    return made


def _join(graph: Graph, at: int, place: int) -> bool:
    """Make the nodes at ``at`` and ``place`` one, at the latter's place, if that may be."""
    first, second = graph.nodes[at], graph.nodes[place]
    if first.behind is None or not _follows(first, second) or not _alone(graph, at, place):
        return False
    try:
        call: Callable[..., Any] = first.behind(second.op)
    except Unsupported:
        return False
    operands = (*first.operands[:-1], second.operands[second.writes[0]])
    joined = replace(first, op=f"{first.op}+{second.op}", operands=operands, call=call, behind=None, parts=())
    graph.nodes[at : place + 1] = [*graph.nodes[at + 1 : place], joined]
    graph.reassociations.append(f"{second.op} of {first.op} by its kernel, before the result is rounded")
    return True


def _follows(first: Node, second: Node) -> bool:
    """True when the second is an op of one operand, as its row defines it, and takes all that the first makes, as it lies."""
    op, made = OPS.get(second.op), first.operands[-1]
    if op is None or second.definition is None or len(first.writes) != 1 or not isinstance(made, Ref) or made.layout is None:
        return False
    if len(op.operands) != 1 or len(second.operands) != 2 or second.operands[0] != made:
        return False
    out = second.operands[1]
    spec = Spec.of(made.layout.shape, made.layout.dtype)
    meant = op.definitions((spec,), op.defaults, (spec,))
    return isinstance(out, Ref) and out.layout is made.layout and meant == (second.definition,)


def _alone(graph: Graph, at: int, place: int) -> bool:
    """True when nobody else sees what lies between the two, and nothing there concerns the first one's operands."""
    first, second = graph.nodes[at], graph.nodes[place]
    (inner,) = first.written_buffers()
    others = (n for k, n in enumerate(graph.nodes) if k not in (at, place))
    if graph.buffers[inner].kind != "temp" or any(inner in n.read_buffers() | n.written_buffers() for n in others):
        return False
    written = set().union(*(n.written_buffers() for n in graph.nodes[at + 1 : place]))
    return not (written | second.written_buffers()) & first.read_buffers()
