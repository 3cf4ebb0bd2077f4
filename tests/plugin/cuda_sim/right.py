"""What the simulated driver must do as CUDA does: printed as JSON, name → true.

    python -m cuda_sim.right

`planted` holds that wrong programs are found; here right ones have to give the answer that NumPy computes: shuffles of every
width, votes, atomics, half precision, dynamic shared memory, streams and graphs, errors of the compiler.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from .machine import Array, CompileError, Machine

HEAD = 'extern "C" __global__ void k'
KINDS = {"float32": "float", "float64": "double", "int32": "int", "uint32": "unsigned", "int64": "long long",
         "uint16": "unsigned short"}  # fmt: skip
CHECKS: dict[str, Callable[[Machine], bool]] = {}


def check(function: Callable[[Machine], bool]) -> Callable[[Machine], bool]:
    """Registers a check by its name."""
    CHECKS[function.__name__] = function
    return function


def mapped(m: Machine, body: str, x: Array, like: Array, block: int = 64, shared: int = 0) -> Array:
    """``y`` after a kernel of ``body`` over ``x``, one thread for each element (threads beyond have none)."""
    parameters = f"const {KINDS[x.dtype.name]} *x, {KINDS[like.dtype.name]} *y, int n"
    source = f"{HEAD}({parameters}) {{ int i = blockIdx.x * blockDim.x + threadIdx.x; {body} }}"
    out = m.put(np.zeros_like(like))
    m.kernel(source)(m.put(x), out, np.int32(x.size), block=(block, 1, 1), grid=(-(-x.size // block), 1), shared=shared)
    return m.get(out, like)


@check
def shuffles_of_every_type(m: Machine) -> bool:
    good = True
    for kind in (np.int32, np.uint32, np.int64, np.float32, np.float64):
        beside = {np.int64: 1 << 40, np.float32: 0.25, np.float64: 0.1}.get(kind, 0)
        x = (np.arange(64) * 3 + beside).astype(kind)
        y = mapped(m, "y[i] = __shfl_xor_sync(0xffffffffu, x[i], 5);", x, x)
        down = mapped(m, "y[i] = __shfl_down_sync(0xffffffffu, x[i], 3, 16);", x, x)
        up = mapped(m, "y[i] = __shfl_up_sync(0xffffffffu, x[i], 1);", x, x)
        lane = np.arange(64) % 16
        good &= bool((y == x[np.arange(64) ^ 5]).all() and (down == np.where(lane + 3 < 16, np.roll(x, -3), x)).all())
        good &= bool((up == np.where(np.arange(64) % 32 == 0, x, np.roll(x, 1))).all())
    return good


@check
def votes(m: Machine) -> bool:
    x = (np.arange(64) % 3 == 0).astype(np.int32)
    count = mapped(m, "y[i] = __syncthreads_count(x[i]);", x, x)
    ballot = mapped(m, "y[i] = (int)__ballot_sync(0xffffffffu, x[i]);", x, x)
    bits = [int("".join(map(str, x[k : k + 32][::-1])), 2) for k in (0, 32)]
    body = "y[i] = __any_sync(0xffffffffu, x[i]) + 2 * __all_sync(0xffffffffu, 1) + 4 * __syncthreads_or(0);"
    some = mapped(m, body, x, x)
    return bool((count == x.sum()).all() and (ballot.view(np.uint32) == np.repeat(bits, 32)).all() and (some == 3).all())


@check
def atomics(m: Machine) -> bool:
    x = np.arange(100, dtype=np.int32)
    body = ("if (i < n) { atomicAdd(y, x[i]); atomicMax(y + 1, x[i]); atomicCAS(y + 2, 0, 7); atomicExch(y + 3, 9);"
            " atomicOr(y + 4, x[i]); }")  # fmt: skip
    got = mapped(m, body, x, np.zeros(5, np.int32))
    return bool((got == [x.sum(), 99, 7, 9, 127]).all())


@check
def halves(m: Machine) -> bool:
    bits = np.arange(1 << 16, dtype=np.uint16)
    widened = mapped(m, "y[i] = __half2float(__ushort_as_half(x[i]));", bits, np.zeros(1 << 16, np.float32), block=256)
    draw = np.random.default_rng(0)
    values = np.ldexp(draw.normal(0, 1, 4096), draw.integers(-30, 18, 4096)).astype(np.float32)
    narrowed = mapped(m, "y[i] = __half_as_ushort(__float2half_rn(x[i]));", values, np.zeros(4096, np.uint16), block=256)
    rounded = mapped(m, "y[i] = __bfloat16_as_ushort(__float2bfloat16_rn(x[i]));", values, np.zeros(4096, np.uint16), block=256)
    with np.errstate(over="ignore"):
        same = np.array_equal(widened, bits.view(np.float16).astype(np.float32), equal_nan=True)
        return bool(same and (narrowed == values.astype(np.float16).view(np.uint16)).all()
                    and (rounded == values.astype(ml_dtypes.bfloat16).view(np.uint16)).all())  # fmt: skip


@check
def inline_ptx_of_conversions(m: Machine) -> bool:
    x = np.linspace(-9, 9, 64).astype(np.float32)
    body = ('float v = x[i], f; unsigned short h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(v));'
            ' asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); y[i] = f;')  # fmt: skip
    return bool((mapped(m, body, x, x) == x.astype(np.float16).astype(np.float32)).all())


@check
def tensor_cores(m: Machine) -> bool:
    """One product of fragments: each lane loads what the instruction's definition says that it holds."""
    draw = np.random.default_rng(3)
    a, b = (draw.integers(-8, 9, shape).astype(np.float16) for shape in ((16, 16), (16, 8)))
    lane, body = "int i = threadIdx.x / 4, j = threadIdx.x % 4 * 2;", """
  unsigned a[4], b[2]; float c[4] = {1, 1, 1, 1};
  for (int r = 0; r < 4; r++) { int at = (i + r % 2 * 8) * 16 + j + r / 2 * 8; a[r] = x[at] | x[at + 1] << 16; }
  for (int r = 0; r < 2; r++) b[r] = w[(j + r * 8) * 8 + i] | w[(j + r * 8 + 1) * 8 + i] << 16;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  for (int r = 0; r < 4; r++) y[(i + r / 2 * 8) * 8 + j + r % 2] = c[r];"""
    out = m.put(np.zeros((16, 8), np.float32))
    kernel = m.kernel(f"{HEAD}(const unsigned short *x, const unsigned short *w, float *y) {{ {lane}{body} }}")
    kernel(m.put(a), m.put(b), out, block=(32, 1, 1), grid=(1, 1))
    return bool((m.get(out, np.zeros((16, 8), np.float32)) == 1 + a.astype(np.float32) @ b.astype(np.float32)).all())


