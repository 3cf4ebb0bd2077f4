"""Schedules beside PyTorch's: rates and momentum over hundreds of steps, states that go over, averages of weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
Make = Callable[[Any, Any], Any]


def warm_then_cosine(s: Any, o: Any) -> Any:
    return s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 4), s.CosineAnnealingLR(o, 9)], [4])


def three_in_turn(s: Any, o: Any) -> Any:
    parts = [s.MultiplicativeLR(o, lambda n: 0.99), s.CosineAnnealingWarmRestarts(o, 7, 2), s.PolynomialLR(o, 150, 2.0)]
    return s.SequentialLR(o, parts, [20, 120])


def cyclic_after_warmup(s: Any, o: Any) -> Any:
    return s.SequentialLR(o, [s.ConstantLR(o, 0.5, 30), s.CyclicLR(o, 0.02, 0.3, 11)], [25])


MAKERS: dict[str, Make] = {
    "StepLR": lambda s, o: s.StepLR(o, 30, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 40, 40, 90]),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.98),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda n: math.sqrt(n + 1)),
    "LambdaLR of each": lambda s, o: s.LambdaLR(o, [lambda n: 1 / (n + 1), lambda n: 2.0]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda n: 1 - 0.01 * math.sin(n)),
    "MultiplicativeLR of each": lambda s, o: s.MultiplicativeLR(o, [lambda n: 0.99, lambda n: 1.001]),
    "LinearLR": lambda s, o: s.LinearLR(o),
    "LinearLR long": lambda s, o: s.LinearLR(o, 0.01, 0.6, 170),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.3, 40),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o),
    "PolynomialLR long": lambda s, o: s.PolynomialLR(o, 220, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 50, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 10),
    "CosineAnnealingWarmRestarts longer": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, 3, 0.01),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=310),
    "OneCycleLR of each": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.1], epochs=31, steps_per_epoch=10, pct_start=0.17, anneal_strategy="linear", base_momentum=[0.7, 0.8]),
    "OneCycleLR in three": lambda s, o: s.OneCycleLR(
        o, 0.5, total_steps=300, three_phase=True, div_factor=10.0, final_div_factor=100.0, max_momentum=0.99),
    "OneCycleLR of rates": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=310, cycle_momentum=False, pct_start=0.0),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 17),
    "CyclicLR lower": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.2, 0.1], 10, 33, "triangular2", base_momentum=0.5),
    "CyclicLR by steps": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 20, mode="exp_range", gamma=0.99, max_momentum=0.99),
    "CyclicLR by a function": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 20, scale_fn=lambda x: 1 / x, cycle_momentum=False),
    "CyclicLR by a function of steps": lambda s, o: s.CyclicLR(
        o, 0.01, 0.2, 20, mode="mine", scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations"),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 12), s.ExponentialLR(o, 0.99), s.MultiStepLR(o, [50, 100])]),
    "SequentialLR": warm_then_cosine,
    "SequentialLR of three": three_in_turn,
    "SequentialLR with CyclicLR": cyclic_after_warmup,
    "SequentialLR and more": lambda s, o: s.ChainedScheduler([warm_then_cosine(s, o), s.PolynomialLR(o, 250)], o),
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "SGD": lambda t, groups: t.optim.SGD(groups, lr=0.3, momentum=0.9),
    "Adam": lambda t, groups: t.optim.Adam(groups, lr=0.3, betas=(0.8, 0.95)),
}


def optimizer_of(t: Any, kind: str) -> Any:
    groups = [{"params": [t.nn.Parameter(t.ones(1))]}, {"params": [t.nn.Parameter(t.ones(2))], "lr": 0.05}]
    return OPTIMIZERS[kind](t, groups)


def at_present(optimizer: Any, schedule: Any) -> list[float]:
    """Rates and momentum of all groups."""
    groups = optimizer.param_groups
    assert list(schedule.get_last_lr()) == [g["lr"] for g in groups]
    return [*(g["lr"] for g in groups), *(g["betas"][0] if "betas" in g else g["momentum"] for g in groups)]


def followed(optimizer: Any, schedule: Any, steps: int) -> list[list[float]]:
    found = []
    for _ in range(steps):
        found.append(at_present(optimizer, schedule))
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", MAKERS)
def test_rates_are_equal(ingot: Any, torch: Any, name: str, kind: str) -> None:
    found = []
    for t in (ingot, torch):
        optimizer = optimizer_of(t, kind)
        found.append(followed(optimizer, MAKERS[name](t.optim.lr_scheduler, optimizer), 300))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", MAKERS)
def test_a_schedule_is_resumed(ingot: Any, torch: Any, name: str) -> None:
    """From a state of its own, and from PyTorch's."""
    theirs, ours = (optimizer_of(t, "SGD") for t in (torch, ingot))
    reference, schedule = (MAKERS[name](t.optim.lr_scheduler, o) for t, o in ((torch, theirs), (ingot, ours)))
    for o, s in ((theirs, reference), (ours, schedule)):
        followed(o, s, 37)
    saved = [copy.deepcopy((o.param_groups, s.state_dict())) for o, s in ((theirs, reference), (ours, schedule))]
    wanted = followed(theirs, reference, 200)
    for groups, state in saved:
        optimizer = optimizer_of(ingot, "SGD")
        resumed = MAKERS[name](ingot.optim.lr_scheduler, optimizer)
        for own, given in zip(optimizer.param_groups, groups, strict=True):
            own.update({k: v for k, v in given.items() if k != "params"})
        resumed.load_state_dict(state)
        np.testing.assert_allclose(followed(optimizer, resumed, 200), wanted, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("last_epoch", [0, 7, 40])
@pytest.mark.parametrize(
    "name", ["StepLR", "ExponentialLR", "PolynomialLR", "OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts"]
)
def test_a_schedule_begins_later(ingot: Any, torch: Any, name: str, last_epoch: int) -> None:
    found = []
    for t in (ingot, torch):
        first, optimizer = optimizer_of(t, "SGD"), optimizer_of(t, "SGD")
        followed(first, MAKERS[name](t.optim.lr_scheduler, first), last_epoch + 1)
        for own, given in zip(optimizer.param_groups, first.param_groups, strict=True):
            own.update({k: v for k, v in given.items() if k != "params"})

        class Later:
            """The module of schedules, each of which goes on from ``last_epoch``."""

            def __getattr__(self, kind: str, t: Any = t) -> Any:
                return lambda *args, **kwargs: getattr(t.optim.lr_scheduler, kind)(*args, **kwargs, last_epoch=last_epoch)

        found.append(followed(optimizer, MAKERS[name](Later(), optimizer), 50))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12, atol=1e-18)


