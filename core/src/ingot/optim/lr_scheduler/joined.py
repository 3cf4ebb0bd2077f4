"""Schedules made of others: one after the other (SequentialLR), or all of them at each step (ChainedScheduler)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingot.optim.lr_scheduler.plateau import ReduceLROnPlateau
from ingot.optim.lr_scheduler.scheduler import LRScheduler
from ingot.optim.optimizer import Optimizer


class _Joined(LRScheduler):
    """Holds the others, checks that they belong together, and saves and loads them."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        kind = type(self).__name__
        if not schedulers:
            raise ValueError(f"{kind} expects at least one scheduler, but got no scheduler.")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for number, schedule in enumerate(schedulers):
            if isinstance(schedule, ReduceLROnPlateau):
                raise ValueError(
                    f"{kind} does not support ReduceLROnPlateau, whose step takes a metric, but the scheduler at index "
                    f"{number} is one"
                )
            if schedule.optimizer is not self.optimizer:
                raise ValueError(
                    f"{kind} expects all schedulers to belong to the same optimizer, but {type(schedule).__name__} at "
                    f"index {number} belongs to another one"
                )
        self._schedulers = schedulers

    def parts(self) -> Iterator[LRScheduler]:
        """This schedule, and those that it is made of."""
        yield self
        for schedule in self._schedulers:
            yield from schedule.parts()

    def state_dict(self) -> dict[str, Any]:
        """As the base class's, with the schedules' own states."""
        return {**super().state_dict(), "_schedulers": [schedule.state_dict() for schedule in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, here and in every schedule."""
        for schedule, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            schedule.load_state_dict(state)
        own = {name: value for name, value in state_dict.items() if name != "_schedulers"}
        super().load_state_dict(own)


class SequentialLR(_Joined):
    """``schedulers`` one after the other, each starting at epoch 0 of its own at its milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        super().__init__(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got number of schedulers {len(schedulers)} "
                f"and the number of milestones to be equal to {len(milestones)}"
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for schedule in self.parts():  # each took its first step when it was made; only one of them should have
            if not isinstance(schedule, _Joined):
                schedule.last_epoch -= 1
        self._initial_step()

    def _initial_step(self) -> None:
        self.last_epoch = max(self.last_epoch, 0)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _advance(self, epoch: int, restart: bool = False) -> None:
        """Start over, as a part of another sequence."""
        self.last_epoch = epoch
        first = self._schedulers[bisect_right(self._milestones, epoch)]
        first._advance(epoch, restart)
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Go on by one epoch in the schedule whose turn it is."""
        if self._recorded(self.step):
            return
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        schedule = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            schedule._advance(0, restart=True)
        else:
            schedule.step()
        self._last_lr = schedule.get_last_lr()


class ChainedScheduler(_Joined):
    """All ``schedulers`` at each step, each from the rate that the one before has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        super().__init__(schedulers, optimizer)
        self._last_lr = self._rates()

    def _initial_step(self) -> None:
        for schedule in self._schedulers:
            schedule._initial_step()
        self._last_lr = self._rates()

    def _advance(self, epoch: int, restart: bool = False) -> None:
        """Start over, as a part of a sequence: from the first rates."""
        for group in self.optimizer.param_groups if restart else ():
            group["lr"] = group["initial_lr"]
        for schedule in self._schedulers:
            schedule._initial_step() if restart else schedule._advance(epoch)
        self._last_lr = self._rates()

    def step(self) -> None:
        """Go on by one epoch in all of them."""
        if self._recorded(self.step):
            return
        for schedule in self._schedulers:
            schedule.step()
        self._last_lr = self._rates()
