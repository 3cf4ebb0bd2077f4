"""LRScheduler: what all schedules share. When a step is taken, what is saved, and what a recorder is told.

    step ──▶ _advance(epoch) ──▶ get_lr, or closed_form where it starts over ──▶ group["lr"]
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ingot_devices.context import state as context

from ingot.optim.optimizer import Optimizer


class LRScheduler:
    """Base class: a subclass gives `get_lr`, the rates of the groups at ``last_epoch``.

    Creating one sets the rates of epoch 0. ``last_epoch`` other than -1 continues a schedule; the
    groups must then hold "initial_lr" (KeyError), as they do after `Optimizer.load_state_dict`.
    """

    _initial = False  # True while the constructor takes the first step

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = optimizer_of(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming "
                    "with last_epoch >= 0; load the optimizer's state_dict first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 1
        self._initial = True
        self._advance(self.last_epoch + 1)
        del self._initial  # the class's False shows again

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The groups' rates at ``last_epoch``, computed from those of the epoch before where that is possible."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr()")

    def closed_form(self) -> list[float]:
        """The groups' rates at ``last_epoch``, computed from ``base_lrs`` alone, if the schedule has such a form."""
        return self.get_lr()

    def get_last_lr(self) -> list[float]:
        """The rates set by the last `step`."""
        return self._last_lr

    def step(self) -> None:
        """Go on by one epoch; call it after `Optimizer.step`."""
        if self._recorded(self.step):
            return
        if self._step_count == 1 and self.optimizer._opt_called is False:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in "
                "the opposite order, or the first value of the learning rate schedule is skipped.",
                stacklevel=2,
            )
        self._step_count += 1
        self._advance(self.last_epoch + 1)

    def _recorded(self, action: Callable[[], None]) -> bool:
        """True where a call is recorded: then ``action`` was run, and will be at each replay."""
        recording: bool = context.context.recording
        if recording:
            context.recorder.act(self, action)
        return recording

    def parts(self) -> Iterator[LRScheduler]:
        """This schedule, and those that it is made of."""
        yield self

    def _advance(self, epoch: int, restart: bool = False) -> None:
        self.last_epoch = epoch
        self._set(self.closed_form() if restart else self.get_lr())

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = self._rates()

    def state_dict(self) -> dict[str, Any]:
        """Everything the schedule holds, the optimizer apart."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave. The rates themselves come back with the optimizer's
        state.
        """
        self.__dict__.update(state_dict)


def optimizer_of(optimizer: Any) -> Optimizer:
    """``optimizer`` itself; TypeError where it is none."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """An argument that is one value for all groups, or a list of one for each (ValueError for any other number)."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
            f"param_groups has {groups}."
        )
    return list(value)


def held(function: Any) -> dict[str, Any] | None:
    """What a callable object holds, to be saved; None of a plain function, which is to be given again when resuming."""
    return None if isinstance(function, types.FunctionType) else dict(vars(function))
