"""What an op means, in the kernel IR: from a row and its operands' specs to `Definition`s.

Called when a plan is made; `op.Op.definitions` is the door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..dtypes import DType
from ..ir.definition import Define, Definition, Operand
from ..ir.expr import Expr
from ..layout import broadcast_shapes
from .op import NUMBER, Op, Spec, Types


def definitions(
    op: Op, specs: Sequence[Spec | None], attrs: tuple[Any, ...], outputs: Sequence[Spec]
) -> tuple[Definition, ...]:
    """The definitions of ``op`` for these specs; empty when it has none."""
    named = dict(zip(op.attributes, attrs, strict=True))
    values, operands, params = _operands(op, specs, outputs)
    if op.expression is not None:
        return (_pointwise(op, specs, values, operands, params, named),)
    if op.define is None:
        return ()
    made: list[Definition] = []
    for write in _writers(op.define):
        while callable(write):
            d = Define(op.name, operands, params)
            rest = write(d, *op.spread(values), **named)
            if rest is not False:
                made.append(d.finish())
            write = rest  # a writer that returns another one goes on in a next definition
    return tuple(made)


def _writers(define: Any) -> tuple[Callable[..., Any], ...]:
    return define if isinstance(define, tuple) else (define,)


def _operands(
    op: Op, specs: Sequence[Spec | None], outputs: Sequence[Spec]
) -> tuple[list[Any], list[Operand], list[tuple[int, DType]]]:
    """Numbered operands: inputs as they come (numbers become params, None stays None), then outputs."""
    values: list[Any] = []
    operands: list[Operand] = []
    params: list[tuple[int, DType]] = []
    mutated = {v: k for k, v in op.mutates.items()}
    for n, spec in enumerate(specs):
        name = op.names[min(n, len(op.names) - 1)] if op.names else str(n)
        if spec is None:
            values.append(None)
        elif spec.rank == NUMBER:
            params.append((n, spec.dtype))
            values.append(Expr.of("param", (), spec.dtype, n))
        else:
            operands.append(Operand(n, name, spec.dtype, spec.shape, output=n in mutated))
            values.append(operands[-1])
    for k, spec in enumerate(outputs):
        if k not in op.mutates:
            operands.append(Operand(len(specs) + k, op.outputs[min(k, len(op.outputs) - 1)], spec.dtype, spec.shape,
                                    output=True, input=False))
    return values, operands, params


def _pointwise(
    op: Op, specs: Sequence[Spec | None], values: list[Any], operands: list[Operand],
    params: list[tuple[int, DType]], attrs: Mapping[str, Any],
) -> Definition:  # fmt: skip
    """The definition of a row that is a scalar expression: load, cast to the computing type, compute, store."""
    d = Define(op.name, operands, params)
    shape = broadcast_shapes(*(o.shape for o in operands))
    axes = d.axes(shape)
    loaded = [v.at(axes, shape) if isinstance(v, Operand) else v for v in values]
    typed = op.result.cast(specs, loaded) if isinstance(op.result, Types) else loaded
    assert op.expression is not None
    made = op.expression(*typed, **attrs)
    results = made if isinstance(made, tuple) else (made,)
    for target, result in zip(_ordered_outputs(op, d), results, strict=True):
        d.store(target, axes, result)
    return d.finish()


def _ordered_outputs(op: Op, d: Define) -> list[int]:
    """Positions in ``d.outputs`` of the op's outputs in order (mutated operands come first in ``d.outputs``)."""
    numbers = [o.number for o in d.outputs]
    inputs = len(op.operands)
    wanted = [op.mutates.get(k, inputs + k) for k in range(len(op.outputs))]
    return [numbers.index(n) for n in wanted]
