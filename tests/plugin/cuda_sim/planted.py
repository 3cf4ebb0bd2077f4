"""Bugs planted on purpose, each beside its right twin: what the simulated driver says to either.

    python -m cuda_sim.planted          prints JSON: name → [findings of the right one, findings of the wrong one]

A row is a function of a `Machine` and of whether to be wrong. ``tests/plugin/test_cuda_sim.py`` holds that each wrong one
is found by name and no right one is.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable

import numpy as np

from .machine import Machine

N = 100
Row = Callable[[Machine, bool], object]
ROWS: dict[str, tuple[str, Row]] = {}  # name → (what the finding says, the row)
HEAD = 'extern "C" __global__ void k'


def row(says: str) -> Callable[[Row], Row]:
    """Registers a row; ``says`` is a regular expression for its finding."""

    def add(function: Row) -> Row:
        ROWS[function.__name__] = (says, function)
        return function

    return add


def launch(
    m: Machine, source: str, *arguments: object, block: int = 64, grid: int = 1, shared: int = 0, **more: object
) -> None:
    """Compile ``source`` and queue its kernel."""
    m.kernel(source)(*arguments, block=(block, 1, 1), grid=(grid, 1), shared=shared, **more)


def floats(m: Machine, n: int = N) -> object:
    """``n`` float32 on the device."""
    return m.put(np.arange(n, dtype=np.float32))


# ---- one launch ---------------------------------------------------------------------------------------------------------
@row(r"out of bounds: write of 4 bytes .*\(0 bytes after the end of the allocation of 400 bytes\): "
     r"kernel k, block \(0,0,0\), thread \(100,0,0\), line 1")  # fmt: skip
def bound_off_by_one(m: Machine, wrong: bool) -> None:
    less = "<=" if wrong else "<"
    source = f"{HEAD}(float *x, int n) {{ int i = threadIdx.x; if (i {less} n) x[i] = 1; }}"
    launch(m, source, floats(m), np.int32(N), block=128)


@row(r"out of bounds: read of 4 bytes .*\(4 bytes before the start of the allocation of 400 bytes\)")
def read_before_the_start(m: Machine, wrong: bool) -> None:
    first = -1 if wrong else 0
    launch(m, f"{HEAD}(const float *x, float *y) {{ int i = threadIdx.x; y[i] = x[i + {first}]; }}", floats(m), floats(m))


@row(r"out of bounds: write of 4 bytes .*block \(1,0,0\)")
def grid_without_its_tail(m: Machine, wrong: bool) -> None:
    guard = "" if wrong else "if (i < n) "
    source = f"{HEAD}(float *x, int n) {{ int i = blockIdx.x * blockDim.x + threadIdx.x; {guard}x[i] = 1; }}"
    launch(m, source, floats(m), np.int32(N), grid=2)


@row(r"shared memory race \(missing barrier\?\): (read|write) of 4 bytes .*thread \d+ used.*line [23]")
def missing_barrier(m: Machine, wrong: bool) -> None:
    barrier = "" if wrong else "__syncthreads();"
    source = (f"{HEAD}(float *x) {{ __shared__ float s[64]; int t = threadIdx.x; s[t] = 0; __syncthreads();\n"
              f"s[t] = x[t]; {barrier}\nx[t] = s[63 - t]; }}")  # fmt: skip
    launch(m, source, floats(m))


@row(r"shared memory race \(missing barrier\?\): (read|write)")
def missing_barrier_before_reuse(m: Machine, wrong: bool) -> None:
    barrier = "" if wrong else "__syncthreads();"
    source = (f"{HEAD}(float *x) {{ __shared__ float s[64]; int t = threadIdx.x; float sum = 0; for (int k = 0; k < 2; k++) {{"
              f" s[t] = x[t] + k; __syncthreads(); sum += s[63 - t]; {barrier} }} x[t] = sum; }}")  # fmt: skip
    launch(m, source, floats(m))


@row(r"divergent barrier: kernel k, block \(0,0,0\): thread 0 waits at the barrier of line 1, thread 32 has left")
def divergent_barrier(m: Machine, wrong: bool) -> None:
    guard = "if (threadIdx.x < 32) " if wrong else ""
    launch(m, f"{HEAD}(float *x) {{ {guard}__syncthreads(); x[threadIdx.x] = 1; }}", floats(m))


@row(r"divergent barrier: kernel k.*waits at the barrier of line 2, thread 40 at line 3")
def two_barriers_in_a_branch(m: Machine, wrong: bool) -> None:
    bound = 40 if wrong else 64
    source = f"{HEAD}(float *x) {{ if (threadIdx.x < {bound})\n__syncthreads(); else\n__syncthreads(); x[threadIdx.x] = 1; }}"
    launch(m, source, floats(m))


@row(r"divergent barrier: .* has left the kernel")
def early_return_before_a_barrier(m: Machine, wrong: bool) -> None:
    n = 60 if wrong else 64
    source = f"{HEAD}(float *x) {{ if (threadIdx.x >= {n}) return; x[threadIdx.x] = 1; __syncthreads(); }}"
    launch(m, source, floats(m))


@row(r"divergent barrier: .*warp operation")
def shuffle_without_a_lane(m: Machine, wrong: bool) -> None:
    guard = "if (t != 5) " if wrong else ""
    source = (f"{HEAD}(float *x) {{ int t = threadIdx.x; float v = x[t];"
              f" {guard}v = __shfl_xor_sync(0xffffffffu, v, 1); x[t] = v; }}")  # fmt: skip
    launch(m, source, floats(m), block=32)


@row(r"uninitialised shared memory: read of 4 bytes")
def uninitialised_shared_memory(m: Machine, wrong: bool) -> None:
    bound = 63 if wrong else 64
    source = (f"{HEAD}(float *x) {{ __shared__ float s[64]; int t = threadIdx.x;"
              f" if (t < {bound}) s[t] = 1; __syncthreads(); x[t] = s[t]; }}")  # fmt: skip
    launch(m, source, floats(m))


@row(r"uninitialised shared memory: .*block \(1,0,0\)")
def shared_memory_of_the_block_before(m: Machine, wrong: bool) -> None:
    first = "if (blockIdx.x == 0) " if wrong else ""
    source = (f"{HEAD}(float *x) {{ __shared__ float s[64]; int t = threadIdx.x; {first}s[t] = 1; __syncthreads();"
              f" if (t < 50) x[t + blockIdx.x * 50] = s[t]; }}")  # fmt: skip
    launch(m, source, floats(m), grid=2)


@row(r"out of bounds: write of 4 bytes .*shared memory")
def dynamic_shared_memory_too_small(m: Machine, wrong: bool) -> None:
    source = (f"{HEAD}(float *x) {{ extern __shared__ float s[]; int t = threadIdx.x;"
              f" s[t] = x[t]; __syncthreads(); x[t] = s[t]; }}")  # fmt: skip
    launch(m, source, floats(m), shared=252 if wrong else 256)


@row(r"global memory race \(missing barrier\?\): .* which a thread of another block used")
def sum_of_blocks_without_atomics(m: Machine, wrong: bool) -> None:
    add = "x[0] += 1;" if wrong else "atomicAdd(x, 1.0f);"
    launch(m, f"{HEAD}(float *x) {{ if (threadIdx.x == 0) {{ {add} }} }}", floats(m), grid=2)


@row(r"index beyond an array of the kernel: kernel k, block \(0,0,0\), thread \(\d+,0,0\), line 1")
def local_array_too_small(m: Machine, wrong: bool) -> None:
    source = (f"{HEAD}(const int *n, int *x) {{ int v[4] = {{0}};"
              " for (int q = 0; q < n[0]; q++) v[q] = q; x[threadIdx.x] = v[n[1]]; }")  # fmt: skip
    launch(m, source, m.put(np.array([5 if wrong else 4, 2], np.int32)), floats(m))


@row(r"misaligned address: read of 16 bytes")
def misaligned_vector(m: Machine, wrong: bool) -> None:
    source = f"{HEAD}(const float *x, float *y) {{ *(float4 *)(y) = *(const float4 *)(x + {1 if wrong else 4}); }}"
    launch(m, source, floats(m), floats(m), block=1)


@row(r"use after free: .* of the freed allocation of 400 bytes")
def use_after_free(m: Machine, wrong: bool) -> None:
    memory = m.drv.mem_alloc(4 * N)
    address = np.uint64(int(memory))
    if wrong:
        memory.free()
    launch(m, f"{HEAD}(float *x) {{ x[threadIdx.x] = 1; }}", address)


@row(r"out of bounds: write .*no device memory at all")
def pointer_of_the_host(m: Machine, wrong: bool) -> None:
    host = np.zeros(N, np.float32)
    pointer = np.uint64(host.ctypes.data) if wrong else floats(m)
    launch(m, f"{HEAD}(float *x) {{ x[threadIdx.x] = 1; }}", pointer)


@row(r"integer division by zero .*kernel k, block \(0,0,0\), thread \(0,0,0\)")
def division_by_zero(m: Machine, wrong: bool) -> None:
    source = f"{HEAD}(int *x, int n) {{ x[threadIdx.x] = 7 / (int)(threadIdx.x + n); }}"
    launch(m, source, floats(m), np.int32(0 if wrong else 1))


@row(r"the kernel trapped: .*line 1")
def failed_assertion(m: Machine, wrong: bool) -> None:
    source = f"{HEAD}(int *x) {{ assert(threadIdx.x < {63 if wrong else 64}); x[threadIdx.x] = 1; }}"
    launch(m, source, m.put(np.zeros(N, np.int32)))


# ---- what a launch may ask for -------------------------------------------------------------------------------------------
@row(r"refused: cuLaunchKernel failed: invalid argument")
def block_too_large(m: Machine, wrong: bool) -> None:
    launch(m, f"{HEAD}() {{}}", block=1025 if wrong else 1024)


@row(r"refused: cuLaunchKernel failed: too many resources")
def block_beyond_its_launch_bounds(m: Machine, wrong: bool) -> None:
    source = 'extern "C" __global__ void __launch_bounds__(64 * 2) k() {}'
    launch(m, source, block=160 if wrong else 128)


@row(r"refused: cuLaunchKernel failed: invalid argument")
def shared_memory_without_asking(m: Machine, wrong: bool) -> None:
    kernel = m.kernel(f"{HEAD}() {{}}")
    if not wrong:
        kernel.set_attribute(m.drv.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, 64 << 10)
    kernel(block=(1, 1, 1), grid=(1, 1), shared=64 << 10)


@row(r"kernel k takes 12 bytes of arguments, 8 were given")
def argument_left_out(m: Machine, wrong: bool) -> None:
    launch(m, f"{HEAD}(float *x, int n) {{ if (n == {N}) x[0] = 1; }}", floats(m), *([] if wrong else [np.int32(N)]))


# ---- memory and streams ----------------------------------------------------------------------------------------------------
@row(r"double free of the allocation of 400 bytes")
def double_free(m: Machine, wrong: bool) -> None:
    free, where = m.simulator.library.cuMemFree_v2, ctypes.c_uint64()
    free.argtypes = [ctypes.c_uint64]
    m.simulator.library.cuMemAlloc_v2(ctypes.byref(where), ctypes.c_size_t(4 * N))
    for _ in range(2 if wrong else 1):
        free(where)


@row(r"invalid free: .* \(byte 4 of the allocation")
def free_of_an_inner_address(m: Machine, wrong: bool) -> None:
    free, where = m.simulator.library.cuMemFree_v2, ctypes.c_uint64()
    free.argtypes = [ctypes.c_uint64]
    m.simulator.library.cuMemAlloc_v2(ctypes.byref(where), ctypes.c_size_t(4 * N))
    free(where.value + (4 if wrong else 0))


@row(r"out of bounds: copy to the device of 404 bytes")
def copy_too_long(m: Machine, wrong: bool) -> None:
    m.drv.memcpy_htod(m.drv.mem_alloc(4 * N), np.zeros(N + (1 if wrong else 0), np.float32))


@row(r"refused: cuMemAlloc failed: out of memory")
def more_than_there_is(m: Machine, wrong: bool) -> None:
    total = m.drv.mem_get_info()[1]
    m.drv.mem_alloc(total + 1 if wrong else 1 << 20).free()


@row(r"stream race: (kernel k and copy within the device|copy within the device and kernel k) use the same memory")
def stale_stream_order(m: Machine, wrong: bool) -> None:
    nonblocking = 1
    first, second = m.drv.Stream(nonblocking), m.drv.Stream(nonblocking)
    x, y = floats(m), floats(m)
    launch(m, f"{HEAD}(float *x) {{ x[threadIdx.x] = 1; }}", x, stream=first)
    if not wrong:
        done = m.drv.Event()
        done.record(first)
        second.wait_for_event(done)
    m.drv.memcpy_dtod_async(y, x, 4 * N, second)


@row(r"stream race: ")
def memory_reused_on_another_stream(m: Machine, wrong: bool) -> None:
    first, second = m.drv.Stream(1), m.drv.Stream(1)
    x = floats(m)
    source = f"{HEAD}(float *x, float v) {{ x[threadIdx.x] = v; }}"
    launch(m, source, x, np.float32(1), stream=first)
    launch(m, source, x, np.float32(2), stream=second if wrong else first)


@row(r"use of a stream that does not exist")
def destroyed_stream(m: Machine, wrong: bool) -> None:
    stream = m.drv.Stream()
    kernel = m.kernel(f"{HEAD}() {{}}")
    if wrong:
        m.simulator.library.cuStreamDestroy_v2(ctypes.c_void_p(stream.handle))
    kernel(block=(1, 1, 1), grid=(1, 1), stream=stream)


# ---- wrong answers: no rule of the driver is broken, and luck would hide it -------------------------------------------------
def differs(got: object, wanted: object) -> None:
    """A finding of its own kind, for rows whose result must be wrong."""
    if not np.array_equal(np.asarray(got), np.asarray(wanted)):
        raise WrongAnswer


class WrongAnswer(Exception):
    """The result is not the right one."""


@row(r"wrong answer")
def source_changed_before_the_copy_ran(m: Machine, wrong: bool) -> None:
    host, stream = m.drv.pagelocked_empty(N, np.float32), m.drv.Stream()
    host[:] = 1
    memory = m.drv.mem_alloc(4 * N)
    m.drv.memcpy_htod_async(memory, host, stream)
    if not wrong:
        stream.synchronize()
    host[:] = 2
    differs(m.get(memory, host), np.full(N, 1, np.float32))


@row(r"wrong answer")
def result_read_before_it_arrived(m: Machine, wrong: bool) -> None:
    host, stream = m.drv.pagelocked_empty(N, np.float32), m.drv.Stream()
    host[:] = 0
    memory = m.put(np.full(N, 3, np.float32))
    m.drv.memcpy_dtoh_async(host, memory, stream)
    if not wrong:
        stream.synchronize()
    differs(host.copy(), np.full(N, 3, np.float32))


@row(r"wrong answer")
def grid_too_small(m: Machine, wrong: bool) -> None:
    memory = m.drv.mem_alloc(4 * N)
    source = f"{HEAD}(float *x, int n) {{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) x[i] = 1; }}"
    launch(m, source, memory, np.int32(N), grid=1 if wrong else 2)
    differs(m.get(memory, np.empty(N, np.float32)), np.ones(N, np.float32))


def run(m: Machine, function: Row, wrong: bool) -> list[str]:
    """What came of one row."""
    try:
        return m.found(lambda: function(m, wrong))
    except WrongAnswer:
        m.found(lambda: None)
        return ["wrong answer"]


def main() -> None:
    """Print what is found in each row."""
    machine = Machine()
    print(json.dumps({name: [run(machine, f, False), run(machine, f, True)] for name, (_, f) in ROWS.items()}))
    machine.close()


if __name__ == "__main__":
    main()
