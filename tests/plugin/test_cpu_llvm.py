"""Native CPU kernels: results against NumPy in double precision, the same bits on every width and thread count, and trouble."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elsewhere
import generated
import ingot
import native_cases
import numpy as np
import pytest
from ingot_cpu.native import jit as jit_module
from ingot_cpu.native import kernel
from ingot_cpu.native.codegen import CpuCodegen
from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.errors import DeviceIndexError
from ingot_devices.ir.definition import Define, Operand
from ingot_devices.opset import OPS
from native_cases import Array

CODEGEN = CpuCodegen()
pytestmark = elsewhere.native()
CASES = native_cases.cases()
SAMPLES = generated.samples()


def native(name: str, *values: Any, **attrs: Any) -> list[Array]:
    return native_cases.run(CODEGEN.native, name, *values, **attrs)


def host(definition: Any, layouts: Any) -> Any:
    return HostCodegen().compile(definition, layouts, None)


# ---- values ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_of_loop_and_access(name: str) -> None:
    op, values, attrs, expected = SAMPLES[name]
    assert not generated.wrong(native(op, *values, **attrs), expected)
    spread = [_spread(v) if isinstance(v, np.ndarray) else v for v in values]
    if name == "batches":  # the one thing that a layout may refuse: small products take it (`test_cpu_tile`)
        with pytest.raises(Unsupported, match="BLAS does not take this product as it lies"):
            native(op, *spread, **attrs)
    else:
        assert not generated.wrong(native(op, *spread, **attrs), expected)


def _spread(array: Array) -> Array:
    """The same elements, transposed in memory and with gaps."""
    base = np.zeros(tuple(2 * n + 3 for n in reversed(array.shape)), array.dtype)
    view = base.T[tuple(slice(3, 3 + 2 * n, 2) for n in array.shape)]
    view[...] = array
    return view


@pytest.mark.parametrize("name", CASES)
def test_native_kernels_are_close_to_numpy(name: str) -> None:
    op, values, attrs = CASES[name]
    for got, wanted in zip(native(op, *values, **attrs), native_cases.run(host, op, *values, **attrs), strict=True):
        tolerance = 2e-3 if got.dtype == np.float16 else 1e-12 if got.dtype == np.float64 else 3e-5
        np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders_are_exact(dtype: Any) -> None:
    """Quotients that are whole, next to whole, near the bound of the quick way and beyond; what is no number."""
    rng = np.random.default_rng(6)
    y = rng.standard_normal(5003).astype(dtype)
    times = np.concatenate([rng.integers(0, 2000, 3003), rng.integers(2**21, 2**23, 1000), rng.integers(2**50, 2**52, 1000)])
    whole = (times * y).astype(dtype)
    odd = np.array([0.0, -0.0, 1.0, -3.0, 5e-324, 1e30, np.inf, -np.inf, np.nan], dtype)
    pairs = [(x, y) for x in (whole, np.nextafter(whole, dtype(0)), np.nextafter(whole, dtype(np.inf)), -whole)]
    for x, by in [*pairs, (np.repeat(odd, odd.size), np.tile(odd, odd.size))]:
        with np.errstate(all="ignore"):
            wanted = np.fmod(x, by)
        (got,) = native("fmod", x, by)
        np.testing.assert_array_equal(got, wanted)
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(wanted)[known])


ULPS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "exp": (np.exp, 1.0), "expm1": (np.expm1, 2.0), "tanh": (np.tanh, 2.5), "log": (np.log, 1.0),
    "sin": (np.sin, 1.6), "cos": (np.cos, 1.6), "erf": (np.vectorize(lambda x: math.erf(float(x))), 5.0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ULPS)
def test_elementary_functions_are_within_their_bounds(name: str, dtype: Any) -> None:
    """Against float64, and float64 against the extended precision of x86 where NumPy has it."""
    function, bound = ULPS[name]
    wide: Any = np.float64 if dtype is np.float32 else np.longdouble
    if np.finfo(wide).nmant <= np.finfo(dtype).nmant or (name == "erf" and dtype is np.float64):
        pytest.skip("nothing on this machine is precise enough to judge by (erf of float64 is the contract's expansion)")
    rng = np.random.default_rng(5)
    near, far = rng.uniform(-90, 90, 20_000), 10 ** rng.uniform(-40, 4, 20_000)
    x = np.concatenate([near, far, -far]).astype(dtype)
    x = np.abs(x) if name == "log" else x
    with np.errstate(all="ignore"):
        exact = function(x.astype(wide)).astype(wide)
        near_ = exact.astype(dtype)
    (got,) = native(name, x)
    plain = np.isfinite(near_) & (np.abs(near_) >= np.finfo(dtype).tiny)
    error = np.abs(got[plain].astype(wide) - exact[plain]) / np.spacing(np.abs(near_[plain])).astype(wide)
    assert error.max() <= bound, f"{name}({x[plain][error.argmax()]!r}) is off by {error.max():.2f} ulp"
    np.testing.assert_allclose(got[~plain], near_[~plain], atol=2 * float(np.finfo(dtype).smallest_subnormal))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*ULPS, "sinh", "log1p", "exp2", "rsqrt", "sqrt", "atan", "erfc"])
def test_special_values(name: str, dtype: Any) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, tiny, -tiny, 1e30, -1e30] * 7, dtype)
    (got,) = native(name, x)
    (wanted,) = native_cases.run(host, name, x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(wanted))
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(wanted)[~np.isnan(got)])
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=2 * float(tiny))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_special_value(value: float) -> None:
    x = np.random.default_rng(0).standard_normal((3, 70)).astype(np.float32)
    x[1, 66] = value
    for op, attrs in (("softmax", {"axis": -1}), ("sum", {"axes": (-1,)}), ("amax", {"axes": (-1,)}), ("var", {"axes": (-1,)})):
        (got,) = native(op, x, **attrs)
        (wanted,) = native_cases.run(host, op, x, **attrs)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_all_halves_convert_as_numpys_do() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    (wide,) = native("cast", every, dtype=dt.float32)
    np.testing.assert_array_equal(wide, every.astype(np.float32))
    between = np.concatenate([wide, np.nextafter(wide, np.float32(np.inf)), wide * np.float32(1.0003)])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(native("cast", between, dtype=dt.float16)[0], between.astype(np.float16))


def test_a_long_sum_stays_exact_enough() -> None:
    x = np.full(3_000_001, 0.1, np.float32)
    (got,) = native("sum", x)
    exact = math.fsum(x.tolist())
    assert abs(float(got) - exact) / exact < 1e-6


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 63, 64, 65, 4095, 4096, 4097, 8193])
def test_every_length_of_the_last_part(size: int) -> None:
    x = np.arange(size, dtype=np.float32)
    (got,) = native("add", x, x)
    np.testing.assert_array_equal(got, x + x)
    (total,) = native("sum", x)
    assert float(total) == pytest.approx(float(x.sum(dtype=np.float64)), rel=1e-6)
    bytes_ = (x % 3).astype(np.uint8)
    np.testing.assert_array_equal(native("add", bytes_, bytes_)[0], bytes_ + bytes_)


# ---- the same bits -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", elsewhere.CHANGES, ids=str)
def test_no_bit_depends_on_the_instruction_set_or_the_threads(change: dict[str, str]) -> None:
    assert elsewhere.digests(native_cases.__file__, change) == native_cases.digests(CODEGEN.native)


@pytest.mark.parametrize(("name", "attrs"), [("gelu", {}), ("softmax", {"axis": -1}), ("log_softmax", {"axis": -1})])
@pytest.mark.parametrize("columns", [4096, 4099, 20_000])
@pytest.mark.parametrize("off", [0, 1])
def test_results_stored_past_the_caches_are_those_of_small_ones(
    name: str, attrs: dict[str, Any], columns: int, off: int
) -> None:
    """From 32 MiB on, where an address allows it; the same rows in parts are below."""
    rows = -(-(32 << 20) // (4 * columns))
    x = np.random.default_rng(8).standard_normal((rows, columns)).astype(np.float32) * 4
    x[1, :3], x[2, 7] = (np.nan, np.inf, -np.inf), 1e-42
    (definition,), layouts, _ = native_cases.prepared(name, (x,), attrs)
    out = native_cases.aligned(x.shape, np.float32, off)
    made = CODEGEN.native(definition, layouts)
    made.call(x, out)
    half = rows // 2
    (first,), (second,) = native(name, x[:half], **attrs), native(name, x[half:], **attrs)
    assert out.tobytes() == first.tobytes() + second.tobytes()
    (small,), layouts, _ = native_cases.prepared(name, (x[:half],), attrs)
    streams = platform.machine() in ("x86_64", "AMD64")
    waits = name == "softmax" and columns == 20_000  # exponentials wait in the output: the row is too long for the stack
    assert ("nontemporal" in made.source) == (streams and not waits)
    assert "nontemporal" not in CODEGEN.native(small, layouts).source


def test_what_rounds_in_one_way_has_the_bits_of_numpy() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.standard_normal(500), [np.nan, np.inf, -np.inf, 0.0, -0.0] * 3]).astype(np.float32)
    y = np.roll(x, 7)
    for name in "add sub mul div neg abs sqrt floor ceil trunc round eq lt".split():
        values = (x, y) if "y" in OPS[name].names else (x,)
        with np.errstate(all="ignore"):
            (wanted,) = native_cases.run(host, name, *values)
        (got,) = native(name, *values)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) if got.dtype.kind == "f" else got == wanted
        assert same.all(), name
        if got.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(wanted)[~np.isnan(got)])


def test_one_text_serves_a_class_of_layouts() -> None:
    made = kernel.runtime().jit
    native("softmax", np.ones((3, 70), np.float32), axis=-1)
    before = made.linked
    for shape in ((4, 71), (9, 1030), (2, 3, 65), (1000, 64)):
        native("softmax", np.ones(shape, np.float32), axis=-1)
    assert made.linked <= before + 1  # short rows and long ones


# ---- calls -----------------------------------------------------------------------------------------------------------------
def call_of(name: str, *values: Any, **attrs: Any) -> tuple[Any, list[Array]]:
    (definition,), layouts, outs = native_cases.prepared(name, values, attrs)
    return CODEGEN.native(definition, layouts).call, outs


def test_wrong_operands_are_refused() -> None:
    x = np.ones(5, np.float32)
    call, (out,) = call_of("tanh", x)
    with pytest.raises(TypeError, match="tensor operand is a NumPy array"):
        call([1.0] * 5, out)
    with pytest.raises(TypeError, match="too few operands"):
        call(x)
    scaled, (out,) = call_of("pow", x, 0.5)
    with pytest.raises(TypeError, match="must be real number, not str"):
        scaled(x, "half", out)


def test_an_index_that_is_refused_is_named() -> None:
    x, at = np.ones((4, 3), np.float32), np.array([0, 9])
    call, outs = call_of("index_select", x, at, axis=-2)
    with pytest.raises(DeviceIndexError, match=r"index_select: .*out of range"):
        call(x, at, *outs)
    call(x, np.array([0, 3]), *outs)


def test_many_threads_may_call_at_once() -> None:
    """The pool has one job at a time; who cannot have it runs alone."""
    x = np.random.default_rng(1).standard_normal((600, 700)).astype(np.float32)
    (wanted,) = native("softmax", x, axis=-1)
    wrong: list[int] = []

    def work() -> None:
        call, (out,) = call_of("softmax", x, axis=-1)
        for _ in range(20):
            out[...] = 0
            call(x, out)
            if not np.array_equal(out, wanted):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


CORES = """
import ctypes, os
import ingot
here, x = ctypes.CDLL(None).sched_getcpu, ingot.ones(2000, 800)

