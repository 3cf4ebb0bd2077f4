"""Stochastic gradient descent, with momentum and Nesterov's variant of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import ingot
from ingot.ops import neural
from ingot.optim.optimizer import Closure, Optimizer, Params
from ingot.optim.steps import Steps
from ingot.tensor import Tensor


class SGD(Optimizer):
    """``p -= lr · g``, g the gradient, plus ``weight_decay · p``, passed through momentum.

    ``nesterov`` needs a momentum and no dampening (ValueError); ``maximize`` climbs instead.
    Several parameters share a launch where the device can, to the same bits; ``foreach=False``
    keeps them apart.
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
        self._share(foreach, fused)

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
        with Steps(bool(self._joined)) as steps:
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._step_of(parameter, parameter.grad, group, steps)
        return loss

    def _step_of(
        self, parameter: Tensor, gradient: Tensor, group: dict[str, Any], steps: Steps
    ) -> None:
        if group["momentum"] == 0:
            self._tell(group, {})
            numbers = self._numbers(group, {})
            steps.add("sgd_step", (parameter, gradient), numbers, (group["maximize"],), (parameter,))
            return
        state = self.state[parameter]
        buffer = state.get("momentum_buffer")
        first = buffer is None
        if first:
            buffer = state["momentum_buffer"] = ingot.zeros_like(parameter)
        self._tell(group, state)
        tensors, numbers = (parameter, gradient, buffer), self._numbers(group, state)
        attrs = (group["nesterov"], first, group["maximize"])
        steps.add("sgd_momentum_step", tensors, numbers, attrs, (parameter, buffer))
