"""Activations and losses beside PyTorch where their formulas change, with gradients of everything: at kinks and jumps, at zero
vectors, at 0 and 1, at NaN and the infinities.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
NAN, INF = float("nan"), float("inf")
POINTS = (-8.0, -6.0, -3.0, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0, 8.0)
BEYOND = (-INF, -1e4, -100.0, -50.0, -30.0, 30.0, 50.0, 100.0, 1e4, INF, NAN)
Make = Callable[..., Any]


def result(t: Any, call: Make, arrays: Sequence[Any], dtype: str, fixed: Sequence[Any] = ()) -> tuple[Any, list[Any]]:
    """What ``call(F, *tensors)`` gives, and the gradients of a weighted sum of it by ``arrays``."""
    kind = getattr(t, dtype)
    leaves = [t.tensor(np.asarray(a).tolist(), dtype=kind).requires_grad_() for a in arrays]
    rest = [t.tensor(a, dtype=kind if np.asarray(a).dtype.kind == "f" else t.int64) for a in fixed]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = call(t.nn.functional, *leaves, *rest)
    weights = t.linspace(0.5, 1.5, made.numel(), dtype=made.dtype).view(made.shape)
    (made * weights).sum().backward()
    read = [None if x.grad is None else x.grad.double().numpy() for x in leaves]
    return made.detach().double().numpy(), read


def agree(
    ingot: Any, torch: Any, call: Make, arrays: Sequence[Any], dtype: str, fixed: Sequence[Any] = (), loose: float = 0.0
) -> None:
    mine, wanted = (result(t, call, arrays, dtype, fixed) for t in (ingot, torch))
    relative, absolute = {"float64": (1e-12, 1e-15), "float32": (3e-6, 1e-7), "float16": (6e-3, 1e-7)}[dtype]
    relative = max(relative, loose)
    np.testing.assert_allclose(mine[0], wanted[0], rtol=relative, atol=absolute)
    for mine_by, wanted_by in zip(mine[1], wanted[1], strict=True):
        assert (mine_by is None) == (wanted_by is None)
        if mine_by is not None:
            np.testing.assert_allclose(mine_by, wanted_by, rtol=relative, atol=absolute)


# ---- activations -----------------------------------------------------------------------------------------------------
ACTIVATIONS: dict[str, Make] = {
    **{name: lambda f, x, name=name: getattr(f, name)(x) for name in (
        "sigmoid logsigmoid softplus silu mish elu selu celu softsign tanhshrink relu6 hardtanh hardsigmoid hardswish "
        "leaky_relu rrelu hardshrink softshrink").split()},
    "elu 0.5": lambda f, x: f.elu(x, 0.5),
    "celu 2": lambda f, x: f.celu(x, 2.0),
    "celu -1": lambda f, x: f.celu(x, -1.0),
    "hardtanh 0.5 3": lambda f, x: f.hardtanh(x, 0.5, 3.0),
    "hardtanh 1 1": lambda f, x: f.hardtanh(x, 1.0, 1.0),
    "hardshrink -1": lambda f, x: f.hardshrink(x, -1.0),
    "softshrink 0": lambda f, x: f.softshrink(x, 0.0),
    "threshold": lambda f, x: f.threshold(x, 0.5, 20.0),
    "threshold -1": lambda f, x: f.threshold(x, -1.0, -7.0),
}  # fmt: skip
FINITE = {"mish", "silu", "softsign"}
"""Their slopes are 0·∞ or ∞/∞ at an infinity as PyTorch computes them."""
LOOSE = {
    "hardsigmoid": 1e-7, "softsign": 1e-4, "bce at 0 and 1": 1e-8, "poisson at 0 and 1": 1e-8,
    "cosine_embedding of zeros": 1e-8, "cosine_embedding of others": 1e-8,
}  # fmt: skip
"""Where PyTorch has a constant in float32, or takes 1 - x / (1 + x) for the slope of softsign: how far it is off."""


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_their_kinks(ingot: Any, torch: Any, name: str, dtype: str) -> None:
    agree(ingot, torch, ACTIVATIONS[name], [POINTS], dtype, (), LOOSE.get(name, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_far_out(ingot: Any, torch: Any, name: str, dtype: str) -> None:
    points = [p for p in BEYOND if np.isfinite(p) or name not in FINITE]
    agree(ingot, torch, ACTIVATIONS[name], [points], dtype, (), LOOSE.get(name, 0))


def inplace_of(name: str) -> Make:
    """The function on a copy, in place: its result is the copy."""

    def call(f: Any, x: Any) -> Any:
        y = x * 1
        options = {"threshold": (0.5, 20.0)}.get(name, ())
        made = getattr(f, name)(y, *options, inplace=True)
        assert made is y
        return made

    return call


@pytest.mark.parametrize(
    "name", "relu relu6 hardtanh hardsigmoid hardswish silu mish elu selu celu leaky_relu rrelu threshold".split()
)
def test_in_place(ingot: Any, torch: Any, name: str) -> None:
    agree(ingot, torch, inplace_of(name), [POINTS], "float64", (), LOOSE.get(name, 0))


def test_prelu_for_each_channel(ingot: Any, torch: Any) -> None:
    x = np.resize(POINTS, (2, 3, 4))
    for weight in ([0.25, -1.0, 0.0], [0.5], 0.5):
        agree(ingot, torch, lambda f, x, w: f.prelu(x, w), [x, weight], "float64")


@pytest.mark.parametrize("name", ["silu", "softplus", "logsigmoid", "mish", "elu", "softsign", "hardswish", "glu"])
def test_second_order(ingot: Any, torch: Any, name: str) -> None:
    found = []
    for t in (ingot, torch):
        x = t.tensor(POINTS, dtype=t.float64).requires_grad_()
        (slope,) = t.autograd.grad(getattr(t.nn.functional, name)(x).sum(), x, create_graph=True)
        found.append(t.autograd.grad((slope * slope).sum(), x)[0].numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11, atol=1e-13)


# ---- losses ----------------------------------------------------------------------------------------------------------
SIGNS = [1.0, -1.0, 1.0, -1.0]
ROW = [0.5, 1.0, -0.5, 2.0]
BACK, HALF_OFF = ROW[::-1], [0.0, 1.5, 0.0, 2.0]
UNSURE = [0, 1, 1, 0, 0.6]
ROWS = [[0.0, 0.0, 0.0], [1.0, -2.0, 3.0], [1.0, -2.0, 3.0]]
OTHERS = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, -2.0, 3.0]]
LOSSES: dict[str, tuple[Make, Sequence[Any], Sequence[Any]]] = {
    # name: (the call, what it is differentiated by, what it is not)
    "huber at 0 and delta": (lambda f, x, y: f.huber_loss(x, y, "none"), [[0.0, 1.0, -1.0, 3.0], [0.0, 0.0, 0.0, 1.0]], ()),
    "smooth_l1 at 0 and beta": (lambda f, x, y: f.smooth_l1_loss(x, y, beta=0.5), [[0.0, 0.5, -0.5, 3.0], [0.0] * 4], ()),
    "bce at 0 and 1": (lambda f, x, y: f.binary_cross_entropy(x, y, reduction="none"), [[0, 1, 0, 1, 0.3], UNSURE], ()),
    "bce with weights": (lambda f, x, y, w: f.binary_cross_entropy(x, y, w), [[[0.1, 0.9]], [[0.0, 1.0]]], ([2.0, 0.5],)),
    "kl_div of zeros": (lambda f, x, y: f.kl_div(x, y, reduction="batchmean"), [[[-1.0, -2.0, -3.0]]], ([[0.0, 1.0, 0.0]],)),
    "kl_div's mean": (lambda f, x, y: f.kl_div(x, y), [[[-1.0, -2.0]], [[0.3, 0.7]]], ()),
    "kl_div of a negative": (lambda f, x, y: f.kl_div(x, y, reduction="none"), [[-1.0, -2.0]], ([-1.0, 0.5],)),
    "poisson at 0 and 1": (lambda f, x, y: f.poisson_nll_loss(x, y, full=True), [ROW], ([0.0, 1.0, 2.0, 1.5],)),
    "poisson of 0": (lambda f, x, y: f.poisson_nll_loss(x, y, False, eps=0.1), [[0.0, 1.0]], ([2.0, 0.0],)),
    "gaussian below eps": (lambda f, x, y, v: f.gaussian_nll_loss(x, y, v, eps=0.5), [ROW, BACK, [0.0, 0.1, 0.5, 2.0]], ()),
    "gaussian of one variance": (lambda f, x, y, v: f.gaussian_nll_loss(x, y, v, True), [ROWS, OTHERS, [[1.0, 2.0, 3.0]]], ()),
    "gaussian of a number": (lambda f, x, y: f.gaussian_nll_loss(x, y, 0.5, reduction="sum"), [ROW, BACK], ()),
    "margin_ranking of equals": (lambda f, a, b, y: f.margin_ranking_loss(a, b, y), [ROW, [0.5, 1.0, 0.0, 3.0]], (SIGNS,)),
    "margin_ranking at its margin": (lambda f, a, b, y: f.margin_ranking_loss(a, b, y, 0.5), [ROW, HALF_OFF], (SIGNS,)),
    "hinge_embedding at its margin": (lambda f, x, y: f.hinge_embedding_loss(x, y), [ROW], (SIGNS,)),
    "hinge_embedding of other targets": (lambda f, x, y: f.hinge_embedding_loss(x, y, 2.0), [ROW], ([0, 2, 1, -1],)),
    "soft_margin": (lambda f, x, y: f.soft_margin_loss(x, y), [[0.0, 30.0, -30.0, 2.0]], (SIGNS,)),
    "multilabel_soft_margin": (lambda f, x, y: f.multilabel_soft_margin_loss(x, y), [[ROW]], ([[1, 0, 0, 1]],)),
    "multi_margin at its margin": (lambda f, x, y: f.multi_margin_loss(x, y, reduction="none"), [OTHERS], ([1, 2, 0],)),
    "multi_margin squared": (lambda f, x, y, w: f.multi_margin_loss(x, y, 2, 2.0, w), [OTHERS], ([1, 2, 0], [1.0, 2.0, 3.0])),
    "multi_margin of one": (lambda f, x, y: f.multi_margin_loss(x, y, reduction="none"), [ROW], ([2],)),
    "cosine_similarity of zeros": (lambda f, x, y: f.cosine_similarity(x, y), [ROWS, OTHERS], ()),
    "cosine_similarity below eps": (lambda f, x, y: f.cosine_similarity(x, y, eps=10.0), [ROWS, OTHERS], ()),
    "cosine_embedding of zeros": (lambda f, x, y, s: f.cosine_embedding_loss(x, y, s), [ROWS, OTHERS], ([1, -1, -1],)),
    "cosine_embedding of others": (lambda f, x, y, s: f.cosine_embedding_loss(x, y, s, 0.5), [ROWS, OTHERS], ([0, 1, 2],)),
    "pairwise_distance of equals": (lambda f, x, y: f.pairwise_distance(x, y, eps=0.0), [ROWS, ROWS], ()),
    "pairwise_distance by 1": (lambda f, x, y: f.pairwise_distance(x, y, 1.0, 0.0), [ROWS, OTHERS], ()),
    "pairwise_distance by the largest": (lambda f, x, y: f.pairwise_distance(x, y, INF, 0.0, keepdim=True), [ROWS, OTHERS], ()),
    "triplet of equals": (lambda f, a, p, n: f.triplet_margin_loss(a, p, n, 1.0, eps=0.0), [ROWS, ROWS, ROWS], ()),
    "triplet swapped": (lambda f, a, p, n: f.triplet_margin_loss(a, p, n, 4.0, swap=True), [ROWS, OTHERS, OTHERS[::-1]], ()),
    "triplet by another distance": (
        lambda f, a, p, n: f.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: 1 - f.cosine_similarity(x, y), margin=0.5, swap=True),
        [ROWS, OTHERS, OTHERS[::-1]], ()),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_at_their_edges(ingot: Any, torch: Any, name: str, dtype: str) -> None:
    call, arrays, fixed = LOSSES[name]
    agree(ingot, torch, call, arrays, dtype, fixed, LOOSE.get(name, 0))
