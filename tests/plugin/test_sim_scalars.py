"""Every scalar operator on sim, against the specification that `ir.evaluate` is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.ir.evaluate import evaluate
from ingot_devices.ir.expr import SCALARS, Expr, where
from sim_subject import computed, on_sim, opened

Array = Any
NAN, INF = np.nan, np.inf

INTEGER_ONLY = {"and", "or", "xor", "not", "shl", "shr", "idiv", "mod", "mulhi"}
FLOAT_ONLY = {*SCALARS} - INTEGER_ONLY - {
    "add", "sub", "mul", "neg", "abs", "maximum", "minimum", "pow", "fmod", "sign", "floor", "ceil", "round",
    "trunc", "eq", "ne", "lt", "le", "gt", "ge", "where", "fma",
}  # fmt: skip
COUNTS = {"where": 2, "fma": 3, **dict.fromkeys(
    "add sub mul div idiv mod maximum minimum pow atan2 hypot fmod mulhi and or xor shl shr eq ne lt le gt ge".split(), 2
)}  # fmt: skip


def values(d: DType) -> Array:
    numbers = [0, 1, 2, 3, 5, 7, 31, 100, -1, -2, -3, -7, 0.5, -0.5, 2.5, -2.5, -0.0, INF, -INF, NAN, 1e-40, 89, 1e30]
    if d.kind == "f":
        return np.array(numbers, d.numpy)
    info = np.iinfo(d.numpy)
    kept = [n for n in numbers[:12] if n >= info.min]
    return np.array([*kept, info.min, info.max], d.numpy)


TYPES = [dt.float32, dt.float64, dt.int8, dt.uint8, dt.int32, dt.uint32, dt.int64]
TAKEN = [(op, d) for op in sorted(SCALARS) for d in TYPES if op not in (INTEGER_ONLY if d.kind == "f" else FLOAT_ONLY)]


@pytest.mark.parametrize(("op", "d"), TAKEN, ids=str)
def test_an_operator_is_what_evaluate_says(op: str, d: DType) -> None:
    count = COUNTS.get(op, 1)
    inputs = [m.ravel() for m in np.meshgrid(*[values(d)] * count)]
    if op == "fma":
        inputs = [x[: 23 * 23] for x in inputs]

    def row(i: Any, xs: Sequence[Expr]) -> Expr:
        if op == "where":
            return where(i % 2 < 1, *xs)
        return Expr.of(op, tuple(xs), dt.bool_ if SCALARS[op] == "bool" else d)

    def apply(define: Define, *xs: Operand) -> None:
        (i,) = define.axes(xs[0].shape)
        define.store(0, [i], row(i, [x[i] for x in xs]))

    kind = bool if SCALARS[op] == "bool" else d.numpy
    got = computed(functools.partial(on_sim, opened()), apply, inputs, np.zeros(inputs[0].shape, kind))
    leaves = [Expr.of("param", (), d, n) for n in range(count)]
    at = Expr.of("param", (), dt.index, count)
    given = {at: np.arange(inputs[0].size), **dict(zip(leaves, inputs, strict=True))}
    expected = evaluate(row(at, leaves), given)
    if d.kind == "f" and kind is not bool:
        np.testing.assert_allclose(got, expected, rtol=2e-7 if d is dt.float32 else 1e-15, atol=0)
    else:
        np.testing.assert_array_equal(got, expected)
