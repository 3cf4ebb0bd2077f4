"""Where an author's text lies: the file and line that every error about a custom kernel names.

Used by every module of this package. A kernel's text is a string literal in somebody's file; the literal is looked up
there, so that line 3 of the text becomes a line of the file.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import DeclarationError

_OURS = ("ingot_devices.custom", "ingot.library")


@dataclass(frozen=True)
class Origin:
    """``line`` is that of the text's first line where ``exact``; else that of the call that gave the text."""

    file: str
    line: int
    exact: bool = False

    def at(self, line: int = 1) -> str:
        """``"file:line"`` of line ``line`` of the text."""
        if self.exact:
            return f"{self.file}:{self.line + line - 1}"
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return self.at()

    def refuse(self, message: str, line: int = 1, text: str = "") -> NoReturn:
        """Raise `DeclarationError` about line ``line`` of ``text``."""
        shown = _line(text, line)
        inside = f" (line {line} of its text)" if shown and not self.exact and "\n" in text else ""
        tail = f"\n    {shown}" if shown else ""
        raise DeclarationError(f"{self.at(line)}{inside}: {message}{tail}")


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def origin(text: str = "") -> Origin:
    """Where the nearest caller outside this package gave ``text``."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and _ours(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    found = _literal(file, text, line) if text else None
    return Origin(file, line) if found is None else Origin(file, found, exact=True)


def _ours(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _OURS)


def _literal(file: str, text: str, near: int) -> int | None:
    """The line on which a string literal equal to ``text`` begins: the nearest one before ``near``, or any."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
    lines = [
        n.lineno for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and n.value == text and _plain(n, text)
    ]  # fmt: skip
    return min(lines, key=lambda n: (n > near, abs(n - near)), default=None)


def _plain(node: ast.Constant, text: str) -> bool:
    """A literal in one piece: its lines are the text's lines."""
    return (node.end_lineno or node.lineno) - node.lineno == text.count("\n")


def of_function(function: Callable[..., Any]) -> Origin:
    """Where a function of an author is defined."""
    code = getattr(function, "__code__", None)
    return origin() if code is None else Origin(code.co_filename, code.co_firstlineno)
