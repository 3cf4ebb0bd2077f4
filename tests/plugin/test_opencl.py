"""OpenCL's own quirks: memory, queues, builds, the cache of binaries; and generated kernels against NumPy."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generated
import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices import status
from ingot_devices.device import Arguments, Binding
from ingot_devices.errors import DeviceIndexError, KernelBuildError, LaunchError
from ingot_devices.memory import Pool

SAMPLES = generated.samples()
SCALE = """__kernel void scale(__global float *x, const struct { float by; int n; } a) {
  if (get_global_id(0) < a.n) x[get_global_id(0)] *= a.by;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache: every kernel is built in this run."""
    path = tmp_path_factory.mktemp("kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INGOT_CACHE_DIR", str(path))
        yield path


@pytest.fixture(scope="module")
def device(folder: Path) -> Any:
    """The first OpenCL device."""
    pytest.importorskip("pyopencl", reason="pyopencl is not installed")
    from ingot_opencl.probe import probe

    found = probe()
    if not isinstance(found, (list, tuple)) or not found[0].usable:
        pytest.skip(f"no usable OpenCL device: {found}")
    return opened()


def opened() -> Any:
    from ingot_opencl.device import OpenCLDevice

    made = OpenCLDevice(0)
    made.name, made.kind = "opencl:0", "opencl"
    made.pool = Pool(made)
    return made


@pytest.fixture
def lanes(device: Any) -> Iterator[Any]:
    """The same device, scheduled as if it had lanes: workgroups, trees and barriers."""
    before = device.limits
    device.limits = dataclasses.replace(before, lanes=4, max_workgroup=32, max_grid=(40, 1, 1), vector_bytes=16)
    yield device
    device.limits = before


class TestGenerated:
    @pytest.mark.parametrize("spread", [False, True], ids=["dense", "spread"])
    @pytest.mark.parametrize("name", SAMPLES)
    def test_as_a_cpu(self, device: Any, name: str, spread: bool) -> None:
        op, values, attrs, expected = SAMPLES[name]
        assert not generated.wrong(generated.run(device, op, *values, spread=spread, **attrs), expected)

    @pytest.mark.parametrize("name", SAMPLES)
    def test_as_a_device_of_lanes(self, lanes: Any, name: str) -> None:
        op, values, attrs, expected = SAMPLES[name]
        assert not generated.wrong(generated.run(lanes, op, *values, **attrs), expected)

    def test_tiles_in_workgroup_memory(self, lanes: Any) -> None:
        lanes.limits = dataclasses.replace(lanes.limits, max_workgroup=256)
        rng = np.random.default_rng(2)
        x, y = rng.standard_normal((2, 70, 33)).astype(np.float32), rng.standard_normal((33, 65)).astype(np.float32)
        assert not generated.wrong(generated.run(lanes, "matmul", x, y), [x @ y])

    def test_a_sum_is_the_same_twice(self, device: Any) -> None:
        x = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
        first, second = (generated.run(device, "sum", x)[0] for _ in range(2))
        assert first.tobytes() == second.tobytes()

    def test_long_sums_are_accurate(self, device: Any) -> None:
        x = np.random.default_rng(1).random(1 << 20).astype(np.float32)
        exact = x.sum(dtype=np.float64)
        assert abs(float(generated.run(device, "sum", x)[0]) - exact) / exact < 1e-6

    def test_bfloat16_rounds_to_even(self, device: Any) -> None:
        x = np.array([1.00390625, 1.01171875, np.nan, np.inf, 3.4e38], np.float32)
        (found,) = generated.run(device, "cast", x, dtype=dt.bfloat16)
        assert found.view(np.uint16).tolist() == x.astype(dt.bfloat16.numpy).view(np.uint16).tolist()

    def test_a_refused_index_is_told_with_op_and_line(self, device: Any) -> None:
        x, at = np.zeros(4, np.float32), np.array([0, 4, 1 << 40], np.int64)
        generated.run(device, "gather", x, at, axis=-1)
        with pytest.raises(DeviceIndexError, match=r"gather: index out of range \(launched at .*:\d+\)"):
            status.finish(device)
        status.finish(device)

    def test_in_place(self, device: Any) -> None:
        from ingot_devices.opset import OPS

        x = generated.Placed(device, np.arange(6, dtype=np.float32))
        specs = [generated.spec_of(np.zeros(6, np.float32))] * 2
        op = OPS["add"]
        (definition,) = op.definitions(specs, (), op.infer(specs, ()))
        kernel = device.codegen.compile(definition, dict.fromkeys(range(3), x.layout), device, frozenset({0, 1}))
        kernel.call(x.native, x.native, x.native)
        assert x.read().tolist() == [0, 2, 4, 6, 8, 10]


class TestMemory:
    def test_a_request_of_nothing_is_a_buffer(self, device: Any) -> None:
        handle = device.allocate(0)
        assert handle.size == device.limits.allocation_granularity
        device.release(handle)

    def test_too_much_is_a_memory_error(self, device: Any) -> None:
        with pytest.raises(MemoryError, match="opencl:0 has no memory for a buffer of"):
            device.allocate(device.limits.max_buffer * 1024)

    def test_copies_at_offsets(self, device: Any) -> None:
        a, b = device.allocate(64), device.allocate(64)
        device.copy_in(a, 4, memoryview(bytes(range(8))))
        device.copy(b, 1, a, 6, 3)
        found = bytearray(3)
        device.copy_out(b, 1, memoryview(found))
        assert found == bytes([2, 3, 4])


class TestKernels:
    def test_a_refused_source_shows_its_line(self, device: Any) -> None:
        source = "__kernel void f(__global int *x) {\n  x[0] = nonsense;\n}"
        with pytest.raises(KernelBuildError, match=r"could not build kernel f: .*, in line 2: x\[0\] = nonsense;") as caught:
            device.build(source, "f")
        assert caught.value.source == source

    def test_a_kernel_comes_back_from_the_cache(self, device: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        device.build(SCALE, "scale")
        again = opened()
        monkeypatch.setattr(type(again), "_compiled", lambda *args: pytest.fail("it was compiled again"))
        launch_scale(again, again.build(SCALE, "scale"))
        assert list(folder.glob("opencl/*"))

    def test_a_launch_that_the_driver_refuses(self, device: Any) -> None:
        entry, x = device.build(SCALE, "scale"), device.allocate(64)
        too_large = (2 * device.limits.max_workgroup, 1, 1)
        with pytest.raises(LaunchError, match="opencl:0 refused kernel scale"):
            device.launch(entry, (1, 1, 1), too_large, Arguments((Binding(x, "rw"),), bytes(8)))

    def test_one_kernel_from_many_threads(self, device: Any) -> None:
        entry = device.build(SCALE, "scale")
        faults: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(20):
                    launch_scale(device, entry)
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not faults


def launch_scale(device: Any, entry: Any) -> None:
    x = generated.Placed(device, np.arange(8, dtype=np.float32))
    scalars = np.array((3.0, 8), dtype=[("by", "f4"), ("n", "i4")]).tobytes()
    device.launch(entry, (2, 1, 1), (4, 1, 1), Arguments((Binding(x.handle, "rw"),), scalars))
    assert x.read().tolist() == [0, 3, 6, 9, 12, 15, 18, 21]


class TestStreams:
    def test_events_tell_time_and_order(self, device: Any) -> None:
        entry = device.build(SCALE, "scale")
        start = device.record_event()
        launch_scale(device, entry)
        end = device.record_event()
        device.synchronize_event(end)
        assert device.event_done(end)
        assert device.elapsed_ms(start, end) >= 0

    def test_a_stream_of_this_thread(self, device: Any) -> None:
        stream = device.create_stream()
        before = device.set_stream(stream)
        try:
            assert device.current_stream() is stream
            launch_scale(device, device.build(SCALE, "scale"))
            event = device.record_event()
        finally:
            device.set_stream(before)
        device.wait_event(event)
        device.synchronize()
        assert device.event_done(event)
        assert device.current_stream() is None


class TestLimits:
    def test_a_cpu_has_no_lanes_and_halves_are_stored(self, device: Any) -> None:
        import pyopencl as cl
        from ingot_opencl.probe import devices

        assert (device.limits.lanes == 1) == bool(devices()[0].type & cl.device_type.CPU)
        assert device.limits.dtype_class(dt.float16).compute is dt.float32

    def test_the_fingerprint_names_the_driver(self, device: Any) -> None:
        from ingot_opencl.probe import devices

        assert devices()[0].driver_version.strip() in device.fingerprint()
