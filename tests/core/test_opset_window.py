"""The window group and batch normalisation: values against loops over windows, gradients of two orders, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.opset import OPS, Spec
from opset_tape import Tape, check_gradients

RNG = np.random.default_rng(23)


def draw(*shape: int) -> Any:
    """Distinct values: no two elements of a window are equal, and none is near another."""
    return RNG.permutation(np.prod(shape, dtype=int)).reshape(shape) * 0.1 - 1.0


# ---- convolution -----------------------------------------------------------------------------------------------------
def convolved(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """By definition: one scalar product for each result."""
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(padded.shape[2:], w.shape[2:], stride, dilation, strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    inner, outputs = w.shape[1], w.shape[0] // groups
    for n, o, *at in np.ndindex(out.shape):
        window = tuple(slice(i * s, i * s + d * (k - 1) + 1, d)
                       for i, s, d, k in zip(at, stride, dilation, w.shape[2:], strict=True))
        first = o // outputs * inner
        out[(n, o, *at)] = (padded[(n, slice(first, first + inner), *window)] * w[o]).sum()
    return out


CONVOLUTIONS = [
    ((2, 3, 5, 6), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((1, 4, 5, 4), (4, 2, 3, 2), (2, 1), ((1, 0), (0, 2)), (1, 2), 2),
    ((1, 4, 4, 4), (4, 1, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 4),
    ((2, 3, 4, 4), (5, 3, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 3, 4, 4), (5, 3, 1, 1), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 3, 9), (2, 3, 4), (3,), ((2, 1),), (2,), 1),
    ((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), (1, 2, 1), ((0, 1), (1, 0), (0, 0)), (1, 1, 2), 1),
    ((0, 3, 4, 4), (5, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
]  # fmt: skip


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_convolution(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    how: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w, bias = draw(*x) / 10, draw(*w) / 10, draw(w[0])
    made = Tape().convolution(x, w, bias, **how).array
    wanted = convolved(x, w, **how) + bias.reshape(-1, *(1,) * (x.ndim - 2))
    np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-12)
    check_gradients(lambda b, *given: b.convolution(*given, **how), x, w, bias)


def test_one_number_is_for_every_axis() -> None:
    x, w = draw(1, 2, 6, 5), draw(3, 2, 3, 3)
    made = Tape().convolution(x, w, None, stride=2, padding=1, dilation=1).array
    np.testing.assert_allclose(made, convolved(x, w, (2, 2), ((1, 1), (1, 1)), (1, 1), 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "w", "how", "said"),
    [
        ((2, 3), (3, 3), {}, r"at least 3; shapes \[2, 3\]"),
        ((2, 3, 4), (4, 2, 3), {}, "does not fit 3 channels in 1 groups"),
        ((2, 4, 4), (3, 2, 3), {"groups": 2}, "multiple of 2 outputs"),
        ((2, 3, 2), (4, 3, 3), {}, r"windows of \[3\] do not fit spatial sizes \[2\]"),
        ((2, 3, 4), (4, 3, 3), {"stride": 0}, "stride=0 must be 1 whole numbers"),
        ((2, 3, 4), (4, 3, 3), {"padding": ((1, 1), (1, 1))}, "before, after"),
        ((2, 3, 4), (4, 3, 3), {"padding": -1}, "none of them negative"),
    ],
)
def test_what_convolution_refuses(x: Any, w: Any, how: Any, said: str) -> None:
    op = OPS["convolution"]
    with pytest.raises(ValueError, match=said):
        op.infer([Spec.of(x, dt.float32), Spec.of(w, dt.float32), None], op.bind(how))


def test_convolution_takes_one_floating_point_dtype() -> None:
    op = OPS["convolution"]
    for other in (dt.float64, dt.int32):
        with pytest.raises(TypeError, match=f"given: float32 and {other.name}"):
            op.infer([Spec.of((1, 1, 3), dt.float32), Spec.of((1, 1, 2), other), None], op.defaults)


def test_a_gradient_of_another_shape_is_refused() -> None:
    op = OPS["convolution_input"]
    with pytest.raises(ValueError, match=r"gives \[2, 4, 3\], not \[2, 4, 5\]"):
        op.infer([Spec.of((2, 4, 5), dt.float32), Spec.of((4, 3, 3), dt.float32)], op.bind({"shape": (2, 3, 5)}))


# ---- pooling -----------------------------------------------------------------------------------------------------------
def cells(x: Any, counts: Any, elements: Callable[[int, int], list[int]]) -> Iterator[tuple[Any, list[Any]]]:
    """Each window of the last axes: where its result lies, and its elements' places."""
    rank = len(counts)
    for at in np.ndindex(*x.shape[: x.ndim - rank], *counts):
        lead, window = at[: x.ndim - rank], at[x.ndim - rank :]
        places = itertools.product(*(elements(k, w) for k, w in enumerate(window)))
        yield at, [(*lead, *p) for p in places]


