"""The residual nets: a program that trains a new head on a frozen one, their state's names, and weights from files.

`tests/parity` compares a whole net with PyTorch's arithmetic and reads what ``torch.save`` writes.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn
from ingot.serialization import FileFormatError
from ingot.vision import models
from ingot_tools.conformance.harness.subject import opened

PROGRAM = '''\
import ingot as torch
from ingot import nn
from ingot.vision import models

device = "cuda" if torch.cuda.is_available() else "cpu"
model = models.resnet18()            # or weights=PATH of a torchvision state_dict
for p in model.parameters():
    p.requires_grad = False                       # freeze the backbone
model.fc = nn.Linear(model.fc.in_features, 10)    # new trainable head
model = model.to(device)
compiled = torch.compile(model, mode="max-autotune")
optimizer = torch.optim.AdamW(model.fc.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
imgs = torch.randn(16, 3, 224, 224, device=device)
labels = torch.randint(0, 10, (16,), device=device)
optimizer.zero_grad()
loss = loss_fn(compiled(imgs), labels)
loss.backward()
optimizer.step()
'''
COMPILED = 'compiled = torch.compile(model, mode="max-autotune")'
FORMS = {"eager": "compiled = model", **({"compiled": COMPILED} if hasattr(ingot, "compile") else {})}


@pytest.mark.parametrize("form", FORMS)
def test_a_new_head_on_a_frozen_net(device: str, form: str) -> None:
    """The program as it stands, but for the size of its pictures and the device."""
    if opened(device).is_slow:
        pytest.skip("a net of 11 million parameters is too much for a device that interprets")
    text = PROGRAM.replace('"cuda" if torch.cuda.is_available() else "cpu"', repr(device)).replace(COMPILED, FORMS[form])
    text = text.replace("16, 3, 224, 224", "4, 3, 32, 32").replace("(16,)", "(4,)")
    again = text[text.index("optimizer.zero_grad()") :]
    names: dict[str, Any] = {}
    ingot.manual_seed(0)
    exec(compile(text, "<program>", "exec"), names)
    model, first = names["model"], names["loss"].item()
    head, conv, mean = (values(v) for v in (model.fc.weight, model.conv1.weight, model.bn1.running_mean))
    assert mean.any() and model.bn1.num_batches_tracked.item() == 1
    exec(compile(again, "<program>", "exec"), names)
    assert names["loss"].item() < first
    assert (values(model.fc.weight) != head).any() and model.fc.weight.grad is not None
    np.testing.assert_array_equal(values(model.conv1.weight), conv)
    assert model.conv1.weight.grad is None and model.bn1.num_batches_tracked.item() == 2


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters keep what memory held: for tests that look at names and sizes."""
    for name in ("normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


# ---- names -----------------------------------------------------------------------------------------------------------
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def keys(blocks: tuple[int, ...], convolutions: int, narrow: bool) -> list[str]:
    """The names of a residual net's state, in order."""
    made = ["conv1.weight", *(f"bn1.{n}" for n in NORM)]
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            at = f"layer{stage}.{block}."
            for k in range(1, convolutions + 1):
                made += [f"{at}conv{k}.weight", *(f"{at}bn{k}.{n}" for n in NORM)]
            if block == 0 and (stage > 1 or not narrow):
                made += [f"{at}downsample.0.weight", *(f"{at}downsample.1.{n}" for n in NORM)]
    return [*made, "fc.weight", "fc.bias"]


@pytest.mark.parametrize(
    ("name", "blocks", "convolutions", "parameters"),
    [
        ("resnet18", (2, 2, 2, 2), 2, 11_689_512), ("resnet34", (3, 4, 6, 3), 2, 21_797_672),
        ("resnet50", (3, 4, 6, 3), 3, 25_557_032),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("undrawn")
def test_names_and_sizes(name: str, blocks: Any, convolutions: int, parameters: int) -> None:
    model = getattr(models, name)()
    assert list(model.state_dict()) == keys(blocks, convolutions, narrow=convolutions == 2)
    assert sum(p.numel() for p in model.parameters()) == parameters


def small(**options: Any) -> models.ResNet:
    return models.ResNet(models.Bottleneck, (1, 1, 1, 1), num_classes=3, width_per_group=8, **options)


def test_every_parameter_gets_a_gradient(device: str) -> None:
    if opened(device).is_slow:
        pytest.skip("too many parameters for a device that interprets")
    model = small().to(device)
    model(on(device, drawn(2, 3, 32, 32))).square().sum().backward()
    assert all(p.grad is not None and np.isfinite(values(p.grad)).all() and values(p.grad).any() for p in model.parameters())


def test_initial_values() -> None:
    model = small(zero_init_residual=True)
    assert not values(model.layer1[0].bn3.weight).any() and (values(model.bn1.weight) == 1).all()
    fan_out = 64 * 7 * 7
    assert abs(values(model.conv1.weight).std() - (2 / fan_out) ** 0.5) < 0.1 * (2 / fan_out) ** 0.5
    with pytest.raises(ValueError, match="only supports groups=1"):
        models.ResNet(models.BasicBlock, (1, 1, 1, 1), groups=2)


# ---- weights ---------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("undrawn")
def test_weights_from_a_file_of_ours(tmp_path: Path) -> None:
    model = models.resnet18(num_classes=7)
    model.layer4[1].conv2.weight.requires_grad_(False).fill_(0.25)
    ingot.save(model.state_dict(), tmp_path / "net.safetensors")
    for source in (tmp_path / "net.safetensors", str(tmp_path / "net.safetensors"), model.state_dict()):
        again = models.resnet18(weights=source)
        assert again.fc.out_features == 7
        assert (values(again.layer4[1].conv2.weight) == 0.25).all()
    with pytest.raises(RuntimeError, match="Missing key"):
        models.resnet34(weights={k: v for k, v in model.state_dict().items() if k.startswith("fc")})


class Runs:
    """What a pickle can carry: a call."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("was-run",)


def archive(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in files.items():
            made.writestr(f"net/{name.replace('_', '.')}", data)
    return path


def test_a_file_that_would_run_something_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "net.pth", data_pkl=pickle.dumps({"fc.weight": Runs()}, 2))
    with pytest.raises(FileFormatError, match=r"names \w+\.mkdir, which no state dict needs; nothing of it was run"):
        models.resnet18(weights=path)
    assert not (tmp_path / "was-run").exists()


def test_what_holds_no_state_dict_is_refused(tmp_path: Path) -> None:
    for said, path in {
        "has no data.pkl": archive(tmp_path / "a", readme_txt=b"hello"),
        "holds no state dict": archive(tmp_path / "b", data_pkl=pickle.dumps([1, 2])),
        "holds no state dict ": archive(tmp_path / "c", data_pkl=pickle.dumps({"epoch": 3})),
        "cannot be read as a state dict": archive(tmp_path / "d", data_pkl=b"\x80\x02}q"),
        "big-endian": archive(tmp_path / "e", data_pkl=pickle.dumps({}), byteorder=b"big"),
    }.items():
        with pytest.raises(FileFormatError, match=said):
            models.resnet18(weights=path)
    with pytest.raises(FileNotFoundError):
        models.resnet18(weights=tmp_path / "nothing")
    damaged = archive(tmp_path / "f", data_pkl=pickle.dumps({"x": 1}))
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(FileFormatError, match="cannot be read"):
        models.resnet18(weights=damaged)


@pytest.mark.usefixtures("undrawn")
def test_a_layer_of_another_kind_in_its_place() -> None:
    model = small(norm_layer=lambda channels: nn.GroupNorm(4, channels))
    assert isinstance(model.bn1, nn.GroupNorm) and not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
