"""nn's arithmetic on every device: the layers, losses, initial values, clipping.

The ops have tests of their own; here the references are a few lines of NumPy in float64.
"""

from __future__ import annotations

import math
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn
from ingot.nn import functional as F

# ---- layers --------------------------------------------------------------------------------------


def test_linear_and_its_gradients(device: str) -> None:
    layer = nn.Linear(3, 2).to(device)
    x = drawn(4, 3)
    y = layer(on(device, x))
    w, b = values(layer.weight), values(layer.bias)
    np.testing.assert_allclose(values(y), x @ w.T + b, rtol=1e-5, atol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(values(layer.weight.grad), np.ones((4, 2)).T @ x, rtol=1e-5)
    np.testing.assert_allclose(values(layer.bias.grad), [4, 4])


def test_activations(device: str) -> None:
    x = drawn(3, 4)
    exact = x.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-exact))
    phi = np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(exact)
    tanh_form = 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (exact + 0.044715 * exact**3)))
    soft = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    wanted = {
        nn.ReLU(): np.maximum(exact, 0),
        nn.GELU(): exact * phi,
        nn.GELU("tanh"): exact * tanh_form,
        nn.Tanh(): np.tanh(exact),
        nn.Sigmoid(): sigmoid,
        nn.SiLU(): exact * sigmoid,
        nn.ELU(0.5): np.where(exact > 0, exact, 0.5 * np.expm1(exact)),
        nn.LeakyReLU(0.1): np.where(exact > 0, exact, 0.1 * exact),
        nn.Softplus(): np.log1p(np.exp(exact)),
        nn.Softmax(1): soft,
        nn.LogSoftmax(-1): np.log(soft),
        nn.Flatten(0): exact.reshape(-1),
        nn.Identity(): exact,
    }
    for layer, expected in wanted.items():
        got = values(layer(on(device, x)))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=repr(layer))
    y = on(device, x)
    assert nn.ReLU(inplace=True)(y) is y and (values(y) >= 0).all()
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        nn.Softmax()(on(device, x))


def test_dropout_scales_what_it_keeps(device: str) -> None:
    ingot.manual_seed(0)
    layer = nn.Dropout(0.25)
    x = ingot.ones(40, 50, device=device)
    kept = values(layer(x))
    assert set(np.unique(kept)) <= {0.0, np.float32(4 / 3)}
    assert 0.2 < (kept == 0).mean() < 0.3
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1.5"):
        nn.Dropout(1.5)


def test_layer_norm(device: str) -> None:
    x = drawn(3, 2, 4)
    for shape in (4, (2, 4)):
        axes = (-1,) if shape == 4 else (-2, -1)
        layer = nn.LayerNorm(shape).to(device)
        exact = x.astype(np.float64)
        centred = exact - exact.mean(axes, keepdims=True)
        expected = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(values(layer(on(device, x))), expected, rtol=1e-4, atol=1e-5)
    assert list(nn.LayerNorm(4, elementwise_affine=False).parameters()) == []


def test_embedding_and_its_padding(device: str) -> None:
    layer = nn.Embedding(5, 3, padding_idx=1).to(device)
    table = values(layer.weight)
    assert not table[1].any() and np.abs(table[0]).sum() > 0
    ids = ingot.tensor([[0, 1], [4, 0]], device=device)
    out = layer(ids)
    np.testing.assert_array_equal(values(out), table[[[0, 1], [4, 0]]])
    out.sum().backward()
    np.testing.assert_array_equal(values(layer.weight.grad)[:, 0], [2, 0, 0, 0, 1])
    held = nn.Embedding.from_pretrained(on(device, table))
    assert not held.weight.requires_grad and held.num_embeddings == 5
    with pytest.raises(ValueError, match="padding_idx must be within"):
        nn.Embedding(5, 3, padding_idx=5)


# ---- losses --------------------------------------------------------------------------------------


