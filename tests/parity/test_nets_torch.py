"""Layers over windows, and a whole residual net, beside PyTorch: values, gradients, running statistics, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch


@pytest.fixture(scope="session")
def ingot() -> Any:
    return pytest.importorskip("ingot")


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
}


@pytest.mark.parametrize("name", BAD)
def test_same_type_of_error(ingot: Any, torch: Any, name: str) -> None:
    with pytest.raises(Exception) as theirs:
        BAD[name](torch)
    with pytest.raises(theirs.type):
        BAD[name](ingot)
