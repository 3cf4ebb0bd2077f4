"""The random group: known answers, which element takes which word, ranges, distributions, and what advances the state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.ir.expr import const
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS, Spec, philox
from ingot_devices.opset import random as module
from opset_tape import Tape, Value, check_gradients

ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
SEED = (5, 7, 0, 0)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (*PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_known_answers(counter: Any, key: Any, expected: Any) -> None:
    """The vectors of Random123's kat_vectors."""
    out = Operand(0, "out", dt.uint32, (4,), output=True, input=False)
    d = Define("philox", [out])
    words = philox.philox(*([const(n, dt.uint32) for n in part] for part in (counter, key)))
    for lane, word in enumerate(words):
        d.store(0, [lane], word)
    made = np.zeros(4, np.uint32)
    HostCodegen().compile(d.finish(), {0: Layout.dense((4,), dt.uint32, None)}, None).call(made)
    assert tuple(made) == expected


def reference(seed: Any, blocks: int) -> Any:
    """Philox in Python integers: the words of the stream of a state."""
    words = []
    for k in range(blocks):
        at = (seed[2] | seed[3] << 32) + k
        c = [at & ONES, at >> 32 & ONES, 0, 0]
        key = [seed[0], seed[1]]
        for _ in range(10):
            a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
            c = [(b >> 32) ^ c[1] ^ key[0], b & ONES, (a >> 32) ^ c[3] ^ key[1], a & ONES]
            key = [(key[0] + 0x9E3779B9) & ONES, (key[1] + 0xBB67AE85) & ONES]
        words += c
    return np.array(words, np.uint32)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (7,), (3, 5), (2, 3, 8), (5, 1, 3), (0, 3), (3, 0)])
