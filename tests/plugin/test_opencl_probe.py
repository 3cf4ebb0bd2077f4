"""OpenCL's probe: a driver that cannot build kernels is named with the remedy, and that is all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import discovery


@pytest.fixture(scope="module", autouse=True)
def opencl() -> None:
    """Skips the module where OpenCL is not ready, and says why."""
    found = discovery.record("opencl")
    if found is None or not found.ready:
        pytest.skip(found.sentence() if found else "no record of opencl")


def listing(cache: Path, **environment: str) -> dict[str, Any]:
    """``ingot devices --json`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ingot_tools", "devices", "--json"],
        env={**os.environ, "INGOT_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def record(found: dict[str, Any]) -> dict[str, Any]:
    return next(r for r in found["records"] if r["name"] == "opencl")


def test_every_device_is_described(tmp_path: Path) -> None:
    import pyopencl as cl

    there = [d for p in cl.get_platforms() for d in p.get_devices()]
    devices = record(listing(tmp_path))["devices"]
    assert [d["name"] for d in devices] == [d.name.strip() for d in there]
    assert all(d["memory"] > 0 and d["compute_units"] > 0 and d["driver"] for d in devices)


def test_a_cpu_comes_after_the_cpu_itself(tmp_path: Path) -> None:
    for device in record(listing(tmp_path))["devices"]:
        priority = device["priority"]
        assert (priority is not None and priority < 0) == (device["details"]["type"] == "CPU")


def test_without_a_linker_the_remedy_is_binutils(tmp_path: Path) -> None:
    found = listing(tmp_path / "cache", PATH=str(tmp_path))
    mine = record(found)
    portable = [d for d in mine["devices"] if "Portable" in d["details"]["platform"]]
    if not portable:
        pytest.skip("no PoCL here, which alone links with ld")
    for device in portable:
        if device["ready"] or "older than this CPU" in device["fault"]:
            continue  # some builds of PoCL bring a linker along, and some fail before they need one
        assert "PoCL finds no linker" in device["fault"]
        assert "install binutils" in device["remedy"]
    assert any(name.startswith("cpu") for name in found["ready"])


@pytest.mark.parametrize(
    ("said", "fault", "remedy"),
    [
        ("clBuildProgram failed\n\nerror: unknown target CPU 'generic'\n", "older than this CPU", "pocl-opencl-icd"),
        ("clBuildProgram failed\n\nerror: no room for spills\n(options: -w)", "(error: no room for spills)", "update"),
        ("clCreateContext failed: DEVICE_NOT_AVAILABLE", "(clCreateContext failed: DEVICE_NOT_AVAILABLE)", "update"),
        ("", "nothing was said", "update"),
    ],
)
def test_a_failed_build_is_told_by_what_the_compiler_said(said: str, fault: str, remedy: str) -> None:
    from ingot_opencl.probe import _explain

    found = _explain(said)
    assert fault in found[0]
    assert "\n" not in found[0]
    assert remedy in found[1]


def test_a_compiler_that_gives_wrong_results_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from ingot_opencl import probe

    index = int(next(name for name in discovery.ready() if name.startswith("opencl")).partition(":")[2])
    assert probe._build(probe.devices()[index]) == ("", "")
    monkeypatch.setattr(probe, "_BYTES", probe._BYTES.replace("found[0] | found[1]", "found[0]"))
    fault, remedy = probe._build(probe.devices()[index])
    assert "wrong results" in fault
    assert "POCL_KERNELLIB_NAME" in remedy


def test_the_answer_is_kept_and_a_changed_driver_asked_anew(tmp_path: Path) -> None:
    others = ",".join(r["name"] for r in listing(tmp_path / "all")["records"] if r["name"] != "opencl")
    listing(tmp_path, INGOT_DISABLE=others)
    (kept,) = (tmp_path / "probes").iterdir()
    before = kept.stat().st_mtime_ns
    listing(tmp_path, INGOT_DISABLE=others)
    assert kept.stat().st_mtime_ns == before
    listing(tmp_path, INGOT_DISABLE=others, POCL_DEVICES=os.environ.get("POCL_DEVICES", "pthread"))
    changed = "POCL_DEVICES" not in os.environ
    assert (kept.stat().st_mtime_ns != before) == changed


def test_the_module_that_declares_it_imports_no_driver() -> None:
    code = "import sys, ingot_opencl; print('pyopencl' in sys.modules, 'numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
