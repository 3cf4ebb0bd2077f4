"""Fused attention for float16 and bfloat16 on tensor cores, as a kernel for `scaled_dot_product_attention`.

Registered through the hook ``ingot_kernels``; the kernel itself is `attention.cu`, built once for each head size. What it
does not take (float32, a mask, head sizes that are no multiple of 16, GPUs before compute capability 8.0) goes to the
composite's decomposition, as the gradient does: that computes the probabilities again.
"""

from __future__ import annotations

import struct
from importlib.resources import files
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.device import Arguments, Binding
from ingot_devices.layout import Layout
from ingot_devices.registry import Kernel, Request

from .dialect import PROLOGUE

QUERIES = 64  # of a block
LARGEST = 128  # head size: what registers and shared memory hold
_SCALARS = struct.Struct("@12qf3i")
_BLOCK = (128, 1, 1)


def source(half: bool, size: int, causal: bool, aligned: bool) -> str:
    """The kernel for one dtype and head size; ``aligned`` where all rows begin at multiples of 16 bytes."""
    text = files(__package__).joinpath("attention.cu").read_text("utf-8")
    defined = {"HALF": half, "D": size, "CAUSAL": causal, "ALIGNED": aligned}
    return "\n".join([PROLOGUE, *(f"#define {name} {int(value)}" for name, value in defined.items()), text])


def attention(request: Request) -> Compiled:
    """softmax(scale · q·kᵀ)·v and lse, by one launch. `Unsupported` says what is not taken."""
    q, k, v, mask, _ = request.layouts
    device, out = request.device, request.outputs[0]
    causal = bool(request.attributes["is_causal"])
    if mask is not None:
        raise Unsupported("it takes no mask beside the causal one")
    size = q.shape[-1]
    if v.shape[-1] != size or size % 16 or size > LARGEST:
        raise Unsupported(f"it takes one head size for all, a multiple of 16 up to {LARGEST}")
    if device.capability < (8, 0):
        raise Unsupported("its matrix instructions are those of compute capability 8.0")
    batch, heads = batches(q, k, v)
    steps = [step for x in (q, k, v) for step in steps_of(x)]
    queries, keys = q.shape[-2], k.shape[-2]
    if not (out.size and keys) or batch * heads > device.limits.max_grid[1]:
        raise Unsupported("it takes 1 to 65535 heads in all, with queries and keys")
    even = all(s % 8 == 0 for s in steps)
    grid = (-(-queries // QUERIES), batch * heads, 1)
    half = q.dtype is dt.float16
    built: dict[bool, Any] = {}

    def entry(aligned: bool) -> Any:
        if aligned not in built:
            built[aligned] = device.build(source(half, size, causal, aligned), "ingot_attention")
        return built[aligned]

    entry(even)
    (qb, qh, qr), (kb, kh, kr), (vb, vh, vr) = (steps[n : n + 3] for n in (0, 3, 6))

    def call(q: Any, k: Any, v: Any, mask: None, scale: float, out: Any, lse: Any) -> None:
        aligned = even and (q[1] | k[1] | v[1]) % 8 == 0
        scalars = _SCALARS.pack(q[1], qb, qh, qr, k[1], kb, kh, kr, v[1], vb, vh, vr, float(scale), heads, queries, keys)
        bound = (*(Binding(x[0], "r") for x in (q, k, v)), *(Binding(x[0] + x[1] * n, "w") for x, n in ((out, 2), (lse, 4))))
        device.launch(entry(aligned), grid, _BLOCK, Arguments(bound, scalars), device.current_stream())

    return Compiled(call, source(half, size, causal, even))


def batches(q: Layout, k: Layout, v: Layout) -> tuple[int, int]:
    """Sizes of the batch and of the heads: the leading axes, which all three must have alike."""
    lead = q.shape[:-2]
    if k.shape[:-2] != lead or v.shape[:-2] != lead or len(lead) > 2:
        raise Unsupported("it takes up to two leading axes, the same for queries, keys and values")
    batch, heads = (1, 1, *lead)[-2:]
    return batch, heads


def steps_of(x: Layout) -> tuple[int, int, int]:
    """Elements from batch to batch, head to head and row to row; the last axis must be dense."""
    if x.shape[-1] > 1 and x.strides[-1] != 1:
        raise Unsupported("rows must be dense")
    batch, heads, rows = (0, 0, *x.strides[:-1])[-3:]
    return batch, heads, rows


KERNELS = tuple(
    Kernel("scaled_dot_product_attention", "cuda", attention, (dt.float16, dt.bfloat16), layout, priority=priority)
    for layout, priority in (("any", 20), ("inner-dense", 10))  # as they lie if possible, else after a copy
)
