"""What the NumPy source of `host` calls by name: the operators, stages and stores that are more than one ufunc.

Arrays stand in the kernel's frame (one axis for each axis of the definition, size 1 where a value does not vary).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import refusal
from .arguments import whole
from .blas import alone

Array = Any
_erf: Any = np.frompyfunc(math.erf, 1, 1)
_erfc: Any = np.frompyfunc(math.erfc, 1, 1)
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def check(condition: Array, op: str, code: str) -> None:
    """Raise at once: the host has no queue."""
    if not np.all(condition):
        raise refusal(code, f"{op}: {code}")


def number(value: float, dtype: Any) -> Any:
    """A Python number in ``dtype`` (a NumPy dtype); integers wrap, but for those of more than 64 bits: OverflowError."""
    if isinstance(value, int) and not isinstance(value, bool) and dtype.kind in "ui":
        bits = 8 * dtype.itemsize
        value = whole(value) & (1 << bits) - 1
        if dtype.kind == "i" and value >> (bits - 1):
            value -= 1 << bits
    return dtype.type(value)


def cast(x: Array, dtype: Any) -> Array:
    """``x`` in ``dtype``: floats to integers towards zero, NaN and out of range to the type's least value."""
    x = np.asarray(x)
    if x.dtype.kind == "f" and dtype.kind in "ui" and dtype.itemsize < 8:
        return x.astype(np.int64).astype(dtype)
    return x.astype(dtype)


def bitcast(x: Array, dtype: Any) -> Array:
    """The same bits as ``dtype``."""
    x = np.asarray(x)
    return x.view(dtype) if x.ndim else x.reshape(1).view(dtype).reshape(())


def where_(condition: Array, a: Array, b: Array, dtype: Any) -> Array:
    """Choice; literals take ``dtype``."""
    made: Any = np.where(condition, a, b)
    return made if made.dtype == dtype else made.astype(dtype)


def shl_(x: Array, n: Array, dtype: Any) -> Array:
    """Left shift; by the width or more gives 0."""
    return np.left_shift(x, n, dtype=dtype)


def shr_(x: Array, n: Array, dtype: Any) -> Array:
    """Right shift, arithmetic for signed types."""
    return np.right_shift(x, n, dtype=dtype)


def mulhi_(a: Array, b: Array, dtype: Any) -> Array:
    """The high half of a 32-bit unsigned product."""
    return ((np.asarray(a).astype(np.uint64) * np.asarray(b).astype(np.uint64)) >> np.uint64(32)).astype(dtype)


def rsqrt_(x: Array) -> Array:
    """1 / √x."""
    return np.divide(1, np.sqrt(x), dtype=np.asarray(x).dtype)


def pow_(a: Array, b: Array) -> Array:
    """Power; a negative power of an integer is 0, but for 1 and -1."""
    if np.asarray(a).dtype.kind == "f":
        return np.power(a, b)
    made = np.power(a, np.maximum(b, 0))
    unit = np.where(np.equal(a, 1), 1, np.where(np.equal(a, -1), np.where(np.remainder(b, 2), -1, 1), 0))
    return np.where(np.less(b, 0), unit, made).astype(made.dtype)


def fma_(a: Array, b: Array, c: Array) -> Array:
    """a·b + c in two roundings: contraction is off everywhere."""
    return a * b + c


def erf_(x: Array) -> Array:
    """The error function, through the C library's, in double."""
    return np.asarray(_erf(np.asarray(x, dtype=np.float64)), dtype=np.float64).astype(np.asarray(x).dtype)


def erfc_(x: Array) -> Array:
    """The complementary error function, likewise."""
    return np.asarray(_erfc(np.asarray(x, dtype=np.float64)), dtype=np.float64).astype(np.asarray(x).dtype)


def guarded(x: Array, at: tuple[Array, ...], valid: Array, fill: Any) -> Array:
    """``x[at]`` where ``valid``, else ``fill``; memory outside is not touched."""
    if x.size == 0:
        shape = np.broadcast_shapes(*(np.shape(i) for i in at), np.shape(valid))
        return np.full(shape, fill, dtype=x.dtype)
    safe = tuple(np.where(valid, i, 0) for i in at)
    return np.where(valid, x[safe], np.asarray(fill, dtype=x.dtype))


# ---- reductions: values in the frame, axes counted from the right; the axes are kept with size 1 ----------------------
def reduce_sum(v: Array, axes: tuple[int, ...]) -> Array:
    """Sum. A long reduction that is not along the innermost axis is cut, so that rounding errors stay small."""
    if v.dtype.kind == "f" and v.dtype.itemsize < 8 and -1 not in axes and len(axes) == 1:
        n = v.shape[axes[0]]
        if n > 512:
            return _sum_in_parts(v, axes[0] % v.ndim, n)
    return np.add.reduce(v, axis=axes, keepdims=True, dtype=v.dtype)