def slide(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> tuple[list[int], Any]:
    """The number of windows along each pooled axis, and which elements a window holds."""
    sizes = x.shape[x.ndim - len(kernel) :]
    counts = []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        last = d * (k - 1)  # the last element of a window, from its first
        if ceil_mode:  # one that begins on an element, where the one before does not reach the end
            counts.append(len([i for i in range(-p, n, s) if i == -p or i - s + last < n + p - 1]))
        else:
            counts.append(len(range(-p, n + p - last, s)))

    def elements(axis: int, window: int) -> list[int]:
        first = window * stride[axis] - padding[axis]
        return [i for i in range(first, first + dilation[axis] * kernel[axis], dilation[axis]) if 0 <= i < sizes[axis]]

    return counts, elements


POOLS = [
    ((2, 3, 6, 5), (2, 2), (2, 2), (0, 0), (1, 1), False), ((1, 2, 7, 7), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 2, 6, 7), (3, 2), (2, 3), (1, 1), (1, 1), True), ((2, 9), (3,), (1,), (1,), (2,), False),
    ((1, 6, 5), (2, 3), (1, 2), (0, 1), (1, 1), True), ((2, 4, 3, 5), (2, 2, 2), (2, 1, 2), (0, 0, 1), (1, 1, 1), False),
    ((0, 2, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation", "ceil_mode"), POOLS)
def test_max_pool(shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> None:
    how: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    x = draw(*shape)
    out, indices = Tape().max_pool_with_indices(x, **how)
    counts, elements = slide(x, **how)
    assert out.shape == (*shape[: len(shape) - len(kernel)], *counts)
    for at, places in cells(x, counts, elements):
        best = max(places, key=lambda p: x[p])
        assert out.array[at] == x[best]
        assert indices.array[at] == np.ravel_multi_index(best[-len(kernel) :], shape[-len(kernel) :])
    np.testing.assert_array_equal(Tape().max_pool(x, **how).array, out.array)
    check_gradients(lambda b, x: b.max_pool_with_indices(x, **how)[0], x)
    check_gradients(lambda b, x: b.max_pool(x, **how), x)


def test_the_least_place_wins_among_equals_and_nan_before_all() -> None:
    x = np.full((1, 4, 4), -np.inf)
    how: dict[str, Any] = {"kernel": 3, "stride": 2, "padding": 1}
    out, indices = Tape().max_pool_with_indices(x, **{k: (v, v) for k, v in how.items()})
    assert np.isneginf(out.array).all()  # the padding never wins
    np.testing.assert_array_equal(indices.array[0], [[0, 1], [4, 5]])
    x[0, 1, 1] = np.nan
    out, indices = Tape().max_pool_with_indices(x, kernel=(2, 2), stride=(2, 2))
    assert np.isnan(out.array[0, 0, 0]) and indices.array[0, 0, 0] == 5


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation", "ceil_mode"), [p for p in POOLS if set(p[4]) == {1}]
)
def test_avg_pool(
    shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, counted: bool, divisor: int | None
) -> None:
    x = draw(*shape)
    how: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode,
                           "count_include_pad": counted, "divisor": divisor}
    made = Tape().avg_pool(x, **how)
    counts, elements = slide(x, kernel, stride, padding, dilation, ceil_mode)
    for at, places in cells(x, counts, elements):
        size = len(places)
        if counted:
            firsts = [w * s - p for w, s, p in zip(at[-len(kernel) :], stride, padding, strict=True)]
            ends = zip(firsts, kernel, shape[-len(kernel) :], padding, strict=True)
            size = int(np.prod([min(f + k, n + p) - f for f, k, n, p in ends]))
        np.testing.assert_allclose(made.array[at], sum(x[p] for p in places) / (divisor or size), rtol=1e-12, atol=1e-14)
    check_gradients(lambda b, x: b.avg_pool(x, **how), x)


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 7, 5), (3, 2)), ((1, 2, 3), (5,)), ((2, 6, 4), (6, 1)), ((1, 5, 3, 4), (2, 3, 3))]
)
def test_adaptive_avg_pool(shape: Any, size: Any) -> None:
    x = draw(*shape)
    made = Tape().adaptive_avg_pool(x, size=size)
    sizes = shape[len(shape) - len(size) :]

    def elements(axis: int, window: int) -> list[int]:
        n, m = sizes[axis], size[axis]
        return [i for i in range(n) if i + 1 > window * n / m and i < (window + 1) * n / m]

    for at, places in cells(x, size, elements):
        np.testing.assert_allclose(made.array[at], np.mean([x[p] for p in places]), rtol=1e-12, atol=1e-14)
    check_gradients(lambda b, x: b.adaptive_avg_pool(x, size=size), x)


