"""Views: tensors that share a block, and what happens to the tape when one of them is written to.

A view op is a rule on layouts: nothing is launched. What it comes to is a `Look`, kept by (op, layout, attributes); a function
that makes one of its arguments (`remembered`) keeps that by (layout, arguments), so that they are read once. A differentiable
view remembers its base and the chain of view ops from there. A write through a view is recorded as a write into the base: the
base's new value is the old one with that part replaced, and every living view of it is seen through the new base.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from functools import wraps
from typing import Any, NamedTuple
from weakref import ref

from ingot_devices.context import state
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Op

from . import dispatch
from .autograd.node import Node, OpNode, next_seq, rules_of
from .base import REBOUND, TensorBase

_KEPT = 16384  # looks of each kind
_TIDY = 32  # views of one base, from which on those that are gone are taken off the list
_new = object.__new__


class Look(NamedTuple):
    """View ops one after the other, with the layout before each; the layout behind the last, and how much further it begins."""

    chain: tuple[tuple[Op, tuple[Any, ...]], ...]
    before: tuple[Layout, ...]
    layout: Layout
    offset: int


class _Trail(threading.local):
    """The looks that were taken since somebody began to listen, in this thread."""

    looks: list[Look] | None = None


_trail = _Trail()
_tidying = threading.Lock()
_rules: dict[Any, Look | None] = {}
dispatch._forget.append(_rules.clear)


# ---- looking ---------------------------------------------------------------------------------------------------------
def view_rule(op: Op, layout: Layout, attrs: tuple[Any, ...]) -> Look | None:
    """What the view comes to; None where it needs a copy."""
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
        seen = Layout.of(tuple(shape), tuple(strides), layout.dtype, layout.device)
        made = Look(((op, attrs),), (layout,), seen, offset)
    if len(_rules) > _KEPT:
        _rules.clear()
    _rules[key] = made
    return made


def apply_view(op: Op, x: Any, attrs: tuple[Any, ...]) -> Any:
    """``x`` seen through ``op``; a view of a copy where the layout does not allow one."""
    look = view_rule(op, x._layout, attrs)
    if look is None:
        copied = dispatch.call(OPS["copy"], (x,))
        return apply_view(op, copied, attrs)
    if _trail.looks is not None:
        _trail.looks.append(look)
    return through(x, look)


def through(x: Any, look: Look) -> Any:
    """``x`` seen through all of ``look``."""
    made = _new(TensorBase.kind)
    made._block = x._block
    made._layout = look.layout
    made._native = None
    made._edge = None
    offset = x._offset + look.offset
    if offset:
        made._offset = offset
    if state.context.grad:
        base = x._base
        if base is None:
            base, made._chain = x, look.chain
        else:
            made._chain = x._chain + look.chain
        made._base = base
        views = base._views
        if views is None:
            base._views = [ref(made)]
        else:
            if len(views) >= _TIDY and not len(views) & (len(views) - 1):
                _tidy(views)
            views.append(ref(made))
        edge = x._edge
        if edge is not None:
            for (op, attrs), layout in zip(look.chain, look.before, strict=True):
                edge = _view_edge(op, attrs, layout, edge)
            made._edge = edge
    elif x._inference:
        made._inference = True
    return made


def _tidy(views: list[Any]) -> None:
    """Take off what is gone. Others may append meanwhile."""
    with _tidying:
        count = len(views)
        views[:count] = [view for view in views[:count] if view() is not None]


# ---- remembering -------------------------------------------------------------------------------------------------------
def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a tensor and numbers that makes views: where all of these are ints, what it came to is kept.

    What takes no view of the tensor itself (a copy, or the tensor as it is) is worked out at each call.
    """
    looks: dict[Any, Look] = {}
    dispatch._forget.append(looks.clear)

    @wraps(function)
    def seen(input: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return function(input, *args, **kwargs)
        for a in args:
            if type(a) is not int:
                return function(input, *args)
        look = looks.get((input._layout, args))
        return through(input, look) if look is not None else learn(looks, function, input, args, *args)

    return seen


def learn(looks: dict[Any, Look], function: Callable[..., Any], x: Any, key: Hashable, *args: Any) -> Any:
    """``function(x, *args)``; what it looked through is kept in ``looks``, where its result is what one sees there."""
    outer, _trail.looks = _trail.looks, []
    try:
        made = function(x, *args)
        taken = _trail.looks
    finally:
        _trail.looks = outer
    if taken and isinstance(made, TensorBase) and made._block is x._block and made is not x:
        ends = [x._layout, *(look.layout for look in taken)]
        if all(look.before[0] is end for look, end in zip(taken, ends, strict=False)) and made._layout is ends[-1]:
            if len(looks) > _KEPT:
                looks.clear()
            looks[x._layout, key] = Look(
                tuple(step for look in taken for step in look.chain), tuple(b for look in taken for b in look.before),
                ends[-1], sum(look.offset for look in taken),
            )  # fmt: skip
            if outer is not None:
                outer.append(looks[x._layout, key])
    return made


# ---- on the tape -------------------------------------------------------------------------------------------------------
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
            from .inplace import fill

            op = OPS["full"]
            attrs = op.bind({"shape": self.layout.shape, "dtype": _bool()})
            before = state.context
            state.context = before.change(grad=False)
            try:
                kept = dispatch.call(op, (True,), attrs, self.layout.device)
                fill(view_chain(kept, self.chain), False)
            finally:
                state.context = before
            rest = builder.where(kept, g, 0.0)
        return (rest, part)


def _bool() -> Any:
    from ingot_devices.dtypes import bool_

    return bool_


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
    for view in [view() for view in root._views or ()]:
        if view is not None:
            _again(root, view)


def _again(root: Any, view: Any) -> None:
    """``view``'s edge, anew, from its base's."""
    edge = root._edge
    layout = root._layout
    for op, attrs in view._chain:
        if edge is not None:
            edge = _view_edge(op, attrs, layout, edge)
        found = view_rule(op, layout, attrs)
        assert found is not None
        layout = found.layout
    view._edge = edge
    REBOUND[0] += 1
