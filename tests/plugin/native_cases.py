"""Cases for native CPU kernels: ops over NumPy arrays, and as a script the digests of their results.

Used by `test_cpu_llvm` in this process, and in others with another instruction set or number of threads, where the digests must
come out the same: ``python native_cases.py`` prints JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.ir.definition import Definition
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS, Spec
from ingot_devices.opset.op import number_spec

Array = np.ndarray[Any, Any]


def layout_of(array: Array) -> Layout:
    """The layout of an array of the CPU."""
    strides = tuple(s // array.itemsize for s in array.strides)
    return Layout.of(array.shape, strides, dt.from_numpy(array.dtype), open_device("cpu"))


def aligned(shape: Sequence[int], dtype: Any, off: int = 0) -> Array:
    """Zeros that begin where a device's memory does, at a multiple of 64 bytes; ``off`` elements behind that."""
    dtype, size = np.dtype(dtype), math.prod(shape)
    raw = np.zeros((size + off) * dtype.itemsize + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64 + off * dtype.itemsize
    made: Array = raw[start : start + size * dtype.itemsize].view(dtype).reshape(shape)
    return made


def prepared(
    name: str, values: Sequence[Any], attrs: dict[str, Any]
) -> tuple[tuple[Definition, ...], dict[int, Layout], list[Array]]:
    """Definitions, layouts and fresh outputs of an op on ``values`` (arrays, numbers, None); nothing is mutated."""
    op = OPS[name]
    specs = [
        None if v is None else Spec.of(v.shape, dt.from_numpy(v.dtype)) if isinstance(v, np.ndarray) else number_spec(type(v))
        for v in values
    ]
    given = op.bind(attrs)
    specs_out = op.infer(specs, given)
    outs = [aligned(s.shape, s.dtype.numpy) for s in specs_out]
    layouts = {n: layout_of(v) for n, v in enumerate(values) if isinstance(v, np.ndarray)}
    for k, out in enumerate(outs):
        if k not in op.mutates:
            layouts[len(values) + k] = layout_of(out)
    return op.definitions(specs, given, specs_out), layouts, outs


def run(compile_: Any, name: str, *values: Any, **attrs: Any) -> list[Array]:
    """The outputs of op ``name`` by ``compile_(definition, layouts)``; mutated operands are copied first."""
    op = OPS[name]
    held = [v.copy() if n in op.mutates.values() else v for n, v in enumerate(values)]
    definitions, layouts, outs = prepared(name, held, attrs)
    for definition in definitions:
        fresh = [out for k, out in enumerate(outs) if k not in op.mutates]
        with np.errstate(all="ignore"):
            compile_(definition, layouts).call(*held, *fresh)
    return [held[op.mutates[k]] if k in op.mutates else out for k, out in enumerate(outs)]


def cases() -> dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Name → op, operands, attributes: one for each kind of loop, above and below the sizes where kernels change."""
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    large = np.tile(normal(33, 4096), (65, 1))  # results from 32 MiB on are stored past the caches
    wide, tall = normal(9, 1003), normal(5001, 37)
    adam = (normal(1003), normal(1003), normal(1003), normal(1003) ** 2, 1e-3, 0.1, 0.999, 0.001, 1e-8, 0.99)
    found: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
        f"{op} {n}": (op, (normal(n) * 4,), {}) for op in ("exp", "tanh", "sin", "gelu", "erf", "expm1") for n in (7, 1003)
    }
    ends = np.concatenate([np.linspace(-110, -80, 997), np.linspace(80, 95, 501), [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42]])
    found |= {
        "exp at its ends": ("exp", (ends.astype(np.float32),), {}),
        "exp of doubles at its ends": ("exp", (ends * 8,), {}),
        "small product": ("linear", (normal(9, 20), normal(48, 20), normal(48)), {}),
        "log": ("log", (np.abs(normal(1003)),), {}),
        "pow": ("pow", (np.abs(normal(1003)), normal(1003)), {}),
        "double": ("exp", (rng.standard_normal(103),), {}),
        "half": ("gelu", (normal(103).astype(np.float16),), {}),
        "transposed": ("tanh", (normal(33, 65).T,), {}),
        "strided": ("exp", (normal(33, 65)[::2, ::3],), {}),
        "broadcast": ("atan2", (normal(33, 1), normal(65)), {}),
        "softmax": ("softmax", (wide,), {"axis": -1}),
        "short softmax": ("softmax", (tall[:, :10],), {"axis": -1}),
        "softmax down": ("softmax", (tall,), {"axis": -2}),
        "layer_norm": ("layer_norm", (wide, wide[0].copy(), wide[1].copy(), 1e-5), {"count": 1}),
        "large gelu": ("gelu", (large,), {}),
        "large softmax": ("softmax", (large,), {"axis": -1}),
        "large softmax of odd rows": ("softmax", (large[:, :4095],), {"axis": -1}),
        "large layer_norm": ("layer_norm", (large, large[0].copy(), large[1].copy(), 1e-5), {"count": 1}),
        "row sum": ("sum", (wide,), {"axes": (-1,)}),
        "column sum": ("sum", (tall,), {"axes": (-2,)}),
        "whole sum": ("sum", (normal(300_001),), {}),
        "middle sum": ("sum", (normal(7, 301, 33),), {"axes": (-2,)}),
        "argmax": ("argmax", (wide,), {"axis": -1}),
        "variance": ("var", (tall,), {"axes": (-1,)}),
        "logsumexp": ("logsumexp", (wide,), {"axes": (-1,)}),
        "scan": ("cumsum", (normal(5, 301, 3),), {"axis": -2}),
        "running maximum": ("cummax", (normal(5, 31),), {"axis": -1}),
        "gather": ("index_select", (tall, rng.integers(0, 5001, 77)), {"axis": -2}),
        "scatter": ("embedding_backward", (normal(200, 6), rng.integers(0, 9, 200)), {"rows": 9}),
        "class loss": ("cross_entropy", (tall, rng.integers(0, 37, 5001), None, None), {}),
        "bias": ("linear", (wide, normal(12, 1003), normal(12)), {}),
        "columns of a product": ("linear", (normal(32, 128), normal(512, 128), normal(512)), {}),
        "rows of a product": ("matmul", (normal(512, 64), normal(64, 96)), {}),
        "rows of a turned product": ("matmul", (normal(64, 768).T, normal(64, 48)), {}),
        "a batch of products": ("matmul", (normal(5, 256, 64), normal(5, 64, 192)), {}),
        "adamw": ("adamw_step", adam, {}),
    }
    return found


def digests(compile_: Any) -> dict[str, str]:
    """Case → the digest of its results, bit by bit."""
    made = {}
    for name, (op, values, attrs) in cases().items():
        digest = hashlib.sha256()
        for out in run(compile_, op, *values, **attrs):
            digest.update(out.tobytes())
        made[name] = digest.hexdigest()[:16]
    return made


if __name__ == "__main__":
    from ingot_cpu.native.codegen import CpuCodegen

    print(json.dumps(digests(CpuCodegen().native)))
