"""Layers over windows, and a whole residual net, beside PyTorch: values, gradients, running statistics, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch


LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "conv1d": (lambda n: n.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2), (2, 4, 11)),
    "conv2d": (lambda n: n.Conv2d(3, 5, (3, 2), padding=(1, 0), bias=False), (2, 3, 6, 7)),
    "same": (lambda n: n.Conv2d(3, 3, 3, padding="same", groups=3, dilation=2), (2, 3, 6, 7)),
    "reflect": (lambda n: n.Conv2d(2, 3, 3, padding=2, padding_mode="reflect"), (2, 2, 5, 4)),
    "circular": (lambda n: n.Conv1d(2, 3, 4, padding="same", padding_mode="circular"), (2, 2, 6)),
    "conv3d": (lambda n: n.Conv3d(2, 4, 2, stride=(1, 2, 1)), (1, 2, 4, 5, 3)),
    "transposed": (lambda n: n.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5, 4)),
    "transposed1d": (lambda n: n.ConvTranspose1d(3, 2, 4, dilation=2), (2, 3, 5)),
    "batch_norm": (lambda n: n.BatchNorm2d(3, momentum=0.3), (4, 3, 5, 2)),
    "batch_norm1d": (lambda n: n.BatchNorm1d(3, momentum=None, eps=1e-3), (6, 3)),
    "batch_norm, no bias": (lambda n: n.BatchNorm1d(3, bias=False), (4, 3, 5)),
    "untracked": (lambda n: n.BatchNorm3d(3, track_running_stats=False, affine=False), (2, 3, 2, 3, 2)),
    "group_norm": (lambda n: n.GroupNorm(2, 6), (3, 6, 4, 2)),
    "rms_norm": (lambda n: n.RMSNorm((4, 2)), (3, 6, 4, 2)),
    "max_pool": (lambda n: n.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 3, 8, 9)),
    "max_pool1d": (lambda n: n.MaxPool1d(2, 1, dilation=3), (2, 3, 8)),
    "avg_pool": (lambda n: n.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 3, 8, 9)),
    "avg_pool1d": (lambda n: n.AvgPool1d(4, 3, 2), (2, 3, 8)),
    "adaptive": (lambda n: n.AdaptiveAvgPool2d((3, None)), (2, 3, 8, 5)),
    "adaptive1d": (lambda n: n.AdaptiveAvgPool1d(5), (2, 3, 8)),
    "adaptive max": (lambda n: n.AdaptiveMaxPool2d((3, None)), (2, 3, 8, 5)),
    "adaptive max 1d": (lambda n: n.AdaptiveMaxPool1d(5), (2, 3, 8)),
    "adaptive max 3d": (lambda n: n.AdaptiveMaxPool3d((3, None, 2)), (2, 3, 5, 3, 4)),
    "powers": (lambda n: n.LPPool2d(2, (2, 3), stride=2), (2, 3, 8, 7)),
    "powers 1d": (lambda n: n.LPPool1d(4, 3, ceil_mode=True), (2, 3, 8)),
    "powers 3d": (lambda n: n.LPPool3d(2, 2), (2, 3, 4, 5, 4)),
    "local response": (lambda n: n.LocalResponseNorm(3, alpha=0.3, k=2.0), (2, 6, 4, 3)),
    "local response of volumes": (lambda n: n.LocalResponseNorm(4), (2, 6, 4, 3, 2)),
    "adaptive3d": (lambda n: n.AdaptiveAvgPool3d((3, None, 2)), (2, 3, 5, 3, 4)),
    "max_pool3d": (lambda n: n.MaxPool3d((2, 3, 2), (1, 2, 2), (1, 1, 0), ceil_mode=True), (2, 3, 4, 5, 6)),
    "avg_pool3d": (lambda n: n.AvgPool3d((2, 3, 2), (1, 2, 2), (1, 1, 0), count_include_pad=False), (2, 3, 4, 5, 6)),
    "transposed3d": (lambda n: n.ConvTranspose3d(4, 2, (2, 3, 1), (1, 2, 1), (0, 1, 0), groups=2), (1, 4, 3, 2, 3)),
    "instance_norm": (lambda n: n.InstanceNorm2d(3, affine=True), (2, 3, 4, 5)),
    "instance_norm, tracked": (lambda n: n.InstanceNorm1d(3, momentum=0.3, affine=True, track_running_stats=True), (4, 3, 5)),
    "instance_norm, alone": (lambda n: n.InstanceNorm3d(3, eps=1e-3, track_running_stats=True), (3, 2, 3, 2)),
    "instance_norm, no bias": (lambda n: n.InstanceNorm1d(3, affine=True, bias=False), (3, 5)),
    "pixel_shuffle": (lambda n: n.PixelShuffle(2), (2, 8, 3, 2)),
    "pixel_unshuffle": (lambda n: n.PixelUnshuffle(3), (2, 2, 3, 6)),
    "channel_shuffle": (lambda n: n.ChannelShuffle(3), (2, 6, 4)),
    "unfold": (lambda n: n.Unfold((2, 3), dilation=(2, 1), padding=1, stride=(1, 2)), (2, 3, 5, 6)),
    "fold": (lambda n: n.Fold((4, 5), (2, 3), padding=(1, 0), stride=(1, 2)), (2, 12, 10)),
    "fold, alone": (lambda n: n.Fold(5, 2, dilation=2), (8, 9)),
    "upsample": (lambda n: n.Upsample(scale_factor=2), (2, 3, 4)),
    "upsample, exact": (lambda n: n.Upsample((5, 3), mode="nearest-exact"), (2, 3, 4, 4)),
    "upsample, linear": (lambda n: n.Upsample(size=7, mode="linear"), (2, 3, 4)),
    "upsample, bilinear": (lambda n: n.Upsample(scale_factor=(1.5, 2.5), mode="bilinear"), (2, 3, 4, 5)),
    "upsample, recomputed": (lambda n: n.Upsample(None, 1.7, "bilinear", recompute_scale_factor=True), (2, 3, 4, 5)),
    "upsample, trilinear": (lambda n: n.Upsample((3, 5, 4), mode="trilinear", align_corners=True), (1, 2, 4, 3, 2)),
    "upsample, bicubic": (lambda n: n.Upsample((7, 3), mode="bicubic", align_corners=True), (1, 2, 4, 5)),
    "upsample, area": (lambda n: n.Upsample((3, 2), mode="area"), (1, 2, 4, 5)),
    "nearest": (lambda n: n.UpsamplingNearest2d(scale_factor=3), (1, 2, 4, 5)),
    "bilinear": (lambda n: n.UpsamplingBilinear2d(size=(7, 4)), (1, 2, 4, 5)),
    "reflection1d": (lambda n: n.ReflectionPad1d((2, 1)), (2, 3, 4)),
    "reflection2d": (lambda n: n.ReflectionPad2d(2), (2, 3, 4, 3)),
    "reflection3d": (lambda n: n.ReflectionPad3d((1, 0, 1, 2, 1, 1)), (2, 3, 4, 3, 2)),
    "replication1d": (lambda n: n.ReplicationPad1d(3), (3, 2)),
    "replication2d": (lambda n: n.ReplicationPad2d((1, 3, 0, 2)), (2, 3, 4, 3)),
    "replication3d": (lambda n: n.ReplicationPad3d(1), (2, 3, 1, 3, 2)),
    "circular1d": (lambda n: n.CircularPad1d((2, 1)), (2, 3, 4)),
    "circular2d": (lambda n: n.CircularPad2d((1, 2, 2, 0)), (3, 4, 3)),
    "circular3d": (lambda n: n.CircularPad3d(1), (2, 3, 1, 3, 2)),
    "constant1d": (lambda n: n.ConstantPad1d((2, -1), 3.5), (2, 3, 4)),
    "constant2d": (lambda n: n.ConstantPad2d(1, -1.0), (3, 4)),
    "constant3d": (lambda n: n.ConstantPad3d((1, 0, 0, 2, 1, 1), 2.0), (2, 3, 2, 3, 2)),
    "zero1d": (lambda n: n.ZeroPad1d(2), (2, 3)),
    "zero2d": (lambda n: n.ZeroPad2d((1, -1, 0, 2)), (2, 3, 4)),
    "zero3d": (lambda n: n.ZeroPad3d(1), (2, 3, 2, 3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(ingot: Any, torch: Any, name: str) -> None:
    """The same text, state, results, gradients and statistics, in training and in evaluation."""
    make, shape = LAYERS[name]
    ours, theirs = make(ingot.nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    state = theirs.state_dict()
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in state.items()}
    ours.load_state_dict({k: ingot.tensor(v.numpy()) for k, v in state.items()})
    random = np.random.default_rng(0)
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        x = random.normal(size=shape).astype(np.float32)
        mine, other = ingot.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(mine), theirs(other)
        weights = random.normal(size=tuple(z.shape)).astype(np.float32)
        (y * ingot.tensor(weights)).sum().backward()
        (z * torch.tensor(weights)).sum().backward()
        pairs = [(y.detach(), z.detach()), (mine.grad, other.grad)]
        pairs += [(p.grad, q.grad) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True)]
        pairs += list(zip(ours.buffers(), theirs.buffers(), strict=True))
        for a, b in pairs:
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=2e-5)


def test_bilinear(ingot: Any, torch: Any) -> None:
    ours, theirs = (library.nn.Bilinear(3, 4, 2) for library in (ingot, torch))
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: ingot.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x, y = (np.random.default_rng(n).normal(size=(5, 2, 3 + n)).astype(np.float32) for n in (0, 1))
    found = []
    for library, module in ((ingot, ours), (torch, theirs)):
        a, b = library.tensor(x, requires_grad=True), library.tensor(y, requires_grad=True)
        made = module(a, b)
        (made * made).sum().backward()
        found.append([v.detach().numpy() for v in (made, a.grad, b.grad, module.weight.grad, module.bias.grad)])
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-4)


def test_lists_and_dicts_of_parameters(ingot: Any, torch: Any) -> None:
    """The same text, names, order and state, through the same changes."""
    found = []
    for library in (ingot, torch):
        row = library.nn.ParameterList([library.ones(2), library.nn.Parameter(library.ones(1, 3))])
        row.append(library.zeros(4)).extend([5, library.ones(1)])
        row[-1] = library.ones(2, 2)
        row += [library.zeros(())]
        named = library.nn.ParameterDict({"b": library.ones(2), "a": library.zeros(3)})
        named["c"] = library.ones(1, 2)
        named.update([("d", library.ones(5)), ("e", "text")])
        named |= library.nn.ParameterDict([("f", library.ones(1))])
        del named["b"]
        told = repr(named).replace("torch.FloatTensor", "ingot.float32")
        found.append((
            repr(row).replace("torch.", "ingot."), told, [tuple(x.shape) for x in row[1:3]], len(row), list(row.state_dict()),
            list(named), list(named.state_dict()), named.pop("e"), named.popitem()[0], named.get("z", 3), "a" in named,
            [k for k, _ in named.copy().items()], list(reversed(named)), named.setdefault("g", library.ones(1)).requires_grad,
            [n for n, _ in named.named_parameters()], named.clear(), len(named), list(named.fromkeys(["x", "y"], 2).values()),
        ))  # fmt: skip
    for mine, wanted in zip(*found, strict=True):
        assert mine == wanted


# ---- a whole net -------------------------------------------------------------------------------------------------------
def resnet(torch: Any, state: dict[str, Any], x: Any, training: bool) -> Any:
    """A residual net of basic blocks as functions of PyTorch, over a state dict."""
    F = torch.nn.functional

    def norm(at: str, y: Any) -> Any:
        held = [state[f"{at}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(y, *held, training=training)

    def block(at: str, y: Any, stride: int) -> Any:
        kept = y
        if f"{at}.downsample.0.weight" in state:
            kept = norm(f"{at}.downsample.1", F.conv2d(y, state[f"{at}.downsample.0.weight"], stride=stride))
        y = F.relu(norm(f"{at}.bn1", F.conv2d(y, state[f"{at}.conv1.weight"], stride=stride, padding=1)))
        return F.relu(norm(f"{at}.bn2", F.conv2d(y, state[f"{at}.conv2.weight"], padding=1)) + kept)

    x = F.relu(norm("bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3)))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage in range(1, 5):
        for number in range(2):
            x = block(f"layer{stage}.{number}", x, 2 if stage > 1 and number == 0 else 1)
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


def test_resnet18(ingot: Any, torch: Any, tmp_path: Path) -> None:
    """Logits in training and in evaluation, gradients and statistics, in double; the weights go by a file of ``torch.save``."""
    from ingot.vision import models

    ingot.manual_seed(0)
    drawn = models.resnet18(num_classes=5).state_dict()
    torch.save({k: torch.tensor(v.numpy()) for k, v in drawn.items()}, tmp_path / "resnet18.pth")
    model = models.resnet18(weights=tmp_path / "resnet18.pth").double()
    assert all(np.array_equal(v.numpy(), drawn[k].numpy()) for k, v in model.state_dict().items())
    state = {k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()}
    for k, v in state.items():
        v.requires_grad_(v.dtype.is_floating_point and "running" not in k)
    x = np.random.default_rng(1).normal(size=(2, 3, 64, 64))
    y, z = model(ingot.from_numpy(x)), resnet(torch, state, torch.from_numpy(x), True)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-9, atol=1e-9)
    y.square().sum().backward()
    z.square().sum().backward()
    for name, parameter in model.named_parameters():
        wanted = state[name].grad.numpy()
        apart = float(np.linalg.norm(parameter.grad.numpy() - wanted)) / max(float(np.linalg.norm(wanted)), 1e-6)
        assert apart < 1e-8, (name, apart)
    for name, buffer in model.named_buffers():
        if "running" in name:
            np.testing.assert_allclose(buffer.numpy(), state[name].numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
    y, z = model.eval()(ingot.from_numpy(x)), resnet(torch, state, torch.from_numpy(x), False)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-9)


def test_what_torch_saves(ingot: Any, torch: Any, tmp_path: Path) -> None:
    """Every dtype, views of one storage, parameters; a whole module is refused."""
    from ingot.serialization import FileFormatError
    from ingot.vision.models._weights import read_weights

    base = torch.arange(12.0).reshape(3, 4)
    state = {str(d): base.to(d) for d in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)}
    state |= {"view": base.t()[1:], "none": torch.zeros(0, 3), "scalar": torch.tensor(3), "weight": torch.nn.Parameter(base)}
    torch.save(state, tmp_path / "state")
    for name, value in read_weights(tmp_path / "state").items():
        assert str(value.dtype).split(".")[1] == str(state[name].dtype).split(".")[1]
        assert value.tolist() == state[name].tolist(), name
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module")
    with pytest.raises(FileFormatError, match=r"names torch\.nn\.modules\.linear\.Linear"):
        read_weights(tmp_path / "module")


BAD: dict[str, Callable[[Any], Any]] = {
    "channels": lambda t: t.nn.functional.conv2d(t.ones(1, 2, 5, 5), t.ones(4, 3, 3, 3)),
    "axes": lambda t: t.nn.functional.conv2d(t.ones(2, 5), t.ones(4, 3, 3, 3)),
    "stride": lambda t: t.nn.functional.conv2d(t.ones(1, 3, 5, 5), t.ones(4, 3, 3, 3), stride=0),
    "same": lambda t: t.nn.functional.conv2d(t.ones(1, 3, 5, 5), t.ones(4, 3, 3, 3), stride=2, padding="same"),
    "dtypes": lambda t: t.nn.functional.conv2d(t.ones(1, 3, 5, 5).double(), t.ones(4, 3, 3, 3)),
    "layer": lambda t: t.nn.Conv2d(3, 4, 3, groups=2),
    "layer padding": lambda t: t.nn.Conv2d(4, 4, 3, padding="full"),
    "pool padding": lambda t: t.nn.functional.max_pool2d(t.ones(1, 4, 5, 5), 3, padding=2),
    "pool size": lambda t: t.nn.functional.max_pool2d(t.ones(1, 4, 2, 2), 3),
    "divisor": lambda t: t.nn.functional.avg_pool2d(t.ones(1, 4, 4), 2, divisor_override=0),
    "one value": lambda t: t.nn.BatchNorm1d(3)(t.ones(1, 3)),
    "rank": lambda t: t.nn.BatchNorm2d(3)(t.ones(4, 3)),
    "features": lambda t: t.nn.BatchNorm1d(2)(t.ones(4, 3)),
    "groups": lambda t: t.nn.functional.group_norm(t.ones(2, 5), 2),
    "one place": lambda t: t.nn.InstanceNorm1d(3)(t.ones(2, 3, 1)),
    "features of a sample": lambda t: t.nn.InstanceNorm1d(3, affine=True)(t.ones(2, 4, 5)),
    "rank of a sample": lambda t: t.nn.InstanceNorm2d(3)(t.ones(3, 4)),
    "pixels": lambda t: t.nn.functional.pixel_shuffle(t.ones(1, 3, 2, 2), 2),
    "pixels back": lambda t: t.nn.functional.pixel_unshuffle(t.ones(1, 3, 3, 2), 2),
    "pixels of a matrix": lambda t: t.nn.PixelShuffle(2)(t.ones(2, 2)),
    "groups of channels": lambda t: t.nn.functional.channel_shuffle(t.ones(1, 3, 2), 2),
    "windows": lambda t: t.nn.functional.unfold(t.ones(1, 3, 2, 2), 3),
    "columns": lambda t: t.nn.functional.fold(t.ones(1, 8, 5), 3, 2),
    "columns of channels": lambda t: t.nn.functional.fold(t.ones(1, 7, 4), 3, 2),
    "size and factor": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 3, 2.0),
    "neither size nor factor": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4)),
    "sizes": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), (3, 4)),
    "no size": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 0),
    "corners": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 3, align_corners=True),
    "kind of a size": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), (2.5,)),
    "mode of an image": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 3, mode="bilinear"),
    "mode": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 3, mode="spline"),
    "recomputed": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 3, recompute_scale_factor=True),
    "axes of an image": lambda t: t.nn.functional.interpolate(t.ones(4, 4), 3),
    "reflection": lambda t: t.nn.ReflectionPad1d(4)(t.ones(1, 1, 4)),
    "circular": lambda t: t.nn.CircularPad1d(5)(t.ones(1, 1, 4)),
    "axes to pad": lambda t: t.nn.CircularPad1d(1)(t.ones(1, 1, 4, 4)),
    "channels to drop": lambda t: t.nn.Dropout1d()(t.ones(4)),
    "probability": lambda t: t.nn.Dropout2d(1.5),
    "features of two": lambda t: t.nn.Bilinear(2, 3, 1)(t.ones(4, 2), t.ones(4, 2)),
    "batches of two": lambda t: t.nn.functional.bilinear(t.ones(4, 2), t.ones(3, 2), t.ones(1, 2, 2)),
    "no features": lambda t: t.nn.Bilinear(0, 3, 1),
    "a list that is none": lambda t: t.nn.ParameterList(t.ones(2)),
    "index of a list": lambda t: t.nn.ParameterList([t.ones(2)])[1],
    "name that is none": lambda t: t.nn.ParameterDict({1: t.ones(2)}),
    "pairs": lambda t: t.nn.ParameterDict([("a", t.ones(1), 2)]),
    "a call": lambda t: t.nn.ParameterDict()(t.ones(2)),
}


@pytest.mark.parametrize("name", BAD)
def test_same_type_of_error(same_type_of_error: Any, name: str) -> None:
    same_type_of_error(BAD[name])
