"""Printing, for every subcommand: consoles that suit a terminal, a pipe and NO_COLOR alike."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

_KIBI = 1024
_WIDE = 160  # of a pipe or a file, which have no width of their own


def console() -> Console:
    """A console on standard output. Rich itself heeds NO_COLOR and a dumb terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def table(*columns: str) -> Table:
    """An unboxed table with these headings."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def plain(text: object, style: str = "") -> Text:
    """``text`` as it is: square brackets in a remedy are no markup."""
    return Text(str(text), style=style)


def size(nbytes: int | None) -> str:
    """``nbytes`` for people: 3.5 GiB."""
    if nbytes is None:
        return ""
    value = float(nbytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIBI:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIBI
    return f"{value:.1f} TiB"
