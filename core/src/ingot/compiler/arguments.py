"""The arguments of a compiled call: where each tensor stands in them, and what of them must be as it was.

Tuples, lists and dicts are gone through. A tensor may be another one at each call, of the same layout; numbers and text are
taken by value, any other object is that very object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..base import TensorBase
from .world import LEAVES, same


class Arguments:
    """``args`` and ``kwargs`` of one call. ``tensors`` are the distinct ones with the Python text that finds them;
    ``others`` the objects that the call depends on, by that text."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs
        self.tensors: dict[int, tuple[str, Any]] = {}
        self.others: dict[str, Any] = {}
        self.same: list[tuple[str, str]] = []  # two places with one tensor
        self.plain: list[tuple[str, Any]] = []
        self.sizes: list[tuple[str, type, int]] = [("args", tuple, len(args)), ("kwargs", dict, len(kwargs))]
        for text, value in self._children("args", args):
            self._take(text, value)
        for text, value in self._children("kwargs", kwargs):
            self._take(text, value)

    def _children(self, text: str, value: Any) -> Iterator[tuple[str, Any]]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield f"{text}[{key!r}]", inner

    def _take(self, text: str, value: Any) -> None:
        if isinstance(value, TensorBase):
            if id(value) in self.tensors:
                self.same.append((text, self.tensors[id(value)][0]))
            else:
                self.tensors[id(value)] = text, value
        elif type(value) in (tuple, list) or (type(value) is dict and all(isinstance(k, (str, int)) for k in value)):
            self.sizes.append((text, type(value), len(value)))
            for inner_text, inner in self._children(text, value):
                self._take(inner_text, inner)
        elif isinstance(value, LEAVES):
            self.plain.append((text, value))
        else:
            self.others[text] = value

    def key(self) -> tuple[Any, ...]:
        """What tells calls of one kind from those of another at a glance: layouts, and which need gradients."""
        return (tuple((t, v._layout, v._edge is not None) for t, v in self.tensors.values()),
                tuple((t, type(v), v if isinstance(v, (int, float, str, bool)) else None) for t, v in self.plain),
                tuple(self.sizes), tuple((t, id(v)) for t, v in self.others.items()))  # fmt: skip

    def differs(self, other: Arguments) -> str:
        """How ``other`` is another kind of call than this one, or nothing."""
        if self.sizes != other.sizes:
            return "the structure of the arguments changed"
        for (text, mine), (_, theirs) in zip(self.plain, other.plain, strict=False):
            if not same(mine, theirs):
                return f"{text} is {theirs!r}, it was {mine!r}"
        for (text, mine), (_, theirs) in zip(self.tensors.values(), other.tensors.values(), strict=False):
            if mine._layout is not theirs._layout:
                return f"{text} is {theirs._layout!r}, it was {mine._layout!r}"
            if (mine._edge is None) != (theirs._edge is None):
                return f"{text}.requires_grad is {theirs._edge is not None}, it was {mine._edge is not None}"
        return "the arguments are others" if self.key() != other.key() else ""
