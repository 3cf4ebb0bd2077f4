"""What `linalg` computes, as one table: a call of ingot (or PyTorch), NumPy's answer, and the operands.

Signs of vectors are not determined, so results are made independent of them where they could differ.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

DRAW = np.random.default_rng(11)
SQUARE, TALL, WIDE = (DRAW.standard_normal(shape) for shape in ((2, 4, 4), (2, 5, 3), (2, 3, 5)))
SIDE, ROWS = DRAW.standard_normal((2, 4, 3)), DRAW.standard_normal((2, 3, 4))
ONE = np.eye(4)


class Case(NamedTuple):
    """``call(t, *tensors)`` and ``answer(*arrays)`` give one result or a tuple."""

    call: Callable[..., Any]
    answer: Callable[..., Any]
    operands: tuple[Any, ...]


def turned(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def positive(a: Any) -> Any:
    """A symmetric positive definite matrix, of arrays and of tensors."""
    return a @ (turned(a) if isinstance(a, np.ndarray) else a.transpose(-2, -1)) + 4 * _one(a)


def symmetric(a: Any) -> Any:
    return a + (turned(a) if isinstance(a, np.ndarray) else a.transpose(-2, -1))


def _one(a: Any) -> Any:
    return ONE if isinstance(a, np.ndarray) else a.new_tensor(ONE.tolist())


def _squared(w: Any, v: Any) -> Any:
    return w, v * v


def _parts(u: Any, s: Any, vh: Any) -> Any:
    return u * u, s, vh * vh


def _least_squares(a: Any, y: Any) -> Any:
    return np.stack([np.linalg.lstsq(m, v, rcond=None)[0] for m, v in zip(a, y, strict=True)])


CASES: dict[str, Case] = {
    "inv": Case(lambda t, a: t.linalg.inv(a), np.linalg.inv, (SQUARE,)),
    "inverse": Case(lambda t, a: t.inverse(a), np.linalg.inv, (SQUARE[0],)),
    "solve": Case(lambda t, a, y: t.linalg.solve(a, y), np.linalg.solve, (SQUARE, SIDE)),
    "solve by one matrix": Case(lambda t, a, y: t.linalg.solve(a, y), np.linalg.solve, (SQUARE[0], SIDE)),
    "solve for vectors": Case(lambda t, a, y: t.linalg.solve(a, y), lambda a, y: np.linalg.solve(a, y[..., None])[..., 0],
                              (SQUARE, SIDE[..., 0])),
    "solve from the right": Case(lambda t, a, y: t.linalg.solve(a, y, left=False), lambda a, y: y @ np.linalg.inv(a),
                                 (SQUARE, ROWS)),
    "upper": Case(lambda t, a, y: t.linalg.solve_triangular(a, y, upper=True), lambda a, y: np.linalg.solve(np.triu(a), y),
                  (SQUARE + 3 * ONE, SIDE)),
    "lower with ones": Case(lambda t, a, y: t.linalg.solve_triangular(a, y, upper=False, unitriangular=True),
                            lambda a, y: np.linalg.solve(np.tril(a, -1) + ONE, y), (SQUARE, SIDE)),
    "lower from the right": Case(lambda t, a, y: t.linalg.solve_triangular(a, y, upper=False, left=False),
                                 lambda a, y: y @ np.linalg.inv(np.tril(a)), (SQUARE + 3 * ONE, ROWS)),
    "cholesky": Case(lambda t, a: t.linalg.cholesky(positive(a)), lambda a: np.linalg.cholesky(positive(a)), (SQUARE,)),
    "cholesky, upper": Case(lambda t, a: t.linalg.cholesky(positive(a), upper=True),
                            lambda a: turned(np.linalg.cholesky(positive(a))), (SQUARE[0],)),
    "cholesky_solve": Case(lambda t, a, y: t.cholesky_solve(y, t.linalg.cholesky(positive(a))),
                           lambda a, y: np.linalg.solve(positive(a), y), (SQUARE, SIDE)),
    "cholesky_inverse": Case(lambda t, a: t.cholesky_inverse(t.linalg.cholesky(positive(a))),
                             lambda a: np.linalg.inv(positive(a)), (SQUARE[0],)),
    "a negative power": Case(lambda t, a: t.linalg.matrix_power(a, -3), lambda a: np.linalg.matrix_power(a, -3), (SQUARE,)),
    "det": Case(lambda t, a: t.linalg.det(a), np.linalg.det, (SQUARE,)),
    "det of one": Case(lambda t, a: a.det(), np.linalg.det, (SQUARE[1],)),
    "slogdet": Case(lambda t, a: t.linalg.slogdet(a).logabsdet, lambda a: np.linalg.slogdet(a)[1], (SQUARE,)),
    "sign and log": Case(lambda t, a: t.slogdet(a)[1], lambda a: np.linalg.slogdet(a)[1], (SQUARE[0],)),
    "logdet": Case(lambda t, a: t.logdet(positive(a)), lambda a: np.linalg.slogdet(positive(a))[1], (SQUARE,)),
    "qr": Case(lambda t, a: tuple(t.linalg.qr(a)), lambda a: tuple(np.linalg.qr(a)), (TALL,)),
    "qr of a wide one": Case(lambda t, a: tuple(t.linalg.qr(a)), lambda a: tuple(np.linalg.qr(a)), (WIDE,)),
    "qr of a square one": Case(lambda t, a: t.linalg.qr(a).R, lambda a: np.linalg.qr(a)[1], (SQUARE[0],)),
    "eigh": Case(lambda t, a: _squared(*t.linalg.eigh(symmetric(a))), lambda a: _squared(*np.linalg.eigh(symmetric(a))),
                 (SQUARE,)),
    "eigvalsh": Case(lambda t, a: t.linalg.eigvalsh(symmetric(a), UPLO="U"), lambda a: np.linalg.eigvalsh(symmetric(a)),
                     (SQUARE,)),
    "svd": Case(lambda t, a: _parts(*t.linalg.svd(a, full_matrices=False)),
                lambda a: _parts(*np.linalg.svd(a, full_matrices=False)), (TALL,)),
    "svd of a wide one": Case(lambda t, a: _parts(*t.linalg.svd(a, full_matrices=False)),
                              lambda a: _parts(*np.linalg.svd(a, full_matrices=False)), (WIDE,)),
    "svdvals": Case(lambda t, a: t.linalg.svdvals(a), lambda a: np.linalg.svd(a, compute_uv=False), (TALL,)),
    "pinv": Case(lambda t, a: t.linalg.pinv(a), np.linalg.pinv, (TALL,)),
    "pinverse": Case(lambda t, a: t.pinverse(a), np.linalg.pinv, (TALL,)),
    "matrix_rank": Case(lambda t, a: t.linalg.matrix_rank(a) + 0 * (a * a).sum(),
                        lambda a: np.linalg.matrix_rank(a) + 0 * a.sum(), (TALL,)),
    "lstsq": Case(lambda t, a, y: t.linalg.lstsq(a, y).solution, _least_squares, (TALL, DRAW.standard_normal((2, 5, 2)))),
    "lstsq of a wide one": Case(lambda t, a, y: t.linalg.lstsq(a, y).solution, _least_squares,
                                (WIDE, DRAW.standard_normal((2, 3, 2)))),
    "the 2-norm": Case(lambda t, a: t.linalg.matrix_norm(a, 2), lambda a: np.linalg.norm(a, 2, (-2, -1)), (TALL,)),
    "the nuclear norm": Case(lambda t, a: t.linalg.matrix_norm(a, "nuc", keepdim=True),
                             lambda a: np.linalg.norm(a, "nuc", (-2, -1), keepdims=True), (TALL,)),
    "the least gain": Case(lambda t, a: t.linalg.norm(a, -2, dim=(0, 2)), lambda a: np.linalg.norm(a, -2, (0, 2)), (TALL,)),
    "cond": Case(lambda t, a: t.linalg.cond(a), np.linalg.cond, (SQUARE,)),
    "cond in another norm": Case(lambda t, a: t.linalg.cond(a, "fro"), lambda a: np.linalg.cond(a, "fro"), (SQUARE,)),
}  # fmt: skip


def listed(made: Any) -> list[Any]:
    return list(made) if isinstance(made, tuple) else [made]


def called() -> set[str]:
    """The names of the functions that the cases call, as ``linalg.inv`` or ``det``."""
    found = {"linalg.LinAlgError"}  # `test_linalg.test_what_is_refused`
    for case in CASES.values():
        names = ["", *(i.argval for i in dis.get_instructions(case.call) if i.opname in ("LOAD_ATTR", "LOAD_METHOD"))]
        found |= {f"linalg.{name}" if before == "linalg" else name for before, name in pairwise(names)}
    return found
