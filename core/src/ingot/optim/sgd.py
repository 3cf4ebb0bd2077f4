"""Stochastic gradient descent, with momentum and Nesterov's variant of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import ingot
from ingot.ops import neural
from ingot.optim.optimizer import Closure, Optimizer, Params


class SGD(Optimizer):
    """``p -= lr · g``, g the gradient, plus ``weight_decay · p``, passed through momentum.

    ``nesterov`` needs a momentum and no dampening (ValueError); ``maximize`` climbs instead.
    ``foreach`` and ``fused`` are accepted and change nothing: a step is one op per parameter in any
    case.
    """

    moments: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    inputs: ClassVar[tuple[str, ...]] = ("lr", "momentum", "dampening", "weight_decay")
    _opt_called = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        return neural.sgd_numbers(
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["weight_decay"],
            has_buffer=group["momentum"] != 0,
        )

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            lr, momentum, dampening = group["lr"], group["momentum"], group["dampening"]
            decay, nesterov = group["weight_decay"], group["nesterov"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                buffer, first, state = None, False, {}
                if momentum != 0:
                    state = self.state[parameter]
                    buffer = state.get("momentum_buffer")
                    if buffer is None:
                        first = True
                        buffer = state["momentum_buffer"] = ingot.zeros_like(parameter)
                self._tell(group, state)
                neural.sgd_step_(
                    parameter,
                    gradient,
                    buffer,
                    lr=lr,
                    momentum=momentum,
                    dampening=dampening,
                    weight_decay=decay,
                    nesterov=nesterov,
                    first=first,
                    maximize=group["maximize"],
                )
        return loss
