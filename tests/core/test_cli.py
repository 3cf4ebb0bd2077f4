"""The ``ingot`` command: what it prints, its exit codes, errors of one sentence and a remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted import backend, plant

OTHERS = "opencl,cuda,webgpu"  # real drivers have no say here


class Run:
    """The command in a process of its own, with planted plugins and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.site),
            "INGOT_CACHE_DIR": str(folder / "cache"),
            "INGOT_DISABLE": OTHERS,
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                "-W",
                "error::DeprecationWarning:ingot",
                "-m",
                "ingot_tools",
                *arguments,
            ],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def ingot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("INGOT_DEVICE", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return Run(tmp_path)


# ---- devices -------------------------------------------------------------------------------------
def test_devices_json_has_a_versioned_schema(ingot: Run) -> None:
    plant(ingot.site, "acme", backend("acme", priority=999))
    plant(ingot.site, "lame", backend("lame", 'return Unavailable("no board", "plug it in")'))
    done = ingot("devices", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["schema"], found["schema_version"]) == ("ingot.devices", 1)
    assert found["auto"] == "acme:0"
    assert {"acme:0", "cpu:0", "sim:0"} <= set(found["ready"])
    records = {r["name"]: r for r in found["records"]}
    assert records["lame"]["state"] == "no hardware"
    assert (records["lame"]["reason"], records["lame"]["remedy"]) == ("no board", "plug it in")
    (board,) = records["acme"]["devices"]
    assert (board["device"], board["ready"], board["memory"]) == ("acme:0", True, 1 << 20)


def test_devices_prints_every_record(ingot: Run) -> None:
    plant(ingot.site, "acme", backend("acme", priority=999))
    plant(ingot.site, "lame", 'raise RuntimeError("no [license] file")')
    done = ingot("devices")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout  # no colours in a pipe
    lines = done.stdout.splitlines()
    assert any(line.startswith("acme:0") and "ready (auto)" in line for line in lines)
    assert any(line.startswith("lame") and "no [license] file" in line for line in lines)
    assert "remedy: `pip install --upgrade planted-lame`" in done.stdout
    assert any(line.startswith("opencl") and "disabled" in line for line in lines)


def test_devices_asks_a_bad_one_again(ingot: Run) -> None:
    probe = 'return [DeviceInfo("b")] if (HERE / "mended").exists() else Unavailable("broken cable")'
    package = plant(ingot.site, "acme", backend("acme", probe))
    assert "broken cable" in ingot("devices").stdout
    (package / "mended").touch()
    assert "broken cable" not in ingot("devices").stdout


def test_no_device_ends_with_one_and_says_why(ingot: Run) -> None:
    off = f"cpu,sim,{OTHERS}"
    done = ingot("devices", INGOT_DISABLE=off)
    assert done.returncode == 1
    assert "No device is ready" in done.stdout
    found = json.loads(ingot("devices", "--json", INGOT_DISABLE=off).stdout)
    assert (found["ready"], found["auto"]) == ([], None)
    assert "switched off by INGOT_DISABLE" in found["auto_error"]


def test_a_closed_pipe_is_no_error(ingot: Run) -> None:
    command = f"{sys.executable} -m ingot_tools devices --json | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=ingot.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{", "")


# ---- the others ----------------------------------------------------------------------------------
def test_cache_shows_and_clears(ingot: Run) -> None:
    plant(ingot.site, "acme", backend("acme"))
    assert "is empty" in ingot("cache").stdout
    ingot("devices")
    shown = ingot("cache").stdout
    assert "probes" in shown
    assert ingot.environment["INGOT_CACHE_DIR"] in shown
    assert "removed 1 files" in ingot("cache", "--clear").stdout
    assert "is empty" in ingot("cache").stdout


