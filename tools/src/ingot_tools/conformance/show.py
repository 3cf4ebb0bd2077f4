"""The report for a terminal: a bar while it runs, then a line a level, what is wrong with a program each, and the grade."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..console import console, plain, table
from .report import ON_DEVICE, Report
from .result import ABSENT, BAD, GAP, PASSED, UNSUPPORTED, Result

WIDTH = 24  # characters of a level's bar
SHOWN = 10  # faults that are written out
TOLD = 60.0  # seconds between two lines of progress where there is no terminal
_PARTS = ((PASSED, "green", "█"), (GAP, "yellow", "▒"), (UNSUPPORTED, "blue", "░"), (ABSENT, "cyan", "·"))


@contextmanager
def progress(device: str, total: int, quiet: bool) -> Iterator[Any]:
    """A function to call with each result; it moves the bar on a terminal, and elsewhere says now and then how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = console()
    columns = (TextColumn(device), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        task, wrong, done, moment = bar.add_task("", total=total), Counter[str](), 0, time.monotonic() + TOLD

        def step(result: Result) -> None:
            nonlocal done, moment
            done += 1
            wrong.update([result.status] if result.status in BAD else [])
            told = f"[red]{wrong.total()} wrong[/]  " if wrong else ""
            bar.update(task, advance=1, description=told + result.case.replace("[", ""))
            if bar.disable and not quiet and time.monotonic() > moment:
                moment = time.monotonic() + TOLD
                print(f"{device}: {done} of {total}, {wrong.total()} wrong, at {result.case}", file=sys.stderr, flush=True)

        yield step


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
    for name, reason in report.facts.get("refused", {}).items():
        screen.print(plain(f"  {name} is unsupported: {reason}", "blue"))
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
