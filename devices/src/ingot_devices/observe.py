"""Watching what runs: the one door for profilers and for ``INGOT_DEBUG``.

A `Plan` asks when it is made whether somebody watches; only then are its calls wrapped. So a plan that was made while
nobody did costs nothing, and beginning or ending to watch drops the plans that are kept (`context.changed`). A device's
launches, copies and allocations are watched by replacing these methods on that one object, for as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .context import changed

if TYPE_CHECKING:
    from .device import Device
    from .plan import Plan, Step


class Observer:
    """Base of all who watch. Every method has a default that changes nothing."""

    def around(self, plan: Plan, step: Step, call: Callable[..., Any]) -> Callable[..., Any]:
        """What takes the place of one step's call."""
        return call

    def whole(self, plan: Plan, run: Callable[..., Any]) -> Callable[..., Any]:
        """What takes the place of ``plan.run``, for a plan of several steps."""
        return run

    def making(self, plan: Plan, make: Callable[[], Any]) -> Callable[[], Any]:
        """What takes the place of one of the plan's makers of memory."""
        return make

    def region(self, name: str, call: Callable[[], Any], nothing: Any = None) -> Any:
        """Call ``call``, a piece of work that is no plan: the replay of a compiled program.

        ``nothing`` is the result that says that there was nothing to do after all.
        """
        return call()

    def enter(self, name: str) -> Any:
        """The user's own range ``name`` begins in this thread; what is returned comes back in `leave`."""

    def leave(self, name: str, entered: Any) -> None:
        """The same ends."""

    def attach(self, device: Device) -> None:
        """An open device is there: now, or later."""

    def detach(self, device: Device) -> None:
        """Undo what `attach` did."""


OBSERVERS: list[Observer] = []
"""Who watches now. Read once for each plan that is made."""
_lock = threading.Lock()


def begin(observer: Observer) -> None:
    """Watch from now on."""
    from .discovery import open_devices

    with _lock:
        OBSERVERS.append(observer)
    for device in open_devices():
        observer.attach(device)
    changed()


def end(observer: Observer) -> None:
    """Watch no longer."""
    from .discovery import open_devices

    with _lock:
        OBSERVERS.remove(observer)
    for device in open_devices():
        observer.detach(device)
    changed()


def opened(device: Device) -> None:
    """A device was opened."""
    for observer in OBSERVERS:
        observer.attach(device)


def region(name: str, call: Callable[[], Any], nothing: Any = None) -> Any:
    """``call()``, told to all who watch."""
    for observer in OBSERVERS:
        call = partial(observer.region, name, call, nothing)
    return call()


def watch(plan: Plan) -> None:
    """Wrap the calls of a plan that is being made."""
    from dataclasses import replace

    for observer in OBSERVERS:
        plan.steps = tuple(replace(s, call=_marked(observer.around(plan, s, s.call), s.call)) for s in plan.steps)
        plan.makers = tuple(observer.making(plan, make) for make in plan.makers)
        if len(plan.steps) > 1:
            setattr(plan, "run", observer.whole(plan, plan.run))  # noqa: B010  (a method, which types forbid to assign)


def bare(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call that nobody wrapped: what another plan takes over, to be wrapped as its own."""
    while hasattr(call, "bare_call"):
        call = call.bare_call
    return call


def _marked(made: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    if made is not inner:
        made.bare_call = inner  # type: ignore[attr-defined]
    return made


class Patches:
    """Methods that are replaced on one object, and can be put back."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str]] = []

    def replace(self, target: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """``target.name`` becomes ``around(target.name)`` on this object."""
        setattr(target, name, around(getattr(target, name)))
        self._done.append((target, name))

    def undo(self) -> None:
        """Put all of them back."""
        for target, name in reversed(self._done):
            target.__dict__.pop(name, None)
        self._done.clear()
