"""The optimizer group: one step of one parameter, in one launch that updates the parameter and its moments in place.

PyTorch's formulas, computed in float32 for halves. What PyTorch derives from the hyperparameters in double
precision is derived in double precision here too (1 - 0.999 in float32 is off in the fifth digit): by `adam_numbers`,
which gives the number operands of `adam_step` and `adamw_step` in order::

    b.adamw_step(param, grad, exp_avg, exp_avg_sq, *adam_numbers(step, lr, beta1, beta2, eps, decay, decoupled=True))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .. import dtypes as dt
from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.expr import Expr, where
from .op import Op, Spec, add_op

ADAM_NUMBERS = ("step_size", "rest1", "beta2", "rest2", "eps", "decay?")


def adam_numbers(
    step: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, *, decoupled: bool
) -> tuple[float | None, ...]:
    """The numbers of step ``step`` (from 1): c·lr/(1-β₁ᵗ), 1-β₁, β₂, 1-β₂, c·ε and the decay, with c = √(1-β₂ᵗ).

    m/(√v/c + ε) is c·m/(√v + c·ε): the correction is part of two numbers, and no element is divided by it. The decay is the
    factor 1 - lr·λ of the parameter if ``decoupled`` (AdamW), else λ; None for a λ of 0.
    """
    decay = None if weight_decay == 0 else 1 - lr * weight_decay if decoupled else float(weight_decay)
    correction = math.sqrt(1 - beta2**step)
    return (lr / (1 - beta1**step) * correction, 1 - beta1, float(beta2), 1 - beta2, eps * correction, decay)


def optimizer(name: str, operands: str, define: Any, attributes: Mapping[str, Any], doc: str, **mutates: int) -> Op:
    """Add a row; ``mutates`` names each output and the position of the operand that it is written into."""

    def result(*specs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        for position in (1, *mutates.values()):
            if specs[position].shape != specs[0].shape:
                raise ValueError(f"{operands.split()[position]} of shape {list(specs[position].shape)} does not match "
                                 f"the parameter of shape {list(specs[0].shape)}")
        if specs[0].dtype.kind != "f":
            raise TypeError(f"a parameter is floating point, {specs[0].dtype.name} was given")
        return tuple(specs[position] for position in mutates.values())

    return add_op(Op(name, "optimizer", tuple(operands.split()), result, attributes, tuple(f"new_{k}" for k in mutates),
                     define=define, differentiable=(), mutates=dict(enumerate(mutates.values())), doc=doc))


def _loaded(d: Define, *operands: Operand) -> tuple[tuple[Expr, ...], list[Expr], dt.DType]:
    """The axes, the operands' elements in the computing type, and that type."""
    work = dt.compute_dtype(operands[0].dtype)
    at = d.axes(operands[0].shape)
    return at, [o[at].cast(work) for o in operands], work


def _direction(g: Expr, p: Expr, weight_decay: Expr | None, maximize: bool) -> Expr:
    g = -g if maximize else g
    return g if weight_decay is None else g + p * weight_decay


def _sgd(d: Define, param: Operand, grad: Operand, lr: Expr, weight_decay: Expr | None, maximize: bool) -> None:
    at, (p, g), work = _loaded(d, param, grad)
    decay = None if weight_decay is None else weight_decay.cast(work)
    d.store(0, at, p - _direction(g, p, decay, maximize) * lr.cast(work))


def _sgd_momentum(
    d: Define, param: Operand, grad: Operand, buffer: Operand, lr: Expr, momentum: Expr, rest: Expr,
    weight_decay: Expr | None, nesterov: bool, first: bool, maximize: bool,
) -> None:  # fmt: skip
    at, (p, g, held), work = _loaded(d, param, grad, buffer)
    m = momentum.cast(work)
    g = _direction(g, p, None if weight_decay is None else weight_decay.cast(work), maximize)
    held = g if first else held * m + g * rest.cast(work)
    d.store(0, at, p - (g + held * m if nesterov else held) * lr.cast(work))
    d.store(1, at, held)


def _adam(decoupled: bool) -> Any:
    def define(
        d: Define, param: Operand, grad: Operand, exp_avg: Operand, exp_avg_sq: Operand, *numbers: Expr | None,
        maximize: bool,
    ) -> None:  # fmt: skip
        at, (p, g, mean, square), work = _loaded(d, param, grad, exp_avg, exp_avg_sq)
        step_size, rest1, beta2, rest2, eps = (n.cast(work) for n in numbers[:-1] if n is not None)
        decay = None if numbers[-1] is None else numbers[-1].cast(work)
        if decoupled and decay is not None:
            p = p * decay
        g = _direction(g, p, None if decoupled else decay, maximize)
        mean = where(rest1 < 0.5, mean + rest1 * (g - mean), g - (g - mean) * (1 - rest1))
        square = square * beta2 + g * g * rest2
        d.store(0, at, p - mean / (s.sqrt(square) + eps) * step_size)
        d.store(1, at, mean)
        d.store(2, at, square)

    return define


# fmt: off
optimizer("sgd_step", "param grad lr weight_decay?", _sgd, {"maximize": False}, "p - lr·(g + λp).", param=0)
optimizer("sgd_momentum_step", "param grad momentum_buffer lr momentum rest weight_decay?", _sgd_momentum,
          {"nesterov": False, "first": False, "maximize": False}, "With b = momentum·b + rest·g, or b = g at first; rest is 1 - dampening.", param=0, momentum_buffer=2)
for _name, _decoupled in (("adam_step", False), ("adamw_step", True)):
    optimizer(_name, "param grad exp_avg exp_avg_sq " + " ".join(ADAM_NUMBERS), _adam(_decoupled), {"maximize": False},
              "The moments and the parameter; numbers as `adam_numbers` gives them.", param=0, exp_avg=2, exp_avg_sq=3)
# fmt: on
