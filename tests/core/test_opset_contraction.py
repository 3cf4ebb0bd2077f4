"""The contraction group: values against NumPy, accumulation, refusals, and gradients of two orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from opset_tape import Tape, check_gradients

RNG = np.random.default_rng(11)


def draw(*shape: int) -> Any:
    return RNG.uniform(-1, 1, shape)


PAIRS = [
    ((3, 4), (4, 2)), ((1, 4), (4, 1)), ((3, 1), (1, 2)), ((2, 3, 4), (2, 4, 2)), ((2, 3, 4), (4, 2)), ((3, 4), (2, 4, 2)),
    ((2, 1, 2, 3), (3, 3, 2)), ((1, 2, 3), (4, 3, 2)), ((0, 4), (4, 2)), ((3, 0), (0, 2)), ((0, 3, 2), (0, 2, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_matmul(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    x, y = draw(*left), draw(*right)
    np.testing.assert_allclose(Tape().matmul(x, y).array, x @ y, rtol=1e-12, atol=1e-15)
    check_gradients(lambda b, x, y: b.matmul(x, y), x, y)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("biased", ["", "outputs", "elements", "rows"])
def test_linear(shape: tuple[int, ...], biased: str) -> None:
    x, weight = draw(*shape), draw(2, 4)
    bias = draw(*{"elements": (*shape[:-1], 2), "rows": (*shape[:-1], 1)}.get(biased, (2,)))
    made = Tape().linear(x, weight, bias if biased else None).array
    np.testing.assert_allclose(made, x @ weight.T + (bias if biased else 0), rtol=1e-12, atol=1e-14)
    if biased:
        check_gradients(lambda b, *given: b.linear(*given), x, weight, bias)
    else:
        check_gradients(lambda b, *given: b.linear(*given, None), x, weight)


@pytest.mark.parametrize("shape", [(3, 2), (2,), (1, 2), (3, 1), ()])
def test_addmm(shape: tuple[int, ...]) -> None:
    bias, x, y = draw(*shape), draw(3, 4), draw(4, 2)
    made = Tape().addmm(bias, x, y, 0.5, 2).array
    np.testing.assert_allclose(made, 0.5 * bias + 2 * (x @ y), rtol=1e-12)
    check_gradients(lambda b, *given: b.addmm(*given, 0.5, 2.0), bias, x, y)


def test_addmm_does_not_look_at_the_summand_where_beta_is_zero() -> None:
    x, y = draw(2, 3), draw(3, 2)
    np.testing.assert_allclose(Tape().addmm(np.full(2, np.nan), x, y, 0, 1).array, x @ y)


def test_halves_are_summed_in_float32() -> None:
    x = np.full((1, 4097), 1, np.float16)
    made = Tape().matmul(x, x.T)
    assert made.array.dtype == np.float16
    assert float(made.array[0, 0]) == 4096.0  # 4097 rounded once; summed in float16 it would be 2048


def test_integers_are_summed_in_int64() -> None:
    x = np.array([[100, 100, 100]], np.int8)
    made = Tape().matmul(x, x.T)
    assert made.array.dtype == np.int8
    assert int(made.array[0, 0]) == np.int64(30000).astype(np.int8)


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("matmul", ((3, 4), (3, 4)), r"\[3, 4\] and \[3, 4\] cannot be multiplied"),
        ("matmul", ((4,), (4, 2)), "cannot be multiplied"),
        ("matmul", ((2, 3, 4), (3, 4, 2)), "do not broadcast"),
        ("linear", ((3, 4), (2, 3)), r"input of shape \[3, 4\] does not fit a weight of shape \[2, 3\]"),
        ("linear", ((3, 4), (2, 4), (3,)), r"bias of shape \[3\] does not fit 2 outputs"),
    ],
)
def test_refused_shapes(name: str, shapes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(Tape(), name)(*(draw(*s) for s in shapes))


def test_refused_dtypes() -> None:
    with pytest.raises(TypeError, match="one dtype, bool excepted; given: float64 and float32"):
        Tape().matmul(draw(2, 2), draw(2, 2).astype(np.float32))
    with pytest.raises(TypeError, match="bool and bool"):
        Tape().matmul(np.ones((2, 2), bool), np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="does not broadcast to the product"):
        Tape().addmm(draw(3, 1, 2), draw(2, 2), draw(2, 2), 1, 1)
