"""Where in the user's program something happened: the first frame that is neither Ingot's nor generated."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

Site = tuple[CodeType, int]
"""A place in code, cheap to take: the line is worked out when somebody asks (`text`)."""

_OWN = ("ingot.", "ingot_")  # the core; the contract, plugins and tools
_NOBODYS = ("ingot", "runpy")  # and what runs a module for ``python -m``
_ours: dict[int, dict[str, Any]] = {}  # globals of our modules by identity, kept, so that it stays theirs


def call_site(skip: int = 1) -> Site | None:
    """The innermost caller outside Ingot's packages; None where there is none. ``skip`` frames are known to be ours."""
    frame = outside(skip + 1)
    return None if frame is None else (frame.f_code, frame.f_lasti)


def outside(skip: int = 1) -> FrameType | None:
    """The frame of `call_site`.

    Code without a module is what a code generator wrote, and ours too; so is a module of ours that ``python -m`` runs.
    """
    frame: FrameType | None = sys._getframe(skip)
    while frame is not None:
        module = frame.f_globals
        if id(module) not in _ours:
            name = getattr(module.get("__spec__"), "name", None) or module.get("__name__")
            if name and name not in _NOBODYS and not name.startswith(_OWN):
                return frame
            if name:
                _ours[id(module)] = module
        frame = frame.f_back
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
