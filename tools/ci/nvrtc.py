"""Compiles the kernels that the op tests can produce with NVRTC, for every architecture, on a machine without a GPU.

    .venv/bin/python tools/ci/nvrtc.py [--budget SECONDS | --full] [--keep FOLDER]

Two steps. *Collect*: the op tests run on a pretend GPU that renders and keeps kernels, computes nothing and is believed
whatever it returns; a quarter of the budget. *Compile*: each distinct source for each architecture, in an order drawn
from the commit, by one process a core, many to a call of the compiler (most of a call is its start). A source that NVRTC
refuses is a failure, and is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
BATCH = 24
TESTS = Path(__file__).parents[2] / "tests"


# ---- collect ---------------------------------------------------------------------------------------------------------
def collect(seconds: float, seed: str) -> tuple[dict[str, str], Counter[str]]:
    """Source → kernel name of what the op tests build within ``seconds``, and how the cases ended."""
    sys.path.insert(0, str(TESTS / "plugin"))
    from cuda_pretend import PretendGPU
    from ingot_devices import discovery
    from ingot_tools.conformance.harness import compare, suite
    from ingot_tools.conformance.harness.subject import Refused, opened
    from ingot_tools.conformance.records import RECORDS

    device = PretendGPU()
    discovery._opened[device.name] = device  # it has no plugin: nobody else shall find it
    judges = ((compare, "close"), (compare, "verified"), (np.testing, "assert_array_equal"), (np.testing, "assert_allclose"))
    for module, name in judges:
        setattr(module, name, _believe)
    subject = opened(device.name)
    cases = [*suite.each_case(list(RECORDS.values()))]
    random.Random(seed).shuffle(cases)
    ended: Counter[str] = Counter(cases=len(cases))
    end = time.monotonic() + seconds
    os.environ.setdefault("INGOT_FALLBACK", "allow")
    for case in cases:
        if time.monotonic() > end:
            break
        try:
            suite.run_case(subject, *case)
            ended["through"] += 1
        except Refused:
            ended["skipped"] += 1
        except Exception:  # zeros are no answer: a check that looks closer ends here, and its kernels were built
            ended["stopped"] += 1
    del discovery._opened[device.name]
    return device.sources, ended


def _believe(*args: Any, **kwargs: Any) -> None:
    """Instead of a comparison: the pretend device's answers are zeros."""


# ---- compile ---------------------------------------------------------------------------------------------------------
Batch = tuple[str, list[tuple[str, str]]]  # an architecture; sources and kernel names


def together(kernels: Sequence[tuple[str, str]]) -> str:
    """One source with all ``kernels``, each in a namespace and with a number behind its name."""
    renamed = [re.sub(rf"\b{name}\b", f"{name}_{k}", source) for k, (source, name) in enumerate(kernels)]
    return "\n".join(f"namespace k{k} {{\n{source}}}" for k, source in enumerate(renamed))


def refused(batch: Batch) -> list[tuple[str, str, str]]:
    """The sources of ``batch`` that NVRTC refuses: (architecture, why, source). Alone, if it refuses them together."""
    from ingot_cuda.compiler import compile_source
    from ingot_devices.errors import KernelBuildError

    architecture, kernels = batch
    source, names = (together(kernels), [f"{name}_{k}" for k, (_, name) in enumerate(kernels)])
    if len(kernels) == 1:
        source, names = kernels[0][0], [kernels[0][1]]
    try:
        cubin = compile_source(source, names[0], architecture)
    except KernelBuildError as error:
        if len(kernels) == 1:
            return [(architecture, f"{error}\n{error.log}", source)]
        return [found for one in kernels for found in refused((architecture, [one]))]
    missing = [n for n in names if n.encode() not in cubin]
    return [(architecture, f"what came out has no kernel {missing}", source)] if missing or cubin[:4] != b"\x7fELF" else []


def batches(sources: dict[str, str], seed: str) -> Iterator[Batch]:
    """Every source for one architecture, in a drawn order and with the architectures taking turns; then for the next."""
    ordered = sorted(sources.items(), key=lambda item: hashlib.sha256((seed + item[0]).encode()).digest())
    parts = [ordered[k : k + BATCH] for k in range(0, len(ordered), BATCH)]
    for turn in range(len(ARCHITECTURES)):
        for k, part in enumerate(parts):
            yield ARCHITECTURES[(k + turn) % len(ARCHITECTURES)], part


def compile_all(sources: dict[str, str], seed: str, seconds: float) -> tuple[Counter[str], list[tuple[str, str, str]]]:
    """How many were compiled for each architecture within ``seconds``, and those refused (see `refused`)."""
    done: Counter[str] = Counter()
    faults: list[tuple[str, str, str]] = []
    end, cores = time.monotonic() + seconds, os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        running: dict[Future[list[tuple[str, str, str]]], Batch] = {}
        for number, batch in enumerate(batches(sources, seed)):
            if time.monotonic() > end and number >= len(ARCHITECTURES):
                break
            running[pool.submit(refused, batch)] = batch
            if len(running) > 2 * cores:
                _take(running, done, faults, FIRST_COMPLETED)
        _take(running, done, faults, ALL_COMPLETED)
    return done, faults


def _take(running: dict[Any, Batch], done: Counter[str], faults: list[tuple[str, str, str]], when: str) -> None:
    for ready in wait(list(running), return_when=when).done:
        architecture, kernels = running.pop(ready)
        done[architecture] += len(kernels)
        faults += ready.result()


def main() -> int:
    """1 if a kernel was refused, or if there was none."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--budget", type=float, default=120, help="seconds for both steps")
    parser.add_argument("--full", action="store_true", help="every kernel, however long it takes")
    parser.add_argument("--keep", type=Path, help="write the sources there")
    given = parser.parse_args()
    seconds = 1e9 if given.full else given.budget
    seed = os.environ.get("INGOT_TEST_SEED", "0")
    start = time.monotonic()
    sources, ended = collect(seconds / 4, seed)
    ran = ended["through"] + ended["stopped"] + ended["skipped"]
    print(f"collected {len(sources)} kernels from {ran} of {ended['cases']} op tests in {time.monotonic() - start:.0f} s "
          f"({ended['stopped']} of them stopped early at an answer of zeros)", flush=True)  # fmt: skip
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        for source, name in sources.items():
            (given.keep / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:10]}.cu").write_text(source)
    done, faults = compile_all(sources, seed, seconds - (time.monotonic() - start))
    for architecture, why, source in faults[:5]:
        print(f"---- {architecture}: {why}\n{source}")
    counts = ", ".join(f"{a} {done[a]} of {len(sources)}" for a in ARCHITECTURES)
    print(f"nvrtc: {sum(done.values())} compilations ({counts}) of {len(sources)} kernels, {len(faults)} refused")
    return 1 if faults or not done else 0


if __name__ == "__main__":
    sys.exit(main())
