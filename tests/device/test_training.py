"""Whole trainings: every device goes the same way, learns the digits, and needs no host.

The problems are the demo's own. What one device trained is kept and compared with the others; `test_example_program`
runs a user's program, `test_resume` interrupts one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import ingot
import ingot_devices
import numpy as np
import pytest
from ingot_tools import demo_train
from ingot_tools.demo_data import Problem, digits, regression
from ingot_tools.demo_train import Result

SEEDS = (0, 1, 2)
REACHED = 0.965  # test accuracy on the digits
APART = 5  # test samples by which two devices may differ
STEPS = 20


# ---- the first steps -----------------------------------------------------------------------------
@cache
def first_steps(device: str, name: str) -> np.ndarray[Any, Any]:
    """All parameters after `STEPS` steps, one behind the other, in float64."""
    problem = regression(0, 1) if name == "regression" else digits(1)
    ingot.manual_seed(7)
    loader = problem.loader()
    model = problem.model().to(device)
    optimizer = ingot.optim.AdamW(model.parameters(), lr=problem.rate)
    for _, (x, y) in zip(range(STEPS), loader, strict=False):
        optimizer.zero_grad()
        problem.loss(model(x.to(device)), y.to(device)).backward()
        optimizer.step()
    flat = [np.asarray(p.detach().tolist(), np.float64).ravel() for p in model.parameters()]
    return np.concatenate(flat)


@pytest.mark.parametrize("name", ["regression", "digits"])
def test_devices_go_the_same_way(device: str, name: str) -> None:
    others = [other for other in ingot_devices.ready() if other != device]
    if not others:
        pytest.skip("needs two devices")
    here, there = first_steps(device, name), first_steps(_reference(device), name)
    assert np.linalg.norm(here - there) <= 1e-4 * np.linalg.norm(there)


def _reference(device: str) -> str:
    """The device that all are compared with; that one itself, with another."""
    names = sorted({name.partition(":")[0]: name for name in reversed(ingot_devices.ready())}.values())
    return names[1] if device == names[0] else names[0]


# ---- the digits ----------------------------------------------------------------------------------
@cache
def whole(device: str, seed: int) -> Result:
    """The demo's whole classifier, without its limit of time."""
    limit, demo_train.LIMIT = demo_train.LIMIT, float("inf")
    try:
        return demo_train.train(digits(), device, seed)
    finally:
        demo_train.LIMIT = limit


def _fast(device: str) -> None:
    if not ingot_devices.is_available(device):
        pytest.skip(f"{device} is not available; `ingot devices` says why")


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["cpu:0", "opencl:0"])
def test_digits_are_learned(name: str, seed: int) -> None:
    _fast(name)
    result = whole(name, seed)
    assert result.steps == result.total == 880
    assert result.accuracy is not None
    assert result.accuracy >= REACHED, f"{result.correct} of {result.tested}"
    assert result.launches.get("host", 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_two_devices_learn_the_digits_alike(seed: int) -> None:
    _fast("cpu:0")
    _fast("opencl:0")
    here, there = whole("cpu:0", seed), whole("opencl:0", seed)
    assert here.correct is not None
    assert there.correct is not None
    assert abs(here.correct - there.correct) <= APART


# ---- no host -------------------------------------------------------------------------------------
def test_no_step_of_a_training_runs_on_the_host(device: str) -> None:
    problem: Problem = digits(1)
    before = ingot.dispatch.launch_counts(device)
    with ingot.fallback("error"):
        ingot.manual_seed(0)
        model = problem.model().to(device)
        optimizer = ingot.optim.AdamW(model.parameters(), lr=problem.rate)
        x, y = next(iter(problem.loader()))
        for _ in range(2):
            optimizer.zero_grad()
            problem.loss(model(x.to(device)), y.to(device)).backward()
            optimizer.step()
    after = ingot.dispatch.launch_counts(device)
    assert after.get("host", 0) == before.get("host", 0)
    assert sum(after.values()) > sum(before.values())


# ---- without the CPU plugin ------------------------------------------------------------------------
WITHOUT_CPU = """
import ingot, ingot_devices
from ingot import nn
from ingot.utils.data import DataLoader, TensorDataset
assert not ingot.cpu.is_available()
assert str(ingot.get_default_device()) == ingot_devices.best() == str(ingot.ones(1).device), ingot.ones(1).device
ingot.manual_seed(0)
x = ingot.randn(64, 4)
y = x @ ingot.randn(4, 1)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = ingot.optim.AdamW(model.parameters(), lr=2e-2)
losses = []
for _ in range(6):
    for a, b in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(a), b)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
assert losses[-1] < losses[0] / 2, losses
state = ingot.get_rng_state()
drawn = ingot.rand(3).tolist()
ingot.set_rng_state(state)
assert ingot.rand(3).tolist() == drawn
ingot.save(model.state_dict(), "weights")
model.load_state_dict(ingot.load("weights"))
try:
    ingot.ones(1, device="cpu")
except ingot.DeviceUnavailable as error:
    assert "INGOT_DISABLE" in str(error), error
else:
    raise SystemExit("cpu is switched off")
print(x.numpy(force=True).shape, repr(x[0]))
"""


def test_the_library_works_without_the_cpu_plugin(tmp_path: Path) -> None:
    if not any(not name.startswith("cpu") for name in ingot_devices.ready()):
        pytest.skip("needs a device beside the CPU")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_CPU], cwd=tmp_path,
        env={**os.environ, "INGOT_DISABLE": "cpu"}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(64, 4) tensor([")


def test_an_op_in_place_keeps_nothing_beside_the_tensor(t: Any, device: str) -> None:
    x = t.ones(50, 50, device=device, requires_grad=True) * 1
    pool = x._layout.device.pool
    before, block = pool.stats().used, x._block
    x.relu_()
    assert pool.stats().used == before
    assert x._block is block and [held[0] for held in x.grad_fn.saved] == [block]
