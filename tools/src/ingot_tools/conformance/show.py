"""The report for a terminal: a bar while it runs, then a line a level, what is wrong with a program each, and the grade."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..console import console, plain, table
from .conduct import Watcher
from .report import ON_DEVICE, Report
from .result import ABSENT, BAD, GAP, PASSED, UNSUPPORTED, Result

WIDTH = 24  # characters of a level's bar
SHOWN = 10  # faults that are written out
HOST = 12  # ops that are named
TOLD = 30.0  # seconds between two lines of progress where there is no terminal
_PARTS = ((PASSED, "green", "█"), (GAP, "yellow", "▒"), (UNSUPPORTED, "blue", "░"), (ABSENT, "cyan", "·"))


@contextmanager
def progress(device: str, total: int, quiet: bool) -> Iterator[Watcher]:
    """What moves a bar on a terminal with each result, and elsewhere says now and then how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = console()
    columns = (TextColumn(device), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        yield _Progress(bar, device, total, quiet)


class _Progress(Watcher):
    def __init__(self, bar: Any, device: str, total: int, quiet: bool) -> None:
        self.bar, self.device, self.total, self.speaks = bar, device, total, bar.disable and not quiet
        self.task = bar.add_task("", total=total)
        self.done = self.wrong = 0
        self.moment = time.monotonic() + TOLD

    def came(self, result: Result) -> None:
        """One more is done."""
        self.done += 1
        self.wrong += result.status in BAD
        self.tell(1, result.case)

    def waits(self, case: str, seconds: float, patience: float) -> None:
        """On a terminal the seconds are counted."""
        self.tell(0, f"{case}, for {seconds:.0f} s (at most {patience:g})")

    def tell(self, advance: int, where: str) -> None:
        """Where it is: on the bar, or as a line if the last one was long ago."""
        told = f"[red]{self.wrong} wrong[/]  " if self.wrong else ""
        self.bar.update(self.task, advance=advance, description=told + where.replace("[", ""))
        if self.speaks and time.monotonic() > self.moment:
            self.moment = time.monotonic() + TOLD
            print(f"{self.device}: {self.done} of {self.total}, {self.wrong} wrong, at {where}", file=sys.stderr, flush=True)


def show(report: Report) -> None:
    """Print the report."""
    screen = console()
    screen.print(_levels(report))
    for result in report.gaps[:SHOWN]:
        screen.print(plain(f"gap    {result.case}: {result.message}", "yellow"))
    for result in report.bad[:SHOWN]:
        ulp = f" (at most {result.ulp:.3g} ulp off)" if result.ulp else ""
        screen.print(plain(f"\n{result.status}  {result.case}{ulp}", "bold red"))
        screen.print(plain(f"  {result.message}"))
        for line in result.program.splitlines():
            screen.print(plain(f"    {line}", "cyan"), soft_wrap=True)
    if len(report.bad) > SHOWN:
        screen.print(plain(f"\nand {len(report.bad) - SHOWN} more: --json FILE has all of them", "red"))
    states = Counter(cell.state for row in report.grid().values() for cell in row.values())
    parts = [f"{states[s]} {s}" for s in (*ON_DEVICE, "host", UNSUPPORTED, GAP, "wrong", "not run") if states[s]]
    screen.print(plain(f"\nops × dtypes: {', '.join(parts)}"))
    if host := report.on_host().most_common():
        more = f" and {len(host) - HOST} more" if host[HOST:] else ""
        named = ", ".join(f"{op} ({count})" for op, count in host[:HOST]) + more
        screen.print(plain(f"  ran on the host, in so many of these: {named}", "yellow"))
    for name, reason in report.facts.get("refused", {}).items():
        screen.print(plain(f"  {name} is unsupported: {reason}", "blue"))
    for note in report.notes:
        screen.print(plain(note, "yellow"))
    grade = report.grade()
    color = "bold red" if grade.letter == "F" else "bold green" if grade.letter else "bold"
    screen.print(plain(f"{report.device}: {grade.sentence}, in {report.seconds:.0f} s", color))


def _levels(report: Report) -> Any:
    made = table("level", "", "right", "of", "")
    for name, counts, asked in report.levels():
        bad = sum(counts[s] for s in BAD)
        notes = [f"{counts[s]} {s}" for s in (*BAD, GAP, UNSUPPORTED, ABSENT) if counts[s]]
        ran = sum(counts.values())
        if ran < asked:
            notes.append(f"{asked - ran} not run")
        text = ", ".join(notes)
        made.add_row(plain(name, "bold"), _bar(counts, asked, bad), plain(counts[PASSED] if asked else ""),
                     plain(asked or ""), plain(text, "red" if bad else ""))  # fmt: skip
    return made


def _bar(counts: Counter[str], asked: int, bad: int) -> Any:
    """Shares of a level; what is wrong shows, however little it is."""
    from rich.text import Text

    made = Text()
    if not asked:
        return made
    red = -(-bad * WIDTH // asked)
    left = WIDTH - red
    for status, color, mark in _PARTS:
        made.append(mark * min(left, round(counts[status] * WIDTH / asked)), color)
    made.truncate(left)
    made.append("█" * red, "red")
    return made
