"""The last stage: a graph with planned memory becomes something that runs.

Kernels of definitions go to `codegen.replay` where the device's code generator makes whole programs; else each is built by
itself and a straight line of Python calls them, with every operand that never changes bound beforehand. A node that runs on
the host is called with views, between two such lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..codegen import Unsupported
from ..codegen.quiet import loud, quiet
from ..codegen.replay import Input, Launch, part
from ..dtypes import uint8
from ..layout import Layout
from ..memory.arena import Arena
from ..plan import Ref
from ..view import View
from . import memory
from .fuse import unfused
from .graph import Graph, Node
from .in_place import in_place
from .lodge import lodge
from .order import order
from .slab import moved, unite

Run = Callable[[Sequence[Any], Sequence[Any]], None]


class Program:
    """A program ready to run on one device, again and again; it owns its temporaries.

    ``run(slots, numbers)``: ``slots[n]`` is the `View` of input or output buffer n (None where it is pinned or a temp), in
    the layout that the graph's buffer has; ``numbers`` are those that change. Runs in several threads, or on several streams,
    come one after the other: they use the same temporaries. ``shared``: the arena of a program that may lend its memory.
    Not ``lasting``: where temporaries are many, there is memory for them only while the program runs (`_Lent`).
    """

    def __init__(
        self, graph: Graph, pinned: Mapping[int, View], shared: Arena | None = None, lasting: bool = True
    ) -> None:  # fmt: skip
        self.graph, self.plan = _planned(graph)
        self._lent = _Lent(self.graph, self.plan) if not lasting and _Lent.wanted(graph.device, self.plan) else None
        nodes = self.graph.nodes if self._lent is None else self._lent.nodes
        self.arena: Arena
        self.arena, views = memory.placed(self.graph, self.plan if self._lent is None else memory.NOTHING, shared)
        self._turn, self._streams = self.arena.turn, graph.device.streams
        self.pinned = {**pinned, **views}
        self.sources: list[str] = []
        self.launches = self.runs = 0
        self._hosted = False  # something runs on NumPy
        parts = [self._part(nodes) for nodes in _segments(nodes)]
        self._runs: tuple[Run, ...] = tuple(parts)
        self._only = parts[0] if len(parts) == 1 and not graph.derived else None

    def run(self, slots: Sequence[Any], numbers: Sequence[Any] = ()) -> None:
        """Queue the whole program, in order."""
        with self._turn.lock:
            if self._streams:
                self._turn.follow()
            self.runs += 1
            if self._lent is not None:
                slots = self._lent.slots(slots)
            token = quiet() if self._hosted else None  # NumPy's remarks on numbers are not news
            try:
                if self._only is not None:
                    self._only(slots, numbers)
                else:
                    self.launch(slots, self.graph.every(numbers))
            finally:
                if token is not None:
                    loud(token)

    def launch(self, slots: Sequence[Any], every: Sequence[Any] = ()) -> None:
        """What a run queues; ``every`` are its numbers with those that are derived (`Graph.every`)."""
        for run in self._runs:
            run(slots, every)

    def count(self) -> dict[str, int]:
        """Launches so far, by route."""
        found: dict[str, int] = {}
        for node in self.graph.nodes:
            found[node.route] = found.get(node.route, 0) + self.runs * node.launches
        return found

    def _part(self, nodes: Sequence[Node]) -> Run:
        if nodes[0].views:
            self._hosted = True
            return _hosted(nodes[0], self.pinned)
        self.launches += sum(n.launches for n in nodes)
        launches = [_launch(n) for n in nodes]
        whole = getattr(self.graph.device.codegen, "program", None)
        made = None if whole is None else whole(tuple(launches), self.graph.device, self.pinned)
        if made is not None:
            self.sources.append(made.source)
            self._hosted = self._hosted or not made.silent
            run: Run = made.run
            return run
        self._hosted = self._hosted or self.graph.device.host_visible
        return _straight(launches, self.graph.device, self.pinned, self.sources)


class _Lent:
    """The temporaries of a program as one slot more, whose memory comes from the pool for each run. Those of a forward pass are
    not there while its backward pass runs, and the other way round. Where native code adds offsets to addresses, that costs no
    more than an allocation."""

    LEAST = 1 << 20
    """Bytes from which it is worth that."""

    @classmethod
    def wanted(cls, device: Any, plan: memory.MemoryPlan) -> bool:
        whole = getattr(device.codegen, "program", None) is not None and len(plan.sizes) == 1
        return whole and plan.nbytes >= cls.LEAST

    def __init__(self, graph: Graph, plan: memory.MemoryPlan) -> None:
        self.number = max(graph.buffers) + 1
        self.layout = Layout.dense((plan.nbytes,), uint8, graph.device)
        self._make = graph.device.pool.maker(self.layout, exact=True)
        there = {n: (self.number, offset) for n, (_, offset) in plan.place_of.items()}
        self.nodes = [moved(graph, node, there) for node in graph.nodes]

    def slots(self, given: Sequence[Any]) -> list[Any]:
        """The slots of a run, with that one."""
        block, native = self._make()
        assert len(given) <= self.number, "a slot that no buffer has"
        return [*given, *[None] * (self.number - len(given)), View.make(block, self.layout, 0, native)]


def _planned(graph: Graph) -> tuple[Graph, memory.MemoryPlan]:
    """The program as it is to run, and its temporaries' places: in the order that was given, or in that of `order`, whichever
    needs less memory."""
    found = []
    for given in (graph, *order(graph)):
        merged = in_place(given)
        over = sum(len(new.aliased - old.aliased) for new, old in zip(merged.nodes, given.nodes, strict=True))
        made, lodged = lodge(unite(_buildable(merged)))
        found.append((made, replace(memory.plan(made), lodged=lodged, over=over)))
    return min(found, key=lambda pair: pair[1].nbytes)


def _launch(node: Node) -> Launch:
    members = tuple((_launch(m), numbers) for m, numbers in zip(node.members, node.numbers, strict=True))
    return Launch(node.operands, node.definition, node.call, node.aliased, members)


def _segments(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes in order, those that run on the host each by itself."""
    found: list[list[Node]] = []
    for node in nodes:
        if found and not node.views and not found[-1][0].views:
            found[-1].append(node)
        else:
            found.append([node])
    return found


