"""Numbers that change at each run, in device memory: kernels load them, and no launch carries one.

A graph of the device is replayed with the arguments that its launches were captured with, so a learning rate, a step count
or a generator's offset must not be one of them. `in_memory` rewrites the last graph: where a kernel took an `Input`, it
loads an element of a small buffer, which `Numbers.write` fills before each run. The bits are those that a launch would
have passed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from .. import dtypes as dt
from ..codegen import Unsupported, arguments
from ..codegen.replay import Input
from ..dtypes import DType
from ..ir.definition import Check, Definition, Stage, Store
from ..ir.definition import Operand as Tensor
from ..ir.expr import Expr, const, rebuild, walk
from ..layout import Layout
from ..memory import Block
from ..plan import Ref
from ..view import View
from .gather import group
from .graph import Graph, Node, accesses

ALIGNED = 64
"""Bytes at a multiple of which the numbers of one dtype begin, and of which they take a multiple: also what a copy takes."""


@dataclass
class Numbers:
    """The numbers of ``graph``: ``slots`` says which lie in ``block``, in order, for each dtype."""

    graph: Graph
    slots: dict[DType, list[int]] = field(default_factory=dict)
    views: dict[int, View] = field(default_factory=dict)  # buffer of the graph → its part of the block
    block: Block | None = None

    def place(self, dtype: DType, number: int) -> int:
        """The element among those of ``dtype`` in which number ``number`` of a run lies."""
        held = self.slots.setdefault(dtype, [])
        if number not in held:
            held.append(number)
        return held.index(number)

    def allocate(self, graph: Graph) -> dict[DType, Ref]:
        """Take memory for all of them; what operand stands for those of each dtype."""
        if not self.slots:
            return {}
        ordered = sorted(self.slots, key=lambda d: -d.itemsize)  # the widest first: no holes
        device, codes, refs = self.graph.device, "<", {}
        starts = []
        for d in ordered:
            starts.append(struct.calcsize(codes))
            size = len(self.slots[d]) * d.itemsize
            codes += arguments.code(d, 64) * len(self.slots[d]) + f"{-size % ALIGNED}x"
        self._struct = struct.Struct(codes)
        self._given = [n for d in ordered for n in self.slots[d]]
        self._converters = [arguments.converter(d) for d in ordered for _ in self.slots[d]]
        self._plain = all(d.kind in "fiu" for d in ordered)
        self.block = device.pool.allocate(self._struct.size)
        for d, start in zip(ordered, starts, strict=True):
            layout = Layout.dense((len(self.slots[d]),), d, device)
            buffer = graph.buffer("input", layout, "numbers that change")
            self.views[buffer.number] = View.make(self.block, layout, start // d.itemsize)
            refs[d] = Ref(buffer.number, layout)
        return refs

    def write(self, given: Sequence[Any]) -> None:
        """Fill the memory for the next run, in order of what is queued."""
        if self.block is not None:
            every = self.graph.every(given) if self.graph.derived else given
            packed = self._packed([every[n] for n in self._given])
            self.graph.device.copy_in(self.block.handle, 0, memoryview(packed))


    def _packed(self, values: list[Any]) -> bytes:
        """``values`` as bytes. `struct` takes nearly all as they are, and refuses what only a converter takes."""
        if self._plain:
            with suppress(struct.error, OverflowError):
                return self._struct.pack(*values)
        return self._struct.pack(*[convert(v) for convert, v in zip(self._converters, values, strict=True)])


def in_memory(graph: Graph) -> tuple[Graph, Numbers]:
    """``graph`` with its numbers in memory. `Unsupported` names the kernel whose numbers cannot lie there."""
    numbers = Numbers(graph)
    wanted = {n: _wanted(n, numbers) for node in graph.nodes for n in (node.members or (node,))}
    made = graph.copy(graph.nodes)
    made.derived = []
    refs = numbers.allocate(made)

    def loading(node: Node) -> Node:
        return group([loading(m) for m in node.members]) if node.members else _loading(node, wanted[node], refs)

    made.nodes = [loading(node) for node in graph.nodes]
    return made, numbers


def _wanted(node: Node, numbers: Numbers) -> dict[int, tuple[DType, int]]:
    """Operand → (dtype, element) of the numbers that change among the operands of ``node``."""
    changing = {n: o for n, o in enumerate(node.operands) if isinstance(o, Input)}
    if not changing:
        return {}
    if node.definition is None:
        raise Unsupported(f"{node.op} takes a number that changes at each call")
    dtypes, limits = dict(node.definition.params), numbers.graph.device.limits
    for n in changing.keys() & dtypes.keys():
        if limits.dtype_class(dtypes[n]).kind not in ("native", "emulated"):
            raise Unsupported(f"{node.op} takes a {dtypes[n].name} that changes at each call, which lies in memory otherwise")
    return {n: (dtypes[n], numbers.place(dtypes[n], changing[n].number)) for n in changing if n in dtypes}


def _loading(node: Node, places: dict[int, tuple[DType, int]], refs: dict[DType, Ref]) -> Node:
    """``node`` with loads in place of the params in ``places``."""
    if not places:
        return node
    d = node.definition
    assert d is not None
    dtypes = list(dict.fromkeys(dtype for dtype, _ in places.values()))
    operands = [None if n in places else o for n, o in enumerate(node.operands)]
    position = {dtype: len(operands) + k for k, dtype in enumerate(dtypes)}
    tensors = [Tensor(position[t], f"numbers_{t.name}", t, layout.shape) for t in dtypes if (layout := refs[t].layout)]
    made = _rewritten(d, {n: (position[t], element) for n, (t, element) in places.items()}, tensors)
    reads, writes = accesses(made)
    return replace(node, operands=(*operands, *(refs[t] for t in dtypes)), definition=made, reads=reads, writes=writes)


def _rewritten(d: Definition, places: dict[int, tuple[int, int]], tensors: Sequence[Tensor]) -> Definition:
    memo: dict[Expr, Expr] = {}

    def change(root: Expr) -> Expr:
        for node in walk(root):
            if node in memo:
                continue
            if node.op == "param" and node.value in places:
                operand, element = places[node.value]
                memo[node] = Expr.of("load", (const(element, dt.index),), node.dtype, operand)
            else:
                args = tuple(memo[a] for a in node.args)
                memo[node] = node if args == node.args else rebuild(node, args)
        return memo[root]

    def store(s: Store) -> Store:
        return replace(s, at=tuple(change(i) for i in s.at), value=change(s.value),
                       valid=None if s.valid is None else change(s.valid))  # fmt: skip

    stages: list[Stage] = [replace(s, values=tuple(change(v) for v in s.values)) for s in d.stages]
    checks: list[Check] = [replace(c, condition=change(c.condition)) for c in d.checks]
    return replace(d, operands=(*d.operands, *tensors), params=tuple(p for p in d.params if p[0] not in places),
                   stages=tuple(stages), stores=tuple(store(s) for s in d.stores), checks=tuple(checks))  # fmt: skip
