"""Layers that resize, pad, rearrange and normalise space on every device: what they add to their ops, which have records.

Also dropout of whole channels, and parameters in lists and dicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn
from ingot.nn import functional as F

# ---- padding -----------------------------------------------------------------------------------------------------------
MODES: dict[str, Any] = {"Reflection": "reflect", "Replication": "edge", "Circular": "wrap", "Zero": "constant"}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", MODES)
def test_padding(device: str, name: str, rank: int) -> None:
    """One number for all sides, or one for each, from the last axis on; the gradient is the adjoint."""
    make = getattr(nn, f"{name}Pad{rank}d")
    x, also = drawn(2, *(3, 4, 3)[:rank]), MODES[name]
    for padding in (1, tuple(range(2 * rank)) if rank < 2 else (1, 2, 0, 1, 2, 1)[: 2 * rank]):
        sides = (padding,) * (2 * rank) if isinstance(padding, int) else padding
        pairs = [(0, 0), *zip(sides[::2], sides[1::2], strict=True)][: rank + 1]
        pairs = [pairs[0], *pairs[:0:-1]]
        for batch in ((), (2,)):
            mine = on(device, np.broadcast_to(x, (*batch, *x.shape)), requires_grad=True)
            y = make(padding)(mine)
            wanted = np.pad(np.broadcast_to(x, (*batch, *x.shape)), [(0, 0)] * len(batch) + pairs, also)
            np.testing.assert_array_equal(values(y), wanted)
            back = drawn(*y.shape, seed=1)
            (y * on(device, back)).sum().backward()
            assert mine.grad is not None
            towards = drawn(*mine.shape, seed=2)
            ahead = np.pad(towards.astype(np.float64), [(0, 0)] * len(batch) + pairs, also)
            np.testing.assert_allclose((values(mine.grad) * towards).sum(), (ahead * back).sum(), rtol=1e-4, atol=1e-4)


def test_padding_with_a_number(device: str) -> None:
    x = on(device, drawn(2, 3, 4))
    y = nn.ConstantPad2d((1, 0, -1, 2), 3.5)(x)
    np.testing.assert_array_equal(values(y), np.pad(values(x)[:, 1:], ((0, 0), (0, 2), (1, 0)), constant_values=3.5))


# ---- interpolation -----------------------------------------------------------------------------------------------------
def test_upsampling(device: str) -> None:
    x = on(device, drawn(1, 2, 3, 2))
    twice = nn.Upsample(scale_factor=2)(x)
    np.testing.assert_array_equal(values(twice), values(x).repeat(2, 2).repeat(2, 3))
    np.testing.assert_array_equal(values(nn.UpsamplingNearest2d(size=(6, 4))(x)), values(twice))
    corners = nn.UpsamplingBilinear2d(scale_factor=3)(x)
    np.testing.assert_allclose(values(corners)[..., ::8, ::5], values(x)[..., ::2, ::1], rtol=1e-5)
    np.testing.assert_allclose(values(F.interpolate(x, (1, 1), mode="area")), values(x).mean((2, 3), keepdims=True), rtol=1e-5)
    pixels = ingot.tensor([[[1, 200, 7]]], dtype=ingot.uint8, device=device)
    assert F.interpolate(pixels, 5).tolist() == [[[1, 1, 200, 200, 7]]]


RANKS = {"nearest": 2, "nearest-exact": 1, "linear": 1, "bilinear": 2, "bicubic": 2}


@pytest.mark.parametrize(("mode", "rank"), RANKS.items())
def test_a_resize_of_many_sizes_is_the_adjoint_of_its_gradient(device: str, mode: str, rank: int) -> None:
    """⟨resize(x), y⟩ = ⟨x, gradient of y⟩, larger and smaller; a plane of ones stays one."""
    for before, after in ((1, 5), (5, 1), (7, 3), (3, 8), (6, 6), (9, 72), (9, 27), (8, 71), (41, 8)):
        for corners in (None,) if mode.startswith("nearest") else (False, True):
            shape, size = (2, *(before, 4)[:rank]), (after, 3)[:rank]
            x = on(device, drawn(1, *shape), requires_grad=True)
            y = F.interpolate(x, size, mode=mode, align_corners=corners)
            back = drawn(*y.shape, seed=1)
            (g,) = ingot.autograd.grad(y, x, on(device, back))
            np.testing.assert_allclose((values(y) * back).sum(), (values(x) * values(g)).sum(), rtol=1e-3, atol=1e-4)
            ones = F.interpolate(ingot.ones(1, *shape, device=device), size, mode=mode, align_corners=corners)
            np.testing.assert_allclose(values(ones), 1, rtol=1e-5)


# ---- rearranged --------------------------------------------------------------------------------------------------------
def test_layers_that_undo_each_other(device: str) -> None:
    x = on(device, drawn(2, 4, 6, 4))
    np.testing.assert_array_equal(values(nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(x))), values(x))
    np.testing.assert_array_equal(values(nn.ChannelShuffle(2)(nn.ChannelShuffle(2)(x))), values(x))
    columns = nn.Unfold(2, stride=2)(x)
    np.testing.assert_array_equal(values(nn.Fold((6, 4), 2, stride=2)(columns)), values(x))
    windows = nn.Fold((6, 4), 3, padding=1)(nn.Unfold(3, padding=1)(ingot.ones(1, 1, 6, 4, device=device)))
    assert values(windows)[0, 0, 0, 0] == 4 and values(windows)[0, 0, 2, 2] == 9  # how many windows see it


def test_what_is_empty_has_the_shape_that_it_would_have(device: str) -> None:
    x = ingot.ones(0, 4, 2, 4, device=device)
    assert nn.PixelShuffle(2)(x).shape == (0, 1, 4, 8) and nn.PixelUnshuffle(2)(x).shape == (0, 16, 1, 2)
    assert nn.InstanceNorm2d(4)(x).shape == x.shape


def test_unfold_is_what_a_convolution_multiplies(device: str) -> None:
    x, w = on(device, drawn(2, 3, 6, 5)), on(device, drawn(4, 3, 2, 3, seed=1))
    how: dict[str, Any] = {"stride": (1, 2), "padding": (1, 0), "dilation": (2, 1)}
    wanted = F.conv2d(x, w, **how)
    made = (w.reshape(4, -1) @ F.unfold(x, (2, 3), **how)).view(*wanted.shape)
    np.testing.assert_allclose(values(made), values(wanted), rtol=1e-4, atol=1e-5)


def test_bilinear(device: str) -> None:
    layer = nn.Bilinear(3, 2, 4).to(device)
    x, y = drawn(5, 3), drawn(5, 2, seed=1)
    wanted = np.einsum("ni,oij,nj->no", x, values(layer.weight), y) + values(layer.bias)
    np.testing.assert_allclose(values(layer(on(device, x), on(device, y))), wanted, rtol=1e-4, atol=1e-5)
    bound = 1 / np.sqrt(3)
    assert all(np.abs(values(p)).max() <= bound for p in layer.parameters())


# ---- normalisation and dropout -----------------------------------------------------------------------------------------
def test_instance_norm_and_its_running_statistics(device: str) -> None:
    layer = nn.InstanceNorm2d(3, momentum=0.5, affine=True, track_running_stats=True).to(device)
    x = drawn(2, 3, 4, 5) * 2 + 1
    exact = x.astype(np.float64)
    mean, var = exact.mean((2, 3)), exact.var((2, 3))
    made = (exact - mean[..., None, None]) / np.sqrt(var[..., None, None] + 1e-5)
    np.testing.assert_allclose(values(layer(on(device, x))), made, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values(layer.running_mean), 0.5 * mean.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values(layer.running_var), 0.5 + 0.5 * var.mean(0) * 20 / 19, rtol=1e-4)
    layer.eval()
    held = [values(v)[:, None, None] for v in (layer.running_mean, layer.running_var)]
    np.testing.assert_allclose(values(layer(on(device, x))), (exact - held[0]) / np.sqrt(held[1] + 1e-5), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values(nn.InstanceNorm2d(3)(on(device, x[0]))), made[0], rtol=1e-4, atol=1e-5)
    with pytest.warns(UserWarning, match="does not match num_features"):
        nn.InstanceNorm1d(7)(on(device, x[0]))


@pytest.mark.parametrize(("make", "shape"), [(nn.Dropout1d, (40, 50, 3)), (nn.Dropout2d, (40, 50, 2, 2)),
                                             (nn.Dropout3d, (40, 50, 1, 2, 2)), (nn.Dropout1d, (2000, 3))])  # fmt: skip
def test_dropout_takes_whole_channels(device: str, make: Any, shape: tuple[int, ...]) -> None:
    ingot.manual_seed(0)
    layer, x = make(0.25), ingot.ones(shape, device=device)
    kept = values(layer(x))
    channels = kept.reshape(2000, -1)
    assert (channels == channels[:, :1]).all()
    assert set(np.unique(kept)) == {0.0, np.float32(4 / 3)}
    assert 0.2 < (channels[:, 0] == 0).mean() < 0.3
    assert layer.eval()(x) is x
    y = make(1.0, inplace=True)(x)
    assert y is x and not values(x).any()


def test_dropout2d_of_three_axes_says_what_it_takes_them_for(device: str) -> None:
    with pytest.warns(UserWarning, match="interpreted as shape"):
        made = F.dropout2d(ingot.ones(9, 30, 4, device=device), 0.5)
    channels = values(made).reshape(270, 4)
    assert (channels == channels[:, :1]).all() and 0 < (channels == 0).mean() < 1


# ---- parameters in lists and dicts -------------------------------------------------------------------------------------
class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.row = nn.ParameterList([ingot.ones(2), ingot.ones(2) * 2])
        self.named = nn.ParameterDict({"shift": ingot.zeros(2)})

    def forward(self, x: Any) -> Any:
        for p in self.row:
            x = x * p
        return x + self.named["shift"]


def test_parameters_in_containers_are_found_moved_and_saved(device: str) -> None:
    model = Scaled().to(device)
    assert list(model.state_dict()) == ["row.0", "row.1", "named.shift"]
    assert all(p.device == ingot.device(device) for p in model.parameters())
    model(ingot.ones(3, 2, device=device)).sum().backward()
    np.testing.assert_array_equal(values(model.row[1].grad), [3, 3])
    np.testing.assert_array_equal(values(model.named["shift"].grad), [3, 3])
    other = Scaled().to(device)
    model.row[0].data.fill_(7)
    other.load_state_dict(model.state_dict())
    assert other.row[0].tolist() == [7, 7]


# ---- compiled ----------------------------------------------------------------------------------------------------------
NETS: dict[str, Callable[[], Any]] = {
    "resize": lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReflectionPad2d(1), nn.Conv2d(4, 2, 3)),
    "rearrange": lambda: nn.Sequential(nn.PixelShuffle(2), nn.InstanceNorm2d(1, affine=True), nn.CircularPad2d(1), nn.Unfold(2),
                                       nn.Fold(10, 2)),
    "volume": lambda: nn.Sequential(nn.Unflatten(1, (1, 4)), nn.ConvTranspose3d(1, 2, 2), nn.MaxPool3d(2), nn.AvgPool3d(2)),
}


@pytest.mark.parametrize("name", NETS)
def test_compiled_is_the_same_to_the_bit(device: str, name: str) -> None:
    model = NETS[name]().to(device)

    def run(x: Any) -> list[Any]:
        model.zero_grad()
        x = x.detach().requires_grad_()
        y = model(x)
        (y * y).sum().backward()
        return [y.detach(), x.grad, *(p.grad for p in model.parameters())]

    fast = ingot.compile(run)
    for seed in range(4):
        x = on(device, drawn(2, 4, 4, 4, seed=seed))
        wanted = [values(v) for v in run(x)]
        for made, same in zip(fast(x), wanted, strict=True):
            np.testing.assert_array_equal(values(made), same)
    assert "replay" in str(fast.explain())


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: nn.ZeroPad2d((1, 2)), ValueError, r"4 of them, but got \(1, 2\)"),
        (lambda: nn.CircularPad2d(1)(ingot.ones(3, 3)), ValueError, "expected 3D or 4D input"),
        (lambda: F.interpolate(ingot.ones(1, 1, 4, 4), 2, mode="bilinear", antialias=True), NotImplementedError, "avg_pool"),
        (lambda: F.interpolate(ingot.ones(1, 1, 4).int(), 2, mode="linear"), RuntimeError, "floating point, int32"),
        (lambda: F.interpolate(ingot.ones(1, 1, 4), 2, mode="spline"), NotImplementedError, "nearest-exact"),
        (lambda: F.pixel_shuffle(ingot.ones(1, 3, 2, 2), 2), RuntimeError, "size.*3 is not divisible by 4"),
        (lambda: F.unfold(ingot.ones(1, 1, 2, 2), 3), RuntimeError, r"windows of \[3, 3\]"),
        (lambda: F.fold(ingot.ones(1, 4, 3), 3, 2), RuntimeError, "4 elements and 4 windows"),
        (lambda: nn.InstanceNorm1d(2)(ingot.ones(1, 2, 1)), ValueError, "more than 1 spatial element"),
        (lambda: nn.Bilinear(2, 3, 1)(ingot.ones(2, 2), ingot.ones(2, 2)), RuntimeError, "needs 2 and 3"),
        (lambda: nn.ParameterList([1])[1], IndexError, "index 1 is out of range"),
        (lambda: nn.ParameterDict()["a"], KeyError, "a"),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()
