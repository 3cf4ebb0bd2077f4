"""Random programs, eager and compiled beside each other (`fuzzing`), and the faults that they must find (`faults_of_compile`).

A fixed number of programs, drawn from the commit (``INGOT_TEST_SEED``), or what there is time for on a slow device;
``INGOT_FUZZ=5000`` runs as many on demand. `FIXED` are run for every commit; one that is found goes there.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

import fuzzing
import planted_compiler
import pytest
from faults_of_compile import FAULTS, Plant

PROGRAMS = {"cpu": (300, 100.0)}
"""By kind of device: how many programs, and seconds for them at most."""
OTHERWISE = 24, 40.0
"""On a device that is slower to compile for or that interprets."""
FIXED = (0, 1, 2, 9, 2012, 991290)
TRIES = 150


def first(commit: str) -> int:
    return int.from_bytes(hashlib.sha256(commit.encode()).digest()[:6], "little")


def test_random_programs(t: Any, device: str, commit: str) -> None:
    asked = os.environ.get("INGOT_FUZZ")
    count, seconds = PROGRAMS.get(device.split(":", maxsplit=1)[0], OTHERWISE)
    count = int(asked) if asked else count
    end = float("inf") if asked else time.monotonic() + seconds
    start, ran, replayed = first(commit), 0, 0
    while ran < count and time.monotonic() < end:
        replayed += fuzzing.run(t, device, start + ran)
        ran += 1
    print(f"{device}: {ran} of {count} programs from {start} on, {replayed} of them replayed")
    assert replayed > ran * 0.7


def test_the_same_programs_each_time(t: Any, device: str) -> None:
    for number in FIXED:
        fuzzing.run(t, device, number)


@pytest.mark.parametrize("plant", FAULTS, ids=[f.__name__ for f in FAULTS])
def test_planted_faults_are_found(plant: Plant) -> None:
    found = planted_compiler.find(plant.__name__, TRIES)
    assert found != "none", f"{plant.__doc__} No program of {TRIES} found it"


def test_without_a_fault_nothing_is_found() -> None:
    assert planted_compiler.find("nothing", 3) == "none"
