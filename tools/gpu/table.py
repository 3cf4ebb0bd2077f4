"""The parts' JSONs as one table: what ran, and each target met or not, with the measured ratio.

    python tools/gpu/table.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Print the table."""
    folder = Path(sys.argv[1])
    parts = [json.loads(p.read_text()) for p in sorted(folder.glob("*.json")) if not p.name.endswith(".chrome.json")]
    parts = [p for p in parts if "part" in p]
    if not parts:
        print(f"no part has left a JSON in {folder}")
        return 0
    if any(p["simulated"] for p in parts):
        print("SIMULATED: some of these parts ran on the simulated driver. They say nothing about a GPU.\n")
    print(f"{'part':<12}{'state':<10}{'seconds':>8}  {'date':<27}{'GPU, driver'}")
    for p in parts:
        state = "ok" if p["ok"] else "FAILED"
        gpu = "SIMULATED" if p["simulated"] else p["machine"]["gpu"]
        print(f"{p['part']:<12}{state:<10}{p['seconds']:>8.0f}  {p['date']:<27}{gpu}  {p.get('tests', '')}{p['note']}")
    print(f"\n{'measured':<34}{'ingot':>12}{'torch':>12}{'ratio':>8}{'of copy':>9}{'must':>7}  met")
    for p in parts:
        for name, r in p.get("results", {}).items():
            print(line(name, r | {"met": None} if p["simulated"] else r))
    return 0


def line(name: str, r: dict[str, Any]) -> str:
    """One measurement."""
    unit = "ms" if "ms" in r["ingot"] else "us"
    values = [f"{r[side][unit]:.3f} {unit}" if side in r else "-" for side in ("ingot", "torch")]
    shares = [f"{r[k]:.2f}" if r.get(k) is not None else "-" for k in ("ratio", "of copy", "must")]
    met = {True: "yes", False: "NO", None: "-"}[r.get("met")]
    return f"{name:<34}{values[0]:>12}{values[1]:>12}{shares[0]:>8}{shares[1]:>9}{shares[2]:>7}  {met}"


if __name__ == "__main__":
    sys.exit(main())
