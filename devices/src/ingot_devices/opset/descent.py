"""Steps along the gradient, as it is or scaled element by element: SGD, ASGD, Rprop, RMSprop, Adagrad, Adadelta.

In each formula ``p`` is the parameter, ``g`` the gradient with its decay. See `optimizer` for what rows share.
"""

from __future__ import annotations

from typing import Any

from ..ir import scalar as s
from ..ir.expr import Expr, where
from .optimizer import lerp, optimizer

Values = tuple[Expr, ...]


def _sgd(p: Expr, g: Expr, lr: Expr) -> Values:
    return (p - g * lr,)


def _sgd_momentum(p: Expr, g: Expr, held: Expr, lr: Expr, momentum: Expr, rest: Expr, nesterov: bool, first: bool) -> Values:
    held = g if first else held * momentum + g * rest
    return p - (g + held * momentum if nesterov else held) * lr, held


def _asgd(p: Expr, g: Expr, mean: Expr, eta: Expr, rest: Expr, mu: Expr) -> Values:
    p = p * rest - g * eta
    return p, where(mu.eq(1), p, mean + (p - mean) * mu)


def _rprop(p: Expr, g: Expr, before: Expr, size: Expr, minus: Expr, plus: Expr, least: Expr, most: Expr) -> Values:
    turn = g * before
    factor = where(turn > 0, plus, where(turn < 0, minus, where(turn.eq(0), 1, turn)))  # a NaN stays one
    size = s.minimum(s.maximum(size * factor, least), most)
    g = where(turn < 0, 0, g)
    return p - s.sign(g) * size, g, size


def _rmsprop(centered: bool, momentum: bool) -> Any:
    def formula(p: Expr, g: Expr, square: Expr, *rest: Expr) -> Values:
        """``rest``: the buffer and the mean gradient, as far as there are any, then the numbers in order."""
        held = list(rest[: centered + momentum])
        lr, alpha, other, eps, *factor = rest[centered + momentum :]
        square = square * alpha + g * g * other
        variance = square
        if centered:
            held[-1] = lerp(held[-1], g, other)
            variance = square - held[-1] * held[-1]
        step = g / (s.sqrt(variance) + eps)
        if momentum:
            step = held[0] = held[0] * factor[0] + step
        return p - step * lr, square, *held

    return formula


def _adagrad(p: Expr, g: Expr, total: Expr, step_size: Expr, eps: Expr) -> Values:
    total = total + g * g
    return p - g / (s.sqrt(total) + eps) * step_size, total


def _adadelta(p: Expr, g: Expr, square: Expr, moved: Expr, lr: Expr, rho: Expr, rest: Expr, eps: Expr) -> Values:
    square = square * rho + g * g * rest
    delta = s.sqrt(moved + eps) / s.sqrt(square + eps) * g
    return p - delta * lr, square, moved * rho + delta * delta * rest


# fmt: off
optimizer("sgd_step", "", "lr weight_decay?", _sgd, "p - lr·g.")
optimizer("sgd_momentum_step", "momentum_buffer", "lr momentum rest weight_decay?", _sgd_momentum,
          "With b = momentum·b + rest·g, or b = g at first; rest is 1 - dampening.", nesterov=False, first=False)
optimizer("asgd_step", "ax", "eta rest mu weight_decay?", _asgd, "rest·p - eta·g, rest being 1 - λ·eta, and its mean ax, of which mu is the share of the newest.")
optimizer("rprop_step", "prev step_size", "eta_minus eta_plus least most", _rprop, "A size for each element, which grows while the gradient keeps its sign.")
optimizer("adagrad_step", "sum", "step_size eps weight_decay?", _adagrad, "By the root of the sum of squares.")
optimizer("adadelta_step", "square_avg acc_delta", "lr rho rest eps weight_decay?", _adadelta, "By the ratio of the means of squares, of steps and of gradients; rest is 1 - rho.")
for _how, _moments, _more in (("", "", ""), ("_momentum", " momentum_buffer", "momentum ")):
    for _way, _mean in (("", ""), ("_centered", " grad_avg")):
        optimizer(f"rmsprop{_way}{_how}_step", f"square_avg{_moments}{_mean}", f"lr alpha rest eps {_more}weight_decay?", _rmsprop(bool(_way), bool(_how)),
                  "By the root of the mean of squares, or of the variance; rest is 1 - alpha.")
# fmt: on
