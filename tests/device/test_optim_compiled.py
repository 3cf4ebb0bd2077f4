"""Optimizers and schedules in compiled steps: the eager bits, one recording, and what is counted goes on at each replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compile_setting import bits, itself, same, strictly
from ingot.compiler import CompileWarning
from optimizers import CASES, Options, named

SHAPES = ((3, 2), (4,))
SHORT = [(kind, options) for k, (kind, options) in enumerate(CASES) if kind not in [c[0] for c in CASES[:k]]]
"""The first options of each optimizer."""


class Descent:
    """Two parameters in groups of their own, their optimizer, and a step on a loss of both."""

    def __init__(self, t: Any, device: str, kind: str, options: Options) -> None:
        random = np.random.default_rng(5)
        drawn = [random.standard_normal(shape).astype(np.float32).tolist() for shape in SHAPES]
        self.parameters = [t.nn.Parameter(t.tensor(v, device=device)) for v in drawn]
        groups = [{"params": [p]} for p in self.parameters]
        self.optimizer = getattr(t.optim, kind)(groups, **options)

    def step(self, *schedules: Any) -> Callable[[Any], Any]:
        first, second = self.parameters
        optimizer = self.optimizer

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = ((first * x).sin().sum() + 1) * (second - x[0, 0]).square().sum()
            loss.backward()
            optimizer.step()
            for schedule in schedules:
                schedule.step()
            return loss

        return step

    def left(self) -> list[Any]:
        """Everything that steps have changed."""
        held = [value for p in self.parameters for value in (p, *self.optimizer.state[p].values())]
        kept = [value if isinstance(value, (int, float)) else bits(value) for value in held]
        return [*kept, *(repr({**g, "params": 0}) for g in self.optimizer.param_groups)]


def runs(t: Any, device: str, kind: str, options: Options, schedule: Any = None, calls: int = 9) -> list[tuple[Any, Any]]:
    """What steps give and leave, eagerly and compiled, with the compiled function."""
    found = []
    for wrap in (itself, strictly(t)):
        descent = Descent(t, device, kind, options)
        function = wrap(descent.step(*([schedule(t.optim.lr_scheduler, descent.optimizer)] if schedule else [])))
        losses = [bits(function(t.full((3, 2), 0.3 + 0.1 * k, device=device))) for k in range(calls)]
        found.append(([*losses, *descent.left()], function))
    return found


@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_a_compiled_step_is_the_eager_one(t: Any, device: str, kind: str, options: Options) -> None:
    """Also where numbers follow from how many steps were taken: rectified from the sixth on, averaged from the seventh."""
    (eager, _), (compiled, function) = runs(t, device, kind, options)
    same(compiled, eager)
    assert len(function.replays) == 1


SCHEDULES: dict[str, Any] = {
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=12, three_phase=True),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="triangular2"),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.PolynomialLR(o, 20), s.MultiplicativeLR(o, lambda n: 0.9)]),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 3), s.ExponentialLR(o, 0.9)], [4]),
}


SCHEDULED = [("SGD", {"lr": 0.1, "momentum": 0.9}), ("NAdam", {"lr": 0.1})]


@pytest.mark.parametrize(
    ("kind", "options", "schedule"),
    [*((*s, name) for s in SCHEDULED for name in SCHEDULES), ("ASGD", {"lr": 0.1, "lambd": 0.5}, "SequentialLR")],
    ids=named,
)
def test_a_schedule_goes_on_in_replays(t: Any, device: str, kind: str, options: Options, schedule: str) -> None:
    """Rates and momentum of the recording are not kept: NAdam's product and ASGD's rate, which have a past, follow them."""
    (eager, _), (compiled, function) = runs(t, device, kind, options, SCHEDULES[schedule])
    same(compiled, eager)
    assert len(function.replays) == 1


@pytest.mark.parametrize(("kind", "schedule"), [("NAdam", "SequentialLR"), ("ASGD", "ChainedScheduler")])
def test_replays_are_verified(t: Any, device: str, monkeypatch: pytest.MonkeyPatch, kind: str, schedule: str) -> None:
    """What was counted and scheduled is put back before the eager call, parts of schedules too."""
    monkeypatch.setenv("INGOT_COMPILE", "verify")
    (eager, _), (compiled, function) = runs(t, device, kind, {"lr": 0.1}, SCHEDULES[schedule])
    same(compiled, eager)
    assert len(function.replays) == 1


def test_a_plateau_acts_on_numbers_and_leaves_losses_to_eager_calls(t: Any, device: str) -> None:
    for of_loss in (False, True):
        left = []
        for wrap in (itself, t.compile):
            descent = Descent(t, device, "SGD", {"lr": 0.1})
            plateau = t.optim.lr_scheduler.ReduceLROnPlateau(descent.optimizer, factor=0.5, patience=1)
            inner = descent.step()

            def step(x: Any, of_loss: bool = of_loss, inner: Any = inner, plateau: Any = plateau) -> Any:
                loss = inner(x)
                plateau.step(loss if of_loss else 1.0)
                return loss

            function = wrap(step)
            x = t.full((3, 2), 0.3, device=device)
            if of_loss and wrap is not itself:
                with pytest.warns(CompileWarning, match=r"item\(\)|reads"):
                    losses = [bits(function(x)) for _ in range(9)]
            else:
                losses = [bits(function(x)) for _ in range(9)]
            left.append([*losses, *descent.left(), plateau.num_bad_epochs, plateau.last_epoch])
        same(left[1], left[0])
        assert of_loss or (len(function.replays) == 1 and descent.optimizer.param_groups[0]["lr"] < 0.1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["Adam", "NAdam", "ASGD"])
def test_parameters_that_count_apart_have_numbers_of_their_own(t: Any, device: str, kind: str, when: str) -> None:
    """Each makes a step alone, under options of its own, before the common ones are recorded or after: as many, but not alike.
    They are what they are with an optimizer for each.
    """
    name, changed = {"ASGD": ("lr", 0.9)}.get(kind, ("betas", (0.1, 0.9)))
    found = []
    for wrap, together in ((itself, False), (itself, True), (t.compile, True)):
        both = [t.nn.Parameter(t.ones(3, device=device)) for _ in range(2)]
        optimizers = [getattr(t.optim, kind)(given, lr=0.1) for given in ([both] if together else [[p] for p in both])]
        groups = [optimizer.param_groups[0] for optimizer in optimizers]

        def step(*given: Any, optimizers: Any = optimizers) -> None:
            for optimizer in optimizers:
                optimizer.zero_grad()
            sum(p.square().sum() for p in given).backward()
            for optimizer in optimizers:
                optimizer.step()

        def apart(both: Any = both, step: Any = step, groups: Any = groups) -> None:
            step(both[0])
            before = groups[-1][name]
            for group in groups:
                group[name] = changed
            step(both[1])
            for group in groups:
                group[name] = before

        function = wrap(step)
        if when == "before":
            apart()
        for _ in range(5):
            function(*both)
        if when == "after":
            step(both[0])
            function(*both)
            step(both[1])
            apart()
        for _ in range(5):
            function(*both)
        found.append([bits(p) for p in both])
    same(found[1], found[0])
    same(found[2], found[0])
    assert (found[0][0] != found[0][1]).any()


@pytest.mark.parametrize(("kind", "options"), SHORT, ids=named)
def test_a_step_that_a_program_refuses_is_counted_as_eagerly(t: Any, device: str, kind: str, options: Options) -> None:
    """An index beyond the end: a device that tells at once takes no step, one that tells later has taken it."""
    left = []
    for wrap in (itself, strictly(t)):
        table = t.nn.Parameter(t.full((4, 3), 0.5, device=device))
        optimizer = getattr(t.optim, kind)([table], **options)

        def step(rows: Any, table: Any = table, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            table[rows].sin().sum().backward()
            optimizer.step()
            return table.sum()

        function = wrap(step)
        good, bad = (t.tensor(rows, device=device) for rows in ([0, 2, 2], [0, 7, 1]))
        for _ in range(4):
            function(good)
        with pytest.raises(IndexError):
            bits(function(bad))
        left.append([v for v in optimizer.state[table].values() if isinstance(v, (int, float))])
        function(good)
        left[-1] += [bits(table), *(v for v in optimizer.state[table].values() if isinstance(v, (int, float)))]
    same(left[1], left[0])
