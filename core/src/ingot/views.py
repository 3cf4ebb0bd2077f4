"""Views: tensors that share a block, and what happens to the tape when one of them is written to.

A view op is a rule on layouts, kept by (op, layout, attributes): nothing is launched. A differentiable view remembers
its base and the chain of view ops from there. A write through a view is recorded as a write into the base: the base's
new value is the old one with that part replaced, and every living view of it is seen through the new base.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from ingot_devices.context import state
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Op

from . import dispatch
from .autograd.node import Node, OpNode, next_seq, rules_of
from .base import REBOUND, TensorBase

_rules: dict[Any, tuple[Layout, int] | None] = {}
dispatch._forget.append(_rules.clear)


def view_rule(op: Op, layout: Layout, attrs: tuple[Any, ...]) -> tuple[Layout, int] | None:
    """(layout, offset further) of the view, or None where it needs a copy."""
    key = (op, layout, attrs)
    try:
        return _rules[key]
    except KeyError:
        pass
    assert op.view is not None
    try:
        found = op.view(layout.shape, layout.strides, **dict(zip(op.attributes, attrs, strict=True)))
    except ValueError as e:
        raise RuntimeError(f"{op.name}: {e}") from e
    made = None
    if found is not None:
        shape, strides, offset = found
        made = Layout.of(tuple(shape), tuple(strides), layout.dtype, layout.device), offset
    if len(_rules) > 65536:
        _rules.clear()
    _rules[key] = made
    return made


def apply_view(op: Op, x: Any, attrs: tuple[Any, ...]) -> Any:
    """``x`` seen through ``op``; a view of a copy where the layout does not allow one."""
    found = view_rule(op, x._layout, attrs)
    if found is None:
        copied = dispatch.call(OPS["copy"], (x,))
        return apply_view(op, copied, attrs)
    layout, offset = found
    made = TensorBase.kind.make(x._block, layout, x._offset + offset)
    if state.context.grad:
        base = x._base if x._base is not None else x
        made._base = base
        made._chain = (*x._chain, (op, attrs)) if x._base is not None else ((op, attrs),)
        if base._views is None:
            base._views = WeakSet()
        base._views.add(made)
        if x._edge is not None:
            made._edge = _view_edge(op, attrs, x._layout, x._edge)
    elif x._inference:
        made._inference = True
    return made


class _ViewEntry:
    """What `OpNode` reads of an entry, for a view: there is no plan."""

    __slots__ = ("attrs", "out", "rules", "specs")

    def __init__(self, op: Op, attrs: tuple[Any, ...], layout: Layout) -> None:
        self.rules, self.attrs, self.specs = rules_of(op), attrs, (layout,)


def _view_edge(op: Op, attrs: tuple[Any, ...], layout: Layout, edge: tuple[Node, int]) -> tuple[Node, int]:
    node = OpNode()
    node.entry = _ViewEntry(op, attrs, layout)
    node.edges = (edge,)
    node.wanted = node.entry.rules.masks[(True,)]
    node.seq = next_seq()
    return node, 0


def view_chain(x: Any, chain: Sequence[tuple[Op, tuple[Any, ...]]]) -> Any:
    """``x`` through several view ops."""
    for op, attrs in chain:
        x = apply_view(op, x, attrs)
    return x


class ReplaceNode(Node):
    """The base after a write through a view: its old value with that part replaced by the view's new value.

    Edges: the old base, the view's new value.
    """

    def __init__(self, base_edge: Any, part_edge: Any, chain: Sequence[Any], layout: Layout) -> None:
        self.edges = (base_edge, part_edge)
        self.chain, self.layout = tuple(chain), layout
        self.seq = next_seq()

    def apply(self, grads: list[Any], builder: Any, keep: bool) -> Sequence[Any]:
        g = grads[0]
        part = view_chain(g, self.chain) if self.edges[1] is not None else None
        rest = None
        if self.edges[0] is not None:
            op = OPS["full"]
            attrs = op.bind({"shape": self.layout.shape, "dtype": _bool()})
            before = state.context
            state.context = before.change(grad=False)
            try:
                kept = dispatch.call(op, (True,), attrs, self.layout.device)
                fill_(view_chain(kept, self.chain), False)
            finally:
                state.context = before
            rest = builder.where(kept, g, 0.0)
        return (rest, part)


def _bool() -> Any:
    from ingot_devices.dtypes import bool_

    return bool_


def fill_(x: Any, value: Any) -> None:
    """Write a number everywhere, without the tape."""
    from .inplace import write_into

    op = OPS["full"]
    made = dispatch.call(op, (value,), op.bind({"shape": x._layout.shape, "dtype": x._layout.dtype}), x._layout.device)
    write_into(x, made)


def rebase(x: Any, edge: tuple[Node, int] | None) -> None:
    """``x`` was written to and its value now comes from ``edge``: move its base and every view of it to the new tape."""
    base = x._base
    if base is None:
        if x._edge is not edge:
            x._edge = edge
            REBOUND[0] += 1
        root = x
    else:
        if edge is None and base._edge is None:
            return
        node = ReplaceNode(base._edge, edge, x._chain, base._layout)
        base._edge = (node, 0)
        REBOUND[0] += 1
        root = base
    if root._views:
        for view in list(root._views):
            _through(root, view)


def _through(root: Any, view: Any) -> None:
    """``view``'s edge, anew, from its base's."""
    edge = root._edge
    layout = root._layout
    for op, attrs in view._chain:
        if edge is not None:
            edge = _view_edge(op, attrs, layout, edge)
        found = view_rule(op, layout, attrs)
        assert found is not None
        layout = found[0]
    view._edge = edge
    REBOUND[0] += 1
