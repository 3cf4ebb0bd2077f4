"""Views: tensors that share a block, and what happens to the tape when one of them is written to.

A view op is a rule on layouts: nothing is launched. What it comes to is kept by (op, layout, attributes); a function that makes
one of its arguments (`remembered`) keeps that by (layout, arguments), so that they are read once. A differentiable view
remembers its base and the chain of view ops from there. A write through a view is recorded as a write into the base: the
base's new value is the old one with that part replaced, and every living view of it is seen through the new base.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from weakref import ref

from ingot_devices.context import state
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Op

from . import dispatch
from .autograd.node import Node, OpNode, next_seq, rules_of
from .base import REBOUND, TensorBase

_KEPT = 16384  # rules, and layouts of parts
_TIDY = 32  # views of one base, from which on those that are gone are taken off the list
_new = object.__new__
_tidying = threading.Lock()

Step = tuple[Op, tuple[Any, ...]]
Look = tuple[tuple[Step, ...], Layout, int]
"""View ops with their attributes, the layout that is seen through all of them, and how much further it begins."""


class _Heard(threading.local):
    """The last look by a rule while somebody listens, in this thread. (It knows a device, which must not live by that.)"""

    listening = False
    look: Look | None = None


_heard = _Heard()
_rules: dict[Any, Look | None] = {}
_parts: dict[Any, Layout] = {}
dispatch._forget += [_rules.clear, _parts.clear]


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
        made = ((op, attrs),), seen, offset if seen.size else 0  # what has no elements does not lie behind the end
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
    if _heard.listening:
        _heard.look = look
    return through(x, *look)


def through(x: Any, steps: tuple[Step, ...], layout: Layout, further: int) -> Any:
    """``x`` seen as ``layout`` from ``further`` elements on, by way of ``steps``."""
    made = _new(TensorBase.kind)
    made._block = x._block
    made._layout = layout
    made._native = None
    made._edge = None
    offset = x._offset + further
    if offset:
        made._offset = offset
    if state.context.grad:
        base = x._base
        if base is None:
            base, made._chain = x, steps
        else:
            made._chain = x._chain + steps
        made._base = base
        views = base._views
        if views is None:
            base._views = [ref(made)]
        else:
            if len(views) >= _TIDY and not len(views) & (len(views) - 1):
                _tidy(views)
            views.append(ref(made))
        if x._edge is not None:
            made._edge = _edge_through(steps, x._layout, x._edge)
    elif x._inference:
        made._inference = True
    return made


def _tidy(views: list[Any]) -> None:
    """Take off what is gone. Others may append meanwhile."""
    with _tidying:
        count = len(views)
        views[:count] = [view for view in views[:count] if view() is not None]


# ---- parts, of which there may be many: only their layouts are kept ----------------------------------------------------
def selection(layout: Layout, axis: int, index: int) -> Look:
    """The elements at ``index`` (not negative) of ``axis`` (from the right), which goes."""
    return _part(layout, OPS["select"], (axis, index), index, (axis,))


def stretch(layout: Layout, axis: int, start: int, stop: int, step: int) -> Look:
    """Elements ``start``, ``start + step`` … before ``stop`` of ``axis`` (from the right); all are numbers within."""
    count = -((start - stop) // step)
    return _part(layout, OPS["slice"], (axis, start, stop, step), start if count else 0, (axis, count, step))


def _part(layout: Layout, op: Op, attrs: tuple[int, ...], start: int, kind: tuple[int, ...]) -> Look:
    """A part that begins at ``start`` of an axis; those of one ``kind`` have one layout."""
    seen = _parts.get((layout, kind))
    if seen is None:
        if len(_parts) > _KEPT:
            _parts.clear()
        assert op.view is not None
        shape, strides, _ = op.view(layout.shape, layout.strides, *attrs)
        seen = _parts[layout, kind] = Layout.of(tuple(shape), tuple(strides), layout.dtype, layout.device)
    return ((op, attrs),), seen, start * layout.strides[attrs[0]] if seen.size else 0


# ---- remembering -------------------------------------------------------------------------------------------------------
def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a tensor and numbers that makes a view: where all of these are ints, what it came to is kept.

    What is no view of the tensor itself (a view of a copy, or the tensor as it is) is worked out at each call.
    """
    looks: dict[Any, Look] = {}
    dispatch._forget.append(looks.clear)

    def learn(input: Any, args: tuple[Any, ...]) -> Any:
        before, _heard.listening = _heard.listening, True
        try:
            made, look = function(input, *args), _heard.look
        finally:
            _heard.listening, _heard.look = before, None
        if look is not None and made._block is input._block:
            ((op, attrs),) = look[0]
            if look is _rules.get((op, input._layout, attrs)):  # a view of the tensor itself
                if len(looks) > _KEPT:
                    looks.clear()
                looks[input._layout, args] = look
        return made

    @wraps(function)
    def seen(input: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return function(input, *args, **kwargs)
        for a in args:
            if type(a) is not int:
                return function(input, *args)
        look = looks.get((input._layout, args))
        return learn(input, args) if look is None else through(input, *look)

    return seen


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


def _edge_through(steps: Sequence[Step], layout: Layout, edge: tuple[Node, int]) -> tuple[Node, int]:
    """The edge behind several view ops on a value of ``layout``."""
    for k, (op, attrs) in enumerate(steps):
        edge = _view_edge(op, attrs, layout, edge)
        if k + 1 < len(steps):
            found = view_rule(op, layout, attrs)
            assert found is not None
            layout = found[1]
    return edge


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
    view._edge = None if root._edge is None else _edge_through(view._chain, root._layout, root._edge)
    REBOUND[0] += 1
