"""A stage behind `fuse`: a kernel that somebody wrote, and the pointwise kernel that reads its result, as one call.

Who wrote the kernel says what it can compute of its result while that is still at hand (`codegen.Compiled.attach`), in the same
operations: a convolution that normalises, adds and takes an activation on the way to memory. No bit changes, so every program
has it, and the result itself never goes to memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..codegen import Unsupported
from ..plan import Ref
from .graph import Graph, Node
from .merge import plain


def attach(graph: Graph) -> Graph:
    """The program with such pairs joined."""
    made = graph.copy(graph.nodes)
    at = 0
    while at < len(made.nodes):
        if not _join(made, at):
            at += 1
    return made


def _join(graph: Graph, at: int) -> bool:
    """Make the node at ``at`` and the one that reads its result one, at the latter's place, if that may be."""
    first = graph.nodes[at]
    result = first.operands[-1] if first.operands else None
    if first.attach is None or not isinstance(result, Ref):
        return False
    users = [k for k, n in enumerate(graph.nodes) if k != at and result.slot in n.read_buffers() | n.written_buffers()]
    if not users or users[0] < at or not _may_join(graph, at, users, result):
        return False
    second = graph.nodes[users[0]]
    (number,) = _seen(second, second.reads, result)
    layouts = {n: o.layout for n, o in enumerate(second.operands) if isinstance(o, Ref) and o.layout is not None}
    assert second.definition is not None
    try:
        call = first.attach(second.definition, number, layouts)
    except Unsupported:
        return False
    before = len(first.operands) - 1
    kept = (o if n != number or n in second.writes else None for n, o in enumerate(second.operands))
    operands = (*first.operands[:-1], *kept)
    reads = (*(n for n in first.reads if n < before), *(before + n for n in second.reads if n != number))
    joined = replace(first, op=f"{first.op}+{second.op}", operands=operands, reads=reads,
                     writes=tuple(before + n for n in second.writes), call=call, behind=None, attach=None)  # fmt: skip
    graph.nodes[at : users[0] + 1] = [*graph.nodes[at + 1 : users[0]], joined]
    return True


def _may_join(graph: Graph, at: int, users: list[int], result: Ref) -> bool:
    """True when the next one that sees the result is a definition that reads it as it lies, nobody needs it afterwards, and
    the first may as well run in its place."""
    first, second = graph.nodes[at], graph.nodes[users[0]]
    if second.definition is None or second.refuses or len(first.writes) != 1:
        return False
    reads, writes = (_seen(second, positions, result) for positions in (second.reads, second.writes))
    if len(reads) != 1 or any(second.operands[n] != result for n in (*reads, *writes)):
        return False
    gone = graph.buffers[result.slot].kind == "temp" and len(users) == 1
    if not (gone or (writes and all(plain(s, second.definition) for s in second.definition.stores))):
        return False
    written = set().union(*(n.written_buffers() for n in graph.nodes[at + 1 : users[0] + 1]))
    return not written & first.read_buffers() and _element_for_element(second)


def _seen(node: Node, positions: Sequence[int], result: Ref) -> list[int]:
    """Those of ``positions`` at which a node names the result's buffer."""
    return [n for n in positions if isinstance(o := node.operands[n], Ref) and o.slot == result.slot]


def _element_for_element(node: Node) -> bool:
    """True when what is read where it writes is read as it is written."""
    targets = {r.slot: r for r in node.refs(node.writes)}
    return all(targets.get(r.slot, r) == r for r in node.refs(node.reads))
