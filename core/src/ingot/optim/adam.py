"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from ingot_devices.opset.optimizer import adam_numbers

import ingot
from ingot.optim.optimizer import Closure, Optimizer, Params
from ingot.optim.steps import Steps
from ingot.tensor import Tensor


class Adam(Optimizer):
    """Adam; ``weight_decay`` is added to the gradient (L2), `AdamW` applies it to the parameter
    itself.

    State per parameter: ``step`` (int), ``exp_avg``, ``exp_avg_sq``, with ``amsgrad`` also
    ``max_exp_avg_sq``. ``maximize`` climbs instead. Several parameters share a launch where the
    device can, to the same bits; ``foreach=False`` keeps them apart.
    """

    moments: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _opt_called = False
    inputs: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "weight_decay")
    _decoupled: ClassVar[bool] = False  # how weight decay is applied

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )
        self._share(foreach, fused)

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        for number, beta in enumerate(group["betas"]):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {number}: {beta}")

    def _new_state(self, parameter: Tensor, amsgrad: bool) -> dict[str, Any]:
        state = {
            "step": 0,
            "exp_avg": ingot.zeros_like(parameter),
            "exp_avg_sq": ingot.zeros_like(parameter),
        }
        if amsgrad:
            state["max_exp_avg_sq"] = ingot.zeros_like(parameter)
        return state

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        beta1, beta2 = group["betas"]
        return adam_numbers(
            state["step"],
            float(group["lr"]),
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            decoupled=self._decoupled,
        )

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = self._loss_of(closure)
        with Steps(bool(self._joined)) as steps:
            for group in self.param_groups:
                known: dict[int, tuple[Any, ...]] = {}
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._step_of(parameter, parameter.grad, group, steps, known)
        return loss

    def _step_of(
        self,
        parameter: Tensor,
        gradient: Tensor,
        group: dict[str, Any],
        steps: Steps,
        known: dict[int, tuple[Any, ...]],
    ) -> None:
        """One parameter's step; ``known`` are the numbers of the group's, by their count."""
        state = self.state[parameter]
        if not state:
            state.update(self._new_state(parameter, group["amsgrad"]))
        self._count(state)
        if group["amsgrad"]:
            steps.flush()
            self._step_amsgrad(parameter, gradient, state, group)
            return
        self._tell(group, state)
        name = "adamw_step" if self._decoupled else "adam_step"
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        numbers = known.get(state["step"])
        if numbers is None:
            numbers = known[state["step"]] = self._numbers(group, state)
        tensors = (parameter, gradient, mean, square)
        steps.add(name, tensors, numbers, (group["maximize"],), (parameter, mean, square))

    def _step_amsgrad(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """The variant that divides by the greatest second moment so far; rare, so made of ordinary
        ops.
        """
        beta1, beta2 = group["betas"]
        lr, decay = group["lr"], group["weight_decay"]
        mean, square, greatest = state["exp_avg"], state["exp_avg_sq"], state["max_exp_avg_sq"]
        with ingot.no_grad():
            if group["maximize"]:
                gradient = -gradient
            if decay and self._decoupled:
                parameter.mul_(1 - lr * decay)
            elif decay:
                gradient = gradient + parameter * decay
            mean.mul_(beta1).add_(gradient, alpha=1 - beta1)
            square.mul_(beta2).add_(gradient * gradient, alpha=1 - beta2)
            greatest.copy_(ingot.maximum(greatest, square))
            root = math.sqrt(1 - beta2 ** state["step"])
            scale = greatest.sqrt() / root + group["eps"]
            parameter.sub_(mean / scale, alpha=lr / (1 - beta1 ** state["step"]))


class AdamW(Adam):
    """Adam with weight decay applied to the parameter itself: ``p *= 1 - lr · weight_decay`` before
    the step.
    """

    _decoupled: ClassVar[bool] = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            foreach=foreach,
            fused=fused,
        )