@check
def matrices_of_shared_memory(m: Machine) -> bool:
    """ldmatrix: four 8 × 8 matrices whose rows the lanes name; each lane gets two neighbours of a row, or of a column."""
    x = np.arange(16 * 16, dtype=np.uint16)
    out, good = m.put(np.zeros((32, 4), np.uint32)), True
    quarters = x.reshape(2, 8, 2, 8).swapaxes(1, 2).reshape(4, 8, 8)
    for kind, seen in (("", quarters), (".trans", quarters.swapaxes(1, 2))):
        kernel = m.kernel(f"""{HEAD}(const unsigned short *x, unsigned *y) {{
  __shared__ __align__(16) unsigned short s[256]; const int i = threadIdx.x; unsigned a, b, c, d;
  for (int k = 0; k < 8; k++) s[i * 8 + k] = x[i * 8 + k];
  __syncthreads();
  const unsigned at = (unsigned)__cvta_generic_to_shared(s + (i / 16 * 8 + i % 8) * 16 + i / 8 % 2 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4{kind}.shared.b16 {{%0, %1, %2, %3}}, [%4];"
               : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(at) : "memory");
  y[i * 4] = a, y[i * 4 + 1] = b, y[i * 4 + 2] = c, y[i * 4 + 3] = d; }}""")
        kernel(m.put(x), out, block=(32, 1, 1), grid=(1, 1))
        got = m.get(out, np.zeros((32, 4), np.uint32)).T.copy().view(np.uint16)
        good &= bool((got.reshape(4, 8, 8) == seen).all())
    return good


