"""Runs the parts of ``.ci/run`` one by one: each with a limit in seconds, its time printed, failures summed up at the end.

    .venv/bin/python tools/ci/parts.py [--full] [NAME…]

A part with a ``share`` is elastic: it samples (its command takes ``{budget}``), and what time is left before the deadline
is divided among the elastic parts: a slow part costs samples. On a machine where even the least samples are too much,
the parts run all the same and the summary says by how much the deadline was missed. A part that does not end is killed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

DEADLINE = 24 * 60  # seconds from the start of .ci/run
LEAST = 15  # seconds that an elastic part samples for, however late it is
TOLD = 20  # lines of a failed part that are said again at the end: a log is often kept by its end only
AROUND, MOST_AROUND = 8, 120  # seconds beside its budget, usually and at most: imports, collection, the last test
PYTHON = sys.executable
TESTS = f"{PYTHON} -m pytest -q -p no:cacheprovider"
TESTS_IN_TWO = f"{TESTS} -n 2"
OPS = f"{TESTS} tests/device/test_ops.py --device"
FUZZ = "tests/device/test_compile_fuzz.py"
DEVICES = f"{TESTS_IN_TWO} tests/device --ignore tests/device/test_ops.py --ignore {FUZZ} --budget 45"
OTHERWISE = f"{DEVICES} --others 75"  # a device without a kept kernel compiles for half an hour
ELSE = "cpu otherwise"
JUDGE = (
    f"{PYTHON} -m ingot_tools conformance {{0}}:0 --budget {{{{budget}}}} --seed \"$INGOT_TEST_SEED\" "
    "--json build/conformance-{0}.json --html build/conformance-{0}.html"
)
TORCH = "torch==2.13.0"
CPU_BUILD = "import torch; assert torch.version.cuda is None, torch.__version__; print('PyTorch', torch.__version__)"


@dataclass(frozen=True)
class Part:
    """``seconds``: the limit, or for an elastic part the most that it samples. ``tests``: must end in "n passed".

    ``full``: only `.ci/full` runs it. ``turn``: of the parts with one turn the commit draws one, `.ci/full` runs them all.
    """

    name: str
    seconds: int
    command: str
    tests: bool = False
    share: float = 0.0
    full: bool = False
    turn: str = ""


PARTS = (
    Part("lint", 60, f"{PYTHON} -m ruff check ."),
    Part("types", 240, f"{PYTHON} -m mypy"),
    Part("house", 120, f"{TESTS} tests/test_house.py", tests=True),
    Part("core", 360, f"{TESTS_IN_TWO} tests/core", tests=True),
    Part("simulator", 420, f"{PYTHON} tools/ci/cuda_sim.py build"),  # of CUDA; builds pycuda where it is not kept
    Part("plugins", 300, f"{TESTS_IN_TWO} tests/plugin", tests=True),
    Part("devices", 400, f"{DEVICES} --device cpu:0", tests=True),
    Part("devices: opencl", 500, f"{OTHERWISE} --device opencl:0", tests=True, turn="devices otherwise"),
    Part("devices: sim", 400, f"{OTHERWISE} --device sim:0", tests=True, turn="devices otherwise"),
    Part("devices: webgpu", 400, f"{OTHERWISE} --device webgpu:0", tests=True, turn="devices otherwise"),
    Part("compile", 400, f"{TESTS_IN_TWO} {FUZZ}", tests=True),
    Part("wheels", 240, f"{PYTHON} tools/ci/wheels.py"),
    Part("conformance", 300, f"{TESTS_IN_TWO} tests/conformance", tests=True),
    Part("judge cpu", 90, JUDGE.format("cpu"), share=1.0),
    Part("ops compiled", 60, f"{OPS} cpu:0 --compile --budget {{budget}}", tests=True, share=0.5, turn=ELSE),
    Part("cpu by NumPy", 60, f"INGOT_CPU_LLVM=0 {OPS} cpu:0 --budget {{budget}}", tests=True, share=0.5, turn=ELSE),
    Part("cpu with SSE2", 60, f"INGOT_CPU_ISA=sse2 {OPS} cpu:0 --budget {{budget}}", tests=True, share=0.5, turn=ELSE),
    Part("judge opencl", 150, JUDGE.format("opencl"), share=1.5),
    Part("judge sim", 90, JUDGE.format("sim"), share=1.0),
    Part("ops on webgpu", 120, f"{OPS} webgpu:0 --budget {{budget}}", tests=True, share=1.0),
    Part("mutants", 90, f"{PYTHON} tools/ci/mutants.py --budget {{budget}}", share=0.7, full=True),
    Part("oclgrind", 150, f"{PYTHON} tools/ci/oclgrind.py --budget {{budget}}", share=1.5),
    Part("nvrtc", 120, f"{PYTHON} tools/ci/nvrtc.py --budget {{budget}}", share=1.0),
    Part("cuda simulated", 240, f"{PYTHON} tools/ci/cuda_sim.py --budget {{budget}}", share=2.0),
    # The last parts change the environment: a later `uv sync` takes PyTorch away again.
    Part("torch", 90, f"python3 -m pip --python {PYTHON} install --quiet {TORCH}"),
    Part("torch build", 30, f'{PYTHON} -c "{CPU_BUILD}"'),
    Part("parity", 180, f"{TESTS_IN_TWO} -m torch tests/parity", tests=True),
)


@dataclass
class Outcome:
    """How a part ended; ``note`` is its last line, or why it failed, ``said`` its last lines."""

    part: Part
    failed: bool
    seconds: float
    note: str
    said: Sequence[str] = field(default=(), repr=False)


def main() -> int:
    """Run the parts that were asked for; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="no sampling and no limits")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these parts")
    given = parser.parse_args()
    chosen = [p for p in PARTS if p.name in given.names] if given.names else list(PARTS) if given.full else drawn(PARTS)
    if not chosen:
        parser.error(f"no part has that name; there are: {', '.join(p.name for p in PARTS)}")
    end = float(os.environ.get("INGOT_CI_START", time.time())) + DEADLINE
    outcomes = []
    for k, part in enumerate(chosen):
        later = chosen[k + 1 :]
        outcomes.append(run_full(part) if given.full else run(part, later, end))
        print(f"== {part.name}: {'FAILED, ' if outcomes[-1].failed else ''}{outcomes[-1].seconds:.0f} s", flush=True)
    if not given.full and time.time() > end:
        print(f"\n{time.time() - end:.0f} s beyond the deadline: this machine is slow, or busy")
    return summary(outcomes)


