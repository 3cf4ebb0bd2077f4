"""A matrix product in OpenCL C whose sizes are found by measuring: `ingot tune matmul --device opencl`.

Registered through the hook ``ingot_kernels``; until a variant was found faster than the generated kernel on a device it
leaves the op to that. A work-item makes ``DOWN`` × ``WIDTH`` results: it copies ``DEPTH`` rows of a panel of the right factor
into private memory, where they are next to each other, and ``ROWS`` rows at a time run through it with their sums in
registers. Every result is summed in the order of the shared axis, as the definition says: to the
bit what the generated kernel gives.
"""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.custom import source_kernel

TEXT = """
    const index_t column = get_group_id(0) * WIDTH;
    const index_t first = get_group_id(1) * DOWN;
    const index_t last = min(first + DOWN, (index_t)M);
    if (column + WIDTH > N) {
        for (index_t i = first; i < last; i++) {
            for (index_t j = column; j < N; j++) {
                x_t sum = 0;
                for (index_t k = 0; k < K; k++) sum = sum + x[i * K + k] * y[k * N + j];
                out[i * N + j] = sum;
            }
        }
        return;
    }
    VECTOR panel[DEPTH];
    for (index_t start = 0; start < K; start += DEPTH) {
        const int depth = min((index_t)DEPTH, K - start);
        for (int k = 0; k < depth; k++) panel[k] = LOAD(0, y + (start + k) * N + column);
        for (index_t i = first; i < last; i += ROWS) {
            VECTOR sums[ROWS];
            index_t at[ROWS];
            #pragma unroll
            for (int r = 0; r < ROWS; r++) {
                at[r] = min(i + r, last - 1);
                sums[r] = start ? LOAD(0, out + at[r] * N + column) : (VECTOR)0;
            }
            for (int k = 0; k < depth; k++) {
                const VECTOR b = panel[k];
                #pragma unroll
                for (int r = 0; r < ROWS; r++) sums[r] = sums[r] + x[at[r] * K + start + k] * b;
            }
            #pragma unroll
            for (int r = 0; r < ROWS; r++) STORE(sums[r], 0, out + at[r] * N + column);
        }
    }
"""
HELPERS = """
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define VECTOR JOIN(x_t, WIDTH)
#define LOAD JOIN(vload, WIDTH)
#define STORE JOIN(vstore, WIDTH)
"""


def _grid(M: int, N: int, WIDTH: int, DOWN: int) -> tuple[int, int]:
    return -(-N // WIDTH), -(-M // DOWN)


def _refuse(x: Any, y: Any) -> str:
    if len(x.shape) != 2 or len(y.shape) != 2:
        return "takes two matrices"
    return "too small to be worth it" if min(*x.shape, *y.shape) < 16 else ""


KERNELS = (
    source_kernel(
        "matmul",
        "opencl",
        TEXT,
        helpers=HELPERS,
        grid=_grid,
        block=1,
        constants={"M": lambda x: x.shape[0], "K": lambda x: x.shape[1], "N": lambda y: y.shape[1], "WIDTH": 8},
        variants={"ROWS": (8, 4), "DOWN": (64, 256), "DEPTH": (256, 512)},
        dtypes=(dt.float32, dt.float64),
        refuse=_refuse,
        only_tuned=True,
    ),
)
