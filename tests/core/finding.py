"""What the tests of discovery share: a place for planted plugins, records, fresh interpreters.

A test module takes the fixture by assignment (``place = finding.place``).
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ingot_devices import Record, discovery
from ingot_devices.catalog import Catalog
from ingot_devices.registry import registry

SLOW = "opencl,cuda,webgpu"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to plant plugins in, and a discovery that has seen nothing yet."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("INGOT_DEVICE", "PLANTED_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INGOT_DISABLE", SLOW)  # a real driver has no say here, and takes its time
    afresh(monkeypatch)
    yield folder
    for module in [m for m in sys.modules if m.startswith("planted_")]:
        del sys.modules[module]


def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process knows; the disk cache stays."""
    importlib.invalidate_caches()
    monkeypatch.setattr(discovery, "_catalog", Catalog())
    monkeypatch.setattr(discovery, "_opened", {})
    monkeypatch.setattr(discovery, "_kernels", [])
    monkeypatch.setattr(registry, "_kernels", {})  # else each plugin's kernels would be there once more afterwards


def record(name: str) -> Record:
    found = discovery.record(name)
    assert found is not None, f"no record of {name}"
    return found


def probes(package: Path) -> int:
    """How often the planted plugin was probed."""
    log = package / "probed"
    return len(log.read_text()) if log.exists() else 0


def python(code: str, *folders: Path, **environment: str) -> str:
    """Standard output of a fresh interpreter."""
    path = os.pathsep.join(str(f) for f in folders)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
