"""Views and copies: what moves elements and computes nothing, so every dtype and no error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .record import ALL, Record, S, V, function, functional, method


def M(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: exact in every dtype, called as a method unless ``call`` says otherwise."""
    options.setdefault("call", method(name))
    options.setdefault("dtypes", ALL)
    options.setdefault("ulp", 0)
    call = options.pop("call")
    return Record(name, call, reference, group="shape", **options)


def sizes(shape: tuple[Any, ...]) -> Any:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    return shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def unflatten(x: Any, dim: int, parts: Any) -> Any:
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *parts, *x.shape[dim + 1 :])


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if x.ndim == 0:
        return x.reshape(1)
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:start], int(np.prod(x.shape[start : end + 1])), *x.shape[end + 1 :])


def squeeze(x: Any, dim: Any = None) -> Any:
    dims = range(x.ndim) if dim is None else [d % max(x.ndim, 1) for d in ([dim] if isinstance(dim, int) else dim)]
    return x.reshape([n for k, n in enumerate(x.shape) if not (n == 1 and k in dims)])


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    start = start + x.shape[dim] if start < 0 else start
    return np.take(x, range(start, start + length), axis=dim)


def expand(x: Any, *shape: Any) -> Any:
    shape = sizes(shape)
    lead = len(shape) - x.ndim
    return np.broadcast_to(x, [x.shape[k - lead] if n == -1 else n for k, n in enumerate(shape)])


def roll(x: Any, shifts: Any, dims: Any = None) -> Any:
    return np.roll(x, shifts, dims)


