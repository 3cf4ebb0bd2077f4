"""Convolutions and normalisation by channel on lanes: beneath, the lanes are more images, or more channels.

Images where everything else is the same in all lanes; else the channels of all lanes lie side by side, in groups of their own.
"""

from __future__ import annotations

from typing import Any

from .. import dispatch
from ..autograd.eager import builder
from .call import Call


# ---- lanes as images, and as channels --------------------------------------------------------------------------------------
def _stacked(x: Any) -> Any:
    """The first two axes as one."""
    a, b, *rest = x._layout.shape
    return builder.view(x, shape=(a * b, *rest))


def _unstacked(x: Any, size: int) -> Any:
    n, *rest = x._layout.shape
    return builder.view(x, shape=(size, n // size, *rest))


def _beside(x: Any) -> Any:
    """(lanes, n, c, …) as (n, lanes·c, …): the channels of all lanes side by side."""
    size, n, c, *space = x._layout.shape
    return builder.view(_exchanged(x), shape=(n, size * c, *space))


def _apart(x: Any, size: int) -> Any:
    """`_beside` the other way."""
    n, c, *space = x._layout.shape
    return _exchanged(builder.view(x, shape=(n, size, c // size, *space)))


def _exchanged(x: Any) -> Any:
    """The first two axes the other way round."""
    rank = len(x._layout.shape)
    return builder.permute(x, dims=(1 - rank, -rank, *range(2 - rank, 0)))


# ---- rules -----------------------------------------------------------------------------------------------------------------
def convolution(call: Call) -> Any:
    """A convolution or one of its gradients. Images only, where the weight is the same in all lanes, but for its gradient."""
    return {"convolution": _forward, "convolution_input": _input, "convolution_weight": _weight}[call.op.name](call)


def _run(call: Call, *operands: Any, groups: int = 1, shape: tuple[int, ...] | None = None) -> Any:
    attrs = call.attrs | {"groups": call.attrs["groups"] * groups} | ({} if shape is None else {"shape": shape})
    return dispatch.call(call.op, operands, tuple(attrs.values()))


def _forward(call: Call) -> Any:
    bias = call.values[2]
    if call.differs(1):
        every = None if bias is None else _stacked(call.whole(2))
        return _apart(_run(call, _beside(call.whole(0)), _stacked(call.at(1)), every, groups=call.size), call.size)
    added = call.differs(2)
    made = _unstacked(_run(call, _stacked(call.whole(0)), call.at(1), None if added else call.at(2)), call.size)
    if not added:
        return made
    return builder.add(made, builder.view(call.at(2), shape=(call.size, 1, *call.shape(2), *(1,) * (call.rank - 2))))


def _input(call: Call) -> Any:
    n, c, *space = call.attrs["shape"]
    if call.differs(1):
        operands = _beside(call.whole(0)), _stacked(call.at(1))
        return _apart(_run(call, *operands, groups=call.size, shape=(n, call.size * c, *space)), call.size)
    return _unstacked(_run(call, _stacked(call.whole(0)), call.at(1), shape=(call.size * n, c, *space)), call.size)


def _weight(call: Call) -> Any:
    outputs, *rest = call.attrs["shape"]
    operands = _beside(call.whole(0)), _beside(call.whole(1))
    return _unstacked(_run(call, *operands, groups=call.size, shape=(call.size * outputs, *rest)), call.size)


def batch_norm(call: Call) -> Any:
    """By the channels of each lane: what has an axis of channels alone is put end to end, the rest side by side."""
    operands = []
    for k, value in enumerate(call.values):
        tensor = call.ranks[k] > 0
        operands.append(value if not tensor else _stacked(call.whole(k)) if call.ranks[k] == 1 else _beside(call.whole(k)))
    made = dispatch.call(call.op, operands, tuple(call.attrs.values()))
    results = made if isinstance(made, tuple) else (made,)
    return [_unstacked(r, call.size) if len(r._layout.shape) == 1 else _apart(r, call.size) for r in results]
