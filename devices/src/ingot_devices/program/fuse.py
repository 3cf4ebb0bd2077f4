"""Which kernels become one: less memory moved, fewer launches, the same bits.

A pass over the program in order; each node is joined (`merge.join`) with the nodes behind it that read what it made, or that
run over the same points, as long as that is legal (`_may_sink`, `_may_rise`), pays (`_pays`) and the device's code generator
gives the same bits (`kinds_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..codegen import Unsupported
from ..ir.expr import walk
from ..plan import Ref
from . import tree
from .graph import Graph, Node
from .merge import join

KINDS = ("pointwise", "reduce", "contraction")
"""What a code generator may say that it fuses bit for bit (its attribute ``fuses``): chains of pointwise kernels, those into
and behind reductions, those behind contractions. Without the attribute: the first."""

DEAR = frozenset("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh erf erfc pow atan2 div "
                 "sqrt rsqrt hypot fmod idiv mod".split())  # fmt: skip
"""Operators that are not computed twice to save a load."""
MAX_OPERANDS, MAX_NODES, REACH = 24, 400, 24
LOOSE = 64 << 10
"""Bytes that may stay alive longer for a kernel less. A sum over a large gradient stays where that is made: at the optimizer's
step, all of them would still be there."""


def kinds_of(device: Any) -> frozenset[str]:
    """What the device's code generator fuses."""
    codegen = device.codegen
    return frozenset() if codegen is None else frozenset(getattr(codegen, "fuses", ("pointwise",)))


def fuse(graph: Graph) -> Graph:
    """The program with joined kernels."""
    kinds = kinds_of(graph.device)
    return _Fuser(graph, kinds).run() if kinds else graph