def pad(x: Any, widths: Any, mode: str = "constant", value: float = 0) -> Any:
    """Pairs from the last axis on; negative widths crop."""
    for k in range(len(widths) // 2):
        axis, (low, high) = x.ndim - 1 - k, widths[2 * k : 2 * k + 2]
        pairs = [(0, 0)] * x.ndim
        pairs[axis] = (max(low, 0), max(high, 0))
        x = np.pad(x, pairs, constant_values=value)
        keep = [slice(None)] * x.ndim
        keep[axis] = slice(max(-low, 0), x.shape[axis] - max(-high, 0))
        x = x[tuple(keep)]
    return x


def pieces(x: Any, bounds: Any, dim: int) -> list[Any]:
    return np.split(x, bounds, axis=dim)


def split(x: Any, size: Any, dim: int = 0) -> list[Any]:
    if isinstance(size, int):
        return pieces(x, range(size, x.shape[dim], size), dim)
    return pieces(x, np.cumsum(size)[:-1], dim)


def chunk(x: Any, chunks: int, dim: int = 0) -> list[Any]:
    return split(x, max(-(-x.shape[dim] // chunks), 1), dim)


def repeat(x: Any, *counts: Any) -> Any:
    return np.tile(x, sizes(counts))


def as_strided(x: Any, size: Any, stride: Any, storage_offset: int = 0) -> Any:
    where = np.full(size, storage_offset)
    for axis, step in enumerate(stride):
        where = where + np.arange(size[axis]).reshape([-1 if k == axis else 1 for k in range(len(size))]) * step
    return x.reshape(-1)[where.astype(np.int64)]


def unfold(x: Any, dimension: int, size: int, step: int) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=dimension)
    return np.take(windows, range(0, windows.shape[dimension], step), axis=dimension)


def slice_case(t: Any, x: Any, start: Any, stop: Any, step: Any) -> Any:
    return x[..., start:stop:step]


def unbind(x: Any, dim: int = 0) -> list[Any]:
    return [np.take(x, k, axis=dim) for k in range(x.shape[dim])]


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return np.diagonal(x, offset, dim1, dim2)


SCALAR = "an axis is needed"
# fmt: off
VIEWS = (
    M("view", lambda x, *s: x.reshape(sizes(s)), dense_only="other strides may need a copy",
      samples=(
        S(V(3, 4), 2, 6), S(V(3, 4), (4, -1)), S(V(), 1, 1), S(V(0, 3), 3, 0), S(V(2, 6), -1))),
    M("permute", lambda x, *d: np.transpose(x, sizes(d)), samples=(
        S(V(2, 3, 4), 2, 0, 1), S(V(2, 3, 4), (-1, 0, 1)), S(V(), ()), S(V(0, 3), 1, 0),
        S(V(17, 9, 5), 2, 1, 0, big=True))),
    M("transpose", np.swapaxes, no_zero_dim=SCALAR, samples=(
        S(V(3, 4), 0, 1), S(V(2, 3, 4), -1, 0), S(V(0, 3), 0, 1))),
    M("expand", expand, samples=(
        S(V(3, 1), 3, 4), S(V(4), (2, 3, 4)), S(V(3, 1), 2, -1, 4), S(V(), 2, 3),
        S(V(1, 0), 3, 0))),
    M("squeeze", squeeze, samples=(
        S(V(1, 3, 1)), S(V(1, 3, 1), 0), S(V(1, 3, 1), -1), S(V(3, 4), 1),
        S(V(1, 3, 1, 2), (0, 2)), S(V()), S(V(1, 0)))),
    M("unsqueeze", np.expand_dims, samples=(
        S(V(3, 4), 0), S(V(3, 4), -1), S(V(3, 4), 1), S(V(), 0), S(V(0), 1))),
    M("unflatten", unflatten, no_zero_dim=SCALAR, samples=(
        S(V(2, 6), 1, (2, 3)), S(V(6, 2), 0, (3, 2)), S(V(2, 6), -1, (3, 2)),
        S(V(0, 4), 1, (2, 2)))),
    M("narrow", narrow, no_zero_dim=SCALAR, samples=(
        S(V(4, 3), 0, 1, 2), S(V(3, 5), -1, 2, 3), S(V(3, 4), 1, -2, 2), S(V(4), 0, 1, 0),
        S(V(0, 3), 1, 1, 1))),
    M("select", lambda x, dim, i: np.take(x, i, axis=dim), no_zero_dim=SCALAR, samples=(
        S(V(3, 4), 0, 1), S(V(3, 4), -1, -1), S(V(0, 3), 1, 2), S(V(5), 0, 2))),
    M("slice", lambda x, a, b, c: x[..., a:b:c], call=slice_case, no_zero_dim=SCALAR, samples=(
        S(V(3, 5), 1, 4, None), S(V(3, 5), None, None, 2), S(V(7), -5, -1, 3),
        S(V(3, 4), 2, 2, 1), S(V(4), 1, 99, 1), S(V(0, 4), 1, 3, 1))),
    M("diagonal", diagonal, no_zero_dim=SCALAR, samples=(
        S(V(3, 4)), S(V(3, 4), offset=1), S(V(4, 3), offset=-1), S(V(2, 3, 4), dim1=-2, dim2=-1),
        S(V(0, 3)), S(V(2, 2), offset=5))),
    M("split", split, no_zero_dim=SCALAR, samples=(
        S(V(5, 2), 2), S(V(3, 6), 3, dim=1), S(V(5), [1, 4]), S(V(3, 4), [2, 0, 2], dim=-1),
        S(V(0, 3), 2, dim=1))),
    M("chunk", chunk, no_zero_dim=SCALAR, samples=(
        S(V(5, 2), 2), S(V(3, 6), 3, dim=1), S(V(4), 7), S(V(2, 0), 2))),
    M("unbind", unbind, no_zero_dim=SCALAR, samples=(
        S(V(3, 2)), S(V(2, 3), 1), S(V(2, 3), -1), S(V(2, 0)))),
    M("as_strided", as_strided, dense_only="its strides are those of the memory", samples=(
        S(V(12), (3, 4), (4, 1)), S(V(3, 4), (2, 3), (1, 2), 1), S(V(6), (4, 3), (1, 1)),
        S(V(5), (), (), 3), S(V(0), (0, 2), (2, 1)), S(V(), (), ()))),
    M("unfold", unfold, no_zero_dim=SCALAR, samples=(
        S(V(7), 0, 3, 2), S(V(3, 5), 1, 2, 1), S(V(5, 2), 0, 5, 1), S(V(2, 7), 1, 3, 2), S(V(0, 3), 1, 2, 1))),
)
COPIES = (
    M("reshape", lambda x, *s: x.reshape(sizes(s)), samples=(
        S(V(3, 4), 2, 6), S(V(3, 4), (-1,)), S(V(), 1), S(V(1), ()), S(V(0, 3), 3, 0))),
    M("flatten", flatten, samples=(
        S(V(2, 3, 2)), S(V(2, 3, 2), 1), S(V(2, 3, 2), 0, 1), S(V(2, 3, 2), start_dim=-2),
        S(V()), S(V(2, 0)))),
    M("flip", np.flip, samples=(
        S(V(3, 4), (0,)), S(V(2, 3), (0, 1)), S(V(5), (-1,)), S(V(), ()), S(V(0, 3), (1,)))),
    M("roll", roll, samples=(
        S(V(5), 2), S(V(3, 4), 1, 0), S(V(3, 4), -1, 1), S(V(3, 4), (1, 2), (0, 1)),
        S(V(2, 3), 8), S(V(0, 3), 1, 1), S(V(), 1))),
    M("pad", pad, call=functional("pad"), no_zero_dim=SCALAR, samples=(
        S(V(3, 4), (1, 2)), S(V(3, 4), (0, 1, 2, 0)), S(V(3, 4), (1, 1), value=2),
        S(V(5), (-1, 2)), S(V(2, 3), (-1, -1, 1, 0)), S(V(0, 3), (1, 1)),
        S(V(33, 65), (3, 1, 1, 2), big=True))),
    M("cat", lambda xs, dim=0: np.concatenate(xs, dim), call=function("cat"), no_zero_dim=SCALAR,
      promotes=True, samples=(
        S([V(2, 3), V(1, 3)]), S([V(2, 1), V(2, 2), V(2, 3)], dim=1), S([V(3)], dim=-1),
        S([V(0, 3), V(2, 3)]), S([V(2, 0), V(2, 0)], dim=1), S([V(33, 9), V(70, 9)], big=True))),
    M("stack", lambda xs, dim=0: np.stack(xs, dim), call=function("stack"), promotes=True, samples=(
        S([V(2, 3), V(2, 3)]), S([V(3), V(3), V(3)], dim=1), S([V(2, 3), V(2, 3)], dim=-1),
        S([V(), V()]), S([V(0), V(0)]))),
    M("repeat", repeat, samples=(
        S(V(3), 2), S(V(2, 3), 2, 1), S(V(2, 3), (2, 1, 2)), S(V(), 3), S(V(0, 2), 2, 2),
        S(V(2), 0))),
    M("tile", lambda x, *c: np.tile(x, sizes(c)), samples=(
        S(V(3), 2), S(V(2, 3), (2,)), S(V(2, 3), (2, 1, 2)), S(V(), (3,)), S(V(0, 2), (2, 2)))),
    M("contiguous", np.copy, samples=(S(V(3, 4)), S(V()), S(V(0, 2)))),
    M("clone", np.copy, samples=(S(V(3, 4)), S(V()), S(V(0, 2)), S(V(129, 33), big=True))),
    M("tril", lambda x, diagonal=0: np.tril(x, diagonal), inplace="tril_",
      no_zero_dim="a matrix is needed", samples=(
        S(V(3, 4)), S(V(4, 3), diagonal=1), S(V(2, 3, 3), diagonal=-1), S(V(0, 3)))),
    M("triu", lambda x, diagonal=0: np.triu(x, diagonal), inplace="triu_",
      no_zero_dim="a matrix is needed", samples=(
        S(V(3, 4)), S(V(4, 3), diagonal=1), S(V(2, 3, 3), diagonal=-1), S(V(0, 3)))),
)
# fmt: on


RECORDS = (*(replace(record, view=True) for record in VIEWS), *COPIES)
