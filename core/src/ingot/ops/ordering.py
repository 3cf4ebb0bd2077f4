"""Order, continued: medians, quantiles, the most frequent, runs of equals, and where values lie among others.

All are found by sorting. A median is an element, the lower one of two; NaN is the result wherever it occurs, unless the name
says otherwise.
"""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt

from ..base import TensorBase
from .common import axis_of, look, recorded, run, with_slope
from .creation import arange, full, zeros
from .index import gather
from .pointwise import _result_type, lerp, where
from .reduce import argmax, cummax, cumsum, max_result, searchsorted, sort, topk
from .shape import cat, movedim, narrow, reshape, select, squeeze


def _nonempty(name: str, input: Any, dim: int) -> int:
    """The size of ``dim``, which is not 0."""
    size = input._layout.shape[axis_of(dim, input.ndim)] if input.ndim else 1
    if not size:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    return int(size)


# ---- medians -----------------------------------------------------------------------------------------------------------
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median: of all elements, or (values, indices) along ``dim``."""
    return _median("median", input, dim, keepdim, skipping=False)


def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower `median` of what is not NaN."""
    return _median("nanmedian", input, dim, keepdim, skipping=True)


def _median(name: str, input: Any, dim: int | None, keepdim: bool, skipping: bool) -> Any:
    if dim is not None:
        return max_result(*_middle(name, input, dim, keepdim, skipping))
    if not input.numel():
        return full((), float("nan"), dtype=input.dtype, device=input.device)
    made, _ = _middle(name, reshape(input.detach(), input.numel()), 0, False, skipping)
    if not recorded(input):
        return made
    here = input.detach() == made  # equals share the gradient
    return with_slope(made, where(here, input, 0.0).sum() / here.sum())


