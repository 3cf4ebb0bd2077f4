"""Norms, products and powers of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..ops import products, shape
from ..ops.common import axes_of, axis_of, check_dtype, into, run
from ..ops.linalg import matmul as _matmul
from ..ops.reduce import amax, amin, sum
from . import solving

__all__ = [
    "cross", "diagonal", "matmul", "matrix_norm", "matrix_power", "multi_dot", "norm", "vander", "vecdot", "vector_norm",
]  # fmt: skip


def _floating(name: str, x: Any, dtype: Any) -> Any:
    made = x if dtype is None else run("cast", x, dtype=check_dtype(dtype))
    if made.dtype.kind != "f":
        raise RuntimeError(f"linalg.{name}: Expected a floating point or complex tensor as input. Got {made.dtype!r}")
    return made


def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """(Σ|x|ᵒʳᵈ)^(1/ord) over ``dim`` (all axes by default, as one vector); ±inf take the extreme, 0 counts."""
    if not isinstance(ord, int | float):
        raise TypeError(f"vector_norm(): argument 'ord' must be a number, not {type(ord).__name__}")
    made = _floating("vector_norm", x, dtype)
    return into(out, run("norm", made, axes=axes_of(dim, x.ndim), keepdim=keepdim, p=float(ord)))


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    """A norm of matrices, which lie in the two axes ``dim``: "fro" (the root of the sum of squares), 1 and -1 (the greatest and
    the least sum of a column's sizes), inf and -inf (of a row's), 2 and -2 (the greatest and the least singular value), "nuc"
    (their sum)."""
    made = _floating("matrix_norm", A, dtype)
    if len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    if A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, not {A.ndim}")
    row, column = (axis_of(d, A.ndim) for d in dim)
    if row == column:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return into(out, run("norm", made, axes=tuple(sorted((row, column))), keepdim=keepdim, p=2.0))
    if ord in (2, -2, "nuc"):
        return into(out, _by_singular_values(made, ord, row, column, keepdim))
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise ValueError(f"linalg.matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}")
    summed, over = (row, column) if abs(ord) == 1 else (column, row)
    sizes = sum(run("abs", made), summed, keepdim=True)
    found = (amax if ord > 0 else amin)(sizes, over, keepdim=True)
    return into(out, found if keepdim else shape.squeeze(found, (row, column)))


def _by_singular_values(x: Any, ord: Any, row: int, column: int, keepdim: bool) -> Any:
    values = solving.svdvals(shape.movedim(x, (row, column), (-2, -1)))
    made = sum(values, -1) if ord == "nuc" else (amax if ord > 0 else amin)(values, -1)
    if not keepdim:
        return made
    sizes = [1 if k - x.ndim in (row, column) else n for k, n in enumerate(x.shape)]
    return shape.reshape(made, sizes)


def norm(input: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None) -> Any:
    """`vector_norm` where ``dim`` is one axis or ``ord`` is not given, `matrix_norm` of two axes or of a matrix."""
    axes = [dim] if isinstance(dim, int) else dim
    if ord is None:
        return vector_norm(input, 2, dim, keepdim, dtype=dtype, out=out)
    count = input.ndim if axes is None else len(axes)
    if axes is None and count not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.ndim}D.")
    if count == 1 and not isinstance(ord, str):
        return vector_norm(input, ord, dim, keepdim, dtype=dtype, out=out)
    return matrix_norm(input, ord, (-2, -1) if axes is None else axes, keepdim, dtype=dtype, out=out)


def cross(input: Any, other: Any, *, dim: int = -1, out: Any = None) -> Any:
    """The vector product along ``dim``."""
    return into(out, products._cross(input, other, dim))


def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """`ingot.matmul`."""
    return _matmul(input, other, out=out)


def vecdot(x: Any, y: Any, *, dim: int = -1, out: Any = None) -> Any:
    """Sums of products along ``dim``."""
    return into(out, sum(run("mul", x, y), dim))


def multi_dot(tensors: Sequence[Any], *, out: Any = None) -> Any:
    """The product of two matrices or more, in the order that takes the fewest multiplications; the ends may be vectors."""
    shape._require_several("multi_dot", tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    inner, shapes = list(tensors), [list(x.shape) for x in tensors]
    for k, x in enumerate(inner):
        if x.ndim != 2 and not (x.ndim == 1 and k in (0, len(inner) - 1)):
            raise RuntimeError(f"multi_dot(): tensor {k} must be 2D{' or 1D' if k in (0, len(inner) - 1) else ''} but got "
                               f"{x.ndim}D")
    row, column = inner[0].ndim == 1, inner[-1].ndim == 1
    inner[0] = shape.unsqueeze(inner[0], 0) if row else inner[0]
    inner[-1] = shape.unsqueeze(inner[-1], 1) if column else inner[-1]
    for a, b in pairwise(inner):
        if a.shape[1] != b.shape[0]:
            raise RuntimeError(f"multi_dot(): tensors of shapes {shapes} cannot be multiplied")
    made = products.chain(inner)
    made = shape.select(made, 1, 0) if column else made
    return into(out, shape.select(made, 0, 0) if row else made)


def matrix_power(A: Any, n: int, *, out: Any = None) -> Any:
    """A square matrix, or each of a batch, multiplied ``n`` times; its inverse where ``n`` is negative."""
    return into(out, products.matrix_power(A, n))


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonal of two axes as a new last axis."""
    return shape.diagonal(A, offset, dim1, dim2)


def vander(x: Any, N: int | None = None) -> Any:
    """The first ``N`` powers of each element along the last axis (as many as there are), as rows, the lowest first."""
    if not x.ndim:
        raise RuntimeError("linalg.vander: expected a tensor with one dimension or more")
    from ..ops.creation import arange

    return run("pow", shape.unsqueeze(x, -1), arange(x.shape[-1] if N is None else N, device=x.device))
