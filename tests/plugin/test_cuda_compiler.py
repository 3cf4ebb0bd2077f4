"""NVRTC and the CUDA dialect, which need no GPU: what is built, what is refused and how that is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cuda_pretend import rendered
from ingot_cuda import compiler
from ingot_cuda.dialect import PROLOGUE
from ingot_devices import dtypes as dt
from ingot_devices.errors import KernelBuildError
from ingot_devices.opset import Spec
from ingot_devices.opset.op import NUMBER

SCALE = """extern "C" __global__ void scale(float *x, float by) {
  x[threadIdx.x] *= by;
}
"""


@pytest.fixture(scope="module")
def nvrtc() -> Any:
    """NVRTC, where ``cuda.bindings`` and the library are installed (`uv sync --group nvrtc`)."""
    module = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed: `uv sync --group nvrtc`")
    module.nvrtcVersion()
    return module


def shaped(*shape: int, dtype: dt.DType = dt.float32) -> Spec:
    return Spec.of(shape, dtype)


class TestDialect:
    def test_a_pointwise_kernel(self) -> None:
        text = rendered("add", shaped(3, 4), shaped(3, 4))
        assert text.startswith(PROLOGUE)
        assert 'extern "C" __global__ void __launch_bounds__(256 * 1 * 1) ingot_add(' in text
        inputs = "const float *__restrict__ x0, const float *__restrict__ x1"
        assert f"{inputs}, float *__restrict__ x2, const Arguments args" in text
        assert "blockIdx.x * blockDim.x + threadIdx.x" in text

    def test_halves_are_converted_where_they_are_loaded_and_stored(self) -> None:
        text = rendered("relu", shaped(64, dtype=dt.float16)).removeprefix(PROLOGUE)
        assert re.search(r"\[l0\] = ig_half\(x0\[", text)
        assert re.search(r"x1\[.*\] = ig_to_half\(", text)
        assert "unsigned short *__restrict__" in text

    def test_rows_share_memory_and_meet_at_barriers(self) -> None:
        text = rendered("softmax", shaped(8, 1000), axis=-1)
        assert "__shared__ float" in text and "__syncthreads();" in text


class TestCompiler:
    def test_a_cubin_for_each_architecture(self, nvrtc: Any) -> None:
        made = [compiler.compile_source(SCALE, "scale", f"sm_{n}") for n in (75, 80, 90, 100)]
        assert all(cubin[:4] == b"\x7fELF" and b"scale" in cubin for cubin in made)
        assert len(set(made)) == 4

    def test_ptx_is_the_way_out(self, nvrtc: Any) -> None:
        assert compiler.target((9, 0)) == "sm_90"
        assert compiler.target((9, 9)) == "compute_90"
        assert compiler.target((30, 0)).startswith("compute_1")
        assert b".target sm_90" in compiler.compile_source(SCALE, "scale", "compute_90")

    def test_nothing_is_contracted(self, nvrtc: Any) -> None:
        source = 'extern "C" __global__ void f(float *x) { x[0] = x[1] * x[2] + x[3]; }'
        assert b"fma" not in compiler.compile_source(source, "f", "compute_90")
        assert b"fma" in compiler.compile_source(source, "f", "compute_90", options=("--std=c++17",))

    def test_a_refused_source_shows_its_line(self, nvrtc: Any) -> None:
        source = SCALE.replace("by;\n", "nonsense;\n")
        told = r'cuda:0 could not build kernel scale: .*"nonsense" is undefined, in line 2: x'
        with pytest.raises(KernelBuildError, match=told) as e:
            compiler.compile_source(source, "scale", "sm_90", where="cuda:0")
        assert e.value.source == source
        assert "nonsense" in e.value.log

    def test_an_unknown_architecture_is_told(self, nvrtc: Any) -> None:
        with pytest.raises(KernelBuildError, match="could not build kernel scale"):
            compiler.compile_source(SCALE, "scale", "sm_20")

    @pytest.mark.parametrize("axis", [-1, -2])
    @pytest.mark.parametrize("dtype", [dt.float32, dt.bfloat16, dt.float16], ids=str)
    def test_reductions_load_16_bytes_at_a_time(self, nvrtc: Any, dtype: dt.DType, axis: int) -> None:
        first = rendered("sum", shaped(1 << 17, 4096, dtype=dtype), axes=(axis,)).split(PROLOGUE)[1]
        ptx = compiler.compile_source(PROLOGUE + first, "ingot_sum", "compute_90")
        assert re.search(rb"ld\.global(\.nc)?\.v4\.\w32", ptx)
        assert not re.search(rb"ld\.global(\.nc)?\.[^vn]", ptx)

    def test_broadcast_rows_are_loaded_and_stored_16_bytes_at_a_time(self, nvrtc: Any) -> None:
        text = rendered("add", shaped(64, 4096), shaped(4096))
        ptx = compiler.compile_source(text, "ingot_add", "compute_90")
        assert re.search(rb"ld\.global(\.nc)?\.v4", ptx)
        assert not re.search(rb"(ld|st)\.global(\.nc)?\.[^vn]", ptx)

    def test_bfloat16_is_rounded_by_the_hardware_and_stored_16_bytes_at_a_time(self, nvrtc: Any) -> None:
        text = rendered("softmax", shaped(64, 4096, dtype=dt.bfloat16), axis=-1)
        ptx = compiler.compile_source(text, "ingot_softmax", "compute_90")
        assert b"cvt.rn.bf16.f32" in ptx
        assert b"max.NaN.f32" in ptx
        assert re.search(rb"st\.global\.v4", ptx)
        assert b"cvt.rn.bf16.f32" not in compiler.compile_source(text, "ingot_softmax", "compute_75")

    @pytest.mark.parametrize("name", ["sum", "softmax", "cumsum"])
    def test_rendered_kernels_are_compiled(self, nvrtc: Any, name: str) -> None:
        attrs = {"axes": (-1,)} if name == "sum" else {"axis": -1}
        text = rendered(name, shaped(8, 1000, dtype=dt.bfloat16), **attrs)
        assert compiler.compile_source(text, f"ingot_{name}", "sm_80")[:4] == b"\x7fELF"


class TestWideAccess:
    """16 bytes to a work-item where neighbours lie side by side: seen in what the compiler makes of the source."""

    @pytest.mark.parametrize("dtype", [dt.float32, dt.bfloat16, dt.float16, dt.int64])
    def test_pointwise_kernels_load_and_store_16_bytes(self, nvrtc: Any, dtype: dt.DType) -> None:
        text = rendered("add", shaped(4096, dtype=dtype), shaped(4096, dtype=dtype))
        ptx = compiler.compile_source(text, "ingot_add", "compute_90").decode()
        wide = {"ld.global.v2.u64", "st.global.v2.u64"} if dtype is dt.int64 else {"ld.global.v4", "st.global.v4"}
        assert all(access in ptx for access in wide)

    def test_an_optimizer_step_does_too(self, nvrtc: Any) -> None:
        numbers = [Spec((), dt.float32, NUMBER)] * 6
        text = rendered("adamw_step", *[shaped(4096)] * 4, *numbers)
        ptx = compiler.compile_source(text, "ingot_adamw_step", "compute_90").decode()
        assert len(re.findall(r"ld\.global\.v4\.f32", ptx)) == 4
        assert len(re.findall(r"st\.global\.v4\.f32", ptx)) == 3

    def test_a_load_that_a_condition_keeps_within_bounds_is_not_moved_out_of_it(self, nvrtc: Any) -> None:
        text = rendered("pad", shaped(4096), Spec((), dt.float32, NUMBER), pads=((0, 8),))
        loads = [line for line in text.splitlines() if "x0[" in line]
        assert loads and all(re.search(r"\(t\d+ \? x0\[o0 \+ \(t\d+ \? ", line) for line in loads)
        ptx = compiler.compile_source(text, "ingot_pad", "compute_90").decode()
        assert "st.global.v4" in ptx and "ld.global.v4" not in ptx
