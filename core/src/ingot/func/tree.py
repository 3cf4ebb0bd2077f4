"""Nests of tuples, lists and dicts: what the functions of this package take and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(nest: Any) -> tuple[list[Any], Rebuild]:
    """The leaves of ``nest``, in order, and what makes a nest of the same kind of as many others."""
    leaves: list[Any] = []
    form = _form(nest, leaves)
    return leaves, lambda given: form(iter(given))


def _form(nest: Any, leaves: list[Any]) -> Callable[[Any], Any]:
    if isinstance(nest, dict):
        kind, keys = type(nest), list(nest)
        inner = [_form(nest[k], leaves) for k in keys]
        return lambda given: kind(zip(keys, [f(given) for f in inner], strict=True))
    if isinstance(nest, (tuple, list)):
        made = type(nest)._make if hasattr(nest, "_make") else type(nest)
        inner = [_form(v, leaves) for v in nest]
        return lambda given: made([f(given) for f in inner])
    leaves.append(nest)
    return next


def spread(prefix: Any, nest: Any, name: str) -> list[Any]:
    """For each leaf of ``nest`` what ``prefix`` says: a nest of the same form, or with a leaf where ``nest`` goes on."""
    if not isinstance(nest, (tuple, list, dict)):
        if isinstance(prefix, (tuple, list, dict)):
            raise _other(prefix, nest, name)
        return [prefix]
    if not isinstance(prefix, (tuple, list, dict)):
        return [prefix] * len(flatten(nest)[0])
    if isinstance(nest, dict) and isinstance(prefix, dict) and prefix.keys() == nest.keys():
        return [d for k in nest for d in spread(prefix[k], nest[k], name)]
    if isinstance(nest, dict) or isinstance(prefix, dict) or len(prefix) != len(nest):
        raise _other(prefix, nest, name)
    return [d for p, v in zip(prefix, nest, strict=True) for d in spread(p, v, name)]


def _other(prefix: Any, nest: Any, name: str) -> ValueError:
    return ValueError(f"{name}={prefix!r} does not have the form of what it is for, {_shape(nest)}: give one number for all, "
                      "or a nest of the same form")


def _shape(nest: Any) -> str:
    """A nest with its leaves' types."""
    if isinstance(nest, dict):
        return "{" + ", ".join(f"{k!r}: {_shape(v)}" for k, v in nest.items()) + "}"
    if isinstance(nest, (tuple, list)):
        inner = ", ".join(map(_shape, nest))
        return f"[{inner}]" if isinstance(nest, list) else f"({inner}{',' * (len(nest) == 1)})"
    return type(nest).__name__
