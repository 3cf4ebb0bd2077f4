"""What ``import ingot`` costs: nothing of a vendor's, no plugin, and little on top of NumPy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "cupy", "llvmlite", "matplotlib", "pandas", "pyopencl", "pycuda", "pytools", "rich", "safetensors", "scipy", "sklearn",
    "torch", "typer", "wgpu",
}  # fmt: skip


def modules_after(code: str) -> set[str]:
    """The modules of a fresh process that ran ``code``."""
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def after_import() -> set[str]:
    return modules_after("import ingot")


def test_import_brings_no_vendor_library(after_import: set[str]) -> None:
    assert roots(after_import) & HEAVY == set()


def test_import_asks_no_plugin(after_import: set[str]) -> None:
    ours = {name for name in roots(after_import) if name.startswith("ingot")}
    assert ours == {"ingot", "ingot_devices"}


def test_layers_and_files_come_when_they_are_used(after_import: set[str]) -> None:
    late = {"ingot.nn", "ingot.optim", "ingot.utils", "ingot.serialization"}
    assert after_import & late == set()
    used = modules_after("import ingot; ingot.nn.Linear; ingot.optim.SGD; ingot.utils.data.DataLoader; ingot.save")
    assert late <= used
    assert roots(used) & HEAVY == set()


def test_a_question_about_devices_opens_none() -> None:
    """Plugins are light: naming a device imports no driver and no device module."""
    found = modules_after("import ingot; ingot.device('auto'); ingot.cuda.is_available()")
    assert roots(found) & HEAVY == set()
    plugins = {name for name in found if name.startswith("ingot_") and not name.startswith("ingot_devices")}
    assert plugins, "no plugin is installed"
    assert not any(name.endswith(".device") for name in plugins)


def test_the_contract_alone_needs_no_numpy() -> None:
    """The child process of a probe imports it."""
    assert "numpy" not in modules_after("import ingot_devices")
    assert "numpy" not in modules_after("from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl")


def test_the_command_answers_for_help_without_numpy() -> None:
    assert "numpy" not in modules_after("import ingot_tools.cli")


def test_every_export_is_there() -> None:
    missing = "[n for n in m.__all__ if not hasattr(m, n)]"
    code = f"import ingot, ingot_devices, ingot.nn\nfor m in (ingot, ingot_devices, ingot.nn): assert not {missing}"
    modules_after(code)
