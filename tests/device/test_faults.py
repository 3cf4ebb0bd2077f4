"""A device on its worst day: out of memory, a launch that fails, a device that is lost, at every place of a training.

Each ends in its typed error; with that dropped, nothing is held: no bytes are used, after the cache is emptied none are
reserved and the device has every handle back; and the next run works. ``sim`` can be asked for all of this
(`ingot_sim.faults`); what every device can do (a limit, the garbage collector switched off) is tested on each.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ingot
import ingot_devices
import pytest
from ingot import accelerator, nn
from ingot.devices import open_device

FIRST = 40  # occasions that are tried one by one; later ones in strides
TYPED = {"oom": ingot.OutOfMemoryError, "launch": ingot.IngotError, "lost": ingot.DeviceLost}


class Training:
    """A small classifier with most of what holds memory: an embedding, normalisation, dropout, moments, clipping."""

    def __init__(self, device: str) -> None:
        ingot.manual_seed(0)
        self.x = ingot.randint(0, 10, (8, 3)).to(device)
        self.y = ingot.randint(0, 4, (8,)).to(device)
        self.model = nn.Sequential(
            nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 4)
        ).to(device)
        self.optimizer = ingot.optim.AdamW(self.model.parameters(), lr=1e-2)

    def step(self) -> float:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.item())


def train(device: str, steps: int = 2) -> list[float]:
    training = Training(device)
    return [training.step() for _ in range(steps)]


# ---- faults on request ---------------------------------------------------------------------------
@pytest.fixture
def faulty() -> Iterator[str]:
    """The device that fails on request, as new before and after."""
    if not ingot_devices.is_available("sim"):
        pytest.skip("sim, which fails on request, is not available")
    accelerator.reset("sim:0")
    yield "sim:0"
    accelerator.reset("sim:0")


def occasions(device: str, kind: str) -> Iterator[int]:
    """Every place where ``kind`` can happen in a training on a fresh device: the first ones, then each seventh."""
    with open_device(device).faults.inject("") as faults:
        train(device)
        last = faults.counts[kind]
    assert last > FIRST / 4, f"a training without {kind} shows nothing"
    return iter([*range(1, min(FIRST, last) + 1), *range(FIRST + 1, last + 1, 7)])


def failure(device: str, rule: str) -> BaseException | None:
    """What a training ends in under ``rule``."""
    try:
        with open_device(device).faults.inject(rule):
            train(device)
    except BaseException as error:
        return error
    return None


def assert_nothing_is_held(device: str) -> None:
    gc.collect()
    opened = open_device(device)
    assert accelerator.memory_allocated(device) == 0
    accelerator.empty_cache(device)
    assert accelerator.memory_reserved(device) == 0
    assert opened.live_handles() == 0


@pytest.mark.parametrize("rule", ["oom@{}+", "launch@{}", "lost@{}"])
def test_each_fault_ends_in_its_error_and_holds_nothing(faulty: str, rule: str) -> None:
    kind = rule.partition("@")[0]
    expected = train(faulty)
    accelerator.reset(faulty)
    for n in occasions(faulty, kind):
        accelerator.reset(faulty)
        error = failure(faulty, rule.format(n))
        assert isinstance(error, TYPED[kind]), f"{rule.format(n)} ended in {error!r}"
        assert faulty in str(error)
        del error
        assert_nothing_is_held(faulty)
    accelerator.reset(faulty)
    assert train(faulty) == expected


@pytest.mark.parametrize("every", [2, 3, 5])
def test_now_and_then_out_of_memory_is_survived(faulty: str, every: int) -> None:
    """The pool empties its cache and asks again."""
    expected = train(faulty)
    accelerator.empty_cache(faulty)
    with open_device(faulty).faults.inject(f"oom%{every}") as faults:
        found = train(faulty)
        assert faults.counts["oom"] > every
    assert found == expected
    assert_nothing_is_held(faulty)


def test_the_program_goes_on_after_a_failed_launch(faulty: str) -> None:
    training = Training(faulty)
    expected = [Training(faulty).step()]
    with open_device(faulty).faults.inject("launch@9"), pytest.raises(ingot.IngotError, match="launch 9"):
        training.step()
    assert Training(faulty).step() == expected[0]


def test_a_lost_device_says_so_until_it_is_reset(faulty: str) -> None:
    x = ingot.ones(2, device=faulty)
    with open_device(faulty).faults.inject("lost@1"), pytest.raises(ingot.DeviceLost):
        x.tolist()
    for use in (lambda: x + 1, x.tolist, lambda: ingot.ones(2, device=faulty), lambda: x.to("cpu")):
        with pytest.raises(ingot.DeviceLost, match=r"accelerator\.reset"):
            use()
    accelerator.reset(faulty)
    assert ingot.ones(2, device=faulty).tolist() == [1, 1]
    with pytest.raises(ingot.DeviceLost):
        x + ingot.ones(2, device=faulty)


def test_a_device_that_was_reset_is_forgotten(faulty: str) -> None:
    train(faulty)
    old = weakref.ref(open_device(faulty))
    accelerator.reset(faulty)
    gc.collect()
    assert old() is None


# ---- what every device does ----------------------------------------------------------------------
@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_training_needs_no_collector(device: str) -> None:
    training = Training(device)
    for _ in range(2):  # plans, moments and gradients come into being
        training.step()
    with no_collector():
        before = accelerator.memory_allocated(device)
        for _ in range(10):
            training.step()
        assert accelerator.memory_allocated(device) == before


def test_dropped_training_leaves_nothing(device: str) -> None:
    gc.collect()
    before = accelerator.memory_allocated(device)
    train(device)
    gc.collect()
    assert accelerator.memory_allocated(device) == before


@contextmanager
def limited(device: str, nbytes: int) -> Iterator[None]:
    """Room for ``nbytes`` more than are used now."""
    gc.collect()
    accelerator.set_memory_limit(accelerator.memory_allocated(device) + nbytes, device)
    try:
        yield
    finally:
        accelerator.set_memory_limit(None, device)


def test_out_of_memory_names_what_and_who_and_the_program_goes_on(device: str) -> None:
    kept = ingot.ones(1 << 16, device=device)
    with limited(device, 1 << 20):
        with pytest.raises(ingot.OutOfMemoryError) as caught:
            ingot.ones(1 << 19, device=device)
        text = str(caught.value)
        assert f"{open_device(device).name} is out of memory: 2.00 MiB requested" in text
        assert "limit 1." in text
        assert "Largest live allocations:" in text
        assert "256.00 KiB" in text and "test_faults.py:" in text
        assert caught.value.requested == 1 << 21
        del caught
        assert (ingot.ones(1 << 16, device=device) + kept).sum().item() == 2 << 16
    assert ingot.ones(1 << 19, device=device).sum().item() == 1 << 19


def test_training_out_of_memory_can_be_tried_again_with_less(device: str) -> None:
    model = nn.Linear(64, 64).to(device)

    def step(n: int) -> float:
        loss = model(ingot.ones(n, 64, device=device)).square().mean()
        loss.backward()
        return float(loss.item())

    step(4)
    with limited(device, 1 << 18):
        with pytest.raises(ingot.OutOfMemoryError):
            step(1 << 12)
        assert step(4) > 0


def test_out_of_memory_is_a_memory_error_of_pytorchs_name(t: Any) -> None:
    assert issubclass(t.OutOfMemoryError, RuntimeError)
    assert issubclass(t.OutOfMemoryError, MemoryError)
