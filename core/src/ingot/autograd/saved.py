"""Saved values: what a node keeps of its operands and results until the gradient needs them.

A saved tensor is (block, layout, offset, native view, version, edge). Writing into its block in the meantime raises the
block's version, and reading it back is then refused: the gradient would be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base import TensorBase

if TYPE_CHECKING:
    from .node import OpNode, Wanted

_OWN = object()  # stands for the node's own edge, which would be a cycle


def save(node: OpNode, wanted: Wanted, operands: Sequence[Any], outs: Sequence[Any]) -> list[Any]:
    """What ``wanted`` reads, in its order: operands, then outputs."""
    kept: list[Any] = []
    for n in wanted.inputs:
        o = operands[n]
        if isinstance(o, TensorBase):
            if o._inference:
                raise RuntimeError("a tensor made in inference mode cannot be saved for backward; "
                                   "make a normal tensor of it with .clone() outside inference mode")
            block = o._block
            kept.append((block, o._layout, o._offset, o._native, block.version, o._edge))
        else:
            kept.append(o)
    for n in wanted.outputs:
        o = outs[n]
        block = o._block
        kept.append((block, o._layout, o._offset, o._native, block.version, _OWN))
    return kept


def unpack(node: OpNode, wanted: Wanted) -> list[Any]:
    """The saved values, as `save` listed them, as tensors; RuntimeError where they are gone or were overwritten."""
    saved = node.saved
    if saved is None:
        raise RuntimeError(
            f"trying to backward through the graph a second time: the saved values of {node.name} were freed "
            "after the first. Use backward(retain_graph=True) the first time if you need a second"
        )
    kind = TensorBase.kind
    made: list[Any] = []
    for place, held in enumerate(saved):
        if type(held) is not tuple:
            made.append(held)
            continue
        block, layout, offset, native, version, edge = held
        if block.version != version:
            raise _overwritten(node, wanted, place, held)
        value = _new(kind)
        value._block = block
        value._layout = layout
        value._native = native
        value._edge = (node, wanted.outputs[place - len(wanted.inputs)]) if edge is _OWN else edge
        if offset:
            value._offset = offset
        made.append(value)
    return made


_new = object.__new__


def _overwritten(node: OpNode, wanted: Wanted, place: int, held: tuple[Any, ...]) -> RuntimeError:
    block, layout, _, _, version, _ = held
    what = f"operand {wanted.inputs[place]}" if place < len(wanted.inputs) else "the result"
    writer = getattr(block, "writer", "")
    return RuntimeError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation"
        f"{writer and f' ({writer}_)'}: {what} ({layout!r}) of {node.entry.rules.op.name} is "
        f"at version {block.version}, expected version {version}. "
        "Use an op that makes a new tensor, or clone before you write"
    )