def log_softmax(x: np.ndarray[Any, Any]) -> Any:
    exact = x.astype(np.float64)
    return exact - np.log(np.exp(exact).sum(1, keepdims=True))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_with_everything(device: str, reduction: str) -> None:
    x, weight = drawn(5, 4), np.array([1.0, 2.0, 0.5, 1.5])
    target = np.array([0, 3, 2, 2, 1])
    loss_fn = nn.CrossEntropyLoss(
        on(device, weight), ignore_index=3, reduction=reduction, label_smoothing=0.1
    )
    got = values(loss_fn(on(device, x), ingot.tensor(target.tolist(), device=device)))
    scores = log_softmax(x)
    counts = target != 3
    picked = -scores[np.arange(5), target] * weight[target]
    each = np.where(counts, 0.9 * picked + 0.1 * -(scores * weight).sum(1) / 4, 0)
    total = (weight[target] * counts).sum()
    expected = {"mean": each.sum() / total, "sum": each.sum(), "none": each}[reduction]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_cross_entropy_of_probabilities(device: str) -> None:
    x = drawn(3, 4)
    target = np.abs(drawn(3, 4, seed=1))
    target /= target.sum(1, keepdims=True)
    got = nn.CrossEntropyLoss()(on(device, x), on(device, target))
    np.testing.assert_allclose(values(got), -(log_softmax(x) * target).sum(1).mean(), rtol=1e-5)


def test_other_losses(device: str) -> None:
    x, y = drawn(4, 3), drawn(4, 3, seed=1)
    a, b = on(device, x), on(device, y)
    difference = x.astype(np.float64) - y
    np.testing.assert_allclose(values(nn.MSELoss()(a, b)), (difference**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        values(nn.MSELoss(reduction="none")(a, b)), difference**2, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        values(nn.L1Loss(reduction="sum")(a, b)), np.abs(difference).sum(), rtol=1e-5
    )
    near = np.where(np.abs(difference) < 1, difference**2 / 2, np.abs(difference) - 0.5)
    np.testing.assert_allclose(values(nn.SmoothL1Loss()(a, b)), near.mean(), rtol=1e-5)
    chance = 1 / (1 + np.exp(-y.astype(np.float64)))
    entropy = np.log1p(np.exp(x.astype(np.float64))) - x * chance
    np.testing.assert_allclose(
        values(nn.BCEWithLogitsLoss()(a, on(device, chance))), entropy.mean(), rtol=1e-5
    )
    classes = ingot.tensor([0, 2, 1, 1], device=device)
    logs = log_softmax(x)
    np.testing.assert_allclose(
        values(nn.NLLLoss()(on(device, logs), classes)),
        -logs[range(4), [0, 2, 1, 1]].mean(),
        rtol=1e-5,
    )


def test_losses_refuse_what_makes_no_sense(device: str) -> None:
    a, b = ingot.ones(4, 1, device=device), ingot.ones(4, device=device)
    with pytest.warns(UserWarning, match=r"target size .* different to the input size"):
        nn.MSELoss()(a, b)
    with pytest.raises(ValueError, match="must be the same as input size"):
        F.binary_cross_entropy_with_logits(a, b)
    with pytest.raises(ValueError, match="'median' is not a valid value for reduction"):
        nn.L1Loss(reduction="median")


def test_attention(device: str) -> None:
    q, k, v = (drawn(2, 3, 4, seed=i) for i in range(3))
    got = F.scaled_dot_product_attention(on(device, q), on(device, k), on(device, v), is_causal=True)
    scores = q.astype(np.float64) @ k.transpose(0, 2, 1) / 2
    scores[:, ~np.tri(3, dtype=bool)] = -np.inf
    share = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(values(got), share @ v, rtol=1e-4, atol=1e-6)


# ---- initial values ------------------------------------------------------------------------------


def test_default_initial_values_are_pytorchs(device: str) -> None:
    ingot.manual_seed(0)
    layer = nn.Linear(64, 50, device=device)
    for parameter in layer.parameters():
        drawn_values = values(parameter)
        assert np.abs(drawn_values).max() <= 1 / 8
        assert np.abs(drawn_values).max() > 0.9 / 8
    table = values(nn.Embedding(40, 30, device=device).weight)
    assert abs(table.mean()) < 0.1 and abs(table.std() - 1) < 0.1


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (nn.init.xavier_uniform_, math.sqrt(2 / 90), math.sqrt(6 / 90)),
        (nn.init.xavier_normal_, math.sqrt(2 / 90), None),
        (nn.init.kaiming_uniform_, math.sqrt(2 / 50), math.sqrt(6 / 50)),
        (nn.init.kaiming_normal_, math.sqrt(2 / 50), None),
        (lambda t: nn.init.kaiming_normal_(t, mode="fan_out"), math.sqrt(2 / 40), None),
        (lambda t: nn.init.uniform_(t, -1, 3), 4 / math.sqrt(12), None),
        (lambda t: nn.init.normal_(t, 0, 2), 2, None),
        (lambda t: nn.init.trunc_normal_(t, 0, 1, -1, 1), 0.53956, 1),
        (lambda t: nn.init.trunc_normal_(t, 0, 1, 1.5, 3), 0.32, 3),
    ],
)
def test_random_initial_values(device: str, fill: Any, std: float, bound: float | None) -> None:
    ingot.manual_seed(1)
    tensor = ingot.empty(40, 50, device=device)
    assert fill(tensor) is tensor
    got = values(tensor)
    assert abs(got.std() - std) < 0.1 * std
    assert bound is None or np.abs(got).max() <= bound * (1 + 1e-6)