def _middle(name: str, input: Any, dim: int, keepdim: bool, skipping: bool) -> tuple[Any, Any]:
    n = _nonempty(name, input, dim)
    if not input.ndim:
        return input.clone(), zeros((), dtype=dt.int64, device=input.device)
    pair = sort(input, dim)
    if input.dtype.kind != "f":
        values, indices = (_kept(x, dim, (n - 1) // 2, keepdim) for x in pair)
        return values, indices
    nans = run("isnan", input).sum(dim, keepdim=True)  # they stand at the end, in their order
    place = (n - nans - 1).clamp(min=0) // 2 if skipping else where(nans > 0, n - nans, (n - 1) // 2)
    values, indices = (gather(x, dim, place) for x in pair)
    return (values, indices) if keepdim else (squeeze(values, dim), squeeze(indices, dim))


def _kept(x: Any, dim: int, index: int, keepdim: bool) -> Any:
    if not x.ndim:
        return x
    return narrow(x, dim, index, 1) if keepdim else select(x, dim, index)


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The ``k``-th least element (from 1) along ``dim`` and where it is."""
    size = _nonempty("kthvalue", input, dim)
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}: k is {k}, its size {size}")
    pair = topk(input, k, dim, largest=False)
    return max_result(*(_kept(x, dim, k - 1, keepdim) for x in pair))


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent value along ``dim`` (the least of several), and where it is last."""
    n = _nonempty("mode", input, dim)
    if not input.ndim:
        return max_result(input.clone(), zeros((), dtype=dt.int64, device=input.device))
    axis = axis_of(dim, input.ndim)
    pair = sort(input, dim)
    values = pair[0].detach()
    places = reshape(arange(n, device=input.device), (n,) + (1,) * (-1 - axis))
    differs = narrow(values, dim, 1, n - 1) != narrow(values, dim, 0, n - 1)
    begins = where(run("pad", differs, 0, pads=((1, 0),) + ((0, 0),) * (-1 - axis)), places, 0)
    at = argmax(places - cummax(begins, dim)[0], dim, keepdim=True)  # the first that stands farthest from its run's begin
    found = [gather(x, dim, at) for x in pair]
    return max_result(*(found if keepdim else [squeeze(x, dim) for x in found]))


# ---- quantiles ---------------------------------------------------------------------------------------------------------
def quantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
    """The quantiles ``q`` (a number or a vector of [0, 1]) of all elements, or along ``dim``; those of a vector in front.

    Between two elements ``interpolation`` takes "linear", "lower", "higher", "midpoint" or "nearest". A tensor's numbers are
    not looked at beforehand: one outside of [0, 1] is refused when the result is read.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, skipping=False)


def nanquantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
    """`quantile` of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, skipping=True)


_ROUNDED = {"lower": "floor", "higher": "ceil", "nearest": "round"}


def _quantile(name: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, skipping: bool) -> Any:
    if input.dtype not in (dt.float32, dt.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, not {input.dtype!r}")
    if interpolation not in ("linear", "midpoint", *_ROUNDED):
        raise RuntimeError(f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
                           f"{interpolation}")
    several, q = _levels(name, q, input)
    shape = list(input._layout.shape)
    x = reshape(input, input.numel()) if dim is None or not shape else movedim(input, dim, -1)
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    n = x._layout.shape[-1]
    nans = run("isnan", x).sum(-1, keepdim=True)
    ranks = q * (n - nans - 1).clamp(min=0) if skipping else where(nans > 0, float(n - 1), q * (n - 1))
    made = _between(sort(x, -1)[0], ranks, interpolation)
    if not keepdim:
        return movedim(made, -1, 0) if several else squeeze(made, -1)
    kept = [1] * len(shape) if dim is None else shape
    if dim is not None and shape:
        kept[dim] = 1
    return reshape(movedim(made, -1, 0), -1, *kept) if several else reshape(made, kept)


def _levels(name: str, q: Any, input: Any) -> tuple[bool, Any]:
    """Whether there are several, and ``q`` as a vector."""
    if isinstance(q, TensorBase):
        if q.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, not one with {q.ndim} dimensions")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor ({q.dtype!r} and {input.dtype!r})")
        return bool(q.ndim), reshape(q, q.numel())
    if not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
    return False, full((1,), float(q), dtype=input.dtype, device=input.device)


def _between(ordered: Any, ranks: Any, interpolation: str) -> Any:
    def at(ranks: Any) -> Any:
        return gather(ordered, -1, run("cast", ranks, dtype=dt.int64))

    if interpolation in _ROUNDED:
        return at(run(_ROUNDED[interpolation], ranks))
    below = run("floor", ranks)
    weight = ranks - below if interpolation == "linear" else 0.5
    return lerp(at(below), at(run("ceil", ranks)), weight)


# ---- runs and places -----------------------------------------------------------------------------------------------------
def msort(input: Any) -> Any:
    """Sorted along the first axis."""
    return sort(input, 0)[0]


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """One of each run of equal elements (or slices along ``dim``); the number of each one's run, and how long each is.

    Reads a count back.
    """
    x = reshape(input, input.numel()) if dim is None else input
    axis = 0 if dim is None else axis_of(dim, input.ndim) + input.ndim
    n = x._layout.shape[axis]
    first, rest = min(n, 1), max(n - 1, 0)
    differs = narrow(x, axis, first, rest) != narrow(x, axis, 0, rest)
    others = [k for k in range(x.ndim) if k != axis]
    starts = cat([full((first,), True, device=x.device), differs.any(dim=others) if others else differs])
    ranks = cumsum(starts, 0)
    count = int(ranks[-1].item()) if n else 0
    places = select(run("nonzero", starts, size=count), 1, 0)
    made = [x.index_select(axis, places)]
    if return_inverse:
        made.append(reshape(ranks - 1, input._layout.shape) if dim is None else ranks - 1)
    if return_counts:
        ends = cat([narrow(places, 0, first, max(count - 1, 0)), full((first,), n, device=x.device)])
        made.append(ends - places)
    return made[0] if len(made) == 1 else tuple(made)


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """The number of each value's bucket among sorted ``boundaries``; on one, that before it, or with ``right`` behind it."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    if not isinstance(input, TensorBase):
        input = full((), input, dtype=boundaries.dtype if boundaries.dtype.kind == "f" else None, device=boundaries.device)
    found = searchsorted(boundaries, input, right=right)
    return run("cast", found, dtype=dt.int32) if out_int32 else found


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """True where an element is among ``test_elements`` (or is not, with ``invert``). One of both may be a number."""
    like = elements if isinstance(elements, TensorBase) else test_elements
    if not isinstance(like, TensorBase):
        raise TypeError(f"isin(): argument 'elements' must be a Tensor, not {type(elements).__name__}")
    kind = _result_type(elements, test_elements)
    x, tests = (_of(v, kind, like) for v in (elements, test_elements))
    if not tests.numel():
        return full(x._layout.shape, invert, dtype=dt.bool_, device=like.device)
    ordered = sort(look("view", tests, shape=(tests.numel(),)))[0]
    place = searchsorted(ordered, x).clamp(max=tests.numel() - 1)
    found = run("index", ordered, place)
    return found != x if invert else found == x


def _of(value: Any, kind: Any, like: Any) -> Any:
    if isinstance(value, TensorBase):
        return value if value.dtype is kind else run("cast", value, dtype=kind)
    return full((), value, dtype=kind, device=like.device)


FUNCTIONS = {
    f.__name__: f
    for f in (bucketize, isin, kthvalue, median, mode, msort, nanmedian, nanquantile, quantile, unique_consecutive)
}
ALONE = frozenset({"bucketize", "isin"})
METHODS: dict[str, Any] = {}
