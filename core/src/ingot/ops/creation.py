"""New tensors: from Python data, from NumPy, from numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.context import state
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Defaults
from ingot_devices.transfer import write

from .. import dispatch
from ..base import TensorBase
from ..cpu import KIND as CPU
from ..devices import open_device
from ..inplace import number_in
from .common import check_dtype, shape_of


def _finish(made: Any, requires_grad: bool) -> Any:
    if state.context.inference:
        made._inference = True
    return made.requires_grad_() if requires_grad else made


def _create(name: str, operands: Sequence[Any], device: Any, requires_grad: bool = False, **attributes: Any) -> Any:
    row = OPS[name]
    return _finish(dispatch.call(row, operands, row.bind(attributes), open_device(device)), requires_grad)


def from_array(array: Any, dtype: dt.DType, device: Any) -> Any:
    """A new tensor with the values of a NumPy array, in ``dtype`` on ``device``."""
    opened = open_device(device)
    layout = Layout.dense(array.shape, dtype, opened)
    block, native = opened.pool.fresh(layout)
    made = TensorBase.kind.make(block, layout, 0, native)
    with np.errstate(all="ignore"):
        write(made, np.ascontiguousarray(array).astype(dtype.numpy, copy=False).reshape(array.shape))
    return made


def _array_of(data: Any) -> tuple[Any, dt.DType]:
    """Python data as an array, and the dtype PyTorch would infer."""
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        return array, dt.from_numpy(array.dtype)
    if isinstance(data, (list, tuple)):
        data = _plain(data)
    try:
        array = np.array(data)
    except ValueError as e:
        raise ValueError(f"expected sequences of equal length at every level: {e}") from None
    if array.dtype.kind == "f" and not _has_numpy(data):
        return array, Defaults.float
    if array.size == 0 and array.dtype.kind == "f":
        return array, Defaults.float
    if array.dtype.kind in "OUS":
        raise TypeError(f"a tensor cannot be made of {type(data).__name__} data such as {_first(data)!r}; "
                        "give numbers, booleans, nested lists of them, or a NumPy array")
    return array, dt.from_numpy(array.dtype)


def _plain(data: Any) -> Any:
    """Nested sequences with tensors in them as nested numbers."""
    if isinstance(data, TensorBase):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(v) for v in data]
    return data


def _has_numpy(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return bool(data) and _has_numpy(data[0])
    return isinstance(data, (np.ndarray, np.generic))


def _first(data: Any) -> Any:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Any:
    """A new tensor with a copy of ``data``: numbers, nested sequences, a NumPy array, or a tensor."""
    if isinstance(data, TensorBase):
        made = data.detach().to(device=device or data.device, dtype=check_dtype(dtype) or data.dtype, copy=True)
        return _finish(made, requires_grad)
    array, inferred = _array_of(data)
    wanted = check_dtype(dtype) or inferred
    if wanted.kind in "iu" and wanted is not inferred and array.size and not _has_numpy(data):
        for extreme in (array.min(), array.max()):
            number_in(extreme.item(), wanted)
    return _finish(from_array(array, wanted, device), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """``data`` itself where it is a tensor that fits, its memory where that is a device's (an object with
    ``__cuda_array_interface__``), else a new tensor."""
    if isinstance(data, TensorBase):
        return data.to(device=device or data.device, dtype=check_dtype(dtype) or data.dtype)
    interface = getattr(data, "__cuda_array_interface__", None)
    if interface is not None:
        from ..interchange import adopt_interface

        made = adopt_interface(data, interface)
        return made.to(device=device or made.device, dtype=check_dtype(dtype) or made.dtype)
    return tensor(data, dtype=dtype, device=device)


asarray = as_tensor


def from_numpy(array: Any) -> Any:
    """A tensor with the values of ``array``. The memory is shared where the CPU is the default device and the array is
    row-major and writable; else it is copied."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    dtype = dt.from_numpy(array.dtype)
    opened = open_device(CPU)
    shared = (
        opened.host_visible and array.flags.c_contiguous and array.flags.writeable and opened.pool.host and array.size
    )
    if not shared:
        return from_array(array, dtype, CPU)
    layout = Layout.dense(array.shape, dtype, opened)
    return TensorBase.kind.make(opened.pool.adopt(array.nbytes, array), layout, 0, array)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **ignored: Any) -> Any:
    """Uninitialised memory."""
    opened = open_device(device)
    if opened.axes:
        return zeros(*size, dtype=dtype, device=opened, requires_grad=requires_grad)
    layout = Layout.dense(shape_of(size), check_dtype(dtype) or Defaults.float, opened)
    block, native = opened.pool.fresh(layout)
    return _finish(TensorBase.kind.make(block, layout, 0, native), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """One number everywhere."""
    value = fill_value.item() if isinstance(fill_value, (TensorBase, np.generic)) else fill_value
    kind = check_dtype(dtype) or {bool: dt.bool_, int: dt.int64}.get(type(value), Defaults.float)
    return _create("full", (number_in(value, kind),), device, requires_grad, shape=shape_of((size,)), dtype=kind)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Zeros."""
    return _create(
        "full", (0,), device, requires_grad, shape=shape_of(size), dtype=check_dtype(dtype) or Defaults.float
    )


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Ones."""
    return _create(
        "full", (1,), device, requires_grad, shape=shape_of(size), dtype=check_dtype(dtype) or Defaults.float
    )


def _like(input: Any, dtype: Any, device: Any) -> dict[str, Any]:
    home = input._layout.device if input._layout.device.axes else input.device  # on lanes: for each of them
    return {"dtype": check_dtype(dtype) or input.dtype, "device": home if device is None else device}


def empty_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`empty` with the shape, dtype and device of ``input``."""
    return empty(input._layout.shape, requires_grad=requires_grad, **_like(input, dtype, device))


def zeros_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Any:
    """`zeros` with the shape, dtype and device of ``input``."""
    return zeros(input._layout.shape, requires_grad=requires_grad, **_like(input, dtype, device))


def ones_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`ones` with the shape, dtype and device of ``input``."""
    return ones(input._layout.shape, requires_grad=requires_grad, **_like(input, dtype, device))


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """`full` with the shape, dtype and device of ``input``."""
    return full(input._layout.shape, fill_value, requires_grad=requires_grad, **_like(input, dtype, device))


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """start, start + step … before end."""
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, (TensorBase, np.generic)) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: start {start}, end {end}, step {step}"
        )
    floating = any(isinstance(v, float) for v in (start, end, step))
    kind = check_dtype(dtype) or (Defaults.float if floating else dt.int64)
    n = math.ceil((end - start) / step) if floating else -(-(end - start) // step)
    return _create("arange", (start, step), device, requires_grad, n=max(int(n), 0), dtype=kind)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """``steps`` numbers, evenly from start to end."""
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, not {steps}")
    start, end = (float(v) for v in (start, end))
    return _create(
        "linspace", (start, end), device, requires_grad, n=int(steps), dtype=check_dtype(dtype) or Defaults.float
    )


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Ones on the diagonal."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n and m must be greater or equal to 0, got {n} and {m}")
    return _create(
        "eye", (), device, requires_grad, n=n, m=n if m is None else m, dtype=check_dtype(dtype) or Defaults.float
    )


