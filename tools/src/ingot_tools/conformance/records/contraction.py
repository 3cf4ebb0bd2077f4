"""Contractions: matrix products and einsum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import FLOAT, INT, Record, S, V, function, functional

NUMBER = INT + FLOAT


def C(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: function and method of one name; error counted at the size of the terms."""
    options.setdefault("method", name)
    options.setdefault("call", function(name))
    options.setdefault("ulp", 8)
    options.setdefault("scale", "terms")
    call = options.pop("call")
    return Record(name, call, reference, group="contraction", **options)


def addmm(x: Any, a: Any, b: Any, beta: float = 1, alpha: float = 1) -> Any:
    return beta * x + alpha * (a @ b)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    product = x @ np.swapaxes(weight, -1, -2) if weight.ndim > 1 else x @ weight
    return product if bias is None else product + bias


def einsum(equation: str, *operands: Any) -> Any:
    return np.einsum(equation, *operands)


MATMULS = (
    S(V(3, 4), V(4, 2)), S(V(4), V(4)), S(V(3, 4), V(4)), S(V(4), V(4, 3)), S(V(2, 3, 4), V(4, 2)),
    S(V(2, 3, 2), V(2, 2, 3)), S(V(2, 1, 2, 3), V(3, 3, 2)), S(V(2, 3), V(2, 3, 2)),
    S(V(3), V(2, 3, 2)),
    S(V(2, 3, 2), V(2)), S(V(0, 3), V(3, 2)), S(V(3, 0), V(0, 2)), S(V(1, 1), V(1, 1)),
    S(V(67, 130), V(130, 33), big=True), S(V(3, 40, 17), V(3, 17, 65), big=True),
    S(V(300), V(300), big=True), S(V(65, 67), V(67, 66), tile=True),
)  # fmt: skip
EINSUMS = (
    S("ij,jk->ik", V(3, 4), V(4, 2)), S("ij->ji", V(3, 4)), S("ij->", V(3, 4)), S("ii->i", V(3, 3)),
    S("ii", V(3, 3)), S("bij,bjk->bik", V(2, 2, 3), V(2, 3, 2)), S("i,j->ij", V(3), V(4)),
    S("...ij,...jk", V(2, 2, 3), V(3, 2)), S("ij,ij->i", V(3, 4), V(3, 4)),
          S("bi,oi,bo->b", V(2, 3), V(2, 3), V(2, 2)),
    S("ij,jk->ik", V(0, 4), V(4, 2)), S("i,->i", V(3), V()),
    S("ij,jk->ik", V(65, 67), V(67, 66), tile=True),
)  # fmt: skip
NO_SCALAR = "matrices and vectors only"

# fmt: off
RECORDS = (
    C("matmul", np.matmul, dtypes=NUMBER, samples=MATMULS, no_zero_dim=NO_SCALAR),
    C("mm", np.matmul, dtypes=NUMBER, no_zero_dim=NO_SCALAR, samples=(
        S(V(3, 4), V(4, 2)), S(V(1, 4), V(4, 1)), S(V(0, 4), V(4, 2)), S(V(2, 0), V(0, 3)),
        S(V(129, 64), V(64, 70), big=True), S(V(65, 67), V(67, 66), tile=True))),
    C("bmm", np.matmul, dtypes=NUMBER, no_zero_dim=NO_SCALAR, samples=(
        S(V(2, 3, 2), V(2, 2, 3)), S(V(0, 3, 2), V(0, 2, 3)), S(V(2, 3, 0), V(2, 0, 2)),
        S(V(5, 33, 17), V(5, 17, 20), big=True), S(V(1, 65, 67), V(1, 67, 66), tile=True))),
    C("addmm", addmm, no_zero_dim=NO_SCALAR, inplace="addmm_", samples=(
        S(V(3, 2), V(3, 4), V(4, 2)), S(V(2), V(3, 4), V(4, 2)),
        S(V(3, 2), V(3, 4), V(4, 2), beta=0.5, alpha=2.0), S(V(2), V(0, 4), V(4, 2)),
        S(V(70), V(65, 64), V(64, 70), big=True), S(V(66), V(65, 67), V(67, 66), tile=True))),
    C("linear", linear, call=functional("linear"), method="", no_zero_dim=NO_SCALAR, samples=(
        S(V(3, 4), V(2, 4)), S(V(3, 4), V(2, 4), V(2)), S(V(4), V(2, 4), V(2)),
        S(V(2, 2, 3), V(4, 3), V(4)), S(V(0, 4), V(2, 4), V(2)), S(V(3, 4), V(2, 4), V(3, 2)),
        S(V(64, 64), V(256, 64), V(256), big=True), S(V(33, 64), V(129, 64), V(33, 129), big=True),
        S(V(65, 67), V(66, 67), V(66), tile=True))),
    C("einsum", einsum, samples=EINSUMS, method=""),
    C("outer", np.outer, dtypes=NUMBER, ulp=1, no_zero_dim=NO_SCALAR, samples=(
        S(V(3), V(4)), S(V(0), V(4)), S(V(1), V(1)), S(V(65), V(66), tile=True))),
    C("dot", np.dot, dtypes=NUMBER, no_zero_dim=NO_SCALAR, samples=(
        S(V(5), V(5)), S(V(0), V(0)), S(V(300), V(300), tile=True))),
)
# fmt: on
