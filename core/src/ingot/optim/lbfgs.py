"""L-BFGS: Newton's direction from the last changes of the gradient, made of ordinary ops on one flat vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import ingot
from ingot.optim.line_search import Point, strong_wolfe
from ingot.optim.optimizer import Closure, Optimizer, Params
from ingot.tensor import Tensor

CURVED = 1e-10
"""How much a gradient must have changed along a step for that to be remembered."""


class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal, 1989). ``step`` takes a closure that computes the loss anew, with its gradients, and calls it
    again and again: in up to ``max_iter`` iterations and up to ``max_eval`` times (None: 1.25 · ``max_iter``), until no element
    of the gradient is above ``tolerance_grad`` or nothing changes by ``tolerance_change``.

    A step's length is ``lr``, or, ``line_search_fn="strong_wolfe"``, searched from it. One group of parameters (ValueError), on
    one device. State, kept with the first parameter: ``func_evals`` and ``n_iter`` (ints), ``d`` and ``t``, the last direction
    and length, ``old_dirs``, ``old_stps`` and ``ro``, the last ``history_size`` changes, ``H_diag``, ``prev_flat_grad``,
    ``prev_loss``, ``al``. Losses and slopes are read by the host: a compiled function that calls it runs eagerly.
    """

    counters: ClassVar[Mapping[str, float]] = {"func_evals": 0, "n_iter": 0}
    _opt_called = False

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The one group that there is; ValueError for another one."""
        if self.param_groups:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"line_search_fn is 'strong_wolfe' or None, not {group['line_search_fn']!r}")

    # ---- parameters as one vector ----------------------------------------------------------------
    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _gradient(self) -> Tensor:
        given = [ingot.zeros_like(p) if p.grad is None else p.grad.detach() for p in self._params]
        return ingot.cat([g.reshape(-1) for g in given])

    def _move(self, length: float, direction: Tensor) -> None:
        for p, piece in zip(self._params, direction.split([p.numel() for p in self._params]), strict=True):
            p.add_(piece.reshape(p.shape), alpha=length)

    def _at(self, closure: Closure, start: list[Tensor], length: float, direction: Tensor) -> Point:
        """The point at ``length``; the parameters go back to ``start``."""
        self._move(length, direction)
        loss, gradient = float(self._loss_of(closure)), self._gradient()
        for p, value in zip(self._params, start, strict=True):
            p.copy_(value)
        return Point(length, loss, gradient, float(gradient.dot(direction)))

    # ---- a step ----------------------------------------------------------------------------------
    def step(self, closure: Closure | None = None) -> Any:
        """Iterate from the present parameters; the loss there is returned."""
        if closure is None:
            raise TypeError(
                "LBFGS.step() needs a closure: a function that clears the gradients, computes the loss and calls its "
                "backward(), and returns it"
            )
        with ingot.no_grad():
            loss = self._loss_of(closure)
            gradient = self._gradient()
            state = self.state[self._params[0]]
            state["func_evals"] = state.get("func_evals", 0) + 1
            state.setdefault("n_iter", 0)
            if not _largest(gradient) <= self.param_groups[0]["tolerance_grad"]:
                self._iterate(closure, float(loss), gradient, state)
        return loss

    def _iterate(self, closure: Closure, loss: float, gradient: Tensor, state: dict[str, Any]) -> None:
        group, evaluations = self.param_groups[0], 1
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(gradient, state)
            first = state["n_iter"] == 1
            length = (min(1.0, 1.0 / float(gradient.abs().sum())) if first else 1.0) * group["lr"]
            point = Point(0.0, loss, gradient, float(gradient.dot(direction)))
            state.update(d=direction, t=length, prev_flat_grad=gradient, prev_loss=loss)
            if point.slope > -group["tolerance_change"]:
                return
            calls = 0
            if group["line_search_fn"] is not None:
                point, calls = self._search(closure, point, length, direction, group["max_eval"] - evaluations)
                state["t"] = point.length
                self._move(point.length, direction)
            else:
                self._move(length, direction)
                if iteration < group["max_iter"]:
                    point, calls = Point(length, float(self._loss_of(closure)), self._gradient(), 0.0), 1
            evaluations += calls
            state["func_evals"] += calls
            change, loss, gradient = abs(point.loss - loss), point.loss, point.gradient
            if iteration == group["max_iter"] or evaluations >= group["max_eval"] or change < group["tolerance_change"]:
                return
            if _largest(gradient) <= group["tolerance_grad"] or _largest(direction) * state["t"] <= group["tolerance_change"]:
                return

    def _search(self, closure: Closure, start: Point, length: float, direction: Tensor, most: int) -> tuple[Point, int]:
        before = [p.detach().clone() for p in self._params]
        tolerance = self.param_groups[0]["tolerance_change"]
        return strong_wolfe(
            lambda t: self._at(closure, before, t, direction), start, length, _largest(direction), tolerance, most
        )

    def _direction(self, gradient: Tensor, state: dict[str, Any]) -> Tensor:
        """Minus the inverse Hessian times ``gradient``, by the two loops over what is remembered."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -gradient
        self._remember(gradient, state)
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        shares = state["al"] = [None] * self.param_groups[0]["history_size"]
        q = -gradient
        for k in reversed(range(len(steps))):
            shares[k] = steps[k].dot(q) * ro[k]
            q.addcmul_(changes[k], shares[k], value=-1)
        q = q * state["H_diag"]
        for k in range(len(steps)):
            q.addcmul_(steps[k], shares[k] - changes[k].dot(q) * ro[k])
        return q

    def _remember(self, gradient: Tensor, state: dict[str, Any]) -> None:
        """The last step and how it changed the gradient, if that says how the loss is curved."""
        change, step = gradient - state["prev_flat_grad"], state["d"] * float(state["t"])
        curvature = change.dot(step)
        if not float(curvature) > CURVED:
            return
        for name, value in (("old_dirs", change), ("old_stps", step), ("ro", 1.0 / curvature)):
            state[name] = [*state[name], value][-self.param_groups[0]["history_size"] :]
        state["H_diag"] = curvature / change.dot(change)


def _largest(values: Tensor) -> float:
    return float(values.abs().max())
