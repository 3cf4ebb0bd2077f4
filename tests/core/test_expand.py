"""Expansions: every scalar operator in required rows, within the bounds that `ir.expand` states.

An expression is evaluated by `ir.evaluate` (NumPy, correctly rounded rows) and compared with SciPy
or with NumPy in a wider type, which share no code with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType
from ingot_devices.ir.evaluate import evaluate, scalar_rows
from ingot_devices.ir.expand import ROWS, lower
from ingot_devices.ir.expr import REQUIRED, SCALARS, Expr, const, walk

Array = Any
COUNT = 20_000
FLOATS = [dt.float32, dt.float64]
SPECIAL = [
    0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, math.inf, -math.inf, math.nan, 1e-45, -1e-45, 1e-40,
    1.1754944e-38, 3.4028235e38, -3.4e38, 88.7, 89, -88, -104, 127.5, 128, -149, -150, 20, 1e-10,
    0.4142135, 0.4142137, 2.414, 2.4143, 0.9999999, 1.0000001, 16777216, 16777217, 1e20, -1e20, 1.5,
    2.5, -1.5, -2.5,
]  # fmt: skip
ERF = np.frompyfunc(math.erf, 1, 1)
ERFC = np.frompyfunc(math.erfc, 1, 1)

# operator: (reference in a wider type, ulp of float32, ulp of float64, where samples lie)
UNARY: dict[str, tuple[Callable[[Array], Array], float, float, tuple[float, float]]] = {
    "abs": (np.abs, 0, 0, (-90, 90)),
    "acos": (np.arccos, 1.5, 1.5, (-1, 1)),
    "asin": (np.arcsin, 2.5, 2.5, (-1, 1)),
    "atan": (np.arctan, 2, 2, (-5, 5)),
    "ceil": (np.ceil, 0, 0, (-90, 90)),
    "cosh": (np.cosh, 2, 2, (-90, 90)),
    "erf": (lambda x: np.asarray(ERF(x)).astype(np.float64), 2.5, 4, (-6, 6)),
    "erfc": (lambda x: np.asarray(ERFC(x)).astype(np.float64), 4, 8, (-3, 11)),
    "exp2": (np.exp2, 1, 1, (-150, 130)),
    "expm1": (np.expm1, 1.5, 1.5, (-90, 90)),
    "log10": (np.log10, 2, 2, (0, 90)),
    "log1p": (np.log1p, 2, 2, (-1, 90)),
    "log2": (np.log2, 2, 2, (0, 90)),
    "round": (np.rint, 0, 0, (-90, 90)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, 1.5, (0, 90)),
    "sign": (np.sign, 0, 0, (-90, 90)),
    "sinh": (np.sinh, 2, 2, (-90, 90)),
    "tan": (np.tan, 2, 2, (-20, 20)),
    "tanh": (np.tanh, 2.5, 2.5, (-10, 10)),
    "trunc": (np.trunc, 0, 0, (-90, 90)),
}
BINARY: dict[str, tuple[Callable[[Array, Array], Array], float]] = {
    "atan2": (np.arctan2, 2.5),
    "fmod": (np.fmod, 0),
    "hypot": (np.hypot, 1.5),
    "pow": (np.power, 1.5),
}


def param(d: DType, n: int = 0) -> Expr:
    return Expr.of("param", (), d, n)


def expanded(op: str, d: DType, operands: int, result: DType | None = None) -> Expr:
    """``op`` over parameters, in required rows only."""
    node = Expr.of(op, tuple(param(d, n) for n in range(operands)), result or d)
    return lower(node, REQUIRED)


def computed(e: Expr, *values: Array) -> Array:
    return evaluate(e, {param(_dtype(v), n): v for n, v in enumerate(values)})


def _dtype(values: Array) -> DType:
    return dt.from_numpy(values.dtype)


def wide(d: DType, op: str = "") -> Any:
    """A type with more digits than ``d``; the erfs have no better reference than the C library's."""
    return np.float64 if d is dt.float32 or op.startswith("erf") else np.longdouble


def samples(d: DType, low: float, high: float) -> Array:
    """Evenly spread, of all magnitudes, around one; and the special values."""
    g = np.random.default_rng(7)
    spread = [
        g.uniform(low, high, COUNT),
        np.exp(g.uniform(-15, 5, COUNT)) * g.choice([-1, 1], COUNT),
    ]
    spread.append(np.exp(g.uniform(-85, 85, COUNT)) * g.choice([-1, 1], COUNT))
    with np.errstate(over="ignore"):
        return np.concatenate([*spread, np.array(SPECIAL)]).astype(d.numpy)


