"""The elements of one axis, or of several in row-major order, as one run of numbers: what `row` deals out to a group."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...ir.expr import Expr
from ..nest import ONE, ZERO, Scope
from .flat import unsigned


class Walk:
    """The elements of one axis, or of several in row-major order, from ``start`` to ``stop``."""

    def __init__(self, scope: Scope, axes: Sequence[int]) -> None:
        self.axes = axes
        if len(axes) == 1:
            self.start, self.stop = scope.bounds(axes[0])
            return
        self.firsts: dict[int, Expr] = {}
        self.counts: dict[int, Expr] = {}
        for a in axes:
            self.firsts[a], end = scope.bounds(a)
            self.counts[a] = end if a not in scope.nest.loops.parts else scope.name("count", end - self.firsts[a])
        self.start, self.stop = ZERO, scope.name("stop", math.prod(self.counts.values(), start=ONE))

    def place(self, scope: Scope, element: Expr) -> Expr:
        """The index of an element on the last axis; ``scope`` learns those on the others."""
        if len(self.axes) == 1:
            return element
        inner: dict[int, Expr] = {}
        for a in reversed(self.axes[1:]):
            inner[a] = scope.name(f"i{a}_", unsigned(scope, "mod", element, self.counts[a]))
            element = scope.name("r", unsigned(scope, "idiv", element, self.counts[a]))
        inner[self.axes[0]] = element
        for a, index in inner.items():
            scope.axes[a] = scope.name(f"i{a}_", self.firsts[a] + index)
        return scope.axes[self.axes[-1]]
