"""Recurrent layers and transformers beside PyTorch: text, state, results, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:LSTM with projections")]


@pytest.fixture(scope="session")
def ingot() -> Any:
    return pytest.importorskip("ingot")


def flat(value: Any) -> list[Any]:
    """The tensors in a result; a packed sequence counts as its data."""
    if value is None:
        return []
    if hasattr(value, "batch_sizes"):
        return [value.data]
    if not isinstance(value, tuple):
        return [value]
    return [x for v in value for x in flat(v)]


def agree(ours: Any, theirs: Any, ingot: Any, torch: Any, call: Callable[[Any, Any, list[Any]], Any], *shapes: Any) -> None:
    """The same text and state; the same results and gradients of all inputs and parameters, from the same values."""
    assert repr(ours) == repr(theirs)
    state = theirs.state_dict()
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in state.items()}
    assert list(ours.state_dict()) == list(state)
    random = np.random.default_rng(0)
    state = {k: random.normal(size=tuple(v.shape)).astype(np.float32) * 0.5 for k, v in state.items()}
    arrays = [random.normal(size=s).astype(np.float32) for s in shapes]
    found = []
    for library, module in ((ingot, ours), (torch, theirs)):
        module.load_state_dict({k: library.tensor(v) for k, v in state.items()})
        inputs = [library.tensor(a, requires_grad=True) for a in arrays]
        results = flat(call(library, module, inputs))
        loss: Any = sum((n + 1) * (y * y).sum() + y.sum() for n, y in enumerate(results))
        loss.backward()
        grads = [x.grad for x in (*inputs, *module.parameters()) if x.grad is not None]
        found.append([y.detach().numpy() for y in (*results, *grads)])
    for mine, wanted in zip(*found, strict=True):
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=2e-5 * scale)


# ---- recurrent ---------------------------------------------------------------------------------------------------------
KINDS: dict[str, Callable[..., Any]] = {
    "RNN": lambda n, **o: n.RNN(3, 4, **o),
    "relu": lambda n, **o: n.RNN(3, 4, nonlinearity="relu", **o),
    "LSTM": lambda n, **o: n.LSTM(3, 4, **o),
    "LSTM projected": lambda n, **o: n.LSTM(3, 4, proj_size=2, **o),
    "GRU": lambda n, **o: n.GRU(3, 4, **o),
}
OPTIONS: tuple[dict[str, Any], ...] = (
    {}, {"bias": False}, {"num_layers": 2}, {"bidirectional": True, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
)  # fmt: skip


def states(module: Any, inputs: list[Any]) -> Any:
    return tuple(inputs) if len(inputs) > 1 else inputs[0] if inputs else None


def shapes_of(kind: str, options: dict[str, Any], *batch: int) -> list[tuple[int, ...]]:
    rows = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    sizes = {"LSTM": [4, 4], "LSTM projected": [2, 4]}.get(kind, [4])
    return [(rows, *batch, size) for size in sizes]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_recurrent_layer(ingot: Any, torch: Any, kind: str, options: dict[str, Any]) -> None:
    def call(library: Any, module: Any, inputs: list[Any]) -> Any:
        return module(inputs[0], states(module, inputs[1:]))

    def packed(library: Any, module: Any, inputs: list[Any]) -> Any:
        u = library.nn.utils.rnn
        first = options.get("batch_first", False)
        rows = u.pack_padded_sequence(inputs[0], [1, 3, 3, 2], batch_first=first, enforce_sorted=False)
        made, state = module(rows, states(module, inputs[1:]))
        padded, lengths = u.pad_packed_sequence(made, batch_first=first, padding_value=0.5)
        assert lengths.tolist() == [1, 3, 3, 2]
        return made, padded, state

    batch, alone = shapes_of(kind, options, 4), shapes_of(kind, options)
    rows = (4, 4, 3)
    runs: list[tuple[Any, ...]] = [(call, rows), (call, rows, *batch), (call, (5, 3), *alone), (packed, rows, *batch)]
    for run, *shapes in runs:
        ours, theirs = (KINDS[kind](library.nn, **options) for library in (ingot, torch))
        agree(ours, theirs, ingot, torch, run, *shapes)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cell(ingot: Any, torch: Any, name: str, bias: bool) -> None:
    def call(library: Any, module: Any, inputs: list[Any]) -> Any:
        return module(inputs[0], states(module, inputs[1:]))

    for batch in ((), (2,)):
        for given in (0, 2 if name == "LSTMCell" else 1):
            ours, theirs = (getattr(library.nn, name)(3, 4, bias=bias) for library in (ingot, torch))
            agree(ours, theirs, ingot, torch, call, (*batch, 3), *[(*batch, 4)] * given)


def test_sequences(ingot: Any, torch: Any) -> None:
    rows = [np.random.default_rng(n).normal(size=(n, 2)).astype(np.float32) for n in (2, 4, 1)]
    found = []
    for library in (ingot, torch):
        u, given = library.nn.utils.rnn, [library.tensor(r) for r in rows]
        packed = u.pack_sequence(given, enforce_sorted=False)
        found.append([
            u.pad_sequence(given), u.pad_sequence(given, batch_first=True, padding_value=2.0, padding_side="left"), *packed,
            *u.pad_packed_sequence(packed, total_length=6), *u.unpack_sequence(packed),
        ])  # fmt: skip
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_array_equal(mine.numpy(), wanted.numpy())


# ---- errors ------------------------------------------------------------------------------------------------------------
BAD: dict[str, Callable[[Any], Any]] = {
    "dropout": lambda t: t.nn.GRU(3, 2, dropout=-1),
    "nonlinearity": lambda t: t.nn.RNN(3, 2, nonlinearity="sin"),
    "sizes": lambda t: t.nn.LSTM(3, 0),
    "kind of a size": lambda t: t.nn.LSTM(3, 2.5),
    "projection": lambda t: t.nn.LSTM(3, 2, proj_size=3),
    "axes": lambda t: t.nn.LSTM(3, 2)(t.ones(3)),
    "features": lambda t: t.nn.GRU(3, 2)(t.ones(4, 1, 2)),
    "dtype": lambda t: t.nn.GRU(3, 2)(t.ones(4, 1, 3).double()),
    "state": lambda t: t.nn.GRU(3, 2)(t.ones(4, 5, 3), t.ones(1, 4, 2)),
    "axes of the state": lambda t: t.nn.LSTM(3, 2)(t.ones(4, 3), (t.ones(1, 1, 2), t.ones(1, 1, 2))),
    "no time": lambda t: t.nn.RNN(3, 2)(t.ones(0, 1, 3)),
    "cell": lambda t: t.nn.LSTMCell(3, 2)(t.ones(2, 4)),
    "axes of a cell": lambda t: t.nn.GRUCell(3, 2)(t.ones(1, 2, 3)),
    "lengths": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), [1, 2]),
    "no length": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), [1, 0]),
    "total length": lambda t: t.nn.utils.rnn.pad_packed_sequence(t.nn.utils.rnn.pack_sequence([t.ones(3, 1)]), total_length=2),
    "padding side": lambda t: t.nn.utils.rnn.pad_sequence([t.ones(3, 1)], padding_side="top"),
}


@pytest.mark.parametrize("name", BAD)
def test_same_type_of_error(ingot: Any, torch: Any, name: str) -> None:
    with pytest.raises(Exception) as theirs:
        BAD[name](torch)
    with pytest.raises(theirs.type):
        BAD[name](ingot)