def worst(got: Array, reference: Array, *operands: Array) -> tuple[float, str]:
    """The largest distance in ulp, with where it is; infinite where a special value is wrong."""
    with np.errstate(all="ignore"):
        rounded = reference.astype(got.dtype)
        size = np.maximum(np.abs(rounded), np.finfo(got.dtype).tiny)
        apart = np.abs(got.astype(reference.dtype) - reference) / np.spacing(size).astype(reference.dtype)
        special = ~np.isfinite(rounded)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        apart = np.where(special, np.where(same, 0, np.inf), np.where(np.isfinite(got), apart, np.inf))
    k = int(np.argmax(apart))
    return float(apart[k]), f"{[o[k] for o in operands]}: {got[k]!r}, not {reference[k]!r}"


def test_every_operator_is_required_or_has_an_expansion() -> None:
    assert set(SCALARS) - REQUIRED == set(ROWS)


@pytest.mark.parametrize("d", FLOATS, ids=str)
@pytest.mark.parametrize("op", sorted(UNARY))
def test_a_function_is_as_close_as_stated(op: str, d: DType) -> None:
    reference, single, double, (low, high) = UNARY[op]
    x = samples(d, low, high)
    if op in ("acos", "asin"):
        x = np.concatenate([x[:COUNT], x[3 * COUNT :]])
    e = expanded(op, d, 1)
    assert {n.op for n in walk(e)} <= REQUIRED | {"const", "param"}
    got = computed(e, x)
    with np.errstate(all="ignore"):
        right = np.asarray(reference(x.astype(wide(d, op))))
    apart, where_ = worst(got, right, x)
    assert apart <= (single if d is dt.float32 else double), where_
    zeros = (got == 0) & (right == 0)
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(right[zeros]), f"sign of zero in {op}")


@pytest.mark.parametrize("d", FLOATS, ids=str)
@pytest.mark.parametrize("op", sorted(BINARY))
def test_a_function_of_two_is_as_close_as_stated(op: str, d: DType) -> None:
    reference, bound = BINARY[op]
    x, y = pairs(op, d)
    got = computed(expanded(op, d, 2), x, y)
    with np.errstate(all="ignore"):
        right = reference(x.astype(wide(d)), y.astype(wide(d)))
    apart, where_ = worst(got, right, x, y)
    assert apart <= bound, where_
    zeros = (got == 0) & (right == 0)
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(right[zeros]))


def pairs(op: str, d: DType) -> tuple[Array, Array]:
    """Pairs of all magnitudes and of like ones, and every pair of special values."""
    g = np.random.default_rng(11)
    reach = 85 if d is dt.float32 else 600
    with np.errstate(over="ignore"):
        special = np.array(SPECIAL).astype(d.numpy)
    a, b = (m.ravel() for m in np.meshgrid(special, special))
    far = [np.exp(g.uniform(-reach, reach, COUNT)) * g.choice([-1, 1], COUNT) for _ in "xy"]
    near = [g.normal(size=COUNT) * 50, g.normal(size=COUNT)]
    if op == "pow":
        base = np.exp(g.uniform(-reach, reach, COUNT))
        far = [base, g.uniform(-1, 1, COUNT) * (88 if reach < 100 else 709) / np.log(base)]
        near = [g.integers(-10, 10, COUNT).astype(np.float64) for _ in range(2)]
    x, y = (np.concatenate([s, f, n]).astype(d.numpy) for s, f, n in zip((a, b), far, near, strict=True))
    return x, y


@pytest.mark.parametrize("d", [*FLOATS, dt.int32, dt.uint8, dt.int64], ids=str)
@pytest.mark.parametrize("op", ["ne", "le", "gt", "ge", "maximum", "minimum"])
def test_comparisons(op: str, d: DType) -> None:
    values = np.array([v for v in SPECIAL if d.kind == "f" or 0 <= v < 128]).astype(d.numpy)
    x, y = (m.ravel() for m in np.meshgrid(values, values))
    got = computed(expanded(op, d, 2, dt.bool_ if SCALARS[op] == "bool" else d), x, y)
    np.testing.assert_array_equal(got, scalar_rows[op](x, y))


