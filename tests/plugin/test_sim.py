"""The pretend accelerator itself: its memory, its queue, its limits and its faults."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ingot_devices.device import Arguments, Binding
from ingot_devices.errors import ContractError, DeviceLost, LaunchError
from ingot_devices.limits import WEBGPU, Limits
from ingot_sim.config import LIMITS, SimConfig
from ingot_sim.device import SimDevice
from ingot_sim.faults import Faults, parse

ONE = (1, 1, 1)


class Writes:
    """A kernel that adds its byte to the first byte of its buffers; made by hand."""

    local_bytes = 0

    def __init__(self, name: str = "writes", log: list[str] | None = None) -> None:
        self.name, self.log = name, log if log is not None else []

    def run(self, device: Any, grid: Any, block: Any, buffers: list[memoryview], scalars: bytes) -> None:
        self.log.append(self.name)
        for b in buffers:
            b[0] = (b[0] + scalars[0]) % 256


def opened(**config: Any) -> SimDevice:
    device = SimDevice(SimConfig(**config))
    device.name = "sim:0"
    return device


def filled(device: SimDevice, data: bytes) -> int:
    handle = device.allocate(64)
    device.copy_in(handle, 0, memoryview(data))
    return handle


def read(device: SimDevice, handle: int, nbytes: int = 4, offset: int = 0) -> bytes:
    target = bytearray(nbytes)
    device.copy_out(handle, offset, memoryview(target))
    return bytes(target)


def launch(
    device: SimDevice, kernel: Writes, *handles: int, by: int = 1, access: str = "rw", stream: Any = None
) -> None:
    bindings = tuple(Binding(h, access) for h in handles)
    device.launch(device.build(kernel, kernel.name), ONE, ONE, Arguments(bindings, bytes([by])), stream)


# ---- memory --------------------------------------------------------------------------------------
def test_fresh_memory_is_nan_in_every_float_and_absurd_as_an_index() -> None:
    device = opened()
    raw = read(device, device.allocate(64), 64)
    for kind in (np.float16, np.float32, np.float64):
        assert np.isnan(np.frombuffer(raw, kind)).all()
    assert (np.frombuffer(raw, np.int32) > 1 << 30).all()


def test_a_handle_gives_the_host_no_way_into_memory() -> None:
    device = opened()
    handle = device.allocate(64)
    assert isinstance(handle, int)
    assert not device.host_visible
    with pytest.raises(ContractError, match="not host visible"):
        device.host_bytes(handle)


def test_copies_reach_the_bytes_they_name() -> None:
    device = opened()
    a, b = filled(device, bytes(range(16))), device.allocate(64)
    device.copy(b, 2, a, 4, 8)
    assert read(device, b, 8, 2) == bytes(range(4, 12))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (read, "read after it was released"),
        (lambda d, h: d.copy_in(h, 0, memoryview(b"1234")), "written after it was released"),
        (lambda d, h: launch(d, Writes(), h), "released"),
        (lambda d, h: d.release(h), "released twice"),
    ],
)
def test_a_released_handle_is_refused(act: Callable[[SimDevice, int], None], words: str) -> None:
    device = opened()
    handle = device.allocate(128)
    device.release(handle)
    with pytest.raises(ContractError, match=words) as error:
        act(device, handle)
    assert hex(handle) in str(error.value)
    assert "128 bytes" in str(error.value)


def test_what_is_no_handle_is_refused() -> None:
    device = opened()
    for wrong in (0, "0x1000", None):
        with pytest.raises(ContractError, match="no handle of this device"):
            device.release(wrong)  # type: ignore[arg-type]


def test_bytes_outside_a_buffer_are_refused() -> None:
    device = opened()
    handle = device.allocate(64)
    with pytest.raises(ContractError, match=r"bytes 60 to 68 .* it has 64 bytes"):
        read(device, handle, 8, 60)


@pytest.mark.parametrize("side", [-1, 64])
@pytest.mark.parametrize("when", ["release", "synchronize"])
def test_the_guard_bands_are_checked(side: int, when: str) -> None:
    device = opened()
    handle = device.allocate(64)
    device.memory._live[handle][64 + side] ^= 1
    with pytest.raises(ContractError, match=rf"guard band of handle {handle:#x} \(64 bytes\)"):
        device.release(handle) if when == "release" else device.synchronize()


def test_memory_may_not_be_released_under_queued_work() -> None:
    device = opened()
    handle = device.allocate(64)
    launch(device, Writes("slow"), handle)
    with pytest.raises(ContractError, match=r"queued work uses it: kernel slow"):
        device.release(handle)
    device.synchronize()
    device.release(handle)
    assert device.live_handles() == 0


def test_memory_can_be_tiny() -> None:
    device = opened(memory=192)
    first = device.allocate(128)
    assert device.memory_info() == (64, 192)
    with pytest.raises(MemoryError, match="no room for 128 more"):
        device.allocate(128)
    device.release(first)
    device.allocate(192)


# ---- the queue -----------------------------------------------------------------------------------
def test_work_waits_for_a_synchronisation() -> None:
    device = opened()
    log: list[str] = []
    handle = filled(device, bytes(4))
    launch(device, Writes("k", log), handle)
    assert log == []
    assert read(device, handle) == b"\1\0\0\0"
    assert log == ["k"]


def test_copy_in_takes_a_snapshot() -> None:
    device = opened()
    source = bytearray(b"before")
    handle = device.allocate(64)
    device.copy_in(handle, 0, memoryview(source))
    source[:] = b"after!"
    assert read(device, handle, 6) == b"before"


def order(seed: int) -> list[str]:
    """Four streams with three kernels each, in the order in which they ran."""
    device = opened(seed=seed)
    log: list[str] = []
    handle = device.allocate(64)
    for s in range(4):
        stream = device.create_stream()
        for k in range(3):
            launch(device, Writes(f"{s}{k}", log), handle, stream=stream)
    device.synchronize()
    return log


def test_streams_interleave_by_the_seed_and_keep_their_own_order() -> None:
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(6)}) > 3
    for s in "0123":
        assert [k for k in order(2) if k[0] == s] == [f"{s}{n}" for n in range(3)]


def test_a_stream_waits_for_an_event() -> None:
    for seed in range(8):
        device = opened(seed=seed)
        log: list[str] = []
        handle, a, b = device.allocate(64), device.create_stream(), device.create_stream()
        launch(device, Writes("first", log), handle, stream=a)
        event = device.record_event(a)
        device.wait_event(event, b)
        launch(device, Writes("second", log), handle, stream=b)
        device.synchronize()
        assert log == ["first", "second"]


def test_events_tell_whether_and_when() -> None:
    device = opened()
    log: list[str] = []
    handle = device.allocate(64)
    start = device.record_event()
    launch(device, Writes("k", log), handle)
    end = device.record_event()
    with pytest.raises(LaunchError, match="two events that are done"):
        device.elapsed_ms(start, end)
    device.synchronize_event(end)
    assert log == ["k"]
    assert device.elapsed_ms(start, end) >= 0
    later = device.record_event()
    while not device.event_done(later):
        pass


def test_copy_out_waits_for_its_own_stream_only() -> None:
    device = opened(seed=1)
    log: list[str] = []
    handle, other = filled(device, bytes(4)), device.create_stream()
    for n in range(50):
        launch(device, Writes(f"other{n}", log), device.allocate(64), stream=other)
    launch(device, Writes("own", log), handle)
    read(device, handle)
    assert "own" in log
    assert len(log) < 51


def test_the_current_stream_is_the_thread_s() -> None:
    device = opened()
    stream = device.create_stream()
    assert device.set_stream(stream) is None
    launch(device, Writes(), device.allocate(64))
    assert len(stream.tasks) == 1
    assert device.set_stream(None) is stream


def test_what_fails_while_it_runs_is_raised_at_the_synchronisation() -> None:
    class Broken(Writes):
        def run(self, *given: Any) -> None:
            raise LaunchError("broken while running")

    device = opened()
    handle = device.allocate(64)
    launch(device, Broken(), handle)
    with pytest.raises(LaunchError, match="broken while running"):
        device.synchronize()
    device.synchronize()  # told once


# ---- limits --------------------------------------------------------------------------------------
TIGHT = replace(
    Limits(), allocation_granularity=256, copy_granularity=4, max_buffer=1024, max_binding=512, max_bindings=2,
    max_argument_bytes=8, max_workgroup=64, max_workgroup_dims=(64, 8, 8), max_grid=(10, 10, 10), workgroup_memory=16,
)  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "act"),
    [
        ("allocation_granularity = 256", lambda d, h: d.allocate(64)),
        ("copy_granularity = 4", lambda d, h: d.copy_in(h[0], 0, memoryview(b"123"))),
        ("copy_granularity = 4", lambda d, h: d.copy_out(h[0], 2, memoryview(bytearray(4)))),
        ("copy_granularity = 4", lambda d, h: d.copy(h[0], 1, h[1], 0, 4)),
        ("max_bindings = 2", lambda d, h: launch(d, Writes(), *h[:3])),
        ("max_argument_bytes = 8", lambda d, h: d.launch(Writes(), ONE, ONE, Arguments((), bytes(9)))),
        ("max_workgroup = 64", lambda d, h: d.launch(Writes(), ONE, (64, 2, 1), Arguments((), b""))),
        (r"max_workgroup_dims = \(64, 8, 8\)", lambda d, h: d.launch(Writes(), ONE, (1, 16, 1), Arguments((), b""))),
        (r"max_grid = \(10, 10, 10\)", lambda d, h: d.launch(Writes(), (11, 1, 1), ONE, Arguments((), b""))),
        (r"max_grid = \(10, 10, 10\)", lambda d, h: d.launch(Writes(), (0, 1, 1), ONE, Arguments((), b""))),
        ("max_binding = 512", lambda d, h: launch(d, Writes(), h[3])),
    ],
)
def test_a_limit_is_enforced_and_named(limit: str, act: Callable[[SimDevice, list[int]], None]) -> None:
    device = opened(limits=TIGHT)
    handles = [device.allocate(n) for n in (256, 256, 256, 768)]
    with pytest.raises(LaunchError, match=limit):
        act(device, handles)


def test_a_buffer_may_be_too_large() -> None:
    with pytest.raises(MemoryError, match="max_buffer = 1024"):
        opened(limits=TIGHT).allocate(2048)


def test_workgroup_memory_is_bounded() -> None:
    kernel = Writes()
    kernel.local_bytes = 32
    with pytest.raises(LaunchError, match="workgroup_memory = 16"):
        opened(limits=TIGHT).launch(kernel, ONE, ONE, Arguments((), b""))


def test_one_handle_is_one_binding_where_it_is_written() -> None:
    device = opened()
    handle = device.allocate(64)
    with pytest.raises(ContractError, match="share a handle are one binding"):
        launch(device, Writes(), handle, handle)


def test_limits_can_be_webgpu_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_SIM_LIMITS", "webgpu")
    device = SimDevice()
    assert device.limits == WEBGPU
    assert LIMITS["webgpu"] is WEBGPU


# ---- faults --------------------------------------------------------------------------------------
def struck(text: str, kind: str, count: int = 12) -> list[int]:
    faults = Faults(text)
    return [n for n in range(1, count + 1) if faults.strike(kind)]


def test_faults_strike_when_they_are_told_to() -> None:
    assert struck("oom@5", "oom") == [5]
    assert struck("oom@10+", "oom") == [10, 11, 12]
    assert struck("oom@2-4,oom@7", "oom") == [2, 3, 4, 7]
    assert struck("launch%4, lost@1", "launch") == [4, 8, 12]
    assert struck("oom@5", "launch") == []


@pytest.mark.parametrize("wrong", ["oom", "oom@0", "flood@3", "oom@x", "probe=maybe", "oom@5-"])
def test_a_fault_that_is_not_understood_shows_the_form(wrong: str) -> None:
    with pytest.raises(ValueError, match="oom@5, "):
        parse(wrong)


def test_allocations_fail_on_request() -> None:
    device = opened(faults="oom@2")
    device.allocate(64)
    with pytest.raises(MemoryError, match="allocation 2 was asked to fail"):
        device.allocate(64)
    device.allocate(64)


def test_launches_fail_on_request_within_a_scope() -> None:
    device = opened()
    handle = device.allocate(64)
    with device.faults.inject("launch@2"):
        launch(device, Writes(), handle)
        with pytest.raises(LaunchError, match=r"launch 2 \(k\) was asked to fail"):
            launch(device, Writes("k"), handle)
    launch(device, Writes(), handle)


def test_a_lost_device_refuses_all_but_releases() -> None:
    device = opened()
    handle = device.allocate(64)
    launch(device, Writes(), handle)
    device.faults.rules = parse("lost@1+")
    device.faults.counts["lost"] = 0
    with pytest.raises(DeviceLost, match="as asked"):
        device.synchronize()
    assert device.lost
    assert device.live_handles() == 0
    device.release(handle)
    for act in (device.synchronize, lambda: device.allocate(64), lambda: read(device, handle), device.record_event):
        with pytest.raises(DeviceLost):
            act()


# ---- configuration -------------------------------------------------------------------------------
def test_the_environment_configures_it() -> None:
    env = {"INGOT_SIM_MEMORY": "4096", "INGOT_SIM_MODE": "schedule", "INGOT_SIM_SEED": "7", "INGOT_SIM_FAULTS": "oom@1"}
    config = SimConfig.from_env(env)
    assert (config.memory, config.mode, config.seed, config.faults) == (4096, "schedule", 7, "oom@1")
    assert config.limits.memory == 4096


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"INGOT_SIM_LIMITS": "vax"}, "INGOT_SIM_LIMITS is 'vax'; choose one of default, webgpu"),
        ({"INGOT_SIM_MEMORY": "much"}, "INGOT_SIM_MEMORY must be a whole number"),
        ({"INGOT_SIM_MODE": "fast"}, "mode 'fast' is unknown; choose one of definition, schedule"),
        ({"INGOT_SIM_FAULTS": "flood@1"}, "sim fault 'flood@1' is not understood"),
    ],
)
def test_a_wrong_variable_is_named(env: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SimConfig.from_env(env)


PROBED = "import ingot_devices; r = ingot_devices.record('sim'); print(r.state, '|', r.sentence())"


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"INGOT_SIM_FAULTS": "probe=raise"}, "asked to raise"),
        ({"INGOT_SIM_FAULTS": "probe=hang", "INGOT_PROBE_TIMEOUT": "2"}, "2"),
        ({"INGOT_SIM_LIMITS": "vax"}, "choose one of default, webgpu"),
    ],
)
def test_a_probe_that_fails_leaves_a_record(variables: dict[str, str], word: str, tmp_path: Any) -> None:
    env = {**os.environ, "INGOT_CACHE_DIR": str(tmp_path), **variables}
    done = subprocess.run(
        [sys.executable, "-c", PROBED], env=env, capture_output=True, timeout=60, text=True, check=True
    )
    state, _, sentence = done.stdout.partition("|")
    assert "ready" not in state.lower()
    assert word in sentence
