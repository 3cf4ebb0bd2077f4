"""What `ingot devices` says of CUDA: every way in which it can be missing, with reason and remedy, and no context made.

The driver module is a pretend one here, so that each state can be had on any machine; the real pycuda under a driver
without a device, and under a simulated one, has tests of its own.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ingot_cuda import probe as probing
from ingot_devices import DeviceInfo, Unavailable

Install = Callable[..., ModuleType]


class Board:
    """A pretend GPU of pycuda's. `retain_primary_context` would make a context: a probe must not."""

    def __init__(self, name: str = "Pretend H100", capability: tuple[int, int] = (9, 0), mode: int = 0) -> None:
        self.title, self.capability, self.mode = name, capability, mode

    def name(self) -> str:
        return self.title

    def compute_capability(self) -> tuple[int, int]:
        return self.capability

    def total_memory(self) -> int:
        return 80 << 30

    def pci_bus_id(self) -> str:
        return "0000:01:00.0"

    def get_attribute(self, name: str) -> int:
        return {"mode": self.mode, "count": 132}[name]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts pretend modules in the place of pycuda and NVRTC."""

    def put(boards: tuple[Board, ...] = (Board(),), version: int = 13000, fails: str = "", nvrtc: Any = None) -> ModuleType:
        driver: Any = ModuleType("pycuda.driver")
        driver.Error = type("Error", (Exception,), {})

        def init() -> None:
            if fails:
                raise driver.Error(fails)

        def device(index: int) -> Board:
            return boards[index]

        device.count = lambda: len(boards)  # type: ignore[attr-defined]
        driver.init, driver.Device, driver.get_driver_version = init, device, lambda: version
        driver.device_attribute = SimpleNamespace(COMPUTE_MODE="mode", MULTIPROCESSOR_COUNT="count")
        package = ModuleType("pycuda")
        package.driver = driver  # type: ignore[attr-defined]
        bindings: Any = ModuleType("cuda.bindings")
        bindings.nvrtc = nvrtc or SimpleNamespace(nvrtcVersion=lambda: (0, 13, 0))
        monkeypatch.setitem(sys.modules, "pycuda", package)
        monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
        monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
        monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
        made: ModuleType = driver
        return made

    return put


def unavailable() -> Unavailable:
    found = probing.probe()
    assert isinstance(found, Unavailable), found
    return found


def devices() -> list[DeviceInfo]:
    found = probing.probe()
    assert isinstance(found, list), found
    return found


class TestWithoutADriver:
    def test_without_pycuda_and_hardware(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pycuda", None)
        monkeypatch.setitem(sys.modules, "pycuda.driver", None)
        monkeypatch.setattr(probing, "_HARDWARE", ())
        found = unavailable()
        assert found.reason.startswith("no NVIDIA GPU is seen on this machine, and pycuda")
        assert 'pip install "ingot-cuda[driver]"' in found.remedy

    def test_without_pycuda_where_a_gpu_is_seen(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        (tmp_path / "nvidia0").touch()
        monkeypatch.setitem(sys.modules, "pycuda", None)
        monkeypatch.setitem(sys.modules, "pycuda.driver", None)
        monkeypatch.setattr(probing, "_HARDWARE", (str(tmp_path / "nvidia[0-9]*"),))
        (found,) = devices()
        assert not found.usable
        assert "is not installed" in found.fault
        assert found.details["seen at"] == str(tmp_path / "nvidia0")
        assert 'pip install "ingot-cuda[driver]"' in found.remedy

    @pytest.mark.parametrize(
        ("said", "reason", "remedy"),
        [
            ("libcuda.so.1: cannot open shared object file", "NVIDIA's driver is not installed", "version 580 or newer"),
            ("undefined symbol: cuInit", "pycuda cannot be loaded (undefined symbol: cuInit)", "build pycuda anew"),
        ],
    )
    def test_pycuda_that_cannot_be_loaded(
        self, monkeypatch: pytest.MonkeyPatch, said: str, reason: str, remedy: str
    ) -> None:
        def fails(name: str) -> None:
            raise ImportError(said)

        monkeypatch.setattr(importlib, "import_module", fails)
        monkeypatch.setattr(probing, "_HARDWARE", ())
        found = unavailable()
        assert reason in found.reason
        assert remedy in found.remedy

    def test_without_nvrtc(self, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails() -> None:
            raise RuntimeError("Failed to dlopen libnvrtc.so.13\nand more")

        install(nvrtc=SimpleNamespace(nvrtcVersion=fails))
        monkeypatch.setattr(probing, "_HARDWARE", ())
        found = unavailable()
        assert "NVRTC cannot be loaded (Failed to dlopen libnvrtc.so.13)" in found.reason
        assert 'pip install "nvidia-cuda-nvrtc==13.0.*"' in found.remedy


class TestWithADriver:
    def test_a_driver_that_reports_no_device(self, install: Install) -> None:
        install(fails="cuInit failed: no CUDA-capable device is detected")
        found = unavailable()
        assert "shows no GPU (cuInit failed: no CUDA-capable device is detected)" in found.reason
        assert "CUDA_VISIBLE_DEVICES" in found.remedy

    def test_no_device_after_all(self, install: Install) -> None:
        install(boards=())
        assert unavailable().reason == "NVIDIA's driver shows no GPU"

    def test_a_driver_that_does_not_match_its_module(self, install: Install) -> None:
        install(fails="cuInit failed: system has unsupported display driver / cuda driver combination")
        assert "restart after an update" in unavailable().remedy

    def test_what_is_there_is_described(self, install: Install) -> None:
        install(boards=(Board(), Board("Pretend L4", (8, 9))))
        first, second = devices()
        assert (first.name, first.memory, first.compute_units, first.driver) == ("Pretend H100", 80 << 30, 132, "CUDA 13.0")
        assert first.usable and second.usable
        assert second.details == {"compute capability": "8.9", "bus": "0000:01:00.0"}

    def test_a_driver_that_is_too_old(self, install: Install) -> None:
        install(version=12040)
        (found,) = devices()
        assert found.fault == "its driver knows CUDA 12.4, and kernels are built by CUDA 13"
        assert "580 or newer" in found.remedy

    def test_a_gpu_that_is_too_old(self, install: Install) -> None:
        install(boards=(Board(capability=(7, 0)), Board()))
        old, new = devices()
        assert old.fault == "compute capability 7.0 is older than 7.5, the oldest that CUDA 13 builds for"
        assert new.usable

    def test_a_prohibited_one_and_an_exclusive_one(self, install: Install) -> None:
        install(boards=(Board(mode=probing.PROHIBITED), Board(mode=probing.EXCLUSIVE)))
        prohibited, exclusive = devices()
        assert "prohibits contexts" in prohibited.fault and "nvidia-smi -c DEFAULT" in prohibited.remedy
        assert exclusive.usable and exclusive.details["compute mode"] == "exclusive: one process at a time"


def test_the_module_that_declares_it_imports_no_driver() -> None:
    code = "import sys, ingot_cuda; print(*(m in sys.modules for m in ('pycuda', 'cuda', 'numpy')))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False", "False"]


def test_the_key_of_a_kept_answer_changes_with_what_steers_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    from ingot_cuda import CUDA

    before = CUDA().probe_key()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert CUDA().probe_key() != before
