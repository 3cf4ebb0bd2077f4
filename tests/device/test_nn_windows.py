"""Layers over windows and batches on every device: what they add to their ops, which have tests of their own.

Convolution, pooling, normalisation over a batch, padding that is not with zeros; state, refusals; and a small net of them that
learns the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import ingot
import ingot_devices
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn
from ingot.nn import functional as F


# ---- convolution -----------------------------------------------------------------------------------------------------
def test_a_convolution_and_its_gradients(device: str) -> None:
    layer = nn.Conv2d(2, 3, 2, stride=2, padding=(1, 0)).to(device)
    x = drawn(2, 2, 4, 4)
    y = layer(on(device, x))
    w, b = values(layer.weight), values(layer.bias)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), (2, 3))[:, :, ::2, ::2]
    np.testing.assert_allclose(values(y), np.einsum("nchwij,ocij->nohw", windows, w) + b[:, None, None], rtol=1e-5, atol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(values(layer.weight.grad)[1], windows.sum((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values(layer.bias.grad), [12, 12, 12])


def test_same_padding_keeps_the_sizes(device: str) -> None:
    x = on(device, drawn(1, 1, 5, 4))
    for kernel, dilation in ((2, 1), (3, 2), ((4, 1), 1)):
        assert nn.Conv2d(1, 1, kernel, padding="same", dilation=dilation).to(device)(x).shape == x.shape
    assert nn.Conv2d(1, 1, 2, padding="valid").to(device)(x).shape == (1, 1, 4, 3)


def test_a_batch_axis_is_not_needed(device: str) -> None:
    x = on(device, drawn(3, 6))
    layer = nn.Conv1d(3, 2, 3).to(device)
    np.testing.assert_allclose(values(layer(x)), values(layer(x.unsqueeze(0)))[0], rtol=1e-6)
    assert nn.MaxPool1d(2)(x).shape == (3, 3) and nn.AdaptiveAvgPool1d(2)(x).shape == (3, 2)


@pytest.mark.parametrize(("mode", "also"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_padding_that_is_not_with_zeros(device: str, mode: str, also: Any) -> None:
    x = drawn(2, 3, 4)
    made = F.pad(on(device, x), (2, 1, 1, 2), mode=mode)
    np.testing.assert_array_equal(values(made), np.pad(x, ((0, 0), (1, 2), (2, 1)), also))
    layer = nn.Conv1d(3, 1, 3, padding=1, padding_mode=mode, bias=False).to(device)
    y = on(device, np.pad(x, ((0, 0), (0, 0), (1, 1)), also))
    np.testing.assert_allclose(values(layer(on(device, x))), values(F.conv1d(y, layer.weight)), rtol=1e-5, atol=1e-6)


def test_a_transposed_convolution_goes_back(device: str) -> None:
    """It is the adjoint: ⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩."""
    x, y, w = drawn(1, 2, 5, 5), drawn(1, 3, 3, 3, seed=1), on(device, drawn(3, 2, 3, 3, seed=2))
    there = F.conv2d(on(device, x), w, stride=2, padding=1)
    back = F.conv_transpose2d(on(device, y), w, stride=2, padding=1)
    np.testing.assert_allclose((values(there) * y).sum(), (values(back) * x).sum(), rtol=1e-4)
    assert nn.ConvTranspose2d(2, 4, 3, stride=2, output_padding=1, groups=2).to(device)(on(device, x)).shape == (1, 4, 12, 12)


def test_initial_values_of_a_convolution() -> None:
    ingot.manual_seed(0)  # the deviation of 64 numbers is a matter of luck
    layer = nn.Conv2d(16, 64, 3, groups=2)
    bound = 1 / math.sqrt(8 * 9)
    for value in (layer.weight, layer.bias):
        found = values(value)
        assert np.abs(found).max() <= bound and found.std() > 0.5 * bound
    assert layer.weight.shape == (64, 8, 3, 3) and nn.ConvTranspose2d(4, 6, 5, groups=2).weight.shape == (4, 3, 5, 5)


# ---- pooling ---------------------------------------------------------------------------------------------------------
def test_pooling(device: str) -> None:
    x = drawn(2, 3, 4, 6)
    blocks = x.reshape(2, 3, 2, 2, 3, 2).astype(np.float64)
    np.testing.assert_array_equal(values(nn.MaxPool2d(2)(on(device, x))), blocks.max((3, 5)))
    np.testing.assert_allclose(values(nn.AvgPool2d(2)(on(device, x))), blocks.mean((3, 5)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values(nn.AdaptiveAvgPool2d((2, 3))(on(device, x))), blocks.mean((3, 5)), rtol=1e-5, atol=1e-6)
    whole = values(nn.AdaptiveAvgPool2d(1)(on(device, x)))
    np.testing.assert_allclose(whole, x.mean((2, 3), keepdims=True), rtol=1e-5, atol=1e-6)
    assert F.adaptive_avg_pool2d(on(device, x), (0, 2)).shape == (2, 3, 0, 2)


def test_where_the_greatest_are(device: str) -> None:
    x = on(device, [[[[1.0, 5.0, 5.0], [2.0, 3.0, 4.0]]]])
    y, places = nn.MaxPool2d((2, 2), stride=1, return_indices=True)(x)
    assert y.tolist() == [[[[5.0, 5.0]]]] and places.tolist() == [[[[1, 1]]]] and places.dtype is ingot.int64
    x.requires_grad_()
    F.max_pool2d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[[[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]]]


# ---- normalisation ---------------------------------------------------------------------------------------------------
def test_batch_norm_in_training_and_evaluation(device: str) -> None:
    layer = nn.BatchNorm2d(3, momentum=0.25).to(device)
    x = drawn(4, 3, 2, 2) * 2 + 1
    exact = x.astype(np.float64)
    mean, var = exact.mean((0, 2, 3)), exact.var((0, 2, 3))
    column = (slice(None), None, None)
    made = values(layer(on(device, x)))
    np.testing.assert_allclose(made, (exact - mean[column]) / np.sqrt(var + 1e-5)[column], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values(layer.running_mean), 0.25 * mean, rtol=1e-5)
    np.testing.assert_allclose(values(layer.running_var), 0.75 + 0.25 * var * 16 / 15, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 1
    held = values(layer.running_mean), values(layer.running_var)
    made = values(layer.eval()(on(device, x)))
    np.testing.assert_allclose(made, (exact - held[0][column]) / np.sqrt(held[1] + 1e-5)[column], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(values(layer.running_mean), held[0])
    layer.reset_running_stats()
    assert layer.num_batches_tracked.item() == 0 and layer.running_var.tolist() == [1.0, 1.0, 1.0]


def test_running_statistics_as_a_mean_over_batches(device: str) -> None:
    layer = nn.BatchNorm1d(2, momentum=None, affine=False).to(device)
    batches = [drawn(4, 2, seed=k) for k in range(3)]
    for x in batches:
        layer(on(device, x))
    np.testing.assert_allclose(values(layer.running_mean), np.mean([x.mean(0) for x in batches], 0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values(layer.running_var), np.mean([x.var(0, ddof=1) for x in batches], 0), rtol=1e-4)


def test_without_running_statistics_the_batch_is_used(device: str) -> None:
    layer = nn.BatchNorm1d(3, track_running_stats=False).to(device)
    x = on(device, drawn(5, 3))
    trained = values(layer(x))
    np.testing.assert_allclose(values(layer.eval()(x)), trained)
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_what_is_saved_for_backward_is_not_what_moves(device: str) -> None:
    """The running statistics are written in place by each forward; an earlier graph does not mind."""
    layer = nn.BatchNorm1d(2).to(device)
    x = on(device, drawn(4, 2), requires_grad=True)
    first, second = layer(x), layer(x * 2)
    (first * second).sum().backward()
    assert x.grad is not None and np.isfinite(values(x.grad)).all()


def test_group_norm_and_rms_norm(device: str) -> None:
    x = drawn(2, 4, 3)
    groups = x.reshape(2, 2, 6).astype(np.float64)
    normal = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    made = values(nn.GroupNorm(2, 4).to(device)(on(device, x)))
    np.testing.assert_allclose(made, normal.reshape(2, 4, 3), rtol=1e-4, atol=1e-5)
    root = np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(values(nn.RMSNorm(3, eps=1e-6).to(device)(on(device, x))), x / root, rtol=1e-4, atol=1e-5)


# ---- state -----------------------------------------------------------------------------------------------------------
def test_state_goes_to_a_file_and_back(device: str, tmp_path: Any) -> None:
    def net() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.ConvTranspose2d(2, 1, 3))

    first, second = net().to(device), net().to(device)
    x = on(device, drawn(2, 1, 5, 5))
    first(x)
    ingot.save(first.state_dict(), tmp_path / "net")
    second.load_state_dict(ingot.load(tmp_path / "net"))
    np.testing.assert_array_equal(values(second.eval()(x)), values(first.eval()(x)))
    assert second[1].num_batches_tracked.item() == 1


# ---- refusals --------------------------------------------------------------------------------------------------------
ONES = ingot.ones
X, W = (1, 3, 5, 5), (4, 3, 3, 3)


def conv(x: tuple[int, ...], weight: tuple[int, ...], *args: Any, **options: Any) -> Any:
    return F.conv2d(ONES(x), ONES(weight), *args, **options)


BAD: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "channels": (RuntimeError, r"expected input\[1, 2, 5, 5\] to have 3 channels, but got 2",
                 lambda: conv((1, 2, 5, 5), W)),
    "axes": (RuntimeError, r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d", lambda: conv((2, 5), W)),
    "small input": (RuntimeError, r"do not fit spatial sizes \[2, 2\]", lambda: conv((1, 3, 2, 2), W)),
    "stride": (RuntimeError, "non-positive stride is not supported", lambda: conv(X, W, stride=0)),
    "strides": (RuntimeError, "list of 2 values", lambda: conv(X, W, stride=(1, 1, 1))),
    "padding": (RuntimeError, "negative padding is not supported", lambda: conv(X, W, padding=-1)),
    "padding word": (RuntimeError, "'valid' or 'same'", lambda: conv(X, W, padding="full")),
    "strided same": (RuntimeError, "not supported for strided", lambda: conv(X, W, None, 2, "same")),
    "groups": (RuntimeError, "multiple of 2 outputs", lambda: conv((1, 4, 5, 5), (3, 2, 3, 3), groups=2)),
    "no groups": (RuntimeError, "non-positive groups", lambda: conv((1, 4, 5, 5), (3, 4, 3, 3), groups=0)),
    "bias": (RuntimeError, r"bias of shape \[3\] does not fit 4 outputs", lambda: conv(X, W, ONES(3))),
    "dtypes": (RuntimeError, "one floating point dtype", lambda: F.conv2d(ONES(1, 3, 5, 5).half(), ONES(4, 3, 3, 3))),
    "weight": (RuntimeError, "expected a weight with 4 dimensions", lambda: conv(X, (4, 3, 3))),
    "output padding": (RuntimeError, "must be smaller than either stride or dilation",
                       lambda: F.conv_transpose2d(ONES(1, 2, 3, 3), ONES(2, 1, 3, 3), output_padding=1)),
    "nothing left": (RuntimeError, "which is too small", lambda: F.conv_transpose1d(ONES(1, 2, 1), ONES(2, 1, 1), padding=1)),
    "layer groups": (ValueError, "in_channels must be divisible by groups", lambda: nn.Conv2d(3, 4, 3, groups=2)),
    "layer outputs": (ValueError, "out_channels must be divisible", lambda: nn.Conv2d(4, 3, 3, groups=2)),
    "layer no groups": (ValueError, "positive integer", lambda: nn.Conv2d(4, 4, 3, groups=0)),
    "layer padding": (ValueError, "Invalid padding string 'full'", lambda: nn.Conv2d(4, 4, 3, padding="full")),
    "layer same": (ValueError, "not supported for strided", lambda: nn.Conv2d(4, 4, 3, 2, "same")),
    "layer mode": (ValueError, "padding_mode must be one of", lambda: nn.Conv2d(4, 4, 3, padding_mode="mirror")),
    "transposed mode": (ValueError, 'Only "zeros" padding mode', lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect")),
    "pool padding": (RuntimeError, "at most half of the window", lambda: F.max_pool2d(ONES(1, 4, 5, 5), 3, padding=2)),
    "pool size": (RuntimeError, "do not fit spatial sizes", lambda: F.max_pool2d(ONES(1, 4, 2, 2), 3)),
    "pool axes": (RuntimeError, "non-empty 3D or 4D", lambda: F.avg_pool2d(ONES(2, 2), 2)),
    "pool dtype": (RuntimeError, "does not take bool", lambda: F.max_pool2d(ONES(1, 2, 2).bool(), 2)),
    "no power": (ValueError, "norm_type must not be 0", lambda: F.lp_pool2d(ONES(1, 4, 4), 0, 2)),
    "channels of pictures": (ValueError, "Expected 3D or higher", lambda: F.local_response_norm(ONES(2, 2), 3)),
    "rows": (RuntimeError, "only supports 2D tensors, got: 1D", lambda: F.pdist(ONES(2))),
    "a norm below 0": (RuntimeError, "non-negative p values", lambda: F.pdist(ONES(2, 2), -1)),
    "sizes of maxima": (RuntimeError, "output_size must be 2", lambda: F.adaptive_max_pool2d(ONES(1, 2, 5, 5), (1, 2, 3))),
    "divisor": (RuntimeError, "must not be zero", lambda: F.avg_pool2d(ONES(1, 4, 4), 2, divisor_override=0)),
    "output sizes": (RuntimeError, "output_size must be 2", lambda: F.adaptive_avg_pool2d(ONES(1, 2, 5, 5), (1, 2, 3))),
    "output size": (RuntimeError, "greater than or equal to 0", lambda: F.adaptive_avg_pool2d(ONES(1, 2, 5, 5), -1)),
    "one value": (ValueError, "more than 1 value per channel", lambda: nn.BatchNorm1d(3)(ONES(1, 3))),
    "rank": (ValueError, r"expected 4D input \(got 2D input\)", lambda: nn.BatchNorm2d(3)(ONES(4, 3))),
    "ranks": (ValueError, r"expected 2D or 3D input", lambda: nn.BatchNorm1d(3)(ONES(4, 3, 2, 2))),
    "statistics": (RuntimeError, "must be defined in evaluation", lambda: F.batch_norm(ONES(4, 3), None, None)),
    "features": (RuntimeError, "running_mean should contain 3 elements not 2", lambda: nn.BatchNorm1d(2)(ONES(4, 3))),
    "group count": (RuntimeError, "divisible by num_groups", lambda: F.group_norm(ONES(2, 5), 2)),
    "group layer": (ValueError, r"num_channels \(4\) must be divisible by num_groups \(3\)", lambda: nn.GroupNorm(3, 4)),
    "rms shape": (RuntimeError, r"expected input with shape \[\*, 4\]", lambda: F.rms_norm(ONES(2, 3), (4,))),
    "pad mode": (ValueError, "the modes are 'constant', 'reflect'", lambda: F.pad(ONES(2), (1, 1), mode="mirror")),
    "pad value": (ValueError, "doesn't take in value", lambda: F.pad(ONES(2), (1, 1), mode="reflect", value=1.0)),
    "pad pairs": (ValueError, r"must be \(before, after\)", lambda: F.pad(ONES(2), (1, 1, 1), mode="circular")),
    "pad reach": (RuntimeError, "at most 1 in mode 'reflect'", lambda: F.pad(ONES(2), (2, 0), mode="reflect")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told(name: str) -> None:
    kind, said, call = BAD[name]
    with pytest.raises(kind, match=said):
        call()


# ---- a net of them ---------------------------------------------------------------------------------------------------
class Small(nn.Module):
    """Every kind of layer that a residual net has, on pictures of 6 × 6."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.bn2 = nn.BatchNorm2d(4)
        self.down = nn.Conv2d(4, 6, 1, stride=2)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)) + x, inplace=True)
        x = self.down(F.max_pool2d(x, 3, 1, 1))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


@cache
def trained(device: str) -> tuple[list[float], np.ndarray[Any, Any]]:
    """The losses of a training, and the state after it."""
    ingot.manual_seed(3)
    model = Small().to(device)
    optimizer = ingot.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = on(device, drawn(6, 1, 6, 6)), ingot.tensor([0, 1, 2, 0, 1, 2], device=device)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, np.concatenate([values(v).ravel() for v in model.state_dict().values()])


def test_a_net_learns_the_same_everywhere(device: str) -> None:
    losses, state = trained(device)
    assert losses[-1] < 0.5 * losses[0]
    for other in ingot_devices.ready():
        if other != device:
            np.testing.assert_allclose(losses[:4], trained(other)[0][:4], rtol=1e-3)
            assert np.linalg.norm(state - trained(other)[1]) <= 5e-2 * np.linalg.norm(state)
