"""Positions, pairs and powers, counted off: tensors that follow from sizes, and all choices from others."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.opset.op import Defaults

from .common import check_dtype, run
from .creation import arange, empty, linspace, ones
from .index import nonzero
from .pointwise import FUNCTIONS as POINTWISE
from .shape import meshgrid, reshape, stack, transpose, unsqueeze


def argwhere(input: Any) -> Any:
    """A row of indices for each element that is not 0. Reads a count back."""
    return nonzero(input)


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
    f.__name__: f for f in (argwhere, cartesian_prod, combinations, logspace, tril_indices, triu_indices, vander)
}
ALONE = frozenset(FUNCTIONS) - {"argwhere"}
METHODS: dict[str, Any] = {}
