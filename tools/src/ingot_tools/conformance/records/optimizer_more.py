"""The step of each optimizer beside SGD and Adam: some steps on one parameter with given gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .optimizer import W, averaged, decayed, directed, steps
from .record import Record, S, V


def rmsprop(
    p: Any,
    gradients: Any,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0,
    centered: bool = False,
    **kwargs: Any,
) -> Any:
    square, mean, velocity = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for given in gradients:
        g = directed(p, given, **kwargs)
        square, mean = alpha * square + (1 - alpha) * g * g, alpha * mean + (1 - alpha) * g
        velocity = momentum * velocity + g / (np.sqrt(square - centered * mean**2) + eps)
        p = p - lr * velocity
    return p


def adagrad(
    p: Any,
    gradients: Any,
    lr: float = 1e-2,
    lr_decay: float = 0,
    initial_accumulator_value: float = 0,
    eps: float = 1e-10,
    **kwargs: Any,
) -> Any:
    total = np.full_like(p, initial_accumulator_value)
    for k, given in enumerate(gradients):
        g = directed(p, given, **kwargs)
        total = total + g * g
        p = p - lr / (1 + k * lr_decay) * g / (np.sqrt(total) + eps)
    return p


def adadelta(
    p: Any, gradients: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, **kwargs: Any
) -> Any:
    square, moved = np.zeros_like(p), np.zeros_like(p)
    for given in gradients:
        g = directed(p, given, **kwargs)
        square = rho * square + (1 - rho) * g * g
        delta = np.sqrt((moved + eps) / (square + eps)) * g
        moved = rho * moved + (1 - rho) * delta * delta
        p = p - lr * delta
    return p


def adamax(
    p: Any,
    gradients: Any,
    lr: float = 2e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    **kwargs: Any,
) -> Any:
    m, top = np.zeros_like(p), np.zeros_like(p)
    for k, given in enumerate(gradients, 1):
        g = directed(p, given, **kwargs)
        m, top = betas[0] * m + (1 - betas[0]) * g, np.maximum(betas[1] * top, np.abs(g) + eps)
        p = p - lr / (1 - betas[0] ** k) * m / top
    return p


def nadam(
    p: Any,
    gradients: Any,
    lr: float = 2e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> Any:
    m, v, product = np.zeros_like(p), np.zeros_like(p), 1.0
    for k, given in enumerate(gradients, 1):
        p, rest = decayed(p, lr, weight_decay, decoupled_weight_decay)
        g = directed(p, given, rest, maximize)
        mu, following = (betas[0] * (1 - 0.96 ** (t * momentum_decay) / 2) for t in (k, k + 1))
        product *= mu
        m, v = averaged(m, v, g, betas)
        ahead = following * m / (1 - product * following) + (1 - mu) * g / (1 - product)
        p = p - lr * ahead / (np.sqrt(v / (1 - betas[1] ** k)) + eps)
    return p


def radam(
    p: Any,
    gradients: Any,
    lr: float = 1e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> Any:
    m, v, most = np.zeros_like(p), np.zeros_like(p), 2 / (1 - betas[1]) - 1
    for k, given in enumerate(gradients, 1):
        p, left = decayed(p, lr, weight_decay, decoupled_weight_decay)
        g = directed(p, given, left, maximize)
        m, v = averaged(m, v, g, betas)
        rest = 1 - betas[1] ** k
        r = most - 2 * k * betas[1] ** k / rest
        scale = np.ones_like(p)
        if r > 5:
            ratio = (r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r)
            scale = np.sqrt(ratio) * np.sqrt(rest) / (np.sqrt(v) + eps)
        p = p - lr * m / (1 - betas[0] ** k) * scale
    return p


def rprop(
    p: Any,
    gradients: Any,
    lr: float = 1e-2,
    etas: Any = (0.5, 1.2),
    step_sizes: Any = (1e-6, 50),
    maximize: bool = False,
) -> Any:
    before, size = np.zeros_like(p), np.full_like(p, lr)
    for given in gradients:
        g = directed(p, given, maximize=maximize)
        turn = np.sign(g * before)
        factor = np.select([turn > 0, turn < 0], [etas[1], etas[0]], 1.0)
        size = np.clip(size * factor, *step_sizes)
        before = np.where(turn < 0, 0, g)
        p = p - np.sign(before) * size
    return p


def asgd(
    p: Any,
    gradients: Any,
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    **kwargs: Any,
) -> Any:
    """The parameter itself, to which ``t0``, where the mean begins, is nothing."""
    eta = lr
    for k, given in enumerate(gradients, 1):
        g = directed(p, given, **kwargs)
        p = p * (1 - lambd * eta) - eta * g
        eta = lr / (1 + lambd * lr * k) ** alpha
    return p


def longer(*kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Samples of as many steps as a rule takes to warm up."""
    return tuple(S(V(3, 4), [V(3, 4)] * 9, **k) for k in kwargs)


# fmt: off
RECORDS: tuple[Record, ...] = (
    W("rmsprop_step", "RMSprop", rmsprop, steps(
        {"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "alpha": 0.8}, {"lr": 0.1, "centered": True, "weight_decay": 0.1},
        {"lr": 0.05, "centered": True, "momentum": 0.5, "eps": 1e-3, "maximize": True})),
    W("adagrad_step", "Adagrad", adagrad, steps(
        {"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.1, "maximize": True})),
    W("adadelta_step", "Adadelta", adadelta, steps(
        {}, {"lr": 0.5, "rho": 0.6, "eps": 1e-2}, {"weight_decay": 0.1, "maximize": True})),
    W("adamax_step", "Adamax", adamax, steps(
        {"lr": 0.1}, {"lr": 0.05, "betas": (0.4, 0.6), "eps": 1e-2}, {"lr": 0.1, "weight_decay": 0.1, "maximize": True})),
    W("nadam_step", "NAdam", nadam, (*steps(
        {"lr": 0.1}, {"lr": 0.1, "betas": (0.4, 0.6), "momentum_decay": 0.5, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}), *longer({"lr": 0.05}))),
    W("radam_step", "RAdam", radam, (*steps(
        {"lr": 0.1}, {"lr": 0.1, "betas": (0.4, 0.6), "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
        *longer({"lr": 0.05}, {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-2}))),
    W("rprop_step", "Rprop", rprop, steps(
        {"lr": 0.1}, {"lr": 0.1, "etas": (0.3, 1.7), "step_sizes": (0.05, 0.15)}, {"lr": 0.1, "maximize": True})),
    W("asgd_step", "ASGD", asgd, steps(
        {"lr": 0.1}, {"lr": 0.1, "lambd": 0.1, "alpha": 0.5}, {"lr": 0.1, "weight_decay": 0.1, "maximize": True})),
)
# fmt: on
