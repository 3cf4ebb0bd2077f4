"""Which kernels become one: less memory moved, fewer launches, the same bits.

A pass over the program in order; each node is joined (`merge.join`) with the nodes behind it that read what it made, or that
run over the same points, as long as that is legal (`_may_move`), pays (`_pays`) and the device's code generator gives the
same bits (`kinds_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..codegen import Unsupported
from ..ir.expr import walk
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
        keep = frozenset(n for n in first.written_buffers() if self._needed(n, place))
        found = None
        if not first.written_buffers() & second.written_buffers() and self._may_move(at, place, keep):
            found = join(first, second, inner, keep)
        if found is None or not self._pays(first, second, found, inner, keep) or not self._same_bits(first, second, found):
            self.refused.add((first, second))
            return False
        graph.nodes[at : place + 1] = [*graph.nodes[at + 1 : place], found]
        return True

    def _needed(self, buffer: int, place: int) -> bool:
        """True when somebody but the node at ``place`` reads ``buffer`` later, or it outlives the program."""
        if self.graph.buffers[buffer].kind != "temp":
            return True
        others = (n for k, n in enumerate(self.graph.nodes) if k != place)
        return any(buffer in n.read_buffers() for n in others)

    def _may_move(self, at: int, place: int, keep: frozenset[int]) -> bool:
        """True when the node at ``at`` may as well run at ``place``: nothing between writes what it reads, or reads or
        writes what it writes and what is kept."""
        first = self.graph.nodes[at]
        between = self.graph.nodes[at + 1 : place]
        reads, writes = first.read_buffers(), first.written_buffers()
        for node in between:
            if node.written_buffers() & (reads | writes) or node.read_buffers() & writes:
                return False
        return not self.graph.nodes[place].written_buffers() & writes

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
            return bool(tree.shape_of(staged, device) == tree.shape_of(made, device))
        except Unsupported:
            return False


def _dear(node: Node) -> bool:
    assert node.definition is not None
    return any(n.op in DEAR for n in walk(*node.definition.roots()))


def unfused(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that ``nodes`` were made of."""
    return [p for n in nodes for p in (n.parts or (n,))]
