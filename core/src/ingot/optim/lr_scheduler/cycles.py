"""Schedules that go up and down again, with the momentum the other way: once (OneCycleLR), or again and again (CyclicLR)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ingot.optim.lr_scheduler.scheduler import LRScheduler, held, optimizer_of, per_group
from ingot.optim.optimizer import Optimizer


class _Cycles(LRScheduler):
    """Rates, and, ``cycle_momentum``, the option ``momentum`` of the groups or the first of their ``betas``."""

    cycle_momentum: bool
    use_beta1: bool

    def get_momentum(self) -> list[float]:
        """The groups' momentum at ``last_epoch``."""
        raise NotImplementedError(f"{type(self).__name__} has no get_momentum()")

    def _begin_momentum(self, cycle: bool, low: Any, high: Any, last_epoch: int) -> None:
        """Remember each group's bounds in it, and start from the upper one."""
        optimizer = self.optimizer
        self.cycle_momentum = cycle
        if not cycle:
            return
        self.use_beta1 = "betas" in optimizer.defaults
        if not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.base_momentums = per_group("base_momentum", optimizer, low)
        self.max_momentums = per_group("max_momentum", optimizer, high)
        if last_epoch != -1:
            return
        self._set_momentum(self.max_momentums)
        for group, least, most in zip(optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True):
            group["max_momentum"], group["base_momentum"] = most, least

    def _set_momentum(self, values: list[float]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            if self.use_beta1:
                group["betas"] = (value, *group["betas"][1:])
            else:
                group["momentum"] = value

    def _advance(self, epoch: int, restart: bool = False) -> None:
        super()._advance(epoch, restart)
        if self.cycle_momentum:
            self._set_momentum(self.get_momentum())


class CyclicLR(_Cycles):
    """From ``base_lr`` to ``max_lr`` in ``step_size_up`` steps, back in ``step_size_down``, and so on (Smith, 2017). A step is
    a batch.

    ``mode`` says how high a cycle is: "triangular" (all alike), "triangular2" (half of the one before), "exp_range" (by
    ``gamma`` to the number of steps); or ``scale_fn``, of the number of the cycle (from 1) or, ``scale_mode="iterations"``, of
    steps. ``cycle_momentum`` lowers the momentum, or Adam's β₁, from ``max_momentum`` to ``base_momentum`` meanwhile.
    """

    SCALES: ClassVar[dict[str, tuple[str, Callable[[float, float], float]]]] = {
        "triangular": ("cycle", lambda gamma, x: 1.0),
        "triangular2": ("cycle", lambda gamma, x: 1 / (2.0 ** (x - 1))),
        "exp_range": ("iterations", lambda gamma, x: gamma**x),
    }

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = optimizer_of(optimizer)
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        if scale_fn is None and mode not in self.SCALES:
            raise ValueError(f"mode is invalid and scale_fn is None: {mode!r} is none of {', '.join(self.SCALES)}")
        if last_epoch == -1:
            for rate, group in zip(base_lrs, optimizer.param_groups, strict=True):
                group["lr"] = rate
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else self.SCALES[mode][0]
        self._begin_momentum(cycle_momentum, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """How high a cycle is, by its number or by the number of steps."""
        custom = self._scale_fn_custom
        return self.SCALES[self.mode][1](self.gamma, x) if custom is None else custom(x)

    def _heights(self, low: list[float], high: list[float]) -> list[float]:
        """How far above ``low`` each group is at ``last_epoch``."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        return [(b - a) * part * scale for a, b in zip(low, high, strict=True)]

    def get_lr(self) -> list[float]:
        heights = self._heights(self.base_lrs, self.max_lrs)
        return [base + height for base, height in zip(self.base_lrs, heights, strict=True)]

    def get_momentum(self) -> list[float]:
        """The groups' momentum at ``last_epoch``: lowest where the rate is highest."""
        heights = self._heights(self.base_momentums, self.max_momentums)
        return [most - height for most, height in zip(self.max_momentums, heights, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """As the base class's, with what a callable ``scale_fn`` holds; of a function None: give it again when resuming."""
        custom = self._scale_fn_custom
        return {**super().state_dict(), "_scale_fn_custom": None if custom is None else held(custom)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; ``scale_fn`` stays the one that was given here."""
        super().load_state_dict({**state_dict, "_scale_fn_custom": self._scale_fn_custom})
        if state_dict["_scale_fn_custom"] is not None:
            vars(self._scale_fn_custom).update(state_dict["_scale_fn_custom"])


class OneCycleLR(_Cycles):
    """From max_lr / ``div_factor`` to ``max_lr`` in the share ``pct_start`` of all steps, then down to the first rate by
    ``final_div_factor`` (Smith and Topin, 2018). A step is a batch.

    There are ``total_steps``, or ``epochs`` · ``steps_per_epoch``; one more is a ValueError. ``anneal_strategy`` is "cos" or
    "linear"; ``three_phase`` goes down to the first rate in as many steps as up, and further in the rest.
    ``cycle_momentum`` lowers the momentum, or Adam's β₁, from ``max_momentum`` to ``base_momentum`` and raises it again.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = optimizer_of(optimizer)
        self.total_steps = _steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(pct_start * self.total_steps, self.total_steps, three_phase)
        rates = per_group("max_lr", optimizer, max_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True) if last_epoch == -1 else ():
            group["initial_lr"], group["max_lr"] = rate / div_factor, rate
            group["min_lr"] = group["initial_lr"] / final_div_factor
        self._begin_momentum(cycle_momentum, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _between(self, what: str) -> list[float]:
        """Each group's rate ("lr") or "momentum" on the way from the beginning to the end of the present phase."""
        step, phases = self.last_epoch, self._schedule_phases
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        number = next((n for n, phase in enumerate(phases) if step <= phase["end_step"]), len(phases) - 1)
        phase, begin = phases[number], phases[number - 1]["end_step"] if number else 0.0
        length = phase["end_step"] - begin
        done = (step - begin) / length if length else 1.0
        start, end = phase[f"start_{what}"], phase[f"end_{what}"]
        blend = _cosine if self._anneal_func_type == "cos" else _linear
        return [blend(group[start], group[end], done) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        return self._between("lr")

    def get_momentum(self) -> list[float]:
        """The groups' momentum at ``last_epoch``."""
        return self._between("momentum")


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1 + math.cos(math.pi * done))


def _linear(start: float, end: float, done: float) -> float:
    return start + (end - start) * done


def _steps(total: int | None, epochs: int | None, each: int | None) -> int:
    if total is not None:
        return _positive("total_steps", total)
    if epochs is None or each is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    return _positive("epochs", epochs) * _positive("steps_per_epoch", each)


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _phases(up: float, total: int, three: bool) -> list[dict[str, Any]]:
    """Where phases end, and between which options of a group they go; ``up`` is the number of steps of the first."""
    first = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
    down = ("max_lr", "initial_lr" if three else "min_lr", "base_momentum", "max_momentum")
    rows = [(up - 1, first), (2 * up - 2 if three else total - 1, down)]
    if three:
        rows.append((total - 1, ("initial_lr", "min_lr", "max_momentum", "max_momentum")))
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return [{"end_step": end, **dict(zip(names, ends, strict=True))} for end, ends in rows]
