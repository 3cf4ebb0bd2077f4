"""Steps along a running mean of the gradient, scaled by one of its square: Adam, and what came of it.

Most numbers of a row depend on how many steps were taken: `adam_numbers`, `nadam_numbers` and `radam_numbers` give them in
order, for step ``step`` (from 1)::

    b.adamw_step(param, grad, exp_avg, exp_avg_sq, *adam_numbers(step, lr, beta1, beta2, eps, decay, decoupled=True))

Each rule has two rows: ``adam_step``, whose decay is added to the gradient, and ``adamw_step``, where it shrinks the parameter.
"""

from __future__ import annotations

import math
from typing import Any

from ..ir import scalar as s
from ..ir.expr import Expr, where
from .optimizer import lerp, optimizer

Numbers = tuple[float | None, ...]
Values = tuple[Expr, ...]


def decay_number(lr: float, weight_decay: float, decoupled: bool) -> float | None:
    """The decay as a row takes it: the factor 1 - lr·λ of the parameter if ``decoupled``, else λ; None for a λ of 0."""
    return None if weight_decay == 0 else 1.0 - lr * weight_decay if decoupled else float(weight_decay)


def adam_numbers(
    step: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, *, decoupled: bool
) -> Numbers:
    """c·lr/(1-β₁ᵗ), 1-β₁, β₂, 1-β₂, c·ε and the decay, with c = √(1-β₂ᵗ).

    m/(√v/c + ε) is c·m/(√v + c·ε): the correction is part of two numbers, and no element is divided by it.
    """
    correction = math.sqrt(1 - beta2**step)
    return (lr / (1 - beta1**step) * correction, 1.0 - beta1, float(beta2), 1.0 - beta2, eps * correction,
            decay_number(lr, weight_decay, decoupled))


def nadam_momentum(step: int, beta1: float, momentum_decay: float) -> float:
    """μ of step ``step``: β₁·(1 - 0.96^(t·ψ)/2)."""
    fading: float = 0.96 ** (step * momentum_decay)
    return beta1 * (1 - 0.5 * fading)


def nadam_numbers(
    step: int, mu_product: float, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float,
    momentum_decay: float, *, decoupled: bool,
) -> Numbers:  # fmt: skip
    """What the gradient and what its mean are multiplied by, then as `adam_numbers` from 1-β₁ on.

    ``mu_product`` is that of the μ of all steps before.
    """
    mu, following = (nadam_momentum(step + k, beta1, momentum_decay) for k in (0, 1))
    correction = math.sqrt(1 - beta2**step)
    product = mu_product * mu
    return (lr * (1 - mu) / (1 - product) * correction, lr * following / (1 - product * following) * correction,
            1.0 - beta1, float(beta2), 1.0 - beta2, eps * correction, decay_number(lr, weight_decay, decoupled))


def radam_numbers(
    step: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, *, decoupled: bool
) -> Numbers:
    """The step's size, 1-β₁, β₂, 1-β₂, ε, 1.0 where the second moment is used (0.0 in the first steps), and the decay."""
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / (1 - beta2**step)
    size, rectified = lr / (1 - beta1**step), length > 5
    if rectified:
        ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        size *= math.sqrt(ratio * (1 - beta2**step))
    return (size, 1.0 - beta1, float(beta2), 1.0 - beta2, float(eps), float(rectified), decay_number(lr, weight_decay, decoupled))


def _moments(g: Expr, mean: Expr, square: Expr, rest1: Expr, beta2: Expr, rest2: Expr) -> Values:
    return lerp(mean, g, rest1), square * beta2 + g * g * rest2


def _adam(p: Expr, g: Expr, mean: Expr, square: Expr, size: Expr, rest1: Expr, beta2: Expr, rest2: Expr, eps: Expr) -> Values:
    mean, square = _moments(g, mean, square, rest1, beta2, rest2)
    return p - mean / (s.sqrt(square) + eps) * size, mean, square


def _amsgrad(p: Expr, g: Expr, mean: Expr, square: Expr, top: Expr, size: Expr, *numbers: Any) -> Values:
    *rest, eps = numbers
    mean, square = _moments(g, mean, square, *rest)
    top = s.maximum(top, square)
    return p - mean / (s.sqrt(top) + eps) * size, mean, square, top


def _adamax(p: Expr, g: Expr, mean: Expr, most: Expr, size: Expr, rest1: Expr, beta2: Expr, eps: Expr) -> Values:
    mean, most = lerp(mean, g, rest1), s.maximum(most * beta2, s.absolute(g) + eps)
    return p - mean / most * size, mean, most


def _nadam(p: Expr, g: Expr, mean: Expr, square: Expr, now: Expr, before: Expr, *numbers: Any) -> Values:
    *rest, eps = numbers
    mean, square = _moments(g, mean, square, *rest)
    return p - (g * now + mean * before) / (s.sqrt(square) + eps), mean, square


def _radam(p: Expr, g: Expr, mean: Expr, square: Expr, size: Expr, *numbers: Any) -> Values:
    *rest, eps, rectified = numbers
    mean, square = _moments(g, mean, square, *rest)
    return p - mean * size / where(rectified > 0.5, s.sqrt(square) + eps, 1), mean, square


# fmt: off
for _w, _decay in (("", "weight_decay?"), ("w", "shrink?")):
    optimizer(f"adam{_w}_step", "exp_avg exp_avg_sq", f"step_size rest1 beta2 rest2 eps {_decay}", _adam, "Numbers as `adam_numbers` gives them.")
    optimizer(f"adam{_w}_amsgrad_step", "exp_avg exp_avg_sq max_exp_avg_sq", f"step_size rest1 beta2 rest2 eps {_decay}", _amsgrad, "By the greatest second moment so far; numbers as of `adam_numbers`.")
    optimizer(f"nadam{_w}_step", "exp_avg exp_avg_sq", f"of_grad of_mean rest1 beta2 rest2 eps {_decay}", _nadam, "With Nesterov's momentum; numbers as `nadam_numbers` gives them.")
    optimizer(f"radam{_w}_step", "exp_avg exp_avg_sq", f"step_size rest1 beta2 rest2 eps rectified {_decay}", _radam, "With a rectified second moment; numbers as `radam_numbers` gives them.")
optimizer("adamax_step", "exp_avg exp_inf", "step_size rest1 beta2 eps weight_decay?", _adamax, "By a running maximum; step_size is lr/(1-β₁ᵗ).")
# fmt: on
