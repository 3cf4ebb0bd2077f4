"""Versions of everything that matters to a bug report, with no name written down but our own.

What a distribution requires is read from its metadata: a plugin's vendor library appears by itself.
"""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, entry_points, requires, version

_OURS = ("ingot", "ingot-devices", "ingot-tools")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def of(distribution: str) -> str:
    """The installed version, or "not installed"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def everything() -> dict[str, str]:
    """Python, platform, our distributions, every plugin, and what these require."""
    plugins = {p.dist.name for p in entry_points(group="ingot") if p.dist is not None}
    ours = [*_OURS, *sorted(plugins - set(_OURS))]
    needed = {name for one in ours for name in _requirements(one)} - set(ours)
    found = {name: of(name) for name in (*ours, *sorted(needed, key=str.lower))}
    return {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "machine": platform.machine(),
        **{name: number for name, number in found.items() if number != "not installed"},
    }


def _requirements(distribution: str) -> list[str]:
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return []
    return [found.group() for line in lines if (found := _NAME.match(line))]
