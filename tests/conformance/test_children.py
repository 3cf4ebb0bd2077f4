"""Children that crash, hang, end or are ended: each costs what it has to, and what it was is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingot_tools.conformance import conduct as conducting
from ingot_tools.conformance.child import Child
from ingot_tools.conformance.conduct import conduct
from ingot_tools.conformance.levels import cases
from ingot_tools.conformance.result import CRASHED, PASSED
from installed import paths
from planting import DEVICE, Planted


def test_a_crash_costs_one_case(tmp_path: Path) -> None:
    found = Planted(tmp_path, "crash").report("pointwise/value/exp/float32", "pointwise/value/neg/float32", code=1)
    (wrong,) = found["wrong"]
    assert wrong["case"] == "pointwise/value/exp/float32" and wrong["status"] == CRASHED
    assert "SIGABRT" in wrong["message"]
    assert found["grid"]["neg"]["float32"]["state"] == "generated", "the case behind the crash ran"
    assert found["ran"] == found["asked"] == 2


def test_a_product_that_crashes_costs_its_own_cases(tmp_path: Path) -> None:
    """The device is measured by one before all cases: whose fault it is, and that nothing is known, is said."""
    found = Planted(tmp_path, "no product").report("value/neg/float32", "contraction/value/mm/float32", code=1)
    (wrong,) = found["wrong"]
    assert wrong["case"] == "contraction/value/mm/float32" and "ended with 139" in wrong["message"]
    assert found["grid"]["neg"]["float32"]["state"] == "generated"
    (note,) = found["notes"]
    assert "product of 48×48 float32 was asked for, and the process ended with 139" in note and "nothing was left out" in note


def test_a_product_that_hangs_is_waited_for_as_a_case_is(tmp_path: Path) -> None:
    done = Planted(tmp_path, "endless product").conformance("--only", "value/neg/float32", "--patience", "15")
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("no answer for 15 s", "nothing was left out for it", "are right"):
        assert text in done.stdout


def test_what_hangs_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "HANGS", 2)
    monkeypatch.setattr(Child, "__init__", never_answers)
    wanted = [c for c in cases() if c.name.startswith("pointwise/value/abs/")][:4]
    waited: list[str] = []
    watcher = conducting.Watcher()
    monkeypatch.setattr(watcher, "waits", lambda case, seconds, patience: waited.append(case), raising=False)
    monkeypatch.setattr(conducting, "TICK", 0.05)
    made = conduct("cpu:0", wanted, watcher=watcher, patience=0.2)
    assert [r.case for r in made.results] == [wanted[0].name] and made.left == [c.name for c in wanted[1:]]
    assert "the rest was not run: the process was lost 2 times, 2 of them because no answer came" in made.notes[1]
    assert {"pace", wanted[0].name} == set(waited), "whoever waits is told for what"


def never_answers(self: Child, device: str, names: list[str], alone: bool, pace: Any) -> None:
    """A child that begins its first case and no more."""
    lines = (json.dumps({"ready": device, "facts": {}}), json.dumps({"begin": names[0]}))
    command = [sys.executable, "-c", f"import time; print({chr(10).join(lines)!r}, flush=True); time.sleep(60)"]
    self.start(command, {**os.environ}, names)


def test_a_device_that_does_not_open_says_how(tmp_path: Path) -> None:
    done = Planted(tmp_path, "no board").conformance("--only", "value/neg/float32")
    assert done.returncode == 1 and "error: conformance could not begin: the process ended with 3" in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_the_command_ends_its_worker(ending: signal.Signals, tmp_path: Path) -> None:
    planted = Planted(tmp_path, "endless product")
    code = f"from ingot_tools.cli import main; main(['conformance', {DEVICE!r}, '--only', 'value/neg/float32'])"
    environment = {**os.environ, **paths(planted.site), "INGOT_DISABLE": "opencl,cuda,webgpu"}
    command = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    pid = tmp_path / "hung"
    until(lambda: pid.exists() and bool(pid.read_text()))
    command.send_signal(ending)
    assert command.wait(timeout=30) == {signal.SIGTERM: 143, signal.SIGINT: 130}[ending]
    until(lambda: not Path(f"/proc/{pid.read_text()}").exists())


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until ``holds`` does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.1)


def test_a_hang_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Planted(tmp_path, "hang")
    monkeypatch.setattr(conducting, "PATIENCE", 15.0)
    monkeypatch.syspath_prepend(str(planted.site))
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("INGOT_DISABLE", "opencl,cuda,webgpu")
    wanted = [c for c in cases() if c.name in ("pointwise/value/exp/float32", "pointwise/value/neg/float32")]
    found = {r.case: r for r in conduct(DEVICE, wanted).results}
    assert found["pointwise/value/exp/float32"].status == CRASHED
    assert "no answer" in found["pointwise/value/exp/float32"].message
    assert found["pointwise/value/neg/float32"].status == PASSED


def test_a_child_runs_so_many_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    begin = Child.__init__

    def counted(self: Child, device: str, names: list[str], *given: Any) -> None:
        children.append(len(names))
        begin(self, device, names, *given)

    monkeypatch.setattr(conducting, "MANY", 2)
    monkeypatch.setattr(Child, "__init__", counted)
    wanted = [c for c in cases() if c.name.startswith("pointwise/value/abs/")][:5]
    assert [r.case for r in conduct("cpu:0", wanted).results] == [c.name for c in wanted]
    assert children == [2, 2, 2], "the first thing that the first one does is to time a product"
