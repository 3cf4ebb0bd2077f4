"""The optimizer group: one step of one parameter, in one launch that updates the parameter and its moments in place.

A row names its moments and numbers, and gives a formula over elements: new values from the parameter, the gradient, the moments and
the numbers, in float32 for halves. The rules themselves are in `descent` and in `adam`. What is the same in all is here::

    maximize        every row's attribute: the gradient changes its sign first
    weight_decay?   a last number of this name: λ, and λp is added to the gradient (None: no decay)
    shrink?         or of this one: 1 - lr·λ, by which the parameter is multiplied first, apart from the gradient

Formulas are PyTorch's, and what it derives from the hyperparameters in double precision is derived by the caller in double
precision, too: 1 - 0.999 in float32 is off in the fifth digit. So the numbers of a row are what its formula needs, and
never part of a plan's key: a rate that changes at each step makes no new kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes as dt
from ..ir.definition import Define
from ..ir.expr import Expr, where
from .op import Op, Spec, add_op

Formula = Callable[..., tuple[Expr, ...]]


def optimizer(name: str, moments: str, numbers: str, formula: Formula, doc: str, **attributes: Any) -> Op:
    """Add the op ``name`` of operands param, grad, ``moments`` and ``numbers``, which writes into all tensors but the gradient.

    ``formula(p, g, *moments, *numbers, **attributes)`` gives the new parameter and moments; the decay, if it is among the
    numbers, is done.
    """
    operands = tuple(f"param grad {moments} {numbers}".split())
    tensors = 2 + len(moments.split())
    written = (0, *range(2, tensors))
    decay = operands[-1] if operands[-1].endswith("?") else ""

    def result(*specs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        for position in range(1, tensors):
            if specs[position].shape != specs[0].shape:
                raise ValueError(f"{operands[position]} of shape {list(specs[position].shape)} does not match "
                                 f"the parameter of shape {list(specs[0].shape)}")
        if specs[0].dtype.kind != "f":
            raise TypeError(f"a parameter is floating point, {specs[0].dtype.name} was given")
        return tuple(specs[position] for position in written)

    def define(d: Define, *values: Any, maximize: bool, **attrs: Any) -> None:
        work = dt.compute_dtype(values[0].dtype)
        at = d.axes(values[0].shape)
        p, g, *held = (o[at].cast(work) for o in values[:tensors])
        rates = [None if n is None else n.cast(work) for n in values[tensors:]]
        g = -g if maximize else g
        factor = rates.pop() if decay else None
        if factor is not None:
            p, g = (p * factor, g) if decay == "shrink?" else (p, g + p * factor)
        for output, value in enumerate(formula(p, g, *held, *rates, **attrs)):
            d.store(output, at, value)

    return add_op(Op(name, "optimizer", operands, result, {**attributes, "maximize": False},
                     tuple(f"new_{operands[n]}" for n in written), define=define, differentiable=(),
                     mutates=dict(enumerate(written)), doc=doc))


def lerp(a: Expr, b: Expr, weight: Expr) -> Expr:
    """From ``a`` to ``b`` by ``weight``, exact at both ends: a running mean's step."""
    return where(weight < 0.5, a + weight * (b - a), b - (b - a) * (1 - weight))