def test_doctor_says_pass_and_fail(ingot: Run) -> None:
    plant(ingot.site, "acme", backend("acme", open='raise OSError("the board is busy")'))
    plant(ingot.site, "dead", backend("dead", open="os.abort()"))
    done = ingot("doctor", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    checks = {c["device"]: c for c in found["checks"]}
    assert checks["cpu:0"]["ok"], checks["cpu:0"]["reason"]
    assert checks["cpu:0"]["passed"] == ["open", "add", "matmul", "sum", "gradient"]
    assert "the board is busy" in checks["acme:0"]["reason"]
    assert "its process ended with -6" in checks["dead:0"]["reason"]
    assert {"python", "platform", "numpy", "ingot-devices", "planted-acme"} <= set(found["versions"])


def test_doctor_prints_a_table(ingot: Run) -> None:
    done = ingot("doctor", "--device", "cpu")
    assert done.returncode == 0, done.stdout
    assert any(line.startswith("cpu:0") and "PASS" in line for line in done.stdout.splitlines())
    assert "numpy" in done.stdout


def test_doctor_of_an_unknown_device(ingot: Run) -> None:
    done = ingot("doctor", "--device", "acne")
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown device 'acne'")


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_explain_names_the_route(ingot: Run, dtype: str) -> None:
    done = ingot("explain", "add", "--device", "cpu", "--dtype", dtype)
    assert done.returncode == 0, done.stderr
    assert "add" in done.stdout
    found = json.loads(ingot("explain", "add", "-d", "cpu", "-t", dtype, "--json").stdout)
    assert (found["schema"], found["schema_version"]) == ("ingot.explain", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain", "ad", "-d", "cpu"), "error: no op is called 'ad'"),
        (("explain", "add", "-d", "cpu", "-t", "float31"), "error: unknown dtype 'float31'"),
        (("explain", "add", "-d", "acne"), "error: unknown device 'acne'"),
        (("explain", "add", "-d", "cpu", "--shape", "3y"), "error: --shape 3y: not a shape"),
        (("explain", "sum", "-d", "cpu", "--set", "axes"), "error: --set axes: write NAME=VALUE"),
    ],
)
def test_explain_faults(ingot: Run, arguments: tuple[str, ...], message: str) -> None:
    done = ingot(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


# ---- errors --------------------------------------------------------------------------------------
def test_debug_adds_the_traceback_wherever_it_stands(ingot: Run) -> None:
    arguments = ("explain", "add", "-d", "acne")
    for given in (("--debug", *arguments), (*arguments, "--debug")):
        done = ingot(*given)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "error: unknown device 'acne'" in done.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("devices", "--nonsense"), ("explain",)])
def test_a_wrong_command_line_ends_with_two(ingot: Run, arguments: tuple[str, ...]) -> None:
    done = ingot(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_version_and_help(ingot: Run) -> None:
    assert ingot("--version").stdout.startswith("ingot ")
    done = ingot("--help")
    assert done.returncode == 0
    for command in ("devices", "doctor", "explain", "demo", "cache"):
        assert command in done.stdout


# ---- commands of plugins -------------------------------------------------------------------------
COMMANDS = """
@hookimpl
def ingot_commands(app):
    @app.command("acme-flash")
    def flash(image: str) -> None:
        "Write IMAGE to the board."
        {body}
"""


def test_a_plugin_adds_a_command(ingot: Run) -> None:
    plant(ingot.site, "acme", COMMANDS.format(body='print("flashed", image)'))
    assert "acme-flash" in ingot("--help").stdout
    done = ingot("acme-flash", "v2.bin")
    assert (done.returncode, done.stdout) == (0, "flashed v2.bin\n")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('raise OSError("no such image")', 1, "error: no such image"),
        ("1 / 0", 70, "internal error: ZeroDivisionError: division by zero. Run it again with"),
        ("raise KeyboardInterrupt", 130, ""),
    ],
)
def test_exit_codes(ingot: Run, body: str, code: int, message: str) -> None:
    plant(ingot.site, "acme", COMMANDS.format(body=body))
    done = ingot("acme-flash", "v2.bin")
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_in_the_commands_hook_is_a_note(ingot: Run) -> None:
    plant(ingot.site, "acme", "@hookimpl\ndef ingot_commands(app):\n    app.comand()\n")
    done = ingot("devices")
    assert done.returncode == 0
    assert "note on acme: ingot_commands raised AttributeError" in done.stdout
