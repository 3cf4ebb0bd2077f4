"""Where in the user's program something happened: the first frame outside Ingot's own packages."""

from __future__ import annotations

import sys

_OWN = frozenset(("ingot", "ingot_devices"))


def call_site() -> str | None:
    """``"file:line"`` of the innermost caller outside ``ingot`` and ``ingot_devices``; None where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if name.partition(".")[0] not in _OWN:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None
