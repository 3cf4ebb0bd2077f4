"""Averages of a model's weights: stochastic weight averaging (Izmailov et al., 2018), exponential ones, and a schedule.

    AveragedModel(model) ──update_parameters(model) after steps──▶ its module ──update_bn(loader, …)──▶ to be evaluated
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

import ingot
from ingot.nn.modules.batchnorm import _BatchNorm
from ingot.nn.modules.module import Module
from ingot.optim.lr_scheduler.scheduler import LRScheduler, per_group
from ingot.optim.optimizer import Optimizer
from ingot.tensor import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """Averages lists in place: ``decay`` · average + (1 - ``decay``) · current."""
    _check_decay(decay)
    return lambda averages, values, count: _blend(averages, values, 1 - decay)


def get_swa_multi_avg_fn() -> MultiAverage:
    """Averages lists in place, as a mean of all that came: the average of ``count`` and one more."""
    return lambda averages, values, count: _blend(averages, values, 1 / (float(count) + 1))


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """As `get_ema_multi_avg_fn`, of one tensor, which is returned."""
    _check_decay(decay)
    return lambda average, value, count: decay * average + (1 - decay) * value


def get_swa_avg_fn() -> Average:
    """As `get_swa_multi_avg_fn`, of one tensor, which is returned."""
    return lambda average, value, count: average + (value - average) / (count + 1)


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _blend(averages: Iterable[Tensor], values: Iterable[Tensor], weight: float) -> None:
    with ingot.no_grad():
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(average + (value - average) * weight)


class AveragedModel(Module):
    """A copy of ``model`` (its ``module``, on ``device``), whose parameters are averages of those given to `update_parameters`.

    A mean of all of them, or what ``avg_fn(average, current, n_averaged)`` returns, or ``multi_avg_fn(averages, currents,
    n_averaged)`` writes, which gets lists of tensors of one device and dtype. Buffers are those of the last model, unless
    ``use_buffers``: then they are averaged, too. ``n_averaged`` is a buffer: it is saved with the rest.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ingot.tensor(0, dtype=ingot.long, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of ``model`` into the averages; the first ones are copied."""
        with ingot.no_grad():
            averages = [p.detach() for p in self._averaged(self.module)]
            values = [
                p.detach().to(average.device)
                for average, p in zip(averages, self._averaged(model), strict=True)
            ]
            if int(self.n_averaged) == 0:
                for average, value in zip(averages, values, strict=True):
                    average.copy_(value)
            else:
                self._average(averages, values)
            if not self.use_buffers:
                for own, other in zip(self.module.buffers(), model.buffers(), strict=True):
                    own.copy_(other)
            self.n_averaged.add_(1)

    def _averaged(self, model: Module) -> Iterable[Tensor]:
        return chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()

    def _average(self, averages: list[Tensor], values: list[Tensor]) -> None:
        if self.avg_fn is not None:
            for average, value in zip(averages, values, strict=True):
                average.copy_(self.avg_fn(average, value, self.n_averaged.to(average.device)))
            return
        kinds: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for average, value in zip(averages, values, strict=True):
            pairs = kinds.setdefault((average.device, average.dtype), ([], []))
            pairs[0].append(average)
            pairs[1].append(value)
        update = self.multi_avg_fn or get_swa_multi_avg_fn()
        for (device, _), pairs in kinds.items():
            update(*pairs, self.n_averaged.to(device))


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Give batch normalisation in ``model`` the statistics of all batches of ``loader`` (of a tuple, its first)."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    before, training = [norm.momentum for norm in norms], model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in loader:
        values = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(values if device is None else values.to(device))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """From the present rate to ``swa_lr`` (one, or one for each group) in ``anneal_epochs``, and there it stays; along half a
    cosine, or ``anneal_strategy="linear"``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for group, rate in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr), strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of ``swa_lr`` is in the rate after ``step`` steps."""
        done = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return done if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * done)) / 2

    def get_lr(self) -> list[float]:
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, share = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate, last = group["lr"], group["swa_lr"]
            first = last if before == 1 else (rate - before * last) / (1 - before)  # where it began
            rates.append(last * share + first * (1 - share))
        return rates
