"""Random numbers, bit for bit, and their distribution. The words are those of `records.philox`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bench import Bench, Probe
from ..records import philox as stream
from ..records.philox import philox

SEEDS = (0, 1, 0x9E3779B97F4A7C15)
SIZES = ((1,), (7,), (4, 8), (33,), (1001,))
DRAWN = 4096


def _seeded(bench: Bench, seed: int) -> None:
    bench.t.manual_seed(seed)


def _words(seed: int, offset: int = 0) -> stream.Draw:
    return lambda n: philox(seed, offset, n)


def words_are_philox(bench: Bench) -> None:
    """`random_bits` gives the words of the stream, in order, for any shape."""
    from ingot.dispatch import named
    from ingot_devices.dtypes import dtype

    if "uint32" in bench.subject.refused:
        return uniforms_are_bit_equal(bench)
    for seed in SEEDS:
        for shape in SIZES:
            numbers = (seed & 0xFFFFFFFF, seed >> 32, 5, 0)
            got = bench.subject.read(_called(bench, named, numbers, shape))
            wanted = philox(seed, 5, got.size).reshape(shape)
            np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}, shape {shape}")
    assert dtype("uint32").itemsize == 4
    return None


def _called(bench: Bench, named: Any, numbers: Any, shape: Any) -> Any:
    with bench.t.device(bench.subject.device):
        return named("random_bits", *numbers, shape=shape)


def uniforms_are_bit_equal(bench: Bench) -> None:
    """`rand` in float32 is the 24 highest bits of each word, exactly, and the generator advances by whole blocks."""
    for seed in SEEDS:
        _seeded(bench, seed)
        offset = 0
        for shape in SIZES:
            got = bench.subject.read(bench.t.rand(*shape, device=bench.subject.device))
            wanted, _ = stream.rand(_words(seed, offset), shape, "float32")
            np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}, shape {shape}")
            offset += -(-got.size // 4)


def integers_are_bit_equal(bench: Bench) -> None:
    """`randint` is low + word · range div 2³²."""
    if "int64" in bench.subject.refused:
        return
    for seed, (low, high) in zip(SEEDS, ((0, 10), (-3, 4), (0, 1000003)), strict=True):
        _seeded(bench, seed)
        got = bench.subject.read(bench.t.randint(low, high, (257,), device=bench.subject.device))
        wanted, _ = stream.randint(_words(seed), got.shape, "int64", low, high)
        np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}, [{low}, {high})")


def normals_are_near(bench: Bench) -> None:
    """`randn` in float32 is Box–Muller of the words, within 2 ulp at 1."""
    for seed in SEEDS:
        _seeded(bench, seed)
        got = bench.subject.read(bench.t.randn(DRAWN, device=bench.subject.device)).astype(np.float64)
        wanted, allowed = stream.randn(_words(seed), got.shape, "float32")
        worst = np.max(np.abs(got - wanted) - allowed)
        assert worst <= 0, f"seed {seed}: off by {np.max(np.abs(got - wanted)):g}"


def moments_are_right(bench: Bench) -> None:
    """Mean, variance and the halves of the interval are what the distributions say: no skew."""
    _seeded(bench, 7)
    t, device = bench.t, bench.subject.device
    u = bench.subject.read(t.rand(DRAWN, device=device)).astype(np.float64)
    z = bench.subject.read(t.randn(DRAWN, device=device)).astype(np.float64)
    b = bench.subject.read(t.bernoulli(t.full((DRAWN,), 0.3, device=device))).astype(np.float64)
    bound = 5 / np.sqrt(DRAWN)  # five standard errors
    for name, sample, mean, deviation in (("rand", u, 0.5, 12**-0.5), ("randn", z, 0, 1), ("bernoulli", b, 0.3, 0.21**0.5)):
        assert abs(sample.mean() - mean) < bound * deviation, f"{name}: mean {sample.mean():g}, not {mean:g}"
        assert abs(sample.std() - deviation) < 2 * bound, f"{name}: deviation {sample.std():g}, not {deviation:g}"
    assert abs((u < 0.5).mean() - 0.5) < bound, f"rand: {(u < 0.5).mean():g} below one half"


def one_seed_one_stream(bench: Bench) -> None:
    """The same seed gives the same bits again; another seed, and the next call, give others."""
    t, device = bench.t, bench.subject.device

    def drawn(seed: int) -> list[bytes]:
        _seeded(bench, seed)
        return [bench.subject.read(f(50, device=device)).tobytes() for f in (t.rand, t.randn, t.rand)]

    first = drawn(3)
    assert drawn(3) == first, "the same seed gave other bits"
    assert drawn(4) != first, "another seed gave the same bits"
    assert first[0] != first[2], "two calls gave the same bits"


def dropout_follows_the_stream(bench: Bench) -> None:
    """`dropout` keeps an element where its uniform is not below p, in forward and backward alike."""
    t, device, p = bench.t, bench.subject.device, 0.25
    _seeded(bench, 11)
    x = t.ones(513, device=device).requires_grad_()
    y = t.nn.functional.dropout(x, p)
    kept = bench.subject.read(y) != 0
    (grad,) = t.autograd.grad([y.sum()], [x])
    np.testing.assert_array_equal(bench.subject.read(grad) != 0, kept, err_msg="backward kept other elements than forward")
    wanted, _ = stream.dropout(_words(11), kept.shape, "float32", np.ones(513), p)
    np.testing.assert_array_equal(kept, wanted != 0, err_msg="the mask does not follow the stream")


PROBES: tuple[Probe, ...] = (
    words_are_philox,
    uniforms_are_bit_equal,
    integers_are_bit_equal,
    normals_are_near,
    moments_are_right,
    one_seed_one_stream,
    dropout_follows_the_stream,
)
