"""The optimizers, each with options that reach every way it has, and runs of them with given gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ingot_tools.conformance.records import optimizer as plain
from ingot_tools.conformance.records import optimizer_more as more

Array = np.ndarray[Any, Any]
Options = dict[str, Any]

CASES: tuple[tuple[str, Options], ...] = (
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.9)}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1, "betas": (0.8, 0.7)}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "betas": (0.8, 0.7)}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.5, 0.9)}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.9), "maximize": True}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adamax", {"lr": 0.01}),
    ("Adamax", {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.7), "maximize": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "alpha": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 0.01, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 0.01}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {"lr": 1.0}),
    ("Adadelta", {"lr": 0.5, "rho": 0.6, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"lr": 0.01}),
    ("Rprop", {"lr": 0.01, "etas": (0.3, 1.7), "step_sizes": (0.005, 0.03), "maximize": True}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 6, "weight_decay": 0.1, "maximize": True}),
)  # fmt: skip
REFERENCES: dict[str, Any] = {
    "SGD": plain.sgd, "Adam": plain.adam, "AdamW": plain.adamw, "NAdam": more.nadam, "RAdam": more.radam, "Adamax": more.adamax,
    "RMSprop": more.rmsprop, "Adagrad": more.adagrad, "Adadelta": more.adadelta, "Rprop": more.rprop, "ASGD": more.asgd,
}  # fmt: skip
SHAPES: tuple[tuple[int, ...], ...] = ((3, 2), (5,), ())


def named(value: Any) -> str:
    """How a test of the table is called."""
    return value if isinstance(value, str) else "-".join(f"{k}={v}" for k, v in value.items())


def values(steps: int) -> tuple[list[Array], list[list[Array]]]:
    """Parameters, and the gradients of each step, as float32 has them."""
    random = np.random.default_rng(3)

    def drawn() -> list[Array]:
        return [np.asarray(random.standard_normal(shape), np.float32).astype(np.float64) for shape in SHAPES]

    return drawn(), [drawn() for _ in range(steps)]


def grouped(kind: str, options: Options) -> list[Options]:
    """Options of two groups; the second has a rate of its own, and a decay where there is one."""
    return [options, {**options, "lr": options["lr"] / 2, **({} if kind == "Rprop" else {"weight_decay": 0.05})}]


def made(t: Any, kind: str, options: Options, parameters: Sequence[Any], **more: Any) -> Any:
    """The optimizer of ``t``, with the first parameters in one group and the last in another."""
    first, second = grouped(kind, options)
    groups = [{"params": list(parameters[:-1])}, {**second, "params": [parameters[-1]]}]
    return getattr(t.optim, kind)(groups, **first, **more)


def parameters(t: Any, device: str, given: Sequence[Array], dtype: Any) -> list[Any]:
    return [t.nn.Parameter(t.tensor(v.tolist(), device=device, dtype=dtype)) for v in given]


def run(t: Any, optimizer: Any, given: Sequence[Any], gradients: Sequence[Sequence[Array]]) -> list[Array]:
    """The parameters after a step for each of ``gradients``."""
    for step in gradients:
        for p, g in zip(given, step, strict=True):
            p.grad = t.tensor(g.tolist(), device=p.device, dtype=p.dtype)
        optimizer.step()
    return [p.detach().cpu().double().numpy() for p in given]


def expected(kind: str, options: Options, given: Sequence[Array], gradients: Sequence[Sequence[Array]]) -> list[Array]:
    """The same by NumPy, in float64."""
    groups = grouped(kind, options)
    return [
        REFERENCES[kind](p, [step[n] for step in gradients], **groups[n == len(given) - 1]) for n, p in enumerate(given)
    ]
