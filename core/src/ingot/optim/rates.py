"""A rate for each element: RMSprop, Adagrad and Adadelta, by its gradients' squares, and Rprop, by their signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import ingot
from ingot.optim.fused import Fused, Rule, decay_of
from ingot.optim.optimizer import Params
from ingot.tensor import Tensor


class RMSprop(Fused):
    """Steps by the root of a running mean of squares (Hinton, 2012), or, ``centered``, of the variance (Graves, 2013).

    State per parameter: ``step`` (int), ``square_avg``, with a momentum ``momentum_buffer``, centered ``grad_avg``.
    ``maximize`` climbs instead.
    """

    moments: ClassVar[tuple[str, ...]] = ("square_avg", "momentum_buffer", "grad_avg")
    inputs: ClassVar[tuple[str, ...]] = ("lr", "alpha", "eps", "momentum", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
            foreach,
        )

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        if not group["alpha"] >= 0.0:
            raise ValueError(f"Invalid alpha value: {group['alpha']}; it must be at least 0")

    def _rule(self, group: Mapping[str, Any]) -> Rule:
        held, centered = group["momentum"] > 0, group["centered"]
        name = f"rmsprop{'_centered' if centered else ''}{'_momentum' if held else ''}_step"
        kept = dict(zip(self.moments, (True, held, centered), strict=True))
        return Rule(name, tuple(m for m in kept if kept[m]), (group["maximize"],))

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        alpha, momentum = group["alpha"], group["momentum"]
        rates = float(group["lr"]), float(alpha), 1.0 - alpha, float(group["eps"])
        return (*rates, float(momentum), decay_of(group)) if momentum > 0 else (*rates, decay_of(group))


class Adagrad(Fused):
    """Steps by the root of the sum of squares so far (Duchi, Hazan and Singer, 2011), which begins at
    ``initial_accumulator_value``; the rate falls as lr / (1 + lr_decay · t).

    State per parameter: ``step`` (int), ``sum``, from the beginning. ``maximize`` climbs instead.
    """

    op: ClassVar[str] = "adagrad_step"
    moments: ClassVar[tuple[str, ...]] = ("sum",)
    inputs: ClassVar[tuple[str, ...]] = ("lr", "lr_decay", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
            foreach,
            fused,
        )
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = self._begin(parameter, group, self._rule(group))

    def _begin(self, parameter: Tensor, group: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
        first = self.defaults["initial_accumulator_value"]  # that of all groups, as in PyTorch
        return {**self.counters, "sum": ingot.full_like(parameter, float(first))}

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        return group["lr"] / (1.0 + state["step"] * group["lr_decay"]), float(group["eps"]), decay_of(group)


class Adadelta(Fused):
    """Steps by the ratio of two running means of squares, of steps and of gradients (Zeiler, 2012).

    State per parameter: ``step`` (int), ``square_avg``, ``acc_delta``. ``maximize`` climbs instead.
    """

    op: ClassVar[str] = "adadelta_step"
    moments: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")
    inputs: ClassVar[tuple[str, ...]] = ("lr", "rho", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, foreach
        )

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        if not 0.0 <= group["rho"] <= 1.0:
            raise ValueError(f"Invalid rho value: {group['rho']}; it must be between 0 and 1")

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        rho = group["rho"]
        return float(group["lr"]), float(rho), 1.0 - rho, float(group["eps"]), decay_of(group)


class Rprop(Fused):
    """Steps by the gradient's sign (Riedmiller and Braun, 1993): each element has a size, from ``lr`` at first, which grows by
    ``etas[1]`` while the sign stays, and shrinks by ``etas[0]`` where it changes, within ``step_sizes``. For whole batches.

    State per parameter: ``step`` (int), ``prev``, ``step_size``. ``maximize`` climbs instead.
    """

    op: ClassVar[str] = "rprop_step"
    moments: ClassVar[tuple[str, ...]] = ("prev", "step_size")
    inputs: ClassVar[tuple[str, ...]] = ("lr", "etas", "step_sizes")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}, foreach)

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        less, more = group["etas"]
        if not 0.0 < less < 1.0 < more:
            raise ValueError(f"Invalid eta values: {less}, {more}; the first lies between 0 and 1, the second above")

    def _begin(self, parameter: Tensor, group: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
        size = ingot.full_like(parameter, float(group["lr"]))
        return {**self.counters, "prev": ingot.zeros_like(parameter), "step_size": size}

    def _numbers(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple([float(n) for n in (*group["etas"], *group["step_sizes"])])
