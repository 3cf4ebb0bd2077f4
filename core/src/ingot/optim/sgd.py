"""Stochastic gradient descent: with momentum and Nesterov's variant of it (SGD), and averaged (ASGD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ingot.ops import neural
from ingot.optim.fused import Fused, Rule, decay_of
from ingot.optim.optimizer import Params
from ingot.tensor import Tensor


class SGD(Fused):
    """``p -= lr · g``, g the gradient, plus ``weight_decay · p``, passed through momentum.

    ``nesterov`` needs a momentum and no dampening (ValueError); ``maximize`` climbs instead. State per parameter, with a
    momentum: ``momentum_buffer``.
    """

    moments: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    counters: ClassVar[Mapping[str, float]] = {}
    inputs: ClassVar[tuple[str, ...]] = ("lr", "momentum", "dampening", "weight_decay")

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
            foreach,
            fused,
        )

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        climbs = group["maximize"]
        if group["momentum"] == 0:
            return Rule("sgd_step", (), (climbs,))
        nesterov = group["nesterov"]
        return Rule("sgd_momentum_step", self.moments, (nesterov, False, climbs), first=(nesterov, True, climbs))

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        momentum = group["momentum"]
        return neural.sgd_numbers(
            group["lr"], momentum, group["dampening"], group["weight_decay"], has_buffer=momentum != 0
        )


class ASGD(Fused):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992): ``p -= eta · (g + lambd · p)``, where
    eta = lr / (1 + lambd·lr·t)^alpha, and ``ax`` in the state is the mean of p since step ``t0``.

    State per parameter: ``step`` (int), ``eta`` and ``mu`` (floats), ``ax``. ``maximize`` climbs instead.
    """

    op: ClassVar[str] = "asgd_step"
    moments: ClassVar[tuple[str, ...]] = ("ax",)
    counters: ClassVar[Mapping[str, float]] = {"step": 0, "eta": 0.0, "mu": 1.0}
    inputs: ClassVar[tuple[str, ...]] = ("lr", "lambd", "alpha", "t0", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
            foreach,
        )

    def _begin(self, parameter: Tensor, group: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
        return {**super()._begin(parameter, group, rule), "eta": float(group["lr"])}

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        eta = state["eta"]
        return eta, 1.0 - group["lambd"] * eta, state["mu"], decay_of(group)

    def _advance(self, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        """The rate of the next step, and its share in the mean."""
        super()._advance(group, state)
        lr, step = group["lr"], state["step"]
        state["eta"] = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]
        state["mu"] = 1.0 / max(1, step - group["t0"])
