"""Schedules that go down along half a cosine: and up again, or from the beginning."""

from __future__ import annotations

import math
from functools import partial

from ingot.optim.lr_scheduler.scheduler import LRScheduler
from ingot.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from base_lr down to ``eta_min`` in ``T_max`` epochs, and up again after."""

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def get_lr(self) -> list[float]:
        if self._initial:
            return self._rates()
        if (self.last_epoch - 1 - self.T_max) % (
            2 * self.T_max
        ) == 0:  # the epoch before was the lowest
            lift = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                rate + (base - self.eta_min) * lift
                for base, rate in zip(self.base_lrs, self._rates(), strict=True)
            ]
        ratio = self._height(self.last_epoch) / self._height(self.last_epoch - 1)
        return [ratio * (rate - self.eta_min) + self.eta_min for rate in self._rates()]

    def closed_form(self) -> list[float]:
        height = self._height(self.last_epoch)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from base_lr down to ``eta_min`` in ``T_0`` epochs, then again from base_lr, each time in ``T_mult`` times
    as many (SGDR: Loshchilov and Hutter, 2017).

    ``T_cur`` is the number of epochs since the last restart, ``T_i`` that until the next.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (int, float)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to ``epoch``, which may lie between two: ``step(epoch + batch / batches)``."""
        if self._recorded(partial(self.step, epoch)):
            return
        if epoch is None:
            self._advance(self.last_epoch + 1)
            return
        if epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        self._go_to(epoch)
        super()._advance(math.floor(epoch))

    def _advance(self, epoch: int, restart: bool = False) -> None:
        if epoch == 0:
            self._go_to(0)
        else:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        super()._advance(epoch, restart)

    def _go_to(self, epoch: float) -> None:
        """``T_cur`` and ``T_i`` at any epoch."""
        self.T_i = self.T_0
        self.T_cur = epoch % self.T_0 if self.T_mult == 1 else epoch
        while self.T_cur >= self.T_i:
            self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
