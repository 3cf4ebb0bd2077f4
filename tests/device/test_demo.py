"""``ingot demo`` as a command: without the host, in a pipe, on a terminal, interrupted.

What it trains is tested in `test_training`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import ingot_devices
import pytest
from ingot_tools import demo_plot, demo_train
from ingot_tools.demo_data import regression
from ingot_tools.demo_train import Result

pty = pytest.importorskip("pty", reason="needs a POSIX terminal")
DEMO = [sys.executable, "-m", "ingot_tools", "demo", "--quick"]


def environment(**changes: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "INGOT_FALLBACK")}
    return {**kept, "TERM": "xterm", **changes}


def piped(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own that stands in ``folder``."""
    return subprocess.run(
        [*DEMO, *arguments], cwd=folder, env=environment(**changes), capture_output=True, text=True, timeout=300, check=False
    )


def on_terminal(folder: Path, *arguments: str, interrupt: str = "", **changes: str) -> tuple[int, str]:
    """Exit code and output on a terminal; Ctrl-C when ``interrupt`` is read there."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*DEMO, *arguments], cwd=folder, env=environment(COLUMNS="150", **changes),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while piece := _read(ours):
        shown += piece
        if interrupt and interrupt.encode() in shown:
            child.send_signal(signal.SIGINT)
            interrupt = ""
    os.close(ours)
    return child.wait(60), shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # what Linux says when the other end is closed
        return b""


# ---- the command ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["cpu:0", "opencl:0", "webgpu:0"])
def test_nothing_runs_on_the_host(name: str, tmp_path: Path) -> None:
    if not ingot_devices.is_available(name):
        pytest.skip(f"{name} is not available; `ingot devices` says why")
    done = piped(tmp_path, "--device", name, INGOT_FALLBACK="error")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(name)]
    assert [row[1] for row in rows] == ["regression", "digits"]
    assert all(row[-1] == "0" for row in rows), "the last column is the host's share"
    assert "\x1b" not in done.stdout
    assert (tmp_path / "ingot-demo.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path / "ingot-demo.png") in done.stdout


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    done = piped(tmp_path, "--device", "acne")
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown device 'acne'")


def test_a_terminal_has_a_bar_and_no_color_has_no_colours(tmp_path: Path) -> None:
    code, shown = on_terminal(tmp_path, "--device", "cpu", NO_COLOR="1")
    assert code == 0, shown
    assert "regression on cpu:0" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
    assert "loss curves:" in shown


def test_control_c_is_one_word_and_130(tmp_path: Path) -> None:
    code, shown = on_terminal(tmp_path, "--device", "cpu", interrupt="regression on")
    assert code == 130
    assert "Traceback" not in shown
    assert "interrupted" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is shown again"


# ---- its parts -----------------------------------------------------------------------------------
def test_a_slow_device_runs_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_train, "LIMIT", 1e-9)
    monkeypatch.setattr(demo_train, "SHARE", 0.0)
    result = demo_train.train(regression(0), "cpu:0", 0)
    assert result.reduced
    assert (result.steps, result.total) == (5, 320)


def test_a_picture_goes_where_it_can_be_written(tmp_path: Path) -> None:
    result = Result("cpu:0", "digits", 3, losses=[3.0, 2.0, 1.0])
    assert demo_plot.save_picture([result], tmp_path) == tmp_path / "ingot-demo.png"
    elsewhere = demo_plot.save_picture([result], tmp_path / "missing")
    assert elsewhere.exists()
    assert elsewhere.parent != tmp_path / "missing"


def test_the_mean_is_the_last_epochs() -> None:
    result = Result("cpu:0", "digits", 4, losses=[9.0, 9.0, 1.0, 2.0], epoch=2)
    assert result.loss == 1.5
