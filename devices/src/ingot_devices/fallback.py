"""The fallback policy and its ledger: what happens when an op has to run on the host.

A launch that goes through the host calls `note` each time; the policy is the innermost ``with fallback(...)``, else
the environment's ``INGOT_FALLBACK``, else ``warn``. ``error`` refuses, ``warn`` tells once for each op and call site,
``allow`` is silent. All three are counted.
"""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass

from .context import Context, scope, state
from .errors import FallbackError
from .memory.site import outside

POLICIES = ("error", "warn", "allow")


class FallbackWarning(UserWarning):
    """An op ran on the host, at the cost of copies both ways."""


@dataclass
class Entry:
    """One op at one call site: how often it ran on the host, and the bytes that moved for it."""

    op: str
    device: str
    site: str
    count: int = 0
    nbytes: int = 0


_ledger: dict[tuple[str, str, str], Entry] = {}
_lock = threading.Lock()


def fallback(policy: str) -> AbstractContextManager[Context]:
    """``with fallback("error"): …`` sets the policy of this thread for a block."""
    return scope(fallback=_valid(policy, "fallback()"))


def policy() -> str:
    """The policy in force in this thread."""
    return state.context.fallback or _valid(os.environ.get("INGOT_FALLBACK", "warn"), "INGOT_FALLBACK")


def _valid(name: str, where: str) -> str:
    if name not in POLICIES:
        raise ValueError(f"{where} is {name!r}; it can be {', '.join(POLICIES)}")
    return name


def note(op: str, device: str, nbytes: int, reason: str = "") -> None:
    """Write one host run into the ledger, or refuse it."""
    chosen = policy()
    site = _site()
    at = f" ({site})" if site else ""
    with _lock:
        entry = _ledger.setdefault((op, device, site), Entry(op, device, site))
        entry.count += 1
        entry.nbytes += nbytes
        first = entry.count == 1
    if chosen == "error":
        why = f": {reason}" if reason else ""
        raise FallbackError(f"{op} has no kernel on {device}{why}. It would run on the host, moving {nbytes} bytes; "
                            f'allow that with ingot.fallback("allow") or INGOT_FALLBACK=allow{at}')
    if chosen == "warn" and first:
        file, _, line = site.rpartition(":")
        text = f"{op} runs on the host, because {device} has no kernel for it" + (f": {reason}" if reason else "")
        warnings.warn_explicit(text, FallbackWarning, file or "<ingot>", int(line) if line.isdecimal() else 0)


def ledger() -> tuple[Entry, ...]:
    """Every host run so far, the most bytes first."""
    with _lock:
        return tuple(sorted(_ledger.values(), key=lambda e: -e.nbytes))


def clear_ledger() -> None:
    """Forget what ran so far."""
    with _lock:
        _ledger.clear()


def _site() -> str:
    """``file:line`` of the nearest frame that is not Ingot's own; empty where there is none."""
    frame = outside(3)  # behind `note`
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
