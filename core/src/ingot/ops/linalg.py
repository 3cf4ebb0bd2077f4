"""Matrix products and what is made of them."""

from __future__ import annotations

import math
from typing import Any

from .common import into, look, run
from .einsum import einsum
from .pointwise import FUNCTIONS as POINTWISE


def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """PyTorch's matmul: vectors, matrices and batches of them; batch axes broadcast."""
    return into(out, _matmul(input, other))


def _matmul(x: Any, y: Any) -> Any:
    if x.ndim == 2 and y.ndim == 2:
        return run("matmul", x, y)
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D")
    left, right = x.ndim == 1, y.ndim == 1
    a = look("view", x, shape=(1, *x._layout.shape)) if left else x
    b = look("view", y, shape=(*y._layout.shape, 1)) if right else y
    if a.ndim > 2 and b.ndim == 2:  # one tall matrix instead of a batch
        lead = a._layout.shape[:-1]
        if a._layout.shape[-1] != b._layout.shape[0]:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({list(x._layout.shape)} and {list(y._layout.shape)})"
            )
        flat = look("view", a, shape=(math.prod(lead), a._layout.shape[-1]))
        made = look("view", run("matmul", flat, b), shape=(*lead, b._layout.shape[1]))
    else:
        made = run("matmul", a, b)
    shape = list(made._layout.shape)
    if right:
        shape.pop()
    if left:
        shape.pop(-1 if right else -2)
    return look("view", made, shape=tuple(shape)) if left or right else made


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm expects two matrices, got {input.ndim}D and {mat2.ndim}D tensors of shapes "
            f"{list(input._layout.shape)} and "
            f"{list(mat2._layout.shape)}")
    return run("matmul", input, mat2)


def bmm(input: Any, mat2: Any) -> Any:
    """The products of two batches of matrices."""
    if input.ndim != 3 or mat2.ndim != 3:
        raise RuntimeError(f"batch1 and batch2 must be 3D tensors, got {input.ndim}D and {mat2.ndim}D")
    if input._layout.shape[0] != mat2._layout.shape[0]:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {input._layout.shape[0]} and "
                           f"{mat2._layout.shape[0]}")
    return run("matmul", input, mat2)


def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"mv expects a matrix and a vector, got {input.ndim}D and {vec.ndim}D tensors")
    return _matmul(input, vec)


def dot(input: Any, tensor: Any) -> Any:
    """The sum of products of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input._layout.shape != tensor._layout.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(input._layout.shape)} and src {list(tensor._layout.shape)} "
            "to have the same number of elements"
        )
    return run("sum", POINTWISE["mul"](input, tensor), dtype=input.dtype)


def outer(input: Any, vec2: Any) -> Any:
    """All products of elements of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D arguments, but got {input.ndim}-D and {vec2.ndim}-D")
    return POINTWISE["mul"](look("view", input, shape=(input.numel(), 1)), vec2)


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta·input + alpha·(mat1 @ mat2)."""
    return run("addmm", input, mat1, mat2, beta, alpha)


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input·weightᵀ + bias, for input (…, k), weight (n, k), bias (n)."""
    if weight.ndim == 1:
        made = _matmul(input, weight)
        return made if bias is None else made + bias
    return run("linear", input, weight, bias)


# ---- what takes a decomposition; `ingot.linalg` is imported when one of these is first called ------------------------------
def inverse(input: Any) -> Any:
    """`linalg.inv`."""
    from ..linalg import solving

    return solving.inv(input)


def det(input: Any) -> Any:
    """`linalg.det`."""
    from ..linalg import solving

    return solving.det(input)


def slogdet(input: Any) -> Any:
    """`linalg.slogdet`."""
    from ..linalg import solving

    return solving.slogdet(input)


def logdet(input: Any) -> Any:
    """The log of the determinant: NaN where that is negative, -inf where it is 0."""
    sign, size = slogdet(input)
    return run("where", run("lt", sign, 0), float("nan"), size)


def cholesky_solve(input: Any, L: Any, upper: bool = False) -> Any:
    """X with A·X = ``input`` for A = L·Lᵀ (``upper``: LᵀL)."""
    from ..linalg.solving import solve_triangular

    turned = look("permute", L, dims=(*range(-L.ndim, -2), -1, -2))
    first, second = (turned, L) if upper else (L, turned)
    return solve_triangular(second, solve_triangular(first, input, upper=False), upper=True)


def cholesky_inverse(L: Any, upper: bool = False) -> Any:
    """The inverse of L·Lᵀ (``upper``: LᵀL)."""
    from .creation import eye

    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype, device=L.device), L, upper)


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """`linalg.pinv` with ``rcond`` as the share of the greatest singular value that counts as 0."""
    from ..linalg import solving

    return solving.pinv(input, rtol=rcond)


def addmm_(self: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`addmm` in place."""
    return into(self, addmm(self, mat1, mat2, beta=beta, alpha=alpha))


FUNCTIONS = {
    f.__name__: f
    for f in (
        matmul, mm, bmm, mv, dot, outer, addmm, linear, einsum, inverse, det, slogdet, logdet, cholesky_solve,
        cholesky_inverse, pinverse,
    )
}  # fmt: skip
ALONE = frozenset({"einsum", "linear"})
METHODS = {"addmm_": addmm_}
