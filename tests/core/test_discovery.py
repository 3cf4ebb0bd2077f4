"""Discovery: every plugin ends in a record, and a probe's answer is bounded, checked and kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import finding
import ingot_devices
import pytest
from finding import SLOW, afresh, probes, python, record
from ingot_devices import DeviceUnavailable, discovery, published
from ingot_devices.outcomes import STATES
from planted import BAD, READY, backend, plant

place = finding.place


# ---- plugins that fail ---------------------------------------------------------------------------
def listing(folder: Path) -> tuple[dict[str, Any], float]:
    """``ingot devices --json`` with the plugins planted in ``folder`` and an empty cache, and its seconds."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "INGOT_CACHE_DIR": str(folder / "cache"),
        "INGOT_DISABLE": SLOW,
    }
    environment.pop("INGOT_PROBE_TIMEOUT", None)  # what a user gets who sets nothing
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ingot_tools", "devices", "--json"],
        env=environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    return {r["name"]: r for r in json.loads(done.stdout)["records"]}, seconds


def test_bad_plugins_cost_a_record_each_and_the_listing_ends_in_seven_seconds(tmp_path: Path) -> None:
    _, plain = listing(tmp_path)  # what this machine takes when nothing is wrong
    for name, source in BAD.items():
        plant(tmp_path, name, source)
    found, seconds = listing(tmp_path)
    assert seconds < max(7.0, 5.5 + 3 * plain), f"{seconds:.1f} s; {plain:.1f} s with no bad plugin"
    assert found["cpu"]["state"] == "ready"
    expected = {
        "badimport": ("broken", "RuntimeError: no license file"),
        "badloop": ("broken", "no answer within 5 s"),
        "badhang": ("broken", "no answer within 5 s"),
        "badabort": ("broken", "SIGABRT, saying: fatal: firmware"),
        "badcontract": ("refused", "written for contract 9.0"),
        "badhook": ("broken", "ingot_backends raised KeyError: 'board'"),
    }
    for name, (state, reason) in expected.items():
        assert found[name]["state"] == state, found[name]
        assert reason in found[name]["reason"]
        assert f"INGOT_DISABLE={name}" in found[name]["remedy"]
        assert found[name]["distribution"] == f"planted-{name}"


def test_import_loads_neither_plugins_nor_numpy(tmp_path: Path) -> None:
    plant(tmp_path, "badimport", BAD["badimport"])
    code = "import sys, ingot_devices; print(*sys.modules)"
    loaded = python(code, tmp_path).split()
    assert "ingot_devices" in loaded
    heavy = {"numpy", "pluggy", "importlib.metadata", "planted_badimport"}
    assert heavy.isdisjoint(loaded)


def test_a_plugin_that_raises_at_import_says_where(place: Path) -> None:
    plant(place, "acme", 'raise RuntimeError("no license file")')
    found = record("acme")
    assert found.state == "broken"
    assert found.reason.startswith("importing planted_acme raised RuntimeError: no license file")
    assert "(__init__.py:" in found.reason
    assert found.remedy == ("`pip install --upgrade planted-acme`, or set INGOT_DISABLE=acme to do without it")
    assert "Traceback" in found.detail


def test_a_plugin_that_exits_at_import_is_broken(place: Path) -> None:
    plant(place, "acme", "sys.exit(3)")
    assert "SystemExit: 3" in record("acme").reason


