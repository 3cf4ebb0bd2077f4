"""The ops that the tests of custom kernels declare: each once as an expression, some once more as source.

The source is OpenCL C, and CUDA C with a few macros before it (`LANGUAGES`).

What names a device is a kernel's text alone: the declarations run everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def np_swiglu(gate: Array, x: Array) -> Array:
    return gate / (1 + np.exp(-gate)) * x


def np_rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


RMS_NORM = """
    r = rsqrt(mean(x * x) + eps)
    out = x * r * weight
"""

LANGUAGES = {
    "opencl": "",
    "cuda": """
#define get_global_id(axis) (blockIdx.x * blockDim.x + threadIdx.x)
#define get_group_id(axis) blockIdx.x
#define get_local_id(axis) threadIdx.x
#define CLK_LOCAL_MEM_FENCE
#define barrier(what) __syncthreads()
""",
}
"""What stands before the text on a device that takes it."""

SWIGLU_CL = """
    const index_t i = get_global_id(0);
    if (i < out_size) {
        const gate_t v = gate[i];
        out[i] = v / (1 + exp(-v)) * x[i];
    }
"""
SWIGLU_BACKWARD_CL = """
    const index_t i = get_global_id(0);
    if (i < dgate_size) {
        const gate_t s = 1 / (1 + exp(-gate[i])), v = grad[i];
        dgate[i] = v * x[i] * s * (1 + gate[i] * (1 - s));
        dx[i] = v * gate[i] * s;
    }
"""
RMS_NORM_CL = """
    const index_t row = get_group_id(0) * N;
    const int lane = get_local_id(0);
    x_t total = 0;
    for (index_t j = lane; j < N; j += BLOCK) total += x[row + j] * x[row + j];
    part[lane] = total;
    for (int half_ = BLOCK / 2; half_ > 0; half_ /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_) part[lane] += part[lane + half_];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const x_t r = 1 / sqrt(part[0] / N + (x_t)eps);
    for (index_t j = lane; j < N; j += BLOCK) out[row + j] = x[row + j] * r * weight[j];
