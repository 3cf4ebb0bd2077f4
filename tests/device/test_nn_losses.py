"""Losses and distances on every device: as layers, what they refuse, where others overflow, compiled.

Their values and derivatives are those of the records (`test_ops`).
"""

from __future__ import annotations

import math
from typing import Any

import ingot
import numpy as np
import pytest
from compile_setting import bits, itself, same, strictly
from harness.arrays import drawn, on, values
from ingot import nn
from ingot.nn import functional as F

SIGNS = [1.0, -1.0, -1.0, 1.0]
CLASSES = [2, 0, 1, 1]
WEIGHT = ingot.tensor([1.0, 2.0, 0.5])
X, Y, Z = (drawn(4, 3, seed=k) for k in range(3))
CHANCE = 1 / (1 + np.exp(-Y))
LOGS = np.log(CHANCE / CHANCE.sum(1, keepdims=True))

LAYERS: dict[str, tuple[Any, str, dict[str, Any], tuple[Any, ...]]] = {
    # the layer with options of its own, the function, the same options, and what they take
    "Huber": (nn.HuberLoss("sum", 0.5), "huber_loss", {"reduction": "sum", "delta": 0.5}, (X, Y)),
    "SmoothL1": (nn.SmoothL1Loss(reduction="sum", beta=0.5), "smooth_l1_loss", {"reduction": "sum", "beta": 0.5}, (X, Y)),
    "BCE": (nn.BCELoss(WEIGHT), "binary_cross_entropy", {"weight": WEIGHT}, (CHANCE, CHANCE[::-1])),
    "KLDiv": (nn.KLDivLoss(reduction="batchmean", log_target=True), "kl_div", {"reduction": "batchmean", "log_target": True},
              (LOGS, LOGS[::-1])),
    "PoissonNLL": (nn.PoissonNLLLoss(False, True, eps=0.1, reduction="none"), "poisson_nll_loss",
                   {"log_input": False, "full": True, "eps": 0.1, "reduction": "none"}, (CHANCE, 3 * CHANCE)),
    "GaussianNLL": (nn.GaussianNLLLoss(full=True, eps=0.5, reduction="sum"), "gaussian_nll_loss",
                    {"full": True, "eps": 0.5, "reduction": "sum"}, (X, Y, CHANCE)),
    "MarginRanking": (nn.MarginRankingLoss(0.5, reduction="sum"), "margin_ranking_loss", {"margin": 0.5, "reduction": "sum"},
                      (X[:, 0], Y[:, 0], SIGNS)),
    "HingeEmbedding": (nn.HingeEmbeddingLoss(0.5), "hinge_embedding_loss", {"margin": 0.5}, (X[:, 0], SIGNS)),
    "SoftMargin": (nn.SoftMarginLoss(reduction="none"), "soft_margin_loss", {"reduction": "none"}, (X[:, 0], SIGNS)),
    "MultiMargin": (nn.MultiMarginLoss(2, 0.5, WEIGHT), "multi_margin_loss", {"p": 2, "margin": 0.5, "weight": WEIGHT},
                    (X, CLASSES)),
    "MultiLabelSoftMargin": (nn.MultiLabelSoftMarginLoss(WEIGHT), "multilabel_soft_margin_loss", {"weight": WEIGHT},
                             (X, CHANCE)),
    "CosineEmbedding": (nn.CosineEmbeddingLoss(-0.5), "cosine_embedding_loss", {"margin": -0.5}, (X, Y, SIGNS)),
    "TripletMargin": (nn.TripletMarginLoss(2.0, 1.0, 1e-3, True, reduction="none"), "triplet_margin_loss",
                      {"margin": 2.0, "p": 1.0, "eps": 1e-3, "swap": True, "reduction": "none"}, (X, Y, Z)),
    "TripletMarginWithDistance": (
        nn.TripletMarginWithDistanceLoss(distance_function=nn.CosineSimilarity(), margin=0.5, swap=True, reduction="sum"),
        "triplet_margin_with_distance_loss",
        {"distance_function": F.cosine_similarity, "margin": 0.5, "swap": True, "reduction": "sum"}, (X, Y, Z)),
    "triplets by default": (nn.TripletMarginWithDistanceLoss(), "triplet_margin_loss", {}, (X, Y, Z)),
    "PairwiseDistance": (nn.PairwiseDistance(3.0, 0.1, True), "pairwise_distance", {"p": 3.0, "eps": 0.1, "keepdim": True},
                         (X, Y)),
    "CosineSimilarity": (nn.CosineSimilarity(0, 10.0), "cosine_similarity", {"dim": 0, "eps": 10.0}, (X, Y)),
}  # fmt: skip


def tensors(device: str, given: tuple[Any, ...]) -> list[Any]:
    return [ingot.tensor(v, device=device) if v is CLASSES else on(device, v) for v in given]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_hand_their_options_on(device: str, name: str) -> None:
    layer, function, options, given = LAYERS[name]
    there = {k: v.to(device) if v is WEIGHT else v for k, v in options.items()}
    made = values(layer.to(device)(*tensors(device, given)))
    np.testing.assert_array_equal(made, values(getattr(F, function)(*tensors(device, given), **there)))
    assert np.abs(made).max() > 0


