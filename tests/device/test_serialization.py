"""save and load: values, dtypes, shared memory, devices, bad files, a training run resumed."""

from __future__ import annotations

import copy
import io
import math
import os
import pickle
import random
import stat
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.serialization import FileFormatError
from ingot_devices.errors import DeviceUnavailable
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
]


def same(a: Any, b: Any) -> bool:
    """Equal in value and type, all the way down, NaN to NaN and bit to bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, ingot.Tensor):
        left, right = (t.detach().cpu().numpy() for t in (a, b))
        same_bits = left.tobytes() == right.tobytes()
        return same_bits and a.dtype is b.dtype and a.shape == b.shape and a.device == b.device
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return bool(a == b)


def through(value: Any, path: Path, **options: Any) -> Any:
    ingot.save(value, path)
    return ingot.load(path, **options)


# ---- values --------------------------------------------------------------------------------------


def test_plain_data_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {
        "none": None,
        "bools": [True, False],
        "ints": (0, -1, 2**80),
        "floats": [0.1, -0.0, 1e300, 5e-324, math.inf, -math.inf, math.nan, 1.0],
        "text": "Größe \u2028 \ud800 \x00",
        "nested": [[], {}, (), {"a": ({1: [None]},)}],
        7: "an int key",
        (1, "two"): "a tuple key",
        None: 1.5,
        "$": "a key of the format's own",
        "ordered": OrderedDict(b=1, a=2),
        "dtype": ingot.bfloat16,
    }
    assert same(through(value, tmp_path / "f"), value)
    for alone in (None, 3, "text", [1.5], ()):
        assert same(through(alone, tmp_path / "f"), alone)


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_and_shape(tmp_path: Path, device: str, name: str) -> None:
    dtype = getattr(ingot, name)
    try:
        whole = ingot.arange(12, device=device).to(dtype)
    except Exception as error:
        pytest.skip(f"{device} holds no {name}: {error}")
    value = {
        "matrix": whole.reshape(3, 4),
        "turned": whole.clone().reshape(3, 4).t(),
        "scalar": whole.clone()[5],
        "empty": whole[:0].clone().reshape(0, 3),
    }
    assert same(through(value, tmp_path / "f"), value)


def test_parameters_and_gradients_keep_what_they_are(tmp_path: Path) -> None:
    value = [
        nn.Parameter(ingot.ones(2)),
        nn.Parameter(ingot.ones(2), requires_grad=False),
        ingot.ones(2, requires_grad=True),
        ingot.ones(2, requires_grad=True) * 2,
    ]
    loaded = through(value, tmp_path / "f")
    assert [type(t) for t in loaded] == [type(t) for t in value]
    assert [t.requires_grad for t in loaded] == [True, False, True, True]
    assert loaded[3].is_leaf and loaded[3].tolist() == [2.0, 2.0]


def test_a_state_dict_is_an_ordinary_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = nn.Linear(3, 2)
    ingot.save(model.state_dict(), path)
    assert sorted(load_file(path)) == ["bias", "weight"]
    np.testing.assert_array_equal(load_file(path)["weight"], model.weight.detach().numpy())
    save_file({"x": np.arange(3.0)}, path)
    assert ingot.load(path)["x"].tolist() == [0.0, 1.0, 2.0]


def test_what_cannot_be_saved_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with pytest.raises(TypeError, match=r"cannot save a Linear \(at model\): save its state_dict"):
        ingot.save({"model": nn.Linear(1, 1)}, path)
    with pytest.raises(TypeError, match=r"cannot save a function \(at a\.1\)"):
        ingot.save({"a": [1, lambda: 1]}, path)
    with pytest.raises(TypeError, match="cannot save a set"):
        ingot.save({1}, path)
    with pytest.raises(TypeError, match=r"ndarray .*save ingot\.from_numpy"):
        ingot.save(np.ones(2), path)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="contains itself"):
        ingot.save(endless, path)
    assert not list(tmp_path.iterdir())


# ---- shared memory -------------------------------------------------------------------------------


def test_tied_weights_are_stored_once_and_tied_again(tmp_path: Path, device: str) -> None:
    path = tmp_path / "f"
    model = nn.ModuleDict({"embed": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    model.to(device)
    ingot.save(model.state_dict(), path)
    with safe_open(path, "np") as file:
        assert list(file.keys()) == ["embed.weight"]
    loaded = ingot.load(path)
    assert list(loaded) == ["embed.weight", "head.weight"]
    loaded["embed.weight"].fill_(3)
    assert loaded["head.weight"].tolist() == [[3.0] * 4] * 5


def test_overlapping_views_overlap_again(tmp_path: Path, device: str) -> None:
    base = ingot.arange(10, dtype=ingot.float32, device=device)
    rows, columns = base[2:8].reshape(2, 3), base[2:8].reshape(2, 3).t()
    loaded = through([base[:4], rows, columns, base[8:]], tmp_path / "f")
    assert same(loaded, [base[:4], rows, columns, base[8:]])
    loaded[1].fill_(-1)
    assert loaded[0].tolist() == [0, 1, -1, -1] and loaded[2].tolist() == [[-1, -1]] * 3
    assert loaded[3].tolist() == [8, 9]
    parts = through(list(base.split(5)), tmp_path / "g")  # of one storage, but apart
    parts[0].fill_(0)
    assert parts[1].tolist() == [5, 6, 7, 8, 9]


# ---- files ---------------------------------------------------------------------------------------


def test_file_objects(tmp_path: Path) -> None:
    value = {"a": ingot.ones(2), "b": [1, (2.5,)]}
    stream = io.BytesIO()
    ingot.save(value, stream)
    stream.seek(0)
    assert same(ingot.load(stream), value)
    with (tmp_path / "f").open("wb") as file:
        ingot.save(value, file)
    assert same(ingot.load(str(tmp_path / "f")), value)
    with pytest.raises(FileFormatError, match="the file object is truncated"):
        ingot.load(io.BytesIO(b"abc"))


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    ingot.save([1], path)

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        ingot.save([2], path)
    monkeypatch.undo()
    assert ingot.load(path) == [1] and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        ingot.save([1], tmp_path / "missing" / "f")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "f", tmp_path / "link"
    plain = tmp_path / "plain"
    plain.write_text("")
    ingot.save([1], path)
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    link.symlink_to(path)
    ingot.save([2], link)
    assert link.is_symlink() and ingot.load(path) == [2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError, match=r"model\.pt' is a Python pickle.*never unpickles"):
        ingot.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError, match=r"zip archive, as torch\.save writes.*save_file\("):
        ingot.load(path, weights_only=False)
    assert not (tmp_path / "ran").exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    ingot.save({"a": ingot.arange(50), "b": "text"}, path)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match="truncated, corrupt"):
            ingot.load(path)


def test_a_spoiled_file_loads_nothing_by_halves(tmp_path: Path, device: str) -> None:
    path = tmp_path / "weights"
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)).to(device)
    ingot.save(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)).state_dict(), path)
    spoiled = bytearray(path.read_bytes())
    spoiled[-3] ^= 4  # the last tensor; all before it are whole
    path.write_bytes(spoiled)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(FileFormatError, match=r"weights.*corrupt"):
        model.load_state_dict(ingot.load(path, map_location=device))
    assert same(model.state_dict(), before)


def test_a_flipped_bit_anywhere_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "f"
    value = {"a": ingot.arange(20), "b": [1.5, "text", {2: None}], "c": ingot.ones(3)}
    ingot.save(value, path)
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(250):
        spoiled = bytearray(whole)
        place = draw.randrange(len(whole))
        spoiled[place] ^= 1 << draw.randrange(8)
        path.write_bytes(spoiled)
        try:
            loaded = ingot.load(path)
        except FileFormatError:
            continue
        assert same(loaded, value), f"bit {place} was spoiled and nobody saw it"


def test_a_file_of_the_future_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingot.serialization, "_VERSION", 2)
    ingot.save([1], tmp_path / "f")
    monkeypatch.undo()
    with pytest.raises(FileFormatError, match=r"it has version 2.*update ingot"):
        ingot.load(tmp_path / "f")


# ---- devices -------------------------------------------------------------------------------------


def test_a_device_that_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f"
    ingot.save({"w": ingot.ones(2)}, path)
    with pytest.raises(DeviceUnavailable, match=r"'w' was saved on 'cpu' .*'nonesuch'.* map_location="):
        ingot.load(path, map_location="nonesuch")


def test_map_location(tmp_path: Path, device: str) -> None:
    path = tmp_path / "f"
    there = ingot.empty(0, device=device).device
    ingot.save({"w": ingot.ones(2, device=device)}, path)
    assert ingot.load(path)["w"].device == there
    for where in ("cpu", ingot.device("cpu"), lambda tensor, name: tensor):
        assert ingot.load(path, map_location=where)["w"].device == ingot.device("cpu")
    ingot.save({"w": ingot.ones(2)}, path)
    moved = ingot.load(path, map_location={"cpu": device, "cpu:0": device})["w"]
    assert moved.device == there and moved.tolist() == [1.0, 1.0]


# ---- a training run ------------------------------------------------------------------------------


def parts(device: str) -> tuple[Any, Any, Any]:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1)).to(device)
    optimizer = ingot.optim.AdamW(model.parameters(), lr=1e-2)
    return model, optimizer, ingot.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)


def train(device: str, model: Any, optimizer: Any, schedule: Any, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        x = ingot.randn(6, 4, device=device)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(tmp_path: Path, device: str) -> None:
    path = tmp_path / "checkpoint"
    ingot.manual_seed(1)
    running = parts(device)
    train(device, *running, 3)
    states = [part.state_dict() for part in running]
    ingot.save({"parts": states, "rng": ingot.get_rng_state(), "epoch": 3}, path)
    kept = copy.deepcopy(states[0])
    losses = train(device, *running, 3)

    ingot.manual_seed(99)
    resumed = parts(device)
    checkpoint = ingot.load(path)
    assert same(checkpoint["parts"][0], kept)
    for part, state in zip(resumed, checkpoint["parts"], strict=True):
        part.load_state_dict(state)
    ingot.set_rng_state(checkpoint["rng"])
    assert train(device, *resumed, 3) == losses
    for one, other in zip(running, resumed, strict=True):
        assert same(one.state_dict(), other.state_dict())
