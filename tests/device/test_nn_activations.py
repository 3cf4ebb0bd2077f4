"""Activations on every device: layers, what is written in place, kinks, tails, what is drawn, compiled networks of them.

Their values and derivatives elsewhere are those of the records (`test_ops`).
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
from ingot.dispatch import launch_counts
from ingot.nn import functional as F

LAYERS: dict[str, tuple[Any, Any]] = {
    # the layer, and what it is of float64
    "Hardtanh": (nn.Hardtanh(-0.5, 1.5), lambda x: np.clip(x, -0.5, 1.5)),
    "ReLU6": (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    "Hardsigmoid": (nn.Hardsigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6),
    "Hardswish": (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "SiLU": (nn.SiLU(), lambda x: x / (1 + np.exp(-x))),
    "Mish": (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "ELU": (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "SELU": (nn.SELU(), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "CELU": (nn.CELU(2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(x / 2))),
    "LeakyReLU": (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "RReLU": (nn.RReLU(0.2, 0.6).eval(), lambda x: np.where(x > 0, x, 0.4 * x)),
    "Threshold": (nn.Threshold(0.25, -7.0), lambda x: np.where(x > 0.25, x, -7)),
    "ReLU": (nn.ReLU(), lambda x: np.maximum(x, 0)),
    "LogSigmoid": (nn.LogSigmoid(), lambda x: -np.log1p(np.exp(-x))),
    "Softsign": (nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    "Tanhshrink": (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    "Hardshrink": (nn.Hardshrink(0.3), lambda x: np.where(np.abs(x) > 0.3, x, 0)),
    "Softshrink": (nn.Softshrink(0.3), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.3, 0)),
    "PReLU": (nn.PReLU(), lambda x: np.where(x > 0, x, 0.25 * x)),
    "GLU": (nn.GLU(0), lambda x: x[:2] / (1 + np.exp(-x[2:]))),
    "Softmin": (nn.Softmin(1), lambda x: np.exp(-x) / np.exp(-x).sum(1, keepdims=True)),
    "Softmax2d": (nn.Softmax2d(), lambda x: np.exp(x) / np.exp(x).sum(0, keepdims=True)),
}
IN_PLACE = [name for name, (layer, _) in LAYERS.items() if hasattr(layer, "inplace")]


@pytest.mark.parametrize("name", LAYERS)
def test_layers(device: str, name: str) -> None:
    layer, expected = LAYERS[name]
    x = drawn(4, 3, 5) * 3
    got = layer.to(device)(on(device, x))
    np.testing.assert_allclose(values(got), expected(x.astype(np.float64)), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", IN_PLACE)
def test_layers_in_place(device: str, name: str) -> None:
    """The same values, in the same tensor; the same gradient, though what it reads is overwritten."""
    layer = LAYERS[name][0]
    x = drawn(4, 6) * 3
    slopes = []
    for inplace in (False, True):
        leaf = on(device, x, requires_grad=True)
        y = leaf * 1
        layer.inplace = inplace
        made = layer(y)
        layer.inplace = False
        assert (made is y) is inplace
        slopes.append([values(made), values(ingot.autograd.grad((made * made).sum(), leaf)[0])])
    same(*slopes)
    assert len(IN_PLACE) == 13


ONE_LAUNCH = (
    "hardtanh relu6 hardsigmoid hardswish silu mish elu selu celu leaky_relu rrelu logsigmoid softsign hardshrink softshrink"
).split()


@pytest.mark.parametrize("name", ONE_LAUNCH)
def test_one_launch_forward_and_one_back(device: str, name: str) -> None:
    x = on(device, drawn(4, 6), requires_grad=True)
    seed = on(device, drawn(4, 6, seed=1))
    for _ in range(2):  # the first calls make plans
        counted = [sum(launch_counts(device).values())]
        made = getattr(F, name)(x)
        counted.append(sum(launch_counts(device).values()))
        ingot.autograd.grad(made, x, seed)
        counted.append(sum(launch_counts(device).values()))
    assert list(np.diff(counted)) == [1, 1]


# ---- kinks and tails -------------------------------------------------------------------------------------------------
KINKS: dict[str, tuple[Any, list[float], list[float]]] = {
    # the function, where, and its slope there
    "hardtanh": (F.hardtanh, [-1.0, 1.0], [0, 0]),
    "relu6": (F.relu6, [-0.0, 0.0, 6.0], [0, 0, 0]),
    "hardsigmoid": (F.hardsigmoid, [-3.0, 3.0], [0, 0]),
    "hardswish": (F.hardswish, [-3.0, 3.0], [0, 1]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.5), [0.0], [0.5]),
    "elu": (lambda x: F.elu(x, 0.5), [0.0], [0.5]),
    "selu": (F.selu, [0.0], [1.6732632423543772 * 1.0507009873554805]),
    "hardshrink": (F.hardshrink, [-0.5, 0.5], [0, 0]),
    "softshrink": (F.softshrink, [-0.5, 0.5], [0, 0]),
    "threshold": (lambda x: F.threshold(x, 0.5, 20.0), [0.5], [0]),
    "softsign": (F.softsign, [0.0], [1]),
}


@pytest.mark.parametrize("name", KINKS)
def test_slopes_at_kinks(device: str, name: str) -> None:
    function, where, slopes = KINKS[name]
    x = on(device, where, requires_grad=True)
    (got,) = ingot.autograd.grad(function(x).sum(), x)
    np.testing.assert_allclose(values(got), slopes, rtol=1e-6)


FAR = np.array([-1e30, -1e4, -200.0, -90.0, -41.0, -39.0, -21.0, -19.0, 19.0, 21.0, 41.0, 90.0, 200.0, 1e4, 1e30])
TAILS: dict[str, tuple[Any, Any, Any]] = {
    # the function, its value and its slope, from exp(-|x|) in float64
    "logsigmoid": (F.logsigmoid, lambda x, u: np.minimum(x, 0) - np.log1p(u), lambda x, u: np.where(x > 0, u, 1) / (1 + u)),
    "silu": (F.silu, lambda x, u: x * np.where(x > 0, 1, u) / (1 + u), lambda x, u: np.where(x > 0, 1, u * (1 + x))),
    "mish": (F.mish, lambda x, u: np.where(x > 0, x, x * u), lambda x, u: np.where(x > 0, 1, u * (1 + x))),
}


@pytest.mark.parametrize("name", TAILS)
def test_tails(device: str, name: str) -> None:
    """Right and finite far out, in value and slope. (What is too small for a normal number may be 0.)"""
    function, value, slope = TAILS[name]
    x = on(device, FAR, requires_grad=True)
    made = function(x)
    (got,) = ingot.autograd.grad(made.sum(), x)
    u = np.exp(-np.abs(FAR))
    np.testing.assert_allclose(values(made), value(FAR, u), rtol=2e-6, atol=2e-38)
    np.testing.assert_allclose(values(got), slope(FAR, u), rtol=1e-5, atol=1e-36)


@pytest.mark.parametrize(
    ("name", "curvature"), [("silu", 0.5), ("softplus", 0.25), ("logsigmoid", -0.25), ("mish", 0.64), ("sigmoid", 0.0)]
)
def test_second_order_at_zero(device: str, name: str, curvature: float) -> None:
    """Where a formula by |x| has a kink that the function has not."""
    x = on(device, [0.0], requires_grad=True)
    (slope,) = ingot.autograd.grad(getattr(F, name)(x).sum(), x, create_graph=True)
    (got,) = ingot.autograd.grad(slope.sum(), x)
    assert got.item() == pytest.approx(curvature, abs=1e-6)


# ---- slopes that are learned or drawn --------------------------------------------------------------------------------
@pytest.mark.parametrize("channels", [1, 3])
def test_prelu_learns_its_slopes(device: str, channels: int) -> None:
    layer = nn.PReLU(channels, init=0.5, device=device)
    assert list(layer.state_dict()) == ["weight"] and layer.weight.shape == (channels,)
    x = drawn(4, 3, 5)
    layer(on(device, x)).sum().backward()
    lost = np.where(x > 0, 0, x).astype(np.float64)
    expected = lost.sum((0, 2)) if channels > 1 else lost.sum(keepdims=True).reshape(1)
    np.testing.assert_allclose(values(layer.weight.grad), expected, rtol=1e-5)
    with pytest.raises(RuntimeError, match=r"parameter numbers = 3 and channel size = 5"):
        nn.PReLU(3, device=device)(ingot.ones(2, 5, device=device))
    assert nn.PReLU(dtype=ingot.float16).weight.dtype is ingot.float16


def test_rrelu_draws_its_slopes(device: str) -> None:
    """Between the bounds, another one for each element, the same for value and gradient; from the seed alone."""
    layer = nn.RReLU(0.2, 0.6)
    found = []
    for _ in range(2):
        ingot.manual_seed(3)
        x = ingot.full((64, 64), -2.0, device=device).requires_grad_()
        made = layer(x)
        (slope,) = ingot.autograd.grad(made.sum(), x)
        np.testing.assert_allclose(values(made), -2 * values(slope), rtol=1e-6)
        found.append(values(slope))
    np.testing.assert_array_equal(*found)
    assert found[0].min() >= np.float32(0.2) and found[0].max() < np.float32(0.6)
    assert abs(found[0].mean() - 0.4) < 0.01 and abs(found[0].std() - 0.4 / math.sqrt(12)) < 0.01
    up = ingot.ones(3, device=device)
    assert layer(up).tolist() == [1, 1, 1] and layer.eval()(-up).tolist() == pytest.approx([-0.4] * 3)


def test_gumbel_softmax_draws_by_its_logits(device: str) -> None:
    chance = np.array([0.5, 0.3, 0.15, 0.05])
    logits = on(device, np.log(chance)).expand(8000, 4)
    ingot.manual_seed(1)
    hard = values(F.gumbel_softmax(logits, hard=True))
    assert set(np.unique(hard)) <= {0.0, 1.0} and (hard.sum(1) == 1).all()
    assert np.abs(hard.mean(0) - chance).max() < 4 * 0.5 / math.sqrt(8000)
    ingot.manual_seed(1)
    soft = values(F.gumbel_softmax(logits, tau=0.5))
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(soft.argmax(1), hard.argmax(1))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_gumbel_softmax_has_the_gradient_of_its_soft_draw(device: str, dtype: str) -> None:
    slopes = []
    for hard in (False, True):
        ingot.manual_seed(5)
        x = on(device, drawn(3, 4)).to(getattr(ingot, dtype)).requires_grad_()
        made = F.gumbel_softmax(x, tau=0.7, hard=hard, dim=0)
        assert made.dtype is x.dtype
        slopes.append(values(ingot.autograd.grad((made * on(device, drawn(3, 4, seed=1)).to(x.dtype)).sum(), x)[0]))
    np.testing.assert_array_equal(*slopes)
    assert np.abs(slopes[0]).max() > 0.01


# ---- compiled --------------------------------------------------------------------------------------------------------
def test_compiled_layers_are_eager_ones_to_the_bit(device: str) -> None:
    """A network with every one of them, some in place, one that draws: forward and backward."""

    def network() -> Any:
        ingot.manual_seed(0)
        named = (nn.Hardswish(True), nn.Mish(), nn.PReLU(8), nn.CELU(0.5, True), nn.RReLU(inplace=True), nn.SELU(),
                 nn.Softsign(), nn.Hardshrink(0.01), nn.Softshrink(0.01), nn.LogSigmoid(), nn.Tanhshrink(),
                 nn.Hardtanh(-2, 2, True), nn.Hardsigmoid(), nn.Threshold(0.1, 0.05, True), nn.GLU(),
                 nn.Softmin(1))  # fmt: skip
        return nn.Sequential(nn.Linear(6, 8), *named).to(device)

    runs = []
    for wrap in (itself, strictly(ingot)):
        net = network()

        def step(x: Any, net: Any = net) -> Any:
            net.zero_grad()
            loss = (net(x) ** 2).sum()
            loss.backward()
            return loss

        function = wrap(step)
        ingot.manual_seed(9)
        found = [bits(function(on(device, drawn(5, 6, seed=k)))) for k in range(4)]
        runs.append([*found, *(bits(p.grad) for p in net.parameters())])
    same(*runs)
    assert all(g.any() for g in runs[0])


def test_gelu_ends_at_zero_far_out(device: str) -> None:
    x = ingot.tensor([-1e4, -100.0, -6.5, 6.5, 100.0, 1e4], device=device)
    assert F.gelu(x).tolist() == [0.0, 0.0, 0.0, 6.5, 100.0, 1e4]
    assert ingot.erf(x).tolist() == [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]
