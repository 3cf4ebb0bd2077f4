"""Sums and differences, continued: without NaN, along curves, of products of deviations, into bins."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from ingot_devices import dtypes as dt

from .common import axis_of, run
from .creation import zeros
from .index import scatter_add
from .linalg import matmul
from .pointwise import FUNCTIONS as POINTWISE
from .pointwise import clamp, where
from .reduce import amax, amin, cumsum, mean, std, sum
from .shape import cat, diagonal, narrow, reshape, transpose, unsqueeze


class aminmax_result(namedtuple("aminmax_result", ("min", "max"))):
    """(min, max), as PyTorch's ``torch.return_types``."""

    __slots__ = ()


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The least and the greatest element, over all axes or ``dim``; ties share the gradient."""
    if dim is None and not input.numel():
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    over = () if dim is None else dim
    return aminmax_result(amin(input, over, keepdim), amax(input, over, keepdim))


def std_mean(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Any, Any]:
    """(standard deviation, mean)."""
    over = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, over, keepdim)


def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """`sum` of what is not NaN."""
    return sum(_counted(input), dim, keepdim, dtype=dtype)


def _counted(input: Any) -> Any:
    return where(run("isnan", input), 0, input) if input.dtype.kind == "f" else input


def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """`mean` of what is not NaN; of nothing, NaN."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"nanmean(): expected input to have floating point dtype but got {input.dtype!r}")
    total = sum(_counted(input), dim, keepdim, dtype=dtype)
    there = sum(POINTWISE["logical_not"](run("isnan", input)), dim, keepdim)
    return total / there


def logcumsumexp(input: Any, dim: int) -> Any:
    """Running log Σ exp(x) along ``dim``, by the greatest so far."""
    return run("logcumsumexp", input, axis=axis_of(dim, input.ndim))


def trace(input: Any) -> Any:
    """The sum of a matrix' diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return sum(diagonal(input))


# ---- along an axis -----------------------------------------------------------------------------------------------------
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along ``dim``, ``n`` times; ``prepend`` and ``append`` are put before and behind."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    ends = [x for x in (prepend, input, append) if x is not None]
    made = cat(ends, dim) if len(ends) > 1 and n else input
    subtract = POINTWISE["logical_xor"] if input.dtype is dt.bool_ else POINTWISE["sub"]
    size = made._layout.shape[axis_of(dim, made.ndim)]
    if not n:
        return made.clone()
    for rest in range(size - 1, size - 1 - n, -1):
        if rest < 0:
            return narrow(made, dim, 0, 0)
        made = subtract(narrow(made, dim, 1, rest), narrow(made, dim, 0, rest))
    return made


def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """The area under ``y`` along ``dim`` by trapezia, at the places ``x`` or ``dx`` (1) apart."""
    return sum(_trapezia("trapezoid", y, x, dx, dim), dim)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """The areas under ``y`` up to each place, as `trapezoid` has them."""
    return cumsum(_trapezia("cumulative_trapezoid", y, x, dx, dim), dim)


def _trapezia(name: str, y: Any, x: Any, dx: Any, dim: int) -> Any:
    if x is not None and dx is not None:
        raise TypeError(f"{name}(): give x or dx, not both")
    axis = axis_of(dim, y.ndim)
    last = max(y._layout.shape[axis] - 1, 0)
    begin = min(y._layout.shape[axis], 1)
    both = narrow(y, dim, begin, last) + narrow(y, dim, 0, last)
    if x is None:
        return both * ((1 if dx is None else dx) / 2)
    if x.ndim == 1 and y.ndim > 1:
        x = reshape(x, (-1,) + (1,) * (-1 - axis))
    elif x.ndim < y.ndim:
        x = reshape(x, (1,) * (y.ndim - x.ndim) + tuple(x._layout.shape))
    if x._layout.shape[axis] != y._layout.shape[axis]:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    return both * (narrow(x, axis, begin, last) - narrow(x, axis, 0, last)) / 2


# ---- deviations together -----------------------------------------------------------------------------------------------
def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """Covariances of a matrix' rows, whose columns are observations; those count ``fweights`` times, or weigh ``aweights``."""
    _require_matrix("cov", input)
    x = reshape(input, 1, -1) if input.ndim < 2 else input
    if x.dtype.kind != "f":
        x = run("cast", x, dtype=dt.float32)
    n = x._layout.shape[1]
    weights = _weights(x, fweights, aweights)
    if weights is None:
        total, freedom = n, float(max(n - correction, 0))
        centred = x - x.mean(1, keepdim=True)
        made = matmul(centred, transpose(centred, 0, 1)) / freedom
    else:
        total = weights.sum()
        weighed = (weights * aweights).sum() if aweights is not None else total
        freedom = total - correction * weighed / total if aweights is not None else total - correction
        centred = x - (x * weights).sum(1, keepdim=True) / total
        made = matmul(centred, transpose(centred * weights, 0, 1)) / clamp(freedom, min=0)
    return made if input.ndim == 2 else reshape(made, ())


