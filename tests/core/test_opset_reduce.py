"""The reduce and scan groups: values against NumPy, dtypes, edges (empty, zero-dim, NaN, ties, zeros), gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from opset_tape import Tape, Value, check_gradients, gradients

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(7)
X = RNG.uniform(-2, 2, (2, 3, 4))
P = RNG.uniform(0.5, 1.5, (2, 3, 4))
TIED = np.array([[1.0, 3.0, 3.0, -1.0], [2.0, 2.0, 2.0, 2.0]])
ZEROS = np.array([[0.5, 0.0, -1.5, 0.0], [2.0, 1.0, 0.0, 3.0], [1.0, 2.0, -1.0, 0.5], [0.0, 0.0, 0.0, 1.0]])
OVER: list[tuple[Any, bool]] = [
    ((-1,), False),
    ((-3, -1), False),
    ((-3, -1), True),
    (None, False),
    ((), False),
    (None, True),
]


def plain(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis, keep: f(x, axis=axis, keepdims=keep)


def norm(p: float) -> Callable[..., Any]:
    def reference(x: Any, axis: Any, keep: bool) -> Any:
        x = np.abs(x)
        if p == 0:
            return (x != 0).sum(axis=axis, keepdims=keep).astype(float)
        if abs(p) == INF:
            return (x.max if p > 0 else x.min)(axis=axis, keepdims=keep)
        return (x**p).sum(axis=axis, keepdims=keep) ** (1 / p)

    return reference


def spread(correction: float) -> Callable[..., Any]:
    def reference(x: Any, axis: Any, keep: bool) -> Any:
        n = x.size / np.mean(x, axis=axis, keepdims=True).size
        with np.errstate(all="ignore"):
            return np.divide(((x - x.mean(axis, keepdims=True)) ** 2).sum(axis=axis, keepdims=keep), n - correction)

    return reference


REDUCTIONS: list[tuple[str, dict[str, Any], Callable[..., Any]]] = [
    ("sum", {}, plain(np.sum)), ("mean", {}, plain(np.mean)), ("prod", {}, plain(np.prod)),
    ("var", {"correction": 0.5}, spread(0.5)), ("std", {"correction": 0.25}, lambda *a: np.sqrt(spread(0.25)(*a))),
    ("norm", {"p": 2}, norm(2)), ("norm", {"p": 1}, norm(1)), ("norm", {"p": 3}, norm(3)), ("norm", {"p": 1.5}, norm(1.5)),
    ("norm", {"p": 0}, norm(0)), ("norm", {"p": INF}, norm(INF)), ("norm", {"p": -INF}, norm(-INF)),
    ("norm", {"p": 0.5}, norm(0.5)), ("logsumexp", {}, lambda x, axis, keep: np.log(np.exp(x).sum(axis=axis, keepdims=keep))),
    ("amax", {}, plain(np.max)), ("amin", {}, plain(np.min)),
]  # fmt: skip
IDS = [f"{name}{attrs or ''}" for name, attrs, _ in REDUCTIONS]


@pytest.mark.parametrize(("axes", "keepdim"), OVER)
@pytest.mark.parametrize(("name", "attrs", "reference"), REDUCTIONS, ids=IDS)
def test_value(name: str, attrs: dict[str, Any], reference: Any, axes: Any, keepdim: bool) -> None:
    made = getattr(Tape(), name)(X, axes=axes, keepdim=keepdim, **attrs).array
    np.testing.assert_allclose(made, reference(X, axes, keepdim), rtol=1e-12)


@pytest.mark.parametrize(("axes", "keepdim"), [((-2,), False), ((-3, -1), True), (None, False)])
@pytest.mark.parametrize(("name", "attrs", "reference"), REDUCTIONS, ids=IDS)
def test_gradient(name: str, attrs: dict[str, Any], reference: Any, axes: Any, keepdim: bool) -> None:
    check_gradients(lambda b, x: getattr(b, name)(x, axes=axes, keepdim=keepdim, **attrs), P[:, :2, :3], close=2e-5)


@pytest.mark.parametrize("x", ZEROS, ids=["two zeros", "one zero", "no zero", "three zeros"])
@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_products_with_zeros(name: str, x: Any) -> None:
    attrs: dict[str, Any] = {"axes": (-1,)} if name == "prod" else {"axis": -1}
    check_gradients(lambda b, x: getattr(b, name)(x, **attrs), x, order=3, step=1e-4, close=1e-6)


def test_cumprod_along_a_middle_axis() -> None:
    x = np.where(P > 1.3, 0, P)
    check_gradients(lambda b, x: b.cumprod(x, axis=-2), x[:, :, :2])


@pytest.mark.parametrize(("name", "best"), [("amax", np.max), ("amin", np.min)])
def test_ties_share_the_gradient(name: str, best: Any) -> None:
    b, x = Tape(), Value(TIED)
    out = getattr(b, name)(x, axes=(-1,))
    (slope,) = gradients(b, out, Value(np.array([1.0, 2.0])), [x])
    wins = best(TIED, axis=-1, keepdims=True) == TIED
    assert slope is not None
    np.testing.assert_allclose(slope.array, wins * np.array([[1.0], [2.0]]) / wins.sum(-1, keepdims=True))


@pytest.mark.parametrize("name", ["norm", "std"])
def test_flat_where_all_is_zero(name: str) -> None:
    b, x = Tape(), Value(np.zeros((2, 3)))
    (slope,) = gradients(b, getattr(b, name)(x, axes=(-1,)), Value(np.ones(2)), [x])
    assert slope is not None
    np.testing.assert_array_equal(slope.array, np.zeros((2, 3)))


SUMMED = {"float16": "float16", "float32": "float32", "float64": "float64"}


@pytest.mark.parametrize("kind", dt.ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("name", ["sum", "prod", "count_nonzero", "any", "all", "amax", "amin"])
def test_dtypes(name: str, kind: dt.DType) -> None:
    x = np.array([[2, 0, 1], [1, 3, 1]]).astype(kind.numpy)
    made = getattr(Tape(), name)(x, axes=(-1,))
    wanted = {"count_nonzero": "int64", "amax": kind.name, "amin": kind.name}.get(name)
    if name in ("any", "all"):
        wanted = "uint8" if kind is dt.uint8 else "bool"
    if wanted is None:
        wanted = kind.name if kind.kind == "f" else "int64"
    assert made.dtype.name == wanted
    numpy = {"amax": "max", "amin": "min", "count_nonzero": "count_nonzero"}.get(name, name)
    np.testing.assert_array_equal(
        made.array.astype(float),
        getattr(np, numpy)(x.astype(float if kind.kind != "b" else bool), axis=-1).astype(float),
    )


def test_sum_casts_the_elements_first() -> None:
    made = Tape().sum(np.array([0.75, 1.5, 2.75]), axes=None, dtype=dt.int64)
    assert (made.dtype, made.array) == (dt.int64, 3)
    halves = Tape().sum(np.full(4097, 1.0, np.float16), axes=None)
    assert (halves.dtype, float(halves.array)) == (dt.float16, 4096.0)  # summed in float32, rounded once


@pytest.mark.parametrize(
    ("name", "attrs", "expected"),
    [
        ("sum", {}, 0.0), ("prod", {}, 1.0), ("mean", {}, NAN), ("any", {}, False), ("all", {}, True),
        ("count_nonzero", {}, 0), ("logsumexp", {}, -INF), ("norm", {"p": 2}, 0.0), ("var", {}, NAN),
    ],
)  # fmt: skip
def test_no_elements(name: str, attrs: dict[str, Any], expected: Any) -> None:
    made = getattr(Tape(), name)(np.zeros((3, 0)), axes=(-1,), **attrs)
    np.testing.assert_array_equal(made.array, np.full(3, expected))


@pytest.mark.parametrize(
    ("name", "attrs"),
    [("amax", {"axes": (-2,)}), ("amin", {"axes": None}), ("argmax", {"axis": -2}), ("argmin", {"axis": None}),
     ("max_with_index", {"axis": -2}), ("norm", {"axes": (-2,), "p": INF})],
)  # fmt: skip
def test_no_elements_have_no_extreme(name: str, attrs: dict[str, Any]) -> None:
    with pytest.raises(IndexError, match=rf"{name}\(\): expected reduction dim 0 to have non-zero size"):
        getattr(Tape(), name)(np.zeros((0, 3)), **attrs)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "amax", "logsumexp", "norm"])
def test_zero_dim(name: str) -> None:
    np.testing.assert_allclose(getattr(Tape(), name)(np.array(1.5), axes=()).array, 1.5)


def test_non_finite_values() -> None:
    b, x = Tape(), np.array([[1.0, NAN, 2.0], [INF, -INF, 0.0], [-INF, -INF, -INF]])
    np.testing.assert_array_equal(b.amax(x, axes=(-1,)).array, [NAN, INF, -INF])
    np.testing.assert_array_equal(b.amin(x, axes=(-1,)).array, [NAN, -INF, -INF])
    np.testing.assert_array_equal(b.argmax(x, axis=-1).array, [1, 0, 0])
    np.testing.assert_array_equal(b.argmin(x, axis=-1).array, [1, 1, 0])
    np.testing.assert_array_equal(b.logsumexp(x, axes=(-1,)).array, [NAN, INF, -INF])
    np.testing.assert_array_equal(b.sum(x, axes=(-1,)).array, [NAN, NAN, -INF])


@pytest.mark.parametrize("name", ["mean", "var", "std", "norm"])
def test_floats_are_needed(name: str) -> None:
    with pytest.raises(TypeError, match="floating point dtype is needed, int64 was given"):
        getattr(Tape(), name)(np.arange(3), axes=None)


# ---- positions -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("x", [X, TIED, np.arange(6).reshape(2, 3) % 4, np.array([[1, 0], [0, 1]], bool)], ids=str)
@pytest.mark.parametrize("keepdim", [False, True])
def test_positions(x: Any, keepdim: bool) -> None:
    b = Tape()
    for axis in (-1, -2):
        if x.dtype != bool:
            np.testing.assert_array_equal(
                b.argmax(x, axis=axis, keepdim=keepdim).array, x.argmax(axis, keepdims=keepdim)
            )
            np.testing.assert_array_equal(
                b.argmin(x, axis=axis, keepdim=keepdim).array, x.argmin(axis, keepdims=keepdim)
            )
        values, indices = b.max_with_index(x, axis=axis, keepdim=keepdim)
        np.testing.assert_array_equal(values.array, x.max(axis, keepdims=keepdim))
        np.testing.assert_array_equal(indices.array, x.argmax(axis, keepdims=keepdim))
        values, indices = b.min_with_index(x, axis=axis, keepdim=keepdim)
        np.testing.assert_array_equal(values.array, x.min(axis, keepdims=keepdim))
        np.testing.assert_array_equal(indices.array, x.argmin(axis, keepdims=keepdim))


def test_position_in_the_whole_operand() -> None:
    b = Tape()
    assert b.argmax(X.transpose(2, 0, 1)).array == X.transpose(2, 0, 1).argmax()
    assert b.argmin(X, axis=None, keepdim=True).array == X.argmin()
    assert b.argmax(np.array(3.0), axis=-1).array == 0
    with pytest.raises(TypeError, match="does not take bool"):
        b.argmax(np.ones(2, bool), axis=-1)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("name", ["max_with_index", "min_with_index", "cummax", "cummin"])
def test_extreme_gradients(name: str, axis: int) -> None:
    keep = {} if name.startswith("cum") else {"keepdim": axis == -1}
    check_gradients(lambda b, x: getattr(b, name)(b.mul(x, x), axis=axis, **keep)[0], P[0])


def test_zero_dim_extremes() -> None:
    for name in ("max_with_index", "cummin"):
        values, indices = getattr(Tape(), name)(np.array(2.5), axis=-1)
        assert (values.array, indices.array) == (2.5, 0)
        check_gradients(lambda b, x, name=name: getattr(b, name)(x, axis=-1)[0], np.array(2.5))


# ---- scans ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [-1, -2, -3])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_scans(name: str, axis: int) -> None:
    np.testing.assert_allclose(getattr(Tape(), name)(X, axis=axis).array, getattr(np, name)(X, axis=axis), rtol=1e-12)
    check_gradients(lambda b, x: getattr(b, name)(x, axis=axis), P[:, :2, :3])


def test_scans_from_the_end() -> None:
    np.testing.assert_allclose(Tape().cumsum(X, axis=-2, reverse=True).array, X[:, ::-1].cumsum(-2)[:, ::-1])
    check_gradients(lambda b, x: b.cumsum(x, axis=-2, reverse=True), P[:, :, :2])


def test_scans_of_integers_and_of_nothing() -> None:
    b = Tape()
    made = b.cumsum(np.full((2, 3), 200, np.uint8), axis=-1)
    np.testing.assert_array_equal(made.array, [[200, 400, 600]] * 2)
    assert made.dtype is dt.int64
    assert b.cumprod(np.zeros((3, 0)), axis=-1).shape == (3, 0)
    assert b.cumsum(np.array(True), axis=-1).array == 1
    check_gradients(lambda b, x: b.cumprod(b.cumsum(x, axis=-1), axis=-1), np.array(2.0))


@pytest.mark.parametrize("kind", ["float64", "float16", "int32", "bool"])
def test_running_extremes(kind: str) -> None:
    x = np.array([[1, 3, 3, 2, 4, 0], [2, 2, 1, 1, 0, 3]]).astype(kind)
    values, indices = Tape().cummax(x, axis=-1)
    np.testing.assert_array_equal(values.array, np.maximum.accumulate(x, -1))
    assert values.array.dtype == x.dtype
    last = [[0, 1, 2, 2, 4, 4], [0, 1, 1, 1, 1, 5]] if kind != "bool" else [[0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 3, 5]]
    np.testing.assert_array_equal(indices.array, last)


def test_running_extremes_of_nan() -> None:
    values, indices = Tape().cummin(np.array([2.0, NAN, 1.0, NAN, 0.0]), axis=-1)
    np.testing.assert_array_equal(values.array, [2, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(indices.array, [0, 1, 1, 3, 3])


def test_positions_beside_an_empty_axis() -> None:
    values, indices = Tape().max_with_index(np.zeros((0, 3)), axis=-1)
    assert (values.shape, indices.shape, indices.dtype) == ((0,), (0,), dt.int64)
