"""Attention with several heads and transformers on every device, beside a few lines of NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn

L, S, N, E, HEADS = 3, 4, 2, 8, 2
AHEAD = np.triu(np.ones((L, L), bool), 1)
HIDDEN = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
PADDING = np.array([[0, 0, 1, 1], [0, 0, 0, 1]], bool)


# ---- the reference -----------------------------------------------------------------------------------------------------
def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(w: dict[str, Any], q: Any, k: Any, v: Any, mask: Any = 0.0, padding: Any = None) -> tuple[Any, Any]:
    """(L, N, E) of float64, head by head; masks of bools hide where they are true. The weights are (N, heads, L, S)."""
    size = q.shape[-1]
    weights = np.split(w["in_proj_weight"], 3) if "in_proj_weight" in w else [w[f"{n}_proj_weight"] for n in "qkv"]
    biases = np.split(w.get("in_proj_bias", np.zeros(3 * size)), 3)
    x, y, z = (a @ m.T + b for a, m, b in zip((q, k, v), weights, biases, strict=True))
    made, shares = np.zeros(q.shape), np.zeros((q.shape[1], HEADS, len(q), len(k)))
    each = size // HEADS
    for n in range(q.shape[1]):
        for h in range(HEADS):
            part = slice(h * each, (h + 1) * each)
            scores = x[:, n, part] @ y[:, n, part].T / np.sqrt(each)
            hidden = np.asarray(mask)
            scores = np.where(hidden, -np.inf, scores) if hidden.dtype == bool else scores + hidden
            scores = scores if padding is None else np.where(padding[n], -np.inf, scores)
            shares[n, h] = softmax(scores)
            made[:, n, part] = shares[n, h] @ z[:, n, part]
    return made @ w["out_proj.weight"].T + w.get("out_proj.bias", 0), shares


def norm(w: dict[str, Any], name: str, x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    made = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return made * w[f"{name}.weight"] + w[f"{name}.bias"]


def below(w: dict[str, Any], name: str) -> dict[str, Any]:
    return {k.removeprefix(f"{name}."): v for k, v in w.items() if k.startswith(f"{name}.")}


def layer(w: dict[str, Any], x: Any, memory: Any = None, first: bool = False, mask: Any = 0.0, padding: Any = None) -> Any:
    """A layer of an encoder, or with a memory of a decoder; ``padding`` is the memory's there."""
    def itself(y: Any) -> Any:
        return attention(below(w, "self_attn"), y, y, y, mask, padding if memory is None else None)[0]

    def feed(y: Any) -> Any:
        inner = np.maximum(y @ w["linear1.weight"].T + w["linear1.bias"], 0)
        return inner @ w["linear2.weight"].T + w["linear2.bias"]

    blocks = [itself, feed]
    if memory is not None:
        blocks.insert(1, lambda y: attention(below(w, "multihead_attn"), y, memory, memory, padding=padding)[0])
    for n, block in enumerate(blocks, 1):
        x = x + block(norm(w, f"norm{n}", x)) if first else norm(w, f"norm{n}", x + block(x))
    return x


def read(module: nn.Module) -> dict[str, Any]:
    return {k: values(v) for k, v in module.named_parameters()}


def shaken(module: Any, device: str) -> Any:
    """The module with parameters that are not at their special first values."""
    for n, parameter in enumerate(module.parameters()):
        parameter.data = parameter.data + 0.3 * on("cpu", drawn(*parameter.shape, seed=n))
    return module.to(device)


def close(made: Any, wanted: Any) -> None:
    np.testing.assert_allclose(values(made), wanted, rtol=2e-4, atol=2e-5)