def _sum_in_parts(v: Array, axis: int, n: int) -> Array:
    part = max(16, math.isqrt(n))
    whole = n - n % part
    body = np.take(v, range(0), axis=axis) if not whole else v[(slice(None),) * axis + (slice(0, whole),)]
    shape = (*body.shape[:axis], whole // part, part, *body.shape[axis + 1 :])
    partial = np.add.reduce(body.reshape(shape), axis=axis + 1, dtype=v.dtype)
    total = np.add.reduce(partial, axis=axis, keepdims=True, dtype=v.dtype)
    if whole != n:
        tail = v[(slice(None),) * axis + (slice(whole, n),)]
        total = total + np.add.reduce(tail, axis=axis, keepdims=True, dtype=v.dtype)
    return total


def reduce_prod(v: Array, axes: tuple[int, ...]) -> Array:
    """Product."""
    return np.multiply.reduce(v, axis=axes, keepdims=True, dtype=v.dtype)


def _extreme(v: Array, axes: tuple[int, ...], ufunc: Any, least: bool) -> Array:
    if v.size or all(v.shape[a] for a in axes):
        return ufunc.reduce(v, axis=axes, keepdims=True)
    return ufunc.reduce(v, axis=axes, keepdims=True, initial=limit(v.dtype, least))


def limit(dtype: Any, least: bool) -> Any:
    """The identity of max (least) or min."""
    if dtype.kind == "b":
        return not least
    if dtype.kind in "ui":
        return np.iinfo(dtype).min if least else np.iinfo(dtype).max
    return -np.inf if least else np.inf


def reduce_max(v: Array, axes: tuple[int, ...]) -> Array:
    """Maximum; NaN wins."""
    return _extreme(v, axes, np.maximum, True)


def reduce_min(v: Array, axes: tuple[int, ...]) -> Array:
    """Minimum; NaN wins."""
    return _extreme(v, axes, np.minimum, False)


def reduce_any(v: Array, axes: tuple[int, ...]) -> Array:
    """Logical or."""
    return np.logical_or.reduce(v, axis=axes, keepdims=True)


def reduce_all(v: Array, axes: tuple[int, ...]) -> Array:
    """Logical and."""
    return np.logical_and.reduce(v, axis=axes, keepdims=True)


def _positions(v: Array, p: Array, axes: tuple[int, ...], find: Any) -> tuple[Array, Array]:
    v, p = np.broadcast_arrays(v, p)
    places = sorted(a % v.ndim for a in axes)
    rest = [k for k in range(v.ndim) if k not in places]
    count = math.prod(v.shape[k] for k in places)
    flat = v.transpose(*rest, *places).reshape(*(v.shape[k] for k in rest), count)
    where_from = p.transpose(*rest, *places).reshape(flat.shape)
    at = find(flat, axis=-1)[..., None]
    shape = tuple(1 if k in places else v.shape[k] for k in range(v.ndim))
    return np.take_along_axis(flat, at, -1).reshape(shape), np.take_along_axis(where_from, at, -1).reshape(shape)


def reduce_argmax(v: Array, p: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Greatest value and its position: the first among equals, NaN before all."""
    return _positions(v, p, axes, np.argmax)


def reduce_argmin(v: Array, p: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Least value and its position: the first among equals, NaN before all."""
    return _positions(v, p, axes, np.argmin)


def reduce_welford(v: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and sum of squared deviations from it."""
    n = math.prod(v.shape[a] for a in axes)
    mean = reduce_sum(v, axes) / v.dtype.type(n)
    return mean, reduce_sum(np.square(v - mean), axes)


def reduce_logsumexp(v: Array, axes: tuple[int, ...]) -> Array:
    """log Σ exp, by the largest term."""
    top = reduce_max(v, axes)
    shift = np.where(np.isfinite(top), top, v.dtype.type(0))
    return np.log(reduce_sum(np.exp(v - shift), axes)) + shift


# ---- scans ----------------------------------------------------------------------------------------------------------
def scan_sum(v: Array, axes: tuple[int, ...]) -> Array:
    """Running sum; narrow floats are carried in double and rounded once."""
    wide = np.float64 if v.dtype.kind == "f" else v.dtype
    return np.add.accumulate(v, axis=axes[0], dtype=wide).astype(v.dtype) if axes else v


def scan_prod(v: Array, axes: tuple[int, ...]) -> Array:
    """Running product."""
    return np.multiply.accumulate(v, axis=axes[0], dtype=v.dtype) if axes else v


def scan_max(v: Array, axes: tuple[int, ...]) -> Array:
    """Running maximum; NaN stays."""
    return np.maximum.accumulate(v, axis=axes[0]) if axes else v


def scan_min(v: Array, axes: tuple[int, ...]) -> Array:
    """Running minimum; NaN stays."""
    return np.minimum.accumulate(v, axis=axes[0]) if axes else v


def _scan_positions(v: Array, p: Array, axes: tuple[int, ...], ufunc: Any, better: Any) -> tuple[Array, Array]:
    v, p = np.broadcast_arrays(v, p)
    if not axes or v.size == 0:
        return v, p
    axis = axes[0]
    run = ufunc.accumulate(v, axis=axis)
    before = np.roll(run, 1, axis)
    new = better(v, before) | (np.isnan(v) & ~np.isnan(before) if v.dtype.kind == "f" else False)
    head = (slice(None),) * (axis % v.ndim) + (0,)
    new[head] = True
    steps = np.arange(v.shape[axis]).reshape([-1 if k == axis % v.ndim else 1 for k in range(v.ndim)])
    at = np.maximum.accumulate(np.where(new, steps, 0), axis=axis)
    return run, np.take_along_axis(p, at, axis)


def scan_argmax(v: Array, p: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Running maximum and the position of its first occurrence."""
    return _scan_positions(v, p, axes, np.maximum, np.greater)


def scan_argmin(v: Array, p: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Running minimum and the position of its first occurrence."""
    return _scan_positions(v, p, axes, np.minimum, np.less)


def scan_any(v: Array, axes: tuple[int, ...]) -> Array:
    """Running or."""
    return np.logical_or.accumulate(v, axis=axes[0]) if axes else v


def scan_all(v: Array, axes: tuple[int, ...]) -> Array:
    """Running and."""
    return np.logical_and.accumulate(v, axis=axes[0]) if axes else v


def scan_logsumexp(v: Array, axes: tuple[int, ...]) -> Array:
    """Running log Σ exp."""
    return np.logaddexp.accumulate(v, axis=axes[0]) if axes else v


# ---- contraction and scatter -----------------------------------------------------------------------------------------
def contract(
    a: Array, b: Array, rank: int, batch: tuple[int, ...], m: tuple[int, ...], n: tuple[int, ...], k: tuple[int, ...]
) -> Array:
    """Σₖ a·b as one matrix product; the arguments name frame axes. The result stands in the frame, k kept as 1."""
    a = a.reshape((1,) * (rank - a.ndim) + a.shape)
    b = b.reshape((1,) * (rank - b.ndim) + b.shape)
    shape = [max(x, y) if 0 not in (x, y) else 0 for x, y in zip(a.shape, b.shape, strict=True)]
    size = [math.prod(shape[i] for i in group) for group in (m, n, k)]
    outer = tuple(shape[i] for i in batch)
    left = a.transpose(*batch, *m, *k, *(n_ for n_ in n)).reshape(*outer, size[0], size[2])
    right = b.transpose(*batch, *k, *n, *(m_ for m_ in m)).reshape(*outer, size[2], size[1])
    made = alone(np.matmul, size)(left, right).reshape(*outer, *(shape[i] for i in (*m, *n)), *(1 for _ in k))
    order = (*batch, *m, *n, *k)
    back = [0] * len(order)
    for position, axis in enumerate(order):
        back[axis] = position
    rest = [axis for axis in range(rank) if axis not in order]
    return made.transpose(*back) if not rest else made


_AT = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def scatter(
    out: Array, at: tuple[Array, ...], value: Array, valid: Array | None, combine: str | None,
    shape: tuple[int, ...], order: tuple[int, ...],
) -> None:  # fmt: skip
    """``out[at] (combine)= value`` over the frame ``shape``, in row-major order of the axes ``order``."""
    rest = [k for k in range(len(shape)) if k not in order]

    def flat(x: Array) -> Array:
        return np.broadcast_to(x, shape).transpose(*order, *rest).reshape(-1)

    places = tuple(flat(i) for i in at)
    values = flat(value)
    if valid is not None:
        mask = flat(valid)
        places = tuple(p[mask] for p in places)
        values = values[mask]
    values = values.astype(out.dtype, copy=False)
    if out.ndim == 0:
        _scatter_scalar(out, values, combine)
    elif combine in (None, "set"):
        out[places] = values
    else:
        _AT[combine].at(out, places, values)


def _scatter_scalar(out: Array, values: Array, combine: str | None) -> None:
    for v in values:
        out[()] = v if combine in (None, "set") else _AT[combine](out[()], v)
