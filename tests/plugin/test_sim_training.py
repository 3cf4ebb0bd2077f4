"""A training on a device that fails: the typed error, nothing left behind, and the next run works."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import ingot
import ingot_devices
import pytest
from ingot import nn
from ingot_devices import status
from ingot_devices.errors import DeviceLost, LaunchError, OutOfMemoryError
from ingot_sim.device import SimDevice

NAME = "sim:0"
STEPS = 3


@pytest.fixture
def sim() -> Iterator[SimDevice]:
    """A new incarnation of sim:0, and another one for those who come after."""
    device = ingot_devices.reset_device(NAME)
    assert isinstance(device, SimDevice)
    yield device
    ingot_devices.reset_device(NAME)


class Run:
    """A small training: linear layers, a loss, AdamW."""

    def __init__(self) -> None:
        ingot.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).to(NAME)
        self.optimizer = ingot.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.x = ingot.randn(10, 6).to(NAME)
        self.y = ingot.randint(0, 3, (10,)).to(NAME)

    def step(self) -> ingot.Tensor:
        self.optimizer.zero_grad()
        loss: ingot.Tensor = nn.CrossEntropyLoss()(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss


def train() -> float:
    """The last loss."""
    run = Run()
    loss = [run.step() for _ in range(STEPS)][-1]
    return float(loss.item())


def left(device: SimDevice) -> tuple[int, int, int]:
    """Used bytes, then reserved bytes and handles with the cache emptied."""
    gc.collect()
    used = device.pool.stats().used
    status.release(device)
    device.pool.empty_cache()
    return used, device.pool.stats().reserved, device.live_handles()


def occasions(device: SimDevice, kind: str) -> int:
    """How often ``kind`` comes in a training that begins with an empty pool."""
    with device.faults.inject(""):
        train()
        count = device.faults.counts[kind]
    assert left(device) == (0, 0, 0)
    return count


def ends(kind: type[Exception], words: str) -> None:
    """A training that ends in ``kind``; the exception is dropped with all it holds."""
    with pytest.raises(kind, match=words) as error:
        train()
    del error


def test_memory_that_runs_out_at_any_allocation(sim: SimDevice) -> None:
    count = occasions(sim, "oom")
    assert count > 10
    for n in {1, 2, *range(3, count + 1, 5), count}:
        with sim.faults.inject(f"oom@{n}+"):
            ends(OutOfMemoryError, "out of memory")
        assert left(sim) == (0, 0, 0), n
    train()


def test_an_allocation_that_fails_once_is_tried_again(sim: SimDevice) -> None:
    expected = train()
    assert left(sim) == (0, 0, 0)
    with sim.faults.inject("oom%3"):
        assert train() == expected
        assert sim.faults.counts["oom"] > 10
    assert left(sim) == (0, 0, 0)


def test_a_launch_that_fails_anywhere(sim: SimDevice) -> None:
    count = occasions(sim, "launch")
    assert count > 30
    for n in {1, 2, *range(3, count + 1, 9), count}:
        with sim.faults.inject(f"launch@{n}"):
            ends(LaunchError, f"launch {n} .* was asked to fail")
        assert left(sim) == (0, 0, 0), n
    train()


def test_a_device_that_is_lost_at_any_operation(sim: SimDevice) -> None:
    count = occasions(sim, "lost")
    assert count > 50
    for n in {1, 2, *range(3, count + 1, 29)}:
        device = ingot_devices.open_device(NAME)
        assert isinstance(device, SimDevice)
        assert left(device) == (0, 0, 0)
        with device.faults.inject(f"lost@{n}"):
            ends(DeviceLost, "was lost")
        assert device.lost
        gc.collect()
        assert device.pool.stats().used == 0, n
        assert device.pool.stats().reserved == 0, n
        assert device.live_handles() == 0
        ingot_devices.reset_device(NAME)
        train()


def test_ten_steps_leave_used_bytes_where_they_were(sim: SimDevice) -> None:
    """No cycle holds memory: with the collector off, what a step made is gone after it."""
    run = Run()
    run.step()
    run.step()
    gc.collect()
    gc.disable()
    try:
        before = sim.pool.stats().used
        for _ in range(10):
            run.step()
        assert sim.pool.stats().used == before
    finally:
        gc.enable()


def test_a_memory_limit_is_met_by_the_typed_error(sim: SimDevice) -> None:
    sim.pool.set_limit(3000)
    try:
        ends(OutOfMemoryError, "limit")
    finally:
        sim.pool.set_limit(None)
    assert left(sim) == (0, 0, 0)
    train()
