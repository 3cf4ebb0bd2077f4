"""Inverses, solutions, determinants and decompositions of matrices, under the names of ``torch.linalg``.

Arguments are looked at here; the ops are `factors`. Matrices are the last two axes, others a batch. float32 and float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ingot_devices import dtypes as dt

from ..ops import shape
from ..ops.common import into, run
from ..ops.linalg import matmul
from ..ops.reduce import amax, sum
from . import factors

__all__ = [
    "cholesky", "cond", "det", "eigh", "eigvalsh", "inv", "lstsq", "matrix_rank", "pinv", "qr", "slogdet",
    "solve", "solve_triangular", "svd", "svdvals",
]  # fmt: skip


class SlogdetResult(NamedTuple):
    sign: Any
    logabsdet: Any


class QRResult(NamedTuple):
    Q: Any
    R: Any


class EighResult(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    U: Any
    S: Any
    Vh: Any


class LstsqResult(NamedTuple):
    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


# ---- arguments -------------------------------------------------------------------------------------------------------------
def _matrix(name: str, A: Any, square: bool = False) -> Any:
    """``A`` if it is a matrix of floats, or a batch of them."""
    if not hasattr(A, "_layout"):
        raise TypeError(f"linalg.{name}(): argument 'A' must be a Tensor, not {type(A).__name__}")
    if A.ndim < 2:
        raise RuntimeError(f"linalg.{name}: The input tensor A must have at least 2 dimensions, not {A.ndim}.")
    if A.dtype not in (dt.float32, dt.float64):
        raise RuntimeError(f"linalg.{name}: float32 and float64 are taken, got {A.dtype!r}. Convert it, with .float() for "
                           "instance")
    if square and A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.{name}: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} "
                           "matrices")
    return A


def _T(x: Any) -> Any:
    return shape.transpose(x, -2, -1)


def _right_side(name: str, A: Any, B: Any, left: bool) -> tuple[Any, bool]:
    """``B`` as matrices, and whether it was vectors: of one axis, or of one less than ``A`` with its sizes."""
    if B.dtype is not A.dtype:
        raise RuntimeError(f"linalg.{name}: Expected A and B to have the same dtype, but found {A.dtype!r} and {B.dtype!r} "
                           "instead")
    vectors = bool(left and (B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))))
    made = shape.unsqueeze(B, -1) if vectors else B
    side = -2 if left else -1
    if made.ndim < 2 or made.shape[side] != A.shape[-1]:
        raise RuntimeError(f"linalg.{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
                           f"({list(A.shape)} and {list(B.shape)})")
    return made, vectors


def _exact(name: str, A: Any) -> Any:
    """``A`` without history, for what has no gradient; RuntimeError where one is wanted."""
    if A.requires_grad:
        raise RuntimeError(f"linalg.{name} has no gradient: its result is not determined by A alone. Use the reduced form, or "
                           "detach A")
    return A


# ---- solving ---------------------------------------------------------------------------------------------------------------
def inv(A: Any, *, out: Any = None) -> Any:
    """The inverse of square matrices. LinAlgError where one is singular."""
    return into(out, factors.inv(_matrix("inv", A, True)))


def solve(A: Any, B: Any, *, left: bool = True, out: Any = None) -> Any:
    """X with A·X = B (``left=False``: X·A = B) for square matrices. ``B`` may be one vector, or one for each matrix."""
    A = _matrix("solve", A, True)
    right, vectors = _right_side("solve", A, B, left)
    made = factors.solve(A, right) if left else _T(factors.solve(_T(A), _T(right)))
    return into(out, shape.squeeze(made, -1) if vectors else made)


def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Any = None
) -> Any:
    """`solve` for a triangular A, of which only that triangle is looked at (``unitriangular``: its diagonal is taken as 1)."""
    A = _matrix("solve_triangular", A, True)
    right, _ = _right_side("solve_triangular", A, _matrix("solve_triangular", B), left)
    if left:
        return into(out, factors.solve_triangular(A, right, upper=bool(upper), unitriangular=bool(unitriangular)))
    made = factors.solve_triangular(_T(A), _T(right), upper=not upper, unitriangular=bool(unitriangular))
    return into(out, _T(made))


def lstsq(A: Any, B: Any, rcond: Any = None, *, driver: str | None = None) -> LstsqResult:
    """X with the least ‖A·X - B‖, and of these the shortest, by QR: A must have full rank, as with PyTorch's driver "gels".

    ``residuals`` are sums of squares by column where A has more rows than columns, else empty; ``rank`` and ``singular_values``
    are empty, too.
    """
    if driver not in (None, "gels"):
        raise RuntimeError(f"linalg.lstsq: driver {driver!r} is not here; 'gels' is, for matrices of full rank")
    A = _matrix("lstsq", A)
    m, n = A.shape[-2:]
    vectors = B.ndim == A.ndim - 1
    right = shape.unsqueeze(B, -1) if vectors else B
    if right.ndim < 2 or right.shape[-2] != m:
        raise RuntimeError(f"linalg.lstsq: B of shape {list(B.shape)} must have as many rows as A of shape {list(A.shape)}")
    if m >= n:
        q, r = factors.qr(A)
        made = factors.solve_triangular(r, matmul(_T(q), right), upper=True)
    else:
        q, r = factors.qr(_T(A))
        made = matmul(q, factors.solve_triangular(_T(r), right, upper=False))
    empty = A.new_zeros(0)
    rest = sum(run("square", run("sub", matmul(A, made), right)), -2) if m > n else empty
    return LstsqResult(shape.squeeze(made, -1) if vectors else made, rest, empty.to(dt.int64), empty)


def pinv(A: Any, *, rtol: Any = None, atol: Any = None, hermitian: bool = False, out: Any = None) -> Any:
    """The pseudo-inverse (Moore, Penrose), by singular values; those up to max(atol, rtol·the greatest) count as 0.

    ``rtol`` is max(m, n)·ε by default, or 0 where ``atol`` is given. ``hermitian``: A is symmetric, which is not made use of.
    """
    A = _matrix("pinv", A)
    u, s, vh = factors.svd(A)
    kept = run("gt", s, _tolerance(A, s, rtol, atol))
    inverse = run("where", kept, run("div", 1.0, run("where", kept, s, 1.0)), 0.0)
    return into(out, matmul(run("mul", _T(vh), shape.unsqueeze(inverse, -2)), _T(u)))


def _tolerance(A: Any, s: Any, rtol: Any, atol: Any) -> Any:
    """What a singular value must be more than, for each matrix."""
    from ..typeinfo import finfo

    least = 0.0 if atol is None else atol
    share = rtol if rtol is not None else 0.0 if atol is not None else max(A.shape[-2:]) * finfo(A.dtype).eps
    found = run("mul", amax(s, -1, keepdim=True), _wide(share))
    return run("maximum", found, _wide(least))


def _wide(bound: Any) -> Any:
    """A bound for each matrix, beside its singular values."""
    return shape.unsqueeze(bound, -1) if hasattr(bound, "_layout") and bound.ndim else bound


def matrix_rank(
    A: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None
) -> Any:
    """How many singular values are more than max(atol, rtol·the greatest), as int64; ``tol`` is an older name of ``atol``."""
    A = _matrix("matrix_rank", A)
    s = factors.svdvals(A)
    return into(out, sum(run("gt", s, _tolerance(A, s, rtol, tol if atol is None else atol)), -1))


def cond(A: Any, p: Any = None, *, out: Any = None) -> Any:
    """The condition number ‖A‖·‖A⁻¹‖ in a norm of `matrix_norm`; 2 and None: the greatest singular value over the least."""
    from .norms import matrix_norm

    if p in (None, 2, -2):
        s = factors.svdvals(_matrix("cond", A))
        first, last = shape.select(s, -1, 0), shape.select(s, -1, -1)
        return into(out, run("div", last, first) if p == -2 else run("div", first, last))
    return into(out, run("mul", matrix_norm(_matrix("cond", A, True), p), matrix_norm(factors.inv(A), p)))


# ---- determinants ------------------------------------------------------------------------------------------------------------
def det(A: Any, *, out: Any = None) -> Any:
    """The determinant; its gradient is there for singular matrices, too."""
    return into(out, factors.det(_matrix("det", A, True)))


def slogdet(A: Any, *, out: Any = None) -> SlogdetResult:
    """The sign of the determinant, and the log of its size (-inf for a singular matrix)."""
    return SlogdetResult(*factors.slogdet(_matrix("slogdet", A, True)))


# ---- decompositions --------------------------------------------------------------------------------------------------------
def cholesky(A: Any, *, upper: bool = False, out: Any = None) -> Any:
    """L with L·Lᵀ = A for a symmetric positive definite A, of which the lower triangle is looked at; ``upper``: Lᵀ.

    LinAlgError where A is not positive definite.
    """
    made = factors.cholesky(_matrix("cholesky", A, True))
    return into(out, _T(made) if upper else made)


def qr(A: Any, mode: str = "reduced", *, out: Any = None) -> QRResult:
    """Q with orthonormal columns and an upper triangular R, Q·R = A. ``mode``: "reduced" (as many columns of Q as the smaller
    size), "complete" (a square Q; no gradient), "r" (R alone; Q is empty)."""
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr: mode must be one of 'reduced', 'complete' or 'r', not {mode!r}")
    A = _matrix("qr", A)
    if mode == "complete" and A.shape[-2] > A.shape[-1]:
        return QRResult(*factors.qr_complete(_exact("qr", A)))
    q, r = factors.qr(A)
    return QRResult(A.new_zeros(0) if mode == "r" else q, r)


def eigh(A: Any, UPLO: str = "L", *, out: Any = None) -> EighResult:
    """The eigenvalues of symmetric matrices, the least first, and their vectors as columns. ``UPLO``: the triangle that is
    looked at. The gradient of vectors of equal values is not finite."""
    return EighResult(*factors.eigh(_matrix("eigh", A, True), lower=_lower("eigh", UPLO)))


def eigvalsh(A: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    """The eigenvalues of symmetric matrices, the least first."""
    return into(out, factors.eigvalsh(_matrix("eigvalsh", A, True), lower=_lower("eigvalsh", UPLO)))


def _lower(name: str, triangle: str) -> bool:
    if triangle.upper() not in ("L", "U"):
        raise RuntimeError(f"linalg.{name}: UPLO must be 'L' or 'U', not {triangle!r}")
    return triangle.upper() == "L"


def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> SVDResult:
    """U, the singular values, the greatest first, and Vᵀ with U·diag(S)·Vᵀ = A. ``full_matrices``: U and Vᵀ are square, and
    have no gradient where that makes them larger. The gradient of vectors of equal values is not finite."""
    A = _matrix("svd", A)
    if full_matrices and A.shape[-2] != A.shape[-1]:
        return SVDResult(*factors.svd_full(_exact("svd", A)))
    return SVDResult(*factors.svd(A))


def svdvals(A: Any, *, driver: str | None = None, out: Any = None) -> Any:
    """The singular values, the greatest first."""
    return into(out, factors.svdvals(_matrix("svdvals", A)))
