"""``ingot doctor``: opens each device, runs a small program, says PASS or FAIL; and versions.

Each device is checked by `check` in a process of its own, with a time limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from ingot_devices import Record
from ingot_devices.discovery import load_kernels, rescan, resolve_name

from . import versions
from .cli import DONE, FAILED

SCHEMA = "ingot.doctor"
SCHEMA_VERSION = 1
TIME_LIMIT = 120.0


def examine(device: str | None, as_json: bool) -> int:
    """Check ``device``, or all that are ready, and print what was found.

    1 if a device failed or none is ready.
    """
    load_kernels()  # so that records say which kernels were refused
    found = rescan(fresh=True)
    names = [name for r in found for name in r.ready]
    if device is not None:
        names = [resolve_name(device)]
    results = [_check(name) for name in names]
    if as_json:
        print(json.dumps(_describe(found, results), indent=2))
    else:
        _show(found, results)
    return DONE if results and all(r["ok"] for r in results) else FAILED


def _check(name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "ingot_tools.check", name]
    failed: dict[str, Any] = {"device": name, "ok": False, "passed": []}
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {**failed, "reason": f"gave no answer within {TIME_LIMIT:g} s"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return {**failed, "reason": f"its process ended with {done.returncode}: {''.join(said)}"}
    return answer


def _describe(found: tuple[Record, ...], results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "checks": results,
        "records": [r.to_dict() for r in found],
        "versions": versions.everything(),
    }


def _show(found: tuple[Record, ...], results: list[dict[str, Any]]) -> None:
    from .console import console, plain, table

    screen = console()
    checks = table("device", "check", "what was done", "kernels built")
    for r in results:
        verdict = plain("PASS", "green") if r["ok"] else plain("FAIL", "bold red")
        told = f"{', '.join(r['passed'])} in {r['seconds']:.2f} s" if r["ok"] else r["reason"]
        built = r.get("built")
        checks.add_row(plain(r["device"], "bold"), verdict, plain(told), plain("" if built is None else built))
    screen.print(checks)
    missing = table("\nbackend", "\nwhy it has no device")
    for record in found:
        if record.state != "ready":
            missing.add_row(plain(record.name, "bold"), plain(record.sentence()))
        for note in record.notes:
            missing.add_row(plain(record.name, "bold"), plain(note, "yellow"))
    if missing.rows:
        screen.print(missing)
    numbers = table("\nversions", "")
    for name, number in versions.everything().items():
        numbers.add_row(plain(name), plain(number))
    screen.print(numbers)