def scalar_tensor(value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """A zero-dim tensor of the default dtype."""
    return full((), value, dtype=dtype or Defaults.float, device=device)


FUNCTIONS = {
    f.__name__: f
    for f in (tensor, as_tensor, from_numpy, empty, full, zeros, ones, empty_like, zeros_like, ones_like, full_like, arange,
              linspace, eye, scalar_tensor)
}  # fmt: skip
FUNCTIONS["asarray"] = as_tensor


# ---- methods ---------------------------------------------------------------------------------------------------------
def new_empty(self: Any, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`empty` with this tensor's dtype and device."""
    return empty(*size, requires_grad=requires_grad, **_like(self, dtype, device))


def new_zeros(self: Any, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`zeros` with this tensor's dtype and device."""
    return zeros(*size, requires_grad=requires_grad, **_like(self, dtype, device))


def new_ones(self: Any, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`ones` with this tensor's dtype and device."""
    return ones(*size, requires_grad=requires_grad, **_like(self, dtype, device))


def new_full(
    self: Any, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """`full` with this tensor's dtype and device."""
    return full(size, fill_value, requires_grad=requires_grad, **_like(self, dtype, device))


def new_tensor(self: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`tensor` with this tensor's dtype and device."""
    return tensor(data, requires_grad=requires_grad, **_like(self, dtype, device))


ALONE = frozenset(FUNCTIONS)
METHODS = {f.__name__: f for f in (new_empty, new_zeros, new_ones, new_full, new_tensor)}
