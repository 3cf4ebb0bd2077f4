"""Runs an op's definitions on an open device, from NumPy and back: the harness of tests of generated kernels.

Used in this process by `test_opencl`, `test_webgpu` and `test_sim_limits`, and under oclgrind by `test_oclgrind` (as a
script, with names of samples).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.device import Device
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS, Spec
from ingot_devices.opset.op import NUMBER
from ingot_devices.transfer import decode, encode

Array = np.ndarray[Any, Any]
_NUMBERS = {bool: dt.bool_, int: dt.int64, float: dt.float32}


def spec_of(value: Any) -> Spec | None:
    """The spec of an array, a Python number or None."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        return Spec.of(value.shape, dt.from_numpy(value.dtype))
    return Spec((), _NUMBERS[type(value)], NUMBER)


class Placed:
    """An array in device memory in its storage form, dense or spread out with gaps, transposed, behind an offset."""

    def __init__(self, device: Device, array: Array, spread: bool = False, behind: int = 0) -> None:
        self.device, self.shape, self.dtype = device, array.shape, array.dtype
        self.kept = device.limits.dtype_class(dt.from_numpy(array.dtype))
        size = array.dtype.itemsize
        if spread and array.ndim:
            base = np.zeros(tuple(2 * n + 3 for n in reversed(array.shape)), array.dtype)
            view = base.transpose()[tuple(slice(3, 3 + 2 * n, 2) for n in array.shape)]
            view[...] = array
            self.strides = tuple(s // size for s in view.strides)
            self.offset = (view.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // size
        else:
            base = np.ascontiguousarray(array)
            self.strides = Layout.dense(array.shape, dt.from_numpy(array.dtype), device).strides
            base = np.concatenate([np.zeros(behind, array.dtype), base.reshape(-1)])
            self.offset = behind
        self.elements = base.size
        stored = encode(base.reshape(-1), dt.from_numpy(self.dtype), self.kept).view(np.uint8)
        stored = np.concatenate([stored, np.zeros(-stored.size % device.limits.copy_granularity, np.uint8)])
        self.handle = device.allocate(-(-max(stored.nbytes, 1) // 256) * 256)
        if stored.nbytes:
            device.copy_in(self.handle, 0, stored.data)

    @property
    def native(self) -> tuple[Any, int]:
        return self.handle, self.offset

    @property
    def layout(self) -> Layout:
        return Layout.of(self.shape, self.strides, dt.from_numpy(self.dtype), self.device)

    def read(self) -> Array:
        """The elements, back on the host."""
        nbytes = self.elements * self.kept.storage.itemsize
        stored = np.empty(-(-nbytes // self.device.limits.copy_granularity) * self.device.limits.copy_granularity, np.uint8)
        if stored.nbytes:
            self.device.copy_out(self.handle, 0, stored.data)
        flat = decode(stored[:nbytes].view(self.kept.storage.numpy), dt.from_numpy(self.dtype), self.kept)
        strides = tuple(s * flat.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides).copy()


def run(device: Device, name: str, *values: Any, spread: bool = False, behind: int = 0, **attrs: Any) -> list[Array]:
    """The outputs of op ``name``; ``spread`` lays the operands out with gaps, or they lie ``behind`` so many elements."""
    op = OPS[name]
    specs = [spec_of(v) for v in values]
    given = op.bind(attrs)
    outputs = op.infer(specs, given)
    placed: dict[int, Placed] = {
        n: Placed(device, v, spread, behind) for n, v in enumerate(values) if isinstance(v, np.ndarray)
    }
    for k, spec in enumerate(outputs):
        if k not in op.mutates:
            placed[len(specs) + k] = Placed(device, np.zeros(spec.shape, spec.dtype.numpy))
    layouts = {n: p.layout for n, p in placed.items()}
    natives = [placed[n].native if n in placed else v for n, v in enumerate([*values, *outputs])]
    for definition in op.definitions(specs, given, outputs):
        device.codegen.compile(definition, layouts, device).call(*natives)
    return [placed[op.mutates.get(k, len(specs) + k)].read() for k in range(len(outputs))]


def samples() -> dict[str, tuple[str, Sequence[Any], dict[str, Any], Sequence[Array]]]:
    """Name → (op, operands, attributes, what NumPy says): one for each schedule and each kind of access, small."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    m = rng.standard_normal((9, 33)).astype(np.float32)
    w = rng.standard_normal((33, 12)).astype(np.float32)
    wide = rng.standard_normal((70, 33)).astype(np.float32)
    at = rng.integers(0, 4, (3, 2, 5))
    ids = rng.integers(0, 9, 20)
    rows = rng.standard_normal((20, 6)).astype(np.float32)
    nan = m.copy()
    nan[1, 3], nan[2, 5], nan[3, :] = np.nan, np.inf, 1.0
    e = np.exp(m - m.max(1, keepdims=True))
    mean, var = m.mean(1, keepdims=True), m.var(1, keepdims=True)
    table = np.zeros((9, 6), np.float32)
    np.add.at(table, ids, rows)
    added = x.copy()
    np.add.at(added, (np.arange(3)[:, None, None], at, np.arange(5)), 2 * np.ones((3, 2, 5), np.float32))
    a, b = np.array([-7, 7, -7, 7, -(2**31), 5], np.int32), np.array([2, -2, -2, 2, -1, 0], np.int32)
    quotient = np.array([-4, -4, 3, 3, -(2**31), 0], np.int32)
    halves = m.astype(np.float16)
    long = rng.standard_normal(50_000).astype(np.float32)
    return {
        "broadcast": ("add", (x, x[0, 0]), {}, [x + x[0, 0]]),
        "number": ("mul", (x, 2.5), {}, [x * np.float32(2.5)]),
        "bool": ("logical_and", (x > 0, x[0] > 0), {}, [(x > 0) & (x[0] > 0)]),
        "trapless": ("floor_divide", (a, b), {}, [quotient]),
        "wraps": ("mul", (np.array([2**30, -3], np.int32), np.array([5, 7], np.int32)), {}, [np.array([2**30, -21], np.int32)]),
        "half": ("add", (halves, halves[0]), {}, [halves + halves[0]]),
        "row sum": ("sum", (m,), {"axes": (-1,)}, [m.sum(1)]),
        "column sum": ("sum", (m,), {"axes": (-2,)}, [m.sum(0)]),
        "long sum": ("sum", (long,), {}, [long.sum(dtype=np.float64).astype(np.float32)]),
        "empty sum": ("sum", (x[:0],), {}, [np.zeros((), np.float32)]),
        "maximum with NaN": ("amax", (nan,), {"axes": (-1,)}, [nan.max(1)]),
        "argmax with NaN": ("argmax", (nan,), {"axis": -1}, [nan.argmax(1)]),
        "softmax": ("softmax", (m,), {"axis": -1}, [e / e.sum(1, keepdims=True)]),
        "variance": ("var", (m,), {"axes": (-1,)}, [m.var(1, ddof=1)]),
        "logsumexp": ("logsumexp", (m,), {"axes": (-1,)}, [np.log(np.exp(m).sum(1))]),
        "layer_norm": (
            "layer_norm", (m, w[:, 0].copy(), None, 1e-5), {"count": 1},
            [(m - mean) / np.sqrt(var + 1e-5) * w[:, 0], mean, 1 / np.sqrt(var + 1e-5)],
        ),
        "scan": ("cumsum", (x,), {"axis": -2}, [x.cumsum(1)]),
        "matmul": ("matmul", (m, w), {}, [m @ w]),
        "tiles": ("linear", (wide, w.T.copy(), w[0]), {}, [wide @ w + w[0]]),
        "batches": ("matmul", (x, x.transpose(0, 2, 1).copy()), {}, [x @ x.transpose(0, 2, 1)]),
        "pad": ("pad", (x, 1.5), {"pads": ((1, 2),)}, [np.pad(x, ((0, 0), (0, 0), (1, 2)), constant_values=1.5)]),
        "cat": ("cat", (x, x[..., :2].copy()), {"axis": -1}, [np.concatenate([x, x[..., :2]], -1)]),
        "gather": ("gather", (x, at), {"axis": -2}, [np.take_along_axis(x, at, 1)]),
        "scatter_add": ("scatter_add", (x, at, 2 * np.ones((3, 2, 5), np.float32)), {"axis": -2}, [added]),
        "embedding gradient": ("embedding_backward", (rows, ids), {"rows": 9}, [table]),
        "arange": ("arange", (1.0, 0.5), {"n": 7}, [np.arange(7, dtype=np.float32) / 2 + 1]),
    }  # fmt: skip


def wrong(found: Sequence[Array], expected: Sequence[Array]) -> str:
    """What differs, or nothing."""
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        loose = 2e-3 if a.dtype == np.float16 else 2e-5
        if a.shape != np.shape(b):
            return f"output {k} has shape {a.shape}, not {np.shape(b)}"
        close = np.isclose(a.astype(float), np.asarray(b).astype(float), rtol=loose, atol=loose, equal_nan=True)
        if not close.all():
            return f"output {k} is {a[~close][:4]}, not {np.asarray(b)[~close][:4]} ({math.prod(a.shape)} elements)"
    return ""


def main() -> int:
    """Run all samples on opencl:0 as a CPU and as a device of lanes; print what is wrong."""
    import dataclasses

    from ingot_devices.memory import Pool
    from ingot_opencl.device import OpenCLDevice

    device = OpenCLDevice(0)
    device.name, device.kind, device.pool = "opencl:0", "opencl", Pool(device)
    lanes = dataclasses.replace(device.limits, lanes=4, max_workgroup=256)
    faults = 0
    for limits in (device.limits, lanes):
        device.limits = limits
        for name, (op, values, attrs, expected) in samples().items():
            fault = wrong(run(device, op, *values, **attrs), expected)
            faults += bool(fault)
            print(f"{name}, lanes {limits.lanes}: {fault or 'right'}", flush=True)
    return faults


if __name__ == "__main__":
    raise SystemExit(main())
