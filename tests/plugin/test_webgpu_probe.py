"""WebGPU's probe: no package, no adapter, a software adapter; each a record with what to do, and nothing else breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import DeviceInfo, Unavailable, discovery
from ingot_webgpu import probe as module


@pytest.fixture
def webgpu() -> None:
    """Skips where WebGPU is not ready, and says why."""
    found = discovery.record("webgpu")
    if found is None or not found.ready:
        pytest.skip(found.sentence() if found else "no record of webgpu")


def listing(cache: Path, **environment: str) -> dict[str, Any]:
    """``ingot devices --json`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ingot_tools", "devices", "--json"],
        env={**os.environ, "INGOT_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def record(found: dict[str, Any]) -> dict[str, Any]:
    return next(r for r in found["records"] if r["name"] == "webgpu")


@pytest.mark.usefixtures("webgpu")
def test_every_adapter_is_described(tmp_path: Path) -> None:
    devices = record(listing(tmp_path))["devices"]
    assert [d["name"] for d in devices] == [a.info["device"] for a in module.adapters()]
    assert all(d["driver"] and d["details"]["api"] in ("Vulkan", "Metal", "DX12") for d in devices)


@pytest.mark.usefixtures("webgpu")
def test_software_comes_after_the_cpu_itself(tmp_path: Path) -> None:
    for device in record(listing(tmp_path))["devices"]:
        priority = device["priority"]
        assert (priority is not None and priority < 0) == ("software" in device["details"]["type"])


def test_without_a_driver_the_remedy_is_one(tmp_path: Path) -> None:
    """Vulkan's loader is told of a driver that is not there: every system has none then."""
    pytest.importorskip("wgpu", reason="wgpu is not installed")
    if sys.platform != "linux":
        pytest.skip("other systems have Metal or Direct3D, which cannot be hidden")
    found = listing(tmp_path, VK_DRIVER_FILES="/nowhere.json", VK_ICD_FILENAMES="/nowhere.json")
    mine = record(found)
    assert mine["state"] == "no hardware"
    assert "wgpu finds no" in mine["reason"]
    assert "apt-get install mesa-vulkan-drivers libvulkan1" in mine["remedy"]
    assert any(name.startswith("cpu") for name in found["ready"])


def test_without_the_package_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wgpu", None)
    found = module.probe()
    assert isinstance(found, Unavailable)
    assert found.reason.startswith("wgpu cannot be imported")
    assert found.remedy == "pip install wgpu"


def test_a_driver_that_fails_to_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Any]:
        raise RuntimeError("the loader is broken\nin some way")

    monkeypatch.setattr(module, "adapters", fail)
    found = module.probe()
    assert isinstance(found, Unavailable)
    assert found.reason == "wgpu finds no graphics driver (the loader is broken)"


class Broken:
    """An adapter that opens no device."""

    def __init__(self) -> None:
        self.info = {"device": "toaster", "description": "driver 0.1", "adapter_type": "DiscreteGPU", "backend_type": "Vulkan"}

    def request_device_sync(self) -> Any:
        raise RuntimeError("no device today")


def test_an_adapter_that_runs_nothing_is_listed_with_its_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wgpu", reason="wgpu is not installed")
    monkeypatch.setattr(module, "adapters", lambda: [Broken()])
    found = module.probe()
    assert not isinstance(found, Unavailable)
    (device,) = found
    assert isinstance(device, DeviceInfo)
    assert not device.usable
    assert device.fault == "a shader of one line could not be run (no device today)"
    assert device.remedy == "update its driver"


def test_the_window_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in (None, "0"):
        monkeypatch.delenv("NODEVICE_SELECT", raising=False)
        if before is not None:
            monkeypatch.setenv("NODEVICE_SELECT", before)
        with module._no_window_system():
            assert os.environ["NODEVICE_SELECT"] == "1"
        assert os.environ.get("NODEVICE_SELECT") == before


def test_the_module_that_declares_it_imports_no_driver() -> None:
    code = "import sys, ingot_webgpu; print('wgpu' in sys.modules, 'numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
