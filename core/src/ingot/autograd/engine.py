"""The backward walk: from roots to leaves, youngest node first.

Nodes are numbered as they are made, so a node's users are all younger: taking the youngest waiting node is a
topological order. Gradients that meet at one place are added; a sum is written in place only into a buffer that the
walk made itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from ingot_devices.context import state
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS

from ..base import TensorBase
from ..inplace import make_inplace
from .eager import builder
from .node import LeafNode, Node, OpNode
from .pieces import Pieces, piece_of

add_ = make_inplace(OPS["add"])


def backward(
    roots: Sequence[Any], grads: Sequence[Any], keep: bool, create: bool, targets: dict[Any, Any] | None = None
) -> dict[Any, Any]:  # fmt: skip
    """Accumulate into the leaves behind ``roots``, or find what arrives at ``targets`` (edge → gradient) instead.

    ``keep``: leave the graph usable; ``create``: record the walk itself.
    """
    before = state.context
    state.context = before.change(grad=create, autocast=())
    try:
        return _Walk(keep, create, targets).run(roots, grads)
    finally:
        state.context = before


def gradients(
    roots: Sequence[Any], grads: Sequence[Any], targets: Sequence[Any], keep: bool, create: bool
) -> list[Any]:
    """The gradients at ``targets`` (tensors); None where nothing leads there. Leaves are left alone."""
    edges = [t._edge for t in targets]
    found = backward(roots, grads, keep, create, {e: None for e in edges if e is not None})
    return [None if e is None else found.get(e) for e in edges]


class _Walk:
    """``pending``: for each node that waits, its outputs' gradients and whether the walk may write into them."""

    def __init__(self, keep: bool, create: bool, targets: dict[Any, Any] | None) -> None:
        self.keep, self.create, self.targets = keep, create, targets
        self.heap: list[tuple[int, Node]] = []
        self.pending: dict[Node, tuple[list[Any], list[bool]]] = {}
        self.stops = {node for node, _ in targets} if targets is not None else None
        self.leads: dict[Node, bool] = {}
        self.cut = False  # some gradients wait in pieces
        self.anomaly = state.context.anomaly

    def run(self, roots: Sequence[Any], grads: Sequence[Any]) -> dict[Any, Any]:
        for root, g in zip(roots, grads, strict=True):
            self.add(root._edge, g, False)
        heap, pending, targets = self.heap, self.pending, self.targets
        while heap:
            node = heappop(heap)[1]
            incoming, owned = pending.pop(node)
            if self.cut:
                _put_together(incoming, owned)
            if node.hooks is not None:
                _lend_nothing(incoming)
                _run_hooks(node, incoming, owned)
            if targets is None:
                if type(node) is LeafNode:
                    self.accumulate(node, incoming[0], owned[0])
                    continue
            elif not self.leads_on(node, incoming):
                continue
            if type(node) is OpNode:
                self.op_step(node, incoming)
            else:
                self.step(node, incoming)
        return targets or {}

    def leads_on(self, node: Node, incoming: list[Any]) -> bool:
        """Take what was asked for at ``node``; True when a target lies further on."""
        assert self.targets is not None
        for number, g in enumerate(incoming):
            if (node, number) in self.targets:
                self.targets[node, number] = g
        return any(e is not None and self.wanted(e[0]) for e in node.edges)

    def step(self, node: Node, incoming: list[Any]) -> None:
        """The gradients of a node go to its edges."""
        _lend_nothing(incoming)
        results = node.apply(incoming, builder, self.keep)
        if self.anomaly:
            _check_finite(node, results)
        for k, (edge, g) in enumerate(zip(node.edges, results, strict=True)):
            if edge is not None and g is not None and (self.stops is None or self.wanted(edge[0])):
                self.add(edge, g, bool(node.fresh) and node.fresh[k])

    def op_step(self, node: OpNode, incoming: list[Any]) -> None:
        """The same of an op's node, whose gradients are summed to the operands' shapes and cast to their dtypes."""
        wanted = node.wanted
        if wanted.cuts and self.hand_on_piece(node, incoming[0]):
            return
        results = node.apply(incoming, builder, self.keep)
        if self.anomaly:
            _check_finite(node, results)
        pending, stops, specs, fresh = self.pending, self.stops, node.entry.specs, wanted.fresh
        k = -1
        for edge in node.edges:
            k += 1
            g = results[k]
            if edge is None or g is None or (stops is not None and not self.wanted(edge[0])):
                continue
            layout, key = g._layout, specs[k]
            owned = fresh[k] or (layout.is_dense and not _handed_on(g._block, incoming, node))
            if layout is not key and (layout.shape != key.shape or layout.dtype is not key.dtype):
                fitted = fit(g, key)
                owned = fitted._layout.is_dense and (owned or fitted._block is not g._block)
                g = fitted
            target = edge[0]
            if target.width == 1 and target not in pending:  # the usual case of `add`
                pending[target] = [g], [owned]
                heappush(self.heap, (-target.seq, target))
            else:
                self.add(edge, g, owned)
        if not self.keep:
            node.saved = None

    def hand_on_piece(self, node: OpNode, g: Any) -> bool:
        """Give the gradient of a part to the node of the whole, as a piece of it; False where it cannot be one."""
        edge = node.edges[0]
        if edge is None or g is None or (self.stops is not None and not self.wanted(edge[0])):
            return False
        whole = node.entry.specs[0]
        alike = g._layout.dtype is whole.dtype and g._layout.device is whole.device
        piece = piece_of(builder, whole, node.wanted.op.name, node.entry.attrs, g) if alike else None
        if piece is None:
            return False
        self.cut = True
        self.add(edge, piece, True)
        return True

    def wanted(self, node: Node) -> bool:
        """True when a target lies at or behind ``node`` (looked up once for each node, without recursion)."""
        assert self.stops is not None
        if node in self.leads:
            return self.leads[node]
        stack = [node]
        while stack:
            top = stack[-1]
            if top in self.leads:
                stack.pop()
                continue
            inner = [e[0] for e in top.edges if e is not None]
            open_ = [n for n in inner if n not in self.leads]
            if top in self.stops or not open_:
                self.leads[top] = top in self.stops or any(self.leads[n] for n in inner)
                stack.pop()
            else:
                stack.extend(open_)
        return self.leads[node]

    def add(self, edge: tuple[Node, int], g: Any, owned: bool) -> None:
        """One gradient arrives at an output of a node."""
        node, number = edge
        waiting = self.pending.get(node)
        if waiting is None:
            width = node.width
            if width == 1:
                self.pending[node] = [g], [owned]
            else:
                grads: list[Any] = [None] * width
                grads[number] = g
                self.pending[node] = grads, [owned] * width
            heappush(self.heap, (-node.seq, node))
            return
        grads, flags = waiting
        held = grads[number]
        if held is None:
            grads[number], flags[number] = g, owned
            return
        if self.cut:
            if type(held) is Pieces and type(g) is Pieces:
                held.parts += g.parts
                return
            _put_together(grads, flags)
            held, g = grads[number], g.whole(builder)[0] if type(g) is Pieces else g
        if flags[number] and not self.create and held._layout.device is g._layout.device:
            add_(held, g)
        else:
            grads[number], flags[number] = builder.add(held, g), True

    def accumulate(self, node: LeafNode, g: Any, owned: bool) -> None:
        """Into the leaf's ``.grad``."""
        leaf = node.tensor()
        if leaf is None:
            return
        if g._layout.dtype is not leaf._layout.dtype or g._layout.shape != leaf._layout.shape:
            g, owned = fit(g, leaf._layout), True
        if leaf.grad is None:
            mine = owned or self.create
            leaf.grad = g if mine and g._layout.is_dense and g._base is None else builder.copy(g)
        elif self.create:
            leaf.grad = builder.add(leaf.grad, g)
        else:
            add_(leaf.grad, g)
        for hook in node.after:
            hook(leaf)


