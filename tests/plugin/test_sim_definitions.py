"""What definitions mean: hand-written ones, on sim in both modes and on the host, against NumPy.

``run`` compiles a definition for dense operands (or for views of a larger buffer) and gives what it
stored. The references are NumPy's own functions, or loops written out.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported
from ingot_devices.dtypes import DType
from ingot_devices.errors import DeviceIndexError, LaunchError
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.ir.expr import Expr, const, where
from ingot_devices.ir.scalar import exp, isnan, sqrt
from ingot_devices.layout import Layout
from sim_subject import Runner, Write, computed, define, on_host, on_sim, opened

Array = Any
NAN, INF = np.nan, np.inf


@pytest.fixture(params=["definition", "schedule", "host"])
def run(request: pytest.FixtureRequest) -> Runner:
    if request.param == "host":
        return on_host
    return functools.partial(on_sim, opened(request.param))


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# ---- stages --------------------------------------------------------------------------------------
def softmax(d: Define, x: Operand) -> None:
    i, j = d.axes(x.shape)
    m = d.reduce("max", x[i, j], over=[j])
    s = d.reduce("sum", exp(x[i, j] - m), over=[j])
    d.store(0, [i, j], exp(x[i, j] - m) / s)


def test_softmax_is_three_stages(run: Runner) -> None:
    x = normal(5, 7)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    got = computed(run, softmax, [x], np.zeros_like(x))
    np.testing.assert_allclose(got, e / e.sum(1, keepdims=True), rtol=1e-6)


def matmul(d: Define, x: Operand, y: Operand) -> None:
    i, j, k = d.axes((*x.shape[:1], *y.shape[1:], *y.shape[:1]))
    d.store(0, [i, j], d.reduce("sum", x[i, k] * y[k, j], over=[k]))


def test_matmul_takes_strides_and_offsets(run: Runner) -> None:
    big = normal(9, 20)
    x, y = big[2:8:2, 3:15:3].T, normal(6, 5, seed=1)[1:4, ::-1][:, ::-1]
    got = computed(run, matmul, [x, y], np.zeros((4, 5), np.float32))
    np.testing.assert_allclose(got, x.astype(np.float64) @ y, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 0), (0, 4), (0, 0)])
def test_empty_reductions_give_the_neutral_element(run: Runner, shape: tuple[int, int]) -> None:
    def total(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        d.store(0, [i], d.reduce("sum", x[i, j], over=[j]))

    out = np.full(shape[0], 7, np.float32)
    np.testing.assert_array_equal(computed(run, total, [np.zeros(shape, np.float32)], out), np.zeros(shape[0]))


def argmax(d: Define, x: Operand) -> None:
    i, j = d.axes(x.shape)
    best = d.reduce("argmax", x[i, j], j.cast(dt.int64), over=[j])
    d.store(0, [i], d.component(best, 1, dt.int64))


def test_argmax_takes_the_first_and_nan_before_all(run: Runner) -> None:
    x = np.array([[1, 3, 3, 2], [NAN, 9, NAN, 1], [2, NAN, INF, NAN], [-INF, -INF, -INF, -INF]], np.float32)
    got = computed(run, argmax, [x], np.zeros(4, np.int64))
    np.testing.assert_array_equal(got, [1, 0, 1, 0])


@pytest.mark.parametrize("monoid", ["max", "min"])
def test_extremes_hand_on_nan(run: Runner, monoid: str) -> None:
    def extreme(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        d.store(0, [i], d.reduce(monoid, x[i, j], over=[j]))

    x = np.array([[1, 2, 3], [NAN, 2, 3], [1, 2, NAN], [INF, -INF, 0]], np.float32)
    got = computed(run, extreme, [x], np.zeros(4, np.float32))
    np.testing.assert_array_equal(got, getattr(x, monoid)(1))


def test_welford_is_the_variance(run: Runner) -> None:
    def variance(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        mean = d.reduce("welford", x[i, j], over=[j])
        d.store(0, [i, 0], mean)
        d.store(1, [i], sqrt(d.component(mean, 1) / 6))

    x = normal(3, 7) + 1000
    out = [np.zeros((3, 1), np.float32), np.zeros(3, np.float32)]
    run(define(variance, [x], out), [x], out)
    np.testing.assert_allclose(out[0][:, 0], x.astype(np.float64).mean(1), rtol=1e-6)
    np.testing.assert_allclose(out[1], x.astype(np.float64).std(1, ddof=1), rtol=1e-4)


def test_logsumexp_of_infinities(run: Runner) -> None:
    def lse(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        d.store(0, [i], d.reduce("logsumexp", x[i, j], over=[j]))

    x = np.array([[1, 2], [1000, 1000], [-INF, -INF], [INF, 1], [NAN, 1], [-INF, 3]], np.float32)
    got = computed(run, lse, [x], np.zeros(6, np.float32))
    np.testing.assert_allclose(got, [2.3132617, 1000.6931, -INF, INF, NAN, 3], rtol=1e-6)


def test_any_and_all_of_bools(run: Runner) -> None:
    def both(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        d.store(0, [i], d.reduce("any", x[i, j], over=[j]))
        d.store(1, [i], d.reduce("all", x[i, j], over=[j]))

    x = np.array([[0, 0], [0, 1], [1, 1]], bool)
    out = [np.zeros(3, bool), np.zeros(3, bool)]
    run(define(both, [x], out), [x], out)
    np.testing.assert_array_equal(out, [[0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize("monoid", ["sum", "prod", "max", "min"])
def test_scans_are_inclusive(run: Runner, monoid: str) -> None:
    def scan(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        d.store(0, [i, j], d.scan(monoid, x[i, j], along=i))

    x = normal(6, 3)
    x[2, 1] = NAN
    reference = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[monoid]
    got = computed(run, scan, [x], np.zeros_like(x))
    np.testing.assert_allclose(got, reference.accumulate(x, 0), rtol=1e-5)


def test_integers_wrap(run: Runner) -> None:
    def square(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        d.store(0, [i], x[i] * x[i] + x[i])

    for kind in (np.int32, np.uint32):
        x = np.array([0, 1, 65535, 65536, 1 << 30, (1 << 31) - 1]).astype(kind)
        np.testing.assert_array_equal(computed(run, square, [x], np.zeros_like(x)), x * x + x)


# ---- loads and stores ----------------------------------------------------------------------------
def pad(d: Define, x: Operand) -> None:
    i, j = d.axes((x.shape[0] + 3, x.shape[1] + 2))
    inside = (i >= 1) & (i < x.shape[0] + 1) & (j >= 1) & (j < x.shape[1] + 1)
    d.store(0, [i, j], x.load([i - 1, j - 1], inside, 9))


def test_pad_is_a_guarded_load(run: Runner) -> None:
    x = normal(3, 4)
    got = computed(run, pad, [x], np.zeros((6, 6), np.float32))
    np.testing.assert_array_equal(got, np.pad(x, ((1, 2), (1, 1)), constant_values=9))


def test_stores_that_meet_nowhere_concatenate(run: Runner) -> None:
    def cat(d: Define, x: Operand, y: Operand) -> None:
        (i,) = d.axes(x.shape)
        (j,) = d.axes(y.shape)
        d.store(0, [i], x[i])
        d.store(0, [j + x.shape[0]], y[j])

    x, y = normal(4), normal(3, seed=2)
    np.testing.assert_array_equal(computed(run, cat, [x, y], np.zeros(7, np.float32)), np.r_[x, y])


def test_a_store_with_a_condition_leaves_the_rest(run: Runner) -> None:
    def some(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        d.store(0, [i], x[i], valid=x[i] > 0)

    x = normal(9)
    got = computed(run, some, [x], np.full(9, 5, np.float32))
    np.testing.assert_array_equal(got, np.where(x > 0, x, 5))


def scattered(d: Define, at: Operand, x: Operand, *, combine: str) -> None:
    (i,) = d.axes(x.shape)
    d.store(0, [at[i].cast(dt.index)], x[i], over=[i], combine=combine)


def test_scatter_add_acts_in_order(run: Runner) -> None:
    """In any other order float32 gives another sum."""
    at = np.array([2, 0, 2, 2, 0, 2], np.int64)
    x = np.array([1, 5, 1e8, -1e8, 1, 0.25], np.float32)
    expected = np.array([1, 2, 3], np.float32)
    for k, v in zip(at, x, strict=True):
        expected[k] = np.float32(expected[k] + v)
    got = computed(run, scattered, [at, x], np.array([1, 2, 3], np.float32), combine="add")
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("combine", "expected"), [("mul", [10, 2, 12]), ("max", [5, 2, 4]), ("min", [1, 2, 1])])
def test_scatter_combines(run: Runner, combine: str, expected: list[float]) -> None:
    at, x = np.array([2, 0, 2], np.int64), np.array([4, 5, 1], np.float32)
    start = np.array([2 if combine == "mul" else 1, 2, 3], np.float32)
    np.testing.assert_array_equal(computed(run, scattered, [at, x], start, combine=combine), expected)


def test_the_last_of_several_sets_stays(run: Runner) -> None:
    at, x = np.array([1, 1, 0, 1], np.int64), np.array([4, 5, 6, 7], np.float32)
    got = computed(run, scattered, [at, x], np.zeros(3, np.float32), combine="set")
    np.testing.assert_array_equal(got, [6, 7, 0])


def gather(d: Define, x: Operand, at: Operand) -> None:
    (i,) = d.axes(at.shape)
    d.store(0, [i], x[d.gathered(at[i], x.shape[0], "index out of range in gather", over=[i])])


def test_gather_counts_from_the_end_too(run: Runner) -> None:
    x, at = normal(5), np.array([4, -1, 0, -5], np.int64)
    np.testing.assert_array_equal(computed(run, gather, [x, at], np.zeros(4, np.float32)), x[at])


def test_an_index_out_of_range_raises_later(run: Runner) -> None:
    with pytest.raises(DeviceIndexError, match="index out of range in gather"):
        computed(run, gather, [normal(5), np.array([0, 5], np.int64)], np.zeros(2, np.float32))


def test_halves_round_when_they_are_stored(run: Runner) -> None:
    def thirds(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        d.store(0, [i], x[i].cast(dt.float32) / 3)

    for kind in (np.float16, ml_dtypes.bfloat16):
        x = np.array([1, 2, 65504 if kind is np.float16 else 3e38, 6e-8, -0.0, INF, NAN], np.float32).astype(kind)
        got = computed(run, thirds, [x], np.zeros_like(x))
        expected = (x.astype(np.float32) / np.float32(3)).astype(kind)
        np.testing.assert_array_equal(got.view(np.uint16)[:6], expected.view(np.uint16)[:6])
        assert np.isnan(got[6].astype(np.float32))


def test_numbers_are_given_at_the_launch(run: Runner) -> None:
    out = np.zeros(4, np.float64)
    target = Operand(2, "out", dt.float64, (4,), output=True, input=False)
    d = Define("axpb", [target], [(0, dt.float32), (1, dt.int64)])
    (i,) = d.axes((4,))
    a, b = Expr.of("param", (), dt.float32, 0), Expr.of("param", (), dt.int64, 1)
    d.store(0, [i], a.cast(dt.float64) * i.cast(dt.float64) + b.cast(dt.float64))
    run(d.finish(), [0.1, 3], [out])
    np.testing.assert_array_equal(out, 0.1 * np.arange(4) + 3)  # 0.1 was never a float32


def test_operators_of_every_kind(run: Runner) -> None:
    def several(d: Define, x: Operand, n: Operand) -> None:
        (i,) = d.axes(x.shape)
        bits = (x[i].bitcast(dt.uint32) >> 3) ^ 5
        whole = (n[i] // 3) * 7 + n[i] % 3
        d.store(0, [i], where(isnan(x[i]), const(0, dt.int64), bits.cast(dt.int64) + whole))

    x, n = normal(8), np.arange(-4, 4)
    x[3] = NAN
    expected = np.where(np.isnan(x), 0, ((x.view(np.uint32) >> 3) ^ 5).astype(np.int64) + n // 3 * 7 + n % 3)
    np.testing.assert_array_equal(computed(run, several, [x, n], np.zeros(8, np.int64)), expected)


# ---- what only the specification notices ---------------------------------------------------------
def refused(write: Write, inputs: Sequence[Array], out: Array) -> str:
    with pytest.raises(LaunchError) as error:
        computed(functools.partial(on_sim, opened()), write, inputs, out)
    return str(error.value)


def test_a_load_outside_its_operand_is_an_error() -> None:
    def shifted(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        d.store(0, [i], x[i + 1])

    assert "x0 is reached at 4 on axis 0, where it has 4 elements" in refused(shifted, [normal(4)], normal(4))


def test_a_where_does_not_protect_a_load() -> None:
    def guarded(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        d.store(0, [i], where(i > 0, x[i - 1], 0.0))

    assert "x0 is reached at -1" in refused(guarded, [normal(4)], normal(4))


def test_an_element_written_twice_is_an_error() -> None:
    def halved(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        d.store(0, [i // 2], x[i])

    assert "element 0 of out1 is written twice" in refused(halved, [normal(4)], normal(4))


def test_two_stores_to_one_element_are_an_error() -> None:
    def overlapping(d: Define, x: Operand) -> None:
        (i,) = d.axes(x.shape)
        (j,) = d.axes((2,))
        d.store(0, [i], x[i])
        d.store(0, [j + 2], x[j])

    assert "element 2 of out1 is written twice" in refused(overlapping, [normal(4)], normal(4))


def test_a_store_through_a_broadcast_layout_is_an_error() -> None:
    def copy(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        d.store(0, [i, j], x[i, j])

    out = np.broadcast_to(np.zeros(3, np.float32), (2, 3))
    with pytest.raises(LaunchError, match="written twice"):
        on_sim(opened(), define(copy, [normal(2, 3)], [out]), [normal(2, 3)], [out])


def test_all_loads_see_memory_before_any_store() -> None:
    x = np.arange(6, dtype=np.float32)
    operand = Operand(0, "x", dt.float32, (6,), output=True, input=True)
    d = Define("reverse", [operand])
    (i,) = d.axes((6,))
    d.store(0, [i], operand[5 - i])
    on_sim(opened(), d.finish(), [x], [x])
    np.testing.assert_array_equal(x, np.arange(6)[::-1])


# ---- limits --------------------------------------------------------------------------------------
def plain(d: Define, x: Operand) -> None:
    (i,) = d.axes(x.shape)
    d.store(0, [i], x[i])


@pytest.mark.parametrize("mode", ["definition", "schedule"])
def test_a_refused_dtype_has_no_kernel(mode: str) -> None:
    x = np.zeros(4, np.float64)
    with pytest.raises(Unsupported, match="64-bit floats"):
        on_sim(opened(mode, "webgpu"), define(plain, [x], [x]), [x], [x.copy()])


@pytest.mark.parametrize("mode", ["definition", "schedule"])
def test_too_many_operands_have_no_kernel(mode: str) -> None:
    def total(d: Define, *xs: Operand) -> None:
        (i,) = d.axes(xs[0].shape)
        d.store(0, [i], functools.reduce(lambda a, b: a + b, (x[i] for x in xs)))

    inputs = [normal(4, seed=k) for k in range(8)]
    with pytest.raises(Unsupported, match="8"):
        computed(functools.partial(on_sim, opened(mode, "webgpu")), total, inputs, normal(4))


def test_stored_bools_are_words() -> None:
    device, kept = opened(limits="webgpu"), dt.bool_
    assert device.limits.storage_itemsize(kept) == 4
    x = np.array([1, 0, 5], np.uint32)  # as the device stores bools: any word but 0 is true
    layouts = {n: Layout.dense((3,), kept, device) for n in range(2)}
    source = define(plain, [np.zeros(3, bool)], [np.zeros(3, bool)])
    handles = [device.allocate(256), device.allocate(256)]
    device.copy_in(handles[0], 0, x.view(np.uint8).data)
    device.codegen.compile(source, layouts, device).call((handles[0], 0), (handles[1], 0))
    out = np.zeros(3, np.uint32)
    device.copy_out(handles[1], 0, out.view(np.uint8).data)
    np.testing.assert_array_equal(out, [1, 0, 1])


DTYPES: list[DType] = list(dt.ALL)


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("mode", ["definition", "schedule"])
def test_every_dtype_is_copied_as_it_is(mode: str, d: DType) -> None:
    x = np.arange(2 if d is dt.bool_ else 9).astype(d.numpy)
    got = computed(functools.partial(on_sim, opened(mode)), plain, [x], np.zeros_like(x))
    np.testing.assert_array_equal(got.view(np.uint8), x.view(np.uint8))
