"""Decompositions of matrices as declared ops: NumPy's (LAPACK's) on the host, with gradients as formulas of other ops.

They are custom ops like anybody's (`ingot.library`): a plugin that has better ones registers kernels for ``linalg::solve``
and the others, and until then the host computes them, as the policy for that has it (`ingot.fallback`). Leading axes are a
batch. Gradients: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008); for QR, S. Walter and L. Lehmann (2018), and M. Seeger and others, "Auto-differentiating linear algebra" (2017); for
singular values, J. Townsend, "Differentiating the singular value decomposition" (2016); for determinants, the adjugate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from ingot_devices.layout import broadcast_shapes
from ingot_devices.opset.op import Spec
from ingot_devices.opset.shared import swap

from ..library import custom_op

Rule = Callable[..., Any]


class LinAlgError(RuntimeError):
    """A matrix that cannot be decomposed: it is singular, not positive definite, or an iteration did not converge."""


def _computed(name: str, function: Rule) -> Rule:
    """``function`` of arrays, with its failure in words."""

    @wraps(function)  # whose parameters are looked at
    def run(*arrays: Any, **attributes: Any) -> Any:
        try:
            return function(*arrays, **attributes)
        except np.linalg.LinAlgError as error:
            raise LinAlgError(f"linalg.{name}: {error}") from None

    return run


# ---- what gradients are written with ----------------------------------------------------------------------------------------
def _mm(b: Any, *factors: Any) -> Any:
    """The product of matrices, from the left."""
    made = factors[0]
    for f in factors[1:]:
        made = b.matmul(made, f)
    return made


def _column(b: Any, x: Any) -> Any:
    return b.view(x, shape=(*x.shape, 1))


def _row(b: Any, x: Any) -> Any:
    return b.view(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def _lower(b: Any, x: Any) -> Any:
    """The lower triangle with half of the diagonal."""
    return b.mul(b.add(b.tril(x, diagonal=0), b.tril(x, diagonal=-1)), 0.5)


def _gaps(b: Any, values: Any) -> Any:
    """1 / (vⱼ - vᵢ) at (i, j), and 0 on the diagonal."""
    away = b.fill_diagonal(b.sub(_row(b, values), _column(b, values)), 1)
    return b.fill_diagonal(b.div(1.0, away), 0)


def _outside(b: Any, x: Any, basis: Any) -> Any:
    """What of ``x`` the columns of ``basis`` do not span."""
    return b.sub(x, _mm(b, basis, _mm(b, swap(b, basis), x)))


def _call(b: Any, name: str, *operands: Any, **attributes: Any) -> Any:
    return getattr(b, f"linalg::{name}")(*operands, **attributes)


# ---- solving -------------------------------------------------------------------------------------------------------------
def _solution(a: Spec, y: Spec) -> Spec:
    return Spec.of((*broadcast_shapes(a.shape[:-2], y.shape[:-2]), *y.shape[-2:]), a.dtype)


def _solve_gradients(b: Any, g: Any, a: Any, out: Any) -> tuple[Any, Any]:
    back = _call(b, "solve", swap(b, a), g)
    return b.neg(_mm(b, back, swap(b, out))), back


def _triangle(a: Any, upper: bool, unitriangular: bool) -> Any:
    made = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        n = a.shape[-1]
        made[..., np.arange(n), np.arange(n)] = 1
    return made


def _triangular_gradients(b: Any, g: Any, a: Any, out: Any, upper: bool, unitriangular: bool) -> tuple[Any, Any]:
    back = _call(b, "solve_triangular", swap(b, a), g, upper=not upper, unitriangular=unitriangular)
    full = b.neg(_mm(b, back, swap(b, out)))
    edge = 1 if unitriangular else 0
    return (b.triu(full, diagonal=edge) if upper else b.tril(full, diagonal=-edge)), back


def _inverse_gradient(b: Any, g: Any, out: Any) -> Any:
    back = swap(b, out)
    return b.neg(_mm(b, back, g, back))


def _cholesky_gradient(b: Any, g: Any, out: Any) -> Any:
    """L⁻ᵀ·Φ(Lᵀ·g)·L⁻¹, made symmetric; Φ is the lower triangle with half of the diagonal."""
    middle = _lower(b, _mm(b, swap(b, out), g))
    left = _call(b, "solve_triangular", swap(b, out), middle, upper=True)
    made = _call(b, "solve_triangular", swap(b, out), swap(b, left), upper=True)  # the transpose
    return b.mul(b.add(made, swap(b, made)), 0.5)


def _adjugate_gradient(b: Any, g: Any, a: Any) -> Any:
    """g·adj(A)ᵀ, from the singular values: it is there where A is singular, too."""
    u, s, vh = _call(b, "svd", a)
    n = a.shape[-1]
    others = b.prod(b.fill_diagonal(b.expand(_row(b, s), shape=(*s.shape, n)), 1), axes=(-1,))
    turned = b.mul(_call(b, "det", u), _call(b, "det", vh))
    scale = _column(b, _column(b, b.mul(g, turned)))
    return b.mul(scale, _mm(b, b.mul(u, _row(b, others)), vh))


def _log_gradient(b: Any, g_logabsdet: Any, a: Any) -> Any:
    return b.mul(_column(b, _column(b, g_logabsdet)), swap(b, _call(b, "inv", a)))


# ---- decompositions ------------------------------------------------------------------------------------------------------
def _qr_gradient(b: Any, g_q: Any, g_r: Any, a: Any, q: Any, r: Any) -> Any:
    """(ḡ_Q + Q·sym(M))·R⁻ᵀ with M = R·ḡ_Rᵀ - ḡ_Qᵀ·Q, for as many columns as rows at most. What a wide matrix has more is Q of
    what R has."""
    m, n = a.shape[-2:]
    if m >= n:
        return _qr_tall(b, g_q, g_r, q, r)
    square, g_square = (b.slice(x, axis=-1, start=0, stop=m, step=1) for x in (r, g_r))
    wide, g_wide = (b.slice(x, axis=-1, start=m, stop=n, step=1) for x in (a, g_r))
    first = _qr_tall(b, b.add(g_q, _mm(b, wide, swap(b, g_wide))), g_square, q, square)
    return b.cat(first, _mm(b, q, g_wide), axis=-1)


def _qr_tall(b: Any, g_q: Any, g_r: Any, q: Any, r: Any) -> Any:
    m = b.sub(_mm(b, r, swap(b, g_r)), _mm(b, swap(b, g_q), q))
    whole = b.add(b.tril(m, diagonal=0), swap(b, b.tril(m, diagonal=-1)))
    right = b.add(g_q, _mm(b, q, whole))
    return swap(b, _call(b, "solve_triangular", r, swap(b, right), upper=True))


def _eigh_gradient(b: Any, g_values: Any, g_vectors: Any, values: Any, vectors: Any) -> Any:
    """V·(diag(ḡ_w) + (Vᵀ·ḡ_V)∘E)·Vᵀ with Eᵢⱼ = 1/(wⱼ - wᵢ)."""
    inner = b.mul(_mm(b, swap(b, vectors), g_vectors), _gaps(b, values))
    n = values.shape[-1]
    inner = b.add(inner, b.diagonal_backward(g_values, shape=(*values.shape, n), offset=0, axis1=-2, axis2=-1))
    return _mm(b, vectors, inner, swap(b, vectors))


def _eigenvalue_gradient(b: Any, g: Any, a: Any, lower: bool) -> Any:
    _, vectors = _call(b, "eigh", a, lower=lower)
    return _mm(b, b.mul(vectors, _row(b, g)), swap(b, vectors))


def _svd_gradient(b: Any, g_u: Any, g_s: Any, g_vh: Any, a: Any, u: Any, s: Any, vh: Any) -> Any:
    """U·(skew(Uᵀ·ḡ_U)∘E·S + S·skew(Vᵀ·ḡ_V)∘E + diag(ḡ_S))·Vᵀ with Eᵢⱼ = 1/(sⱼ² - sᵢ²), and what lies outside of U and V."""
    m, n = a.shape[-2:]
    k = s.shape[-1]
    v, g_v = swap(b, vh), swap(b, g_vh)
    gaps = _gaps(b, b.mul(s, s))

    def skew(x: Any) -> Any:
        return b.mul(b.sub(x, swap(b, x)), gaps)

    inner = b.mul(skew(_mm(b, swap(b, u), g_u)), _row(b, s))
    inner = b.add(inner, b.mul(_column(b, s), skew(_mm(b, vh, g_v))))
    inner = b.add(inner, b.diagonal_backward(g_s, shape=(*s.shape, k), offset=0, axis1=-2, axis2=-1))
    made = _mm(b, u, inner, vh)
    if m > k:
        made = b.add(made, _mm(b, b.div(_outside(b, g_u, u), _row(b, s)), vh))
    if n > k:
        made = b.add(made, _mm(b, u, swap(b, b.div(_outside(b, g_v, v), _row(b, s)))))
    return made


def _singular_value_gradient(b: Any, g: Any, a: Any) -> Any:
    u, _, vh = _call(b, "svd", a)
    return _mm(b, b.mul(u, _row(b, g)), vh)


# ---- the ops -----------------------------------------------------------------------------------------------------------------
def _batch(a: Spec) -> Spec:
    """A number for each matrix."""
    return _shaped(a)


def _shaped(a: Spec, *shape: int) -> Spec:
    return Spec.of((*a.shape[:-2], *shape), a.dtype)


def _smaller(a: Spec) -> int:
    return min(a.shape[-2:])


def _op(name: str, function: Rule, **how: Any) -> Any:
    return custom_op(f"linalg::{name}", reference=_computed(name, function), **how)


inv = _op("inv", np.linalg.inv, operands="a", result="a", gradient={"a": _inverse_gradient})
det = _op("det", np.linalg.det, operands="a", result=_batch, gradient={"a": _adjugate_gradient})
slogdet = _op(
    "slogdet", lambda a: tuple(np.linalg.slogdet(a)), operands="a", outputs="sign logabsdet", result=_batch,
    gradient={"a": _log_gradient},
)  # fmt: skip
solve = _op("solve", np.linalg.solve, operands="a y", result=_solution, gradient=_solve_gradients)
solve_triangular = _op(
    "solve_triangular", lambda a, y, upper, unitriangular: np.linalg.solve(_triangle(a, upper, unitriangular), y),
    operands="a y", attributes={"upper": False, "unitriangular": False}, result=_solution,
    gradient=_triangular_gradients,
)  # fmt: skip
cholesky = _op("cholesky", np.linalg.cholesky, operands="a", result="a", gradient={"a": _cholesky_gradient})
qr = _op(
    "qr", lambda a: tuple(np.linalg.qr(a)), operands="a", outputs="q r",
    result={"q": lambda a: _shaped(a, a.shape[-2], _smaller(a)), "r": lambda a: _shaped(a, _smaller(a), a.shape[-1])},
    gradient={"a": _qr_gradient},
)  # fmt: skip
qr_complete = _op(
    "qr_complete", lambda a: tuple(np.linalg.qr(a, "complete")), operands="a", outputs="q r",
    result={"q": lambda a: _shaped(a, a.shape[-2], a.shape[-2]), "r": "a"}, gradient=None,
)  # fmt: skip
eigh = _op(
    "eigh", lambda a, lower: tuple(np.linalg.eigh(a, "L" if lower else "U")), operands="a", outputs="values vectors",
    attributes={"lower": True}, result={"values": lambda a: _shaped(a, a.shape[-1]), "vectors": "a"},
    gradient={"a": _eigh_gradient},
)  # fmt: skip
eigvalsh = _op(
    "eigvalsh", lambda a, lower: np.linalg.eigvalsh(a, "L" if lower else "U"), operands="a", attributes={"lower": True},
    result=lambda a: _shaped(a, a.shape[-1]), gradient={"a": _eigenvalue_gradient},
)  # fmt: skip
svd = _op(
    "svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), operands="a", outputs="u s vh",
    result={"u": lambda a: _shaped(a, a.shape[-2], _smaller(a)), "s": lambda a: _shaped(a, _smaller(a)),
            "vh": lambda a: _shaped(a, _smaller(a), a.shape[-1])},
    gradient={"a": _svd_gradient},
)  # fmt: skip
svd_full = _op(
    "svd_full", lambda a: tuple(np.linalg.svd(a)), operands="a", outputs="u s vh",
    result={"u": lambda a: _shaped(a, a.shape[-2], a.shape[-2]), "s": lambda a: _shaped(a, _smaller(a)),
            "vh": lambda a: _shaped(a, a.shape[-1], a.shape[-1])},
    gradient=None,
)  # fmt: skip
svdvals = _op(
    "svdvals", lambda a: np.linalg.svd(a, compute_uv=False), operands="a", result=lambda a: _shaped(a, _smaller(a)),
    gradient={"a": _singular_value_gradient},
)  # fmt: skip
