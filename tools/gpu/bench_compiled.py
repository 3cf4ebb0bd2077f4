"""Measures compiled programs beside PyTorch's: eager, `torch.compile`, and its mode "reduce-overhead".

    bench_compiled.py [--small] [--seconds 150] --out FILE [CASE …]

The cases: the README's training step (`mlp`), a chain of eight pointwise ops on 64M floats (`chain`), and training steps of
ResNet-18 and of a GPT-2 small (`steps`). Each runs in a process of its own, which hands over each form (a library and how it
compiles) as soon as it is measured: one that hangs, crashes or needs too long costs itself alone, and its text stands in the
JSON. A form's figures: the device's events around many calls, and this process's clock from the first call to the drained
device, medians; `host` is the clock until the last call returned.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ingot
from sides import Call, Side, sides
from steps import STEPS

MODES: dict[str, str | None] = {"eager": None, "compile": "default", "reduce-overhead": "reduce-overhead"}
LIMITS = {"mlp": 60, "chain": 45, "resnet18": 75, "gpt2": 90}  # at most; a case also leaves the others their shares
SHARE = 22  # seconds: both libraries eagerly
WARM = 5  # calls before the first that counts: recordings, and graphs of the addresses that come up
CALLS = {"mlp": 200, "chain": 5, "resnet18": 2, "gpt2": 2}
TARGETS = (  # case, the other form, how many times as fast ingot's best compiled form must be
    ("mlp", "torch eager", 5.0), ("mlp", "torch reduce-overhead", 1.5),
    ("chain", "torch eager", 3.0), ("chain", "torch compile", 1.0),
    ("resnet18", "torch best", 1.0), ("gpt2", "torch best", 1.0),
)  # fmt: skip


# ---- in the process of a case ------------------------------------------------------------------------------------------
def forms(case: str, small: bool) -> Iterator[tuple[str, Side, Callable[[], tuple[Call, Any]]]]:
    """Name, library, and what builds the call (and what can explain it), the cheapest to build first."""
    for mode, given in MODES.items():
        for side in sides():
            yield f"{side.name} {mode}", side, partial(build, case, side.t, given, small)


def build(case: str, t: Any, mode: str | None, small: bool) -> tuple[Call, Any]:
    """The call of a case, compiled in ``mode``."""
    options = {} if mode in (None, "default") else {"mode": mode}

    def wrap(call: Callable[..., Any]) -> Any:
        return call if mode is None else t.compile(call, **options)

    if case == "chain":
        made = wrap(chain(t))
        x = t.randn(1 << (12 if small else 26), device="cuda")
        return lambda: made(x), made
    loss, optimizer = STEPS[case](t, small)
    inner = wrap(loss) if t is not ingot else loss

    def step() -> None:
        optimizer.zero_grad()
        inner().backward()
        optimizer.step()

    made = wrap(step) if t is ingot else step
    return made, made


def chain(t: Any) -> Callable[[Any], Any]:
    """Eight pointwise ops."""

    def call(x: Any) -> Any:
        return t.tanh(t.exp(-t.abs(x * 0.5 + 1.0)) * x) + 2.0

    return call


def measure(side: Side, call: Call, calls: int, rounds: int) -> dict[str, float]:
    """Milliseconds of one call: medians over rounds of ``calls``."""
    found: dict[str, list[float]] = {"ms": [], "wall": [], "host": []}
    for _ in range(rounds):
        side.t.cuda.synchronize()
        found["ms"].append(side.milliseconds(call, calls))
        side.t.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found["host"].append((time.perf_counter() - start) / calls * 1e3)
        side.t.cuda.synchronize()
        found["wall"].append((time.perf_counter() - start) / calls * 1e3)
    return {name: statistics.median(values) for name, values in found.items()}


def measured(case: str, small: bool, side: Side, make: Callable[[], tuple[Call, Any]]) -> dict[str, Any]:
    """What one form takes, or why it does not run. What it was built of is let go on return."""
    try:
        start = time.perf_counter()
        call, made = make()
        for _ in range(WARM):
            call()
        side.t.cuda.synchronize()
        said: dict[str, Any] = {"warm-up s": round(time.perf_counter() - start, 2)}
        said |= measure(side, call, 1 if small else CALLS[case], 1 if small else 7)
        if hasattr(made, "explain"):
            said["explain"] = made.explain().splitlines()
        return said
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:600]}", "at": traceback.format_exc()[-600:]}


def serve(case: str, small: bool) -> int:
    """Measure a case's forms; a line of JSON for each."""
    for name, side, make in forms(case, small):
        print(json.dumps({"form": name, **measured(case, small, side, make)}), flush=True)
    return 0


