"""What came of Adam: another momentum (NAdam), a warm-up that follows from it (RAdam), a maximum for the square (Adamax)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ingot_devices.opset import adam as rows

from ingot.optim.fused import Fused, Rule, decay_of, decoupled
from ingot.optim.optimizer import Params


class NAdam(Fused):
    """Adam with Nesterov's momentum (Dozat, 2016), which grows by ``momentum_decay``; ``decoupled_weight_decay`` as AdamW's.

    State per parameter: ``step`` (int), ``mu_product`` (float), ``exp_avg``, ``exp_avg_sq``. ``maximize`` climbs instead.
    """

    moments: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    counters: ClassVar[Mapping[str, float]] = {"step": 0, "mu_product": 1.0}
    inputs: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "weight_decay", "momentum_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
            foreach,
        )

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        return Rule(decoupled("nadam", group), self.moments, (group["maximize"],))

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        beta1, beta2 = group["betas"]
        return rows.nadam_numbers(
            state["step"] + 1,
            state["mu_product"],
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["momentum_decay"],
            decoupled=group["decoupled_weight_decay"],
        )

    def _advance(self, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        super()._advance(group, state)
        mu = rows.nadam_momentum(state["step"], group["betas"][0], group["momentum_decay"])
        state["mu_product"] *= mu


class RAdam(Fused):
    """Adam whose second moment is rectified, and left out in the first steps (Liu et al., 2020); ``decoupled_weight_decay``
    as AdamW's.

    State per parameter: ``step`` (int), ``exp_avg``, ``exp_avg_sq``. ``maximize`` climbs instead.
    """

    moments: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    inputs: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
            foreach,
        )

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        return Rule(decoupled("radam", group), self.moments, (group["maximize"],))

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        beta1, beta2 = group["betas"]
        return rows.radam_numbers(
            state["step"] + 1,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
        )


class Adamax(Fused):
    """Adam by the greatest gradient so far, which fades (Kingma and Ba, 2015, section 7.1), in place of the second moment.

    State per parameter: ``step`` (int), ``exp_avg``, ``exp_inf``. ``maximize`` climbs instead.
    """

    op: ClassVar[str] = "adamax_step"
    moments: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_inf")
    inputs: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize},
            foreach,
        )

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        beta1, beta2 = group["betas"]
        rate = group["lr"] / (1 - beta1 ** (state["step"] + 1))
        return rate, 1.0 - beta1, float(beta2), float(group["eps"]), decay_of(group)
