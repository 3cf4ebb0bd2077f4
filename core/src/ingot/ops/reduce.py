"""Reductions, scans and order: sums, extremes, variances, cumulative sums, sorting."""

from __future__ import annotations

import builtins
from collections import namedtuple
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.opset.op import OPS

from ..base import TensorBase
from ..dispatch import call, make_unary
from .common import axes_of, axis_of, check_dtype, inplace, into, look, run

Pair = namedtuple("Pair", ("values", "indices"))


class max_result(Pair):
    """(values, indices), as PyTorch's ``torch.return_types``."""

    __slots__ = ()


_whole_sum = make_unary(OPS["sum"], (None, False, None))


def sum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: Any = None
) -> Any:
    """Sum over ``dim`` (all axes by default). Integers and bool give int64; halves are summed in float32."""
    if dim is None and axis is None:
        if not keepdim and dtype is None and out is None and isinstance(input, TensorBase):
            return _whole_sum(input)
        axes = None
    else:
        axes = axes_of(dim if axis is None else axis, input.ndim)
    made = call(OPS["sum"], (input,), (axes, keepdim, dtype and check_dtype(dtype)))
    return made if out is None else into(out, made)


def mean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, out: Any = None
) -> Any:
    """Arithmetic mean over ``dim`` (all axes by default)."""
    if input.dtype.kind != "f" and dtype is None:
        raise RuntimeError(f"mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: "
                           f"{input.dtype!r}; give dtype= or convert")
    axes = axes_of(dim if axis is None else axis, input.ndim)
    return into(out, run("mean", input, axes=axes, keepdim=keepdim, dtype=check_dtype(dtype)))


def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Product over ``dim`` (all axes by default)."""
    return run("prod", input, axes=axes_of(dim, input.ndim), keepdim=keepdim, dtype=check_dtype(dtype))


def amax(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """Greatest element over ``dim``; ties share the gradient."""
    return run("amax", input, axes=axes_of(dim, input.ndim), keepdim=keepdim)


def amin(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """Least element over ``dim``; ties share the gradient."""
    return run("amin", input, axes=axes_of(dim, input.ndim), keepdim=keepdim)


def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The greatest element; with ``dim`` also where it is; with another tensor, element by element."""
    return _extreme("max", input, dim, keepdim, other)


def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The least element; with ``dim`` also where it is; with another tensor, element by element."""
    return _extreme("min", input, dim, keepdim, other)


def _extreme(which: str, input: Any, dim: Any, keepdim: bool, other: Any) -> Any:
    if isinstance(dim, TensorBase):
        other = dim
    if other is not None:
        return run(f"{which}imum", input, other)
    if dim is None:
        if not input._layout.size:
            raise RuntimeError(f"{which}(): Expected reduction dim to be specified for input.numel() == 0. "
                               "Specify the reduction dim with "
                               "the 'dim' argument.")
        return run(f"a{which}", input, axes=None, keepdim=False)
    return max_result(*run(f"{which}_with_index", input, axis=axis_of(dim, input.ndim), keepdim=keepdim))


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Where the greatest element is: the first of equals; NaN counts as greatest. Flat without ``dim``."""
    return run("argmax", input, axis=None if dim is None else axis_of(dim, input.ndim), keepdim=keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Where the least element is: the first of equals; NaN counts as least. Flat without ``dim``."""
    return run("argmin", input, axis=None if dim is None else axis_of(dim, input.ndim), keepdim=keepdim)


def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """True where some element over ``dim`` is not 0."""
    return run("any", input, axes=axes_of(dim, input.ndim), keepdim=keepdim)


def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """True where no element over ``dim`` is 0."""
    return run("all", input, axes=axes_of(dim, input.ndim), keepdim=keepdim)


def _correction(unbiased: Any, correction: Any) -> float:
    if correction is not None:
        return correction
    return 1 if unbiased is None else int(unbiased)


def var(input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    """Variance, Σ(x − mean)² / (n − correction), by Welford's method; correction is 1 by default."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return run(
        "var", input, axes=axes_of(dim, input.ndim), keepdim=keepdim, correction=_correction(unbiased, correction)
    )


