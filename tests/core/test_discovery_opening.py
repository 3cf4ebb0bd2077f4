"""Discovery: opening and choosing devices, what comes with them, and what a fork leaves of them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import finding
import pytest
from finding import SLOW, afresh, probes, python, record
from ingot_devices import DeviceUnavailable, Record, discovery
from ingot_devices.registry import registry
from planted import backend, plant

place = finding.place


# ---- opening -------------------------------------------------------------------------------------
def test_open_gives_name_pool_and_one_object(place: Path) -> None:
    plant(place, "acme", backend("acme"))
    device = discovery.open_device("acme")
    assert (device.name, device.kind, device.index) == ("acme:0", "acme", 0)
    assert discovery.open_device("acme:0") is device
    assert device.pool.device is device
    assert discovery.open_devices() == [device]


def test_threads_open_a_device_once(place: Path) -> None:
    plant(place, "acme", backend("acme"))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(discovery.open_device("acme"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(d) for d in found}) == 1
    assert type(found[0]).opened == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('raise OSError("the board is busy")', "raised OSError: the board is busy"),
        ("sys.exit(1)", "raised SystemExit: 1"),
        (
            "from ingot_devices import Device; device = Device(); device.limits = dict(memory=64); return device",
            r"Device\.limits is a dict; it must be an ingot_devices\.Limits, written Limits\(memory=…",
        ),
        ("return 7", r"Planted\.open\(index\) returned int, which is no ingot_devices\.Device"),
    ],
)
def test_open_faults_name_plugin_and_reason(place: Path, body: str, message: str) -> None:
    package = plant(place, "acme", backend("acme", open=body))
    with pytest.raises(DeviceUnavailable, match=message) as caught:
        discovery.open_device("acme")
    assert "open() of plugin 'acme' (planted-acme 1.0)" in str(caught.value)
    assert "Available: cpu:0" in str(caught.value)
    assert isinstance(caught.value.record, Record)
    assert caught.value.record.state == "broken"
    assert probes(package) == 1
    discovery.rescan()
    assert probes(package) == 2  # the remembered answer had been too hopeful


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("acne", "unknown device 'acne': no backend is called 'acne'. Did you mean 'acme'?"),
        ("acme:7", "device 'acme:7' does not exist: acme has 1"),
        ("acme:x", "'acme:x' is not the name of a device"),
        ("", "'' is not the name of a device"),
        (":0", "':0' is not the name of a device"),
        ("tool", "'tool' is no device: the plugin brings no device of its own"),
    ],
)
def test_names_that_mean_no_device(place: Path, spec: str, message: str) -> None:
    plant(place, "acme", backend("acme"))
    plant(place, "tool", "@hookimpl\ndef ingot_commands(app): pass")
    with pytest.raises(DeviceUnavailable) as caught:
        discovery.open_device(spec)
    assert message in str(caught.value)
    assert not discovery.is_available(spec)


def test_a_lost_device_stays_until_it_is_reset(place: Path) -> None:
    plant(place, "acme", backend("acme"))
    old = discovery.open_device("acme")
    old.lost = True
    assert discovery.open_device("acme") is old
    new: Any = discovery.reset_device("acme")
    assert new is not old
    assert (new.lost, getattr(old, "closed", None)) == (False, 1)
    assert discovery.open_device("acme") is discovery.open_device("acme:0") is new


def test_a_fault_while_closing_is_a_note(place: Path) -> None:
    plant(place, "acme", backend("acme"))
    old: Any = discovery.open_device("acme")
    old.close = lambda: 1 / 0
    assert discovery.reset_device("acme") is not old
    assert old.lost
    assert "closing acme:0 raised ZeroDivisionError" in record("acme").notes[0]


# ---- choosing ------------------------------------------------------------------------------------
def test_auto_takes_the_highest_priority(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    low = 'return [DeviceInfo("a", priority=1), DeviceInfo("b", priority=1001)]'
    plant(place, "acme", backend("acme", low, priority=2))
    plant(place, "zeta", backend("zeta", priority=1000))
    assert discovery.best() == "acme:1"
    assert discovery.ready()[:2] == ["acme:1", "zeta:0"]
    assert discovery.open_device("auto").name == "acme:1"
    monkeypatch.setenv("INGOT_DEVICE", "zeta")
    assert discovery.best() == "zeta:0"
    assert discovery.open_device("auto").name == "zeta:0"


def test_ingot_device_fails_loudly(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_DEVICE", "nothing")
    with pytest.raises(DeviceUnavailable, match="INGOT_DEVICE=nothing: unknown device"):
        discovery.open_device("auto")


def test_sim_is_chosen_only_when_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = discovery.ready()
    assert names.index("cpu:0") < names.index("sim:0")
    others = {r.name for r in discovery.records()} - {"sim"}
    monkeypatch.setenv("INGOT_DISABLE", ",".join(others))
    afresh(monkeypatch)
    assert discovery.best() == "sim:0"


def test_no_device_at_all_says_why(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_DISABLE", ",".join(r.name for r in discovery.records()))
    afresh(monkeypatch)
    with pytest.raises(DeviceUnavailable, match=r"No device is ready \(.*cpu: disabled: switched off"):
        discovery.best()


# ---- allocators and kernels ----------------------------------------------------------------------
ALLOCATOR = """
class Arena:
    served = 0
    def allocate(self, nbytes):
        Arena.served += 1
        return bytearray(nbytes)
    def release(self, handle): pass

@hookimpl
def ingot_allocators(register):
    register("acme", Arena())
