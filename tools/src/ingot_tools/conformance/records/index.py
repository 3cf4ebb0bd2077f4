"""Indexing: reading and writing at positions that are data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import ALL, FLOAT, INT, Domain, Record, S, V, function, functional, ix

NUMBER = INT + FLOAT
ROWS = ix([2, 0, 2, 1], (4,))
PICK = ix([[0, 2, 1], [1, 0, 2]], (2, 3))
MASK = ix(
    [[True, False, True, False], [False, False, True, True], [True, True, False, False]],
    (3, 4),
    "bool",
)
NONE = ix([], (0,))
# beyond an axis of 3: behind the last whole vector, or in the first
ABOVE, BELOW = ix([0, 1, 2, 0, 1, 2, 0, 1, 3], (9,)), ix([-4, 0, 1, 2, 0, 1, 2, 0, 1], (9,))
FULL = ix([[0, 2, 1], [1, 3, 2]], (2, 3))
HIGH, LOW = ix([[1], [3]], (2, 1)), ix([[-4], [0]], (2, 1))
TIES = Domain(-1.0, 1.0, ints=(-1, 2), step=1.0)
ROW_ONLY = ix([True, False, True], (3,), "bool")


def X(name: str, reference: Callable[..., Any], **options: Any) -> Record:
    """A row: function and method of one name, exact."""
    options.setdefault("method", name)
    options.setdefault("call", function(name))
    options.setdefault("dtypes", ALL)
    options.setdefault("ulp", 0)
    call = options.pop("call")
    return Record(name, call, reference, group="index", **options)


def get(t: Any, x: Any, key: Any) -> Any:
    return x[key]


def put(t: Any, x: Any, key: Any, value: Any) -> Any:
    x = x.clone()
    x[key] = value
    return x


def put_array(x: Any, key: Any, value: Any) -> Any:
    x = x.copy()
    x[key] = value
    return x


def gather(x: Any, dim: int, index: Any) -> Any:
    """Only the part of ``x`` that ``index`` spans along the other axes takes part."""
    if x.ndim == 0:
        return x
    keep = tuple(slice(None) if k == dim % x.ndim else slice(n) for k, n in enumerate(index.shape))
    return np.take_along_axis(x[keep], index, dim)


def scatter(x: Any, dim: int, index: Any, source: Any) -> Any:
    return spread(x, dim, index, source, lambda old, new: new)


def scatter_add(x: Any, dim: int, index: Any, source: Any) -> Any:
    return spread(x, dim, index, source, lambda old, new: old + new)


def spread(x: Any, dim: int, index: Any, source: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Each element of ``source`` to where ``index`` says, in index order."""
    x = x.copy()
    for at in np.ndindex(index.shape):
        to = tuple(index[at] if k == dim % x.ndim else n for k, n in enumerate(at))
        x[to] = combine(x[to], source if np.ndim(source) == 0 else source[at])
    return x


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Values and positions, equal values in their order, NaN the largest."""
    order = argsort(x, dim, descending)
    return (x, order) if x.ndim == 0 else (np.take_along_axis(x, order, dim), order)


def argsort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    reverse = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(reverse, dim)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True) -> Any:
    values, order = sort(x, dim, descending=largest)
    if x.ndim == 0:
        return values, order
    return np.take(values, range(k), axis=dim), np.take(order, range(k), axis=dim)


def unique(x: Any, return_inverse: bool = False, return_counts: bool = False) -> Any:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    wanted = (True, return_inverse, return_counts)
    kept = [v for v, w in zip((values, inverse.reshape(x.shape), counts), wanted, strict=True) if w]
    return kept[0] if len(kept) == 1 else tuple(kept)


def unique_call(t: Any, x: Any, **kwargs: Any) -> Any:
    return t.unique(x, **kwargs)


def embedding(index: Any, weight: Any, padding_idx: Any = None) -> Any:
    return weight[index]


def one_hot(index: Any, num_classes: int = -1) -> Any:
    return np.eye(num_classes if num_classes >= 0 else int(index.max()) + 1, dtype=np.int64)[index]


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return np.where(mask, value, x)


def take_along_dim(x: Any, index: Any, dim: int | None = None) -> Any:
    if dim is None:
        return np.take(x.reshape(-1), index.reshape(-1))
    other = list(x.shape)
    other[dim] = index.shape[dim]
    return np.take_along_axis(x, np.broadcast_to(index, np.broadcast_shapes(index.shape, other)), dim)


def everywhere(x: Any) -> Any:
    return np.argwhere(x)


HALF = slice(None)
GETS = (
    S(V(3, 4), 1), S(V(3, 4), (HALF, -1)), S(V(3, 4), slice(1, None)),
    S(V(3, 5), (..., slice(None, None, 2))),
    S(V(3, 4), (None, 1, None)), S(V(2, 3, 4), (..., 0)), S(V(3, 4), ROWS),
    S(V(3, 4), (ROWS, ix([0, 3, 1, 1], (4,)))), S(V(3, 4), (ix([2, 0, 1] * 3, (9,)), ix([0, 3, 1, 1, 2, 0, 3, 2, 3], (9,)))),
    S(V(3, 4), (HALF, ix([[0, -1], [2, 2]], (2, 2)))),
    S(V(2, 3, 4), (ix([1, 0], (2,)), HALF, ix([3, 0], (2,)))),
    S(V(2, 3, 4), (HALF, ix([[2], [0]], (2, 1)), ix([1, 3], (2,)))), S(V(3, 4), MASK),
    S(V(3, 4), ROW_ONLY),
    S(V(3, 4), (ix([0, 2], (2,)), slice(1, 3))), S(V(3, 4), NONE),
    S(V(0, 4), (HALF, ix([1, 1], (2,)))), S(V(), ...), S(V(), None),
    S(V(3, 4), [0, 2]), S(V(3, 4), ix(1, ())), S(V(3, 11), ix([2], (1,))),
    S(V(70, 9), ix(list(range(69, -1, -1)), (70,)), big=True),
)  # fmt: skip
PUTS = (
    S(V(3, 4), 1, 2.0), S(V(3, 4), (HALF, -1), V(3)),
    S(V(3, 5), (..., slice(None, None, 2)), V(3, 3)), S(V(3, 4), slice(1, None), V(4)),
    S(V(3, 4), ix([2, 0], (2,)), V(2, 4)),
    S(V(3, 4), (ix([0, 1, 2], (3,)), ix([0, 3, 1], (3,))), V(3)),
    S(V(3, 4), MASK, 1.0), S(V(3, 4), MASK, V(6)),
    S(V(3, 4), (HALF, ix([0, -1], (2,))), V(3, 2)), S(V(), ..., 2.0),
    S(V(0, 4), (HALF, 1), V(0)), S(V(3, 4), NONE, V(0, 4)),
    S(V(3, 4), (ix([0, 2], (2,)), slice(1, 3)), V(2)),
)  # fmt: skip
GATHERS = (
    S(V(2, 3), 1, PICK), S(V(3, 3), 0, PICK), S(V(2, 3), -1, ix([[2], [0]], (2, 1))),
    S(V(2, 3), 1, ix([], (2, 0))),
    S(V(5), 0, ix([4, 4, 0], (3,))), S(V(), 0, ix(0, ())), S(V(9), 0, ix([8, 0, 3, 3, 1, 7, 2, 4, 8], (9,))),
)  # fmt: skip
SCATTERS = (
    S(V(2, 3), 1, PICK, V(2, 3)), S(V(3, 3), 0, PICK, V(2, 3)),
    S(V(2, 5), -1, ix([[4], [0]], (2, 1)), V(2, 3, grad=False)),
    S(V(2, 3), 1, ix([], (2, 0)), V(2, 0)), S(V(3), 0, ix([1], (1,)), V(4, grad=False)),
    S(V(9), 0, ix([8, 0, 3, 6, 1, 7, 2, 4, 5], (9,)), V(9)),
)  # fmt: skip
KEEP: dict[str, Any] = {"stable": True}
SORTS = (
    S(V(5, values=[3, 1, 4, 0, 2])), S(V(3, 5), **KEEP), S(V(3, 5), dim=0, **KEEP), S(V()),
    S(V(0, 3)), S(V(3, 0)),
    S(V(3, 5), dim=1, descending=True, **KEEP), S(V(9, domain=TIES, grad=False), **KEEP),
    S(V(9, domain=TIES, grad=False), descending=True, **KEEP),
    S(V(1000), big=True, **KEEP), S(V(130, 7), dim=0, big=True, **KEEP),
)  # fmt: skip
DISTINCT = [[3, 10, 4, 0, 12], [7, 1, 9, 2, 5], [8, 14, 6, 11, 13]]
TOPKS = (
    S(V(5, values=DISTINCT[0]), 3), S(V(3, 5, values=DISTINCT), 2, dim=1),
    S(V(3, 5, values=DISTINCT), 2, dim=0, largest=False),
    S(V(3, 5, values=DISTINCT), 5), S(V(0, 3), 2), S(V(3), 0), S(V(), 1),
    S(V(100, values=[37 * k % 101 for k in range(100)]), 10, big=True),
)  # fmt: skip
AXIS = "an axis is needed"

# fmt: off
RECORDS = (
    X("getitem", lambda x, key: x[key], call=get, method="", samples=GETS, beyond=(
        S(V(3, 4), ABOVE), S(V(3, 4), BELOW), S(V(4, 3), (HALF, ABOVE)), S(V(3, 11), ix([3], (1,))),
        S(V(3, 3), (ix([1, 2, 0] * 3, (9,)), ABOVE)))),
    X("setitem", put_array, call=put, method="", samples=PUTS, beyond=(
        S(V(3, 4), ABOVE, 1.0), S(V(3, 4), BELOW, V(1, 4)), S(V(4, 3), (HALF, ABOVE), 1.0), S(V(3, 4), ABOVE, V(1, 4)),
        S(V(4, 3), (HALF, ABOVE), V(1)))),
    X("index_select", lambda x, dim, i: np.take(x, i, axis=dim), no_zero_dim=AXIS, beyond=(
        S(V(3, 4), 0, ABOVE), S(V(3, 4), 0, BELOW), S(V(4, 3), -1, ABOVE)), samples=(
        S(V(3, 4), 0, ROWS), S(V(3, 4), -1, ix([3, 0], (2,))), S(V(3, 4), 0, NONE),
        S(V(0, 4), 1, ix([1], (1,))), S(V(4), 0, ix([2], (1,), "int32")))),
    X("gather", gather, samples=GATHERS, beyond=(
        S(V(2, 3), 1, HIGH), S(V(2, 3), 1, LOW), S(V(3, 2), 0, HIGH), S(V(2, 3), 1, FULL), S(V(3, 3), 0, FULL),
        S(V(3), 0, ABOVE), S(V(3), 0, BELOW), S(V(), 0, ix(1, ())))),
    X("take_along_dim", take_along_dim, no_zero_dim=AXIS, beyond=(
        S(V(2, 3), FULL, 1), S(V(2, 3), LOW, 1), S(V(3), ABOVE, 0), S(V(3, 1), BELOW)), samples=(
        S(V(2, 3), PICK, 1), S(V(2, 3), ix([5, 0], (2,))), S(V(2, 3), ix([[1]], (1, 1)), 0),
        S(V(2, 3), ix([], (2, 0)), 1))),
    X("scatter", scatter, inplace="scatter_", no_zero_dim=AXIS, nonfinite="planted", beyond=(
        S(V(2, 3), 1, HIGH, V(2, 1)), S(V(2, 3), 1, LOW, 3), S(V(3, 2), 0, HIGH, V(2, 1)), S(V(2, 3), 1, FULL, V(2, 3)),
        S(V(3), 0, ABOVE, V(9)), S(V(3), 0, BELOW, V(9))),
      domain=(Domain(), Domain(), Domain(0.0, 2.0, ints=(0, 2))), samples=(
        *SCATTERS, S(V(2, 3), 1, ix([[0, 2], [1, 0]], (2, 2)), 3))),
    X("scatter_add", scatter_add, inplace="scatter_add_", dtypes=ALL, ulp=2, scale=4.0,
      no_zero_dim=AXIS, samples=SCATTERS, beyond=(
        S(V(2, 3), 1, HIGH, V(2, 1)), S(V(2, 3), 1, LOW, V(2, 1)), S(V(3, 2), 0, HIGH, V(2, 1)), S(V(2, 3), 1, FULL, V(2, 3)),
        S(V(3), 0, ABOVE, V(9)), S(V(3), 0, BELOW, V(9)))),
    X("masked_fill", masked_fill, inplace="masked_fill_", samples=(
        S(V(3, 4), MASK, 2.0), S(V(3, 4), ix([True, False, False, True], (4,), "bool"), 1),
        S(V(), ix(True, (), "bool"), 1.0), S(V(0, 2), ix([], (0, 2), "bool"), 1.0),
        S(V(3, 4), MASK, V()))),
    X("masked_select", lambda x, m: np.broadcast_arrays(x, m)[0][np.broadcast_arrays(x, m)[1]],
      samples=(
        S(V(3, 4), MASK), S(V(3, 4), ix([True, False, False, True], (4,), "bool")),
        S(V(), ix(True, (), "bool")), S(V(3, 4), ix([False] * 4, (4,), "bool")),
        S(V(0, 2), ix([], (0, 2), "bool")), S(V(7), ix([0, 1, 1, 0, 1, 0, 0], (7,), "bool")),
        S(V(1), ix([False], (1,), "bool")))),
    X("nonzero", everywhere, result="int64", grad=False, domain=TIES, samples=(
        S(V(7)), S(V(3, 4)), S(V(2, 3, 2)), S(V()), S(V(0, 3)), S(V(65, 33), big=True))),
    X("sort", sort, result=("same", "int64"), samples=SORTS),
    X("argsort", argsort, result="int64", grad=False, samples=SORTS),
    X("topk", topk, dtypes=NUMBER, result=("same", "int64"), samples=TOPKS),
    X("unique", unique, call=unique_call, method="", result=lambda d: d, grad=False, domain=TIES,
      nonfinite="NaN equals nothing", samples=(
        S(V(9)), S(V(3, 4)), S(V()), S(V(0)), S(V(700), big=True))),
    X("one_hot", one_hot, call=functional("one_hot"), method="", dtypes=("int64",),
      result="int64", grad=False, nonfinite="integers only", domain=Domain(ints=(0, 4)), beyond=(
        S(ABOVE, 3), S(ix([-1], (1,)), 3)), samples=(
        S(V(5), 4), S(V(2, 3), 5), S(ix([2, 0], (2,))), S(V(), 4), S(V(0), 3),
        S(ix([2, 0, 1], (3,)), 3), S(ix([1], (1,)), 3))),
    X("embedding", embedding, call=functional("embedding"), method="", dtypes=FLOAT, beyond=(
        S(ABOVE, V(3, 4)), S(BELOW, V(3, 4)), S(ABOVE, V(3, 1))), samples=(
        S(ROWS, V(3, 4)), S(PICK, V(3, 2)), S(ix(1, (), "int32"), V(3, 2)), S(NONE, V(3, 2)),
        S(ROWS, V(3, 0)))),
)
# fmt: on