@pytest.mark.parametrize("d", [*FLOATS, dt.float16], ids=str)
def test_tests_of_floats(d: DType) -> None:
    with np.errstate(over="ignore"):
        x = np.array(SPECIAL).astype(d.numpy)
    for op in ("isnan", "isinf"):
        np.testing.assert_array_equal(computed(expanded(op, d, 1, dt.bool_), x), scalar_rows[op](x))


@pytest.mark.parametrize("d", [dt.int8, dt.uint8, dt.int16, dt.int32, dt.uint32, dt.int64, dt.uint64], ids=str)
def test_integers(d: DType) -> None:
    info = np.iinfo(d.numpy)
    numbers = [v for v in (info.min, -7, -3, -2, -1, 0, 1, 2, 3, 5, 7, 31, info.max) if v >= info.min]
    x, y = (m.ravel() for m in np.meshgrid(*[np.array(numbers, d.numpy)] * 2))
    for op in ("pow", "fmod"):
        with np.errstate(all="ignore"):
            expected = scalar_rows[op](x, y)
        np.testing.assert_array_equal(computed(expanded(op, d, 2), x, y), expected, op)
    for op in ("abs", "sign", "floor", "ceil", "round", "trunc"):
        e = lower(Expr.of(op, (param(d),), d), REQUIRED)
        np.testing.assert_array_equal(computed(e, x), scalar_rows[op](x), op)


def test_bools_have_a_maximum() -> None:
    x, y = np.array([False, False, True, True]), np.array([False, True, False, True])
    np.testing.assert_array_equal(computed(expanded("maximum", dt.bool_, 2), x, y), x | y)
    np.testing.assert_array_equal(computed(expanded("minimum", dt.bool_, 2), x, y), x & y)


def test_fma_keeps_what_the_product_loses() -> None:
    g = np.random.default_rng(3)
    a, b = (g.normal(size=COUNT).astype(np.float32) for _ in "ab")
    c = -(a * b) + g.normal(size=COUNT).astype(np.float32) * np.float32(1e-8)
    got = computed(expanded("fma", dt.float32, 3), a, b, c)
    exact = a.astype(np.longdouble) * b + c
    apart, where_ = worst(got, exact, a, b, c)
    assert apart <= 1, where_
    big = np.array([3e38], np.float32)
    assert np.isinf(computed(expanded("fma", dt.float32, 3), big, big, -big))


def test_halves_are_expanded_in_float32() -> None:
    x = np.linspace(-8, 8, 999).astype(np.float16)
    got = computed(expanded("tanh", dt.float16, 1), x)
    assert got.dtype == np.float16
    np.testing.assert_array_equal(got, np.tanh(x.astype(np.float64)).astype(np.float16))


def test_a_small_literal_exponent_is_a_product() -> None:
    x = param(dt.float32)
    square = lower(Expr.of("pow", (x, const(2, dt.float32)), dt.float32), REQUIRED)
    assert square is x * x


def test_a_row_of_the_dialect_is_kept() -> None:
    x = param(dt.float32)
    node = Expr.of("tanh", (Expr.of("exp2", (x,), dt.float32),), dt.float32)
    made = lower(node, REQUIRED | {"tanh"})
    assert made.op == "tanh"
    assert "exp2" not in {n.op for n in walk(made)}


def test_leaves_and_unknown_operators_stay() -> None:
    load = Expr.of("load", (Expr.of("index", (), dt.index, 0),), dt.float32, 0)
    own = Expr.of("linear", (Expr.of("index", (), dt.index, 0),), dt.index, (0, (2,)))
    assert lower(load, REQUIRED) is load
    assert lower(own, REQUIRED) is own


def test_evaluate_casts_as_it_says() -> None:
    x = np.array([1.9, -1.9, 300.0, -300.0, math.inf, math.nan], np.float32)
    np.testing.assert_array_equal(
        scalar_rows["cast"](x, np.dtype(np.int8)), np.array([1, -1, 127, -128, 127, 0], np.int8)
    )
    np.testing.assert_array_equal(scalar_rows["shl"](np.array([1, 1], np.int32), np.array([31, 32])), [-(2**31), 0])
    with pytest.raises(KeyError):
        evaluate(param(dt.float32) + 1, {})
