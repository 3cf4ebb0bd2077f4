"""Faults on request: what a device does on its worst day, at a place that a test can choose.

Written as ``kind@when`` with commas between, in ``INGOT_SIM_FAULTS`` or for a scope with ``device.faults.inject(…)``::

    oom@5          the fifth allocation fails, once          launch@3      the third launch fails
    oom@5+         the fifth and every later one             lost@7        the device is lost at its seventh operation
    oom@5-9        the fifth to the ninth                     probe=hang    the probe never answers
    oom%3          every third                                probe=raise   the probe raises

The pool asks again after each step of its ladder, so an allocation that is to fail for good needs ``5+`` or a range.
Operations are allocations, copies, launches and synchronisations, in the order in which they are called.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_KINDS = ("oom", "launch", "lost")
_RULE = re.compile(r"(?P<kind>[a-z]+)(?:@(?P<first>\d+)(?P<more>\+|-(?P<last>\d+))?|%(?P<every>\d+))")
_PROBES = ("hang", "raise")


@dataclass(frozen=True)
class Rule:
    """``kind`` happens from the ``first`` to the ``last`` occasion (None: for good), each ``step``-th time."""

    kind: str
    first: int
    last: int | None
    step: int = 1

    def strikes(self, count: int) -> bool:
        """True for the ``count``-th occasion, counted from 1."""
        inside = count >= self.first and (self.last is None or count <= self.last)
        return inside and (count - self.first) % self.step == 0


def parse(text: str) -> tuple[Rule, ...]:
    """The rules in ``text``; ValueError shows the form. Parts ``probe=`` are checked, and left to `probe_fault`."""
    rules = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        if part.startswith("probe=") and part[6:] in _PROBES:
            continue
        found = _RULE.fullmatch(part)
        if found is None or found["kind"] not in _KINDS or "0" in (found["first"], found["every"]):
            raise ValueError(
                f"sim fault {part!r} is not understood: write oom@5, oom@5+, oom@5-9, oom%3, launch@3, lost@7, "
                "probe=hang or probe=raise, with commas between"
            )
        rules.append(_rule(found))
    return tuple(rules)


def _rule(found: re.Match[str]) -> Rule:
    if found["every"]:
        return Rule(found["kind"], int(found["every"]), None, int(found["every"]))
    first = int(found["first"])
    last = None if found["more"] == "+" else int(found["last"] or first)
    return Rule(found["kind"], first, last)


class Faults:
    """The faults of one device, and how often each occasion has come so far (``counts``)."""

    def __init__(self, text: str = "") -> None:
        self.rules = parse(text)
        self.counts = dict.fromkeys(_KINDS, 0)

    def strike(self, kind: str) -> bool:
        """Count one occasion of ``kind``; True when it is to fail."""
        self.counts[kind] += 1
        return any(r.kind == kind and r.strikes(self.counts[kind]) for r in self.rules)

    @contextmanager
    def inject(self, text: str) -> Iterator[Faults]:
        """The faults of ``text`` within the scope, counted from its start; those in force before return after it."""
        kept = self.rules, self.counts
        self.rules, self.counts = parse(text), dict.fromkeys(_KINDS, 0)
        try:
            yield self
        finally:
            self.rules, self.counts = kept


def probe_requested(text: str | None = None) -> str:
    """``"hang"``, ``"raise"`` or ``""``: the fault asked of the probe."""
    text = os.environ.get("INGOT_SIM_FAULTS", "") if text is None else text
    return next((p.strip()[6:] for p in text.split(",") if p.strip().startswith("probe=")), "")


def probe_fault() -> None:
    """Act on a fault asked of the probe: never come back, or raise RuntimeError."""
    asked = probe_requested()
    while asked == "hang":
        time.sleep(3600)
    if asked == "raise":
        raise RuntimeError("sim's probe was asked to raise (INGOT_SIM_FAULTS)")