def test_fixed_initial_values_and_refusals(device: str) -> None:
    tensor = ingot.empty(2, 3, device=device)
    assert nn.init.constant_(tensor, 2.5).tolist() == [[2.5] * 3] * 2
    assert nn.init.eye_(tensor).tolist() == [[1, 0, 0], [0, 1, 0]]
    got = values(nn.init.orthogonal_(tensor, gain=2))
    np.testing.assert_allclose(got @ got.T, 4 * np.eye(2), atol=1e-5)
    parameter = nn.Parameter(ingot.empty(2, 2, device=device))
    assert nn.init.zeros_(parameter).requires_grad and parameter.is_leaf
    assert nn.init.calculate_gain("leaky_relu", 1) == 1.0
    assert nn.init.calculate_gain("tanh") == 5 / 3
    with pytest.raises(ValueError, match="Unsupported nonlinearity 'cubic'"):
        nn.init.calculate_gain("cubic")
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_normal_(ingot.empty(3))


# ---- nn.utils ------------------------------------------------------------------------------------


def test_clipping(device: str) -> None:
    one, two = (nn.Parameter(ingot.zeros(2, device=device)) for _ in range(2))
    one.grad, two.grad = on(device, [3.0, 0.0]), on(device, [0.0, 4.0])
    assert nn.utils.clip_grad_norm_([one, two], 1.0).item() == 5.0
    np.testing.assert_allclose(values(one.grad), [0.6, 0], rtol=1e-5)
    np.testing.assert_allclose(values(two.grad), [0, 0.8], rtol=1e-5)
    nn.utils.clip_grad_norm_(iter([one, two]), 10.0)
    np.testing.assert_allclose(values(two.grad), [0, 0.8], rtol=1e-5)
    assert nn.utils.clip_grad_norm_(one, 1.0, math.inf).item() == pytest.approx(0.6, rel=1e-5)
    nn.utils.clip_grad_value_([one, two], 0.5)
    assert values(two.grad)[1] == 0.5
    one.grad = on(device, [math.nan, 1.0])
    with pytest.raises(RuntimeError, match="non-finite, so it cannot be clipped"):
        nn.utils.clip_grad_norm_([one], 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([nn.Parameter(ingot.ones(1))], 1.0).item() == 0.0


def test_parameters_as_one_vector(device: str) -> None:
    net = nn.Linear(2, 3).to(device)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert tuple(vector.shape) == (9,)
    nn.utils.vector_to_parameters(vector.detach() * 0 + 2, net.parameters())
    assert net.weight.tolist() == [[2.0, 2.0]] * 3 and net.bias.requires_grad
    with pytest.raises(ValueError, match="hold 9 elements"):
        nn.utils.vector_to_parameters(ingot.ones(8, device=device), net.parameters())