def _buildable(graph: Graph) -> Graph:
    """The graph with every fused kernel that the device refuses taken apart again."""
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _apart(node, graph.device)
    return graph.copy(nodes)


def _apart(node: Node, device: Any) -> list[Node]:
    """The node, or what it was made of where the device refuses it."""
    if not (node.parts or node.members):
        return [node]
    try:
        compiled(node, device)
    except Unsupported:
        return [n for m in node.members for n in _apart(m, device)] or unfused([node])
    return [node]


def compiled(node: Node, device: Any) -> Any:
    """The kernel of a node with a definition, or of a group; `Unsupported` says why there is none."""
    if node.members:
        return device.codegen.together(_launch(node).members, device)
    layouts: dict[int, Layout] = {}
    for n, o in enumerate(node.operands):
        if isinstance(o, Ref) and o.layout is not None:
            layouts[n] = o.layout
    return device.codegen.compile(node.definition, layouts, device, node.aliased)


def _straight(launches: Sequence[Launch], device: Any, pinned: Mapping[int, View], sources: list[str]) -> Run:
    """A Python function of one call after another."""
    scope: dict[str, Any] = {"part": part}
    natives: dict[Any, str] = {}
    head: list[str] = []
    lines: list[str] = []

    def native(ref: Ref) -> str:
        key = (ref.slot, ref.layout, ref.offset)
        if key not in natives:
            name = natives[key] = f"v{len(natives)}"
            if ref.slot in pinned:
                scope[name] = part(pinned[ref.slot], ref).native()
            else:
                scope[f"r{name}"] = ref
                head.append(f"    {name} = part(slots[{ref.slot}], r{name}).native()")
        return natives[key]

    for k, launch in enumerate(launches):
        call, text = launch.call, getattr(launch.call, "__name__", "callable")
        if launch.members:
            made = device.codegen.together(launch.members, device)
            call, text = made.call, made.source
        elif launch.definition is not None:
            made = device.codegen.compile(launch.definition, launch.layouts, device, launch.aliased)
            call, text = made.call, made.source
        sources.append(text)
        scope[f"k{k}"] = call
        values = []
        for n, o in enumerate(launch.operands):
            if isinstance(o, Ref):
                values.append(native(o))
            elif isinstance(o, Input):
                values.append(f"numbers[{o.number}]")
            else:
                scope[f"c{k}_{n}"] = o
                values.append(f"c{k}_{n}")
        lines.append(f"    k{k}({', '.join(values)})")
    source = "\n".join(["def run(slots, numbers):", *head, *(lines or ["    pass"])])
    exec(compile(source, "<ingot program>", "exec"), scope)
    run: Run = scope["run"]
    return run


def _hosted(node: Node, pinned: Mapping[int, View]) -> Run:
    """A node whose call takes views: it reads and writes on the host."""
    call = node.call
    assert call is not None

    def run(slots: Sequence[Any], numbers: Sequence[Any]) -> None:
        values: list[Any] = []
        for o in node.operands:
            if isinstance(o, Ref):
                held = pinned.get(o.slot)
                values.append(part(slots[o.slot] if held is None else held, o))
            else:
                values.append(numbers[o.number] if isinstance(o, Input) else o)
        call(*values)

    return run
