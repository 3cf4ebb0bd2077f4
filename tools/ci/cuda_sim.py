"""Runs the device suite on a simulated CUDA driver. SIMULATED: no GPU is involved, and nothing is tested on CUDA by it.

    .venv/bin/python tools/ci/cuda_sim.py                    the device suite, threads in forward and in reversed order
    .venv/bin/python tools/ci/cuda_sim.py --budget SECONDS   a sample of it, and of mutants, in that time; --full: all of it
    .venv/bin/python tools/ci/cuda_sim.py mutants            mutants of rendered kernels: a sample (--sample N), or --full
    .venv/bin/python tools/ci/cuda_sim.py build              only build what is missing (pycuda, the driver), and print where
    .venv/bin/python tools/ci/cuda_sim.py env                the same, and print the environment for another program

What the simulator is, finds and misses: tests/plugin/cuda_sim/README.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIMULATOR = ROOT / "tests" / "plugin"
sys.path.insert(0, str(SIMULATOR))

from cuda_sim.build import BuildFailed, build  # noqa: E402 - the package lies with the tests
from cuda_sim.collected import compile_folder  # noqa: E402
from cuda_sim.use import environment  # noqa: E402

ORDERS = ("forward", "reversed")
OPS, FUNCTIONS, ALL = "tests/device/test_ops.py", "tests/device/test_functions.py", "tests/device"
BUDGET = 300.0
PERCENT = re.compile(r"\[ *(\d+)%\]")  # at the end of a line of pytest
COUNTED = re.compile(r"(\d+) (?:passed|failed)")  # in its closing line
COLLECT, MUTANTS = 0.1, 0.25  # shares of a budget


def pytest(tests: Sequence[str], sample: list[str], said: Path, **settings: str) -> subprocess.Popen[bytes]:
    """The suite on the simulated driver, in a process of its own, which writes to ``said``."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *tests, "--device", "cuda",
               "--cuda-driver", "simulated", *sample]  # fmt: skip
    given = {**os.environ, "INGOT_REQUIRE": "cuda", **settings}
    with said.open("wb") as out:
        return subprocess.Popen(command, cwd=ROOT, env=given, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)


def follow(runs: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """Wait for ``runs``, and say now and then how far each is."""
    shown, moment = "", 0.0
    while any(run.poll() is None for run in runs.values()):
        time.sleep(1)
        parts = [f"{name} {(PERCENT.findall((folder / name).read_text(errors='replace')) or ['0'])[-1]} %" for name in runs]
        text = "SIMULATED CUDA: " + ", ".join(parts)
        if text != shown and time.monotonic() > moment:
            shown, moment = text, time.monotonic() + (1 if sys.stdout.isatty() else 60)
            print(f"\r{text}", end="", flush=True) if sys.stdout.isatty() else print(text, flush=True)
    if sys.stdout.isatty():
        print()


def last(text: str) -> str:
    """pytest's closing line."""
    return text.strip().splitlines()[-1] if text.strip() else "nothing was said"


def suite(budget: float | None) -> bool:
    """Collect the kernels, compile them together, run the tests in both orders at once; True if all passed."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        collected = Path(folder, "collected")
        collected.mkdir()
        cache = str(Path(folder, "cache"))
        sample = ["--full"] if budget is None else ["--budget", str(budget * COLLECT)]
        gather = {"INGOT_CACHE_DIR": str(Path(folder, "none")), "INGOT_CUDA_SIM_GATHER": str(collected)}
        collecting = pytest([OPS] if budget else [OPS, FUNCTIONS], sample, Path(folder, "collecting"), **gather)
        follow({"collecting": collecting}, Path(folder))
        said = Path(folder, "collecting").read_text(errors="replace")
        count, spent = compile_folder(collected, os.cpu_count() or 1), time.monotonic() - start
        ran = sum(map(int, COUNTED.findall(last(said))))  # nothing is launched: that some tests say so is no failure
        print(f"SIMULATED CUDA: {count} kernels of {ran} op tests collected and compiled in {spent:.0f} s", flush=True)
        if budget is not None:
            sample = ["--budget", str(max(15.0, budget * (1 - MUTANTS) - (time.monotonic() - start)))]
        tests = ALL if budget is None else OPS
        runs = {
            o: pytest([tests], sample, Path(folder, o), INGOT_CUDA_SIM_ORDER=o, INGOT_CACHE_DIR=cache) for o in ORDERS
        }
        follow(runs, Path(folder))
        good = count > 0
        for order, run in runs.items():
            said = Path(folder, order).read_text(errors="replace")
            shown = said[said.find("= FAILURES") if run.returncode else said.find("= SIMULATED") :]
            print(f"== SIMULATED CUDA, threads in {order} order\n{shown}", flush=True)
            good &= run.returncode == 0 and re.search(r"\b[1-9]\d* passed", last(said)) is not None
    return good


def mutants(sample: int | None, seed: str, seconds: float | None = None) -> bool:
    """Try mutants; True if enough of them were killed."""
    from cuda_sim.mutants import report, run

    text, enough = report(list(run(sample, seed, seconds)))
    print(text, flush=True)
    return enough


def main() -> int:
    """0 when all that was asked for went well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="?", choices=("run", "mutants", "build", "env"), default="run")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for the tests and a sample of mutants")
    parser.add_argument("--full", action="store_true", help="every test, or every mutant, however long it takes")
    parser.add_argument("--sample", type=int, default=120, help="how many mutants")
    given = parser.parse_args()
    start, seed = time.monotonic(), os.environ.get("INGOT_TEST_SEED", "0")
    try:
        built = build(lambda line: print(line, file=sys.stderr, flush=True))
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    if given.what == "env":
        print("\n".join(f"export {k}='{v}'" for k, v in environment(built).items()))
    elif given.what == "build":
        print(built.driver)
    elif given.what == "mutants":
        return 0 if mutants(None if given.full else given.sample, seed) else 1
    elif given.full:
        return 0 if suite(None) else 1
    else:
        good = suite(given.budget)
        left = max(given.budget - (time.monotonic() - start), given.budget * MUTANTS / 2)
        return 0 if mutants(int(left), seed, left) and good else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
