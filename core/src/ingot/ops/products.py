"""Products of tensors, continued: over chosen axes, added to a tensor, of each with each, of one matrix with itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .common import axis_of, inplace, into, run
from .linalg import _matmul, addmm, bmm, dot, outer
from .named import named
from .pointwise import FUNCTIONS as POINTWISE
from .shape import expand, permute, reshape, roll, select, unsqueeze


def tensordot(a: Any, b: Any, dims: Any = 2, *, out: Any = None) -> Any:
    """Products summed over ``dims``: the last axes of ``a`` with the first of ``b``, or two lists of axes."""
    left, right = _summed(a, b, dims)
    for i, j in zip(left, right, strict=True):
        m, n = a._layout.shape[i], b._layout.shape[j]
        if m != n:
            raise RuntimeError(f"contracted dimensions need to match, but first has size {m} in dim {i} and second has size "
                               f"{n} in dim {j}")
    free, others = ([k for k in range(x.ndim) if k not in gone] for x, gone in ((a, left), (b, right)))
    shape = [x._layout.shape[k] for x, kept in ((a, free), (b, others)) for k in kept]
    inner = math.prod(a._layout.shape[k] for k in left)
    rows = math.prod(a._layout.shape[k] for k in free)
    columns = math.prod(b._layout.shape[k] for k in others)
    made = run("matmul", reshape(permute(a, *free, *left), rows, inner), reshape(permute(b, *right, *others), inner, columns))
    return into(out, reshape(made, shape))


def _summed(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    """The axes of ``a`` and of ``b`` that are summed over, counted from the left."""
    if isinstance(dims, int) or not isinstance(dims, list | tuple):
        n = int(dims)
        if n < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={n}")
        if n > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={n} for {a.ndim} and {b.ndim} axes")
        return list(range(a.ndim - n, a.ndim)), list(range(n))
    pair = [[side] if isinstance(side, int) else list(side) for side in dims]
    if len(pair) != 2 or len(pair[0]) != len(pair[1]):
        raise RuntimeError(f"both dimension lists should have same length, got {dims}")
    return [axis_of(d, a.ndim) % a.ndim for d in pair[0]], [axis_of(d, b.ndim) % b.ndim for d in pair[1]]


def inner(input: Any, other: Any, *, out: Any = None) -> Any:
    """Products summed over the last axes of both; a tensor without axes scales the other."""
    if not input.ndim or not other.ndim:
        return into(out, POINTWISE["mul"](input, other))
    if input._layout.shape[-1] != other._layout.shape[-1]:
        raise RuntimeError(f"inner() the last dimension must match on both input tensors but got shapes "
                           f"{list(input._layout.shape)} and {list(other._layout.shape)}")
    return tensordot(input, other, ([-1], [-1]), out=out)


def vdot(input: Any, other: Any) -> Any:
    """`dot` (numbers are real here: there is nothing to conjugate)."""
    return dot(input, other)


def ger(input: Any, vec2: Any) -> Any:
    """`outer`."""
    return outer(input, vec2)


# ---- a product added -----------------------------------------------------------------------------------------------------
def _added(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    """beta·input + alpha·product; the summand is not looked at where beta is 0."""
    if beta == 0:
        return product if alpha == 1 else product * alpha
    return POINTWISE["add"](input if beta == 1 else input * beta, product, alpha=alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta·input + alpha·`outer`(vec1, vec2)."""
    return _added(input, outer(vec1, vec2), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta·input + alpha·(mat @ vec)."""
    if mat.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    column = unsqueeze(expand(input, mat._layout.shape[0]), 1)
    return select(addmm(column, mat, unsqueeze(vec, 1), beta=beta, alpha=alpha), 1, 0)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta·input + alpha·Σ of the products of two batches of matrices: one product of long matrices."""
    _require_batches("addbmm", batch1, batch2)
    (count, rows, inner), columns = batch1._layout.shape, batch2._layout.shape[2]
    left = reshape(permute(batch1, 1, 0, 2), rows, count * inner)
    return addmm(input, left, reshape(batch2, count * inner, columns), beta=beta, alpha=alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta·input + alpha·the products of two batches of matrices."""
    _require_batches("baddbmm", batch1, batch2)
    return _added(input, bmm(batch1, batch2), beta, alpha)


def _require_batches(name: str, batch1: Any, batch2: Any) -> None:
    if batch1.ndim != 3 or batch2.ndim != 3:
        raise RuntimeError(f"{name}(): batch1 and batch2 must be 3D tensors, got {batch1.ndim}D and {batch2.ndim}D")
    (m, _, k), (n, j, _) = batch1._layout.shape, batch2._layout.shape
    if m != n or k != j:
        raise RuntimeError(f"{name}(): Expected size for first two dimensions of batch2 tensor to be: [{m}, {k}] but got: "
                           f"[{n}, {j}].")


# ---- others --------------------------------------------------------------------------------------------------------------
def kron(input: Any, other: Any) -> Any:
    """Kronecker's product: a copy of ``other`` in the place of each element of ``input``, times it."""
    rank = max(input.ndim, other.ndim)
    a, b = ((1,) * (rank - x.ndim) + tuple(x._layout.shape) for x in (input, other))
    wide = reshape(input, [n for m in a for n in (m, 1)])
    tight = reshape(other, [n for m in b for n in (1, m)])
    return reshape(POINTWISE["mul"](wide, tight), [m * n for m, n in zip(a, b, strict=True)])


def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The vector product along ``dim`` (by default the first of size 3)."""
    if dim is None:
        found = [k for k, n in enumerate(input._layout.shape) if n == 3]
        if not found:
            raise RuntimeError(f"no dimension of size 3 in input of shape {list(input._layout.shape)}")
        dim = found[0]
    return _cross(input, other, dim)


def _cross(x: Any, y: Any, dim: int) -> Any:
    if x.ndim != y.ndim:
        raise RuntimeError(f"linalg.cross: inputs must have the same number of dimensions, got {x.ndim} and {y.ndim}.")
    sizes = [z._layout.shape[axis_of(dim, z.ndim)] if z.ndim else 1 for z in (x, y)]
    if sizes != [3, 3]:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and {sizes[1]}")
    return roll(x * roll(y, -1, dim) - roll(x, -1, dim) * y, -1, dim)


def matrix_power(input: Any, n: int) -> Any:
    """A square matrix, or each of a batch, multiplied ``n`` times, by squaring; the inverse where ``n`` is negative."""
    shape = input._layout.shape
    if input.ndim < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: A must be batches of square matrices, but got shape {list(shape)}")
    if n < 0:
        from ..linalg import solving

        return matrix_power(solving.inv(input), -n)
    if n == 0:
        from .creation import eye

        return expand(eye(shape[-1], dtype=input.dtype, device=input.device), shape).clone()
    made, square = None, input
    while True:
        if n & 1:
            made = square if made is None else _matmul(made, square)
        n >>= 1
        if not n:
            return made.clone() if made is input else made
        square = _matmul(square, square)


def chain(matrices: Sequence[Any]) -> Any:
    """The product of several matrices, in the order that takes the fewest multiplications (dynamic programming)."""
    sizes = [matrices[0]._layout.shape[0], *(m._layout.shape[1] for m in matrices)]
    count = len(matrices)
    cost = [[0] * count for _ in range(count)]
    cut = [[0] * count for _ in range(count)]
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length - 1
            costs = [cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i][j] = min(costs)
            cut[i][j] = i + costs.index(cost[i][j])

    def product(i: int, j: int) -> Any:
        return matrices[i] if i == j else _matmul(product(i, cut[i][j]), product(cut[i][j] + 1, j))

    return product(0, count - 1)


FUNCTIONS = {
    f.__name__: f for f in (addbmm, addmv, addr, baddbmm, cross, ger, inner, kron, matrix_power, tensordot, vdot)
}
ALONE = frozenset({"tensordot"})
METHODS = {f"{f.__name__}_": inplace(f) for f in (addbmm, addmv, addr, baddbmm)}
FUNCTIONS["tensordot"] = named(tensordot)  # by its name alone: elsewhere ``a`` is a dtype, too
FUNCTIONS["addmv_"] = METHODS["addmv_"]  # the one that PyTorch has as a function, too
