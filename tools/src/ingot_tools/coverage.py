"""``ingot kernels DEVICE``: the coverage grid, which route each op takes by dtype, and who owns the kernel.

Each cell is what `explain` says, for small operands. Nothing is compiled for it: sources are rendered and not built.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ingot_devices import IngotError, dtypes, open_device
from ingot_devices.discovery import notes
from ingot_devices.dtypes import DType
from ingot_devices.explain import explain
from ingot_devices.observe import Patches
from ingot_devices.opset import OPS

from .cli import DONE

SCHEMA = "ingot.kernels"
SCHEMA_VERSION = 1
DEFAULT = ("float32", "float64", "float16", "bfloat16", "int64", "bool")
ROUTES = {
    # route: (what the grid says, its colour)
    "override": ("native", "green"), "registered": ("native", "green"), "generated": ("generated", "cyan"),
    "decomposed": ("parts", "blue"), "host": ("host", "yellow"), "view": ("view", "dim"), "": ("none", "red"),
    "other": ("-", "dim"),
}  # fmt: skip


def show_coverage(name: str, wanted: Sequence[str], as_json: bool) -> int:
    """Print the grid of ``name`` for these dtypes (default: `DEFAULT`)."""
    device = open_device(name)
    types = [dtypes.dtype(n) for n in (wanted or DEFAULT)]
    with _nothing_built(device):
        grid = {op: [_cell(op, device, d) for d in types] for op in OPS}
    if as_json:
        print(json.dumps(_plain(device, types, grid), indent=2))
    else:
        _show(device, types, grid)
    return DONE


def _cell(op: str, device: Any, dtype: DType) -> dict[str, str]:
    """Route and owner of one op for one dtype. ``other``: it takes no operands of this dtype."""
    try:
        found = explain(op, device, [dtype])
    except IngotError as error:
        return {"route": "other", "owner": "", "reason": str(error)}
    taken = next((c.owner for c in found.considered if not c.refused and c.route == found.route), "")
    reason = "; ".join(f"{c.route} ({c.owner}): {c.refused}" for c in found.considered if c.refused)
    return {"route": found.route, "owner": taken, "reason": reason}


@contextmanager
def _nothing_built(device: Any) -> Iterator[None]:
    """While it lasts, sources are rendered and not compiled; what was not built is forgotten."""
    cache = getattr(device.codegen, "cache", None)
    if cache is None:
        yield
        return
    held, patches = cache(device), Patches()
    before, counted = dict(held.entries), (held.statistics.built, dict(held.statistics.kernels))
    patches.replace(device, "build", lambda inner: lambda source, name: None)
    try:
        yield
    finally:
        patches.undo()
        held.entries.clear()
        held.entries.update(before)
        held.statistics.built, held.statistics.kernels = counted


def _plain(device: Any, types: Sequence[DType], grid: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    ops = {op: {d.name: cell for d, cell in zip(types, cells, strict=True)} for op, cells in grid.items()}
    return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "device": device.name, "ops": ops}


def _show(device: Any, types: Sequence[DType], grid: dict[str, list[dict[str, str]]]) -> None:
    from .console import console, plain, table

    screen = console()
    made = table("op", *(d.name for d in types), "owner")
    counts: Counter[str] = Counter()
    for op, cells in grid.items():
        words = [ROUTES[c["route"]] for c in cells]
        counts.update(word for word, _ in words)
        owners = sorted({c["owner"] for c in cells if c["owner"] and c["route"] in ("registered", "override")})
        made.add_row(plain(op, "bold"), *(plain(word, colour) for word, colour in words), plain(", ".join(owners)))
    screen.print(made)
    total = sum(n for word, n in counts.items() if word not in ("-", "view"))
    told = ", ".join(f"{word} {n} ({n / total:.0%})" for word, n in counts.most_common() if word not in ("-", "view"))
    screen.print(plain(f"{device.name}: {len(grid)} ops; {told}"))
    for text in notes(device.kind):
        screen.print(plain(f"note: {text}", "yellow"))
