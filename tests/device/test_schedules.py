"""Schedules against their formulas, one after the other, resumed, and what they refuse."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.optim import lr_scheduler, swa_utils


def rates(make: Callable[[Any], Any], epochs: int = 8, lr: float = 1.0) -> list[float]:
    optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))], lr=lr, momentum=0.9)
    schedule = make(optimizer)
    found = []
    for _ in range(epochs):
        optimizer.step()
        found.append(optimizer.param_groups[0]["lr"])
        assert schedule.get_last_lr() == [found[-1]]
        schedule.step()
    return found


def test_schedules() -> None:
    def cosine(n: int) -> float:
        return 0.1 + 0.9 * (1 + math.cos(math.pi * n / 4)) / 2

    def restarted(n: int) -> float:
        done = n / 2 if n < 2 else (n - 2) / 4 if n < 6 else (n - 6) / 8
        return 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2

    wanted: dict[Callable[[Any], Any], Callable[[int], float]] = {
        lambda o: lr_scheduler.StepLR(o, 3, 0.5): lambda n: 0.5 ** (n // 3),
        lambda o: lr_scheduler.MultiStepLR(o, [2, 5, 5]): lambda n: (
            0.1 ** ((n >= 2) + 2 * (n >= 5))
        ),
        lambda o: lr_scheduler.ExponentialLR(o, 0.9): lambda n: 0.9**n,
        lambda o: lr_scheduler.LambdaLR(o, lambda n: 1 / (n + 1)): lambda n: 1 / (n + 1),
        lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 4): lambda n: 0.5 + 0.125 * min(n, 4),
        lambda o: lr_scheduler.ConstantLR(o, 0.5, 3): lambda n: 0.5 if n < 3 else 1.0,
        lambda o: lr_scheduler.CosineAnnealingLR(o, 4, 0.1): cosine,
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2, 0.1): restarted,
        lambda o: lr_scheduler.MultiplicativeLR(o, lambda n: n / (n + 1)): lambda n: 1 / (n + 1),
        lambda o: lr_scheduler.PolynomialLR(o, 5, 2.0): lambda n: (1 - min(n, 5) / 5) ** 2,
        lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.5, 2, 4): lambda n: np.interp(n % 6, [0, 2, 6], [0.1, 0.5, 0.1]),
        lambda o: lr_scheduler.OneCycleLR(o, 0.5, 8, pct_start=0.5, anneal_strategy="linear"): lambda n: np.interp(
            n, [0, 3, 7], [0.02, 0.5, 2e-6]
        ),
        lambda o: lr_scheduler.OneCycleLR(o, 0.5, 10, pct_start=0.1, anneal_strategy="linear"): lambda n: np.interp(
            n, [0, 9], [0.5, 2e-6]
        ),  # its first phase has no length
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.ConstantLR(o, 0.5, 3)]
        ): lambda n: 0.9**n * (0.5 if n < 3 else 1.0),
        lambda o: swa_utils.SWALR(o, 0.2, 4, "linear"): lambda n: np.interp(n, [0, 4], [1.0, 0.2]),
    }
    for make, formula in wanted.items():
        np.testing.assert_allclose(rates(make), [formula(n) for n in range(8)], rtol=1e-9)


def test_schedules_one_after_the_other() -> None:
    def make(optimizer: Any) -> Any:
        warm = lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3)
        then = lr_scheduler.ExponentialLR(optimizer, 0.5)
        return lr_scheduler.SequentialLR(optimizer, [warm, then], [3])

    def nested(optimizer: Any) -> Any:
        last = lr_scheduler.StepLR(optimizer, 1, 0.1)
        return lr_scheduler.SequentialLR(optimizer, [make(optimizer), last], [5])

    np.testing.assert_allclose(rates(make, 6), [0.25, 0.5, 0.75, 1.0, 0.5, 0.25])
    np.testing.assert_allclose(rates(nested, 7), [0.25, 0.5, 0.75, 1.0, 0.5, 1.0, 0.1])


def turns(o: Any) -> Any:
    steps = lr_scheduler.StepLR(o, 2, 0.5)
    return lr_scheduler.SequentialLR(o, [steps, lr_scheduler.CosineAnnealingLR(o, 5)], [4])


class Falling:
    """A function with something to be saved: how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, epoch: float) -> float:
        self.calls += 1
        return 1 / self.calls