class _Fuser:
    """Nodes in order; `step` joins one pair at a time."""

    def __init__(self, graph: Graph, kinds: frozenset[str]) -> None:
        self.graph, self.kinds = graph.copy(graph.nodes), kinds
        self.refused: set[tuple[Node, Node]] = set()

    def run(self) -> Graph:
        at = 0
        while at < len(self.graph.nodes):
            at = at if self.step(at) else at + 1
        return self.graph

    def step(self, at: int) -> bool:
        """Join the node at ``at`` with one behind it; False when there is none."""
        nodes = self.graph.nodes
        first = nodes[at]
        if first.definition is None or first.refuses:
            return False
        for place in range(at + 1, min(len(nodes), at + 1 + REACH)):
            second = nodes[place]
            if second.definition is None or second.refuses or (first, second) in self.refused:
                continue
            inner = frozenset(first.written_buffers() & second.read_buffers())
            if inner and self._join(at, place, inner):
                return True
        return False

    def _join(self, at: int, place: int, inner: frozenset[int]) -> bool:
        graph = self.graph
        first, second = graph.nodes[at], graph.nodes[place]
        one, other = self._apart(first, second, inner)
        inner = frozenset(one.written_buffers() & other.read_buffers())
        keep = frozenset(n for n in one.written_buffers() if self._needed(n, place))
        found = None
        sinks = self._may_sink(at, place) and self._holds(at, place) <= LOOSE
        rises = not sinks and self._may_rise(at, place)
        if not one.written_buffers() & other.written_buffers() and (sinks or rises):
            found = join(one, other, inner, keep)
        if found is None or not self._pays(one, other, found, inner, keep) or not self._same_bits(one, other, found):
            self.refused.add((first, second))
            return False
        between = graph.nodes[at + 1 : place]
        graph.nodes[at : place + 1] = [*between, found] if sinks else [found, *between]
        return True

    def _apart(self, first: Node, second: Node, inner: frozenset[int]) -> tuple[Node, Node]:
        """The two with a name of its own for what lies between them, where the second replaces all of it in place."""
        shared = first.written_buffers() & second.written_buffers()
        whole = {r.slot for r in second.refs(second.writes) if r.layout is self.graph.buffers[r.slot].layout and not r.offset}
        both = (set(n.reads) & set(n.writes) for n in (first, second))  # an operand that is read and written has one name
        if not shared or not shared <= inner & whole or any(both):
            return first, second
        names = {n: self.graph.buffer("temp", self.graph.buffers[n].layout).number for n in shared}
        return _renamed(first, names, first.writes), _renamed(second, names, second.reads)

    def _needed(self, buffer: int, place: int) -> bool:
        """True when somebody but the node at ``place`` reads ``buffer`` later, or it outlives the program."""
        if self.graph.buffers[buffer].kind != "temp":
            return True
        others = (n for k, n in enumerate(self.graph.nodes) if k != place)
        return any(buffer in n.read_buffers() for n in others)

    def _may_sink(self, at: int, place: int) -> bool:
        """True when the node at ``at`` may as well run at ``place``: no kernel between writes what it reads, or sees what it
        writes."""
        return self._stranger(self.graph.nodes[at], self.graph.nodes[at + 1 : place])

    def _holds(self, at: int, place: int) -> int:
        """Bytes that would be alive up to ``place`` because the node at ``at`` sinks there: what nobody there or behind reads,
        less what it makes."""
        nodes, buffers = self.graph.nodes, self.graph.buffers
        read = {n for n in nodes[at].read_buffers() if buffers[n].kind == "temp"}
        if place == at + 1 or sum(buffers[n].nbytes for n in read) <= LOOSE:
            return 0  # no need to look who reads it again
        for node in nodes[place:]:
            read -= node.read_buffers() | node.written_buffers()
        made = {n for n in nodes[at].written_buffers() if buffers[n].kind == "temp"}
        return sum(buffers[n].nbytes for n in read) - sum(buffers[n].nbytes for n in made)

    def _may_rise(self, at: int, place: int) -> bool:
        """True when the node at ``place`` may as well run at ``at``: nothing from before is changed there that should be as it
        was if a kernel between fails."""
        second, between = self.graph.nodes[place], self.graph.nodes[at + 1 : place]
        changes = any(self.graph.buffers[n].kind == "input" for n in second.written_buffers())
        return self._stranger(second, between) and not (changes and any(n.refuses for n in between))

    @staticmethod
    def _stranger(node: Node, others: Sequence[Node]) -> bool:
        """True when none of ``others`` writes what ``node`` reads or writes, or reads what it writes."""
        reads, writes = node.read_buffers(), node.written_buffers()
        return not any(n.written_buffers() & (reads | writes) or n.read_buffers() & writes for n in others)

    def _pays(self, first: Node, second: Node, made: Node, inner: frozenset[int], keep: frozenset[int]) -> bool:
        assert made.definition is not None
        if len(made.operands) > MAX_OPERANDS or len(list(walk(*made.definition.roots()))) > MAX_NODES:
            return False
        assert first.definition is not None and second.definition is not None
        if first.definition.stages or not second.definition.stages:
            return True
        nodes = (n for root in second.definition.roots() for n in walk(root) if n.op == "load")
        loads = sum(1 for n in nodes if getattr(second.operands[n.value], "slot", None) in inner)
        return loads == 1 or not _dear(first)

    def _same_bits(self, first: Node, second: Node, made: Node) -> bool:
        """True when the code generator computes the joined kernel as it does the two."""
        assert first.definition is not None and second.definition is not None
        if not (first.definition.stages or second.definition.stages):
            return "pointwise" in self.kinds
        staged = first if first.definition.stages else second
        needed = "contraction" if tree.is_contraction(staged) else "reduce"
        if needed not in self.kinds:
            return False
        try:
            device = self.graph.device
            alike = bool(tree.shape_of(staged, device) == tree.shape_of(made, device))
            return alike and bool(tree.walked(staged) == tree.walked(made))
        except Unsupported:
            return False


def _renamed(node: Node, names: Mapping[int, int], positions: Sequence[int]) -> Node:
    """``node`` with other buffers at some of its operands."""
    operands = list(node.operands)
    for n in positions:
        operand = operands[n]
        if isinstance(operand, Ref) and operand.slot in names:
            operands[n] = replace(operand, slot=names[operand.slot])
    return replace(node, operands=tuple(operands))


def _dear(node: Node) -> bool:
    assert node.definition is not None
    return any(n.op in DEAR for n in walk(*node.definition.roots()))


def unfused(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that ``nodes`` were made of."""
    return [p for n in nodes for p in (n.parts or (n,))]