def _require_matrix(name: str, input: Any) -> None:
    if input.ndim > 2:
        raise RuntimeError(f"{name}(): expected input to have two or fewer dimensions but got an input with {input.ndim} "
                           "dimensions")


def _weights(x: Any, fweights: Any, aweights: Any) -> Any:
    for name, w, kinds in (("fweights", fweights, "ui"), ("aweights", aweights, "f")):
        if w is not None:
            if w.ndim > 1 or w.numel() != x._layout.shape[1]:
                raise RuntimeError(f"cov(): expected {name} to have one weight for each of the {x._layout.shape[1]} "
                                   f"observations, but got shape {list(w._layout.shape)}")
            if w.dtype.kind not in kinds:
                raise RuntimeError(f"cov(): expected {name} to have {'integral' if kinds == 'ui' else 'floating point'} dtype "
                                   f"but got {w.dtype!r}")
    if fweights is None:
        return aweights
    counted = run("cast", fweights, dtype=x.dtype)
    return counted if aweights is None else counted * aweights


def corrcoef(input: Any) -> Any:
    """Pearson's correlations of the rows of a matrix, clipped to [-1, 1]."""
    _require_matrix("corrcoef", input)
    made = cov(input)
    if not made.ndim:
        return made / made
    spread = run("sqrt", diagonal(made))
    return clamp(made / unsqueeze(spread, 1) / unsqueeze(spread, 0), -1, 1)


# ---- bins --------------------------------------------------------------------------------------------------------------
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements lie in each of ``bins`` equal parts of [min, max], or of the elements' own range where both are 0."""
    if input.dtype.kind != "f":
        raise RuntimeError(f'"histc" not implemented for {input.dtype!r}: give a floating point dtype')
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, got {bins}")
    if min > max:
        raise RuntimeError(f"max must be larger than min, got {max} and {min}")
    x = reshape(input.detach(), input.numel())
    made = zeros(bins + 1, dtype=input.dtype, device=input.device)
    if not input.numel():
        return narrow(made, 0, 0, bins)
    low, high = (amin(x), amax(x)) if min == max == 0 else (x.new_full((), min), x.new_full((), max))
    same = low == high
    low, high = where(same, low - 1, low), where(same, high + 1, high)
    inside = (x >= low) & (x <= high)
    place = clamp(run("floor", (x - low) * bins / (high - low)), max=bins - 1)
    place = run("cast", where(inside, place, float(bins)), dtype=dt.int64)
    return narrow(scatter_add(made, 0, place, x.new_ones(x.numel())), 0, 0, bins)


FUNCTIONS = {
    f.__name__: f
    for f in (aminmax, corrcoef, cov, cumulative_trapezoid, diff, histc, logcumsumexp, nanmean, nansum, std_mean, trace,
              trapezoid)
}  # fmt: skip
FUNCTIONS["trapz"] = trapezoid
ALONE = frozenset("cumulative_trapezoid std_mean trapezoid trapz".split())
METHODS: dict[str, Any] = {}
