"""What a thread's scopes have set, as one interned object: the part of a plan's key that is not an operand.

Entering a scope (``no_grad``, a fallback policy, a kernel override …) swaps the object; leaving it swaps back. Two
threads in the same scopes share one object, so it hashes by identity. ``grad``, ``inference`` and ``anomaly`` are
read by the core alone; they are here so that one look-up sees all that decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

_FIELDS = ("grad", "inference", "anomaly", "deterministic", "fallback", "overrides", "recording", "autocast")


class Context:
    """One combination of scopes. Make them with `change`; the fields are read-only by convention.

    ``grad``: record for autograd. ``inference``: no version counters. ``anomaly``: check each gradient.
    ``deterministic``: refuse what is not. ``fallback``: "error", "warn", "allow" or "" (the environment's).
    ``overrides``: kernels that win over all others, innermost first. ``recording``: the thread's ``recorder`` is told
    of every plan that runs; no plan is kept under such a context, so that the fast paths need not ask. ``autocast``: pairs of a
    device's kind and the short dtype that its products take.
    """

    __slots__ = (*_FIELDS, "_changed")
    _changed: dict[tuple[Any, ...], Context]
    grad: bool
    inference: bool
    anomaly: bool
    deterministic: bool
    fallback: str
    overrides: tuple[Any, ...]
    recording: bool
    autocast: tuple[Any, ...]

    _interned: ClassVar[dict[tuple[Any, ...], Context]] = {}

    @staticmethod
    def of(*fields: Any) -> Context:
        """The one Context with these fields, in order."""
        found = Context._interned.get(fields)
        if found is None:
            found = object.__new__(Context)
            for name, value in zip(_FIELDS, fields, strict=True):
                setattr(found, name, value)
            found._changed = {}
            found = Context._interned.setdefault(fields, found)
        return found

    def change(self, **changes: Any) -> Context:
        """This context with some fields changed."""
        key = tuple(changes.items())
        found = self._changed.get(key)
        if found is None:
            found = self._changed[key] = self._change(changes)
        return found

    def _change(self, changes: dict[str, Any]) -> Context:
        return Context.of(*(changes.get(name, getattr(self, name)) for name in _FIELDS))


class _State(threading.local):
    context: Context = Context.of(True, False, False, False, "", (), False, ())
    recorder: Any = None  # what listens while a context says ``recording`` (the core's compiler)
    axes: tuple[Any, ...] = ()  # of the functions that run on several values at once (the core's ``vmap``), the outermost first


state = _State()
"""``state.context`` is this thread's context. A new thread begins with the defaults."""


@contextmanager
def scope(**changes: Any) -> Iterator[Context]:
    """Change this thread's context for a ``with`` block."""
    before = state.context
    state.context = before.change(**changes)
    try:
        yield state.context
    finally:
        state.context = before


_listeners: list[Callable[[], None]] = []


def on_change(callback: Callable[[], None]) -> None:
    """Call ``callback`` whenever what plans depend on changes: a kernel that comes or goes."""
    _listeners.append(callback)


def changed() -> None:
    """Tell all who keep plans."""
    for callback in _listeners:
        callback()
