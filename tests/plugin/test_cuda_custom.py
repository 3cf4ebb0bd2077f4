"""Source kernels in CUDA C: what a text may name, and errors at the author's own line; on the SIMULATED driver, no GPU.

`tests/device/test_custom_ops.py` trains with such kernels on whatever device it is given, a GPU too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cuda_programs
import pytest

PROGRAM = '''
from ingot import library
from ingot_devices.custom import callable_kernel
from ingot_devices.errors import KernelBuildError
from ingot_devices.explain import explain

double = library.kernel_of(library.declare(
    "double", operands="x", result="x", decompose=lambda b, x: b.mul(x, 2.0), reference=lambda x: 2 * x, add=False))
x = ingot.tensor([[1.0, 2, 3], [4, 5, 6]], device="cuda")

# what a text may name
kernel = double.source("cuda", """
    const index_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < x_size) out[i] = (out_t)(FACTOR * x[i] + x_shape0 - x_shape1 + SHIFT - WIDE);
""", constants={"FACTOR": 2, "SHIFT": 1.5, "WIDE": lambda x: x.shape[-1]}, register=False)
with ingot.use_kernel(kernel):
    found["named"] = double(x).tolist()
    found["a view"] = double(x[1:]).tolist()
found["without"] = double(x).tolist()

# workgroup memory, helpers, warps, a grid and a block from shapes
totals = library.kernel_of(library.declare(
    "totals", operands="x", result=lambda x: (x.shape[:-1], x.dtype), gradient=None, add=False))
totals.source("cuda", """
    float mine = threadIdx.x < N ? twice(x[blockIdx.x * N + threadIdx.x]) : 0;
    for (int d = 16; d; d /= 2) mine += __shfl_down_sync(0xffffffffu, mine, d);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = mine;
    __syncthreads();
    if (threadIdx.x == 0) out[blockIdx.x] = part[0] + part[1];
""", helpers="static __device__ float twice(float v) { return 2 * v; }", constants={"N": lambda x: x.shape[1]},
    grid=lambda out: out.size, block=64, local={"part": ("x_t", lambda: 2)})
many = np.random.default_rng(0).standard_normal((5, 50)).astype(np.float32)
found["totals"] = float(np.abs(totals(ingot.tensor(many, device="cuda")).cpu().numpy() - 2 * many.sum(1)).max())
found["explain"] = explain(totals.op, opened()).text()

# a library's function on buffers: here the driver's, as the device offers it
def doubled(x, out):
    values = np.empty(6, np.float32)
    opened().copy_out(x[0], x[1] * 4, memoryview(values).cast("B"))
    opened().copy_in(out[0], out[1] * 4, memoryview(2 * values).cast("B"))
with ingot.use_kernel(callable_kernel(double.op, "cuda", doubled)):
    found["callable"] = double(x).tolist()

# the declaration checks the kernel
right = double.source("cuda", "const int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < x_size) out[i] = 2 * x[i];",
                      register=False)
with ingot.use_kernel(right):
    found["route"] = library.opcheck(double, device="cuda").route
wrong = double.source("cuda", "const int i = blockIdx.x * blockDim.x + threadIdx.x; if (i + 1 < x_size) out[i] = 2 * x[i];",
                      register=False)
with ingot.use_kernel(wrong):
    found["wrong"] = message(AssertionError, lambda: library.opcheck(double, device="cuda"))

# errors
broken = double.source("cuda", """
    const int i = threadIdx.x;
    out[i] = 2 * y[i];
""", register=False)
with ingot.use_kernel(broken):
    found["syntax"] = message(KernelBuildError, lambda: double(x))
helped = double.source("cuda", "out[0] = f(x[0]);", register=False, helpers="""
static __device__ float f(float v) {
    return w;
}
""")
with ingot.use_kernel(helped):
    found["helper"] = message(KernelBuildError, lambda: double(x))
large = double.source("cuda", "out[threadIdx.x] = x[threadIdx.x];", block=2048)
found["large"] = explain(double.op, opened()).text()
'''

OUTSIDE = """
from ingot import library
op = library.kernel_of(library.declare("double", operands="x", result="x", gradient=None, add=False))
op.source("cuda", '''
    out[blockIdx.x + 1] = 2 * x[blockIdx.x];
''', block=1, threads=10)
found["outside"] = message(errors.LaunchError, lambda: op(ingot.ones(10, device="cuda")))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return cuda_programs.run(PROGRAM, tmp_path_factory.mktemp("cache"))


def test_operands_by_name_sizes_constants_and_types(found: dict[str, Any]) -> None:
    assert found["named"] == [[-0.5, 1.5, 3.5], [5.5, 7.5, 9.5]]  # 2x + 2 - 3 + 1.5 - 3
    assert found["a view"] == [[4.5, 6.5, 8.5]]
    assert found["without"] == [[2, 4, 6], [8, 10, 12]]


def test_warps_shared_memory_helpers_and_functions_of_shapes(found: dict[str, Any]) -> None:
    assert found["totals"] < 1e-4
    assert "registered" in found["explain"]


def test_a_function_on_buffers(found: dict[str, Any]) -> None:
    assert found["callable"] == found["without"]


def test_the_declaration_checks_the_kernel(found: dict[str, Any]) -> None:
    assert found["route"].startswith("override")
    assert "its reference" in found["wrong"] or "elements differ" in found["wrong"]


def test_a_compilers_error_is_told_at_the_authors_line(found: dict[str, Any]) -> None:
    assert "cuda:0 refused this kernel of double: " in found["syntax"]
    assert "out[i] = 2 * y[i];" in found["syntax"]
    assert "return w;" in found["helper"]


def test_a_block_that_is_too_large_is_declined_with_the_limit(found: dict[str, Any]) -> None:
    assert "is more than cuda:0 takes (1024 work-items)" in found["large"]


def test_a_kernel_that_writes_out_of_bounds_is_named(tmp_path: Path) -> None:
    said = cuda_programs.run(OUTSIDE, tmp_path, INGOT_DEBUG="bounds")["outside"]
    assert "double on cuda:0 [registered]" in said and "wrote outside its memory: 4 bytes from byte 40 on, behind" in said
