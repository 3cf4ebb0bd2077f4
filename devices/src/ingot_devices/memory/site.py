"""Where in the user's program something happened: the first frame that is neither Ingot's nor generated."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

Site = tuple[CodeType, int]
"""A place in code, cheap to take: the line is worked out when somebody asks (`text`)."""

_OWN = ("ingot.", "ingot_")  # the core; the contract, plugins and tools
_ours: dict[int, dict[str, Any]] = {}  # globals of our modules by identity, kept, so that it stays theirs


def call_site(skip: int = 1) -> Site | None:
    """The innermost caller outside Ingot's packages; None where there is none. ``skip`` frames are known to be ours.

    Code without a module is what a code generator wrote, and ours too.
    """
    frame = sys._getframe(skip)
    while frame is not None:
        module = frame.f_globals
        if id(module) not in _ours:
            name = module.get("__name__")
            if name and name != "ingot" and not name.startswith(_OWN):
                return frame.f_code, frame.f_lasti
            if name:
                _ours[id(module)] = module
        frame = frame.f_back  # type: ignore[assignment]
    return None


def text(site: Site | None) -> str | None:
    """``"file:line"`` of a site."""
    if site is None:
        return None
    code, instruction = site
    line = None
    for start, end, number in code.co_lines():
        if start <= instruction < end:
            line = number
    return f"{code.co_filename}:{line or code.co_firstlineno}"
