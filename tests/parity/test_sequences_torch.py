"""Recurrent layers and transformers beside PyTorch: text, state, results, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, *map(pytest.mark.filterwarnings, (
    "ignore:LSTM with projections", "ignore:enable_nested_tensor is True"))]  # fmt: skip


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


# ---- attention ---------------------------------------------------------------------------------------------------------
L, S, N, E, HEADS = 3, 4, 2, 8, 2
BOTTOM = [[j > i for j in range(L)] for i in range(L)]
OTHER = [[False, True, False, False], [False, False, False, True], [True, False, False, False]]
PADDING = [[False, False, True, True], [False, False, False, True]]


def look(**kwargs: Any) -> Callable[[Any, Any, list[Any]], Any]:
    """A call with masks given as lists; those that end in "_f" are added to the scores."""

    def call(library: Any, module: Any, inputs: list[Any]) -> Any:
        q, k, v = inputs if len(inputs) == 3 else (inputs[0], inputs[-1], inputs[-1])
        given = {name: library.tensor(m) if isinstance(m, list) else m for name, m in kwargs.items()}
        masks = {n: m for n, m in given.items() if n.endswith("_f")}
        for name, mask in masks.items():
            del given[name]
            given[name[:-2]] = library.zeros(mask.shape).masked_fill(mask, -2.5)
        return module(q, k, v, **given)

    return call


ATTENTION: dict[str, tuple[dict[str, Any], Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "self": ({}, look(), ((L, N, E),)),
    "self, fast": ({}, look(need_weights=False), ((L, N, E),)),
    "self, causal": ({}, look(need_weights=False, attn_mask=BOTTOM, is_causal=True), ((L, N, E),)),
    "causal with weights": ({}, look(attn_mask=BOTTOM, is_causal=True), ((L, N, E),)),
    "another": ({"bias": False}, look(average_attn_weights=False), ((L, N, E), (S, N, E))),
    "three": ({}, look(), ((L, N, E), (S, N, E), (S, N, E))),
    "other sizes": ({"kdim": 5, "vdim": 7}, look(), ((L, N, E), (S, N, 5), (S, N, 7))),
    "other sizes, no bias": ({"kdim": 5, "bias": False}, look(need_weights=False), ((L, N, E), (S, N, 5), (S, N, E))),
    "batch first": ({"batch_first": True}, look(need_weights=False), ((N, L, E), (N, S, E))),
    "no batch": ({}, look(attn_mask=OTHER, key_padding_mask=PADDING[0]), ((L, E), (S, E))),
    "no batch, fast": ({}, look(attn_mask=OTHER, need_weights=False), ((L, E), (S, E))),
    "masks": ({}, look(attn_mask=OTHER, key_padding_mask=PADDING), ((L, N, E), (S, N, E))),
    "padding, fast": ({}, look(key_padding_mask=PADDING, need_weights=False), ((L, N, E), (S, N, E))),
    "masks, fast": ({}, look(attn_mask=OTHER, key_padding_mask=PADDING, need_weights=False), ((L, N, E), (S, N, E))),
    "added masks": ({}, look(attn_mask_f=OTHER, key_padding_mask_f=PADDING), ((L, N, E), (S, N, E))),
    "added masks, fast": ({}, look(attn_mask_f=OTHER, need_weights=False), ((L, N, E), (S, N, E))),
    "a mask for each head": ({}, look(attn_mask=[OTHER] * (N * HEADS)), ((L, N, E), (S, N, E))),
    "more keys": ({"add_bias_kv": True, "add_zero_attn": True}, look(attn_mask=OTHER, key_padding_mask=PADDING),
                  ((L, N, E), (S, N, E))),
    "a zero": ({"add_zero_attn": True}, look(attn_mask=BOTTOM, need_weights=False), ((L, N, E),)),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(ingot: Any, torch: Any, name: str) -> None:
    options, call, shapes = ATTENTION[name]
    ours, theirs = (library.nn.MultiheadAttention(E, HEADS, **options) for library in (ingot, torch))
    agree(ours, theirs, ingot, torch, call, *shapes)
    agree(ours.eval(), theirs.eval(), ingot, torch, call, *shapes)


def test_masks_of_two_kinds_are_added_with_a_warning(ingot: Any, torch: Any) -> None:
    ours, theirs = (library.nn.MultiheadAttention(E, HEADS) for library in (ingot, torch))
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
        agree(ours, theirs, ingot, torch, look(attn_mask_f=OTHER, key_padding_mask=PADDING), (L, N, E), (S, N, E))


# ---- transformers ------------------------------------------------------------------------------------------------------
SMALL = {"dim_feedforward": 6, "dropout": 0.0}


def encoder(n: Any, **o: Any) -> Any:
    return n.TransformerEncoderLayer(E, HEADS, **SMALL, **o)


def decoder(n: Any, **o: Any) -> Any:
    return n.TransformerDecoderLayer(E, HEADS, **SMALL, **o)


def with_masks(library: Any, module: Any, inputs: list[Any]) -> Any:
    src, tgt = inputs
    causal = module.generate_square_subsequent_mask(L)
    padding = library.tensor(PADDING)
    return module(src, tgt, tgt_mask=causal, src_key_padding_mask=padding, memory_key_padding_mask=padding)


TRANSFORMERS: dict[str, tuple[Callable[[Any], Any], Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "encoder layer": (encoder, lambda t, m, x: m(*x), ((L, N, E),)),
    "norm first": (lambda n: encoder(n, norm_first=True, activation="gelu", bias=False), lambda t, m, x: m(*x), ((L, N, E),)),
    "masked": (lambda n: encoder(n, batch_first=True, layer_norm_eps=1e-3),
               lambda t, m, x: m(*x, src_mask=t.tensor(BOTTOM), src_key_padding_mask=t.tensor([[False, False, True]] * N)),
               ((N, L, E),)),
    "decoder layer": (decoder, lambda t, m, x: m(*x), ((L, N, E), (S, N, E))),
    "decoder, norm first": (lambda n: decoder(n, norm_first=True, activation=n.functional.silu),
                            lambda t, m, x: m(*x, tgt_mask=t.tensor(BOTTOM), memory_mask=t.tensor(OTHER)), ((L, E), (S, E))),
    "module": (lambda n: decoder(n, activation=n.GELU()), lambda t, m, x: m(*x), ((L, N, E), (S, N, E))),
    "encoder": (lambda n: n.TransformerEncoder(encoder(n), 2, n.LayerNorm(E), enable_nested_tensor=False),
                lambda t, m, x: m(*x, mask=t.nn.Transformer.generate_square_subsequent_mask(L), is_causal=True), ((L, N, E),)),
    "decoder": (lambda n: n.TransformerDecoder(decoder(n), 2),
                lambda t, m, x: m(*x, tgt_mask=t.tensor(BOTTOM), tgt_is_causal=True), ((L, N, E), (S, N, E))),
    "both": (lambda n: n.Transformer(E, HEADS, 2, 1, **SMALL), with_masks, ((S, N, E), (L, N, E))),
    "both, norm first": (lambda n: n.Transformer(E, HEADS, 1, 2, 6, 0.0, "gelu", batch_first=True, norm_first=True, bias=False),
                         lambda t, m, x: m(*x), ((N, S, E), (N, L, E))),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer(ingot: Any, torch: Any, name: str) -> None:
    make, call, shapes = TRANSFORMERS[name]
    ours, theirs = make(ingot.nn), make(torch.nn)
    agree(ours, theirs, ingot, torch, call, *shapes)
    agree(ours.eval(), theirs.eval(), ingot, torch, call, *shapes)


def test_initial_values_of_a_transformer(ingot: Any, torch: Any) -> None:
    """The same bounds for each parameter; what is fixed is fixed alike."""
    found = []
    for library in (ingot, torch):
        library.manual_seed(0)
        made = library.nn.Transformer(32, 2, 1, 1, 24)
        more = library.nn.MultiheadAttention(32, 2, kdim=20, add_bias_kv=True)
        found.append([*made.named_parameters(), *more.named_parameters()])
    for (name, mine), (also, wanted) in zip(*found, strict=True):
        assert name == also
        a, b = (np.abs(v.detach().numpy()).max() for v in (mine, wanted))
        assert a == pytest.approx(b, rel=0.6 if "bias_" in name else 0.12), name


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
    "heads": lambda t: t.nn.MultiheadAttention(6, 4),
    "no heads": lambda t: t.nn.MultiheadAttention(6, 0),
    "axes of a query": lambda t: t.nn.MultiheadAttention(4, 2)(t.ones(4), t.ones(4), t.ones(4)),
    "axes of a key": lambda t: t.nn.MultiheadAttention(4, 2)(t.ones(3, 4), t.ones(3, 1, 4), t.ones(3, 1, 4)),
    "size of a query": lambda t: t.nn.MultiheadAttention(4, 2)(t.ones(3, 1, 5), t.ones(3, 1, 5), t.ones(3, 1, 5)),
    "key and value": lambda t: t.nn.MultiheadAttention(4, 2)(t.ones(3, 1, 4), t.ones(3, 1, 4), t.ones(2, 1, 4)),
    "causal without a mask": lambda t: t.nn.MultiheadAttention(4, 2)(*[t.ones(3, 1, 4)] * 3, is_causal=True),
    "shape of a mask": lambda t: t.nn.MultiheadAttention(4, 2)(*[t.ones(3, 1, 4)] * 3, attn_mask=t.ones(2, 3)),
    "shape of masks": lambda t: t.nn.MultiheadAttention(4, 2)(*[t.ones(3, 1, 4)] * 3, attn_mask=t.ones(3, 3, 3)),
    "axes of a mask": lambda t: t.nn.MultiheadAttention(4, 2)(*[t.ones(3, 1, 4)] * 3, attn_mask=t.ones(3)),
    "whole numbers": lambda t: t.nn.MultiheadAttention(4, 2)(*[t.ones(3, 1, 4)] * 3, attn_mask=t.tensor([[1] * 3] * 3)),
    "padding": lambda t: t.nn.MultiheadAttention(4, 2)(*[t.ones(3, 1, 4)] * 3, key_padding_mask=t.ones(3)),
    "activation": lambda t: t.nn.TransformerEncoderLayer(4, 2, activation="tanh"),
    "batches": lambda t: t.nn.Transformer(4, 2, 1, 1, 4)(t.ones(3, 1, 4), t.ones(3, 2, 4)),
    "features of both": lambda t: t.nn.Transformer(4, 2, 1, 1, 4)(t.ones(3, 1, 4), t.ones(3, 1, 5)),
    "padding side": lambda t: t.nn.utils.rnn.pad_sequence([t.ones(3, 1)], padding_side="top"),
}


@pytest.mark.parametrize("name", BAD)
def test_same_type_of_error(same_type_of_error: Any, name: str) -> None:
    same_type_of_error(BAD[name])
