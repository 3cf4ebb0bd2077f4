"""Which sizes a function is recorded for: calls that differ from a recorded one in the sizes of their arguments alone.

    of this kind, of another size ─┬─ one of the first `AT_ONCE`: recorded when it comes (the last, smaller batch)
                                   ├─ later ones: eagerly when they come first, recorded when they come again
                                   └─ `KEPT` are recorded: eagerly

Each size has a program of its own. What a program is made of follows from the sizes: divisors (a mean's), which kernel and
which schedule computes an op, with them the order of sums, what may be fused to the bit, lifetimes in memory. What is shared
between the programs is dear: machine code (kernels take sizes and strides as arguments, so a further size builds one only
where its schedule is another), and temporaries, in an arena as large as the largest size needs, or twice that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

AT_ONCE = 8
KEPT = 64
REMEMBERED = 4096
"""Sizes met, of which it is known that they came before."""


class Sizes:
    """Sizes of one function's calls."""

    def __init__(self) -> None:
        self._met: OrderedDict[Hashable, None] = OrderedDict()

    def wanted(self, key: Hashable, recorded: int) -> bool:
        """True when a call of size ``key`` shall be recorded, where ``recorded`` sizes of its kind are."""
        if recorded < AT_ONCE:
            return True
        if recorded >= KEPT:
            return False
        before = key in self._met
        self.meet(key)
        return before

    def meet(self, key: Hashable) -> None:
        """A call of size ``key`` ran eagerly."""
        self._met[key] = None
        if len(self._met) > REMEMBERED:
            self._met.popitem(last=False)


def kind_of(arguments: Any) -> Hashable:
    """All of a call's arguments but the sizes of tensors (`Arguments`)."""
    return (tuple((text, t.dtype, str(t.device), t.dim(), t._edge is not None) for text, t in arguments.tensors.values()),
            tuple(arguments.same), tuple((text, type(v), repr(v)) for text, v in arguments.plain),
            tuple(arguments.sizes), tuple((text, id(v)) for text, v in arguments.others.items()))  # fmt: skip


def size_of(arguments: Any) -> Hashable:
    """Shapes and strides of the tensors among a call's arguments."""
    return tuple((t._layout.shape, t._layout.strides) for _, t in arguments.tensors.values())
