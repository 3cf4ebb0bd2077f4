"""Grad modes: ``no_grad``, ``enable_grad``, ``inference_mode``, anomaly detection. Context managers and decorators.

Each swaps the thread's context (`ingot_devices.context`) on entry and restores it on exit.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ingot_devices.context import state

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """A change of the context for a block, or for each call of a decorated function."""

    def __init__(self) -> None:
        self._outer: list[Any] = []

    def _changes(self) -> dict[str, bool]:
        return {}

    def __enter__(self) -> Any:
        self._outer.append(state.context)
        state.context = state.context.change(**self._changes())
        return self

    def __exit__(self, *exc: object) -> None:
        state.context = self._outer.pop()

    def _clone(self) -> _Mode:
        return type(self)()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            raise TypeError(
                f"{type(self).__name__} cannot decorate the generator {function.__name__}: use a with block inside"
            )

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._clone():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class no_grad(_Mode):
    """Nothing is recorded inside. ``@no_grad()`` and ``@no_grad`` both decorate."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__()

    def _changes(self) -> dict[str, bool]:
        return {"grad": False}


class enable_grad(no_grad):
    """Recording is on inside, also within ``no_grad``."""

    def _changes(self) -> dict[str, bool]:
        return {"grad": True}


class inference_mode(_Mode):
    """As ``no_grad``, and tensors made inside can never take part in recording."""

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None:
        super().__init__()
        self.mode = bool(mode)

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        made = super().__new__(cls)
        if callable(mode):
            made.__init__()  # type: ignore[misc]
            return made(mode)
        return made

    def _changes(self) -> dict[str, bool]:
        return {"grad": False, "inference": True} if self.mode else {"inference": False}

    def _clone(self) -> _Mode:
        made: _Mode = type(self)(self.mode)
        return made


class set_grad_enabled(_Mode):
    """Turn recording on or off: at once, and back at the end of a ``with`` block if there is one."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        self._before = state.context
        state.context = state.context.change(grad=self.mode)

    def __enter__(self) -> Any:
        self._outer.append(self._before)
        state.context = state.context.change(grad=self.mode)
        return self

    def _changes(self) -> dict[str, bool]:
        return {"grad": self.mode}

    def __call__(self, function: F) -> F:
        state.context = self._before
        return super().__call__(function)

    def _clone(self) -> _Mode:
        return type(self)(self.mode)


class detect_anomaly(_Mode):
    """Each backward step is checked for NaN, and the error names the forward line. Slow; for finding a fault."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__()
        self.check_nan = check_nan

    def _changes(self) -> dict[str, bool]:
        return {"anomaly": self.check_nan}

    def _clone(self) -> _Mode:
        return type(self)(self.check_nan)


class set_detect_anomaly(detect_anomaly):
    """`detect_anomaly` switched at once."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(mode and check_nan)
        self._outer.append(state.context)
        state.context = state.context.change(**self._changes())

    def __enter__(self) -> Any:
        return self


def is_grad_enabled() -> bool:
    """True when ops are recorded in this thread."""
    return state.context.grad


def is_inference_mode_enabled() -> bool:
    """True inside ``inference_mode``."""
    return state.context.inference
