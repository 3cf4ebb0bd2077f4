"""From results to a verdict: counts by level, the grid of ops and dtypes, the grade; and all of it as plain data.

The grade cannot be bought with skips: it is given only where every case ran, one wrong answer fails it, and what a device
refuses, leaves to the host or declares as a gap counts as not covered.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import versions
from .harness.edges import FEW
from .harness.pace import SIDE
from .levels import LEVELS, Case
from .records import RECORDS
from .records.record import ALL, Record
from .result import ABSENT, BAD, GAP, PASSED, UNSUPPORTED, Result

SCHEMA = "ingot.conformance"
SCHEMA_VERSION = 1
LETTERS = (("A", 0.9), ("B", 0.7), ("C", 0.4), ("D", 0.0))
"""The least share of the grid that a letter needs on the device itself."""
ON_DEVICE = ("native", "generated", "decomposed", "view")
WRONG_CELL, HOST_CELL, EMPTY = "wrong", "host", "not run"


@dataclass
class Cell:
    """One op in one dtype. ``state``: a route of `ON_DEVICE`, host, unsupported, gap, wrong or not run. ``host``: the ops that
    its calls ran there, one of which may be another than it."""

    state: str = EMPTY
    ulp: float | None = None
    host: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        made: dict[str, Any] = {"state": self.state}
        if self.ulp is not None:
            made["ulp"] = round(self.ulp, 3)
        return {**made, "host": self.host} if self.host else made


@dataclass(frozen=True)
class Grade:
    """``letter`` is empty where none is given, and F where something is wrong; ``covered`` of ``cells`` ran on the device."""

    letter: str
    covered: int
    cells: int
    why: str

    @property
    def sentence(self) -> str:
        """For a slide."""
        share = f"{self.covered} of {self.cells} ops × dtypes on the device itself ({self.covered / max(self.cells, 1):.0%})"
        return f"grade {self.letter}: {self.why}; {share}" if self.letter else f"no grade: {self.why}; {share}"


@dataclass
class Report:
    """``asked`` is every case that was to run, ``left`` those that did not; ``whole``: asked for all there are; ``noted``: what
    a reader has to know beside (`Conducted.notes`)."""

    device: str
    facts: dict[str, Any]
    results: Sequence[Result]
    asked: Sequence[Case]
    left: Sequence[str] = ()
    whole: bool = True
    seed: str = ""
    seconds: float = 0.0
    noted: Sequence[str] = ()
    _by_name: dict[str, Result] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_name = {r.case: r for r in self.results}

    @property
    def bad(self) -> list[Result]:
        """What makes the run fail, gaps that no case shows any more included."""
        return [r for r in self.results if r.status in BAD] + list(self._stale())

    @property
    def notes(self) -> list[str]:
        """Sentences for whoever reads the results."""
        return [*self._slow(), *self.noted]

    def _slow(self) -> Iterator[str]:
        """What a slow device was not asked."""
        if self.facts.get("interprets"):
            took = [f"{1e3 * self.facts.get('pace', {}).get(of, 0.0):.3g} ms" for of in ("device", "python")]
            less = f"{self.left_out} large samples were left out, and sizes around edges end at {max(FEW) + 1}"
            yield f"{self.device} is slow: a product of {SIDE}×{SIDE} took {took[0]}, Python's own loops {took[1]}; so {less}"

    @property
    def left_out(self) -> int:
        """Samples that were not run because the device is slow."""
        if not self.facts.get("interprets"):
            return 0
        room = self.facts.get("has_room")
        ran = [c for c in self.asked if c.record is not None and c.check == "value" and c.name in self._by_name]
        large = [s for c in ran if c.record for s in c.record.samples if s.big and c.variant not in s.but]
        return sum(not (s.tile and room) for s in large)

    @property
    def gaps(self) -> list[Result]:
        """What is wrong and declared so."""
        return [r for r in self.results if r.status == GAP]

    def _stale(self) -> Iterator[Result]:
        """A pattern of gaps none of whose cases is wrong, although all of them ran."""
        from fnmatch import fnmatchcase

        from .result import CLOSED

        shown = [r.case.partition("/")[2] if "/index/" not in r.case else r.case for r in self.gaps]
        for pattern, reason in self.facts.get("gaps", {}).items():
            names = [_without_level(c) for c in self.asked]
            matched = [n for n in names if fnmatchcase(n, pattern)]
            closed = any(r.status == CLOSED and fnmatchcase(r.case, f"*{pattern}") for r in self.results)
            if self.left or closed or any(fnmatchcase(n, f"*{pattern}") for n in shown):
                continue
            text = "none of its cases is wrong" if matched else "it names no case"
            yield Result(f"gaps/{pattern}", CLOSED, f"declared as a gap ({reason}), and {text}: take it out")

    def levels(self) -> Iterator[tuple[str, Counter[str], int]]:
        """(level, cases by status, cases asked for)."""
        for level in LEVELS:
            asked = [c for c in self.asked if c.level == level.name]
            counts = Counter(self._by_name[c.name].status for c in asked if c.name in self._by_name)
            yield level.name, counts, len(asked)

    def grid(self) -> dict[str, dict[str, Cell]]:
        """Op → dtype → what is known of it."""
        made = {r.name: {d: Cell() for d in ALL if d in r.dtypes} for r in RECORDS.values()}
        for case in self.asked:
            result, record = self._by_name.get(case.name), case.record
            if result is None or record is None or record.name not in made:
                continue
            for dtype in set(case.variant.split("+")) & set(made[record.name]):
                _merge(made[record.name][dtype], result, case)
        return made

    def on_host(self) -> Counter[str]:
        """Of each op that ran on the host, in how many cells of the grid it did."""
        return Counter(op for row in self.grid().values() for cell in row.values() if cell.host for op in cell.host.split(", "))

    def grade(self) -> Grade:
        """The verdict in one letter."""
        cells = [cell for row in self.grid().values() for cell in row.values()]
        covered = sum(cell.state in ON_DEVICE for cell in cells)
        ran, total = len(self.results), len(self.asked)
        small = f", {self.left_out} large samples left out because it is slow" if self.left_out else ""
        if self.bad:
            return Grade("F", covered, len(cells), f"{len(self.bad)} of {ran} cases are wrong")
        if self.left or not self.whole or ran < total:
            why = f"a sample, {ran} cases ran and are right{small}" if ran else "nothing ran"
            return Grade("", covered, len(cells), why)
        letter = next(name for name, least in LETTERS if covered / max(len(cells), 1) >= least)
        gaps = len(self.gaps)
        letter = max(letter, "B") if gaps else letter  # A has no gaps
        but = f" but {gaps} declared gaps" if gaps else ""
        return Grade(letter, covered, len(cells), f"all {ran} cases are right{but}{small}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON document."""
        grade = self.grade()
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "device": self.device,
            "facts": self.facts,
            "versions": versions.everything(),
            "machine": platform.machine(),
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "asked": len(self.asked),
            "ran": len(self.results),
            "notes": self.notes,
            "grade": {"letter": grade.letter, "covered": grade.covered, "cells": grade.cells, "why": grade.why},
            "levels": [{"level": name, "asked": asked, **dict(counts)} for name, counts, asked in self.levels()],
            "grid": {
                op: {d: c.to_dict() for d, c in row.items()} for op, row in self.grid().items()
            },
            "wrong": [r.to_dict() for r in self.bad],
            "gaps": [r.to_dict() for r in self.gaps],
            "not_present": [r.to_dict() for r in self.results if r.status == ABSENT],
        }


def _without_level(case: Case) -> str:
    return case.name.removeprefix(f"{case.level}/")


def _merge(cell: Cell, result: Result, case: Case) -> None:
    """What one result adds to its cell: a fault wins over everything, then a gap, then the route of the value check."""
    if result.ulp is not None and case.check == "value":
        cell.ulp = max(cell.ulp or 0.0, result.ulp)
    if result.status in BAD:
        cell.state = WRONG_CELL
    elif cell.state == WRONG_CELL:
        return
    elif result.status == GAP:
        cell.state = GAP
    elif cell.state == GAP or case.level == "alone":
        return
    elif result.status == UNSUPPORTED and "+" not in case.variant:
        cell.state = UNSUPPORTED
    elif result.status == PASSED and case.check == "value":
        cell.state, cell.host = result.route, result.host


def rows(grid: dict[str, dict[str, Cell]]) -> Iterator[tuple[str, list[tuple[Record, dict[str, Cell]]]]]:
    """The grid by groups of ops, in the records' order."""
    groups: dict[str, list[tuple[Record, dict[str, Cell]]]] = {}
    for name, row in grid.items():
        groups.setdefault(RECORDS[name].group, []).append((RECORDS[name], row))
    yield from groups.items()
