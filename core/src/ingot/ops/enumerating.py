"""Positions, pairs and powers, counted off: tensors that follow from sizes, and all choices from others."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.opset.op import Defaults

from ..base import TensorBase
from .common import axis_of, check_dtype, run, whole
from .creation import arange, empty, linspace, ones
from .index import index_select, nonzero
from .pointwise import FUNCTIONS as POINTWISE
from .reduce import cumsum, searchsorted
from .shape import expand, ravel, reshape, stack, transpose, unsqueeze


def argwhere(input: Any) -> Any:
    """A row of indices for each element that is not 0. Reads a count back."""
    return nonzero(input)


def repeat_interleave(input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Any:
    """Each element ``repeats`` times, one after the other: of all elements, or along ``dim``.

    ``repeats`` is a number, or integers for each of the elements along ``dim``, whose sum is read back unless it is given
    as ``output_size``. Alone, it gives the places: ``[1, 0, 2]`` is ``[0, 2, 2]``.
    """
    if repeats is None:
        return _repeated(input, output_size)
    if dim is None:
        input, dim = ravel(input), 0
    k = axis_of(dim, input.ndim) + input.ndim
    *lead, size = input._layout.shape[: k + 1]
    rest = input._layout.shape[k + 1 :]
    if isinstance(repeats, TensorBase) and repeats.numel() != 1:
        if repeats.ndim == 1 and repeats.numel() != size:
            have = f"{repeats.numel()} were given for {size} along dimension {dim}"
            raise RuntimeError(f"repeat_interleave: repeats must have the same size as input along dim, {have}")
        return index_select(input, k, _repeated(repeats, output_size))
    times = _times(repeats)
    if output_size not in (None, size * times):
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {size * times} but got {output_size}")
    return reshape(expand(unsqueeze(input, k + 1), (*lead, size, times, *rest)), (*lead, size * times, *rest))


def _times(repeats: Any) -> int:
    if isinstance(repeats, float | list | tuple):
        raise TypeError(f"repeat_interleave: repeats is an int or a Tensor of integers, not {type(repeats).__name__}")
    if (times := whole(repeats)) < 0:
        raise RuntimeError(f"repeat_interleave: repeats can not be negative, got {times}")
    return times


def _repeated(repeats: Any, size: int | None) -> Any:
    """Each place ``repeats`` times: place k of the result is the first where the sum so far is more than k."""
    if repeats.ndim != 1:
        raise RuntimeError(f"repeat_interleave: repeats must be 0-dim or 1-dim tensor, got {repeats.ndim}D")
    if repeats.dtype not in (dt.int64, dt.int32):
        raise RuntimeError(f"repeat_interleave: repeats has to be int64 or int32, not {repeats.dtype!r}")
    if not repeats.numel():
        return empty(0, dtype=repeats.dtype, device=repeats.device)
    if size is None:
        if (least := int(repeats.amin())) < 0:
            raise RuntimeError(f"repeat_interleave: repeats can not be negative, got {least}")
        size = int(repeats.sum())
    found = searchsorted(cumsum(repeats, 0), arange(size, dtype=repeats.dtype, device=repeats.device), right=True)
    return found if repeats.dtype is dt.int64 else run("cast", found, dtype=repeats.dtype)


# ---- triangles ---------------------------------------------------------------------------------------------------------
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = dt.int64, device: Any = None) -> Any:
    """The rows and the columns (2, n) of the lower triangle of a matrix, in order."""
    return _triangle("tril", row, col, offset, _below(row, col, offset), dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = dt.int64, device: Any = None) -> Any:
    """The rows and the columns (2, n) of the upper triangle of a matrix, in order."""
    return _triangle("triu", row, col, offset, row * col - _below(row, col, offset - 1), dtype, device)


def _below(row: int, col: int, offset: int) -> int:
    """How many places of a matrix lie on the diagonal ``offset`` or below it: the sum of a clamped line, from its integral."""

    def up_to(k: int) -> int:
        inner = min(max(k, 0), col)
        return inner * (inner + 1) // 2 + max(k - col, 0) * col

    return up_to(row + offset) - up_to(offset)


def _triangle(name: str, row: int, col: int, offset: int, count: int, dtype: Any, device: Any) -> Any:
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}_indices() takes sizes that are not negative, got row {row} and col {col}")
    inside = run(name, ones(row, col, dtype=dt.bool_, device=device), diagonal=offset)
    found = run("copy", transpose(run("nonzero", inside, size=count), 0, 1))
    kind = check_dtype(dtype)
    return found if kind is dt.int64 else run("cast", found, dtype=kind)


# ---- choices -----------------------------------------------------------------------------------------------------------
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Each vector along an axis of its own: "ij" has one axis after the other, "xy" the first two in turn."""
    given = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if not given:
        raise RuntimeError("meshgrid expects a non-empty list of Tensors")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in given:
        if x.ndim > 1:
            raise RuntimeError(f"meshgrid: Expected 0D or 1D tensor in the tensor list but got: {x.ndim}D")
        if x.dtype is not given[0].dtype:
            raise RuntimeError(f"meshgrid expects all tensors to have the same dtype, got {given[0].dtype!r} and {x.dtype!r}")
    n, shape = len(given), tuple(x.numel() for x in given)
    grids = [expand(reshape(x, (1,) * k + (shape[k],) + (1,) * (n - k - 1)), shape) for k, x in enumerate(given)]
    return tuple(transpose(grid, 0, 1) for grid in grids) if indexing == "xy" and n > 1 else tuple(grids)


def cartesian_prod(*tensors: Any) -> Any:
    """Every choice of one element of each vector, as rows in order; of one vector, that vector."""
    for x in tensors:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x._layout.shape)}")
    if not tensors:
        raise RuntimeError("cartesian_prod expects one tensor or more")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, grid.numel()) for grid in meshgrid(*tensors)], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every choice of ``r`` elements of a vector, as rows in order, each element once unless ``with_replacement``."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._layout.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return empty(0, dtype=input.dtype, device=input.device)
    n = input.numel()
    places = meshgrid(*[arange(n, device=input.device)] * r)
    inside = ones((n,) * r, dtype=dt.bool_, device=input.device)
    for left, right in pairwise(places):
        inside = inside & (left <= right if with_replacement else left < right)
    count = math.comb(n + r - 1, r) if with_replacement and n else math.comb(n, r)
    return stack([run("masked_select", grid, inside, size=count) for grid in meshgrid(*[input] * r)], 1)


# ---- powers ------------------------------------------------------------------------------------------------------------
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """``steps`` numbers from base^start to base^end, whose logarithms lie evenly."""
    kind = check_dtype(dtype) or Defaults.float
    exponents = linspace(start, end, steps, dtype=kind if kind.kind == "f" else Defaults.float, device=device)
    made = POINTWISE["pow"](float(base), exponents)
    made = made if made.dtype is kind else run("cast", made, dtype=kind)
    return made.requires_grad_() if requires_grad else made


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The first ``N`` powers of each element of a vector (as many as it has elements), as rows, the highest first."""
    if x.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor, but got one with {x.ndim} dimensions")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError(f"N must be non-negative, got {count}")
    powers = arange(count, device=x.device)
    return POINTWISE["pow"](unsqueeze(x, -1), powers if increasing else count - 1 - powers)


FUNCTIONS = {
    f.__name__: f
    for f in (argwhere, cartesian_prod, combinations, logspace, meshgrid, repeat_interleave, tril_indices, triu_indices, vander)
}
ALONE = frozenset(FUNCTIONS) - {"argwhere", "repeat_interleave"}
METHODS: dict[str, Any] = {}
