"""WebGPU's own quirks: one binding for shared buffers, batches, mapped copies, errors; and generated kernels against NumPy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import generated
import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices import status
from ingot_devices.codegen import Unsupported
from ingot_devices.device import Arguments, Binding
from ingot_devices.errors import DeviceIndexError, KernelBuildError, LaunchError
from ingot_devices.memory import Pool
from ingot_devices.opset import OPS

SAMPLES = generated.samples()
SCALE = """@group(0) @binding(0) var<storage, read_write> x: array<f32>;
struct Scalars { by: f32, n: i32 }
@group(0) @binding(1) var<uniform> a: Scalars;
@compute @workgroup_size(4)
fn scale(@builtin(global_invocation_id) at: vec3<u32>) {
  if (i32(at.x) < a.n) { x[at.x] *= a.by; }
}"""


@pytest.fixture(scope="module")
def device() -> Any:
    """The first WebGPU device."""
    pytest.importorskip("wgpu", reason="wgpu is not installed")
    from ingot_webgpu.probe import probe

    found = probe()
    if not isinstance(found, (list, tuple)) or not found[0].usable:
        pytest.skip(f"no usable WebGPU device: {found}")
    from ingot_webgpu.device import WebGPUDevice

    made = WebGPUDevice(0)
    made.name, made.kind = "webgpu:0", "webgpu"
    made.pool = Pool(made)
    return made


class TestGenerated:
    @pytest.mark.parametrize("spread", [False, True], ids=["dense", "spread"])
    @pytest.mark.parametrize("name", SAMPLES)
    def test_against_numpy(self, device: Any, name: str, spread: bool) -> None:
        op, values, attrs, expected = SAMPLES[name]
        assert not generated.wrong(generated.run(device, op, *values, spread=spread, **attrs), expected)

    def test_a_sum_is_the_same_twice(self, device: Any) -> None:
        x = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
        first, second = (generated.run(device, "sum", x)[0] for _ in range(2))
        assert first.tobytes() == second.tobytes()

    def test_bfloat16_rounds_to_even(self, device: Any) -> None:
        x = np.array([1.00390625, 1.01171875, np.nan, np.inf, 3.4e38], np.float32)
        (found,) = generated.run(device, "cast", x, dtype=dt.bfloat16)
        assert found.view(np.uint16).tolist() == x.astype(dt.bfloat16.numpy).view(np.uint16).tolist()

    def test_float16_rounds_once(self, device: Any) -> None:
        edges = [65519.0, 65520.0, 2.0**-24, 2.0**-25, 2.0**-25 * 1.5]
        x = np.concatenate([np.arange(0, 4, 2.0**-13), edges]).astype(np.float32)
        (found,) = generated.run(device, "cast", x, dtype=dt.float16)
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(found, x.astype(np.float16))

    def test_a_refused_index_is_told_with_op_and_line(self, device: Any) -> None:
        x, at = np.zeros(4, np.float32), np.array([0, 4, 1 << 40], np.int64)
        generated.run(device, "gather", x, at, axis=-1)
        with pytest.raises(DeviceIndexError, match=r"gather: index out of range \(launched at .*:\d+\)"):
            status.finish(device)
        status.finish(device)

    def test_float64_has_no_kernel(self, device: Any) -> None:
        with pytest.raises(Unsupported, match="WebGPU has no 64-bit floats"):
            generated.run(device, "add", np.zeros(3), np.zeros(3))


WIDE = np.array([0, 1, -1, 7, -7, 1 << 31, -(1 << 31), (1 << 32) + 5, 1 << 62, -(1 << 62), (1 << 63) - 1, -(1 << 63)], np.int64)


class TestWideIntegers:
    """int64 is two words; the answers are NumPy's, which wraps and floors as everybody does."""

    @pytest.mark.parametrize(
        ("op", "expected"),
        [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("maximum", np.maximum), ("bitwise_xor", np.bitwise_xor),
         ("lt", np.less), ("eq", np.equal), ("floor_divide", np.floor_divide), ("remainder", np.remainder)],
    )  # fmt: skip
    def test_every_pair(self, device: Any, op: str, expected: Callable[..., Any]) -> None:
        a, b = np.repeat(WIDE, WIDE.size), np.tile(WIDE, WIDE.size)
        (found,) = generated.run(device, op, a, b)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(found, expected(a, b))

    def test_a_number_of_64_bits(self, device: Any) -> None:
        (found,) = generated.run(device, "add", WIDE, -(1 << 40))
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(found, WIDE - (1 << 40))

    def test_to_float(self, device: Any) -> None:
        (found,) = generated.run(device, "cast", WIDE, dtype=dt.float32)
        np.testing.assert_array_equal(found, WIDE.astype(np.float32))

    def test_long_sums_do_not_overflow_a_word(self, device: Any) -> None:
        x = np.full(70_000, 1 << 30, np.int32)
        assert generated.run(device, "sum", x)[0] == 70_000 << 30