def masks():
    found = {t: os.sched_getaffinity(int(t)) for t in os.listdir("/proc/self/task")}
    return [mask for t, mask in found.items() if mask != os.sched_getaffinity(0)]

for _ in range(200):
    before = here()
    ingot.softmax(x, 1)
    if here() == before:
        break
assert masks() == [os.sched_getaffinity(0) - {before}] * (len(os.sched_getaffinity(0)) - 1), (before, masks())
print("apart")
"""


TWO_CORES = sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


@pytest.mark.skipif(not TWO_CORES, reason="a caller and a worker need a core each; which a thread may use, Linux tells")
def test_the_threads_of_the_pool_keep_off_the_core_of_the_caller() -> None:
    """Where a scheduler packs threads, they would wait there until the job is done."""
    env = {k: v for k, v in os.environ.items() if k != "INGOT_CPU_THREADS"}
    done = subprocess.run([sys.executable, "-c", CORES], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "apart\n", done.stderr


FORK = """
import os, sys
import numpy as np
import ingot
x = ingot.ones(2000, 800)
want = float(ingot.softmax(x, 1).sum())
child = os.fork()
if child == 0:
    os._exit(0 if float(ingot.softmax(x * 2, 1).sum()) == want else 1)
assert os.waitpid(child, 0)[1] == 0
assert float(ingot.softmax(x * 2, 1).sum()) == want
print("both")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_computes_alone() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], env={**os.environ, "INGOT_CPU_THREADS": "3"}, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("both", 0), done.stderr