HOOK_FAULTS = {
    "signature": ("@hookimpl\ndef ingot_backends(reg, extra): pass", "ingot_backends(reg, extra)"),
    "unknown": ("@hookimpl\ndef ingot_bakends(register): pass", "the hooks are ingot_backends"),
    "none": ("x = 1", "implements no hook"),
    "class": (
        backend("acme").replace("register(Planted())", "register(Planted)"),
        "hook ingot_backends, register(backend): got the class Planted; register an instance",
    ),
    "no backend": (
        "@hookimpl\ndef ingot_backends(register): register(7)",
        "got int, which is no subclass of ingot_devices.Backend",
    ),
    "name": (backend("acme").replace('"acme"', '"Acme:0"'), "Planted.name is 'Acme:0'; allowed"),
    "reserved": (backend("acme").replace('"acme"', '"auto"'), "Planted.name is 'auto'; allowed"),
    "incomplete": (
        backend("acme").replace("def open", "def opens"),
        "Planted does not define open",
    ),
    "priority": (backend("acme").replace("priority = 10", "priority = 'high'"), "not an integer"),
}


@pytest.mark.parametrize("fault", HOOK_FAULTS)
def test_registration_faults_name_plugin_and_fault(place: Path, fault: str) -> None:
    source, message = HOOK_FAULTS[fault]
    plant(place, "acme", source)
    found = record("acme")
    assert found.state == "broken"
    assert message in found.reason
    assert "'acme'" in found.reason
    with pytest.raises(DeviceUnavailable, match="ContractError"):
        discovery.open_device("acme")


def test_a_backend_declared_before_the_hook_raises_is_not_kept(place: Path) -> None:
    source = backend("acme").replace("register(Planted())", "register(Planted()); 1 / 0")
    plant(place, "acme", source)
    assert record("acme").state == "broken"
    assert not discovery.is_available("acme")


@pytest.mark.parametrize("where", ["module", "backend"])
@pytest.mark.parametrize(
    ("version", "state", "upgrade"),
    [
        ((1, 0), "ready", ""),
        ((2, 0), "refused", "ingot-devices"),
        ((1, 1), "refused", "ingot-devices"),
        ((0, 9), "refused", "planted-acme"),
        ("1.0", "refused", "planted-acme"),
    ],
)
def test_contract_version(place: Path, where: str, version: Any, state: str, upgrade: str) -> None:
    source = backend("acme")
    if where == "module":
        source = f"INGOT_CONTRACT = {version!r}\n" + source
    else:
        source = source.replace("    vendor", f"    contract = {version!r}\n    vendor")
    package = plant(place, "acme", source)
    found = record("acme")
    assert found.state == state, found
    assert f"--upgrade {upgrade}`" in found.remedy or state == "ready"
    assert probes(package) == (state == "ready")


def test_no_hook_runs_where_the_module_speaks_another_contract(place: Path) -> None:
    ran = place / "ran"
    hook = f"@hookimpl\ndef ingot_backends(register): Path({str(ran)!r}).touch()"
    plant(place, "acme", "INGOT_CONTRACT = (9, 0)\n" + hook)
    assert record("acme").state == "refused"
    assert not ran.exists()


