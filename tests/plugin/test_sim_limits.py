"""Generated kernels within WebGPU's limits, run work-item by work-item: wide integers as pairs, small types in words.

No device is needed: what a legalisation pass gets wrong is wrong here, in any order of the work-items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import generated
import ml_dtypes
import numpy as np
import pytest
from ingot_devices import dtypes as dt
from sim_subject import opened

RNG = np.random.default_rng(0)
WIDE = np.array([0, 1, -1, 7, -7, 1 << 31, -(1 << 31), (1 << 32) + 5, 1 << 62, (1 << 63) - 1, -(1 << 63)], np.int64)
A, B = np.repeat(WIDE, WIDE.size), np.tile(WIDE, WIDE.size)
LABELS = RNG.integers(0, 5, (6, 1))
X = RNG.standard_normal((6, 5)).astype(np.float32)
SMALL = [d for d in dt.ALL if d.kind in "ui" and d.itemsize < 4]


def run(name: str, *values: Any, **attrs: Any) -> Any:
    return generated.run(opened("schedule", "webgpu"), name, *values, **attrs)[0]


@pytest.mark.parametrize(
    ("op", "expected"),
    [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("minimum", np.minimum), ("le", np.less_equal),
     ("ne", np.not_equal), ("floor_divide", np.floor_divide), ("remainder", np.remainder)],
)  # fmt: skip
@pytest.mark.parametrize("kind", [np.int64, np.uint64], ids=["int64", "uint64"])
def test_wide_integers(kind: Any, op: str, expected: Callable[..., Any]) -> None:
    a, b = A.astype(kind), B.astype(kind)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(op, a, b), expected(a, b))


@pytest.mark.parametrize("axis", [-1, -2])
def test_reductions_of_wide_integers(axis: int) -> None:
    x = RNG.integers(-(1 << 62), 1 << 62, (5, 70))
    np.testing.assert_array_equal(run("sum", x, axes=(axis,)), x.sum(axis))
    np.testing.assert_array_equal(run("amax", x, axes=(axis,)), x.max(axis))
    np.testing.assert_array_equal(run("argmax", x, axis=axis), x.argmax(axis))
    np.testing.assert_array_equal(run("cumsum", x, axis=axis), x.cumsum(axis))


def test_a_product_in_tiles_of_workgroup_memory() -> None:
    x, y = RNG.integers(-(1 << 40), 1 << 40, (33, 17)), RNG.integers(-(1 << 40), 1 << 40, (17, 34))
    np.testing.assert_array_equal(run("matmul", x, y), x @ y)


def test_labels_of_64_bits() -> None:
    np.testing.assert_array_equal(run("gather", X, LABELS, axis=-1), np.take_along_axis(X, LABELS, 1))


@pytest.mark.parametrize("d", SMALL, ids=str)
@pytest.mark.parametrize(("op", "expected"), [("add", np.add), ("mul", np.multiply), ("sub", np.subtract), ("lt", np.less)])
def test_small_integers_wrap(d: Any, op: str, expected: Callable[..., Any]) -> None:
    info = np.iinfo(d.numpy)
    x = RNG.integers(info.min, info.max, 40, endpoint=True).astype(d.numpy)
    y = x[::-1].copy()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(op, x, y), expected(x, y))


@pytest.mark.parametrize("d", SMALL, ids=str)
def test_a_number_becomes_a_small_integer_first(d: Any) -> None:
    x = np.arange(5, dtype=d.numpy)
    np.testing.assert_array_equal(run("maximum", x, 300), np.maximum(x, np.array(300).astype(d.numpy)))


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_halves_are_rounded_once(kind: Any) -> None:
    x, y = X.astype(kind), X[::-1].astype(kind)
    wide = x.astype(np.float32) * y.astype(np.float32)
    np.testing.assert_array_equal(run("mul", x, y).astype(np.float32), wide.astype(kind).astype(np.float32))


def test_bools_are_words() -> None:
    np.testing.assert_array_equal(run("logical_xor", X > 0, X > 1), (X > 0) ^ (X > 1))
    np.testing.assert_array_equal(run("sum", X > 0, axes=(-1,)), (X > 0).sum(1))
