"""``ingot conformance DEVICE``: what is run, how much of it, and where the report goes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ingot_devices import IngotError
from ingot_devices.discovery import resolve_name

from ..cli import DONE, FAILED
from .conduct import conduct
from .levels import BY_NAME, LEVELS, Case, cases, sampled
from .page import html
from .report import Report
from .show import progress, show


def judge(
    device: str, levels: Sequence[str], only: Sequence[str], budget: float | None, seed: str,
    json_file: str, html_file: str, quiet: bool = False, patience: float | None = None,
) -> int:  # fmt: skip
    """Run, print, write; 1 if something is wrong, or if nothing ran."""
    name = resolve_name(device)
    chosen, whole = choose(name, levels, only)
    if budget is not None:
        chosen = sampled(chosen, seed)
    start = time.monotonic()
    with progress(name, len(chosen), quiet) as watcher:
        made = conduct(name, chosen, budget, watcher, patience)
    seconds = time.monotonic() - start
    report = Report(name, made.facts, made.results, chosen, made.left, whole, seed, seconds, made.notes)
    if not quiet:
        show(report)
    for file, text in ((json_file, json.dumps(report.to_dict(), indent=1)), (html_file, html(report))):
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(text + "\n", encoding="utf-8")
    return FAILED if report.bad or not report.results else DONE


def choose(device: str, levels: Sequence[str], only: Sequence[str]) -> tuple[list[Case], bool]:
    """The cases of these levels (all, where none is named) whose names match a pattern, and whether that is all there is.

    IngotError for a level or a pattern that names nothing.
    """
    for level in levels:
        if level not in BY_NAME:
            raise IngotError(f"no level is called {level!r}; there are: {', '.join(BY_NAME)}")
    every = [c for c in cases() if c.level != "alone" or _can_be_alone(device)]
    of_levels = [c for c in every if not levels or c.level in levels]
    found = [c for c in of_levels if _matches(c, only)]
    if not found:
        raise IngotError(_nothing(device, levels, only, elsewhere=[c for c in every if _matches(c, only)]))
    return found, len(found) == len(every)


def _matches(case: Case, only: Sequence[str]) -> bool:
    return not only or any(fnmatchcase(case.name, f"*{p}*") for p in only)


def _nothing(device: str, levels: Sequence[str], only: Sequence[str], elsewhere: Sequence[Case]) -> str:
    """Why no case is left: for the levels, for the patterns, or for both together."""
    if not only:
        return f"{device} has no case of {', '.join(levels)}"
    patterns = " or ".join(map(repr, only))
    if not elsewhere:
        return (f"no case is named like {patterns}: a pattern is a part of level/check/op/dtype, in which * stands for "
                f"anything; `ingot conformance {device} --list` names all cases")  # fmt: skip
    there = ", ".join(dict.fromkeys(c.level for c in elsewhere))
    return (f"--level and --only hold together: {len(elsewhere)} cases are named like {patterns}, and none of them is of "
            f"{', '.join(levels)}; they are of {there}")  # fmt: skip


def _can_be_alone(device: str) -> bool:
    from ingot.cpu import KIND

    return device.partition(":")[0] != KIND


def list_cases(device: str, levels: Sequence[str], only: Sequence[str]) -> int:
    """Print the names."""
    for case in choose(resolve_name(device), levels, only)[0]:
        print(case.name)
    return DONE


__all__ = ["LEVELS", "choose", "judge", "list_cases"]
