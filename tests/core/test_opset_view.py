"""The view group: layouts against NumPy's own views, refusals, and gradients of two orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices.opset import OPS
from opset_tape import Tape, Value, check_gradients, spec_of

X = np.arange(24.0).reshape(2, 3, 4)
T = X.transpose(2, 0, 1)  # the same memory, not dense
W = np.lib.stride_tricks.sliding_window_view

CASES: list[tuple[str, Any, dict[str, Any], Callable[[Any], Any]]] = [
    ("view", X, {"shape": (6, 4)}, lambda x: x.reshape(6, 4)),
    ("view", X, {"shape": (2, 1, 12, 1)}, lambda x: x.reshape(2, 1, 12, 1)),
    ("view", X[:, ::2, :2], {"shape": (2, 2, 1, 2)}, lambda x: x.reshape(2, 2, 1, 2)),
    ("view", X[:, :, 1:2], {"shape": (6,)}, lambda x: x.reshape(6)),
    ("view", np.broadcast_to(X[0, 0], (3, 4)), {"shape": (3, 2, 2)}, lambda x: x.reshape(3, 2, 2)),
    ("view", np.zeros((0, 3)), {"shape": (3, 0, 7)}, lambda x: x.reshape(3, 0, 7)),
    ("view", np.array(5.0), {"shape": (1, 1)}, lambda x: x.reshape(1, 1)),
    ("view", np.array([[5.0]]), {"shape": ()}, lambda x: x.reshape(())),
    ("permute", X, {"dims": (-1, -3, -2)}, lambda x: x.transpose(2, 0, 1)),
    ("permute", X, {"dims": (-1, -2)}, lambda x: x.swapaxes(-1, -2)),
    ("permute", X, {"dims": ()}, lambda x: x),
    ("expand", X[:, :1], {"shape": (5, 2, 3, 4)}, lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    ("expand", np.array(2.0), {"shape": (2, 2)}, lambda x: np.broadcast_to(x, (2, 2))),
    ("slice", X, {"axis": -1, "start": 1, "stop": 4, "step": 2}, lambda x: x[..., 1:4:2]),
    ("slice", T, {"axis": -3, "start": 0, "stop": 4, "step": 3}, lambda x: x[0:4:3]),
    ("slice", X, {"axis": -2, "start": 3, "stop": 3, "step": 1}, lambda x: x[:, 3:3]),
    ("slice", X, {"axis": -2, "start": 2, "stop": 1, "step": 1}, lambda x: x[:, 2:1]),
    ("select", X, {"axis": -3, "index": 1}, lambda x: x[1]),
    ("select", T, {"axis": -1, "index": 2}, lambda x: x[..., 2]),
    ("diagonal", X, {"offset": 0, "axis1": -2, "axis2": -1}, lambda x: x.diagonal(0, -2, -1)),
    ("diagonal", X, {"offset": 1, "axis1": -3, "axis2": -1}, lambda x: x.diagonal(1, -3, -1)),
    ("diagonal", X, {"offset": -2, "axis1": -1, "axis2": -2}, lambda x: x.diagonal(-2, -1, -2)),
    ("diagonal", X, {"offset": 7, "axis1": -2, "axis2": -1}, lambda x: x.diagonal(7, -2, -1)),
    ("unfold", X, {"axis": -1, "size": 2, "step": 1}, lambda x: W(x, 2, 2)),
    ("unfold", T, {"axis": -3, "size": 3, "step": 2}, lambda x: W(x, 3, 0)[::2]),
    ("unfold", X, {"axis": -2, "size": 2, "step": 3}, lambda x: W(x, 2, 1)[:, ::3]),
    ("as_strided", X, {"shape": (2, 3), "strides": (1, 5), "offset": 4},
     lambda x: x.reshape(-1)[np.add.outer(4 + np.arange(2), 5 * np.arange(3))]),
    ("as_strided", X, {"shape": (4, 3), "strides": (1, 1), "offset": 0}, lambda x: W(x.reshape(-1)[:6], 3)),
]  # fmt: skip
IDS = [f"{name}-{n}" for n, (name, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "x", "attrs", "expected"), CASES, ids=IDS)
def test_value(name: str, x: Any, attrs: dict[str, Any], expected: Callable[[Any], Any]) -> None:
    np.testing.assert_array_equal(getattr(Tape(), name)(x, **attrs).array, expected(x))


@pytest.mark.parametrize(("name", "x", "attrs", "expected"), CASES, ids=IDS)
def test_gradient(name: str, x: Any, attrs: dict[str, Any], expected: Any) -> None:
    check_gradients(lambda b, x: getattr(b, name)(b.mul(x, x), **attrs), x / 8)


@pytest.mark.parametrize(
    ("old", "strides", "shape", "expected"),
    [
        ((4, 2, 3), (1, 12, 4), (4, 6), (1, 4)),
        ((4, 2, 3), (1, 12, 4), (8, 3), None),
        ((2, 3, 4), (12, 4, 1), (24,), (1,)),
        ((2, 3, 2), (12, 4, 1), (6, 2), (4, 1)),
        ((2, 3, 2), (12, 4, 1), (12,), None),
        ((3, 4), (0, 1), (12,), None),
        ((3, 4), (0, 0), (12,), (0,)),
        ((2, 1, 3), (9, 77, 1), (2, 3), (9, 1)),
        ((2, 3), (9, 1), (1, 2, 3, 1), None),
    ],
)
def test_when_a_reshape_is_a_view(old: Any, strides: Any, shape: Any, expected: Any) -> None:
    seen = OPS["view"].view(old, strides, shape=shape)  # type: ignore[misc]
    if expected is None and shape != (1, 2, 3, 1):
        assert seen is None
    elif shape == (1, 2, 3, 1):  # strides of axes of size 1 are free
        assert seen is not None and seen[1][1:3] == (9, 1)
    else:
        assert seen == (shape, expected, 0)


def test_reshapes_copy_only_where_numpy_does() -> None:
    rng = np.random.default_rng(0)
    splits = [(24,), (2, 12), (12, 2), (4, 6), (2, 3, 4), (3, 2, 4), (2, 2, 6), (1, 24), (4, 1, 6), (2, 3, 2, 2)]
    for _ in range(300):
        base = np.arange(48.0).reshape(splits[rng.integers(len(splits))] + (2,))[..., :: int(rng.integers(1, 3))]
        x = base.transpose(rng.permutation(base.ndim))
        shape = (*splits[rng.integers(len(splits))], x.size // 24)
        strides = tuple(s // 8 for s in x.strides)
        seen = OPS["view"].view(x.shape, strides, shape=shape)  # type: ignore[misc]
        assert (seen is None) == (not np.shares_memory(x, x.reshape(shape)))
        np.testing.assert_array_equal(Tape().view(Value(x), shape=shape).array, x.reshape(shape))


@pytest.mark.parametrize(
    ("name", "attrs", "error", "message"),
    [
        ("view", {"shape": (5, 5)}, ValueError, r"\[5, 5\] is invalid for input of size 24"),
        ("permute", {"dims": (-1, -1)}, ValueError, "do not name each"),
        ("expand", {"shape": (2, 5, 4)}, ValueError, r"\[2, 3, 4\] cannot be expanded"),
        ("select", {"axis": -1, "index": 4}, IndexError, "index 4 is out of range for axis -1 with size 4"),
        ("slice", {"axis": -4, "start": 0, "stop": 1}, IndexError, "axis -4 is not among the 3 axes"),
        ("diagonal", {"axis1": -1, "axis2": -1}, ValueError, "differ"),
        ("unfold", {"axis": -1, "size": 5}, ValueError, "windows of 5"),
        ("as_strided", {"shape": (30,), "strides": (1,)}, ValueError, "outside the 24 elements"),
    ],
)
def test_refusals(name: str, attrs: dict[str, Any], error: type[Exception], message: str) -> None:
    op = OPS[name]
    with pytest.raises(error, match=message):
        op.infer([spec_of(Value(X))], op.bind(attrs))


