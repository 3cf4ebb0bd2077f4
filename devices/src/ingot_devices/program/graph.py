"""A program as a graph: kernels in order over numbered buffers. What the stages of `compile` read and rewrite.

    recorded plans ─`lift`─▶ Graph ─simplify─▶ epilogues ─▶ fuse ─▶ attach ─▶ gather ─▶ workspaces ─▶ plan ─▶ lower──▶ Program

A *buffer* is one block of memory: an ``input`` (it exists before the program and lives on), a ``temp``, or an ``output`` (made
by the program, handed out). A *node* is one launch: a `Definition` over operands, or a call that somebody wrote by hand. An
operand is a `Ref` (buffer, layout, offset in elements), a number, an `Input` (a number given at each run) or None.
Order is meaning: a node sees all that the nodes before it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codegen import Attach
from ..codegen.replay import Input
from ..ir.definition import Definition
from ..ir.expr import walk
from ..layout import Layout
from ..plan import Ref

Operand = Ref | Input | float | int | bool | None
KINDS = ("input", "temp", "output")


@dataclass
class Buffer:
    """One block of the program. ``layout``: how the value that it was made for lies in it, from its first element.

    ``spent``: an input that nobody looks at when the program has run; others may lie there once its last reader is done.
    """

    number: int
    kind: str
    layout: Layout
    label: str = ""
    spent: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes in the device's storage form."""
        limits = self.layout.device.limits
        return int(self.layout.span * limits.storage_itemsize(self.layout.dtype))