def test_warm_restarts_between_epochs(ingot: Any, torch: Any) -> None:
    """Any order of epochs."""
    for t_mult in (1, 2, 3):
        found = []
        for t in (ingot, torch):
            optimizer = optimizer_of(t, "SGD")
            schedule = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 5, t_mult)
            optimizer.step()
            rates = []
            for epoch in [n / 7 for n in range(300)] + [90.5, 3, 44, 0]:
                schedule.step(epoch)
                rates.append(at_present(optimizer, schedule))
            found.append(rates + followed(optimizer, schedule, 40))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-12, atol=1e-18)


PLATEAUS: dict[str, dict[str, Any]] = {
    "plain": {},
    "impatient": {"factor": 0.5, "patience": 2},
    "cooled": {"factor": 0.5, "patience": 1, "cooldown": 4, "min_lr": 1e-4},
    "max": {"mode": "max", "patience": 3, "threshold": 0.05, "min_lr": [0.01, 0.02]},
    "absolute": {"threshold_mode": "abs", "threshold": 0.02, "patience": 2},
    "max absolute": {"mode": "max", "threshold_mode": "abs", "threshold": 0.1, "patience": 2, "eps": 1e-3},
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateaus_are_equal(ingot: Any, torch: Any, name: str) -> None:
    metrics = [5 / (n + 1) + 0.2 * math.sin(n) for n in range(40)] + [0.3] * 30 + [float("nan")] * 5 + [-1.0, -1.01] * 40
    found = []
    for t in (ingot, torch):
        optimizer = optimizer_of(t, "SGD")
        plateau = t.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **PLATEAUS[name])
        rates = []
        for n, metric in enumerate(metrics):
            plateau.step(t.tensor(metric, dtype=t.float64) if n % 2 else metric)
            rates.append([*at_present(optimizer, plateau), plateau.num_bad_epochs, plateau.in_cooldown, plateau.last_epoch])
            if n == 50:
                state = copy.deepcopy(plateau.state_dict())
                plateau = t.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
                plateau.load_state_dict(state)
        found.append((rates, sorted(state)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert found[0][0][-1][0] < 0.3


BAD: dict[str, Make] = {
    "no optimizer": lambda s, o: s.OneCycleLR(3, 0.1, 10),
    "no steps": lambda s, o: s.OneCycleLR(o, 0.1),
    "half a step": lambda s, o: s.OneCycleLR(o, 0.1, 1.5),
    "no epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=-1, steps_per_epoch=3),
    "share": lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=2.0),
    "strategy": lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="up"),
    "groups": lambda s, o: s.OneCycleLR(o, [0.1], 10),
    "mode": lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="up"),
    "rates": lambda s, o: s.CyclicLR(o, [0.1], 0.2),
    "T_0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 1.5),
    "eta_min": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 1, "0"),
    "factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "plateau mode": lambda s, o: s.ReduceLROnPlateau(o, "up"),
    "threshold": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="up"),
    "a number": lambda s, o: s.LambdaLR(o, 0.1),
    "functions": lambda s, o: s.MultiplicativeLR(o, [lambda n: 1.0]),
    "nothing": lambda s, o: s.ChainedScheduler([]),
    "a plateau": lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "another optimizer": lambda s, o: s.ChainedScheduler([s.StepLR(o, 1)], type(o)([o.param_groups[0]["params"][0]], lr=0.1)),
    "a plateau in turn": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1), s.ReduceLROnPlateau(o)], [1]),
    "milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]),
}


