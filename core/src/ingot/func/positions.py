"""Reads and writes at positions on lanes. Where the positions differ by lane, the lane's own number is one index more."""

from __future__ import annotations

from typing import Any

from ingot_devices.opset.op import OPS

from .. import dispatch
from ..autograd.eager import builder
from .call import Call

__all__ = ["embedding", "embedding_backward", "index", "index_backward", "index_put", "index_select"]


def _positions(call: Call, first: int, axis: int | None, rank: int) -> tuple[list[Any], int] | None:
    """The indices from operand ``first`` on, for a tensor beneath with the lanes and ``rank`` axes, and the axis where they
    begin. Where they differ by lane, the lane's own number is one more, which only the first axis allows."""
    numbers = range(first, len(call.values))
    axis = -rank if axis is None else axis
    if not any(call.differs(k) for k in numbers):
        return [call.at(k) for k in numbers], axis
    if axis != -rank:
        return None
    most = max(call.ranks[k] for k in numbers)
    return [call.numbers(most), *(call.at(k, most) for k in numbers)], -rank - 1


def index(call: Call) -> Any:
    """Reads."""
    found = _positions(call, 1, call.attrs["axis"], call.ranks[0])
    return found and dispatch.call(call.op, (call.whole(0), *found[0]), (found[1],))


def index_select(call: Call) -> Any:
    """One list of positions."""
    found = _positions(call, 1, call.attrs["axis"], call.ranks[0])
    return found and dispatch.call(OPS["index"], (call.whole(0), *found[0]), (found[1],))


def index_backward(call: Call) -> Any:
    """Sums where `index` reads."""
    shape = call.attrs["shape"]
    found = _positions(call, 1, call.attrs["axis"], len(shape))
    return found and dispatch.call(call.op, (call.whole(0), *found[0]), ((call.size, *shape), found[1]))


def index_put(call: Call) -> Any:
    """Writes."""
    axis, rank = call.attrs["axis"], call.ranks[0]
    found = _positions(call, 2, axis, rank)
    if found is None:
        return None
    reached = rank - (len(call.values) - 2) + max(call.ranks[2:])
    return dispatch.call(call.op, (call.whole(0), call.at(1, reached), *found[0]), (call.attrs["accumulate"], found[1]))


def embedding(call: Call) -> Any:
    """Rows of a table; of a table by lane, where that differs."""
    if not call.differs(0):
        return call.run([call.at(0), call.at(1)])
    return builder.index(call.at(0), call.numbers(call.ranks[1]), call.whole(1), axis=-3)


def embedding_backward(call: Call) -> Any:
    """Sums into the rows of a table by lane."""
    grad, ids, padding = call.whole(0), call.whole(1), call.attrs["padding_idx"]
    if padding >= 0:
        grad = builder.where(builder.view(builder.eq(ids, padding), shape=(*ids._layout.shape, 1)), 0.0, grad)
    shape = (call.size, call.attrs["rows"], grad._layout.shape[-1])
    return builder.index_backward(grad, call.numbers(call.ranks[1]), ids, shape=shape, axis=-3)
