"""Schedules for devices of lanes, run work-item by work-item on sim: wide rows, strips of columns, and what is cut in two.

The answers are NumPy's in float64. Limits are small, so that small operands meet every edge of a schedule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import generated
import ml_dtypes
import numpy as np
import pytest
from ingot_devices.codegen import schedules
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.limits import Limits
from ingot_devices.memory import Pool
from ingot_sim.config import LIMITS, SimConfig
from ingot_sim.device import SimDevice
from sim_subject import computed, on_sim

TINY = replace(LIMITS["default"], lanes=8, compute_units=4, max_workgroup=32, max_workgroup_dims=(32, 1, 1))
BROAD = replace(LIMITS["default"], lanes=16, compute_units=2, max_grid=(3, 1, 1))
TOLERANCE = {np.float32: 1e-6, ml_dtypes.bfloat16: 1e-2, np.float16: 1e-3, np.int32: 0, np.int8: 0}
SUMS = {
    "rows": ((5, 128), (-1,)), "rows with a rest": ((5, 100), (-1,)), "odd rows": ((5, 101), (-1,)),
    "long rows": ((40, 3000), (-1,)), "long odd rows": ((20, 2001), (-1,)), "a few long rows": ((3, 20000), (-1,)),
    "all": ((40000,), (-1,)),
    "all, oddly many": ((30001,), (-1,)), "columns": ((70, 36), (-2,)), "odd columns": ((70, 33), (-2,)),
    "one column": ((70, 1), (-2,)), "few long columns": ((20000, 3), (-2,)), "many columns": ((17, 300), (-2,)),
    "batches of columns": ((4, 600, 7), (-2,)), "channels": ((6, 5, 200), (-3, -1)),
    "both outer axes": ((9, 4, 5, 8), (-4, -2)), "short rows of many batches": ((30, 5, 28), (-3, -1)),
    "odd short rows": ((30, 5, 7), (-3, -1)), "parts of many short rows": ((1000, 2, 12), (-3, -1)),
    "very short rows": ((37, 24), (-1,)), "odd very short rows": ((37, 21), (-1,)), "one short row": ((1, 32), (-1,)),
    "three axes apart": ((9, 2, 8, 2, 12), (-5, -3, -1)), "parts of three axes": ((300, 2, 9, 2, 12), (-5, -3, -1)),
}  # fmt: skip


def opened(limits: Limits) -> SimDevice:
    device = SimDevice(SimConfig(limits=limits, mode="schedule", seed=5))
    device.name = "sim:0"
    device.pool = Pool(device)
    return device


def drawn(shape: tuple[int, ...], kind: Any) -> Any:
    return (np.random.default_rng(len(shape)).standard_normal(shape) * 9).astype(kind)


@pytest.mark.parametrize("kind", TOLERANCE, ids=lambda k: np.dtype(k).name)
@pytest.mark.parametrize("case", SUMS)
@pytest.mark.parametrize("limits", [TINY, BROAD], ids=["tiny", "broad"])
def test_sums(limits: Limits, case: str, kind: Any) -> None:
    shape, axes = SUMS[case]
    x = drawn(shape, kind)
    (made,) = generated.run(opened(limits), "sum", x, axes=axes)
    expected = x.astype(np.float64).sum(axes)
    scale = np.abs(x.astype(np.float64)).sum(axes)
    assert np.all(np.abs(made.astype(np.float64) - expected) <= TOLERANCE[kind] * scale)


@pytest.mark.parametrize("case", SUMS)
def test_where_elements_lie_makes_no_other_bits(case: str) -> None:
    """Behind an odd offset they are loaded one by one, and combined in the same order."""
    shape, axes = SUMS[case]
    device, x = opened(TINY), drawn(shape, np.float32)
    results = [generated.run(device, "sum", x, behind=n, axes=axes)[0] for n in (0, 4, 1)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    spread = generated.run(device, "sum", x, spread=True, axes=axes)[0]
    np.testing.assert_allclose(spread, results[0], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize(
    "shape", [(5, 128), (5, 100), (70, 33), (70, 36), (71, 20), (3, 5000), (1, 40000), (3000, 8), (2, 600, 7)], ids=str
)
def test_stages_that_read_stages(shape: tuple[int, ...], axis: int) -> None:
    x = drawn(shape, np.float32)
    e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    (made,) = generated.run(opened(TINY), "softmax", x, axis=axis)
    np.testing.assert_allclose(made, e / e.sum(axis, keepdims=True), rtol=2e-5, atol=1e-12)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("shape", [(5, 128), (40, 33), (1, 20000), (20000, 2)], ids=str)
def test_positions_and_nan(shape: tuple[int, ...], axis: int) -> None:
    device = opened(TINY)
    x = np.round(drawn(shape, np.float32))  # with many ties
    np.testing.assert_array_equal(generated.run(device, "argmax", x, axis=axis)[0], x.argmax(axis))
    x.reshape(-1)[:: x.size // 3] = np.nan
    np.testing.assert_array_equal(generated.run(device, "argmax", x, axis=axis)[0], x.argmax(axis))
    np.testing.assert_array_equal(generated.run(device, "amax", x, axes=(axis,))[0], x.max(axis))


@pytest.mark.parametrize("shape", [(6, 64), (6, 61), (7, 24), (3, 2000)], ids=str)
def test_outputs_of_rows_and_of_elements(shape: tuple[int, ...]) -> None:
    x, w, b = drawn(shape, np.float32), drawn(shape[1:], np.float32), drawn(shape[1:], np.float32)
    made, mean, rstd = generated.run(opened(TINY), "layer_norm", x, w, b, 1e-5, count=1)
    wide = x.astype(np.float64)
    middle, scale = wide.mean(-1, keepdims=True), 1 / np.sqrt(wide.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(mean, middle, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rstd, scale, rtol=1e-5)
    np.testing.assert_allclose(made, (wide - middle) * scale * w + b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("limits", [TINY, BROAD], ids=["tiny", "broad"])
@pytest.mark.parametrize("shape", [(30, 5, 4, 7), (30, 5, 7), (40, 2, 700), (2000, 2, 3), (16, 9)], ids=str)
def test_channels(limits: Limits, shape: tuple[int, ...]) -> None:
    device, (x, g) = opened(limits), np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    others, per = (0, *range(2, len(shape))), (1, -1) + (1,) * (len(shape) - 2)
    w, b = drawn(shape[1:2], np.float32), drawn(shape[1:2], np.float32)
    x64, n = x.astype(np.float64), x.size // shape[1]
    mean, var = x64.mean(others), x64.var(others)
    rstd = 1 / np.sqrt(var + 1e-5)
    normal = (x64 - mean.reshape(per)) * rstd.reshape(per)
    wanted = (normal * w.reshape(per) + b.reshape(per), mean, var, rstd)
    for made, expected in zip(generated.run(device, "batch_norm", x, w, b, 1e-5), wanted, strict=True):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)
    slope = (g * normal).sum(others)
    (made,) = generated.run(device, "batch_norm_weight_backward", g, x, mean.astype(np.float32), rstd.astype(np.float32), 1e-5)
    np.testing.assert_allclose(made, slope, rtol=1e-4, atol=1e-3)
    (made,) = generated.run(device, "batch_norm_backward", g, x, w, mean.astype(np.float32), rstd.astype(np.float32), 1e-5)
    straight = g - (g.sum(others) / n).reshape(per) - normal * (slope / n).reshape(per)
    np.testing.assert_allclose(made, straight * (rstd * w).reshape(per), rtol=1e-4, atol=1e-4 * np.abs(rstd * w).max())


@pytest.mark.parametrize("shape", [(300, 64), (40, 3000), (33, 9)], ids=str)
def test_a_weight_beside_statistics_of_rows(shape: tuple[int, int]) -> None:
    g, x, mean, rstd = (drawn(s, np.float32) for s in (shape, shape, (shape[0], 1), (shape[0], 1)))
    (made,) = generated.run(opened(TINY), "layer_norm_weight_backward", g, x, mean, rstd, 1e-5, count=1)
    terms = g.astype(np.float64) * ((x - mean.astype(np.float64)) * rstd)
    assert np.all(np.abs(made - terms.sum(0)) <= 1e-6 * np.abs(terms).sum(0))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(900, 10), (300, 33), (9, 5000), (3, 7)], ids=str)
def test_sums_of_what_rows_gave(shape: tuple[int, int], reduction: str) -> None:
    x, target = drawn(shape, np.float32), np.random.default_rng(4).integers(0, shape[1], shape[0])
    target[::5] = -100
    made, lse, _ = generated.run(opened(TINY), "cross_entropy", x, target, None, None, axis=-1, reduction=reduction)
    x64, kept = x.astype(np.float64), target >= 0
    expected = np.log(np.exp(x64 - x64.max(1, keepdims=True)).sum(1)) + x64.max(1)
    np.testing.assert_allclose(lse, expected, rtol=1e-5, atol=1e-5)
    losses = (expected - x64[np.arange(shape[0]), np.where(kept, target, 0)])[kept]
    np.testing.assert_allclose(made, losses.mean() if reduction == "mean" else losses.sum(), rtol=1e-5)


def test_stages_that_keep_different_axes() -> None:
    """What rows and columns gave, read where both meet; and one over the other."""

    def centred(d: Define, x: Operand) -> None:
        i, j = d.axes(x.shape)
        row = d.reduce("max", x[i, j], over=[j])
        column = d.reduce("sum", x[i, j] - row, over=[i])
        d.store(0, (i, j), x[i, j] - row - column, over=[i, j])

    x, device = drawn((150, 70), np.float32), opened(TINY)
    out = computed(lambda *given: on_sim(device, *given), centred, [x], np.zeros_like(x))
    rest = x - x.max(1, keepdims=True).astype(np.float64)
    np.testing.assert_allclose(out, rest - rest.sum(0), rtol=1e-5)


@pytest.mark.parametrize("behind", [0, 3])
@pytest.mark.parametrize(("start", "step", "columns"), [(8, 1, 64), (5, 1, 64), (3, 1, 33), (1, 3, 64)], ids=str)
def test_elements_behind_a_guard(start: int, step: int, columns: int, behind: int) -> None:
    y, at = drawn((6, 11), np.float16), np.arange(11) * step + start
    expected = np.zeros((6, columns), np.float16)
    expected[:, at] = y
    given: dict[str, Any] = {"shape": (6, columns), "axis": -1, "start": start, "stop": int(at[-1]) + 1, "step": step}
    np.testing.assert_array_equal(generated.run(opened(TINY), "slice_backward", y, behind=behind, **given)[0], expected)
    lower = generated.run(opened(TINY), "tril", expected, behind=behind, diagonal=2)[0]
    np.testing.assert_array_equal(lower, np.tril(expected, 2))


@pytest.mark.parametrize("behind", [0, 3])
def test_elements_where_data_say(behind: int) -> None:
    table, ids = drawn((9, 48), np.float32), np.array([3, 8, 0, 3, 5], np.int64)
    np.testing.assert_array_equal(generated.run(opened(TINY), "embedding", table, ids, behind=behind)[0], table[ids])
    places = np.random.default_rng(3).integers(0, 48, (9, 16))
    made = generated.run(opened(TINY), "gather", table, places, behind=behind, axis=-1)[0]
    np.testing.assert_array_equal(made, np.take_along_axis(table, places, 1))


@pytest.mark.parametrize("columns", [1, 6, 40])
@pytest.mark.parametrize("rows", [1, 9, 400])
def test_stores_that_combine_keep_their_order(rows: int, columns: int) -> None:
    """To the bit: an element takes its values one after the other, whoever makes the store."""
    g, ids = drawn((700, columns), np.float32), np.random.default_rng(rows).integers(0, rows, 700)
    expected = np.zeros((rows, columns), np.float32)
    np.add.at(expected, ids, g)
    device = opened(TINY)
    np.testing.assert_array_equal(generated.run(device, "embedding_backward", g, ids, rows=rows)[0], expected)
    if columns == 1:
        np.testing.assert_array_equal(generated.run(device, "bincount", ids, size=rows)[0], np.bincount(ids, minlength=rows))


@pytest.mark.parametrize("lengths", [(70, 96), (200, 3), (64, 64)], ids=str)
def test_stages_over_axes_of_their_own(lengths: tuple[int, int]) -> None:
    def both(d: Define, left: Operand, right: Operand) -> None:
        i, j, k = d.axes((5, *lengths))
        total = d.reduce("sum", left[i, j], over=[j]) * d.reduce("max", right[i, k], over=[k])
        d.store(0, (i,), total, over=[i])

    x, y = drawn((5, lengths[0]), np.float32), drawn((5, lengths[1]), np.float32)
    device = opened(TINY)
    out = computed(lambda *given: on_sim(device, *given), both, [x, y], np.zeros(5, np.float32))
    np.testing.assert_allclose(out, x.sum(1, dtype=np.float64) * y.max(1), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("behind", [0, 3])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8], ids=lambda k: np.dtype(k).name)
@pytest.mark.parametrize(
    ("left", "right"), [((6, 64), (64,)), ((6, 64), (6, 1)), ((6, 33), (33,)), ((6, 34), (34,)), ((3, 5, 16), (5, 1)),
                        ((2, 3, 4, 8), (3, 1, 8)), ((37,), (1,))], ids=str,
)  # fmt: skip
def test_pointwise_over_rows(left: tuple[int, ...], right: tuple[int, ...], kind: Any, behind: int) -> None:
    x, y = np.round(drawn(left, np.float32)).astype(kind), np.round(drawn(right, np.float32)).astype(kind)
    np.testing.assert_array_equal(generated.run(opened(TINY), "add", x, y, behind=behind)[0], x + y)


def test_each_schedule_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above think that they test."""
    seen = set()
    choice = schedules.choice

    def watched(*given: Any, **named: Any) -> Any:
        found = choice(*given, **named)
        seen.add((found[0], getattr(found[1], "width", 0) > 1, bool(getattr(found[1], "steps", 0))))
        return found

    monkeypatch.setattr(schedules, "choice", watched)
    for shape, axes in SUMS.values():
        generated.run(opened(TINY), "sum", drawn(shape, np.float32), axes=axes)
    generated.run(opened(TINY), "add", drawn((6, 64), np.float32), drawn((64,), np.float32))
    assert ("vector", False, False) in seen
    wanted = [("two_phase", False, False), ("across", True, False), ("across", False, False)]
    wanted += [("row", wide, held) for wide in (True, False) for held in (True, False)]
    assert set(wanted) <= seen