@check
def copies_arrive_when_they_are_waited_for(m: Machine) -> bool:
    """cp.async: NaN before the wait, the value after it, and 0 where no bytes were asked for."""
    x = np.arange(64, dtype=np.float32)
    body = """__shared__ __align__(16) float s[64]; const unsigned at = (unsigned)__cvta_generic_to_shared(s + i);
  const float *from = x + i; const unsigned bytes = i < 60 ? SIZE : 0;
  asm volatile("cp.async.KIND.shared.global [%0], [%1], SIZE, %2;" : : "r"(at), "l"(from), "r"(bytes) : "memory");
  const float before = s[i]; asm volatile("cp.async.wait_all;" : : : "memory"); y[i] = before == before ? -1 : s[i];"""
    words = mapped(m, body.replace("SIZE", "4").replace("KIND", "ca"), x, x)
    wide = body.replace("SIZE", "16").replace("KIND", "cg")
    quads = mapped(m, f"if (i % 4) return; {wide} for (int k = 1; k < 4; k++) y[i + k] = s[i + k];", x, x)
    return bool((words == np.where(x < 60, x, 0)).all() and (quads == words).all())


@check
def pairs_of_halves_and_powers_of_two(m: Machine) -> bool:
    x = np.linspace(-9, 9, 64).astype(np.float32)
    body = """float a = x[i], b = x[63 - i], p; unsigned h, g;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(h) : "f"(a), "f"(b));
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(g) : "f"(a), "f"(b));
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(p) : "f"(a)); y[4 * i] = h >> 16; y[4 * i + 1] = h & 0xffffu; y[4 * i + 2] = g >> 16;
  y[4 * i + 3] = p == exp2f(a) ? g & 0xffffu : 0;"""
    got = mapped(m, body, x, np.zeros((64, 4), np.int64))
    wanted = [v.astype(kind).view(np.uint16) for kind in (np.float16, ml_dtypes.bfloat16) for v in (x, x[::-1])]
    return bool((got == np.stack(wanted, 1)).all())


@check
def launches_of_one_stream_are_in_order(m: Machine) -> bool:
    """What all blocks read, the next launch may write; and what two blocks share through atomics is no race."""
    x, y = m.put(np.ones(64, np.float32)), m.put(np.zeros(64, np.float32))
    total = "float s = 0; for (int k = 0; k < 64; k++) s += x[k]; atomicAdd(y, s);"
    read = m.kernel(f"{HEAD}(const float *x, float *y) {{ {total} }}")
    write = m.kernel(f"{HEAD}(float *x) {{ x[threadIdx.x] += 1; }}")
    for _ in range(3):
        read(x, y, block=(32, 1, 1), grid=(4, 1))
        write(x, block=(64, 1, 1), grid=(1, 1))
    return bool((m.get(x, np.zeros(64, np.float32)) == 4).all() and m.get(y, np.zeros(64, np.float32))[0] == 128 * 64 * 6)


@check
def dynamic_shared_memory(m: Machine) -> bool:
    x = np.arange(64, dtype=np.float32)
    body = "extern __shared__ __align__(16) float s[]; s[i] = x[i]; __syncthreads(); y[i] = s[63 - i];"
    return bool((mapped(m, body, x, x, shared=256) == x[::-1]).all())


@check
def vectors_and_products(m: Machine) -> bool:
    x = np.array([-7, 1 << 30, 3, 12], dtype=np.int32)
    body = "int4 v = *(const int4 *)x; y[0] = v.w; y[1] = __mulhi(v.y, 12); y[2] = __popc(v.w); y[3] = min(v.x, v.z);"
    out = m.put(np.zeros_like(x))
    m.kernel(f"{HEAD}(const int *x, int *y) {{ {body} }}")(m.put(x), out, block=(1, 1, 1), grid=(1, 1))
    return bool((m.get(out, x) == [12, 3, 2, -7]).all())


