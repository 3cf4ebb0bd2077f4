"""Gates: the pointwise part of a step of a recurrent layer, all parts and results of it in one launch.

Operands lie in equal parts along the last axis ("gates4": four of them), and each part is a variable of one scalar
expression, which gives the parts of the results. The gradient of such an op is an op of the same kind, whose expression is
derived symbolically (`ir.derive`): one launch gives it for all operands, and every order follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from ..ir import scalar as s
from ..ir.definition import Define, Operand
from ..ir.derive import derivative
from ..ir.expr import Expr
from .composite import need_float, wide
from .op import Named, Op, Spec, add_op

BINDINGS = 8
"""Buffers that a launch can have on every device."""
Parts = Mapping[str, int]
Expression = Callable[..., Sequence[Expr]]


def gates(name: str, operands: Parts, outputs: Parts, expression: Expression, doc: str, order: int = 0) -> Op:
    """A row of operands and outputs by name, each with the number of its parts; `_Slopes` is its gradient."""

    def result(*specs: Spec) -> tuple[Spec, ...]:
        lead, size = _parts(name, operands, specs)
        return tuple(Spec.of((*lead, n * size), specs[0].dtype) for n in outputs.values())

    def write(d: Define, *given: Operand, first: int = 0) -> Any:
        size = given[0].shape[-1] // next(iter(operands.values()))
        *lead, j = d.axes((*given[0].shape[:-1], size))
        values = [wide(x[(*lead, j + k * size)]) for x, n in zip(given, operands.values(), strict=True) for k in range(n)]
        made = iter(expression(*values))
        last = first + max(BINDINGS - len(operands), 1)  # more results than fit are written by a next launch
        for target, n in enumerate(outputs.values()):
            for k, value in zip(range(n), made, strict=False):
                if first <= target < last:
                    d.store(target, (*lead, j + k * size), value, over=(*lead, j))
        return partial(write, first=last) if last < len(outputs) else None

    slopes = _Slopes(name, operands, outputs, expression, order)
    return Op(name, "composite", tuple(operands), result, outputs=tuple(outputs), define=write, gradient=slopes,
              differentiable=tuple(outputs), doc=doc)  # fmt: skip


def _parts(name: str, operands: Parts, specs: Sequence[Spec]) -> tuple[tuple[int, ...], int]:
    """The leading axes of all operands, and the size of a part."""
    need_float(name, *specs)
    found = {(x.shape[:-1], x.shape[-1] // n, x.shape[-1] % n, x.dtype) for x, n in zip(specs, operands.values(), strict=True)
             if x.ndim}  # fmt: skip
    if len(found) != 1 or next(iter(found))[2] or not all(x.ndim for x in specs):
        wanted = ", ".join(f"{k} (…, {n} × size)" for k, n in operands.items())
        given = ", ".join(f"{list(x.shape)} {x.dtype.name}" for x in specs)
        raise ValueError(f"{name} takes {wanted} of one dtype; given: {given}")
    lead, size, _, _ = found.pop()
    return lead, size


class _Slopes(Mapping[str, Callable[..., Any]]):
    """The gradient rules of an op of gates: each takes its operand's share of one launch, which the others share."""

    def __init__(self, name: str, operands: Parts, outputs: Parts, expression: Expression, order: int) -> None:
        self.name, self.operands, self.outputs, self.expression, self.order = name, operands, outputs, expression, order

    @cached_property
    def op(self) -> Op:
        """The op that gives the gradients of all operands, from those of the outputs and from the operands."""
        taken = {f"g{self.order}_{k}": n for k, n in self.outputs.items()} | dict(self.operands)
        given = {f"d{self.order}_{k}": n for k, n in self.operands.items()}
        return gates(f"{self.name}.d", taken, given, self._slopes, f"The gradients of {self.name}.", self.order + 1)

    def _slopes(self, *values: Expr) -> list[Expr]:
        count = sum(self.outputs.values())
        grads, variables = values[:count], values[count:]
        made = self.expression(*variables)
        found = []
        for variable in variables:
            slopes = ((g, derivative(y, variable)) for g, y in zip(grads, made, strict=True))
            terms = [g * slope for g, slope in slopes if slope is not None]
            found.append(sum(terms[1:], terms[0]) if terms else s.like(variable, 0))
        return found

    def __getitem__(self, operand: str) -> Callable[..., Any]:
        position = list(self.operands).index(operand)
        names = [*(f"g_{k}" for k in self.outputs), *self.operands]

        return Named(lambda b, *values: b.call(self.op, values, ())[position], ["b", *names])

    def __iter__(self) -> Iterator[str]:
        return iter(self.operands)

    def __len__(self) -> int:
        return len(self.operands)


def _sigmoid(x: Expr) -> Expr:
    return s.tanh(x * 0.5) * 0.5 + 0.5  # whose derivatives overflow nowhere, at any order


def _lstm(i: Expr, f: Expr, g: Expr, o: Expr, cell: Expr) -> tuple[Expr, Expr]:
    made = _sigmoid(f) * cell + _sigmoid(i) * s.tanh(g)
    return _sigmoid(o) * s.tanh(made), made


def _gru(xr: Expr, xz: Expr, xn: Expr, hr: Expr, hz: Expr, hn: Expr, held: Expr) -> tuple[Expr]:
    new = s.tanh(xn + _sigmoid(xr + hr) * hn)
    return (new + _sigmoid(xz + hz) * (held - new),)


# fmt: off
add_op(gates("lstm_gates", {"gates": 4, "cell": 1}, {"hidden": 1, "new_cell": 1}, _lstm,
             "The gates i, f, g, o of an LSTM: σ(f)·cell + σ(i)·tanh(g) is the new cell, σ(o)·tanh of it is put out."))
add_op(gates("gru_gates", {"x": 3, "h": 3, "held": 1}, {"hidden": 1}, _gru,
             "The gates r, z, n of a GRU, of input and state: n is tanh(xn + σ(xr + hr)·hn), the result (1 - z)·n + z·held."))
# fmt: on