def test_disable(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(place, "acme", 'raise RuntimeError("must not be imported")')
    plant(place, "twin", backend("zeta"))
    monkeypatch.setenv("INGOT_DISABLE", f"acme, zeta,{SLOW}")
    assert record("acme").state == "disabled"
    assert record("zeta").state == "disabled"
    assert "INGOT_DISABLE" in record("acme").remedy
    with pytest.raises(DeviceUnavailable, match="switched off by INGOT_DISABLE"):
        discovery.open_device("acme:0")


def test_two_plugins_with_one_backend_name(place: Path) -> None:
    plant(place, "alpha", backend("acme"))
    plant(place, "beta", backend("acme"))
    refused = [r for r in discovery.records() if r.state == "refused"]
    assert [r.plugin for r in refused] == ["beta"]
    assert "planted-beta (beta) declares the backend 'acme'" in refused[0].reason
    assert "planted-alpha (alpha)" in refused[0].reason
    assert discovery.is_available("acme")


def test_two_distributions_with_one_entry_point(place: Path) -> None:
    plant(place, "acme", backend("acme"))
    plant(place, "acme", backend("other"), module="planted_second")
    refused = [r for r in discovery.records() if r.state == "refused"]
    assert "the entry point 'acme' of planted-second is also one of planted-acme" in refused[0].reason


def test_states_are_the_documented_ones(place: Path) -> None:
    assert STATES == ("ready", "no hardware", "broken", "refused", "disabled", "not installed")
    assert {r.state for r in discovery.records()} <= set(STATES)


# ---- probes --------------------------------------------------------------------------------------
PROBE_FAULTS = {
    "raises": ('raise OSError("bus error 7")', "broken", "probe() raised OSError: bus error 7"),
    "exits": ("sys.exit(4)", "broken", "probe() raised SystemExit: 4"),
    "dies": ("os._exit(4)", "broken", "ended with exit code 4 and no answer"),
    "nonsense": ("return 42", "broken", "probe() returned 42; allowed are a list of DeviceInfo"),
    "nothing": ("return []", "no hardware", "its probe found no device"),
    "unavailable": ('return Unavailable("no board", "plug it in")', "no hardware", "no board"),
}


@pytest.mark.parametrize("fault", PROBE_FAULTS)
def test_probe_faults(place: Path, fault: str) -> None:
    probe, state, reason = PROBE_FAULTS[fault]
    plant(place, "acme", backend("acme", probe))
    found = record("acme")
    assert (found.state, reason in found.reason) == (state, True), found
    assert found.remedy or fault == "nothing"
    with pytest.raises(DeviceUnavailable, match="cpu:0") as caught:
        discovery.open_device("acme")
    assert reason in str(caught.value)
    assert caught.value.record == found


def test_a_probe_out_of_time_is_killed_with_what_it_started(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = 'import subprocess; child = subprocess.Popen(["sleep", "600"])'
    tell = '(HERE / "pid").write_text(str(child.pid)); time.sleep(600)'
    package = plant(place, "acme", backend("acme", f"{start}; {tell}"))
    monkeypatch.setenv("INGOT_PROBE_TIMEOUT", "2")
    assert "gave no answer within 2 s" in record("acme").reason
    pid = int((package / "pid").read_text())
    status = Path(f"/proc/{pid}/stat")
    time.sleep(0.2)
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_an_interrupted_question_leaves_no_probe_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingot_devices import probing

    started: list[Any] = []

    def interrupted(child: Any) -> None:
        started.append(child)
        raise KeyboardInterrupt

    plant(place, "acme", backend("acme", "time.sleep(600)"))
    monkeypatch.setattr(probing, "_finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record("acme")
    assert started[0].process.poll() == -9
    for file in (started[0].out, started[0].err):
        file.close()


def test_what_a_probe_prints_is_not_its_answer(place: Path) -> None:
    noise = 'print("driver banner"); os.write(1, b"{}\\n"); ' + READY
    plant(place, "acme", backend("acme", noise))
    assert record("acme").ready == ("acme:0",)


def test_a_probe_that_asks_for_devices_starts_no_probes(place: Path) -> None:
    asks = "import ingot_devices as d; return [DeviceInfo(r.reason) for r in d.records() "
    package = plant(place, "acme", backend("acme", asks + 'if r.name == "acme"]'))
    assert "while the probe of another backend runs" in record("acme").devices[0].name
    assert probes(package) == 1


def test_an_answer_is_kept_until_its_key_changes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = plant(place, "acme", backend("acme"))
    for key, expected in (("a", 1), ("a", 1), ("b", 2)):
        monkeypatch.setenv("PLANTED_KEY", key)
        afresh(monkeypatch)
        assert record("acme").ready == ("acme:0",)
        assert probes(package) == expected
    (package / "device.py").touch()  # a plugin under development
    afresh(monkeypatch)
    assert record("acme").ready
    assert probes(package) == 3


def test_a_bad_answer_is_kept_briefly_and_asked_anew_on_demand(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = plant(place, "acme", backend("acme", 'return Unavailable("no board")'))
    for _ in range(2):
        afresh(monkeypatch)
        assert record("acme").state == "no hardware"
    assert probes(package) == 1
    discovery.rescan(fresh=True)
    assert probes(package) == 2
    from ingot_devices import probing

    monkeypatch.setattr(probing, "OTHERWISE_FOR", 0.0)
    afresh(monkeypatch)
    assert record("acme").state == "no hardware"
    assert probes(package) == 3


def test_one_kind_is_asked_alone(place: Path) -> None:
    acme, zeta = plant(place, "acme", backend("acme")), plant(place, "zeta", backend("zeta"))
    assert discovery.is_available("acme")
    assert (probes(acme), probes(zeta)) == (1, 0)


def test_a_device_with_a_fault_is_listed_and_not_offered(place: Path) -> None:
    bad = 'DeviceInfo("old board", fault="its firmware is too old", remedy="flash it")'
    plant(place, "acme", backend("acme", f'return [{bad}, DeviceInfo("new board")]'))
    assert record("acme").ready == ("acme:1",)
    assert discovery.resolve_name("acme") == "acme:1"
    assert discovery.device_count("acme") == 1
    assert not discovery.is_available("acme:0")
    with pytest.raises(DeviceUnavailable, match=r"acme:0.*too old\. Remedy: flash it"):
        discovery.open_device("acme:0")


def test_a_backend_whose_devices_all_have_faults_is_broken(place: Path) -> None:
    bad = 'return [DeviceInfo("board", fault="no linker", remedy="install binutils")]'
    plant(place, "acme", backend("acme", bad))
    found = record("acme")
    assert (found.state, found.reason) == ("broken", "board: no linker")
    assert (found.remedy, len(found.devices)) == ("install binutils", 1)


# ---- published backends --------------------------------------------------------------------------
def test_a_published_backend_that_is_not_installed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = '{"backends": [{"name": "acme", "distribution": "ingot-acme", "vendor": "Acme", '
    planted += '"hardware": "Acme board", "paths": [], "remedy": "`pip install ingot-acme`"}]}'
    monkeypatch.setattr(published, "_text", lambda: planted)
    entry = record("acme")
    assert entry.state == "not installed"
    assert entry.reason.endswith("no Acme board seen on this machine")
    assert f"{entry.distribution} is not installed" in entry.reason
    assert "pip install" in entry.remedy
    with pytest.raises(DeviceUnavailable) as caught:
        discovery.open_device(entry.name)
    assert entry.reason in str(caught.value)
    assert entry.remedy in str(caught.value)


def test_hardware_is_seen_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"paths": [str(tmp_path / "dev*")], "pci": [{"vendor": "0x10de", "class": "0x03"}]}
    monkeypatch.setattr(published, "_PCI", str(tmp_path / "bus"))
    assert published.see(entry) == ""
    for slot, kind in (("00:1f.0", "0x060100"), ("01:00.0", "0x030000")):
        card = tmp_path / "bus" / slot
        card.mkdir(parents=True)
        (card / "vendor").write_text("0x10de\n")
        (card / "class").write_text(f"{kind}\n")
    assert published.see(entry) == "PCI 01:00.0"
    (tmp_path / "dev0").touch()
    assert published.see(entry) == str(tmp_path / "dev0")


def test_published_backends_are_well_formed() -> None:
    entries = published.not_installed(())
    assert len({e.name for e in entries}) == len(entries) >= 4
    assert all(e.remedy.startswith("`pip install ") and e.distribution for e in entries)


# ---- the package ---------------------------------------------------------------------------------
def test_exports_exist_and_are_sorted() -> None:
    assert sorted(ingot_devices.__all__, key=lambda n: (n.islower(), not n.isupper(), n)) == list(ingot_devices.__all__)
    for name in ingot_devices.__all__:
        assert getattr(ingot_devices, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ingot_devices.nonsense
