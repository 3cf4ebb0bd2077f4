"""The step of each optimizer: a few steps on one parameter with given gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import Record, S, V


def W(name: str, kind: str, reference: Callable[..., Any], samples: tuple[Any, ...]) -> Record:
    """A row: ``optim.<kind>`` against ``reference``."""
    dtypes = ("float32", "float64")
    return Record(
        name,
        stepper(kind),
        reference,
        samples,
        dtypes,
        ulp=16,
        scale=1.0,
        grad=False,
        group="optimizer",
    )


def stepper(kind: str) -> Callable[..., Any]:
    """Runs ``optim.<kind>`` on a copy of ``p``, once per gradient."""

    def call(t: Any, p: Any, gradients: Any, **kwargs: Any) -> Any:
        parameter = p.detach().clone().requires_grad_()
        optimizer = getattr(t.optim, kind)([parameter], **kwargs)
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
        return parameter.detach()

    return call


def directed(p: Any, g: Any, weight_decay: float = 0, maximize: bool = False) -> Any:
    """The gradient to go down along, with the decay in it."""
    g = -g if maximize else g
    return g + weight_decay * p if weight_decay else g


def decayed(p: Any, lr: float, weight_decay: float, decoupled: bool) -> tuple[Any, float]:
    """The parameter, shrunk where the decay is decoupled, and the decay that is left."""
    return (p * (1 - lr * weight_decay), 0) if decoupled else (p, weight_decay)


def averaged(m: Any, v: Any, g: Any, betas: Any) -> tuple[Any, Any]:
    """Adam's running means of the gradient and of its square."""
    return betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g


def sgd(
    p: Any,
    gradients: Any,
    lr: float = 1e-3,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    maximize: bool = False,
) -> Any:
    velocity = None
    for given in gradients:
        g = directed(p, given, weight_decay, maximize)
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
    return p


def adam(
    p: Any,
    gradients: Any,
    lr: float = 1e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> Any:
    m, v, top = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for k, given in enumerate(gradients, 1):
        p, rest = decayed(p, lr, weight_decay, decoupled_weight_decay)
        g = directed(p, given, rest, maximize)
        m, v = averaged(m, v, g, betas)
        top = np.maximum(top, v) if amsgrad else v
        p = p - lr * (m / (1 - betas[0] ** k)) / (np.sqrt(top / (1 - betas[1] ** k)) + eps)
    return p


def adamw(p: Any, gradients: Any, weight_decay: float = 1e-2, **kwargs: Any) -> Any:
    return adam(p, gradients, weight_decay=weight_decay, decoupled_weight_decay=True, **kwargs)


def steps(*kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Samples: each of ``kwargs`` on a matrix, the first also on a scalar and on nothing, the last on five elements, which
    leave one over."""
    each = tuple(S(V(3, 4), [V(3, 4)] * 3, **k) for k in kwargs)
    tail = S(V(5), [V(5)] * 3, **kwargs[-1])
    return (*each, tail, S(V(), [V()] * 2, **kwargs[0]), S(V(0, 2), [V(0, 2)], **kwargs[0]))


# fmt: off
RECORDS = (
    W("sgd_step", "SGD", sgd, steps(
        {"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.5, "dampening": 0.3},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"lr": 0.1, "maximize": True})),
    W("adam_step", "Adam", adam, steps(
        {"lr": 0.1}, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.1, "maximize": True}, {"lr": 0.1, "amsgrad": True},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True})),
    W("adamw_step", "AdamW", adamw, steps(
        {"lr": 0.1}, {"lr": 0.05, "betas": (0.8, 0.95)}, {"lr": 0.1, "weight_decay": 0.2},
        {"lr": 0.1, "amsgrad": True})),
)
# fmt: on
