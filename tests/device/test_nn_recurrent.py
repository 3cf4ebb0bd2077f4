"""Recurrent layers and batches of sequences on every device, beside a few lines of NumPy in float64.

The steps have records of their own; here are layers, directions, packed sequences, states, refusals and compiled calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn
from ingot.nn.utils import rnn

Array = np.ndarray[Any, Any]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


# ---- the reference: one sequence at a time -----------------------------------------------------------------------------
def step(mode: str, x: Any, state: list[Any], w: dict[str, Any]) -> list[Any]:
    a, b = w["weight_ih"] @ x + w.get("bias_ih", 0), w["weight_hh"] @ state[0] + w.get("bias_hh", 0)
    if mode == "LSTM":
        i, f, g, o = np.split(a + b, 4)
        cell = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        return [w["weight_hr"] @ hidden if "weight_hr" in w else hidden, cell]
    if mode == "GRU":
        (xr, xz, xn), (hr, hz, hn) = np.split(a, 3), np.split(b, 3)
        z = sigmoid(xz + hz)
        return [(1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * state[0]]
    return [np.tanh(a + b) if mode == "RNN_TANH" else np.maximum(a + b, 0)]


def sequence(layer: Any, x: Any, states: list[Any], weights: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The outputs (time, …) and last states (layers · directions, size) of one sequence (time, …)."""
    finals: list[list[Any]] = []
    for n in range(layer.num_layers):
        sides = []
        for end in ("", "_reverse")[: 1 + layer.bidirectional]:
            tail = f"_l{n}{end}"
            w = {k.removesuffix(tail): v for k, v in weights.items() if k.endswith(tail)}
            state = [s[len(finals)] for s in states]
            outputs = []
            for row in x[::-1] if end else x:
                state = step(layer.mode, row, state, w)
                outputs.append(state[0])
            finals.append(state)
            sides.append(np.stack(outputs[::-1] if end else outputs))
        x = np.concatenate(sides, -1)
    return x, [np.stack(s) for s in zip(*finals, strict=True)]


def states_of(layer: Any, batch: int, seed: int) -> list[Array]:
    rows = layer.num_layers * (1 + layer.bidirectional)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size][: 1 + layer.pair]
    return [drawn(rows, batch, size, seed=seed + k) for k, size in enumerate(sizes)]


def exact(layer: Any, x: Any, states: list[Any], lengths: list[int] | None = None) -> tuple[list[Any], list[Any]]:
    """Outputs by sequence, and last states, of a batch (time, N, …)."""
    weights = {k: values(v) for k, v in layer.named_parameters()}
    lengths = lengths or [len(x)] * x.shape[1]
    found = [sequence(layer, x[:length, n].astype(np.float64), [s[:, n] for s in states], weights)
             for n, length in enumerate(lengths)]  # fmt: skip
    return [y for y, _ in found], [np.stack(s, 1) for s in zip(*(f for _, f in found), strict=True)]


def given(layer: Any, device: str, states: list[Any]) -> Any:
    moved = tuple(on(device, s) for s in states)
    return moved if layer.pair else moved[0]


def close(made: Any, wanted: Any) -> None:
    np.testing.assert_allclose(values(made), wanted, rtol=1e-4, atol=1e-5)


