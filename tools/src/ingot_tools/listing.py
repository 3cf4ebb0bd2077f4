"""``ingot devices``: every device, and for every backend without one the reason and the remedy.

Asks anew where the remembered answer was bad: people run this after they have mended something.
"""

from __future__ import annotations

import json
from typing import Any

from ingot_devices import DeviceUnavailable, Record, best
from ingot_devices.discovery import load_kernels, rescan

from . import versions
from .cli import DONE, FAILED

SCHEMA = "ingot.devices"
SCHEMA_VERSION = 1


def list_devices(as_json: bool) -> int:
    """Print the listing; 1 if no device is ready."""
    load_kernels()  # what is wrong with them is noted on their plugin's record
    found = rescan(fresh=True)
    if as_json:
        print(json.dumps(describe(found), indent=2))
    else:
        _show(found)
    return DONE if any(r.ready for r in found) else FAILED


def describe(found: tuple[Record, ...]) -> dict[str, Any]:
    """The listing as plain data.

    ``ready`` names the usable devices; ``auto`` is the one chosen by default (None: ``auto_error``
    says why); ``records`` holds every outcome: name, state, reason, remedy, devices, owner.
    """
    auto, why = _auto()
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "ingot": versions.of("ingot"),
        "ready": [name for r in found for name in r.ready],
        "auto": auto,
        "auto_error": why,
        "records": [r.to_dict() for r in found],
    }


def _auto() -> tuple[str | None, str]:
    try:
        return best(), ""
    except DeviceUnavailable as error:
        return None, str(error)


def _show(found: tuple[Record, ...]) -> None:
    from .console import console, plain

    screen = console()
    auto, why = _auto()
    if any(r.ready for r in found):
        screen.print(_devices_table(found, auto))
    if why:
        screen.print(plain(f"\nauto: {why}", "red"))
    bad = [r for r in found if r.state != "ready"]
    if bad:
        screen.print(_faults_table(bad))
    for r in found:
        for text in r.notes:
            screen.print(plain(f"\nnote on {r.plugin}: {text}", "yellow"))


def _devices_table(found: tuple[Record, ...], auto: str | None) -> Any:
    from .console import plain, size, table

    made = table("device", "what it is", "units", "memory", "driver", "state")
    for r in [r for r in found if r.state == "ready"]:
        for index, d in enumerate(r.devices):
            name = f"{r.name}:{index}"
            good = name in r.ready
            state = "ready" if good else f"not usable: {d.fault}"
            remedy = f"; remedy: {d.remedy}" if d.remedy else ""
            chosen = " (auto)" if name == auto else ""
            driver = ", ".join(filter(None, [d.driver, *d.details.values()]))
            made.add_row(
                plain(name, "bold"), plain(d.name), plain(d.compute_units or ""),
                plain(size(d.memory)), plain(driver),
                plain(state + remedy + chosen, "green" if good else "red"),
            )  # fmt: skip
    return made


def _faults_table(bad: list[Record]) -> Any:
    from .console import plain, table

    made = table("\nbackend", "\nstate", "\nreason and remedy")
    for r in bad:
        made.add_row(plain(r.name, "bold"), plain(r.state, "yellow"), plain(r.reason))
        if r.remedy:
            made.add_row("", "", plain(f"remedy: {r.remedy}", "cyan"))
    return made