"""
RMS_NORM_BACKWARD_CL = """
    const index_t row = get_group_id(0) * N;
    const int lane = get_local_id(0);
    x_t squares = 0, owed = 0;
    for (index_t j = lane; j < N; j += BLOCK) {
        squares += x[row + j] * x[row + j];
        owed += grad[row + j] * weight[j] * x[row + j];
    }
    part[lane] = squares;
    more[lane] = owed;
    for (int half_ = BLOCK / 2; half_ > 0; half_ /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_) {
            part[lane] += part[lane + half_];
            more[lane] += more[lane + half_];
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const x_t r = 1 / sqrt(part[0] / N + (x_t)eps), t = more[0] / N;
    for (index_t j = lane; j < N; j += BLOCK) {
        const x_t g = grad[row + j], v = x[row + j];
        dx[row + j] = r * (g * weight[j] - v * r * r * t);
        terms[row + j] = g * v * r;
    }
"""
ROWS: dict[str, Any] = {
    "constants": {"N": lambda x: x.shape[-1], "BLOCK": 32},
    "grid": lambda x, N: x.size // max(N, 1),
    "block": "BLOCK",
}


def declare_expressions(library: Any) -> dict[str, Any]:
    """Each op by name, as one expression; their gradients are derived."""
    return {
        "swiglu": library.custom_op("swiglu", "out = silu(gate) * x", reference=np_swiglu),
        "rms_norm": library.custom_op("rms_norm", RMS_NORM, scalars={"eps": 1e-6}, reference=np_rms_norm),
    }


def declare_sources(library: Any) -> dict[str, Any]:
    """The same ops by source, with gradients that are kernels of their own; elsewhere they are made of ops."""
    swiglu_backward = library.custom_op(
        "swiglu_cl_backward", operands="grad gate x", outputs="dgate dx", result={"dgate": "gate", "dx": "x"},
        decompose=_swiglu_backward,
    )  # fmt: skip
    swiglu = library.custom_op(
        "swiglu_cl", operands="gate x", result="x", reference=np_swiglu,
        decompose=lambda b, gate, x: b.mul(b.silu(gate), x),
        gradient=lambda b, g, gate, x: b.swiglu_cl_backward(g, gate, x),
    )  # fmt: skip
    backward = library.custom_op(
        "rms_norm_cl_backward", operands="grad x weight", scalars={"eps": 1e-6}, outputs="dx terms",
        result="x", decompose=_rms_norm_backward,
    )  # fmt: skip
    rms_norm = library.custom_op(
        "rms_norm_cl", operands="x weight", scalars={"eps": 1e-6}, result="x", reference=np_rms_norm,
        decompose=_rms_norm, gradient=lambda b, g, x, weight, eps: b.rms_norm_cl_backward(g, x, weight, eps),
    )  # fmt: skip
    part, more = {"part": ("x_t", "BLOCK")}, {"more": ("x_t", "BLOCK")}
    for device, helpers in LANGUAGES.items():
        swiglu_backward.source(device, SWIGLU_BACKWARD_CL, helpers=helpers)
        swiglu.source(device, SWIGLU_CL, helpers=helpers)
        backward.source(device, RMS_NORM_BACKWARD_CL, helpers=helpers, local=part | more, **ROWS)
        rms_norm.source(device, RMS_NORM_CL, helpers=helpers, local=part, **ROWS)
    return {"swiglu": swiglu, "rms_norm": rms_norm}


SOURCES = ("swiglu_cl", "swiglu_cl_backward", "rms_norm_cl", "rms_norm_cl_backward")


def _swiglu_backward(b: Any, grad: Any, gate: Any, x: Any) -> tuple[Any, Any]:
    s = b.sigmoid(gate)
    slope = b.mul(s, b.add(b.mul(gate, b.sub(1.0, s)), 1.0))
    return b.mul(b.mul(grad, x), slope), b.mul(grad, b.mul(gate, s))


def _scale(b: Any, x: Any, eps: Any) -> Any:
    return b.rsqrt(b.add(b.mean(b.square(x), axes=(-1,), keepdim=True), eps))


def _rms_norm(b: Any, x: Any, weight: Any, eps: Any) -> Any:
    return b.mul(b.mul(x, _scale(b, x, eps)), weight)


def _rms_norm_backward(b: Any, grad: Any, x: Any, weight: Any, eps: Any) -> tuple[Any, Any]:
    r = _scale(b, x, eps)
    g = b.mul(grad, weight)
    owed = b.mean(b.mul(g, x), axes=(-1,), keepdim=True)
    return b.mul(r, b.sub(g, b.mul(b.mul(x, b.square(r)), owed))), b.mul(b.mul(grad, x), r)


EXPRESSIONS: dict[str, tuple[str, Any]] = {
    "softmax": ("e1 = exp(x - max(x))\nout = e1 / sum(e1)", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    "standardize": ("out = (x - mean(x)) / sqrt(var(x) + 0.1)",
                    lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.1)),
    "log_sum_exp": ("m = max(x)\nout = m + log(sum(exp(x - m)))", lambda x: np.log(np.exp(x).sum(-1))),
    "norm_kept": ("out = sqrt(sum(x * x, keepdim=True))", lambda x: np.sqrt((x * x).sum(-1, keepdims=True))),
    "range": ("out = max(x) - min(x)", lambda x: x.max(-1) - x.min(-1)),
    "cases": ("out = x * x if x > 0.5 and not x > 1 else -abs(x)",
              lambda x: np.where((x > 0.5) & ~(x > 1), x * x, -np.abs(x))),
    "both_axes": ("out = x / sum(abs(x), axis=(-2, -1))", lambda x: x / np.abs(x).sum((-2, -1), keepdims=True)),
}  # fmt: skip