@pytest.mark.parametrize("name", BAD)
def test_the_same_is_refused(ingot: Any, torch: Any, name: str) -> None:
    said = []
    for t in (ingot, torch):
        with pytest.raises((ValueError, TypeError)) as caught:
            BAD[name](t.optim.lr_scheduler, optimizer_of(t, "SGD"))
        said.append(type(caught.value))
    assert said[0] is said[1]


def test_momentum_and_steps_that_are_not_there(ingot: Any, torch: Any) -> None:
    for t in (ingot, torch):
        optimizer = t.optim.Adagrad([t.nn.Parameter(t.ones(1))])
        with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
            t.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2)
        schedule = t.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3, cycle_momentum=False)
        with pytest.raises(ValueError, match=r"Tried to step 4 times\. The specified number of total steps is 3"):
            followed_alone(optimizer, schedule)


def followed_alone(optimizer: Any, schedule: Any) -> None:
    for _ in range(4):
        optimizer.step()
        schedule.step()


# ---- averages of weights -------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"anneal_epochs": 0}, {"anneal_strategy": "linear", "anneal_epochs": 7}], ids=str)
@pytest.mark.parametrize("rate", [0.01, [0.01, 0.2]], ids=str)
def test_swalr_is_equal(ingot: Any, torch: Any, rate: Any, options: dict[str, Any]) -> None:
    found = []
    for t in (ingot, torch):
        optimizer = optimizer_of(t, "SGD")
        schedule = t.optim.swa_utils.SWALR(optimizer, rate, **options)
        first = followed(optimizer, schedule, 4)
        again = t.optim.swa_utils.SWALR(optimizer, 0.5)
        for group, held in zip(optimizer.param_groups, rate if isinstance(rate, list) else [rate] * 2, strict=True):
            group["swa_lr"] = held
        again.load_state_dict(copy.deepcopy(schedule.state_dict()))
        for group, held in zip(optimizer.param_groups, schedule.get_last_lr(), strict=True):
            group["lr"] = held
        found.append(first + followed(optimizer, again, 20))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


AVERAGES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "mean": lambda u: {},
    "mean of buffers": lambda u: {"use_buffers": True},
    "exponential": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    "exponential of buffers": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "exponential, one by one": lambda u: {"avg_fn": u.get_ema_avg_fn(0.7)},
    "mean, one by one": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "mean of lists": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "of one's own": lambda u: {"avg_fn": lambda average, value, count: average + value * (count + 2)},
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_models_are_equal(ingot: Any, torch: Any, name: str) -> None:
    """Parameters, buffers and their count over training steps, then the statistics of batches."""
    random = np.random.default_rng(2)
    batches = [random.standard_normal((6, 3)).tolist() for _ in range(7)]
    torch.manual_seed(0)
    weights = {n: v.tolist() for n, v in network(torch).state_dict().items()}
    found = []
    for t in (ingot, torch):
        model = network(t)
        model.load_state_dict({n: t.tensor(v) for n, v in weights.items()})
        averaged = t.optim.swa_utils.AveragedModel(model, **AVERAGES[name](t.optim.swa_utils))
        optimizer = t.optim.SGD(model.parameters(), lr=0.1)
        for batch in batches:
            optimizer.zero_grad()
            (model(t.tensor(batch)) ** 2).sum().backward()
            optimizer.step()
            averaged.update_parameters(model)
        before = {n: v.detach().numpy().copy() for n, v in averaged.state_dict().items()}
        t.optim.swa_utils.update_bn([(t.tensor(batch), 0) for batch in batches], averaged)
        after = {n: v.detach().numpy().copy() for n, v in averaged.state_dict().items()}
        assert averaged.training and averaged.module[1].momentum == 0.1
        found.append((before, after))
    for mine, wanted in zip(*found, strict=True):
        assert list(mine) == list(wanted)
        for n, value in mine.items():
            np.testing.assert_allclose(value, wanted[n], rtol=2e-5, atol=1e-6, err_msg=n)


def network(t: Any) -> Any:
    return t.nn.Sequential(t.nn.Linear(3, 4), t.nn.BatchNorm1d(4), t.nn.Linear(4, 1))


def test_averages_refuse_the_same(ingot: Any, torch: Any) -> None:
    for t in (ingot, torch):
        u = t.optim.swa_utils
        with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
            u.AveragedModel(t.nn.Linear(1, 1), avg_fn=u.get_swa_avg_fn(), multi_avg_fn=u.get_swa_multi_avg_fn())
        for make in (u.get_ema_avg_fn, u.get_ema_multi_avg_fn):
            with pytest.raises(ValueError, match="Invalid decay value"):
                make(1.5)
        for bad in ({"anneal_strategy": "up"}, {"anneal_epochs": -1}):
            with pytest.raises(ValueError, match="anneal_"):
                u.SWALR(optimizer_of(t, "SGD"), 0.1, **bad)