@dataclass(eq=False)
class Node:
    """One launch. ``reads`` and ``writes`` are positions among ``operands``; ``parts`` the nodes that it was fused from.

    ``members`` are independent nodes that run side by side in it (`gather`), with ``numbers``: each one's operand numbers →
    positions among ``operands``. ``behind`` and ``attach``: what a kernel by hand can do with its result as well
    (`codegen.Compiled`).
    """

    op: str
    operands: tuple[Operand, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    definition: Definition | None = None
    call: Callable[..., Any] | None = None
    views: bool = False
    route: str = "generated"
    launches: int = 1
    parts: tuple[Node, ...] = ()
    members: tuple[Node, ...] = ()
    numbers: tuple[Mapping[int, int], ...] = ()
    behind: Callable[[str], Callable[..., Any]] | None = None
    attach: Attach | None = None

    def refs(self, positions: Sequence[int]) -> Iterator[Ref]:
        """The buffers at ``positions``."""
        for n in positions:
            operand = self.operands[n]
            if isinstance(operand, Ref):
                yield operand

    def read_buffers(self) -> set[int]:
        """Numbers of the buffers that it loads from."""
        return {r.slot for r in self.refs(self.reads)}

    def written_buffers(self) -> set[int]:
        """Numbers of the buffers that it stores to."""
        return {r.slot for r in self.refs(self.writes)}

    @property
    def aliased(self) -> frozenset[int]:
        """Operands that are read and lie, element for element, where another operand is written."""
        written = {self.operands[n] for n in self.writes}
        return frozenset(n for n in self.reads if n not in self.writes and self.operands[n] in written)

    @property
    def refuses(self) -> bool:
        """True when it can refuse its operands' values: such a node stays, and stays by itself."""
        return self.definition is None or bool(self.definition.checks)

    @property
    def nbytes(self) -> int:
        """Bytes that it has to move: each operand once."""
        found = {(r.slot, r.layout, r.offset) for r in self.refs((*self.reads, *self.writes))}
        return sum(_touched(layout) for _, layout, _ in found if layout is not None)

    def __str__(self) -> str:
        shown = ", ".join(_text(self.operands[n]) for n in range(len(self.operands)) if n not in self.writes)
        return f"{', '.join(_text(self.operands[n]) for n in self.writes)} = {self.op}({shown})"


def _touched(layout: Layout) -> int:
    """Bytes of the elements that a layout reaches: an axis of stride 0 is one."""
    size = layout.device.limits.storage_itemsize(layout.dtype)
    for n, stride in zip(layout.shape, layout.strides, strict=True):
        size *= n if stride else min(n, 1)
    return int(size)


def _text(operand: Operand) -> str:
    if isinstance(operand, Ref):
        at = f"+{operand.offset}" if operand.offset else ""
        return f"%{operand.slot}{at}:{operand.layout!r}"
    return f"#{operand.number}" if isinstance(operand, Input) else repr(operand)


@dataclass
class Derived:
    """A number of each run that is computed from others: ``compute(given)``."""

    compute: Callable[[Sequence[Any]], Any]
    given: tuple[Operand, ...]


@dataclass
class Graph:
    """See the module's docstring. ``inputs`` counts the numbers given at each run; ``derived`` follow them.

    ``exact``: results must be the eager ones, to the bit; where they need not, ``reassociations`` says what differs.
    ``slabs``: a buffer → the buffers that are to lie in it, each with the byte at which it begins. Stages see those as buffers
    of their own, and nothing of the slab; `slab.unite` puts them there, and whoever runs the program gives the slab's memory.
    """

    device: Any
    buffers: dict[int, Buffer] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: int = 0
    derived: list[Derived] = field(default_factory=list)
    exact: bool = True
    reassociations: list[str] = field(default_factory=list)
    slabs: dict[int, dict[int, int]] = field(default_factory=dict)

    def buffer(self, kind: str, layout: Layout, label: str = "") -> Buffer:
        """A new buffer."""
        made = Buffer(len(self.buffers), kind, layout, label)
        self.buffers[made.number] = made
        return made

    def writers(self) -> dict[int, list[int]]:
        """For each buffer the places of the nodes that write it, in order."""
        return self._places(Node.written_buffers)

    def readers(self) -> dict[int, list[int]]:
        """For each buffer the places of the nodes that read it, in order."""
        return self._places(Node.read_buffers)

    def _places(self, of: Callable[[Node], set[int]]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {n: [] for n in self.buffers}
        for place, node in enumerate(self.nodes):
            for number in of(node):
                found[number].append(place)
        return found

    def every(self, numbers: Sequence[Any]) -> list[Any]:
        """The numbers of a run, and those that are derived from them."""
        every = list(numbers)
        for d in self.derived:
            every.append(d.compute([every[g.number] if isinstance(g, Input) else g for g in d.given]))
        return every

    def copy(self, nodes: Sequence[Node]) -> Graph:
        """The same buffers with other nodes."""
        return Graph(self.device, dict(self.buffers), list(nodes), self.inputs, list(self.derived), self.exact,
                     list(self.reassociations), self.slabs)  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{len(self.nodes)} kernels, {sum(n.nbytes for n in self.nodes)} bytes moved"]
        used = set().union(*(n.read_buffers() | n.written_buffers() for n in self.nodes)) if self.nodes else set()
        lines += [f"  %{b.number}: {b.kind} {b.layout!r} {b.label}".rstrip() for b in self.buffers.values() if b.number in used]
        lines += [f"  {node}" for node in self.nodes]
        return "\n".join(lines)


def accesses(definition: Definition) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The operand numbers that a definition loads, and those that it stores to."""
    loaded = {n.value for n in walk(*definition.roots()) if n.op == "load"}
    stored = {s.operand for s in definition.stores}
    loaded |= {s.operand for s in definition.stores if s.combine is not None or s.valid is not None}
    return tuple(sorted(loaded)), tuple(sorted(stored))


class IllFormed(RuntimeError):
    """A stage broke the program: the text says which rule, and where."""


def check(graph: Graph, stage: str) -> None:
    """The legal form of a program, looked at between stages; `IllFormed` otherwise.

    Every temp is written before it is read, every output is written, nothing reaches past its buffer, and operands have the
    shapes and dtypes that their definition says.
    """
    written = {b.number for b in graph.buffers.values() if b.kind == "input"}
    for place, node in enumerate(graph.nodes):
        where = f"after {stage}, kernel {place} ({node.op})"
        for number in node.read_buffers() - written:
            whole = {r.slot for r in node.refs(node.writes)}
            if number not in whole:
                raise IllFormed(f"{where}: %{number} is read before anything wrote it")
        for ref in node.refs((*node.reads, *node.writes)):
            _check_reach(graph, ref, where)
        if node.definition is not None:
            _check_operands(node, where)
        written |= node.written_buffers()
    for b in graph.buffers.values():
        if b.kind == "output" and b.number not in written and b.number not in graph.slabs and b.layout.size:
            raise IllFormed(f"after {stage}: nothing writes the output %{b.number}")


def _check_reach(graph: Graph, ref: Ref, where: str) -> None:
    buffer = graph.buffers.get(ref.slot)
    if buffer is None or ref.layout is None:
        raise IllFormed(f"{where}: {ref} is no place in a buffer")
    if buffer.kind == "temp" and ref.offset + ref.layout.span > buffer.layout.span:
        raise IllFormed(f"{where}: {ref} reaches past the end of %{buffer.number} ({buffer.layout!r})")


def _check_operands(node: Node, where: str) -> None:
    assert node.definition is not None
    reads, writes = accesses(node.definition)
    if (reads, writes) != (node.reads, node.writes):
        raise IllFormed(f"{where}: it says that it reads {node.reads} and writes {node.writes}; "
                        f"its definition, {reads} and {writes}")
    for o in node.definition.operands:
        if o.number >= len(node.operands):
            continue
        ref = node.operands[o.number]
        if not isinstance(ref, Ref) or ref.layout is None or ref.layout.shape != o.shape or ref.layout.dtype is not o.dtype:
            raise IllFormed(f"{where}: operand {o.number} is {o.dtype.name}{list(o.shape)}, {_text(ref)} was given")