def std(input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    """The square root of `var`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return run(
        "std", input, axes=axes_of(dim, input.ndim), keepdim=keepdim, correction=_correction(unbiased, correction)
    )


def var_mean(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Any, Any]:
    """(variance, mean)."""
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """(Σ|x|ᵖ)^(1/p); "fro" is 2; ±inf take the extreme, 0 counts."""
    if p in ("fro", None):
        p = 2
    if not isinstance(p, (int, float)):
        raise RuntimeError(f"norm(): p must be a number or 'fro', not {p!r}")
    x = input if dtype is None else run("cast", input, dtype=check_dtype(dtype))
    return run("norm", x, axes=axes_of(dim, input.ndim), keepdim=keepdim, p=float(p))


def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    """log Σ exp(x) over ``dim``, by the greatest element."""
    return run("logsumexp", input, axes=axes_of(dim, input.ndim), keepdim=keepdim)


def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements over ``dim`` are not 0."""
    return run("count_nonzero", input, axes=axes_of(dim, input.ndim), keepdim=False)


def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running sum along ``dim``."""
    return run("cumsum", input, axis=axis_of(dim, input.ndim), dtype=check_dtype(dtype))


def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running product along ``dim``."""
    return run("cumprod", input, axis=axis_of(dim, input.ndim), dtype=check_dtype(dtype))


def cummax(input: Any, dim: int) -> Any:
    """Running maximum along ``dim``, and where it was met last."""
    return max_result(*run("cummax", input, axis=axis_of(dim, input.ndim)))


def cummin(input: Any, dim: int) -> Any:
    """Running minimum along ``dim``, and where it was met last."""
    return max_result(*run("cummin", input, axis=axis_of(dim, input.ndim)))


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) in order along ``dim``. Always stable; NaN is the greatest."""
    return max_result(*run("sort", input, axis=axis_of(dim, input.ndim), descending=bool(descending)))


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices that sort along ``dim``."""
    return run("argsort", input, axis=axis_of(dim, input.ndim), descending=bool(descending))


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The ``k`` greatest (or least) elements along ``dim`` and where they are, in order."""
    size = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"selected index k out of range: k is {k}, dimension {dim} has {size} elements")
    return max_result(*run("topk", input, k=int(k), axis=axis_of(dim, input.ndim), largest=bool(largest)))


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """The different elements in order; their positions (``return_inverse``) and how often each occurs."""
    if dim is not None:
        raise RuntimeError("unique(dim=…) is not supported; flatten the tensor, or sort its rows by a key of your own")
    flat = look("view", input, shape=(input.numel(),))
    if flat.numel() == 0:
        from .creation import zeros

        empty = zeros(0, dtype=dt.int64, device=input.device)
        parts: list[Any] = [flat.clone(), look("view", empty, shape=input._layout.shape), empty]
    else:
        values, order, starts, ranks = run("unique_runs", flat)
        found = run("unique", values, order, starts, ranks, size=int(ranks[-1].item()))
        parts = [found[0], look("view", found[1], shape=input._layout.shape), found[2]]
    chosen = [parts[0], *([parts[1]] if return_inverse else []), *([parts[2]] if return_counts else [])]
    return chosen[0] if len(chosen) == 1 else tuple(chosen)


def searchsorted(sorted_sequence: Any, input: Any, *, right: bool = False) -> Any:
    """Where each value would be inserted into a sorted sequence."""
    return run("searchsorted", sorted_sequence, input, right=right)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0, 1, 2 … occurs in a list of whole numbers."""
    if weights is not None:
        raise RuntimeError("bincount(weights=…) is not supported; use zeros(n).scatter_add(0, input, weights)")
    top = int(input.max().item()) + 1 if input.numel() else 0
    return run("bincount", input, size=builtins.max(top, minlength))


FUNCTIONS = {
    f.__name__: f
    for f in (sum, mean, prod, amax, amin, max, min, argmax, argmin, any, all, var, std, var_mean, norm, logsumexp,
              count_nonzero, cumsum, cumprod, cummax, cummin, sort, argsort, topk, unique, searchsorted, bincount)
}  # fmt: skip
ALONE: frozenset[str] = frozenset()
METHODS = {f"{f.__name__}_": inplace(f) for f in (cumsum, cumprod)}