# ---- what may be missing or broken -------------------------------------------------------------------------------------
PROBE = """
import numpy as np, ingot
from ingot_cpu.native.codegen import CpuCodegen
x = ingot.linspace(-3, 3, 70).reshape(7, 10)
print(CpuCodegen().available())
print(np.allclose(ingot.softmax(x, 1).numpy().sum(1), 1), float(ingot.exp(x).max()))
"""


def test_without_native_code_numpy_computes() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], env={**os.environ, "INGOT_CPU_LLVM": "0"}, capture_output=True,
                          text=True, timeout=120, check=True)  # fmt: skip
    said, result = done.stdout.strip().splitlines()
    assert said == "INGOT_CPU_LLVM=0"
    assert result.startswith("True 20.08553")


HELD = """
import gc, weakref, ingot
gc.disable()
def first():
    x = ingot.ones(3).requires_grad_()
    y = (x * x).exp().sum()
    y.backward()
    return weakref.ref(y)
assert first()() is None, "the reason why there is no native code holds what was on the stack when it was found"
"""


def test_without_native_code_nothing_is_held() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], env={**os.environ, "INGOT_CPU_LLVM": "0"}, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_CPU_ISA", "mmx")
    with pytest.raises(ValueError, match=r"INGOT_CPU_ISA=mmx is (not known; it may be native, sse2, avx2, avx512|a level)"):
        jit_module.Jit()