class TestFunctions:
    """What WGSL computes loosely is computed here: against NumPy in float64."""

    @pytest.mark.parametrize(
        ("op", "low", "high", "ulp"),
        [("exp", -87, 88, 2), ("exp2", -125, 127, 2), ("log", 1e-30, 1e30, 1.5), ("sin", -3e3, 3e3, 2),
         ("cos", -3e3, 3e3, 2), ("sin", -7, 7, 2), ("cos", -7, 7, 2), ("sin", 3e3, 1e6, 2.5),
         ("sin", 1e5, 3e38, 2.5), ("cos", -3e38, -1e5, 2.5)],
    )  # fmt: skip
    def test_within_ulp(self, device: Any, op: str, low: float, high: float, ulp: float) -> None:
        rng = np.random.default_rng(3)
        x = rng.uniform(low, high, 4000).astype(np.float32)
        if op == "log":
            x = np.exp(rng.uniform(np.log(low), np.log(high), 4000)).astype(np.float32)
        (found,) = generated.run(device, op, x)
        exact = getattr(np, op)(x.astype(np.float64))
        kept = np.abs(exact) > 2.0**-126  # smaller ones may be flushed
        error = np.abs(found - exact)[kept] / np.spacing(np.abs(exact[kept]).astype(np.float32))
        assert error.max() <= ulp, (x[kept][error.argmax()], error.max())

    def test_remainders_are_exact(self, device: Any) -> None:
        rng = np.random.default_rng(4)
        x = (rng.standard_normal(2000) * np.exp(rng.uniform(-40, 40, 2000))).astype(np.float32)
        y = (rng.standard_normal(2000) * np.exp(rng.uniform(-40, 40, 2000))).astype(np.float32)
        for op, exact in (("fmod", np.fmod), ("remainder", np.mod)):
            (found,) = generated.run(device, op, x, y)
            np.testing.assert_array_equal(found, exact(x, y), err_msg=op)

    def test_nothing_is_simplified_that_is_not_so(self, device: Any) -> None:
        x = np.array([np.nan, np.inf, -np.inf, -0.0, 1.0], np.float32)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(generated.run(device, "sub", x, x)[0], x - x)
            np.testing.assert_array_equal(generated.run(device, "mul", x, 0.0)[0], x * 0)
            found = generated.run(device, "add", x, 0.0)[0]
        assert not np.signbit(found[3])

    def test_large_and_small_are_not_reordered(self, device: Any) -> None:
        x = np.array([1.5, 2.5, -0.5, 3.5, 8388609.0], np.float32)
        np.testing.assert_array_equal(generated.run(device, "round", x)[0], np.round(x))


class TestMemory:
    def test_a_request_of_nothing_is_a_buffer(self, device: Any) -> None:
        handle = device.allocate(0)
        assert handle.nbytes == device.limits.allocation_granularity == 256
        device.release(handle)

    def test_too_much_is_a_memory_error(self, device: Any) -> None:
        with pytest.raises(MemoryError, match=r"webgpu:0 has no buffer of \d+ bytes: \d+ is its largest"):
            device.allocate(device.limits.max_buffer + 256)

    def test_copies_at_offsets(self, device: Any) -> None:
        a, b = device.allocate(256), device.allocate(256)
        device.copy_in(a, 4, memoryview(bytes(range(12))))
        device.copy(b, 8, a, 8, 4)
        device.copy(a, 128, a, 4, 8)  # WebGPU does not copy within one buffer
        found = bytearray(4)
        device.copy_out(b, 8, memoryview(found))
        assert found == bytes([4, 5, 6, 7])
        device.copy_out(a, 132, memoryview(found))
        assert found == bytes([4, 5, 6, 7])

    def test_a_copy_that_the_driver_refuses(self, device: Any) -> None:
        with pytest.raises(LaunchError, match="webgpu:0 refused a copy to the device"):
            device.copy_in(device.allocate(256), 2, memoryview(bytes(4)))

    def test_a_buffer_given_back_before_its_launch_was_sent(self, device: Any) -> None:
        entry = device.build(SCALE, "scale")
        for _ in range(3):
            x = device.allocate(256)
            device.launch(entry, (2, 1, 1), (4, 1, 1), Arguments((Binding(x, "rw"),), scalars()))
            device.release(x)
        device.synchronize()


def scalars(by: float = 3.0, n: int = 8) -> bytes:
    return np.array((by, n), dtype=[("by", "f4"), ("n", "i4")]).tobytes()


