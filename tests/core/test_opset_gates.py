"""Gates: values, refusals, gradients of two orders, halves, and how many launches a recurrent layer takes."""

from __future__ import annotations

from typing import Any

import dispatched
import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.ops.common import run
from ingot_devices import dtypes as dt
from ingot_devices.opset import OPS, Spec
from ingot_devices.opset.gates import BINDINGS
from opset_tape import Tape, check_gradients

calls = dispatched.calls
RNG = np.random.default_rng(5)
SHAPES = [(2,), (3, 2), (2, 1, 3), (0, 2), (3, 1)]


def draw(*shape: int) -> Any:
    return RNG.uniform(-1.5, 1.5, shape)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("shape", SHAPES)
def test_lstm_gates(shape: tuple[int, ...]) -> None:
    gates, cell = draw(*shape[:-1], 4 * shape[-1]), draw(*shape)
    i, f, g, o = np.split(gates, 4, -1)
    new = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    hidden, made = Tape().lstm_gates(gates, cell)
    np.testing.assert_allclose(made.array, new, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(hidden.array, sigmoid(o) * np.tanh(new), rtol=1e-12, atol=1e-15)
    check_gradients(lambda b, *given: b.mul(*b.lstm_gates(*given)), gates, cell, close=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_gru_gates(shape: tuple[int, ...]) -> None:
    x, h, held = draw(*shape[:-1], 3 * shape[-1]), draw(*shape[:-1], 3 * shape[-1]), draw(*shape)
    (xr, xz, xn), (hr, hz, hn) = np.split(x, 3, -1), np.split(h, 3, -1)
    z = sigmoid(xz + hz)
    new = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * held
    np.testing.assert_allclose(Tape().gru_gates(x, h, held).array, new, rtol=1e-12, atol=1e-15)
    check_gradients(lambda b, *given: b.gru_gates(*given), x, h, held, close=1e-5)


def test_gates_far_from_zero_and_not_finite() -> None:
    """Saturated gates are 0 or 1, and their slopes 0: nothing overflows, in either order."""
    gates = np.array([[1e4, -1e4, 1e4, -1e4], [np.inf, -np.inf, -np.inf, np.inf], [np.nan, 0, 0, 0]])
    cell = np.array([[2.0], [3.0], [1.0]])
    hidden, new = Tape().lstm_gates(gates, cell)
    np.testing.assert_array_equal(new.array, [[1.0], [-1.0], [np.nan]])
    np.testing.assert_allclose(hidden.array, [[0.0], [-np.tanh(1.0)], [np.nan]])
    x = ingot.tensor(gates[:2].tolist()).requires_grad_()
    first, _ = run("lstm_gates", x, ingot.tensor(cell[:2].tolist()))
    (g,) = ingot.autograd.grad(first.sum(), x, create_graph=True)
    (again,) = ingot.autograd.grad(g.sum(), x)
    assert g.isfinite().all() and again.isfinite().all()


def test_halves_are_computed_in_float32() -> None:
    gates, cell = draw(3, 8).astype(np.float16), draw(3, 2).astype(np.float16)
    hidden, new = Tape().lstm_gates(gates, cell)
    exact = Tape().lstm_gates(gates.astype(np.float64), cell.astype(np.float64))
    for made, wanted in zip((hidden, new), exact, strict=True):
        np.testing.assert_array_equal(made.array, wanted.array.astype(np.float32).astype(np.float16))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ((draw(3, 8), draw(3, 3)), ValueError, r"gates \(…, 4 × size\), cell \(…, 1 × size\)"),
        ((draw(3, 7), draw(3, 1)), ValueError, "lstm_gates takes"),
        ((draw(3, 8), draw(2, 2)), ValueError, r"given: \[3, 8\] float64, \[2, 2\] float64"),
        ((draw(8), np.array(1.0)), ValueError, "lstm_gates takes"),
        ((draw(3, 8), draw(3, 2).astype(np.float32)), ValueError, "of one dtype"),
        ((np.ones((3, 8), np.int64), draw(3, 2)), TypeError, "floating point, int64 was given"),
    ],
)
def test_what_does_not_fit(given: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Tape().lstm_gates(*given)


@pytest.mark.parametrize("name", ["lstm_gates", "gru_gates"])
def test_a_launch_has_the_buffers_that_every_device_has(name: str) -> None:
    """Value and gradient are one launch; the second order is as many as its results need."""
    op, launches = OPS[name], []
    for _ in range(3):
        slopes: Any = op.gradient
        specs = [Spec.of((3, 2 * n), dt.float32) for n in slopes.operands.values()]
        found = op.definitions(specs, (), op.infer(specs, ()))
        for definition in found:
            assert len(specs) + len({s.operand for s in definition.stores}) <= BINDINGS
        launches.append(len(found))
        op = slopes.op
    assert launches[:2] == [1, 1] and launches[2] > 1


# ---- launches of a layer ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("make", "gates"), [(nn.LSTM, "lstm_gates"), (nn.GRU, "gru_gates")])
def test_a_step_is_a_product_and_one_launch(calls: list[str], make: Any, gates: str) -> None:
    time = 4
    layer = make(3, 2)
    y, _ = layer(ingot.randn(time, 5, 3))
    assert (calls.count("linear"), calls.count(gates)) == (1 + time, time)
    assert not {"sigmoid", "tanh", "mul"} & set(calls)
    y.sum().backward()
    assert calls.count(f"{gates}.d") == time