def test_without_llvmlite_numpy_computes(tmp_path: Path) -> None:
    (tmp_path / "llvmlite").mkdir()
    (tmp_path / "llvmlite" / "__init__.py").write_text("raise ImportError('there is none')\n")
    done = subprocess.run([sys.executable, "-c", PROBE], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True,
                          text=True, timeout=120, check=True)  # fmt: skip
    said, result = done.stdout.strip().splitlines()
    assert said == "llvmlite cannot be imported: there is none"
    assert result.startswith("True 20.08553")


def test_a_wrong_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_CPU_THREADS", "many")
    with pytest.raises(ValueError, match="INGOT_CPU_THREADS=many must be a number of threads, 1 or more"):
        kernel.threads_wanted()


def test_machine_code_is_kept_and_a_damaged_entry_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path))
    text = "define void @NAME() {\n  ret void\n}\n"
    builds = []
    for damage in (None, None, "flip"):
        made = jit_module.Jit()
        if damage:
            for path in tmp_path.rglob("*.entry"):
                data = bytearray(path.read_bytes())
                data[-1] ^= 1
                path.write_bytes(data)
        assert made.address(text, "nothing")
        builds.append(made.built)
    assert builds == [1, 0, 1]


def test_the_runtime_is_made_from_its_source() -> None:
    import hashlib

    folder = Path(kernel.__file__).parent
    digest = hashlib.sha256((folder / "runtime.c").read_bytes()).hexdigest()
    assert digest in (folder / "runtime.ll").read_text("utf-8").splitlines()[0], "run plugins/cpu/make_runtime.py"


# ---- definitions that no op has ----------------------------------------------------------------------------------------
def test_a_fused_definition_with_stages_and_two_stores() -> None:
    """Row sums of tanh(x·w), the rows themselves shifted by them, and a column of checks that hold."""
    from ingot_devices.ir import scalar as s

    x = np.random.default_rng(3).standard_normal((33, 70)).astype(np.float32)
    w = np.random.default_rng(4).standard_normal(70).astype(np.float32)
    operands = [Operand(0, "x", dt.float32, x.shape), Operand(1, "w", dt.float32, w.shape),
                Operand(2, "out", dt.float32, x.shape, output=True, input=False),
                Operand(3, "rows", dt.float32, (33,), output=True, input=False)]  # fmt: skip
    d = Define("fused", operands)
    i, j = d.axes(x.shape)
    value = s.tanh(operands[0][i, j] * operands[1][j])
    total = d.reduce("sum", value, over=[j])
    d.store(0, [i, j], value - total)
    d.store(1, [i], total, over=[i])
    out, rows = np.zeros_like(x), np.zeros(33, np.float32)
    layouts = {n: native_cases.layout_of(a) for n, a in enumerate((x, w, out, rows))}
    CODEGEN.native(d.finish(), layouts).call(x, w, out, rows)
    tanh = np.tanh(x.astype(float) * w)
    np.testing.assert_allclose(rows, tanh.sum(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(out, tanh - tanh.sum(1, keepdims=True), rtol=1e-5, atol=1e-5)


def test_in_place_rows() -> None:
    x = np.random.default_rng(3).standard_normal((33, 70)).astype(np.float32)
    (definition,), layouts, _ = native_cases.prepared("softmax", (x,), {"axis": -1})
    (wanted,) = native("softmax", x, axis=-1)
    shared = x.copy()
    CODEGEN.native(definition, layouts, frozenset({0})).call(shared, shared)
    np.testing.assert_array_equal(shared, wanted)


def test_the_eager_library_runs_on_native_kernels() -> None:
    x = ingot.randn(50, 60, device="cpu")
    np.testing.assert_array_equal(ingot.exp(x).numpy(), native("exp", x.numpy())[0])
    np.testing.assert_array_equal(ingot.softmax(x, -1).numpy(), native("softmax", x.numpy(), axis=-1)[0])
