"""What every benchmark shares: rounds in turn, medians with their spread, a control, JSON with the machine named.

Each file of this folder answers one question, with ingot and its peer in turn in one run, and writes JSON:

    .venv/bin/python tools/bench/eager.py --out tools/bench/results/eager.json

Every library runs in a process of its own that waits for its turn: two thread pools in one process would spin in each other's
way. A control (the peer's own simplest op, or a copy) is timed in every round. Where it spreads by more than 15 % the machine
was not quiet: the table is printed and no JSON is written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIMIT = 0.15
PAUSE = 0.02  # seconds; OpenMP's threads spin for milliseconds after their work
Cases = Mapping[str, tuple[Callable[[], Any], int]]
Bounds = Mapping[str, tuple[float, float]]


def parser(doc: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--out", type=Path, help="write JSON there, if the machine was quiet")
    made.add_argument("--rounds", type=_rounds, default=21, help="2 or more: a spread is told")
    made.add_argument("--serve", metavar="LIBRARY", help=argparse.SUPPRESS)
    return made


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of rounds, 2 or more")
    return int(text)


def serve(cases: Cases, warm: bool = True) -> int:
    """The side of one library: a line with a case's name comes in, its microseconds a call go out.

    ``warm``: run every case beforehand, also those that nobody will ask for. What is measured begins after a pause, in which
    the threads of the side before stop spinning on the other cores, and after one call more, which finds nothing in the caches.
    """
    for function, calls in cases.values() if warm else ():
        for _ in range(max(2, calls // 10)):
            function()
    for line in sys.stdin:
        function, calls = cases[line.strip()]
        time.sleep(PAUSE)
        if calls > 1:
            function()
        start = time.perf_counter()
        for _ in range(calls):
            function()
        print((time.perf_counter() - start) / calls * 1e6, flush=True)
    return 0


def beside_torch(file: str, doc: str, title: str, make: Callable[[Any], Cases], bounds: Bounds, control: str) -> int:
    """A whole benchmark of the cases that ``make(library)`` has, ingot beside PyTorch: ``bounds`` say how many times as fast
    each must be, and should be; ``control`` is PyTorch's case that tells whether the machine was quiet."""
    options = parser(doc).parse_args()
    if options.serve:
        return serve(make(import_module(options.serve)))
    found = rounds(file, {"torch": [*bounds], "ingot": [*bounds]}, options.rounds)
    ratios = {case: (f"torch {case}", f"ingot {case}", must, aim) for case, (must, aim) in bounds.items()}
    return report(title, found, ratios, f"torch {control}", options, versions("torch", "ingot", "numpy"))


def rounds(file: str, libraries: Mapping[str, list[str]], count: int) -> dict[str, list[float]]:
    """Ask each library (name → its cases) in turn, ``count`` times over: microseconds by "library case"."""
    sides = {
        name: subprocess.Popen(
            [sys.executable, file, "--serve", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in libraries
    }
    found: dict[str, list[float]] = {f"{name} {case}": [] for name, cases in libraries.items() for case in cases}
    longest = max(map(len, libraries.values()))
    order = [(name, case) for k in range(longest) for name in libraries for case in libraries[name][k : k + 1]]
    for k in range(count + 1):
        if sys.stderr.isatty():
            print(f"\rround {k} of {count}", end="", file=sys.stderr, flush=True)
        for name, case in order:
            side = sides[name]
            assert side.stdin is not None and side.stdout is not None
            side.stdin.write(case + "\n")
            side.stdin.flush()
            value = float(side.stdout.readline())
            if k:  # the first round warms up
                found[f"{name} {case}"].append(value)
    for side in sides.values():
        assert side.stdin is not None
        side.stdin.close()
        side.wait()
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


def versions(*libraries: str) -> dict[str, str]:
    """Which versions were measured; of those that are not installed, nothing."""
    found = {}
    for name in libraries:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


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
        print(f"  {name:<28} {s['median']:12.3f} µs   ({s['q1']:.3f} … {s['q3']:.3f})")
    for name, (peer, ours, must, aim) in ratios.items():
        if peer not in found:
            print(f"  {name:<28} left out: {peer!r} needs what is not installed here")
            continue
        s = summary([p / o for p, o in zip(found[peer], found[ours], strict=True)])
        met = "met" if s["median"] >= must else "not met"
        rows[name] = {**s, "must": must, "aim": aim, "met": s["median"] >= must, "aim_met": s["median"] >= aim}
        print(f"  {name:<28} {s['median']:12.2f} ×   ({s['q1']:.2f} … {s['q3']:.2f}; must {must}, aim {aim}: {met})")
    print(f"  control {control}: quartiles {noise:.1%} apart")
    if options.out is None:
        return 0
    if noise > LIMIT:
        print(f"the control spreads by more than {LIMIT:.0%}: the machine is not quiet, nothing is written", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    body = {"question": question, "machine": machine(), "control": {"case": control, "spread": noise}, "unit": "µs",
            "times": {k: summary(v) for k, v in found.items()}, "ratios": rows, **(extra or {})}  # fmt: skip
    options.out.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    return 0
