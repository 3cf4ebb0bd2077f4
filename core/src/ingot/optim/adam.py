"""Adam and AdamW: steps along a running mean of the gradient, scaled by one of its square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ingot_devices.opset import adam as rows

from ingot.optim.fused import Fused, Rule, decoupled
from ingot.optim.optimizer import Params

BETAS = (0.9, 0.999)


class Adam(Fused):
    """Adam (Kingma and Ba, 2015); ``weight_decay`` is added to the gradient (L2), unless
    ``decoupled_weight_decay``: then it is `AdamW`.

    State per parameter: ``step`` (int), ``exp_avg``, ``exp_avg_sq``, with ``amsgrad`` (Reddi et al., 2018) also
    ``max_exp_avg_sq``. ``maximize`` climbs instead.
    """

    moments: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    inputs: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = BETAS,
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            foreach,
            fused,
        )

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        attrs = (group["maximize"],)
        if group["amsgrad"]:
            return Rule("adamw_amsgrad_step" if group["decoupled_weight_decay"] else "adam_amsgrad_step", self.moments, attrs)
        return Rule(decoupled("adam", group), self.moments[:2], attrs)

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        beta1, beta2 = group["betas"]
        return rows.adam_numbers(
            state["step"] + 1,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
        )


class AdamW(Adam):
    """Adam with weight decay applied to the parameter itself (Loshchilov and Hutter, 2019): ``p *= 1 - lr · weight_decay``
    before the step.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = BETAS,
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
            decoupled_weight_decay=True,
        )

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As `Optimizer.load_state_dict`; the decay stays decoupled, also where the state is an `Adam`'s."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