# ---- attention ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("hidden", ["nothing", "mask", "padding", "both"])
def test_attention(device: str, hidden: str, kind: str) -> None:
    """With weights and without: the same, and the reference's; the gradient is the slope along a direction."""
    module = shaken(nn.MultiheadAttention(E, HEADS, dropout=0.5), device).eval()
    q, k = drawn(L, N, E), drawn(S, N, E, seed=1)
    mask = HIDDEN if hidden in ("mask", "both") else None
    padding = PADDING if hidden in ("padding", "both") else None
    given: dict[str, Any] = {}
    for name, m in (("attn_mask", mask), ("key_padding_mask", padding)):
        if m is not None:
            moved = ingot.tensor(m.tolist(), device=device)
            given[name] = moved if kind == "bool" else ingot.zeros(m.shape, device=device).masked_fill(moved, -np.inf)
    used = 0.0 if mask is None else mask
    wanted, shares = attention(read(module), q, k, k, used, padding)
    x, y = on(device, q, requires_grad=True), on(device, k)
    made, weights = module(x, y, y, **given)
    close(made, wanted)
    close(weights, shares.mean(1))
    close(module(x, y, y, average_attn_weights=False, **given)[1], shares)
    fast, none = module(x, y, y, need_weights=False, **given)
    assert none is None
    close(fast, wanted)
    towards, factors = drawn(L, N, E, seed=3), drawn(L, N, E, seed=4)
    (fast * on(device, factors)).sum().backward()
    ends = [(attention(read(module), q + at * towards.astype(np.float64), k, k, used, padding)[0] * factors).sum()
            for at in (1e-5, -1e-5)]  # fmt: skip
    assert x.grad is not None
    assert float((values(x.grad) * towards).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-3)


def test_other_forms(device: str) -> None:
    """Sizes of their own, the batch first, no batch, a causal mask that is only named, a mask for each head."""
    module = shaken(nn.MultiheadAttention(E, HEADS, kdim=5, vdim=3, bias=False), device)
    q, k, v = drawn(L, N, E), drawn(S, N, 5, seed=1), drawn(S, N, 3, seed=2)
    close(module(on(device, q), on(device, k), on(device, v))[0], attention(read(module), q, k, v)[0])
    module = shaken(nn.MultiheadAttention(E, HEADS), device)
    x, ahead = on(device, q), ingot.tensor(AHEAD.tolist(), device=device)
    wanted = attention(read(module), q, q, q, AHEAD)[0]
    close(module(x, x, x, need_weights=False, attn_mask=ahead, is_causal=True)[0], wanted)
    close(module(x, x, x, attn_mask=ahead.expand(N * HEADS, L, L).contiguous())[0], wanted)
    close(module(x[:, 0], x[:, 0], x[:, 0], attn_mask=ahead)[0], wanted[:, 0])
    module.batch_first = True
    turned = x.transpose(0, 1)
    close(module(turned, turned, turned, attn_mask=ahead)[0].transpose(0, 1), wanted)


def test_what_attention_adds(device: str) -> None:
    """A learned key and value, and zeros: what every query may look at, whatever the masks say."""
    module = shaken(nn.MultiheadAttention(E, HEADS, add_bias_kv=True, add_zero_attn=True), device)
    x = on(device, drawn(L, N, E))
    everything = ingot.ones(L, L, device=device, dtype=ingot.bool)
    made, weights = module(x, x, x, attn_mask=everything, key_padding_mask=ingot.ones(N, L, device=device, dtype=ingot.bool))
    assert weights.shape == (N, L, L + 2) and not values(weights)[..., :L].any()
    np.testing.assert_allclose(values(weights)[..., L:].sum(-1), 1, rtol=1e-5)
    assert np.isfinite(values(made)).all()


def test_dropout_of_attention(device: str) -> None:
    ingot.manual_seed(0)
    module = shaken(nn.MultiheadAttention(E, HEADS, dropout=1.0), device)
    x = on(device, drawn(L, N, E))
    for need in (True, False):
        made, _ = module(x, x, x, need_weights=need)
        close(made, np.broadcast_to(read(module)["out_proj.bias"], (L, N, E)))


def test_halves(device: str) -> None:
    module, x = shaken(nn.TransformerEncoderLayer(E, HEADS, 6, 0.0), device), on(device, drawn(L, N, E))
    wanted = values(module(x))
    made = module.half()(x.half())
    assert made.dtype == ingot.float16
    np.testing.assert_allclose(values(made), wanted, atol=3e-2)