# ---- outside -----------------------------------------------------------------------------------------------------------
def ask(case: str, small: bool, limit: float) -> dict[str, Any]:
    """The forms of a case, measured in a process that may take ``limit`` seconds."""
    command = [sys.executable, __file__, "--serve", case, *(["--small"] if small else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    found: dict[str, Any] = {}
    try:
        out, errors = process.communicate(timeout=limit)
        note = "" if process.returncode == 0 else f"exit status {process.returncode}: {errors[-600:]}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
        note = f"did not end within {limit:.0f} s: {errors[-300:]}"
    for line in out.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            found[said.pop("form")] = said
    return {"forms": found, "note": note}


def rows(asked: Mapping[str, Any]) -> dict[str, Any]:
    """One row for each target that can be told: ingot's best compiled form beside the other."""
    made = {}
    for case, other, must in TARGETS:
        found = {name: f for name, f in asked.get(case, {}).get("forms", {}).items() if "wall" in f}
        mine = best(found, "ingot ", "eager")
        theirs = best(found, "torch ") if other == "torch best" else found.get(other)
        if mine is None:
            continue
        row: dict[str, Any] = {"ingot": {"ms": mine["wall"]}, "must": must}
        if theirs is not None:
            row |= {"torch": {"ms": theirs["wall"]}, "ratio": theirs["wall"] / mine["wall"]}
            row["met"] = row["ratio"] >= must
        made[f"{case} beside {other}"] = row
    return made


def best(found: Mapping[str, Any], library: str, without: str = "never") -> Any:
    """The fastest form of a library."""
    times = [f for name, f in found.items() if name.startswith(library) and not name.endswith(without)]
    return min(times, key=lambda f: f["wall"], default=None)


def main() -> int:
    """Ask for each case in turn; what was measured is written after each. 1 if a form of ingot's failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(LIMITS)}; all of them if none is named")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seconds", type=float, default=150.0, help="for all cases together")
    parser.add_argument("--serve", choices=LIMITS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(given.serve, given.small)
    asked: dict[str, Any] = {}
    end = time.monotonic() + given.seconds
    cases = list(given.cases or LIMITS)
    for k, case in enumerate(cases):
        left = end - time.monotonic() - SHARE * (len(cases) - k - 1)
        asked[case] = ask(case, given.small, min(LIMITS[case], left)) if left > 5 else {"note": "no time was left"}
        report(case, asked[case])
        if given.out:
            given.out.write_text(json.dumps({"cases": asked, "results": rows(asked)}, indent=1))
    print(json.dumps(rows(asked), indent=1))
    faults = [name for one in asked.values() for name, f in one.get("forms", {}).items() if "error" in f]
    return int(any(name.startswith("ingot") for name in faults))


def report(case: str, asked: Mapping[str, Any]) -> None:
    """A case's forms as a table."""
    print(f"-- {case} {asked['note']}")
    for name, f in asked.get("forms", {}).items():
        if "error" in f:
            print(f"{name:<26} {f['error'][:200]}\n{f['at']}")
        else:
            print(f"{name:<26} {f['ms']:10.4f} ms by events {f['wall']:10.4f} by the clock {f['host']:10.4f} on the host, "
                  f"warm-up {f['warm-up s']} s")  # fmt: skip
        for line in f.get("explain", []):
            if "replay" in line or "kernels" in line or "eagerly" in line:
                print(f"    {line.strip()}")


if __name__ == "__main__":
    sys.exit(main())
