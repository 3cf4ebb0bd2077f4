"""Which variant of a kernel is best on a device: what ``ingot tune`` measured, kept in the user's cache.

Written by the command, read by `source` when a plan is made. The key is the op, the device's fingerprint, the dtypes
and the declared variants; a kernel whose variants change is tuned anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..cache import Cache, key
from ..context import changed
from ..layout import Layout
from ..registry import Request

_found: dict[str, dict[str, Any] | None] = {}


def _key(op: str, device: Any, dtypes: Sequence[str], variants: Mapping[str, Sequence[Any]]) -> str:
    tried = ";".join(f"{name}={list(values)!r}" for name, values in variants.items())
    return key("tune", op, device.kind, device.fingerprint(), ",".join(dtypes), tried)


def _dtypes(request: Request) -> list[str]:
    return [x.dtype.name for x in request.layouts if isinstance(x, Layout)]


USUAL: dict[str, Any] = {}
"""Stands for: the device's usual route was faster than every variant."""


def best(request: Request, variants: Mapping[str, Sequence[Any]]) -> dict[str, Any] | None:
    """The variant that was found best for such a request, or `USUAL`; None where none was measured."""
    entry = _key(request.op, request.device, _dtypes(request), variants)
    if entry not in _found:
        held = Cache("tune").get(entry)
        _found[entry] = None if held is None else _valid(held, variants)
    return _found[entry]


def _valid(held: bytes, variants: Mapping[str, Sequence[Any]]) -> dict[str, Any] | None:
    """What `keep` wrote, as values; None where it is not that."""
    try:
        places = json.loads(held)["variant"]
        return USUAL if places is None else {name: tried[places[name]] for name, tried in variants.items()}
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def keep(
    request: Request, variants: Mapping[str, Sequence[Any]], variant: Mapping[str, Any] | None, seconds: float
) -> None:
    """Note that ``variant`` was the fastest of ``variants`` (None: the usual route), with ``seconds`` for a launch."""
    entry = _key(request.op, request.device, _dtypes(request), variants)
    places = None if variant is None else {name: list(tried).index(variant[name]) for name, tried in variants.items()}
    told = {"op": request.op, "device": request.device.name, "variant": places, "seconds": seconds}
    Cache("tune").put(entry, json.dumps(told).encode())
    _found.pop(entry, None)
    changed()


def forget() -> None:
    """Read the cache again."""
    _found.clear()
    changed()
