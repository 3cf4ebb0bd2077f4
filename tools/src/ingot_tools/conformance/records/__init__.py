"""One record per op, in tables grouped as the opset is: what the op tests are generated from.

`RECORDS` maps the name of a record to it; `REQUIRED` holds the names that no release may lack.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .record import Record

GROUPS = (
    "unary",
    "activation",
    "binary",
    "special",
    "reduction",
    "contraction",
    "window",
    "space",
    "shape",
    "index",
    "index_more",
    "creation",
    "random",
    "composite",
    "loss",
    "recurrent",
    "optimizer",
    "optimizer_more",
    "conversion",
)


def _load() -> dict[str, Record]:
    found: dict[str, Record] = {}
    for group in GROUPS:
        for record in import_module(f"{__name__}.{group}").RECORDS:
            if record.name in found:
                raise ValueError(f"two records are called {record.name!r}")
            found[record.name] = record
    return found


def _required() -> frozenset[str]:
    lines = (Path(__file__).parent / "ops_required.txt").read_text().splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


RECORDS = _load()
REQUIRED = _required()

__all__ = ["RECORDS", "REQUIRED", "Record"]