RESUMED: dict[str, Callable[[Any], Any]] = {
    "SequentialLR": turns,
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler([turns(o), lr_scheduler.LinearLR(o)]),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 1.0, 8),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, 3, mode="triangular2"),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, Falling()),
    "CyclicLR by an object": lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, 3, scale_fn=Falling()),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.1),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_schedule_goes_on_as_it_would_have(name: str) -> None:
    make = RESUMED[name]
    whole = rates(make, 8)
    parameter = nn.Parameter(ingot.ones(1))
    optimizer = ingot.optim.SGD([parameter], lr=1.0, momentum=0.9)
    schedule = make(optimizer)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    again = ingot.optim.SGD([parameter], lr=9.0, momentum=0.9)
    resumed = make(again)
    again.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    found = []
    for _ in range(3):
        found.append(again.param_groups[0]["lr"])
        again.step()
        resumed.step()
    assert found == whole[5:]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_momentum_goes_the_other_way(kind: str) -> None:
    options: dict[str, Any] = {"momentum": 0.5} if kind == "SGD" else {"betas": (0.5, 0.7)}
    optimizer = getattr(ingot.optim, kind)([nn.Parameter(ingot.ones(1))], lr=0.1, **options)
    schedule = lr_scheduler.CyclicLR(optimizer, 0.1, 0.5, 2, base_momentum=0.6, max_momentum=0.9)
    for n in range(7):
        group = optimizer.param_groups[0]
        momentum, *rest = group["betas"] if kind == "Adam" else [group["momentum"]]
        assert momentum == pytest.approx(np.interp(n % 4, [0, 2, 4], [0.9, 0.6, 0.9]))
        assert rest == ([0.7] if kind == "Adam" else [])
        optimizer.step()
        schedule.step()


def test_a_plateau_waits_reduces_and_cools_down() -> None:
    optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))], lr=1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, min_lr=0.2)
    found = []
    for loss in [5.0, 4.0, 4.0, 3.9999, 4.0, 4.0, 4.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]:
        plateau.step(ingot.tensor(loss))
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [1.0] * 3 + [0.5] * 4 + [0.25] * 4 + [0.2] * 4
    assert plateau.best == 1.0 and plateau.get_last_lr() == [0.2]


def test_warm_restarts_are_where_they_should_be() -> None:
    """At 1 + 3 + … + 81 epochs, where a logarithm is rounded to the restart before."""
    optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))], lr=1.0)
    schedule = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 1, 3)
    schedule.step(121)
    assert (schedule.T_cur, schedule.T_i) == (0, 243) and schedule.get_last_lr() == [1.0]
    with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
        schedule.step(-1)


def test_a_plateau_minds_groups_that_came_later() -> None:
    for least, match in ((0.0, None), ([0.0], "set `min_lrs` to a list of as many")):
        optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))], lr=1.0)
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=least)
        optimizer.add_param_group({"params": [nn.Parameter(ingot.ones(2))]})
        plateau.step(1.0)
        if match is None:
            plateau.step(1.0)
            assert plateau.get_last_lr() == [0.1, 0.1]
        else:
            with pytest.raises(RuntimeError, match=match):
                plateau.step(1.0)


def test_schedules_refuse_what_makes_no_sense() -> None:
    optimizer = ingot.optim.SGD([nn.Parameter(ingot.ones(1))])
    wrong: Any = 3
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(wrong, 1)
    with pytest.raises(TypeError, match="takes what was measured"):
        lr_scheduler.ReduceLROnPlateau(optimizer).step()
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer, 1, last_epoch=3)
    with pytest.raises(ValueError, match="Expected 1 lr_lambdas, but got 2"):
        lr_scheduler.LambdaLR(optimizer, [lambda n: 1.0] * 2)
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer\.step\(\)`"):
        schedule.step()