"""


def test_an_allocator_replaces_the_devices_own(place: Path) -> None:
    plant(place, "acme", backend("acme"))
    plant(place, "arena", ALLOCATOR)
    device = discovery.open_device("acme")
    block = device.pool.allocate(1 << 12)
    served: Any = sys.modules["planted_arena"]
    assert served.Arena.served == 1
    assert record("arena").state == "ready"
    del block


def test_a_second_allocator_is_refused(place: Path) -> None:
    plant(place, "arena", ALLOCATOR)
    plant(place, "berth", ALLOCATOR)
    assert record("berth").state == "refused"
    assert "allocator for 'acme', as planted-arena (arena) does" in record("berth").reason


def test_an_allocator_without_release(place: Path) -> None:
    plant(place, "arena", ALLOCATOR.replace("def release", "def free"))
    assert "register(kind, allocator): Arena does not define release" in record("arena").reason


KERNELS = """
from ingot_devices.registry import Kernel

@hookimpl
def ingot_kernels(register):
    register(Kernel("add", "acme", lambda request: None, priority={priority}))
    {then}
"""


@pytest.fixture
def kernels(place: Path) -> Iterator[Path]:
    """The place, with a registry that forgets the planted kernels afterwards."""
    yield place
    for owner in ("alpha", "beta", "acme"):
        registry.remove(owner)


def test_kernels_are_registered_when_a_device_is_opened(kernels: Path) -> None:
    plant(kernels, "acme", backend("acme"))
    plant(kernels, "alpha", KERNELS.format(priority=5, then="pass"))
    assert registry.candidates("add", "acme") == []
    discovery.open_device("acme")
    assert [k.owner for k in registry.candidates("add", "acme")] == ["alpha"]


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("1 / 0", "ingot_kernels raised ZeroDivisionError"),
        ("register(7)", "hook ingot_kernels, register(kernel): got 7, which is no"),
        ('register(Kernel("sub", "acme", None, layout="odd"))', "layout 'odd' is none of"),
        ('register(Kernel("sub", "acme:0", None))', "it is for a kind of device, 'acme', and not for 'acme:0' alone"),
        ('register(Kernel("sub", "acme", None, dtypes=("float32",)))', "dtypes is a sequence as (dtypes.float32, "),
        ('register(Kernel("sub", "acme", None, dtypes="float32"))', "or None for all; given: 'float32'"),
    ],
)
def test_a_fault_in_the_kernels_hook_keeps_none_of_them(kernels: Path, then: str, message: str) -> None:
    plant(kernels, "acme", backend("acme"))
    plant(kernels, "alpha", KERNELS.format(priority=5, then=then))
    with pytest.warns(RuntimeWarning, match="plugin 'alpha': ingot_kernels raised .*; none of its kernels is used"):
        assert discovery.open_device("acme").name == "acme:0"
    assert registry.candidates("add", "acme") == []
    assert message in record("alpha").notes[0]


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ('register(Kernel("reluu", "acme", None))', "no op is called so by now. Did you mean 'relu'?"),
        ('register(Kernel("relu.dy", "acme", None))', "a kernel for 'relu.dy', and no op is called so by now"),
        ('register(Kernel("sub", "acmee", None))', "of kind 'acmee', which no plugin here has. Did you mean 'acme'?"),
    ],
)
def test_names_that_nobody_knows_are_noted(kernels: Path, then: str, message: str) -> None:
    plant(kernels, "acme", backend("acme") + KERNELS.format(priority=5, then=then))
    discovery.open_device("acme")
    assert [message in text for text in discovery.notes("acme")] == [True]


def test_gradients_of_ops_and_kinds_that_are_elsewhere_are_not_noted(kernels: Path) -> None:
    known = 'register(Kernel("relu.dx", "acme", None)); register(Kernel("relu", "qpu", None))'
    plant(kernels, "acme", backend("acme") + KERNELS.format(priority=5, then=known))
    discovery.open_device("acme")
    assert discovery.notes("acme") == ()


def test_equal_claims_are_noted_on_both_owners(kernels: Path) -> None:
    plant(kernels, "acme", backend("acme"))
    for name in ("alpha", "beta"):
        plant(kernels, name, KERNELS.format(priority=5, then="pass"))
    discovery.open_device("acme")
    assert registry.candidates("add", "acme") == []
    for name in ("alpha", "beta"):
        assert "alpha and beta both claim add on acme" in record(name).notes[0]


# ---- fork ----------------------------------------------------------------------------------------
FORK = """
import os, sys
import ingot_devices as d
cpu, acme = d.open_device("cpu"), d.open_device("acme")
read, write = os.pipe()
if os.fork() == 0:
    said = [str(cpu.lost), str(acme.lost), str(d.open_device("cpu") is cpu), ",".join(d.ready())]
    try:
        d.open_device("acme")
    except d.DeviceUnavailable as error:
        said.append(str(error))
    os.write(write, "|".join(said).encode())
    os._exit(0)
os.wait()
print(os.read(read, 10000).decode(), acme.lost, sep="|")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_the_cpu_only(tmp_path: Path) -> None:
    plant(tmp_path, "acme", backend("acme"))
    said = python(FORK, tmp_path, INGOT_CACHE_DIR=str(tmp_path / "cache"), INGOT_DISABLE=SLOW).strip().split("|")
    assert said[:4] == ["False", "True", "True", "cpu:0"]
    assert "this process was forked" in said[4]
    assert "spawn or forkserver" in said[4]
    assert said[5] == "False"  # the parent goes on
