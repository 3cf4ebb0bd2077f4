"""The index group: values against NumPy, positions out of range, and gradients of two orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.errors import DeviceIndexError
from opset_tape import Tape, Value, check_gradients

RNG = np.random.default_rng(11)
X = RNG.normal(size=(3, 4))
B = RNG.normal(size=(2, 3, 4))
PICK = np.array([[0, 2, 1], [1, 0, 2]])
ROWS = np.array([2, 0, 2, 1])
NONE = np.zeros(0, np.int64)


def spread(x: Any, axis: int, at: Any, source: Any, combine: Callable[[Any, Any], Any]) -> Any:
    made = x.copy()
    for place in np.ndindex(at.shape):
        to = list(place)
        to[axis] = at[place]
        made[tuple(to)] = combine(made[tuple(to)], source if np.ndim(source) == 0 else source[place])
    return made


def new(old: Any, value: Any) -> Any:
    return value


def total(old: Any, value: Any) -> Any:
    return old + value


CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("gather", (X, PICK), {"axis": -1}, np.take_along_axis(X[:2], PICK, -1)),
    ("gather", (X, PICK[:, :2]), {"axis": -2}, np.take_along_axis(X[:, :2], PICK[:, :2], 0)),
    ("gather", (X, PICK.astype(np.int32)), {"axis": -1}, np.take_along_axis(X[:2], PICK, -1)),
    ("gather", (X, np.zeros((2, 0), np.int64)), {"axis": -1}, np.zeros((2, 0))),
    ("gather", (np.array(3.0), np.array(0)), {"axis": -1}, np.array(3.0)),
    (
        "gather_backward",
        (np.ones((2, 3)), PICK),
        {"shape": (3, 4), "axis": -2},
        spread(np.zeros((3, 4)), 0, PICK, 1.0, total),
    ),
    ("scatter", (X, PICK, B[0, :2, :3]), {"axis": -1}, spread(X, 1, PICK, B[0, :2, :3], new)),
    (
        "scatter",
        (X, np.array([[1, 1, 1]]), B[0, :1, :3]),
        {"axis": -1},
        spread(X, 1, np.array([[1, 1, 1]]), B[0, :1, :3], new),
    ),
    ("scatter", (X, PICK, 7), {"axis": -2}, spread(X, 0, PICK, 7.0, new)),
    ("scatter", (X, np.zeros((0, 4), np.int64), np.zeros((0, 4))), {"axis": -1}, X),
    ("scatter_add", (X, PICK, B[0, :2, :3]), {"axis": -2}, spread(X, 0, PICK, B[0, :2, :3], total)),
    ("index", (X, ROWS), {}, X[ROWS]),
    ("index", (X, ROWS, np.array([0, -1, 3, 1])), {}, X[ROWS, [0, -1, 3, 1]]),
    ("index", (X, np.array([[0, -1], [2, 2]])), {"axis": -1}, X[:, [[0, -1], [2, 2]]]),
    ("index", (B, np.array([[2], [0]]), np.array([1, 3])), {"axis": -2}, B[:, [[2], [0]], [1, 3]]),
    ("index", (B, np.array(1)), {"axis": -2}, B[:, 1]),
    ("index", (X, NONE), {}, X[:0]),
    ("index", (np.zeros((0, 4)), np.array([1, 1])), {"axis": -1}, np.zeros((0, 2))),
    ("index_backward", (np.ones((4, 4)), ROWS), {"shape": (3, 4)}, np.array([1.0, 1, 2])[:, None] * np.ones((3, 4))),
    ("index_put", (X, B[0, :2], np.array([2, 0])), {}, np.stack([B[0, 1], X[1], B[0, 0]])),
    ("index_put", (X, 5, ROWS), {"axis": -2}, np.full((3, 4), 5.0)),
    (
        "index_put",
        (X, np.array([1.0, 2, 4]), np.array([1, 1, -3])),
        {"axis": -1, "accumulate": True},
        X + np.array([0.0, 7, 0, 0]),
    ),
    ("index_select", (B, np.array([2, 0, 0])), {"axis": -2}, B[:, [2, 0, 0]]),
    ("index_select", (X, NONE), {"axis": -1}, X[:, :0]),
    ("index_add", (X, np.array([1, 1]), B[1, :2]), {"axis": -2}, X + np.stack([X[0] * 0, B[1, 0] + B[1, 1], X[0] * 0])),
    ("embedding", (X, PICK), {}, X[PICK]),
    ("embedding", (X, np.array(1, np.int32)), {}, X[1]),
    (
        "embedding_backward",
        (np.ones((2, 3, 4)), PICK),
        {"rows": 4, "padding_idx": 1},
        np.array([2.0, 0, 2, 0])[:, None] * np.ones(4),
    ),
    ("one_hot", (PICK,), {"classes": 3}, np.eye(3, dtype=np.int64)[PICK]),
    ("bincount", (ROWS,), {"size": 4}, np.array([1, 1, 2, 0])),
    ("nonzero", (np.array([[0, 1.5, np.nan], [2, 0, 0]]),), {"size": 3}, np.array([[0, 1], [0, 2], [1, 0]])),
    ("nonzero", (np.array([True, False, True]),), {"size": 2}, np.array([[0], [2]])),
    ("nonzero", (np.array(3),), {"size": 1}, np.zeros((1, 0), np.int64)),
    ("nonzero", (np.zeros((0, 3)),), {"size": 0}, np.zeros((0, 2), np.int64)),
    ("masked_select", (X, X > 0), {"size": int((X > 0).sum())}, X[X > 0]),
    ("masked_select", (X, np.array([True, False, False, True])), {"size": 6}, X[:, [0, 3]].reshape(-1)),
]


@pytest.mark.parametrize(("name", "operands", "attributes", "expected"), CASES)
def test_values(name: str, operands: Any, attributes: dict[str, Any], expected: Any) -> None:
    given = [Value(o) if isinstance(o, np.ndarray) else o for o in operands]
    made = getattr(Tape(), name)(*given, **attributes).array
    np.testing.assert_allclose(made, expected, rtol=1e-14)
    assert made.shape == expected.shape
    assert made.dtype.kind == expected.dtype.kind


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64, np.float16, np.float32])
def test_every_dtype_moves(dtype: Any) -> None:
    x = (X * 3).astype(dtype)
    b = Tape()
    for made, expected in (
        (b.gather(Value(x), Value(PICK), axis=-1), np.take_along_axis(x[:2], PICK, -1)),
        (b.index_put(Value(x), Value(x[:1]), Value(ROWS)), np.stack([x[0]] * 3)),
        (b.scatter(Value(x), Value(PICK), 1, axis=-2), spread(x, 0, PICK, dtype(1), new)),
    ):
        np.testing.assert_array_equal(made.array, expected)
        assert made.array.dtype == x.dtype


def test_halves_are_summed_in_float32() -> None:
    made = Tape().embedding_backward(
        Value(np.full((4096, 1), 0.1, np.float16)), Value(np.zeros(4096, np.int64)), rows=1
    )
    assert made.dtype is dt.float32
    np.testing.assert_allclose(made.array, [[4096 * float(np.float16(0.1))]], rtol=1e-4)


@pytest.mark.parametrize(
    "case",
    [
        lambda b, at: b.gather(Value(X), at, axis=-1),
        lambda b, at: b.scatter(Value(X), at, 0, axis=-1),
        lambda b, at: b.scatter_add(Value(X), at, Value(X[:1, :1]), axis=-1),
        lambda b, at: b.embedding(Value(X.T.copy()), at),
        lambda b, at: b.one_hot(at, classes=4),
        lambda b, at: b.index_select(Value(X), b.view(at, shape=(1,)), axis=-1),
    ],
)
@pytest.mark.parametrize("at", [4, -1, 2**31])
def test_out_of_range(case: Any, at: int) -> None:
    case(Tape(), Value(np.array([[3]])))
    with pytest.raises(DeviceIndexError):
        case(Tape(), Value(np.array([[at]])))


@pytest.mark.parametrize("at", [3, -4])
def test_advanced_indices_count_from_either_end(at: int) -> None:
    with pytest.raises(DeviceIndexError):
        Tape().index(Value(X), Value(np.array([at])))


REFUSED: list[tuple[type[Exception], str, Callable[[Tape], Any]]] = [
    (TypeError, "indices must be int64 or int32, float64", lambda b: b.gather(Value(X), Value(X), axis=-1)),
    (ValueError, "1 axes and the operand 2", lambda b: b.gather(Value(X), Value(ROWS), axis=-1)),
    (ValueError, "larger than the operand", lambda b: b.gather(Value(X[:1]), Value(PICK), axis=-1)),
    (ValueError, "shape of the index", lambda b: b.scatter(Value(X), Value(PICK), Value(X), axis=-1)),
    (IndexError, "axis of size 0", lambda b: b.index(Value(X[:0]), Value(ROWS))),
    (IndexError, "axis of size 0", lambda b: b.embedding(Value(X[:0]), Value(ROWS))),
    (IndexError, "3 indices do not fit", lambda b: b.index(Value(X), Value(ROWS), Value(ROWS), Value(ROWS))),
    (ValueError, "do not broadcast", lambda b: b.index_put(Value(X), Value(np.ones((2, 2, 4))), Value(ROWS))),
    (ValueError, "one axis", lambda b: b.index_select(Value(X), Value(PICK), axis=-1)),
    (ValueError, "index_select reads", lambda b: b.index_add(Value(X), Value(ROWS), Value(X), axis=-2)),
    (ValueError, "two axes", lambda b: b.embedding(Value(B), Value(ROWS))),
]


@pytest.mark.parametrize(("kind", "text", "case"), REFUSED)
def test_refusals(kind: type[Exception], text: str, case: Callable[[Tape], Any]) -> None:
    with pytest.raises(kind, match=text):
        case(Tape())


INTS = Value(PICK)
GRADIENTS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda b, x: b.square(b.gather(x, INTS, axis=-1)), (X,)),
    (lambda b, x: b.square(b.gather(x, Value(np.array([[0, 0, 0]])), axis=-2)), (X,)),
    (lambda b, x, y: b.square(b.scatter(x, Value(np.array([[0, 2, 1], [1, 0, 2]])), y, axis=-1)), (X, X[:2, :3])),
    (lambda b, x, y: b.square(b.scatter_add(x, INTS, y, axis=-2)), (X, X[:2, :3])),
    (lambda b, x: b.square(b.scatter(x, INTS, 3, axis=-2)), (X,)),
    (lambda b, x: b.square(b.index(x, Value(ROWS), Value(np.array([-1, 0, -1, 2])))), (X,)),
    (lambda b, x: b.square(b.index(x, INTS, axis=-2)), (B,)),
    (lambda b, x, v: b.square(b.index_put(x, v, Value(np.array([2, 0])))), (X, X[:1])),
    (lambda b, x, v: b.square(b.index_put(x, v, Value(ROWS), accumulate=True)), (X, X[:1])),
    (lambda b, x: b.square(b.index_select(x, Value(ROWS), axis=-2)), (X,)),
    (lambda b, x, y: b.square(b.index_add(x, Value(np.array([1, 1])), y, axis=-2)), (X, X[:2])),
    (lambda b, w: b.square(b.embedding(w, INTS)), (X,)),
    (lambda b, x: b.square(b.masked_select(x, Value(X > 0), size=int((X > 0).sum()))), (X,)),
]


@pytest.mark.parametrize(("case", "inputs"), GRADIENTS)
def test_gradients(case: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    check_gradients(case, *inputs)


def test_the_padding_row_gets_no_gradient() -> None:
    b = Tape()
    grad = Value(RNG.normal(size=(2, 3, 4)))
    once = b.embedding_backward(grad, INTS, rows=3, padding_idx=1)
    assert not once.array[1].any() and once.array[0].any()
    check_gradients(lambda b, g: b.embedding_backward(g, INTS, rows=3, padding_idx=1), grad.array)


def test_an_op_that_adds_keeps_index_order() -> None:
    """Floating sums depend on order; the order of the index is part of the meaning."""
    values = np.array([1e8, 1.0, -1e8, 1.0], np.float32)
    made = Tape().scatter_add(Value(np.zeros(1, np.float32)), Value(np.zeros(4, np.int64)), Value(values), axis=-1)
    expected = np.float32(0)
    for v in values:
        expected = np.float32(expected + v)
    assert made.array[0] == expected
