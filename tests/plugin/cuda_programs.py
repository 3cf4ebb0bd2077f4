"""Programs that use the CUDA plugin on the simulated driver, each in a process of its own: SIMULATED, no GPU is involved.

A simulated driver (and a context that a test loses on purpose) must not stay in the process that runs other tests.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
HEAD = """
import gc, json, os, sys, threading
import numpy as np
import ingot
from ingot_devices import discovery, errors
from ingot_devices.device import Arguments, Binding
found = {}
def opened(name="cuda:0"):
    return discovery.open_device(name)
def message(error, call):
    try:
        call()
    except error as raised:
        return str(raised)
    return "nothing was raised"
"""
TAIL = "\nprint('FOUND' + json.dumps(found))\n"


@functools.cache
def simulated() -> dict[str, str]:
    """The environment of the simulated driver, built when it is first needed; a skip that says why where it cannot be."""
    from cuda_sim.build import BuildFailed, build
    from cuda_sim.use import environment

    try:
        return environment(build())
    except (BuildFailed, OSError) as error:
        pytest.skip(f"the simulated CUDA driver cannot be built: {error}")


def run(text: str, cache: Path, **environment: str) -> dict[str, Any]:
    """What the program put into ``found``. It must end well, and pycuda must not have complained."""
    program = HEAD + textwrap.dedent(text) + TAIL
    given = {**os.environ, **simulated(), "INGOT_CACHE_DIR": str(cache), **environment}
    done = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, text=True, timeout=300, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    assert done.returncode == 0 and lines, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "PyCUDA" not in done.stderr, done.stderr
    made: dict[str, Any] = json.loads(lines[-1].removeprefix("FOUND"))
    return made


def library(folder: Path, source: str = "cuda_blas.c") -> Path:
    """A stand-in for one of NVIDIA's libraries over the simulated driver's memory, which it cannot do without."""
    simulated()
    made = folder / f"{source.removesuffix('.c')}-stand-in.so"
    command = ["g++", "-x", "c", "-w", "-O2", "-shared", "-fPIC", "-o", str(made), str(HERE / source), "-lm", "-ldl"]
    subprocess.run(command, check=True)
    return made