@check
def events_order_streams_and_tell_time(m: Machine) -> bool:
    first, second, drv = m.drv.Stream(1), m.drv.Stream(1), m.drv
    x, y = m.put(np.zeros(64, np.float32)), m.put(np.zeros(64, np.float32))
    kernel = m.kernel(f"{HEAD}(float *x, const float *y) {{ x[threadIdx.x] = y[threadIdx.x] + 1; }}")
    start, end = drv.Event(), drv.Event()
    start.record(first)
    for _ in range(20):  # each waits for the other, so that any other order gives a smaller sum
        kernel(x, y, block=(64, 1, 1), grid=(1, 1), stream=first)
        event = drv.Event()
        event.record(first)
        second.wait_for_event(event)
        kernel(y, x, block=(64, 1, 1), grid=(1, 1), stream=second)
        event = drv.Event()
        event.record(second)
        first.wait_for_event(event)
    end.record(first)
    end.synchronize()
    return bool((m.get(y, np.zeros(64, np.float32)) == 40).all() and end.time_since(start) >= 0)


@check
def a_graph_replays(m: Machine) -> bool:
    from cuda.bindings import driver as cu

    def value(answer: tuple[Any, ...]) -> Any:
        assert answer[0] == cu.CUresult.CUDA_SUCCESS, answer
        return answer[1] if len(answer) > 1 else None

    stream, x = m.drv.Stream(1), m.put(np.zeros(64, np.float32))
    kernel = m.kernel(f"{HEAD}(float *x) {{ x[threadIdx.x] += 1; }}")
    handle = cu.CUstream(stream.handle)
    value(cu.cuStreamBeginCapture(handle, cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
    kernel(x, block=(64, 1, 1), grid=(1, 1), stream=stream)
    graph = value(cu.cuStreamEndCapture(handle))
    untouched = bool((m.get(x, np.zeros(64, np.float32)) == 0).all())
    run = value(cu.cuGraphInstantiate(graph, 0))
    for _ in range(3):
        value(cu.cuGraphLaunch(run, handle))
    return untouched and bool((m.get(x, np.zeros(64, np.float32)) == 3).all())


@check
def waiting_breaks_a_capture(m: Machine) -> bool:
    from cuda.bindings import driver as cu

    stream = m.drv.Stream(1)
    handle = cu.CUstream(stream.handle)
    cu.cuStreamBeginCapture(handle, cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL)
    (waited,) = cu.cuStreamSynchronize(handle)
    ended = cu.cuStreamEndCapture(handle)[0]
    codes = cu.CUresult
    return (waited, ended) == (codes.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, codes.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)


@check
def the_compiler_names_the_line(m: Machine) -> bool:
    try:
        m.cubin(f"{HEAD}(float *x) {{\n  x[0] = nothing;\n}}")
    except CompileError as error:
        return "kernel.cu(2): error: " in str(error) and "nothing" in str(error)
    return False


@check
def the_compiler_refuses_options_and_architectures(m: Machine) -> bool:
    refused = []
    for options in (["--gpu-architecture=sm_70"], ["--gpu-architecture=sm_90", "--contraction=off"]):
        try:
            m.cubin(f"{HEAD}() {{}}", *options)
        except CompileError as error:
            refused.append(str(error).strip())
    return len(refused) == 2 and "invalid value" in refused[0] and "unrecognized option" in refused[1]


@check
def a_cubin_of_another_architecture_is_refused(m: Machine) -> bool:
    try:
        m.drv.module_from_buffer(m.cubin(f"{HEAD}() {{}}", "--gpu-architecture=sm_80"))
    except m.drv.Error as error:
        return "no kernel image is available" in str(error)
    return False


@check
def what_is_not_simulated_says_so(m: Machine) -> bool:
    from cuda.bindings import driver as cu

    return bool(cu.cuMemPoolCreate(cu.CUmemPoolProps())[0] == cu.CUresult.CUDA_ERROR_NOT_SUPPORTED)


def main() -> None:
    """Print the outcome of each check, and the name of the device."""
    machine = Machine()
    outcome: dict[str, object] = {}
    for name, function in CHECKS.items():
        outcome[name] = function(machine) and not machine.simulator.findings()
    print(json.dumps({**outcome, "device": machine.drv.Device(0).name()}))
    machine.close()


if __name__ == "__main__":
    main()