@pytest.mark.parametrize(
    ("op", "how", "said"),
    [
        ("max_pool", {"kernel": (3, 3), "padding": (2, 1)}, r"at most half of the window \(kernel=\(3, 3\)"),
        ("avg_pool", {"kernel": (5, 5)}, r"windows of \[5, 5\] do not fit spatial sizes \[4, 4\]"),
        ("max_pool", {"kernel": (2, 2), "stride": (1, 0)}, "stride=.*none below 1"),
        ("max_pool", {"kernel": (2, 2, 2, 2)}, "over 4 spatial axes does not fit"),
        ("max_pool", {"kernel": (2, 2), "dilation": (5, 5), "padding": (3, 3)}, "holds no element"),
        ("avg_pool", {"kernel": (2, 2), "divisor": 0}, "must not be zero"),
        ("adaptive_avg_pool", {"size": (2, 0)}, "none of them may be below 1"),
    ],
)
def test_what_pooling_refuses(op: str, how: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OPS[op].infer([Spec.of((2, 4, 4), dt.float32)], OPS[op].bind(how))


def test_pooling_of_other_dtypes() -> None:
    with pytest.raises(TypeError, match="does not take bool"):
        OPS["max_pool_with_indices"].infer([Spec.of((2, 4), dt.bool_)], OPS["max_pool_with_indices"].bind({"kernel": (2,)}))
    with pytest.raises(TypeError, match="floating point, int64 was given"):
        OPS["avg_pool"].infer([Spec.of((2, 4), dt.int64)], OPS["avg_pool"].bind({"kernel": (2,)}))
    x = np.arange(8).reshape(1, 8)[:, ::-1].copy()
    np.testing.assert_array_equal(Tape().max_pool_with_indices(x, kernel=(2,), stride=(2,))[0].array, [[7, 5, 3, 1]])


# ---- batch normalisation -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (3, 2, 2, 3), (2, 1, 3)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(shape: Any, affine: bool) -> None:
    x = draw(*shape)
    weight: Any = draw(shape[1]) + 2 if affine else None
    bias: Any = draw(shape[1]) if affine else None
    out, mean, var, rstd = Tape().batch_norm(x, weight, bias, 1e-3)
    axes = tuple(k for k in range(x.ndim) if k != 1)
    column = (-1, *(1,) * (x.ndim - 2))
    np.testing.assert_allclose(mean.array, x.mean(axes), rtol=1e-12)
    np.testing.assert_allclose(var.array, x.var(axes), rtol=1e-12)
    np.testing.assert_allclose(rstd.array, 1 / np.sqrt(x.var(axes) + 1e-3), rtol=1e-12)
    wanted = (x - x.mean(axes).reshape(column)) / np.sqrt(x.var(axes) + 1e-3).reshape(column)
    if affine:
        wanted = wanted * weight.reshape(column) + bias.reshape(column)
        check_gradients(lambda b, *given: b.batch_norm(*given, 1e-3)[0], x, weight, bias)
    else:
        check_gradients(lambda b, x: b.batch_norm(x, None, None, 1e-3)[0], x)
    np.testing.assert_allclose(out.array, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (3, 2, 2, 3)])
def test_batch_norm_with_given_statistics(shape: Any) -> None:
    x, weight, bias = draw(*shape), draw(shape[1]) + 2, draw(shape[1])
    mean, var = draw(shape[1]), draw(shape[1]) + 2
    column = (-1, *(1,) * (x.ndim - 2))
    a, v, w, c = (t.reshape(column) for t in (mean, var, weight, bias))
    made = Tape().batch_norm_inference(x, mean, var, weight, bias, 1e-3)
    np.testing.assert_allclose(made.array, (x - a) / np.sqrt(v + 1e-3) * w + c, rtol=1e-12, atol=1e-12)
    check_gradients(lambda b, x, w, c: b.batch_norm_inference(x, mean, var, w, c, 1e-3), x, weight, bias)


@pytest.mark.parametrize(
    ("op", "shapes", "said"),
    [
        ("batch_norm", ((4,), None, None, ()), r"takes \(N, C, …\), shape \[4\] was given"),
        ("batch_norm", ((4, 3), (4,), None, ()), "weight of shape .* one element for each of 3 channels"),
        ("batch_norm_inference", ((4, 3), (4,), (3,), None, None, ()), "mean of shape"),
        ("batch_norm_update", ((3,), (3,), (3,), (2,), (), ()), "one element for each channel"),
    ],
)
def test_what_batch_norm_refuses(op: str, shapes: Any, said: str) -> None:
    specs = [None if s is None else Spec.of(s, dt.float32) for s in shapes]
    with pytest.raises(ValueError, match=said):
        OPS[op].infer(specs, OPS[op].defaults)
