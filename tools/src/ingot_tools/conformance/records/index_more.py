"""Indexing: what counts, searches and adds at positions that are data."""

from __future__ import annotations

from typing import Any

import numpy as np

from .index import ABOVE, AXIS, BELOW, NONE, NUMBER, ROWS, X, put_array
from .record import BOOL, Domain, S, V, ix


def index_add(x: Any, dim: int, index: Any, source: Any, alpha: float = 1) -> Any:
    lines = np.moveaxis(x.copy(), dim, 0)
    np.add.at(lines, index, alpha * np.moveaxis(source, dim, 0))
    return np.moveaxis(lines, 0, dim)


def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    if not accumulate:
        return put_array(x, indices, values)
    x = x.copy()
    np.add.at(x, indices, values)
    return x


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    return np.bincount(x, weights, minlength)


def searchsorted(line: Any, x: Any, right: bool = False) -> Any:
    return np.searchsorted(line, x, "right" if right else "left")


def fill_diagonal(t: Any, x: Any, value: Any) -> Any:
    return x.clone().fill_diagonal_(value)


def filled_diagonal(x: Any, value: Any) -> Any:
    return np.where(np.eye(*x.shape, dtype=np.bool_), value, x)


LINE = V(5, values=[1, 2, 2, 4, 6])
ASKED = [3, 0, 2, 7, 1, 6, 4, 5]  # each element of LINE, what lies between, and what is below and above all
# fmt: off
RECORDS = (
    X("index_add", index_add, inplace="index_add_", ulp=2, scale=4.0, dtypes=NUMBER, samples=(
        S(V(3, 4), 0, ix([2, 0, 2], (3,)), V(3, 4)),
        S(V(3, 4), -1, ix([1], (1,)), V(3, 1), alpha=2),
        S(V(0, 3), 1, ix([1], (1,)), V(0, 1)), S(V(4), 0, ROWS, V(4))), no_zero_dim=AXIS, beyond=(
        S(V(3, 4), 0, ABOVE, V(9, 4)), S(V(3, 4), 0, BELOW, V(9, 4)), S(V(4, 3), -1, ABOVE, V(4, 9)))),
    X("index_put", index_put, inplace="index_put_", ulp=2, scale=4.0, samples=(
        S(V(3, 4), (ix([2, 0], (2,)),), V(2, 4)),
        S(V(3, 4), (ROWS,), V(4), accumulate=True, but=BOOL),
        S(V(3, 4), (ix([1, 1], (2,)), ix([3, 3], (2,))), V(2), accumulate=True, but=BOOL),
        S(V(3, 4), (NONE,), V(0, 4))), no_zero_dim=AXIS, beyond=(
        S(V(3, 4), (ABOVE,), V(9, 4)), S(V(3, 4), (BELOW,), V(9, 4)))),
    X("fill_diagonal", filled_diagonal, call=fill_diagonal, method="", samples=(
        S(V(3, 4), 1), S(V(4, 3), 1)), no_empty="a matrix with elements", no_zero_dim="a matrix"),
    X("bincount", bincount, dtypes=("int64", "int32", "uint8"), result="int64", grad=False,
      domain=Domain(ints=(0, 5)), nonfinite="integers only", no_zero_dim="a vector", samples=(
        S(V(9)), S(V(9), minlength=8), S(V(0)), S(V(0), minlength=3))),
    X("searchsorted", searchsorted, method="", dtypes=NUMBER, result="int64", grad=False,
      nonfinite="the line is sorted", samples=(
        S(LINE, V(8, values=ASKED)), S(LINE, V(8, values=ASKED), right=True), S(LINE, V(2, 4, values=[ASKED[:4], ASKED[4:]])),
        S(V(8, values=range(8)), V(9, values=[*range(9)])), S(V(4, values=[1, 1, 3, 3]), V(8, values=ASKED), right=True),
        S(V(2, values=[0, 1]), V(values=1)), S(V(2, values=[0, 1]), V(0)))),
)
# fmt: on
