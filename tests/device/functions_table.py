"""Functions that are made of ops: how to call each, and NumPy's answer in float64: what `test_functions` is made from.

A row is ``C(name, reference, *args, **kwargs)``: the reference is called with the same arguments, arrays for operands.
``X(3, 4)`` is a float operand of distinct values, ``F(…)`` one of these floats, ``N(…)`` of these integers, ``M(…)`` of these
truth values. ``grad=False`` where PyTorch has no gradient either.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import functions_numpy as ref
import numpy as np


@dataclass(frozen=True)
class Given:
    """An operand: its values in float64, int64 or bool. A float operand is of the dtype under test."""

    values: Any

    @property
    def is_float(self) -> bool:
        return bool(self.values.dtype.kind == "f")


@dataclass(frozen=True)
class Row:
    """One call of the public function ``name`` (with its namespace below the library's, where that is not the library)."""

    name: str
    reference: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    grad: bool = True

    def __str__(self) -> str:
        named = [f"{k}={','.join(map(_shown, flat([v])))}" for k, v in self.kwargs.items()]
        return "-".join([self.name, *map(_shown, flat(self.args)), *named]).replace(" ", "")


def _shown(item: Any) -> str:
    return "x".join(map(str, item.values.shape)) if isinstance(item, Given) else str(item)


def flat(items: Any) -> list[Any]:
    """The items of nested tuples and lists."""
    found: list[Any] = []
    for item in items:
        found += flat(item) if isinstance(item, tuple | list) else [item]
    return found


_seeds = itertools.count()


def X(*shape: int, low: float = -2.0, high: float = 2.0) -> Given:
    """Distinct floats, exact in float32, in no order."""
    rng, n = np.random.default_rng(next(_seeds)), int(np.prod(shape))
    values = low + (rng.permutation(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1) * (high - low)
    return Given(values.astype(np.float32).astype(np.float64).reshape(shape))


def F(values: Any) -> Given:
    """These floats."""
    return Given(np.array(values, np.float64))


def N(values: Any) -> Given:
    """These integers."""
    return Given(np.array(values, np.int64))


def M(values: Any) -> Given:
    """These truth values."""
    return Given(np.array(values, np.bool_))


def C(name: str, reference: Callable[..., Any], *args: Any, grad: bool = True, **kwargs: Any) -> Row:
    """A row."""
    return Row(name, reference, args, kwargs, grad)


NAN = float("nan")
HOLES = [[1.5, NAN, 0.5, -1.0], [NAN, NAN, 2.0, 0.25], [3.0, 1.0, -2.0, 0.75]]
EDGES = [NAN, np.inf, -np.inf, np.inf, 0.0, 1.0, 1.0]
OTHERS = [NAN, np.inf, np.inf, 1.0, 1e-9, np.inf, 1.0 + 2**-17]
TIES = [[1, 2, 2, 3, 1], [5, 4, 5, 4, 0], [7, 7, 7, 1, 2]]


ROWS: list[Row] = [
    # ---- elements --------------------------------------------------------------------------------
    C("rsub", ref.rsub, X(3, 1), X(4), alpha=0.5),
    C("rsub", ref.rsub, X(3), 2),
    C("rsub", ref.rsub, N([1, 5]), N([3, 3]), alpha=2, grad=False),
    C("clamp_min", np.maximum, X(3, 4), 0.25),
    C("clamp_min", np.maximum, X(3, 4), X(4)),
    C("clamp_max", np.minimum, X(3, 4), 0.25),
    C("clamp_max", np.minimum, N([1, 5]), 2, grad=False),
    *(C("isclose", ref.isclose, F(EDGES), F(OTHERS), equal_nan=same, grad=False) for same in (False, True)),
    C("isclose", ref.isclose, F([[1.0], [2.0]]), F([1.5, 1.75, 2.25]), rtol=0.0, atol=0.5, grad=False),
    C("isclose", ref.isclose, F([3.0, 3.0]), F([4.0, 2.0]), rtol=0.25, atol=0.0, grad=False),
    C("isclose", ref.isclose, N([100_000_000, 5]), N([100_000_001, 6]), grad=False),
    C("isclose", ref.isclose, N([1, 2]), N([1, 3]), rtol=0.0, atol=0.0, grad=False),
    C("isclose", ref.isclose, M([True, True]), M([True, False]), grad=False),
    # ---- sums and differences, continued ---------------------------------------------------------
    C("diff", ref.diff, X(5)),
    C("diff", ref.diff, X(3, 4), n=2, dim=0),
    C("diff", ref.diff, X(3, 4), prepend=X(3, 1), append=X(3, 2)),
    C("diff", ref.diff, N([3, 1, 4]), grad=False),
    C("diff", lambda x: x[1:] ^ x[:-1], M([True, True, False]), grad=False),
    C("diff", ref.diff, X(0)),
    C("diff", lambda x, n: x[:0], X(2), n=3),
    C("trace", np.trace, X(3, 4)),
    C("trace", np.trace, X(0, 3)),
    C("trace", np.trace, N([[1, 2], [3, 4]]), grad=False),
    C("nansum", ref.along(np.nansum), F(HOLES)),
    C("nansum", ref.along(np.nansum), F(HOLES), dim=1, keepdim=True),
    C("nansum", ref.along(np.nansum), X(0, 3), dim=0),
    C("nansum", ref.along(np.nansum), N([1, 2]), grad=False),
    C("nanmean", ref.along(np.nanmean), F(HOLES)),
    C("nanmean", ref.along(np.nanmean), F(HOLES), dim=0),
    C("aminmax", ref.pairs(np.min, np.max), X(3, 4)),
    C("aminmax", ref.along(ref.pairs(np.min, np.max)), X(3, 4), dim=1, keepdim=True),
    C("var_mean", ref.pairs(ref.along(np.var, ddof=1), np.mean), X(3, 4)),
    C("var_mean", ref.pairs(ref.along(np.var, ddof=1), ref.along(np.mean)), X(3, 4), dim=0, keepdim=True),
    C("std_mean", ref.pairs(ref.along(np.std, ddof=1), ref.along(np.mean)), X(3, 4), dim=1),
    C("logcumsumexp", ref.logcumsumexp, X(3, 4), 1),
    C("logcumsumexp", ref.logcumsumexp, X(3, 0), 0),
    C("histc", ref.histc, X(40), 7, grad=False),
    C("histc", ref.histc, X(5, 8), bins=4, min=-1, max=1, grad=False),
    C("histc", lambda x, bins: np.zeros(bins), X(0), 3, grad=False),
    C("cov", ref.cov, X(3, 5)),
    C("cov", ref.cov, X(5)),
    C("cov", ref.cov, X(3, 5), correction=0),
    C("cov", ref.cov, X(2, 4), fweights=N([1, 2, 3, 1])),
    C("cov", ref.cov, X(2, 4), fweights=N([2, 1, 1, 1]), aweights=F([0.5, 1, 1.5, 2])),
    C("corrcoef", np.corrcoef, X(3, 6)),
    C("corrcoef", np.corrcoef, X(6)),
    C("trapezoid", ref.trapezoid, X(3, 4)),
    C("trapezoid", ref.trapezoid, X(3, 4), dx=0.5, dim=0),
    C("trapezoid", ref.trapezoid, X(3, 4), X(4)),
    C("trapezoid", ref.trapezoid, X(3, 0)),
    C("cumulative_trapezoid", ref.cumulative, X(3, 4)),
    C("cumulative_trapezoid", ref.cumulative, X(5), X(5), dim=0),
    # ---- order -----------------------------------------------------------------------------------
    C("median", lambda x: np.sort(x.reshape(-1))[5], X(3, 4)),
    C("median", ref.median, X(3, 4), dim=1),
    C("median", ref.median, X(2, 3, 4), dim=0, keepdim=True),
    C("median", ref.median, F(HOLES), dim=1),
    C("median", lambda x: x, X()),
    C("median", ref.median, N(TIES[:1]), dim=0, grad=False),
    C("nanmedian", ref.nanmedian, F(HOLES)),
    C("nanmedian", lambda x, dim: (F([0.5, 0.25, 0.75]).values, np.array([2, 3, 3])), F(HOLES), dim=1),
    C("kthvalue", ref.kth, X(3, 5), 2),
    C("kthvalue", ref.kth, X(3, 5), 3, dim=0, keepdim=True),
    C("kthvalue", ref.kth, N([4, 9, 2]), 1, grad=False),
    C("mode", ref.mode, F(TIES), grad=False),
    C("mode", ref.mode, X(3, 4)),
    C("mode", ref.mode, N(TIES), dim=0, grad=False),
    *(
        C("quantile", ref.quantile(np.quantile), X(3, 5), 0.3, dim=1, interpolation=how)
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    ),
    C("quantile", ref.quantile(np.quantile), X(3, 5), F([0.0, 0.25, 0.9])),
    C("quantile", ref.quantile(np.quantile), X(6), 1.0, keepdim=True),
    C("quantile", ref.quantile(np.quantile), X(2, 3, 4), F([0.5, 0.2]), dim=1, keepdim=True),
    C("quantile", ref.quantile(np.quantile), F(HOLES), 0.4, dim=1),
    C("nanquantile", ref.quantile(np.nanquantile), F(HOLES), F([0.4, 0.7]), dim=1),
    C("nanquantile", ref.quantile(np.nanquantile), F(HOLES), 0.5),
    C("msort", lambda x: np.sort(x, axis=0), X(4, 3)),
    C("msort", lambda x: np.sort(x, axis=0), X(0, 3)),
    C("unique_consecutive", ref.runs, N([1, 1, 2, 2, 2, 1, 3]), return_inverse=True, return_counts=True, grad=False),
    C(
        "unique_consecutive",
        ref.runs,
        N([[1, 1, 2], [1, 1, 2], [0, 1, 2]]),
        return_inverse=True,
        return_counts=True,
        dim=0,
        grad=False,
    ),
    C(
        "unique_consecutive",
        ref.runs,
        N([[1, 1, 2], [1, 1, 2], [0, 0, 2]]),
        return_inverse=True,
        return_counts=True,
        dim=1,
        grad=False,
    ),
    C("unique_consecutive", ref.runs, N([]), return_inverse=True, return_counts=True, grad=False),
    C("bucketize", ref.bucketize, X(3, 4), F([-1.0, 0.0, 1.0]), grad=False),
    C("bucketize", ref.bucketize, N([[1, 5], [3, 9]]), N([1, 3, 5]), right=True, out_int32=True, grad=False),
    C("isin", ref.isin, N([[1, 2], [3, 4]]), N([4, 2, 9]), grad=False),
    C("isin", ref.isin, X(3, 4), F([0.5]), invert=True, grad=False),
    C("isin", ref.isin, N([1, 2, 3]), 2, grad=False),
    C("isin", ref.isin, N([1, 2]), N([]), grad=False),
    C("isin", ref.isin, N([]), N([1]), grad=False),
    # ---- products --------------------------------------------------------------------------------
    C("tensordot", np.tensordot, X(2, 3, 4), X(3, 4, 2)),
    C("tensordot", ref.tensordot, X(2, 3, 4), X(4, 2, 5), dims=([0, 2], [1, 0])),
    C("tensordot", ref.tensordot, X(2), X(3), dims=0),
    C("tensordot", ref.tensordot, X(2, 0), X(0, 3), dims=1),
    C("inner", np.inner, X(3), X(3)),
    C("inner", np.inner, X(2, 3), X(4, 3)),
    C("inner", np.inner, X(), X(2, 3)),
    C("vdot", np.vdot, X(4), X(4)),
    C("mv", np.matmul, X(3, 4), X(4)),
    C("mv", np.matmul, X(2, 0), X(0)),
    C("ger", np.outer, X(3), X(4)),
    C("ger", np.outer, X(0), X(4)),
    C("addr", ref.added(np.outer), X(3, 4), X(3), X(4), beta=0.5, alpha=2),
    C("addmv", ref.added(np.matmul), X(3), X(3, 4), X(4), beta=0.5, alpha=2),
    C("addbmm", ref.added(lambda a, b: (a @ b).sum(0)), X(3, 2), X(5, 3, 4), X(5, 4, 2), alpha=0.5),
    C("baddbmm", ref.added(np.matmul), X(5, 3, 2), X(5, 3, 4), X(5, 4, 2), beta=2, alpha=0.5),
    C("baddbmm", lambda x, a, b, beta: a @ b, F([[[NAN]]]), X(1, 1, 2), X(1, 2, 1), beta=0, grad=False),
    C("kron", np.kron, X(2, 3), X(3, 2)),
    C("kron", np.kron, X(3), X(2, 2)),
    C("kron", np.kron, X(), X(2)),
    C("cross", ref.along(np.cross), X(4, 3), X(4, 3), dim=1),
    C("linalg.cross", np.cross, X(2, 4, 3), X(1, 4, 3)),
    C("matrix_power", np.linalg.matrix_power, X(3, 3), 5),
    C("matrix_power", np.linalg.matrix_power, X(2, 3, 3), 2),
    C("matrix_power", np.linalg.matrix_power, X(3, 3), 0, grad=False),
    C("matrix_power", np.linalg.matrix_power, X(3, 3), 1),
    C("linalg.matrix_power", np.linalg.matrix_power, X(3, 3), 4),
    C("linalg.multi_dot", np.linalg.multi_dot, [X(3, 5), X(5, 2), X(2, 6), X(6, 4)]),
    C("linalg.multi_dot", np.linalg.multi_dot, [X(5), X(5, 2), X(2)]),
    C("linalg.vecdot", lambda x, y, dim=-1: (x * y).sum(dim), X(3, 4), X(3, 4)),
    C("linalg.vecdot", lambda x, y, dim: (x * y).sum(dim), X(3, 4), X(3, 4), dim=0),
    C("linalg.matmul", np.matmul, X(2, 3, 4), X(4, 2)),
    C("linalg.diagonal", lambda x, offset: np.diagonal(x, offset, -2, -1), X(2, 3, 4), offset=1),
    C("linalg.vander", lambda x, N: np.vander(x, N, increasing=True), X(4), N=3),
    # ---- norms and distances ---------------------------------------------------------------------
    *(
        C("linalg.vector_norm", ref.along(lambda x, p: np.linalg.norm(x.reshape(-1), p)), X(3, 4), p)
        for p in (0.5, 1, 2, 3, np.inf, -np.inf)
    ),
    C("linalg.vector_norm", ref.matrix_norm, X(3, 4), 1, dim=1, keepdim=True),
    *(
        C("linalg.matrix_norm", ref.matrix_norm, X(2, 3, 4), p, keepdim=keepdim)
        for p in ("fro", 1, -1, np.inf, -np.inf)
        for keepdim in (False, True)
    ),
    C("linalg.matrix_norm", ref.matrix_norm, X(2, 3, 4), 1, dim=(2, 0)),
    C("linalg.norm", np.linalg.norm, X(3, 4)),
    C("linalg.norm", np.linalg.norm, X(3, 4), 1),
    C("linalg.norm", np.linalg.norm, X(5), 3),
    C("linalg.norm", ref.matrix_norm, X(3, 4), np.inf, dim=0),
    C("dist", ref.distance_of, X(3, 4), X(3, 4)),
    C("dist", ref.distance_of, X(3, 4), X(4), 1),
    *(C("cdist", ref.cdist, X(2, 3, 4), X(2, 5, 4), p=p) for p in (1.0, 2.0, 3.0, np.inf)),
    C("cdist", ref.cdist, X(30, 3), X(4, 3)),
    C("cdist", lambda x, y: np.zeros((0, 4)), X(0, 3), X(4, 3)),
    C("cdist", lambda x, y: np.zeros((2, 4)), X(2, 0), X(4, 0)),
    C("renorm", ref.renorm, X(3, 4), 2, 0, 1.5),
    C("renorm", ref.renorm, X(2, 3, 4), 1, 2, 3.0),
]
