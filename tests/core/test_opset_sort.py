"""The sort group: both ways to sort against NumPy, ties and NaN, what follows from order, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ingot_devices.opset import sort as module
from opset_tape import Tape, Value, check_gradients

RNG = np.random.default_rng(5)


def order_of(x: Any, axis: int, descending: bool) -> Any:
    """Stable, NaN the greatest."""
    if x.dtype.kind == "f":
        rank = np.where(np.isnan(x), np.inf, 0.0)
        keys = (-x, -rank) if descending else (x, rank)
        return np.lexsort([np.nan_to_num(k, nan=0.0, posinf=None) for k in keys], axis=axis)
    wide = x.astype(object)
    return np.argsort(-wide if descending else wide, axis=axis, kind="stable")


@pytest.fixture(params=[0, 1, 4])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Sort everything by counting, or everything by merging blocks of one or four."""
    if request.param:
        monkeypatch.setattr(module, "RANKED", 1)
        monkeypatch.setattr(module, "BLOCK", request.param)
    return int(request.param)


def checked(x: Any, axis: int = -1, descending: bool = False) -> None:
    values, indices = Tape().sort(Value(x), axis=axis, descending=descending)
    expected = order_of(x, axis, descending)
    np.testing.assert_array_equal(indices.array, expected)
    np.testing.assert_array_equal(values.array, np.take_along_axis(x, expected, axis))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100])
@pytest.mark.parametrize("descending", [False, True])
def test_every_length(way: int, n: int, descending: bool) -> None:
    checked(RNG.integers(0, n // 2 + 1, n), descending=descending)


@pytest.mark.parametrize("axis", [-1, -2, -3])
@pytest.mark.parametrize("descending", [False, True])
def test_every_axis(way: int, axis: int, descending: bool) -> None:
    x = RNG.integers(-3, 4, (4, 9, 5)).astype(np.float64)
    x[1, 2, 3] = x[0, 0, 3] = np.nan
    x[2, 2, 2], x[3, 1, 1] = np.inf, -np.inf
    checked(x, axis, descending)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint32", "uint64", "int64", "float16", "float32"])
def test_every_dtype(way: int, dtype: str) -> None:
    x = RNG.integers(0, 7, (3, 11)).astype(dtype)
    if dtype in ("uint64", "int64"):
        x[0, :3] = np.iinfo(dtype).max - np.array([0, 1, 0], dtype)
    checked(x)


def test_zero_dim(way: int) -> None:
    values, indices = Tape().sort(Value(np.array(4.0)), axis=-1)
    assert (values.array, indices.array) == (4.0, 0)


@pytest.mark.parametrize("n", [1024, 1025, 2048, 3001])
def test_at_length(n: int) -> None:
    checked(RNG.integers(0, 500, n))


def test_argsort_and_topk() -> None:
    b, x = Tape(), RNG.permutation(30).reshape(5, 6).astype(np.float64)
    np.testing.assert_array_equal(b.argsort(Value(x), axis=-2, descending=True).array, order_of(x, 0, True))
    values, indices = b.topk(Value(x), k=2, axis=-1, largest=False)
    np.testing.assert_array_equal(values.array, np.sort(x)[:, :2])
    np.testing.assert_array_equal(indices.array, np.argsort(x)[:, :2])
    assert b.topk(Value(x), k=0)[0].shape == (5, 0)
    with pytest.raises(ValueError, match="between 0 and the size along the axis, 6; it is 7"):
        b.topk(Value(x), k=7)


@pytest.mark.parametrize(
    "x", [RNG.integers(0, 6, 20), np.array([3]), np.zeros(0, np.int64), RNG.integers(0, 2, 9) == 1]
)
def test_unique(x: Any) -> None:
    b = Tape()
    runs = b.unique_runs(Value(x))
    size = int(runs[3].array[-1]) if x.size else 0
    found = b.unique(*runs, size=size)
    for made, expected in zip(found, np.unique(x, return_inverse=True, return_counts=True), strict=True):
        np.testing.assert_array_equal(made.array, expected)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 13, 16, 17])
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(n: int, right: bool) -> None:
    sequence = np.sort(RNG.integers(0, 9, n)).astype(np.float64)
    values = np.array([[-1.0, 0, 3, 8], [4.5, 9, np.inf, np.nan]])
    made = Tape().searchsorted(Value(sequence), Value(values), right=right)
    np.testing.assert_array_equal(made.array, np.searchsorted(sequence, values, "right" if right else "left"))


def test_searchsorted_by_rows() -> None:
    sequences, values = np.sort(RNG.normal(size=(3, 7))), RNG.normal(size=(3, 4))
    made = Tape().searchsorted(Value(sequences), Value(values)).array
    for row in range(3):
        np.testing.assert_array_equal(made[row], np.searchsorted(sequences[row], values[row]))
    with pytest.raises(ValueError, match="all but its last size"):
        Tape().searchsorted(Value(sequences), Value(values[:2]))


def test_gradients(way: int) -> None:
    x = RNG.permutation(12).reshape(3, 4).astype(np.float64)
    check_gradients(lambda b, x: b.square(b.sort(x, axis=-2, descending=True)[0]), x)
    check_gradients(lambda b, x: b.square(b.topk(x, k=2, axis=-1, largest=True)[0]), x)
