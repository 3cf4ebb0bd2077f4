"""NumPy's answers to the rows of `functions_table`, where NumPy has no function of the same arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from scipy.spatial import distance


def pairs(*functions: Callable[..., Any]) -> Callable[..., Any]:
    """Several references as the results of one."""
    return lambda *args, **kwargs: tuple(f(*args, **kwargs) for f in functions)


def rsub(x: Any, other: Any, alpha: float = 1) -> Any:
    return other - alpha * x


def isclose(x: Any, other: Any, **kwargs: Any) -> Any:
    return np.isclose(x.astype(np.float64), other.astype(np.float64), **kwargs)


def median(x: Any, dim: int, keepdim: bool = False) -> Any:
    """The lower one, and where it is; NaN and its first place where there is one."""
    order = np.argsort(x, axis=dim, kind="stable")
    n, nans = x.shape[dim], np.isnan(x).sum(axis=dim, keepdims=True)
    at = np.take_along_axis(order, np.where(nans > 0, n - nans, (n - 1) // 2), dim)
    made = np.take_along_axis(x, at, dim), at
    return made if keepdim else tuple(a.squeeze(dim) for a in made)


def kth(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    at = np.take(np.argsort(x, axis=dim, kind="stable"), [k - 1], axis=dim)
    made = np.take_along_axis(x, at, dim), at
    return made if keepdim else tuple(a.squeeze(dim) for a in made)


def mode(x: Any, dim: int = -1) -> Any:
    values = stats.mode(x, axis=dim, keepdims=True).mode
    n = x.shape[dim]
    last = n - 1 - np.argmax(np.flip(x == values, dim), axis=dim)
    return values.squeeze(dim), last


def quantile(which: Callable[..., Any]) -> Callable[..., Any]:
    def reference(x: Any, q: Any, dim: Any = None, keepdim: bool = False, interpolation: str = "linear") -> Any:
        return which(x, q, axis=dim, keepdims=keepdim, method=interpolation)

    return reference


def along(f: Callable[..., Any], **fixed: Any) -> Callable[..., Any]:
    """NumPy's ``axis`` and ``keepdims`` for PyTorch's names."""
    names = {"dim": "axis", "keepdim": "keepdims"}
    return lambda *args, **kwargs: f(*args, **fixed, **{names.get(k, k): v for k, v in kwargs.items()})


def nanmedian(x: Any) -> Any:
    kept = np.sort(x[~np.isnan(x)])
    return kept[(len(kept) - 1) // 2]


def runs(x: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    rows = x.reshape(-1, 1) if dim is None else np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1)
    starts = np.array([k == 0 or bool((rows[k] != rows[k - 1]).any()) for k in range(len(rows))], np.bool_)
    places = np.flatnonzero(starts)
    inverse = np.cumsum(starts) - 1
    values = np.take(x.reshape(-1) if dim is None else x, places, axis=dim or 0)
    return values, inverse.reshape(x.shape) if dim is None else inverse, np.diff([*places, len(rows)])


def isin(x: Any, tests: Any, invert: bool = False) -> Any:
    return np.isin(x, tests, invert=invert)


def bucketize(x: Any, bounds: Any, right: bool = False, out_int32: bool = False) -> Any:
    return np.searchsorted(bounds, x, side="right" if right else "left")


def histc(x: Any, bins: int, min: float = 0, max: float = 0) -> Any:
    return np.histogram(x, bins, (x.min(), x.max()) if min == max == 0 else (min, max))[0].astype(np.float64)


def cov(x: Any, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    return np.cov(x, ddof=correction, fweights=fweights, aweights=aweights)


def diff(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    ends = {k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}
    return np.diff(x, n, dim, **ends)


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, dim: int = -1) -> Any:
    return np.trapezoid(y, x, dx, dim)


def cumulative(y: Any, x: Any = None, dx: float = 1.0, dim: int = -1) -> Any:
    return np.stack([trapezoid(np.take(y, range(k + 1), dim), None if x is None else x[: k + 1], dx, dim)
                     for k in range(1, y.shape[dim])], dim)  # fmt: skip


def logcumsumexp(x: Any, dim: int) -> Any:
    return np.logaddexp.accumulate(x, axis=dim)


def tensordot(a: Any, b: Any, dims: Any) -> Any:
    return np.tensordot(a, b, dims)


def matrix_norm(x: Any, p: Any, dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    return np.linalg.norm(x, p, dim, keepdim)


def added(product: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda x, a, b, beta=1, alpha=1: beta * x + alpha * product(a, b)


def distance_of(x: Any, y: Any, p: float = 2) -> Any:
    return np.linalg.norm((x - y).reshape(-1), p)


def renorm(x: Any, p: float, dim: int, maxnorm: float) -> Any:
    rows = np.moveaxis(x, dim, 0)
    lengths = np.linalg.norm(rows.reshape(len(rows), -1), p, axis=1).reshape(-1, *(1,) * (x.ndim - 1))
    return np.moveaxis(rows * np.where(lengths > maxnorm, maxnorm / (lengths + 1e-7), 1.0), 0, dim)


def cdist(x: Any, y: Any, p: float = 2.0, compute_mode: str = "") -> Any:
    made = [distance.cdist(a, b, "minkowski", p=p) if 0 < p < np.inf else distance.cdist(a, b, "chebyshev")
            for a, b in zip(x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:]), strict=True)]  # fmt: skip
    return np.stack(made).reshape(*x.shape[:-1], y.shape[-2])
