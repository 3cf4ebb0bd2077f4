"""The copy group: values against NumPy, dtypes, chunks, refusals, and gradients of two orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.opset import OPS
from opset_tape import Tape, Value, check_gradients, spec_of

X = np.arange(1.0, 13.0).reshape(3, 4)
B = np.arange(24.0).reshape(2, 3, 4)
V = np.array([3.0, -1.0, 2.0])


def put(shape: Any, at: Any, value: Any) -> Any:
    made = np.zeros(shape)
    np.add.at(made, at, value)
    return made


def strided(x: Any) -> Any:
    made = np.zeros(12)
    for i in range(3):
        for j in range(4):
            made[1 + i + 2 * j] += x[i, j]
    return made.reshape(3, 4)


def unfolded(x: Any, n: int, step: int) -> Any:
    made = np.zeros(n)
    for w in range(x.shape[0]):
        made[w * step : w * step + x.shape[1]] += x[w]
    return made


CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], Callable[..., Any]]] = [
    ("copy", (X.T,), {}, lambda x: x),
    ("copy", (np.array(2.0),), {}, lambda x: x),
    ("flip", (B,), {"axes": (-3, -1)}, lambda x: x[::-1, :, ::-1]),
    ("flip", (V,), {"axes": ()}, lambda x: x),
    ("flip", (np.ones((0, 2)),), {"axes": (-2,)}, lambda x: x),
    ("roll", (B,), {"shifts": (1, -6), "axes": (-2, -1)}, lambda x: np.roll(x, (1, -6), (-2, -1))),
    ("roll", (V,), {"shifts": (2, 2), "axes": (-1, -1)}, lambda x: np.roll(x, 4)),
    ("roll", (np.ones((0, 2)),), {"shifts": (1,), "axes": (-2,)}, lambda x: x),
    ("cat", (X, X[:1], X[:0]), {"axis": -2}, lambda *xs: np.concatenate(xs, -2)),
    ("cat", (X, X[:, :1]), {"axis": -1}, lambda *xs: np.concatenate(xs, -1)),
    ("cat", (V,), {"axis": -1}, lambda x: x),
    ("cat", tuple(V[: 1 + n % 3] * n for n in range(17)), {"axis": -1}, lambda *xs: np.concatenate(xs)),
    ("stack", (X, X * 2, X - 1), {"axis": -2}, lambda *xs: np.stack(xs, -2)),
    ("stack", (np.array(1.0), np.array(2.0)), {"axis": -1}, lambda *xs: np.stack(xs)),
    ("repeat", (X,), {"repeats": (2, 3)}, lambda x: np.tile(x, (2, 3))),
    ("repeat", (V,), {"repeats": (2, 1, 2)}, lambda x: np.tile(x, (2, 1, 2))),
    ("repeat", (np.array(3.0),), {"repeats": (2,)}, lambda x: np.tile(x, 2)),
    ("repeat", (X,), {"repeats": (0, 2)}, lambda x: np.tile(x, (0, 2))),
    ("repeat", (np.ones((0, 2)),), {"repeats": (3, 2)}, lambda x: np.tile(x, (3, 2))),
    ("pad", (X, 0), {"pads": ((1, 0), (2, 1))}, lambda x, v: np.pad(x, ((1, 0), (2, 1)))),
    ("pad", (B, -2.5), {"pads": ((1, 2),)}, lambda x, v: np.pad(x, ((0, 0), (0, 0), (1, 2)), constant_values=v)),
    ("pad", (X, 7), {"pads": ((-1, 2), (-2, -1))}, lambda x, v: np.pad(x[1:, 2:3], ((0, 2), (0, 0)), constant_values=v)),
    ("pad", (np.ones((2, 0)), 4), {"pads": ((0, 0), (1, 1))}, lambda x, v: np.full((2, 2), 4.0)),
    ("pad", (V, 0), {"pads": ()}, lambda x, v: x),
    ("tril", (B,), {"diagonal": 1}, lambda x: np.tril(x, 1)),
    ("triu", (X,), {"diagonal": -1}, lambda x: np.triu(x, -1)),
    ("tril", (np.ones((1, 1)),), {"diagonal": -1}, lambda x: np.tril(x, -1)),
    ("fill_diagonal", (X, 9), {}, lambda x, v: np.where(np.eye(3, 4, dtype=bool), v, x)),
    ("slice_backward", (V,), {"shape": (9,), "axis": -1, "start": 2, "stop": 9, "step": 3},
     lambda y: put(9, slice(2, 9, 3), y)),
    ("slice_backward", (X,), {"shape": (3, 7), "axis": -1, "start": 1, "stop": 5, "step": 1},
     lambda y: put((3, 7), (slice(None), slice(1, 5)), y)),
    ("slice_backward", (X[:, :0],), {"shape": (3, 7), "axis": -1, "start": 1, "stop": 1, "step": 1},
     lambda y: np.zeros((3, 7))),
    ("diagonal_backward", (V,), {"shape": (3, 4), "offset": 1, "axis1": -2, "axis2": -1},
     lambda y: put((3, 4), (np.arange(3), np.arange(3) + 1), y)),
    ("diagonal_backward", (V[:2],), {"shape": (3, 4), "offset": -1, "axis1": -2, "axis2": -1},
     lambda y: put((3, 4), ([1, 2], [0, 1]), y[:2])),
    ("unfold_backward", (X,), {"shape": (8,), "axis": -1, "size": 4, "step": 2}, lambda y: unfolded(y, 8, 2)),
    ("unfold_backward", (X,), {"shape": (14,), "axis": -1, "size": 4, "step": 5}, lambda y: unfolded(y, 14, 5)),
    ("as_strided_backward", (X,), {"shape": (3, 4), "strides": (1, 2), "offset": 1}, strided),
]  # fmt: skip
IDS = [f"{name}-{n}" for n, (name, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "given", "attrs", "expected"), CASES, ids=IDS)
def test_value(name: str, given: tuple[Any, ...], attrs: dict[str, Any], expected: Callable[..., Any]) -> None:
    np.testing.assert_array_equal(getattr(Tape(), name)(*given, **attrs).array, expected(*given))


@pytest.mark.parametrize(("name", "given", "attrs", "expected"), CASES, ids=IDS)
def test_gradient(name: str, given: tuple[Any, ...], attrs: dict[str, Any], expected: Any) -> None:
    tensors = [x / 8 for x in given if isinstance(x, np.ndarray)][:9]
    numbers = [x for x in given if not isinstance(x, np.ndarray)]
    check_gradients(lambda b, *xs: getattr(b, name)(*[b.mul(x, x) for x in xs], *numbers, **attrs), *tensors)


@pytest.mark.parametrize("target", dt.ALL, ids=lambda d: d.name)
def test_cast(target: dt.DType) -> None:
    x = np.array([0.0, 0.5, 1.0, 2.75, 100.25])
    made = Tape().cast(x, dtype=target)
    assert made.dtype is target
    np.testing.assert_array_equal(made.array, x.astype(target.numpy))


def test_cast_gradient_comes_back_in_the_operand_dtype() -> None:
    check_gradients(lambda b, x: b.cast(b.cast(x, dtype=dt.float64), dtype=dt.float64), V)


def test_cat_promotes() -> None:
    made = Tape().cat(np.ones(2, np.int16), np.ones(1, np.float32), np.ones(1, bool), axis=-1)
    assert made.dtype is dt.float32
    np.testing.assert_array_equal(made.array, np.ones(4, np.float32))


def test_cat_writes_chunks_that_fit_eight_bindings() -> None:
    op, specs = OPS["cat"], [spec_of(Value(V))] * 17
    made = op.definitions(specs, (-1,), op.infer(specs, (-1,)))
    assert [len(d.stores) for d in made] == [7, 7, 3]


@pytest.mark.parametrize(
    ("name", "given", "attrs", "message"),
    [
        ("cat", (X, B), {"axis": -1}, r"\[\[3, 4\], \[2, 3, 4\]\] cannot be concatenated along axis -1"),
        ("cat", (X, X[:2]), {"axis": -1}, "all other sizes must be equal"),
        ("cat", (np.array(1.0),), {"axis": -1}, "cannot be concatenated"),
        ("stack", (X, X[:2]), {"axis": -1}, "cannot be stacked"),
        ("repeat", (X,), {"repeats": (2,)}, "fewer axes"),
        ("pad", (X, 0), {"pads": ((-2, -2), (0, 0))}, "negative size"),
        ("pad", (V, 0), {"pads": ((1, 1), (0, 0))}, "does not fit shape"),
        ("tril", (V,), {}, "a matrix"),
    ],
)
def test_refusals(name: str, given: tuple[Any, ...], attrs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(Tape(), name)(*given, **attrs)
