"""Tensors that become a view of themselves, in place: ``x.squeeze_()``. No memory is written, so no version goes up.

A tensor that others are views of steps aside first: a hidden one takes its place as their base, and it becomes a view of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices.context import state

from .base import REBOUND, TensorBase
from .inplace import require_not_leaf
from .ops.common import document


def become(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method that does ``function``, which makes a view, to the tensor itself."""

    def method(input: Any, *args: Any, **kwargs: Any) -> Any:
        require_not_leaf(input, name)
        context = state.context
        if context.recording:
            state.recorder.stop(f"{name}_()")
        if input._base is None and any(view() is not None for view in input._views or ()):
            _step_aside(input)
        state.context = context.change(grad=True, recording=False)  # how a view comes about is kept without gradients, too
        try:
            _take(input, function(input, *args, **kwargs))
        finally:
            state.context = context
        return input

    return document(method, f"{name}_", f"``{name}`` of the tensor itself, in place.")


def _step_aside(x: Any) -> None:
    """A hidden tensor becomes the base of what were views of ``x``, and of ``x``."""
    from weakref import ref

    root = TensorBase.kind.make(x._block, x._layout, x._offset, x._native)
    root._edge, root._views = x._edge, x._views
    for view in [view() for view in root._views or ()]:
        if view is not None:
            view._base = root
    root._views.append(ref(x))
    x._base, x._chain, x._views = root, (), None


def _take(x: Any, view: Any) -> None:
    """``x`` is what ``view``, a view of it, is."""
    if view is x:
        return
    x._layout, x._offset, x._native = view._layout, view._offset, None
    if x._base is not None:
        x._chain = view._chain
    if x._edge is not None and not x.is_leaf:
        x._edge = view._edge
    REBOUND[0] += 1
