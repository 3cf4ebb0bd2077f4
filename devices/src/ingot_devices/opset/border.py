"""The copy group, further rows: an operand with a border of its own elements around it, and the gradient, each one launch.

The op is linear, so its two rows are each other's gradient: an element gathers what every copy of it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, const, where
from .composite import wide
from .copy import copy
from .op import Spec
from .shared import Shape, both
from .window import spatial

Pads = tuple[tuple[int, int], ...]
Copy = tuple[Expr, Expr]
"""The index of an output that may be a copy of an element, and whether it is."""


# ---- the kinds of border, along one axis of n elements -----------------------------------------------------------------
def _reflect(i: Expr, n: int) -> Expr:
    i = where(i < 0, -i, i)
    return where(i >= n, 2 * (n - 1) - i, i)


def _replicate(i: Expr, n: int) -> Expr:
    return where(i < 0, const(0, dt.index), where(i >= n, const(n - 1, dt.index), i))


def _circular(i: Expr, n: int) -> Expr:
    return where(i < 0, i + n, where(i >= n, i - n, i))


def _mirrored(i: Expr, n: int, before: int, after: int) -> list[Copy]:
    return [(before - i, (i >= 1) & (i <= before)), (before + 2 * (n - 1) - i, (i <= n - 2) & (i >= n - 1 - after))]


def _turned(i: Expr, n: int, before: int, after: int) -> list[Copy]:
    return [(before + i - n, i >= n - before), (before + i + n, i < after)]


PLACES: dict[str, Callable[[Expr, int], Expr]] = {"reflect": _reflect, "replicate": _replicate, "circular": _circular}
"""Which element stands at position i, counted from the first."""
COPIES: dict[str, Callable[[Expr, int, int, int], list[Copy]]] = {"reflect": _mirrored, "circular": _turned}
"""Where in the border element i may have a copy; replication has them in rows, see `_copy`."""


def _copy(mode: str, i: Expr, j: Expr, n: int, before: int, after: int) -> Copy:
    """The ``j``-th output that may be a copy of element ``i``; the first is the element itself."""
    o, there = before + i, const(True, dt.bool_)
    if mode in COPIES:
        for k, (at, inside) in enumerate(COPIES[mode](i, n, before, after), 1):
            o, there = where(j.eq(k), at, o), where(j.eq(k), inside, there)
    else:
        first, last = max(before, 0), n + j - 1
        o = where(j.eq(0), o, where(j <= first, j - 1, last + min(before, 0)))
        there = where(j.eq(0), there, where(j <= first, i.eq(0), i.eq(n - 1)))
    return o, both(there, o >= 0, o < n + before + after)


def _seen(mode: str, before: int, after: int) -> int:
    """How many outputs may be copies of one element."""
    return 3 if mode in COPIES else 1 + max(before, 0) + max(after, 0)


# ---- rows --------------------------------------------------------------------------------------------------------------
def _spec(x: Spec, pads: Pads, mode: str) -> Spec:
    lead, sizes = spatial("border", x, len(pads))
    if mode not in PLACES:
        raise ValueError(f"border knows no mode {mode!r}; there are {', '.join(PLACES)}")
    for n, pair in zip(sizes, pads, strict=True):
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if n + sum(pair) < 1 or n < 1 or (most is not None and max(pair) > most):
            raise ValueError(f"border: {pair} around an axis of {n} elements in mode {mode!r}: there must be elements for it"
                             + ("" if most is None else f", at most {most} on a side"))
    return Spec.of((*lead, *(n + sum(pair) for n, pair in zip(sizes, pads, strict=True))), x.dtype)


def _border(d: Define, x: Operand, pads: Pads, mode: str) -> None:
    at = d.axes(d.outputs[0].shape)
    lead = len(at) - len(pads)
    rows = zip(at[lead:], x.shape[lead:], pads, strict=True)
    d.store(0, at, x[(*at[:lead], *(PLACES[mode](o - before, n) for o, n, (before, _) in rows))], over=at)


def _back_spec(grad: Spec, shape: Shape, pads: Pads, mode: str) -> Spec:
    wanted = _spec(Spec.of(shape, grad.dtype), pads, mode)
    if grad.shape != wanted.shape:
        raise ValueError(f"a border around shape {list(shape)} makes {list(wanted.shape)} of it, not {list(grad.shape)}")
    return Spec.of(shape, grad.dtype)


def _back(d: Define, grad: Operand, shape: Shape, pads: Pads, mode: str) -> None:
    at, lead = d.axes(shape), len(shape) - len(pads)
    back: Sequence[Expr] = d.axes([_seen(mode, *pair) for pair in pads])
    found = [_copy(mode, i, j, n, *pair) for i, j, n, pair in zip(at[lead:], back, shape[lead:], pads, strict=True)]
    seen = wide(grad.load([*at[:lead], *(o for o, _ in found)], both(*(there for _, there in found))))
    d.store(0, at, d.reduce("sum", seen, over=back), over=at)


HOW: dict[str, Any] = {"pads": ((0, 0),), "mode": "reflect"}
# fmt: off
copy("border", "x", _border, _spec, HOW, "The last axes with (before, after) elements around them: mirrored, repeated from the edge, or from the other end.",
     x=lambda b, g, x_spec, pads, mode: b.border_backward(g, shape=x_spec.shape, pads=pads, mode=mode))
copy("border_backward", "grad", _back, _back_spec, {"shape": None} | HOW, "The gradient of border's x.",
     grad=lambda b, g, pads, mode: b.border(g, pads=pads, mode=mode))
# fmt: on
