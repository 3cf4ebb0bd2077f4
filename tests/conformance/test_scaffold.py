"""What `ingot new-backend` and `ingot new-kernels` write: it is small, it is formatted, it works as it is, and it trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ingot_devices import IngotError
from ingot_tools.scaffold import new
from ingot_tools.scaffold.sizes import count, count_source
from installed import install, run

SMALLEST = 60
SMALLEST_NATIVE = 150
COLUMNS = "100"
SECONDS = "12"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def sources(template: str) -> list[Path]:
    return sorted((new.TEMPLATES / template / "src").rglob("*.py"))


# ---- how much code -----------------------------------------------------------------------------------------------------
def test_the_smallest_backend_is_small() -> None:
    """The pretend driver counted."""
    assert count(sources("host")) <= SMALLEST


def test_the_smallest_native_backend_is_small() -> None:
    """The vendor's part, here the pretend driver, left out."""
    assert count(p for p in sources("native") if p.name != "driver.py") <= SMALLEST_NATIVE


def test_what_is_counted() -> None:
    table = "ROWS = {\n    1: 2,\n    3: 4,\n}\n"
    assert count_source(table) == 3
    assert count_source('"""Text."""\n\n# a comment\nx = 1; y = [1, 2, 3]\n\ndef f():\n    "Text."\n    return x\n') == 4
    assert count_source("match 1:\n    case 1:\n        pass\n") == 3
    assert count_source("f(\n    a=1,\n    b=2,\n)\n") == 3


@pytest.mark.parametrize("template", ["host", "native", "kernels", "backend"])
def test_templates_are_formatted(template: str) -> None:
    """At 100 columns, so that a count of statements is one of lines."""
    command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", COLUMNS, str(new.TEMPLATES / template)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_backend_needs_the_contract_only() -> None:
    for template in ("host", "native"):
        for path in sources(template):
            assert "import ingot\n" not in path.read_text() and "ingot_tools" not in path.read_text(), path


# ---- names and folders -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["Acme", "9x", "a-b", "class", "auto", ""])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(IngotError, match="lower-case letters, digits and underscores") as caught:
        new.backend(name, tmp_path / "x")
    assert repr(name) in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(IngotError, match="not empty; name another folder with --dir"):
        new.backend("acme", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_the_name_is_everywhere(tmp_path: Path) -> None:
    home = new.backend("big_iron", tmp_path / "p", native=True)
    text = "".join(p.read_text() for p in home.rglob("*") if p.is_file())
    assert "acme" not in text.lower() and "@" not in text.replace("@hookimpl", "").replace("@v", "").replace("@pytest", "")
    assert (home / "src/ingot_big_iron/device.py").exists()
    assert "class BigIron(Backend)" in text and 'name = "ingot-big-iron"' in text


# ---- it works at once --------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("native", [False, True], ids=["host", "native"])
def test_a_new_backend_is_green_at_once(native: bool, tmp_path: Path, site: Path) -> None:
    """Its own tests pass: it is found, a sample of conformance is right, it trains (native: with no op on the host)."""
    home = new.backend("acme", tmp_path / "ingot-acme", native)
    install(home, site)
    listed = run(site, "ingot", "devices", "--json", cwd=tmp_path)
    assert "acme:0" in json.loads(listed.stdout)["ready"]
    tests = run(site, "pytest", cwd=home, CONFORMANCE_SECONDS=SECONDS)
    assert tests.returncode == 0 and "3 passed" in tests.stdout, tests.stdout[-3000:]


def test_the_native_backend_trains_the_demo_without_the_host(tmp_path: Path, site: Path) -> None:
    install(new.backend("acme", tmp_path / "ingot-acme", native=True), site)
    done = run(site, "ingot", "demo", "--quick", "--device", "acme:0", cwd=tmp_path, INGOT_FALLBACK="error")
    assert done.returncode == 0, done.stdout + done.stderr
    digits = next(line.split() for line in done.stdout.splitlines() if " digits " in line and "%" in line)
    assert digits[-1] == "0" and "generated" in done.stdout


@pytest.mark.slow
def test_new_kernels_win_at_once(tmp_path: Path, site: Path) -> None:
    home = new.kernels("swift", tmp_path / "ingot-swift")
    install(home, site)
    told = run(site, "ingot", "explain", "silu", cwd=tmp_path, INGOT_DEVICE="cpu")
    assert "registered (swift): taken" in told.stdout, told.stdout + told.stderr
    tests = run(site, "pytest", cwd=home)
    assert tests.returncode == 0 and "2 passed" in tests.stdout, tests.stdout[-3000:]
