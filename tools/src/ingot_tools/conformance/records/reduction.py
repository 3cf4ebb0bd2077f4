"""Reductions and scans: sums, extrema, norms, running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import ALL, ASIDE, FLOAT, INT, UNSIGNED, Domain, Record, S, V, function

NUMBER = INT + FLOAT
BIG = (S(V(1031), big=True), S(V(65, 130), dim=0, big=True), S(V(65, 130), dim=1, big=True))
WHOLE = (S(V(3, 4)), S(V()), S(V(1)))
DIMS = (
    S(V(3, 4), dim=0), S(V(3, 4), dim=-1), S(V(2, 3, 4), dim=1),
    S(V(2, 3, 4), dim=-2, keepdim=True),
    S(V(), dim=0), S(V(0, 3), dim=1), S(V(3, 0, 2), dim=-1, keepdim=True),
)  # fmt: skip
BELOW_ZERO, ABOVE_ZERO = Domain(-3.0, -0.5, ints=(-4, 0)), Domain(0.5, 3.0, ints=(1, 5))
ONE_SIGN = (  # where a zero that belongs to nobody would be the answer
    *(S(V(*shape, domain=BELOW_ZERO), dim=1, but=UNSIGNED) for shape in ((3, 36), (2, 130))),
    *(S(V(*shape, domain=ABOVE_ZERO), dim=1) for shape in ((3, 36), (2, 130))),
    *(S(V(*shape, domain=BELOW_ZERO), but=UNSIGNED) for shape in ((3, 4), (5,))),
    *(S(V(*shape, domain=ABOVE_ZERO)) for shape in ((3, 4), (5,))),
)  # fmt: skip
SEVERAL = (S(V(2, 3, 4), dim=(0, 2)), S(V(2, 3, 4), dim=(-1, 0), keepdim=True))
EMPTY = (S(V(0)), S(V(2, 0), dim=1))
SCANS = (
    S(V(7), dim=0), S(V(3, 4), dim=0), S(V(3, 4), dim=-1), S(V(2, 3, 4), dim=1), S(V(), dim=0),
    S(V(0, 3), dim=1), S(V(3, 0), dim=-1), S(V(3, 517), dim=1, big=True),
    S(V(130, 5), dim=0, big=True),
)  # fmt: skip
ZEROS = (  # one, two and none of the factors: each has a gradient of its own
    S(V(3, 5, values=[[2, 1, 0, 1.5, 1], [0, 1, 2, 3, 0], [1, 2, 1, 1, 3]]), dim=1),
    S(V(9, values=[1, 2, 1, 0, 1, 1.5, 1, 2, 1])), S(V(5, values=[0, 2, 1, 3, 0])), S(V(values=0)),
)  # fmt: skip
TIES = Domain(-1.0, 1.0, ints=(-1, 2), step=1.0)


def R(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: function and method of one name."""
    options.setdefault("samples", WHOLE + DIMS + BIG)
    options.setdefault("method", name)
    options.setdefault("call", function(name))
    options.setdefault("ulp", 8)
    options.setdefault("scale", 4.0)
    call = options.pop("call")
    return Record(name, call, reference, group="reduction", **options)