def drawn(parts: Sequence[Part]) -> list[Part]:
    """The parts of `.ci/run`: none of those for the full checks, and one of each turn, which the commit draws."""
    salt = os.environ.get("INGOT_TEST_SEED", "")
    turns: dict[str, list[Part]] = {}
    for part in parts:
        if part.turn:
            turns.setdefault(part.turn, []).append(part)
    winners = {t: min(p, key=lambda one: hashlib.sha256((salt + one.name).encode()).digest()) for t, p in turns.items()}
    chosen = [p for p in parts if not p.full and winners.get(p.turn, p) is p]
    print("left to other commits and to .ci/full: " + ", ".join(p.name for p in parts if p not in chosen), flush=True)
    return chosen


def run(part: Part, later: Sequence[Part], end: float) -> Outcome:
    """Run ``part`` within its limit, or within its share of what the deadline leaves."""
    left = end - time.time()
    if not part.share:
        return finish(part, part.command, part.seconds)
    elastic = [part, *(p for p in later if p.share)]
    reserved = sum(p.seconds for p in later if not p.share) / 2 + AROUND * len(elastic)  # a limit is twice what is usual
    fair = (left - reserved) * part.share / sum(p.share for p in elastic)
    budget = int(min(part.seconds, max(fair, LEAST)))
    return finish(part, part.command.format(budget=budget), budget + MOST_AROUND)


def run_full(part: Part) -> Outcome:
    """Run all of ``part``."""
    command = part.command.replace("--budget {budget}", "--full")
    return finish(part, command, None)


def finish(part: Part, command: str, limit: float | None) -> Outcome:
    """Run ``command`` in a process group of its own, show what it prints, kill the group at the limit."""
    bound = f"  (at most {limit:.0f} s)" if limit else ""
    print(f"\n== {part.name}: {command.replace(PYTHON, 'python')}{bound}", flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    lines: deque[str] = deque([""], maxlen=TOLD)
    reader = threading.Thread(target=show, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Outcome(part, True, time.monotonic() - start, f"did not end within {limit:.0f} s", tuple(lines))
    finally:
        reader.join(5)  # a grandchild may still hold the pipe
    seconds, last = time.monotonic() - start, lines[-1]
    if code == 0 and part.tests and not re.search(r"\b[1-9]\d* passed", last):
        return Outcome(part, True, seconds, f"no test passed: {last!r}", tuple(lines))
    note = last if code == 0 or part.tests else f"exit status {code}: {last}"
    return Outcome(part, code != 0, seconds, note, tuple(lines))


def show(stream: IO[str], lines: deque[str]) -> None:
    """Print ``stream`` as it comes; ``lines`` keeps the last lines that say something."""
    for line in stream:
        print(line, end="", flush=True)
        if line.strip():
            lines.append(line.strip())


def summary(outcomes: Sequence[Outcome]) -> int:
    """Print the table, what the failed parts said last, and give the exit status."""
    print("\n== summary")
    for o in outcomes:
        print(f"{'FAILED' if o.failed else 'ok':7}{o.part.name:15}{o.seconds:6.0f} s  {o.note}")
    failed = [o.part.name for o in outcomes if o.failed]
    end = f"failed: {', '.join(failed)}" if failed else "all passed"
    print(f"total  {sum(o.seconds for o in outcomes):21.0f} s  {end}")
    for o in outcomes:
        if o.failed:
            print(f"\n== {o.part.name} said last:\n" + "\n".join(o.said))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
