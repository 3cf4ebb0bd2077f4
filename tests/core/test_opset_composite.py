"""The composite group: values, residuals, refusals, and gradients of two orders, by definition and by decomposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.errors import DeviceIndexError
from ingot_devices.opset import OPS, Spec
from opset_tape import Tape, Value, check_gradients

RNG = np.random.default_rng(2)
X = RNG.normal(size=(2, 3))
B = RNG.normal(size=(2, 3, 2))
Y = RNG.uniform(0.1, 0.9, size=(2, 3))
W = np.array([0.5, 2.0, 0.25])
TARGET, PICTURE = np.array([2, 0]), np.array([[0, 2], [-100, 1]])
REDUCTIONS = ("none", "sum", "mean")


def softmax(x: Any, axis: int) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def reduced(x: Any, reduction: str, total: Any = None) -> Any:
    return (
        x if reduction == "none" else x.sum() if reduction == "sum" else x.sum() / (x.size if total is None else total)
    )


def run(name: str, *operands: Any, **attributes: Any) -> Any:
    made = getattr(Tape(), name)(*(Value(o) if isinstance(o, np.ndarray) else o for o in operands), **attributes)
    return tuple(v.array for v in made) if isinstance(made, tuple) else made.array


# ---- softmax and layer_norm ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_softmax(axis: int) -> None:
    np.testing.assert_allclose(run("softmax", B, axis=axis), softmax(B, axis), rtol=1e-13)
    np.testing.assert_allclose(run("log_softmax", B, axis=axis), np.log(softmax(B, axis)), rtol=1e-12)


def test_softmax_at_the_edges() -> None:
    assert run("softmax", np.array(3.0), axis=-1) == 1
    assert run("log_softmax", np.array(3.0), axis=-1) == 0
    assert run("softmax", np.zeros((0, 3)), axis=-1).shape == (0, 3)
    assert run("softmax", np.zeros((3, 0)), axis=-1).shape == (3, 0)
    huge = np.array([1e300, -1e300, 1e300, -np.inf])
    np.testing.assert_array_equal(run("softmax", huge, axis=-1), [0.5, 0, 0.5, 0])
    assert np.isnan(run("softmax", np.array([np.nan, 0.0]), axis=-1)).all()
    assert run("softmax", X.astype(np.float16), axis=-1).dtype == np.float16
    with pytest.raises(TypeError, match="softmax takes floating point, int64"):
        run("softmax", np.arange(3), axis=-1)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("affine", ["", "w", "b", "wb"])
def test_layer_norm(count: int, affine: str) -> None:
    inner, axes = B.shape[3 - count :], tuple(range(-count, 0))
    weight, bias = RNG.normal(size=inner) if "w" in affine else None, RNG.normal(size=inner) if "b" in affine else None
    out, mean, rstd = run("layer_norm", B, weight, bias, 0.1, count=count)
    expected = (B - B.mean(axes, keepdims=True)) / np.sqrt(B.var(axes, keepdims=True) + 0.1)
    expected = expected * (1 if weight is None else weight) + (0 if bias is None else bias)
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    np.testing.assert_allclose(mean, B.mean(axes, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(B.var(axes, keepdims=True) + 0.1), rtol=1e-12)
    given = [v for v in (B, weight, bias) if v is not None]

    def case(b: Tape, x: Any, *rest: Any) -> Any:
        left = list(rest)
        w = left.pop(0) if weight is not None else None
        return b.layer_norm(x, w, left.pop(0) if left else None, 0.1, count=count)[0]

    check_gradients(case, *given, close=1e-5)


def test_layer_norm_of_one_element_and_of_halves() -> None:
    out, mean, rstd = run("layer_norm", np.array([[2.0], [3.0]]), None, None, 1e-5, count=1)
    assert not out.any() and mean.ravel().tolist() == [2, 3]
    np.testing.assert_allclose(rstd, 1e-5**-0.5)
    out, mean, _ = run("layer_norm", X.astype(np.float16), None, None, 1e-5, count=1)
    assert (out.dtype, mean.dtype) == (np.float16, np.float32)
    with pytest.raises(ValueError, match=r"weight of shape \[4\] must have the shape of the normalised axes, \[3\]"):
        run("layer_norm", X, np.ones(4), None, 1e-5, count=1)


# ---- losses ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mse_loss(reduction: str) -> None:
    np.testing.assert_allclose(run("mse_loss", X, Y, reduction=reduction), reduced((X - Y) ** 2, reduction), rtol=1e-12)
    check_gradients(lambda b, x, y: b.mse_loss(x, y, reduction=reduction), X, Y)
    check_gradients(lambda b, x, y: b.mse_loss(x, y, reduction=reduction), X, Y[:1])
    assert run("mse_loss", np.array(3.0), np.array(1.0), reduction=reduction) == 4


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("extra", ["", "w", "p", "wp"])
def test_binary_cross_entropy(reduction: str, extra: str) -> None:
    weight, positive = (W[None, :] if "w" in extra else None), (W + 1 if "p" in extra else None)
    p = 1 if positive is None else positive
    loss = (p * Y * np.logaddexp(0, -X) + (1 - Y) * np.logaddexp(0, X)) * (1 if weight is None else weight)
    weights = [None if w is None else Value(w) for w in (weight, positive)]

    def case(b: Tape, x: Any, y: Any) -> Any:
        return b.binary_cross_entropy_with_logits(x, y, *weights, reduction=reduction)

    np.testing.assert_allclose(case(Tape(), Value(X), Value(Y)).array, reduced(loss, reduction), rtol=1e-12)
    check_gradients(case, X, Y, close=1e-5)


def test_binary_cross_entropy_far_out() -> None:
    x = np.array([-1000.0, 1000.0, -1000.0, 1000.0])
    made = run("binary_cross_entropy_with_logits", x, np.array([0.0, 1, 1, 0]), reduction="none")
    np.testing.assert_array_equal(made, [0, 0, 1000, 1000])


def class_loss(x: Any, target: Any, axis: int, weight: Any, ignore: int, smoothing: float) -> tuple[Any, Any]:
    """The loss of each row and its weight, in NumPy, from log-probabilities."""
    x = np.moveaxis(x, axis, -1)
    kept = target != ignore
    t = np.where(kept, target, 0)
    w = np.ones(x.shape[-1]) if weight is None else weight
    hard = -np.take_along_axis(x, t[..., None], -1)[..., 0] * w[t]
    even = -(x * w).sum(-1) / x.shape[-1]
    return np.where(kept, (1 - smoothing) * hard + smoothing * even, 0), w[t] * kept


CLASSES: list[tuple[Any, Any, int, Any, int]] = [
    (X, TARGET, -1, None, -100), (X, TARGET, -1, W, 0), (B, PICTURE, -2, None, -100), (B, PICTURE, -2, W, -100),
    (X[0], np.array(2), -1, W, -100), (X[:1], np.array([1], np.int32), -1, None, -100),
]  # fmt: skip


@pytest.mark.parametrize(("x", "target", "axis", "weight", "ignore"), CLASSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [None, 0.2])
def test_cross_entropy(
    x: Any, target: Any, axis: int, weight: Any, ignore: int, reduction: str, smoothing: Any
) -> None:
    rows, weights = class_loss(np.log(softmax(x, axis)), target, axis, weight, ignore, smoothing or 0.0)
    attrs = {"axis": axis, "ignore_index": ignore, "reduction": reduction}
    fixed = Value(target), None if weight is None else Value(weight), smoothing

    def case(b: Tape, x: Any) -> Any:
        return b.cross_entropy(x, *fixed, **attrs)[0]

    out, lse, total = (v.array for v in Tape().cross_entropy(Value(x), *fixed, **attrs))
    np.testing.assert_allclose(out, reduced(rows, reduction, weights.sum()), rtol=1e-12)
    np.testing.assert_allclose(lse, np.log(np.exp(x).sum(axis)), rtol=1e-12)
    np.testing.assert_allclose(total, weights.sum())
    check_gradients(case, x, close=1e-5)
    rule = OPS["cross_entropy"].decompose
    assert rule is not None
    parts = rule(Tape(), Value(x), *fixed, **attrs)
    for part, whole in zip(parts, (out, lse, total), strict=True):
        np.testing.assert_allclose(part.array, whole, rtol=1e-12)
        assert part.shape == whole.shape


@pytest.mark.parametrize(("x", "target", "axis", "weight", "ignore"), CLASSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(x: Any, target: Any, axis: int, weight: Any, ignore: int, reduction: str) -> None:
    rows, weights = class_loss(x, target, axis, weight, ignore, 0.0)

    def case(b: Tape, x: Any) -> Any:
        w = None if weight is None else Value(weight)
        return b.nll_loss(x, Value(target), w, axis=axis, ignore_index=ignore, reduction=reduction)

    np.testing.assert_allclose(case(Tape(), Value(x)).array, reduced(rows, reduction, weights.sum()), rtol=1e-12)
    check_gradients(lambda b, x: b.square(case(b, x)), x)


@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("smoothing", [None, 0.1])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_with_probabilities(weight: Any, smoothing: Any, reduction: str) -> None:
    target = softmax(Y, -1)
    even = target * (1 - (smoothing or 0)) + (smoothing or 0) / 3
    rows = -(np.log(softmax(X, -1)) * even * (1 if weight is None else weight)).sum(-1)

    def case(b: Tape, x: Any, y: Any) -> Any:
        return b.soft_cross_entropy(x, y, None if weight is None else Value(weight), smoothing, reduction=reduction)

    np.testing.assert_allclose(case(Tape(), Value(X), Value(target)).array, reduced(rows, reduction), rtol=1e-12)
    check_gradients(case, X, target, close=1e-5)


def test_everything_ignored_has_no_mean() -> None:
    gone = np.full(2, -100)
    assert np.isnan(run("cross_entropy", X, gone)[0])
    assert run("cross_entropy", X, gone, reduction="sum")[0] == 0


@pytest.mark.parametrize("target", [3, -1])
@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_a_target_that_is_no_class(op: str, target: int) -> None:
    with pytest.raises(DeviceIndexError):
        run(op, X, np.array([0, target]))


REFUSED: list[tuple[type[Exception], str, Callable[[], Any]]] = [
    (ValueError, "'avg' is not a valid value for reduction", lambda: run("mse_loss", X, Y, reduction="avg")),
    (ValueError, r"the target has shape \[1\].*it must have \[2\]", lambda: run("cross_entropy", X, TARGET[:1])),
    (ValueError, "one element for each of the 3 classes", lambda: run("cross_entropy", X, TARGET, W[:2])),
    (TypeError, "indices must be int64 or int32", lambda: run("cross_entropy", X, TARGET.astype(float))),
    (TypeError, "takes floating point, int64", lambda: run("mse_loss", TARGET, TARGET)),
]


@pytest.mark.parametrize(("kind", "text", "case"), REFUSED)
def test_refusals(kind: type[Exception], text: str, case: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=text):
        case()


# ---- attention -------------------------------------------------------------------------------------------------------
Q, K, V = (RNG.normal(size=(1, n, 2)) for n in (2, 3, 3))
KEEP = np.array([[True, True, False], [False, False, True]])


def attention(q: Any, k: Any, v: Any, mask: Any = None, scale: float = 0.7, causal: bool = False) -> tuple[Any, Any]:
    scores = q @ np.swapaxes(k, -1, -2) * scale
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return softmax(scores, -1) @ v, np.log(np.exp(scores).sum(-1))


@pytest.mark.parametrize(
    ("mask", "causal"),
    [(None, False), (None, True), (KEEP, False), (KEEP | np.eye(2, 3, dtype=bool), True), (X, False)],
)
def test_attention(mask: Any, causal: bool) -> None:
    made = run("scaled_dot_product_attention", Q, K, V, mask, 0.7, is_causal=causal)
    for one, other in zip(made, attention(Q, K, V, mask, causal=causal), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    learned = [mask] if mask is not None and mask.dtype != bool else []

    def case(b: Tape, q: Any, k: Any, v: Any, *added: Any) -> Any:
        kept = added[0] if added else None if mask is None else Value(mask)
        return b.scaled_dot_product_attention(q, k, v, kept, 0.7, is_causal=causal)[0]

    check_gradients(case, Q, K, V, *learned, close=1e-5)


def test_attention_broadcasts_and_masks_whole_rows() -> None:
    many = RNG.normal(size=(2, 2, 2))
    for q, k, v in ((many, K, V[0]), (Q, K[0], RNG.normal(size=(2, 3, 2)))):
        made = run("scaled_dot_product_attention", q, k, v, None, 0.7)[0]
        np.testing.assert_allclose(made, attention(q, k, v)[0])
        check_gradients(
            lambda b, q, k, v: b.scaled_dot_product_attention(q, k, v, None, 0.7)[0], q, k, v, order=1, close=1e-5
        )
    nothing = np.array([[True] * 3, [False] * 3])
    out, lse = run("scaled_dot_product_attention", Q, K, V, nothing, 0.7)
    assert not out[:, 1].any() and np.isneginf(lse[:, 1]).all() and np.isfinite(out).all()
    check_gradients(
        lambda b, q, k, v: b.scaled_dot_product_attention(q, k, v, Value(nothing), 0.7)[0], Q, K, V, order=1
    )
    op = OPS["scaled_dot_product_attention"]
    with pytest.raises(ValueError, match="attention takes queries"):
        op.infer([Spec.of(x.shape, dt.float64) for x in (Q, K, Q)] + [None, Spec((), dt.float32, 0)], (False,))