def launch_scale(device: Any, entry: Any) -> None:
    x = generated.Placed(device, np.arange(8, dtype=np.float32))
    device.launch(entry, (2, 1, 1), (4, 1, 1), Arguments((Binding(x.handle, "rw"),), scalars()))
    assert x.read().tolist() == [0, 3, 6, 9, 12, 15, 18, 21]


class TestKernels:
    def test_a_refused_source_shows_its_line(self, device: Any) -> None:
        source = SCALE.replace("x[at.x] *= a.by", "nonsense = 1")
        said = r"could not build kernel scale: .*, in line 6: if .* nonsense = 1"
        with pytest.raises(KernelBuildError, match=said) as caught:
            device.build(source, "scale")
        assert caught.value.source == source

    def test_a_missing_entry_point(self, device: Any) -> None:
        with pytest.raises(KernelBuildError, match=r"webgpu:0 could not build kernel other: .*"):
            device.build(SCALE, "other")

    def test_a_launch_that_the_driver_refuses(self, device: Any) -> None:
        entry, x = device.build(SCALE, "scale"), device.allocate(256)
        too_many = (device.limits.max_grid[0] + 1, 1, 1)
        device.launch(entry, too_many, (4, 1, 1), Arguments((Binding(x, "rw"),), scalars()))
        with pytest.raises(LaunchError, match="webgpu:0 refused waiting"):  # what is encoded is checked when it is sent
            device.synchronize()
        launch_scale(device, entry)  # the batch that failed is forgotten

    def test_more_launches_than_a_batch_holds(self, device: Any) -> None:
        entry = device.build(SCALE, "scale")
        x = generated.Placed(device, np.ones(8, np.float32))
        for k in range(1500):  # each with scalars of its own
            by = 2.0 if k // 8 % 2 else 0.5
            device.launch(entry, (2, 1, 1), (4, 1, 1), Arguments((Binding(x.handle, "rw"),), scalars(by, 1 + k % 8)))
        expected = np.ones(8, np.float32)
        for k in range(1500):
            expected[: 1 + k % 8] *= 2.0 if k // 8 % 2 else 0.5
        np.testing.assert_array_equal(x.read(), expected)

    def test_buffers_of_two_types_share_a_binding(self, device: Any) -> None:
        """An output that is another type's memory: offsets apart, one handle."""
        x = generated.Placed(device, np.arange(64, dtype=np.float32))
        op = OPS["cast"]
        specs = [generated.spec_of(np.zeros(4, np.float32))]
        attrs = op.bind({"dtype": dt.int32})
        (definition,) = op.definitions(specs, attrs, op.infer(specs, attrs))
        out = generated.Placed(device, np.zeros(4, np.int32))
        first = generated.Placed(device, np.zeros(4, np.float32))
        kernel = device.codegen.compile(definition, {0: first.layout, 1: out.layout}, device)
        kernel.call((x.handle, 4), (x.handle, 32))
        assert x.read()[32:36].view(np.int32).tolist() == [4, 5, 6, 7]
        assert x.read()[:32].tolist() == list(range(32))

    def test_one_kernel_from_many_threads(self, device: Any) -> None:
        entry = device.build(SCALE, "scale")
        faults: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(10):
                    launch_scale(device, entry)
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not faults


class TestLimits:
    def test_the_dtype_classes_are_the_designs(self, device: Any) -> None:
        kinds = {d.name: device.limits.dtype_class(d).kind for d in dt.ALL}
        assert kinds == {
            **dict.fromkeys(("int32", "uint32", "float32"), "native"),
            **dict.fromkeys(("bool", "float16", "bfloat16", "int8", "uint8", "int16", "uint16"), "stored"),
            **dict.fromkeys(("int64", "uint64"), "emulated"), "float64": "refused",
        }  # fmt: skip

    def test_at_least_what_webgpu_guarantees(self, device: Any) -> None:
        limits = device.limits
        assert limits.max_bindings >= 8
        assert limits.max_binding >= 128 << 20
        assert limits.max_workgroup == 256
        assert limits.workgroup_memory >= 16384
        assert limits.binding_granularity == limits.allocation_granularity == 256
        assert limits.copy_granularity == 4
        assert limits.index_bits == 32

    def test_the_fingerprint_names_driver_and_wgpu(self, device: Any) -> None:
        import wgpu

        assert device.fingerprint().endswith(f"|wgpu {wgpu.__version__}")

    def test_a_closed_device_refuses(self, device: Any) -> None:
        from ingot_webgpu.device import WebGPUDevice

        made = WebGPUDevice(0)
        made.name = "webgpu:0"
        made.close()
        with pytest.raises((LaunchError, MemoryError, RuntimeError)):
            made.copy_in(made.allocate(256), 0, memoryview(bytes(4)))
