"""The modules of functions, in one list: what `ingot` exports and what Tensor gets as methods.

Each has ``FUNCTIONS`` (public, and methods under the same names but for those that its ``ALONE`` lists) and ``METHODS`` (of
Tensor only).
"""

from __future__ import annotations

from . import (
    activation,
    arranging,
    asking,
    creation,
    distances,
    enumerating,
    index,
    linalg,
    neural,
    ordering,
    overwriting,
    placing,
    pointwise,
    products,
    random,
    recurrent,
    reduce,
    shape,
    special,
    statistics,
    subscript,
)  # fmt: skip

MODULES = (
    pointwise, activation, reduce, shape, index, subscript, linalg, neural, recurrent, creation, random,
    arranging, asking, distances, enumerating, ordering, overwriting, placing, products, special, statistics,
)  # fmt: skip
