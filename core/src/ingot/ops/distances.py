"""Distances: norms of differences, of all pairs of rows, and slices made no longer than a bound."""

from __future__ import annotations

from typing import Any

from .common import axes_of, inplace, run
from .linalg import matmul
from .pointwise import where
from .reduce import norm
from .shape import transpose, unsqueeze

_MANY = 25  # rows, beyond which Euclid's distances are a product, as in PyTorch
_MODES = {"use_mm_for_euclid_dist_if_necessary": None, "use_mm_for_euclid_dist": True, "donot_use_mm_for_euclid_dist": False}


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The `norm` of the difference."""
    return norm(input - other, float(p))


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """The distances (…, m, n) of all pairs of rows of (…, m, k) and (…, n, k), by the norm ``p``.

    Where there are more than 25 rows and p is 2, they come out of a product: faster, and less exact where rows are close.
    """
    if x1.ndim < 2 or x2.ndim < 2:
        raise RuntimeError(f"cdist only supports at least 2D tensors, X1 got: {x1.ndim}D and X2 got: {x2.ndim}D")
    (m, k), (n, j) = x1._layout.shape[-2:], x2._layout.shape[-2:]
    if k != j:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {k} X2: {j}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode; use one of {', '.join(_MODES)}")
    by_product = _MODES[compute_mode]
    if p == 2 and (max(m, n) > _MANY if by_product is None else by_product):
        return _euclid(x1, x2)
    apart = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    if not k:
        return apart.sum(-1)
    return run("norm", apart, axes=(-1,), keepdim=False, p=float(p))


def _euclid(x: Any, y: Any) -> Any:
    """√(|x|² + |y|² − 2·x·y), with a gradient of 0 where that is 0."""
    squares = (x * x).sum(-1, keepdim=True) + transpose((y * y).sum(-1, keepdim=True), -2, -1)
    found = squares - matmul(x, transpose(y, -2, -1)) * 2
    there = found > 0
    return where(there, run("sqrt", where(there, found, 1.0)), 0.0)


def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """``input`` with each slice along ``dim`` scaled down to a norm ``p`` of at most ``maxnorm``."""
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0 or maxnorm < 0:
        raise RuntimeError(f"renorm: p must be positive and maxnorm not negative, got {p} and {maxnorm}")
    kept = axes_of(dim, input.ndim)
    others = tuple(k for k in range(-input.ndim, 0) if k not in (kept or ()))
    lengths = run("norm", input, axes=others, keepdim=True, p=float(p))
    return input * where(lengths > maxnorm, maxnorm / (lengths + 1e-7), 1.0)


FUNCTIONS = {f.__name__: f for f in (cdist, dist, renorm)}
ALONE = frozenset({"cdist"})
METHODS = {"renorm_": inplace(renorm)}
