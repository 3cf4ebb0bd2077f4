"""A matrix product in OpenCL C whose sizes are found by measuring: `ingot tune matmul --device opencl`.

Registered through the hook ``ingot_kernels``; until a variant was found faster than the generated kernel on a device it
leaves the op to that. A work-item makes ``ROWS`` × ``WIDTH`` results in registers, ``DOWN`` of them side by side share
the columns of the right factor. Every result is summed in the order of the shared axis, as the definition says: to the
bit what the generated kernel gives.
"""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.custom import source_kernel

TEXT = """
    const index_t column = get_group_id(0) * WIDTH;
    const index_t row = get_global_id(1) * ROWS;
    if (row >= M) return;
    if (column + WIDTH <= N && row + ROWS <= M) {
        VECTOR sums[ROWS];
        for (int r = 0; r < ROWS; r++) sums[r] = 0;
        for (index_t k = 0; k < K; k++) {
            const VECTOR b = LOAD(0, y + k * N + column);
            #pragma unroll
            for (int r = 0; r < ROWS; r++) sums[r] = sums[r] + x[(row + r) * K + k] * b;
        }
        for (int r = 0; r < ROWS; r++) STORE(sums[r], 0, out + (row + r) * N + column);
        return;
    }
    for (index_t i = row; i < min(row + ROWS, (index_t)M); i++) {
        for (index_t j = column; j < min(column + WIDTH, (index_t)N); j++) {
            x_t sum = 0;
            for (index_t k = 0; k < K; k++) sum = sum + x[i * K + k] * y[k * N + j];
            out[i * N + j] = sum;
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


def _grid(M: int, N: int, ROWS: int, WIDTH: int, DOWN: int) -> tuple[int, int]:
    return -(-N // WIDTH), -(-M // (ROWS * DOWN))


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
        block=lambda DOWN: (1, DOWN),
        constants={"M": lambda x: x.shape[0], "K": lambda x: x.shape[1], "N": lambda y: y.shape[1]},
        variants={"ROWS": (4, 8), "WIDTH": (4, 8), "DOWN": (1, 4)},
        dtypes=(dt.float32, dt.float64),
        refuse=_refuse,
        only_tuned=True,
    ),
)
