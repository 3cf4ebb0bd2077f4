"""``torch.linalg``: norms and products of matrices (`norms`), and what takes a decomposition (`solving`, made of `factors`)."""

from __future__ import annotations

from ..ops.named import public
from .factors import LinAlgError
from .norms import cross, diagonal, matmul, matrix_norm, matrix_power, multi_dot, norm, vander, vecdot, vector_norm
from .solving import (
    cholesky,
    cond,
    det,
    eigh,
    eigvalsh,
    inv,
    lstsq,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svd,
    svdvals,
)

__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals",
    "vander", "vecdot", "vector_norm",
]  # fmt: skip
globals().update(public({n: globals()[n] for n in __all__ if n != "LinAlgError"}, {}))