@pytest.mark.parametrize("seed", [(0, 0, 0, 0), (1, 2, 3, 4), (ONES, ONES, ONES - 1, 9), (3, 0, ONES, ONES)])
def test_an_element_takes_its_word(shape: Any, seed: Any) -> None:
    made = Tape().random_bits(*seed, shape=shape).array
    np.testing.assert_array_equal(made.reshape(-1), reference(seed, -(-made.size // 4))[: made.size])


def drawn(op: str, *numbers: Any, **attributes: Any) -> Any:
    return getattr(Tape(), op)(*SEED, *numbers, **attributes).array


@pytest.mark.parametrize(("dtype", "bits"), [(dt.float32, 24), (dt.float16, 11), (dt.bfloat16, 8)])
def test_uniforms(dtype: dt.DType, bits: int) -> None:
    made = drawn("uniform", shape=(6, 50), dtype=dtype)
    expected = (reference(SEED, 75) >> np.uint32(32 - bits)) * 2.0**-bits
    np.testing.assert_array_equal(made.astype(np.float64).reshape(-1), expected)


def test_double_uniforms() -> None:
    made = drawn("uniform", shape=(7, 3), dtype=dt.float64)
    words = reference(SEED, 11).astype(np.uint64)[:42].reshape(21, 2)
    np.testing.assert_array_equal(made.reshape(-1), ((words[:, 0] >> 5 << 26) + (words[:, 1] >> 6)) * 2.0**-53)


@pytest.mark.parametrize("dtype", dt.FLOATS)
def test_a_range_leaves_its_end_out(dtype: dt.DType) -> None:
    made = drawn("uniform", -2.0, -1.75, shape=(4096,), dtype=dtype).astype(np.float64)
    assert made.min() >= -2 and made.max() < -1.75
    assert (drawn("uniform", 3.0, 3.0, shape=(9,), dtype=dtype) == 3).all()


def test_normals() -> None:
    made = drawn("normal", 0.0, 1.0, shape=(1000, 40))
    words = reference(SEED, 10_000).reshape(-1, 2).astype(np.float64)
    radius, turn = (
        np.sqrt(-2 * np.log((words[:, 0] // 256 + 1) * 2.0**-24)),
        2 * np.pi * (words[:, 1] // 256) * 2.0**-24,
    )
    expected = np.stack([radius * np.cos(turn), radius * np.sin(turn)], -1).reshape(made.shape)
    np.testing.assert_allclose(made, expected, rtol=3e-7, atol=6e-7)
    np.testing.assert_array_equal(drawn("normal", 0.0, 1.0, shape=(5,)), made.reshape(-1)[:5])


@pytest.mark.parametrize("dtype", dt.FLOATS)
def test_normals_are_normal(dtype: dt.DType) -> None:
    z = (drawn("normal", 3.0, 2.0, shape=(200_000,), dtype=dtype).astype(np.float64) - 3) / 2
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01
    assert abs((z**4).mean() - 3) < 0.1 and abs((z[::2] * z[1::2]).mean()) < 0.01


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint32", "int64", "float32"])
def test_integers(dtype: str) -> None:
    low = 0 if dtype.startswith("u") else -3
    made = drawn("randint", low, 100, shape=(11, 7), dtype=dt.dtype(dtype))
    expected = low + (reference(SEED, 20).astype(np.uint64)[:77] * np.uint64(100 - low) >> np.uint64(32)).astype(
        np.int64
    )
    np.testing.assert_array_equal(made.reshape(-1), expected)
    assert made.dtype == dtype


@pytest.mark.parametrize(("low", "high"), [(0, 2**32), (-(2**63), 2**63 - 1), (5, 10**15)])
def test_wide_integers(low: int, high: int) -> None:
    made = drawn("randint", low, high, shape=(9,), dtype=dt.int64, wide=True)
    words = [int(w) for w in reference(SEED, 5)]
    assert made.tolist() == [low + (words[2 * i] << 32 | words[2 * i + 1]) % (high - low) for i in range(9)]


def test_the_widest_narrow_range() -> None:
    made = drawn("randint", -(2**31), 2**31 - 1, shape=(8,), dtype=dt.int64)
    assert made.tolist() == [(int(w) * (2**32 - 1) >> 32) - 2**31 for w in reference(SEED, 2)]


@pytest.mark.parametrize("op", ["random_bits", "uniform", "normal"])
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64])
@pytest.mark.parametrize("n", [1, 4, 6, 7, 8])
def test_the_state_advances_past_what_was_read(op: str, dtype: dt.DType, n: int) -> None:
    """Two draws one after the other share no word: the second begins at the block after the last one read."""
    numbers = (0.0, 1.0) if op == "normal" else ()
    named = {} if op == "random_bits" else {"dtype": dtype}
    used = module.counters(op, n, dtype if named else dt.uint32)
    whole = drawn(op, *numbers, shape=(64,), **named)
    later = getattr(Tape(), op)(5, 7, used, 0, *numbers, shape=(8,), **named).array
    at = int(np.flatnonzero(whole == later[0])[0])
    np.testing.assert_array_equal(whole[at : at + 8], later)
    assert n <= at < n + 4


def test_bernoulli_and_dropout() -> None:
    b, p = Tape(), np.array([0.0, 1.0, 0.3])
    made = b.bernoulli(Value(p), *SEED, shape=(10_000, 3), dtype=dt.float32).array
    assert not made[:, 0].any() and made[:, 1].all() and abs(made[:, 2].mean() - 0.3) < 0.02
    x = np.full((100, 100), 2.0, np.float32)
    out, mask = b.dropout(Value(x), 0.25, *SEED)
    np.testing.assert_array_equal(out.array, np.where(mask.array, np.float32(2) * np.float32(1 / 0.75), 0))
    assert abs(mask.array.mean() - 0.75) < 0.02
    assert not b.dropout(Value(x), 1.0, *SEED)[0].array.any()
    assert b.dropout(Value(x), 0.0, *SEED)[1].array.all()


def test_dropout_drops_what_is_not_finite() -> None:
    x = np.full(64, np.inf, np.float32)
    out, mask = Tape().dropout(Value(x), 0.5, *SEED)
    np.testing.assert_array_equal(out.array, np.where(mask.array, np.inf, 0))


def test_the_gradient_of_dropout() -> None:
    check_gradients(lambda b, x: b.square(b.dropout(x, 0.4, *SEED)[0]), np.arange(1.0, 13.0).reshape(3, 4))


def test_multinomial() -> None:
    b, weights = Tape(), np.array([[1.0, 0, 3, 0], [0.0, 2, 2, 4]])
    made = b.multinomial(Value(weights), *SEED, samples=20_000, replacement=True).array
    for row, w in zip(made, weights, strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=4) / 20_000, w / w.sum(), atol=0.02)
        assert set(row) == set(np.flatnonzero(w))
    once = b.multinomial(Value(weights), *SEED, samples=2, replacement=False).array
    assert sorted(once[0]) == [0, 2] and len(set(once[1])) == 2 and 0 not in once[1]
    with pytest.raises(ValueError, match="5 samples without replacement of 4"):
        OPS["multinomial"].infer([Spec.of((4,), dt.float32), None, None, None, None], (5, False))


def test_a_shuffle() -> None:
    b = Tape()
    order = b.argsort(b.random_bits(*SEED, shape=(100,))).array
    np.testing.assert_array_equal(np.sort(order), np.arange(100))
    assert (order != np.arange(100)).sum() > 90


@pytest.mark.parametrize(("op", "dtype"), [("uniform", dt.int32), ("normal", dt.bool_), ("randint", dt.bool_)])
def test_dtypes_that_are_refused(op: str, dtype: dt.DType) -> None:
    with pytest.raises(TypeError, match=f"nothing of dtype {dtype.name} is drawn"):
        drawn(op, *((0, 2) if op == "randint" else (0.0, 1.0)), shape=(3,), dtype=dtype)