def test_weights_are_buffers() -> None:
    for layer in (nn.BCELoss(WEIGHT), nn.MultiMarginLoss(weight=WEIGHT), nn.MultiLabelSoftMarginLoss(WEIGHT)):
        assert list(layer.state_dict()) == ["weight"] and not list(layer.parameters())
    assert list(nn.BCELoss().state_dict()) == []


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_what_is_no_probability_is_refused(device: str, reduction: str) -> None:
    """By the kernel, at the latest when the result is read; the device goes on."""
    fine = [0.0, 0.5, 1.0]
    cases = ((fine, [0.0, 0.5, 1.25], "target"), ([0.0, -0.5, 1.0], fine, "input"), ([0.5, math.nan, 1.0], fine, "input"))
    for x, y, named in cases:
        for kind in (RuntimeError, ValueError):
            with pytest.raises(kind, match=f"binary_cross_entropy: all elements of {named} should be between 0 and 1"):
                values(F.binary_cross_entropy(on(device, x), on(device, y), reduction=reduction))
    made = F.binary_cross_entropy(on(device, fine), on(device, fine), reduction=reduction)
    np.testing.assert_allclose(values(made).mean(), math.log(2) / 3, rtol=1e-6)


def test_a_negative_variance_is_refused(device: str) -> None:
    x, y = on(device, X), on(device, Y)
    with pytest.raises(ValueError, match="var has negative"):
        values(F.gaussian_nll_loss(x, y, on(device, X)))
    with pytest.raises(ValueError, match="var has negative"):
        F.gaussian_nll_loss(x, y, -1.0)
    with pytest.raises(ValueError, match=r"\[4, 2\] does not fit an input of size \[4, 3\]"):
        F.gaussian_nll_loss(x, y, on(device, X[:, :2]))
    assert math.isfinite(F.gaussian_nll_loss(x, y, x * 0).item())


def test_a_class_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(IndexError):
        values(F.multi_margin_loss(on(device, X), ingot.tensor([0, 1, 3, 0], device=device)))


def test_the_mean_of_a_divergence_warns(device: str) -> None:
    x, y = on(device, LOGS), on(device, CHANCE)
    with pytest.warns(UserWarning, match="'batchmean' divides by the size of the first axis alone"):
        mean = F.kl_div(x, y)
    np.testing.assert_allclose(values(mean) * 3, values(F.kl_div(x, y, reduction="batchmean")), rtol=1e-5)
    with pytest.raises(ValueError, match="'batchmean' is not a valid value for reduction"):
        nn.PoissonNLLLoss(reduction="batchmean")


# ---- what stays finite -----------------------------------------------------------------------------------------------
def test_far_from_the_target(device: str) -> None:
    x = on(device, [200.0, -200.0, 0.0], requires_grad=True)
    made = F.soft_margin_loss(x, on(device, [-1.0, -1.0, 1.0]), reduction="none")
    np.testing.assert_allclose(values(made), [200, 0, math.log(2)], rtol=1e-6, atol=1e-30)
    made.sum().backward()
    np.testing.assert_allclose(values(x.grad), [1, 0, -0.5], rtol=1e-6, atol=1e-30)
    chance = on(device, [0.0, 1.0, 0.0, 1.0], requires_grad=True)
    made = F.binary_cross_entropy(chance, on(device, [1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert made.tolist() == [100, 100, 0, 0]
    made.sum().backward()
    np.testing.assert_allclose(values(chance.grad), [-1e12, 1e12, 0, 0], rtol=1e-6)


def test_a_cosine_in_half_precision(device: str) -> None:
    """Where the product of two elements is more than float16 holds, or their squares are too little for it."""
    for size in (300.0, 1e-3):
        x = on(device, [[size, -size]]).to(ingot.float16).requires_grad_()
        made = F.cosine_similarity(x, x.detach() * on(device, [1.0, 0.5]).to(ingot.float16))
        assert made.dtype is ingot.float16 and made.item() == pytest.approx(1.5 / math.sqrt(2 * 1.25), rel=2e-3)
        assert np.isfinite(values(ingot.autograd.grad(made.sum(), x)[0])).all()


# ---- compiled --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LAYERS)
def test_compiled_losses_are_eager_ones_to_the_bit(device: str, name: str) -> None:
    layer, _, _, given = LAYERS[name]
    layer = layer.to(device)
    runs = []
    for wrap in (itself, strictly(ingot)):

        def step(x: Any, *others: Any) -> tuple[Any, Any]:
            made = layer(x, *others).sum()
            return made, ingot.autograd.grad(made, x)[0]

        function = wrap(step)
        found: list[Any] = []
        for k in range(4):
            first, *others = tensors(device, given)
            found += map(bits, function((first * (1 - 0.1 * k)).detach().requires_grad_(), *others))
        runs.append(found)
    same(*runs)
