"""What every benchmark shares: interleaved rounds, medians with their spread, a control, JSON with the machine named.

Each file of this folder answers one question, runs ingot and its peer in turn in one process, and writes JSON:

    .venv/bin/python tools/bench/eager.py --out tools/bench/results/eager.json

A control (the peer's own simplest op, or a copy) is timed in every round. Where it spreads by more than 15 % the machine was
not quiet: the table is printed and no JSON is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LIMIT = 0.15


def parser(doc: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--out", type=Path, help="write JSON there, if the machine was quiet")
    made.add_argument("--rounds", type=int, default=21)
    return made


def rounds(cases: Mapping[str, tuple[Callable[[], Any], int]], count: int) -> dict[str, list[float]]:
    """Microseconds a call of each case (function, calls in a round), the cases interleaved in every round."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for function, calls in cases.values():
        for _ in range(max(2, calls // 10)):
            function()
    for k in range(count):
        print(f"\rround {k + 1} of {count}", end="", file=sys.stderr, flush=True)
        for name, (function, calls) in cases.items():
            start = time.perf_counter()
            for _ in range(calls):
                function()
            found[name].append((time.perf_counter() - start) / calls * 1e6)
    print("\r" + " " * 24 + "\r", end="", file=sys.stderr)
    return found


def summary(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    q1, median, q3 = statistics.quantiles(values, n=4)
    return {"median": median, "q1": q1, "q3": q3, "min": min(values), "max": max(values)}


def spread(values: list[float]) -> float:
    """The distance of the quartiles over the median."""
    s = summary(values)
    return (s["q3"] - s["q1"]) / s["median"]


def machine() -> dict[str, Any]:
    """What ran it."""
    name = next((line for line in _cpuinfo() if line.startswith("model name")), "")
    return {
        "cpu": name.partition(":")[2].strip() or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def report(
    question: str, found: Mapping[str, list[float]], ratios: Mapping[str, tuple[str, str, float, float]], control: str,
    options: argparse.Namespace, extra: Mapping[str, Any] | None = None,
) -> int:  # fmt: skip
    """Print the table, write the JSON. ``ratios``: name → (peer's case, ingot's case, must, aim)."""
    noise = spread(found[control])
    rows = {}
    print(question)
    for name, values in found.items():
        s = summary(values)
        print(f"  {name:<28} {s['median']:10.3f} µs   ({s['q1']:.3f} … {s['q3']:.3f})")
    for name, (peer, ours, must, aim) in ratios.items():
        per_round = [p / o for p, o in zip(found[peer], found[ours], strict=True)]
        s = summary(per_round)
        met = "met" if s["median"] >= must else "not met"
        rows[name] = {**s, "must": must, "aim": aim, "met": s["median"] >= must, "aim_met": s["median"] >= aim}
        print(f"  {name:<28} {s['median']:10.2f} ×   (must {must}, aim {aim}: {met})")
    print(f"  control {control}: quartiles {noise:.1%} apart")
    if options.out is None:
        return 0
    if noise > LIMIT:
        print(f"the control spreads by more than {LIMIT:.0%}: the machine is not quiet, nothing is written", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    body = {"question": question, "machine": machine(), "control": {"case": control, "spread": noise}, "unit": "µs",
            "times": {k: summary(v) for k, v in found.items()}, "ratios": rows, **(extra or {})}
    options.out.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    return 0
