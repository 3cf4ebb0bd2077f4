"""The simulated CUDA driver: does it do what CUDA does, and does it find what is wrong? No GPU is involved.

Each file of checks runs in one child process (a driver is chosen once in a process). The driver is not built here, which takes
minutes: where it is not there, the tests are skipped with the command that builds it. CI runs that before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cuda_sim.build import BuildFailed, Built, build
from cuda_sim.planted import ROWS
from cuda_sim.right import CHECKS

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built() -> Built:
    try:
        return build(may_make="CI" in os.environ)
    except BuildFailed as error:
        if "CI" in os.environ:
            pytest.fail(str(error))
        pytest.skip(str(error))


def child(*command: str, **settings: str) -> tuple[str, str]:
    """What Python prints, and what it says to standard error."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), **settings}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module", params=["forward", "reversed", "7"])
def planted(request: pytest.FixtureRequest, built: Built) -> Any:
    return json.loads(child("-m", "cuda_sim.planted", INGOT_CUDA_SIM_ORDER=request.param)[0])


@pytest.fixture(scope="module", params=["forward", "reversed", "7"])
def right(request: pytest.FixtureRequest, built: Built) -> Any:
    return json.loads(child("-m", "cuda_sim.right", INGOT_CUDA_SIM_ORDER=request.param)[0])


@pytest.mark.parametrize("name", ROWS)
def test_planted_bug_is_found_by_name(planted: Any, name: str) -> None:
    good, wrong = planted[name]
    assert not good, "the right twin has a finding"
    assert any(re.search(ROWS[name][0], finding) for finding in wrong), wrong


@pytest.mark.parametrize("name", CHECKS)
def test_right_program_gets_its_answer(right: Any, name: str) -> None:
    assert right[name] is True


def test_device_says_that_it_is_simulated(right: Any) -> None:
    assert "SIMULATED" in right["device"]


UNCHECKED = """
import numpy as np
from cuda_sim.machine import Machine
m = Machine()
source = '''
extern "C" __global__ void k(float *x) { __shared__ float s[64]; int t = threadIdx.x; s[t] = x[t]; x[t] = s[63 - t]; }
'''
x = m.put(np.arange(64, dtype=np.float32))
m.kernel(source)(x, block=(64, 1, 1), grid=(1, 1))
print(m.get(x, np.zeros(64, np.float32)).tolist())
beyond = m.kernel('extern "C" __global__ void k(float *x) { x[threadIdx.x] = 1; }')
print(m.found(lambda: beyond(m.drv.mem_alloc(4 * 100), block=(128, 1, 1), grid=(1, 1))))
print(m.found(lambda: beyond(m.drv.mem_alloc(4 * 100), block=(1024, 1, 1), grid=(1, 1))))
m.close()
"""


def test_without_checks_two_orders_differ_and_guards_hold(built: Built) -> None:
    unchecked = {"INGOT_CUDA_SIM_CHECK": "none"}
    forward, back = (
        child("-c", UNCHECKED, **unchecked, INGOT_CUDA_SIM_ORDER=order)[0].splitlines() for order in ("forward", "reversed")
    )
    assert forward[0] != back[0], "a missing barrier shows as a difference between the orders"
    for lines in (forward, back):
        assert "write beyond the end: the guard behind the allocation of 400 bytes" in lines[1]
        assert "illegal address" in lines[2] and "after the end of the allocation of 400 bytes" in lines[2]


NO_DEVICE = """
import sys
from cuda_sim.use import environment
import pycuda.driver as drv
try:
    drv.init()
except drv.Error as error:
    print(error)
"""


def test_a_driver_without_a_device(built: Built) -> None:
    library = {"LD_LIBRARY_PATH": str(built.stub), "PYTHONPATH": f"{HERE}{os.pathsep}{built.site}"}
    assert "no CUDA-capable device is detected" in child("-c", NO_DEVICE, **library)[0]
    assert "no CUDA-capable device is detected" in child(
        "-c", "from cuda_sim.use import activate; activate()\n" + NO_DEVICE, INGOT_CUDA_SIM_DEVICES="0"
    )[0]  # fmt: skip


def test_listing_says_simulated(built: Built) -> None:
    from cuda_sim.use import environment

    given = environment(built)
    out = child("-m", "ingot_tools", "devices", **{**given, "PYTHONPATH": str(built.site)})[0]
    assert "SIMULATED CUDA device" in out
