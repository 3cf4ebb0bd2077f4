"""The rows of `functions_table` for shapes, positions and choices."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import functions_numpy as ref
import numpy as np
from functions_table import NAN, C, F, M, N, Row, X


def pieces(f: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's splits, which take their places as a list."""
    return lambda x, where_, dim=None: tuple(f(x, where_, **({} if dim is None else {"axis": dim})))


def rot90(x: Any, k: int, dims: Any) -> Any:
    return np.rot90(x, k, dims)


def split_with_sizes(x: Any, sizes: Any, dim: int) -> Any:
    return tuple(np.split(x, np.cumsum(sizes)[:-1], dim))


def masked(x: Any, mask: Any, source: Any) -> None:
    x[mask] = source.reshape(-1)[: mask.sum()]


def block_diag(*blocks: Any) -> Any:
    blocks = tuple(np.atleast_2d(b) for b in blocks)
    made = np.zeros(np.sum([b.shape for b in blocks], axis=0))
    row = column = 0
    for b in blocks:
        made[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return made


def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n, at = x.shape[-1] + abs(offset), np.arange(x.shape[-1])
    made = np.zeros((*x.shape[:-1], n, n))
    made[..., at + max(-offset, 0), at + max(offset, 0)] = x
    return np.moveaxis(made, (-2, -1), (dim1, dim2))


def product(*vectors: Any) -> Any:
    return np.array(list(itertools.product(*vectors)))


def choices(x: Any, r: int = 2, with_replacement: bool = False) -> Any:
    each = itertools.combinations_with_replacement(x, r) if with_replacement else itertools.combinations(x, r)
    return np.array(list(each)).reshape(-1, r)


def triangle(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda row, col, offset=0: np.stack(f(row, offset, col))


def written(write: Callable[..., None]) -> Callable[..., Any]:
    """A copy of the first operand that was written to."""

    def reference(x: Any, *args: Any, **kwargs: Any) -> Any:
        made = x.copy()
        write(made, *args, **kwargs)
        return made

    return reference


def slices(x: Any, dim: int, index: Any, values: Any) -> None:
    np.moveaxis(x, dim, 0)[index] = values if np.ndim(values) == 0 else np.moveaxis(values, dim, 0)


def scatter_reduce(x: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool = True) -> Any:
    found: dict[Any, list[Any]] = {}
    for at in np.ndindex(*index.shape):
        found.setdefault((*at[:dim], index[at], *at[dim + 1 :]), []).append(src[at])
    rules: dict[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min}
    made, rule = x.copy(), rules[reduce]
    for place, several in found.items():
        made[place] = rule([x[place], *several] if include_self else several)
    return made


def select(x: Any, src: Any, dim: int, index: int) -> None:
    np.moveaxis(x, dim, 0)[index] = src


def sliced(x: Any, src: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> None:
    np.moveaxis(x, dim, 0)[start:end:step] = np.moveaxis(src, dim, 0)


def on_diagonal(x: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> None:
    part = np.diagonal(x, offset, dim1, dim2)
    part.flags.writeable = True
    part[...] = src


PLACES = N([[0, 1, 2, 0], [2, 0, 0, 1], [0, 0, 2, 1]])
ROWS: list[Row] = [
    # ---- turning, stacking, splitting ------------------------------------------------------------
    C("t", np.transpose, X(2, 3)),
    C("t", np.transpose, X(3)),
    C("movedim", np.moveaxis, X(2, 3, 4), (0, 1), (-1, 0)),
    C("broadcast_to", np.broadcast_to, X(3, 1), (2, 3, 4)),
    C("broadcast_tensors", np.broadcast_arrays, X(3, 1), X(4), X()),
    C("ravel", np.ravel, X(2, 3)),
    C("hstack", np.hstack, (X(2, 1), X(2, 3))),
    C("hstack", np.hstack, [X(2), X(), X(3)]),
    C("vstack", np.vstack, (X(3), X(2, 3))),
    C("repeat_interleave", np.repeat, X(2, 3), 2),
    C("repeat_interleave", ref.along(np.repeat), X(2, 3), N([1, 0, 2]), dim=1),
    C("repeat_interleave", np.repeat, X(3), N([2, 0, 1])),
    C("repeat_interleave", np.repeat, X(2, 2), N([2])),
    C("repeat_interleave", lambda x, n, dim, output_size: np.repeat(x, n, dim), X(2, 3), N([1, 3]), dim=0, output_size=4),
    C("meshgrid", np.meshgrid, X(2), X(3), indexing="ij"),
    C("meshgrid", np.meshgrid, X(2), X(3), X(1), indexing="xy"),
    C("meshgrid", np.meshgrid, X(2), X(0), indexing="xy"),
    C("fliplr", np.fliplr, X(2, 3)),
    C("flipud", np.flipud, X(3)),
    C("flipud", np.flipud, X(0, 3)),
    *(C("rot90", rot90, X(2, 3, 4), k, dims=[1, 2]) for k in range(-1, 5)),
    C("moveaxis", np.moveaxis, X(2, 3, 4), 0, -1),
    C("adjoint", lambda x: x.swapaxes(-1, -2), X(2, 3, 4)),
    C("atleast_1d", np.atleast_1d, X()),
    C("atleast_2d", np.atleast_2d, X(3), X()),
    C("atleast_3d", np.atleast_3d, X(), X(3), X(2, 3), X(0)),
    C("column_stack", np.column_stack, (X(3), X(3, 2))),
    C("row_stack", np.vstack, (X(3), X(2, 3))),
    C("dstack", np.dstack, (X(2, 3), X(2, 3))),
    C("dstack", np.dstack, [X(3), X(3)]),
    C("block_diag", block_diag, X(2, 3), X(), X(2), X(1, 0)),
    C("block_diag", block_diag, X(2, 2)),
    C("tensor_split", pieces(np.array_split), X(7), 3),
    C("tensor_split", pieces(np.array_split), X(3, 5), [1, 3], dim=1),
    C("tensor_split", pieces(np.array_split), X(5), [3, 1, 9]),
    C("hsplit", pieces(np.hsplit), X(2, 4), 2),
    C("hsplit", pieces(np.hsplit), X(4), [1]),
    C("vsplit", pieces(np.vsplit), X(4, 2), 2),
    C("dsplit", pieces(np.dsplit), X(2, 2, 4), [1, 3]),
    C("split_with_sizes", split_with_sizes, X(3, 5), [2, 0, 3], dim=1),
    # ---- diagonals, triangles, choices -----------------------------------------------------------
    C("diag_embed", diag_embed, X(2, 3)),
    C("diag_embed", diag_embed, X(2, 3), offset=-1, dim1=0, dim2=2),
    C("diag_embed", diag_embed, X(0)),
    C("diag", np.diag, X(3), -1),
    C("diag", np.diag, X(3, 4), 1),
    C("diag", np.diag, X(3, 4), -7),
    C("diagflat", np.diagflat, X(2, 2)),
    C("diagflat", np.diagflat, X(3), 1),
    *(
        C("tril_indices", triangle(np.tril_indices), *size, grad=False)
        for size in ((3, 4), (4, 2, 1), (3, 3, -2), (2, 3, -5), (0, 2), (5, 2, 7))
    ),
    *(
        C("triu_indices", triangle(np.triu_indices), *size, grad=False)
        for size in ((3, 4), (4, 2, 1), (3, 3, -2), (2, 3, 5), (2, 0))
    ),
    C("cartesian_prod", product, X(2), X(3)),
    C("cartesian_prod", product, X(2), X(1), X(3)),
    C("combinations", choices, X(5)),
    C("combinations", choices, X(4), r=3, with_replacement=True),
    C("combinations", choices, X(4), r=1),
    C("combinations", choices, X(2), r=3),
    C("argwhere", np.argwhere, N([[0, 2], [3, 0]]), grad=False),
    C("argwhere", np.argwhere, N(3), grad=False),
    C("logspace", np.logspace, -1, 2, 5, grad=False),
    C("logspace", np.logspace, 0, 3, 4, base=2.0, grad=False),
    C("vander", np.vander, X(3)),
    C("vander", np.vander, X(3), N=4, increasing=True),
    # ---- positions -------------------------------------------------------------------------------
    C("take", np.take, X(3, 4), N([[0, -1], [5, 5]])),
    C("take", np.take, X(3), N([])),
    C("index_copy", written(slices), X(3, 4), 1, N([3, 0]), X(3, 2)),
    C("index_copy", written(slices), X(3, 4), 0, N([]), X(0, 4)),
    C("index_fill", written(slices), X(3, 4), 1, N([3, 0]), 2.5),
    C("index_fill", written(slices), X(3, 4), -2, N([1]), F(0.5)),
    *(
        C("scatter_reduce", scatter_reduce, X(3, 4), dim, PLACES, X(3, 4), reduce, include_self=own)
        for reduce in ("sum", "mean", "amax", "amin")
        for dim in (0, 1)
        for own in (True, False)
    ),
    C("scatter_reduce", scatter_reduce, N([5, 3, 1]), 0, N([0, 2, 0]), N([9, -4, 2]), "amin", grad=False),
    C("scatter_reduce", scatter_reduce, F([1.0, 5.0, NAN]), 0, N([0, 1, 0]), F([NAN, 7.0, 2.0]), "amin", grad=False),
    C("masked_scatter", written(masked), X(2, 3), M([[True, False, True], [False, True, False]]), X(4)),
    C("select_scatter", written(select), X(3, 4), X(3), 1, -1),
    C("slice_scatter", written(sliced), X(5, 2), X(2, 2), start=1, end=5, step=2),
    C("slice_scatter", written(sliced), X(3, 4), X(3, 2), dim=1, start=-2),
    C("diagonal_scatter", written(on_diagonal), X(3, 4), X(3), 1),
]