LAYERS: dict[str, Callable[[], Any]] = {
    "RNN": lambda: nn.RNN(3, 2),
    "RNN relu": lambda: nn.RNN(3, 2, nonlinearity="relu", bias=False, bidirectional=True),
    "LSTM": lambda: nn.LSTM(3, 2, num_layers=2, bidirectional=True),
    "LSTM, no bias": lambda: nn.LSTM(3, 2, bias=False),
    "LSTM, projected": lambda: nn.LSTM(3, 4, num_layers=2, proj_size=2),
    "GRU": lambda: nn.GRU(3, 2),
    "GRU, both ways": lambda: nn.GRU(3, 2, num_layers=2, bidirectional=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(device: str, name: str) -> None:
    """Outputs and last states; the gradient is the slope of the reference along a direction."""
    ingot.manual_seed(0)
    layer = LAYERS[name]().to(device)
    x, towards, states = drawn(4, 2, 3), drawn(4, 2, 3, seed=1), states_of(layer, 2, 5)
    outputs, finals = exact(layer, x, states)
    mine = on(device, x, requires_grad=True)
    y, final = layer(mine, given(layer, device, states))
    close(y, np.stack(outputs, 1))
    for made, wanted in zip(final if layer.pair else [final], finals, strict=True):
        close(made, wanted)
    factors = drawn(*y.shape, seed=2)
    (y * on(device, factors)).sum().backward()

    def loss(at: float) -> float:
        return float((np.stack(exact(layer, x + at * towards.astype(np.float64), states)[0], 1) * factors).sum())

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert float((values(mine.grad) * towards).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "LSTM, projected", "GRU, both ways"])
def test_a_packed_batch_is_each_sequence_alone(device: str, name: str) -> None:
    ingot.manual_seed(0)
    layer = LAYERS[name]().to(device)
    lengths = [2, 4, 1, 4]
    x, states = drawn(4, 4, 3), states_of(layer, 4, 3)
    outputs, finals = exact(layer, x, states, lengths)
    packed = rnn.pack_padded_sequence(on(device, x), lengths, enforce_sorted=False)
    made, final = layer(packed, given(layer, device, states))
    y, found = rnn.pad_packed_sequence(made, padding_value=7.0, total_length=5)
    assert found.tolist() == lengths and y.shape[:2] == (5, 4)
    for n, (wanted, length) in enumerate(zip(outputs, lengths, strict=True)):
        close(y[:length, n], wanted)
        assert (values(y[length:, n]) == 7).all()
    for one, wanted in zip(final if layer.pair else [final], finals, strict=True):
        close(one, wanted)


def test_other_forms_of_a_batch(device: str) -> None:
    """The batch first; no batch; no state; cells one step at a time: the same numbers."""
    ingot.manual_seed(0)
    layer, x = nn.LSTM(3, 2).to(device), on(device, drawn(4, 2, 3))
    y, (hidden, cell) = layer(x)
    first = nn.LSTM(3, 2, batch_first=True).to(device)
    first.load_state_dict(layer.state_dict())
    close(first(x.transpose(0, 1))[0].transpose(0, 1), values(y))
    alone, (last, _) = layer(x[:, 1])
    close(alone, values(y)[:, 1])
    assert last.shape == (1, 2)
    one = nn.LSTMCell(3, 2).to(device)
    one.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    state: Any = None
    for row in x:
        state = one(row, state)
    close(state[0], values(hidden)[0])
    close(state[1], values(cell)[0])
    close(one(x[0, 1])[0], values(y)[0, 1])


def test_cells_of_the_other_kinds(device: str) -> None:
    cells: dict[str, Any] = {
        "RNN_TANH": nn.RNNCell(3, 2), "RNN_RELU": nn.RNNCell(3, 2, nonlinearity="relu"), "GRU": nn.GRUCell(3, 2, bias=False),
    }  # fmt: skip
    for mode, made in cells.items():
        cell = made.to(device)
        x, h = drawn(4, 3), drawn(4, 2, seed=1)
        weights = {k: values(v) for k, v in cell.named_parameters()}
        wanted = [step(mode, a.astype(np.float64), [b], weights)[0] for a, b in zip(x, h, strict=True)]
        close(cell(on(device, x), on(device, h)), np.stack(wanted))


def test_dropout_is_between_layers_while_training(device: str) -> None:
    ingot.manual_seed(0)
    layer, x = nn.GRU(3, 8, num_layers=2, dropout=1.0).to(device), on(device, drawn(4, 2, 3))
    dropped = layer(x)[0]
    layer.weight_ih_l1.data.zero_()  # what a second layer that sees nothing gives
    close(dropped, values(layer(x)[0]))
    assert not np.allclose(values(LAYERS["GRU"]().to(device)(x)[0]), 0)
    layer.eval()
    layer.weight_ih_l1.data.fill_(1.0)
    assert not np.allclose(values(layer(x)[0]), values(dropped))


def test_halves(device: str) -> None:
    layer, x = nn.LSTM(3, 2).to(device), on(device, drawn(4, 2, 3))
    wanted = values(layer(x)[0])
    made = layer.half()(x.half())[0]
    assert made.dtype == ingot.float16
    np.testing.assert_allclose(values(made), wanted, atol=4e-3)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN relu"])
def test_compiled_is_the_same_to_the_bit(device: str, name: str) -> None:
    layer = LAYERS[name]().to(device)

    def run(x: Any) -> list[Any]:
        layer.zero_grad()
        y, _ = layer(x)
        (y * y).sum().backward()
        return [y.detach(), *(p.grad for p in layer.parameters())]

    fast = ingot.compile(run)
    for seed in range(4):
        x = on(device, drawn(3, 2, 3, seed=seed))
        wanted = [values(v) for v in run(x)]
        for made, same in zip(fast(x), wanted, strict=True):
            np.testing.assert_array_equal(values(made), same)
    assert "replay" in str(fast.explain())


# ---- sequences ---------------------------------------------------------------------------------------------------------
def test_padding_and_packing_go_there_and_back(device: str) -> None:
    rows = [drawn(n, 2, seed=n) for n in (3, 1, 4)]
    given = [on(device, r, requires_grad=True) for r in rows]
    padded = rnn.pad_sequence(given, padding_value=9.0)
    assert padded.shape == (4, 3, 2) and (values(padded)[1:, 1] == 9).all()
    left = rnn.pad_sequence(given, batch_first=True, padding_side="left")
    np.testing.assert_array_equal(values(left)[1], np.concatenate([np.zeros((3, 2)), rows[1]]))
    packed = rnn.pack_sequence(given, enforce_sorted=False)
    assert packed.sorted_indices is not None
    assert packed.batch_sizes.tolist() == [3, 2, 2, 1] and packed.sorted_indices.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(values(packed.data)[:3], [rows[2][0], rows[0][0], rows[1][0]])
    for made, wanted in zip(rnn.unpack_sequence(packed), rows, strict=True):
        np.testing.assert_array_equal(values(made), wanted)
    packed.data.sum().backward()
    assert all((values(x.grad) == 1).all() for x in given)
    assert packed.half().data.dtype == ingot.float16


WRONG: Any = 2.0


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: nn.GRU(3, 2, dropout=1.5), ValueError, "dropout should be a number in range"),
        (lambda: nn.GRU(0, 2), ValueError, "input_size must be greater than zero"),
        (lambda: nn.GRU(3, WRONG), TypeError, "hidden_size should be of type int, got: float"),
        (lambda: nn.LSTM(3, 2, proj_size=2), ValueError, "smaller than hidden_size=2"),
        (lambda: nn.RNN(3, 2, nonlinearity="sin"), ValueError, "Select from 'tanh' or 'relu'"),
        (lambda: nn.GRU(3, 2)(ingot.ones(3)), ValueError, "Expected input to be 2D or 3D, got 1D"),
        (lambda: nn.GRU(3, 2)(ingot.ones(4, 1, 2)), RuntimeError, "Expected 3, got 2"),
        (lambda: nn.GRU(3, 2)(ingot.ones(0, 1, 3)), RuntimeError, "sequence length to be larger than 0"),
        (lambda: nn.GRU(3, 2)(ingot.ones(4, 1, 3).half()), ValueError, r"Convert input: input.to\(ingot.float32\)"),
        (lambda: nn.GRU(3, 2)(ingot.ones(4, 5, 3), ingot.ones(1, 4, 2)), RuntimeError, r"size \(1, 5, 2\), got \[1, 4, 2\]"),
        (lambda: nn.LSTM(3, 2)(ingot.ones(4, 3), (ingot.ones(1, 1, 2),) * 2), RuntimeError, "be 2-D but got 3-D, 3-D"),
        (lambda: nn.LSTMCell(3, 2)(ingot.ones(2, 4)), RuntimeError, "got 4 expected 3"),
        (lambda: nn.LSTMCell(3, 2)(ingot.ones(1, 2, 3)), ValueError, "1D or 2D, got 3D"),
        (lambda: nn.RNNCell(3, 2, nonlinearity="sin")(ingot.ones(3)), RuntimeError, "Unknown nonlinearity: 'sin'"),
        (lambda: rnn.pack_padded_sequence(ingot.ones(3, 2, 1), [1, 2]), RuntimeError, "sorted in decreasing order"),
        (lambda: rnn.pack_padded_sequence(ingot.ones(3, 2, 1), [3, 0]), RuntimeError, "greater than 0"),
        (lambda: rnn.pack_padded_sequence(ingot.ones(3, 2, 1), [4, 2]), RuntimeError, r"\[4, 2\] must not be greater"),
        (lambda: rnn.pack_padded_sequence(ingot.ones(3, 2, 1), [3]), RuntimeError, "equal to batch_size"),
        (lambda: rnn.pad_sequence([]), RuntimeError, "empty list"),
        (lambda: rnn.pad_sequence([ingot.ones(2, 1), ingot.ones(2, 2)]), RuntimeError, r"\[2, 1\], \[2, 2\]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call: Callable[[], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()


def test_one_layer_has_nothing_to_drop_between() -> None:
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.LSTM(3, 2, dropout=0.5)


def test_initial_values_are_pytorchs(device: str) -> None:
    ingot.manual_seed(0)
    layer = nn.LSTM(30, 25, bidirectional=True, device=device)
    bound = 1 / math.sqrt(25)
    for name, parameter in layer.named_parameters():
        drawn_values = values(parameter)
        assert 0.9 * bound < np.abs(drawn_values).max() <= bound, name
    assert [len(ws) for ws in layer.all_weights] == [4, 4]
