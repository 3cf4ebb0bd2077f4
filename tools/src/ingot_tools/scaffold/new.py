"""Writes a new package: a copy of a template in which acme has another name.

``acme``, ``Acme`` and ``ACME`` become the name in that spelling. A line that begins with ``@host@`` or ``@native@`` (or with
that in a comment) is kept in that kind alone; ``@word@`` is one of the values below.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ingot_devices import IngotError

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9_]*")
POLICY = {"host": "allow", "native": "error"}
_DOT = "dot_"  # a hidden folder, which a wheel might leave out
_KIND = re.compile(r"^(?:# )?@(host|native)@(.*\n)", re.MULTILINE)


def backend(name: str, folder: Path | None = None, native: bool = False) -> Path:
    """A package ``ingot-NAME`` with a backend on a pretend driver, in ``folder`` (default: ``./ingot-NAME``).

    ``native``: one that builds and launches kernels. IngotError for a name or a folder that cannot be used.
    """
    kind = "native" if native else "host"
    return _write(name, folder, {**_files("backend"), **_files(kind)}, kind, {"policy": POLICY[kind]})


def kernels(name: str, folder: Path | None = None, device: str = "") -> Path:
    """A package ``ingot-NAME`` with a kernel for devices of the kind ``device`` (default: the CPU), likewise."""
    from ingot.cpu import KIND

    return _write(name, folder, _files("kernels"), "kernels", {"device": device or KIND})


def _files(template: str) -> dict[str, str]:
    """Path in the package → text."""
    home = TEMPLATES / template
    paths = [p for p in sorted(home.rglob("*")) if p.is_file() and p.suffix != ".pyc"]
    return {p.relative_to(home).as_posix().replace(_DOT, "."): p.read_text("utf-8") for p in paths}


def _write(name: str, folder: Path | None, files: Mapping[str, str], kind: str, values: Mapping[str, str]) -> Path:
    _check(name)
    home = folder or Path(f"ingot-{name.replace('_', '-')}")
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise IngotError(f"{home} exists and is not empty; name another folder with --dir, or remove it")
    for path, text in _named(name, files, kind, values):
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return home


def _check(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name == "auto":
        raise IngotError(f"{name!r} cannot be the name of a backend: lower-case letters, digits and underscores, a letter "
                         "first, no word of Python's and not 'auto'; acme, say")  # fmt: skip


def _named(name: str, files: Mapping[str, str], kind: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    title = "".join(part.capitalize() for part in name.split("_"))
    for path, text in files.items():
        text = _KIND.sub(lambda found: found[2] if found[1] == kind else "", text)
        for word, value in values.items():
            text = text.replace(f"@{word}@", value)
        text = text.replace("ingot-acme", f"ingot-{name.replace('_', '-')}")
        yield path.replace("acme", name), text.replace("ACME", name.upper()).replace("Acme", title).replace("acme", name)