def _put_together(grads: list[Any], owned: list[bool]) -> None:
    """Gradients that wait in pieces as wholes."""
    for k, g in enumerate(grads):
        if type(g) is Pieces:
            grads[k], owned[k] = g.whole(builder)


def _handed_on(block: Any, incoming: list[Any], node: OpNode) -> bool:
    """True when ``block`` is not new: a rule may return the gradient it got, or a value that the node saved."""
    for g in incoming:
        if g is not None and g._block is block:
            return True
    return any(type(held) is tuple and held[0] is block for held in node.saved) if node.saved else False


def fit(g: Any, layout: Layout) -> Any:
    """A gradient summed to an operand's shape and cast to its dtype."""
    shape = layout.shape
    have = g._layout.shape
    if have != shape:
        lead = len(have) - len(shape)
        if lead < 0:
            g = builder.expand(g, shape=shape)
        else:
            axes = tuple(k - len(have) for k in range(len(have))
                         if k < lead or (shape[k - lead] == 1 and have[k] != 1))
            if axes:
                g = builder.sum(g, axes=axes, keepdim=True)
            if lead:
                g = builder.view(g, shape=shape)
            elif g._layout.shape != shape:
                g = builder.expand(g, shape=shape)
    return g if g._layout.dtype is layout.dtype else builder.cast(g, dtype=layout.dtype)


def _lend_nothing(incoming: list[Any]) -> None:
    """What others wrote is given gradients that it may keep, and write into."""
    for k, g in enumerate(incoming):
        if g is not None and builder.lent(g):
            incoming[k] = builder.copy(g)


def _run_hooks(node: Node, incoming: list[Any], owned: list[bool]) -> None:
    assert node.hooks is not None
    for number, hooks in node.hooks.items():
        if incoming[number] is None:
            continue
        for hook in list(hooks):
            replaced = hook(incoming[number])
            if replaced is not None:
                if not isinstance(replaced, TensorBase):
                    raise TypeError(f"a gradient hook must return a tensor or None, not {type(replaced).__name__}")
                incoming[number] = replaced
            owned[number] = False


def _check_finite(node: Node, results: Sequence[Any]) -> None:
    for k, g in enumerate(results):
        if g is not None and g._layout.dtype.kind == "f" and bool(builder.isnan(g).any()):
            where = f"\nforward:\n{node.site}" if node.site else ""
            raise RuntimeError(f"Function '{node.name}' returned nan values in its {k}th output.{where}")