# ---- transformers ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [False, True])
def test_layers(device: str, first: bool) -> None:
    x, memory = drawn(L, N, E), drawn(S, N, E, seed=1)
    ahead, padding = ingot.tensor(AHEAD.tolist(), device=device), ingot.tensor(PADDING.tolist(), device=device)
    encoder = shaken(nn.TransformerEncoderLayer(E, HEADS, 6, 0.0, norm_first=first), device)
    close(encoder(on(device, x), src_mask=ahead), layer(read(encoder), x, first=first, mask=AHEAD))
    close(encoder(on(device, memory), src_key_padding_mask=padding), layer(read(encoder), memory, first=first, padding=PADDING))
    decoder = shaken(nn.TransformerDecoderLayer(E, HEADS, 6, 0.0, norm_first=first), device)
    close(decoder(on(device, x), on(device, memory), tgt_mask=ahead, memory_key_padding_mask=padding),
          layer(read(decoder), x, memory, first, AHEAD, PADDING))  # fmt: skip


def transformer(device: str) -> Any:
    return shaken(nn.Transformer(E, HEADS, 2, 2, 6, dropout=0.0), device)


def test_a_transformer(device: str) -> None:
    """Layers of a stack have parameters of their own; the decoder looks at what the encoder made."""
    module = transformer(device)
    w, src, tgt = read(module), drawn(S, N, E), drawn(L, N, E, seed=1)
    memory, wanted = src, tgt
    for n in range(2):
        memory = layer(below(w, f"encoder.layers.{n}"), memory)
    memory = norm(w, "encoder.norm", memory)
    for n in range(2):
        wanted = layer(below(w, f"decoder.layers.{n}"), wanted, memory, mask=AHEAD)
    causal = nn.Transformer.generate_square_subsequent_mask(L, device=device)
    for hint in (None, True):
        made = module(on(device, src), on(device, tgt), tgt_mask=causal, tgt_is_causal=hint)
        close(made, norm(w, "decoder.norm", wanted))


def test_compiled_is_the_same_to_the_bit(device: str) -> None:
    module = transformer(device)
    causal = nn.Transformer.generate_square_subsequent_mask(L, device=device)

    def run(src: Any, tgt: Any) -> list[Any]:
        module.zero_grad()
        y = module(src, tgt, tgt_mask=causal)
        (y * y).sum().backward()
        return [y.detach(), *(p.grad for p in module.parameters())]

    fast = ingot.compile(run)
    for seed in range(4):
        given = on(device, drawn(S, N, E, seed=seed)), on(device, drawn(L, N, E, seed=seed + 9))
        wanted = [values(v) for v in run(*given)]
        for made, same in zip(fast(*given), wanted, strict=True):
            np.testing.assert_array_equal(values(made), same)
    assert "replay" in str(fast.explain())


def three() -> list[Any]:
    return [ingot.ones(3, 1, 4)] * 3


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: nn.MultiheadAttention(6, 4), AssertionError, "6 is not by 4"),
        (lambda: nn.MultiheadAttention(0, 4), ValueError, "embed_dim=0"),
        (lambda: nn.MultiheadAttention(4, 2)(*three(), is_causal=True), RuntimeError, "generate_square_subsequent_mask"),
        (lambda: nn.MultiheadAttention(4, 2)(*three(), attn_mask=ingot.ones(2, 3)), RuntimeError, r"should be \(3, 3\)"),
        (lambda: nn.MultiheadAttention(4, 2)(*three(), ingot.ones(2, 3)), AssertionError, r"expected \(1, 3\)"),
        (lambda: nn.MultiheadAttention(4, 2)(*three(), ingot.ones(1, 3).int()), AssertionError, "only bool and floating"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), RuntimeError, "relu/gelu, or a function, not 'tanh'"),
        (lambda: nn.Transformer(4, 2, 1, 1, 4)(three()[0], ingot.ones(3, 2, 4)), RuntimeError, "but they are 1 and 2"),
        (lambda: nn.Transformer(4, 2, 1, 1, 4)(three()[0], ingot.ones(3, 1, 5)), RuntimeError, "d_model=4, but"),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()
