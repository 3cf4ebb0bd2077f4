"""Which kernels run side by side: independent ones of a kind, each on memory of its own, become one launch.

After fusion. An optimizer's steps are one kernel for each parameter; `gather` makes one node of as many as a launch can bind,
where the device's code generator has a method ``together``. A member moves up to the first of its group, past nodes that
touch nothing of what it reads and writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codegen.replay import Input
from ..ir.definition import Definition
from ..plan import Ref
from .graph import Graph, Node, Operand

MOST = 8
"""Members of one group: a kernel's source, and the time to build it, grow with them."""
REACH = 1024
"""How far down a member is looked for."""


@dataclass
class Touched:
    """Buffers that some nodes read and write."""

    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)

    def add(self, node: Node) -> None:
        self.reads |= node.read_buffers()
        self.writes |= node.written_buffers()

    def meets(self, node: Node) -> bool:
        """True where the order of ``node`` and these matters."""
        written = node.written_buffers()
        return not self.writes.isdisjoint(node.read_buffers() | written) or not self.reads.isdisjoint(written)


def gather(graph: Graph) -> Graph:
    """The program with groups."""
    if not hasattr(graph.device.codegen, "together") or graph.device.limits.lanes == 1:
        return graph
    alike = Counter(_kind(n) for n in graph.nodes)
    waiting, made = list(graph.nodes), []
    while waiting:
        node = waiting.pop(0)
        kind = _kind(node)
        members = [node]
        if kind is not None and alike[kind] > 1:
            members += _members(graph, node, waiting)
            waiting = [n for n in waiting if n not in members]
        made.append(node if len(members) == 1 else group(members))
    return graph.copy(made)


def _kind(node: Node) -> str | None:
    """Nodes of one kind may be a group; None for one that stays alone: a reduction, a kernel that refuses values, or one
    that has no element to write."""
    d = node.definition
    return None if d is None or node.refuses or 0 in d.axes or not elementwise(d) else node.op


def elementwise(definition: Definition) -> bool:
    """True where each element is a matter of one work-item: no reduction, no check."""
    return not definition.stages and not definition.checks and not any(s.combine for s in definition.stores)


def _members(graph: Graph, node: Node, behind: Sequence[Node]) -> list[Node]:
    """The nodes of ``behind`` that may run beside ``node``."""
    kind, bindings = _kind(node), _bindings(node)
    between, inside = Touched(), Touched()
    inside.add(node)
    found: list[Node] = []
    for other in behind[:REACH]:
        if _kind(other) == kind and not between.meets(other) and not inside.meets(other):
            wanted = bindings | _bindings(other)
            if len(wanted) > graph.device.limits.max_bindings or len(found) + 1 == MOST:
                break
            bindings = wanted
            found.append(other)
            inside.add(other)
        else:
            between.add(other)
    return found


def _bindings(node: Node) -> set[Any]:
    """What a launch binds for ``node``: its places, and the memory that numbers of its may be read from (`numbers`)."""
    assert node.definition is not None
    places: set[Any] = {o for o in node.operands if isinstance(o, Ref)}
    return places | {dtype for n, dtype in node.definition.params if isinstance(node.operands[n], Input)}


def group(members: Sequence[Node]) -> Node:
    """One node of ``members``, which touch nothing of each other's results."""
    operands, numbers = _joint(members)
    reads = {m[n] for node, m in zip(members, numbers, strict=True) for n in node.reads}
    writes = {m[n] for node, m in zip(members, numbers, strict=True) for n in node.writes}
    return Node(f"{len(members)} × {members[0].op}", operands, tuple(sorted(reads)), tuple(sorted(writes)),
                members=tuple(members), numbers=tuple(numbers))  # fmt: skip


def _joint(members: Sequence[Node]) -> tuple[tuple[Operand, ...], list[dict[int, int]]]:
    """The operands of a group, a place that several read being one; and each member's numbers among them."""
    values: list[Operand] = []
    held: dict[Any, int] = {}
    numbers = []
    for node in members:
        own = {}
        for n, operand in enumerate(node.operands):
            key = operand if isinstance(operand, Ref) else (len(values), n)
            if key not in held:
                held[key] = len(values)
                values.append(operand)
            own[n] = held[key]
        numbers.append(own)
    return tuple(values), numbers