def over(f: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's reduction ``f`` under PyTorch's argument names."""

    def reference(x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
        if x.ndim == 0:
            x, dim, keepdim = x.reshape(1), 0, False
        return np.asarray(f(x, axis=dim, keepdims=keepdim, **kwargs))

    return reference


def with_index(value: Callable[..., Any], index: Callable[..., Any]) -> Callable[..., Any]:
    """Value alone over the whole, value and index along an axis."""

    def reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            return value(x)
        return value(x, dim, keepdim), index(x, dim, keepdim)

    return reference


def spread(x: Any, axis: Any, keepdims: bool, correction: float = 1, unbiased: bool | None = None) -> Any:
    """The variance with ``correction`` taken from the count."""
    correction = correction if unbiased is None else float(unbiased)
    mean = x.mean(axis=axis, keepdims=True)
    count = x.size // max(mean.size, 1)
    return ((x - mean) ** 2).sum(axis=axis, keepdims=keepdims) / max(count - correction, 0)


def norm(x: Any, axis: Any, keepdims: bool, p: Any = 2) -> Any:
    if p == float("inf"):
        return np.abs(x).max(axis=axis, keepdims=keepdims)
    if p == 0:
        return (x != 0).sum(axis=axis, keepdims=keepdims).astype(x.dtype)
    return (np.abs(x) ** (2 if p == "fro" else p)).sum(axis=axis, keepdims=keepdims) ** (1 / (2 if p == "fro" else p))


def logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    axis = 0 if axis is None else axis
    if x.shape[axis] == 0:
        return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))
    top = x.max(axis=axis, keepdims=True)
    top = np.where(np.isinf(top), 0.0, top)
    result = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return result if keepdims else np.squeeze(result, axis=axis)


def scan(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, dim, **_: x.copy() if x.ndim == 0 else f(x, axis=dim)


def extreme(beats: Callable[[Any, Any], Any]) -> Callable[..., tuple[Any, Any]]:
    """The running extreme and where it was met last; a NaN stays."""

    def reference(x: Any, dim: int) -> tuple[Any, Any]:
        if x.ndim == 0:
            return x, np.int64(0)
        lines = np.moveaxis(x, dim, -1)
        values, indices = lines.copy(), np.zeros(lines.shape, np.int64)
        for at in np.ndindex(lines.shape):
            *line, k = at
            before = (*line, k - 1)
            if k == 0:
                continue
            if beats(lines[at], values[before]) or np.isnan(lines[at]):
                indices[at] = k
            else:
                values[at], indices[at] = values[before], indices[before]
        return np.moveaxis(values, -1, dim), np.moveaxis(indices, -1, dim)

    return reference


def byte_or_bool(dtype: str) -> str:
    """PyTorch keeps uint8 as truth value."""
    return "uint8" if dtype == "uint8" else "bool"


any_, all_ = over(np.any), over(np.all)
maximum = with_index(over(np.max), over(np.argmax))
minimum = with_index(over(np.min), over(np.argmin))
SPREAD = (
    S(V(3, 4)), S(V(3, 4), dim=1), S(V(2, 3, 4), dim=(0, 2), keepdim=True),
    S(V(3, 4), dim=0, correction=0),
    S(V(3, 4), dim=1, unbiased=False), S(V(0, 3), dim=1), S(V(65, 130), dim=1, big=True),
    S(V(1031), big=True),
)  # fmt: skip
NORMS = (
    S(V(3, 4)), S(V(3, 4), dim=1), S(V(2, 3, 4), p=1, dim=(0, 2), keepdim=True),
    S(V(3, 4), p=3, dim=0),
    S(V(3, 4), p=float("inf"), dim=1), S(V()), S(V(0, 3), dim=1), S(V(65, 130), dim=1, big=True),
)  # fmt: skip

# fmt: off
RECORDS = (
    # ---- sums -----------------------------------------------------------------------------------
    R("sum", over(np.sum), dtypes=ALL, result="sum", scale="terms",
      samples=WHOLE + DIMS + SEVERAL + EMPTY + BIG),
    R("mean", over(np.mean), scale="terms", samples=WHOLE + DIMS + SEVERAL + BIG),
    R("prod", over(np.prod), dtypes=ALL, result="sum", domain=Domain(0.5, 1.6, ints=(1, 3)),
      ulp=32, half_ulp=4, samples=WHOLE + DIMS + EMPTY + ZEROS + (S(V(130, 5), dim=0, big=True),)),
    R("var", over(spread), no_zero_dim="the variance of one element is NaN", half_ulp=3,
      domain=ASIDE, samples=SPREAD),
    R("std", over(lambda *a, **k: np.sqrt(spread(*a, **k))), half_ulp=3,
      no_zero_dim="the deviation of one element is NaN", domain=ASIDE, samples=SPREAD),
    R("norm", over(norm), samples=NORMS, domain=Domain(avoid=(0.0,)), half_ulp=3),
    R("logsumexp", over(logsumexp), samples=DIMS + BIG[1:], half_ulp=3),
    R("count_nonzero", over(np.count_nonzero), dtypes=ALL, result="int64", grad=False,
      domain=TIES, samples=(
        S(V(3, 4)), S(V(3, 4), dim=0), S(V()), S(V(0, 3)), S(V(65, 130), dim=1, big=True))),
    # ---- extremes -------------------------------------------------------------------------------
    R("amax", over(np.max), dtypes=ALL, ulp=0, samples=WHOLE + DIMS + SEVERAL + BIG + ONE_SIGN),
    R("amin", over(np.min), dtypes=ALL, ulp=0, samples=WHOLE + DIMS + SEVERAL + BIG + ONE_SIGN),
    R("max", maximum, dtypes=ALL, ulp=0, result=("same", "int64"), samples=WHOLE + DIMS + BIG + ONE_SIGN),
    R("min", minimum, dtypes=ALL, ulp=0, result=("same", "int64"), samples=WHOLE + DIMS + BIG + ONE_SIGN),
    R("argmax", over(np.argmax), dtypes=NUMBER, result="int64", grad=False, domain=TIES, samples=WHOLE + DIMS + BIG + ONE_SIGN),
    R("argmin", over(np.argmin), dtypes=NUMBER, result="int64", grad=False, domain=TIES, samples=WHOLE + DIMS + BIG + ONE_SIGN),
    # ---- truth ----------------------------------------------------------------------------------
    R("any", any_, dtypes=ALL, result=byte_or_bool, grad=False, domain=TIES,
      samples=WHOLE + DIMS + EMPTY + BIG),
    R("all", all_, dtypes=ALL, result=byte_or_bool, grad=False, domain=TIES,
      samples=WHOLE + DIMS + EMPTY + BIG + ONE_SIGN),
    # ---- scans ----------------------------------------------------------------------------------
    R("cumsum", scan(np.cumsum), dtypes=ALL, result="sum", inplace="cumsum_", ulp=16,
      scale="terms", half_ulp=3, samples=SCANS),
    R("cumprod", scan(np.cumprod), dtypes=ALL, result="sum",
      domain=Domain(0.5, 1.5, ints=(1, 3)), inplace="cumprod_", ulp=32, half_ulp=4, samples=(
        *SCANS[:-2], ZEROS[0], S(V(3, 40), dim=1, big=True))),
    R("logcumsumexp", scan(lambda x, axis: np.logaddexp.accumulate(x, axis=axis)), ulp=8, scale=1.0, half_ulp=3, samples=SCANS),
    R("cummax", extreme(np.greater_equal), dtypes=ALL, result=("same", "int64"), samples=SCANS,
      ulp=0),
    R("cummin", extreme(np.less_equal), dtypes=ALL, result=("same", "int64"), samples=SCANS, ulp=0),
)
# fmt: on
