"""Ops of the index group whose result's size is data: what a mask leaves.

The core reads the count back and gives it as ``size``::

    k = count_nonzero(x);     nonzero(x, size=k)
    k = count_nonzero(mask);  masked_select(x, mask, size=k)

The flags' running counts, the *ranks*, say where each flagged element goes.
"""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import const
from ..layout import broadcast_shapes
from .index import index
from .op import Spec


def _compact(d: Define, x: Operand, flags: Operand, ranks: Operand, size: int) -> None:
    at = d.axes(x.shape)
    place = ranks[at].cast(dt.index) - 1
    d.store(0, [place], x[at], over=at, valid=flags[at] & (place >= 0) & (place < size))


def _coordinates(d: Define, flags: Operand, ranks: Operand, size: int) -> None:
    at = d.axes(flags.shape)
    place = ranks[at].cast(dt.index) - 1
    kept = flags[at] & (place >= 0) & (place < size)
    for k, i in enumerate(at):
        d.store(0, [place, const(k, dt.index)], i.cast(dt.int64), over=at, valid=kept)


def _nonzero(b: Any, x: Any, size: int) -> Any:
    if x.ndim == 0:
        return b.slice(b.nonzero(b.view(x, shape=(1,)), size=size), axis=-1, start=0, stop=0, step=1)
    flags = b.ne(x, 0)
    ranks = b.view(b.cumsum(b.view(flags, shape=(math.prod(x.shape),)), axis=-1), shape=x.shape)
    return b.coordinates(flags, ranks, size=size)


def _masked_select(b: Any, x: Any, mask: Any, size: int) -> Any:
    shape = broadcast_shapes(x.shape, mask.shape)
    n = (math.prod(shape),)
    found = b.nonzero(b.view(b.expand(mask, shape=shape), shape=n), size=size)
    return b.index(b.view(b.expand(x, shape=shape), shape=n), b.view(found, shape=(size,)))


# fmt: off
index("compact", "x flags ranks", _compact, lambda x, flags, ranks, size: Spec.of((size,), x.dtype), {"size": 0}, "The flagged elements, in order.")
index("coordinates", "flags ranks", _coordinates, lambda flags, ranks, size: Spec.of((size, flags.ndim), dt.int64), {"size": 0}, "Where the flags are: a row of indices for each.")
index("nonzero", "x", None, lambda x, size: Spec.of((size, x.ndim), dt.int64), {"size": 0}, "Where x is not 0, `size` times: a row of indices for each.", decompose=_nonzero)
index("masked_select", "x mask", None, lambda x, mask, size: Spec.of((size,), x.dtype), {"size": 0}, "The elements under the mask, `size` of them, in order.", decompose=_masked_select)
# fmt: on
