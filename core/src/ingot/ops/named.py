"""What was given is no tensor: said by the name of the function and of its argument.

The public functions come through here. Nothing is looked at beforehand: only a call that fails because something lacks what
every tensor has is looked at again.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any

from ..base import TensorBase

FIRST = frozenset("input condition tensor tensor1 tensors sorted_sequence query equation A elements x x1 y".split())
"""First parameters of the functions that take tensors."""
_INSIDE = ("_layout", "_block", "_edge", "_offset")
_made: set[Any] = set()


def public(functions: Mapping[str, Callable[..., Any]], checked: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The functions by name, `named` where they take tensors and do not look at them themselves."""
    return {name: named(f) if name not in checked and _first(f) in FIRST else f for name, f in functions.items()}


def _first(function: Any) -> str:
    code = function.__code__
    return str(code.co_varnames[0 if code.co_argcount else code.co_kwonlyargcount])


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, with a TypeError for an argument that should be a tensor."""
    if function in _made:
        return function

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AttributeError as error:
            wrong = _which(function, args, kwargs, error)
            if wrong is None:
                raise
            where, kind = wrong
        raise TypeError(f"{function.__name__}(): argument '{where}' must be a Tensor, not {kind}")

    _made.add(call)
    return call


def _which(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: AttributeError) -> tuple[str, str] | None:
    """The name and the type of the argument that ``error`` is about; None if it is about something else."""
    if isinstance(error.obj, TensorBase) or not (error.name in _INSIDE or hasattr(TensorBase.kind, error.name or "")):
        return None
    for name, value in signature(function).bind(*args, **kwargs).arguments.items():
        if value is error.obj:
            return name, type(value).__name__
        if isinstance(value, list | tuple):
            for k, one in enumerate(value):
                if one is error.obj:
                    return f"{name}[{k}]", type(one).__name__
    return None


def warn(text: str) -> None:
    """A warning at the line outside of ingot that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "ingot":
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)
