"""The modules of functions that stand beside the first ones, in one list: what `ingot` exports and what Tensor gets as methods.

Each has ``FUNCTIONS`` (public, and methods under the same names but for those that its ``ALONE`` lists) and ``METHODS`` (of
Tensor only).
"""

from __future__ import annotations

from . import (
    arranging,
    asking,
    distances,
    enumerating,
    ordering,
    overwriting,
    placing,
    products,
    special,
    statistics,
)  # fmt: skip

MODULES = (
    arranging, asking, distances, enumerating, ordering, overwriting, placing, products, special, statistics,
)  # fmt: skip
