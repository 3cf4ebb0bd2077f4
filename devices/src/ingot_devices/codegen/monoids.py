"""How the stages' monoids start, step and combine, as expressions over carried values.

Used by the schedules. Some reductions do not come here: `rewrite` makes two plain stages of each, which is as exact,
has no branches, and lets every schedule split them: welford (the mean, then the squared deviations), logsumexp (the
maximum, then the sum), argmax and argmin (the value, then the least position of it). Their scans carry the values of
`ir.definition.Monoid`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.definition import Stage
from ..ir.expr import Expr, const, where
from .bind import Loops, Rewrite

Values = tuple[Expr, ...]
_TWO = ("welford", "logsumexp", "argmax", "argmin")


def lowest(d: DType) -> Expr:
    """The identity of max."""
    if d.kind == "f":
        return const(-math.inf, d)
    return const(False if d.kind == "b" else 0 if d.kind == "u" else -(1 << (8 * d.itemsize - 1)), d)


def highest(d: DType) -> Expr:
    """The identity of min."""
    if d.kind == "f":
        return const(math.inf, d)
    bits = 8 * d.itemsize
    return const(True if d.kind == "b" else (1 << bits) - 1 if d.kind == "u" else (1 << (bits - 1)) - 1, d)


def initial(stage: Stage) -> Values:
    """The carried values before any element."""
    d = stage.values[0].dtype
    match stage.monoid:
        case "sum" | "any":
            return (const(0, d),)
        case "prod" | "all":
            return (const(1, d),)
        case "max":
            return (lowest(d),)
        case "min":
            return (highest(d),)
        case "argmax":
            return lowest(d), highest(stage.values[1].dtype)
        case "argmin":
            return highest(d), highest(stage.values[1].dtype)
        case "welford":
            return const(0, d), const(0, d), const(0, d)
        case _:
            return lowest(d), const(0, d)


def step(stage: Stage, carried: Sequence[Expr], values: Sequence[Expr]) -> Values:
    """The carried values after one more element."""
    if stage.monoid == "welford":
        count, mean, m2 = carried
        n = count + 1
        delta = values[0] - mean
        moved = mean + delta / n
        return n, moved, m2 + delta * (values[0] - moved)
    if stage.monoid == "logsumexp":
        top, total = carried
        peak = s.maximum(top, values[0])
        base = where(s.isinf(peak), const(0, peak.dtype), peak)
        return peak, total * s.exp(top - base) + s.exp(values[0] - base)
    return merge(stage, carried, values)


def merge(stage: Stage, a: Sequence[Expr], b: Sequence[Expr]) -> Values:
    """Two carries as one; ``a`` holds the earlier elements."""
    x, y = a[0], b[0]
    is_bool = x.dtype is dt.bool_
    match stage.monoid:
        case "sum":
            return (x | y,) if is_bool else (x + y,)
        case "prod":
            return (x & y,) if is_bool else (x * y,)
        case "any":
            return (x | y,)
        case "all":
            return (x & y,)
        case "max":
            return (x | y,) if is_bool else (s.maximum(x, y),)
        case "min":
            return (x & y,) if is_bool else (s.minimum(x, y),)
        case "logsumexp":
            peak = s.maximum(x, y)
            base = where(s.isinf(peak), const(0, peak.dtype), peak)
            return peak, a[1] * s.exp(x - base) + b[1] * s.exp(y - base)
    better = _greater(y, x) if stage.monoid == "argmax" else _greater(x, y)
    same = x.eq(y)
    if x.dtype.kind == "f":
        nan_x, nan_y = s.isnan(x), s.isnan(y)
        better = (better & ~nan_x) | (nan_y & ~nan_x)
        same = same | (nan_x & nan_y)
    take = better | (same & (b[1] < a[1]))
    return where(take, y, x), where(take, b[1], a[1])


def _greater(a: Expr, b: Expr) -> Expr:
    return a & ~b if a.dtype is dt.bool_ else a > b


def finished(stage: Stage, carried: Sequence[Expr]) -> Values:
    """The components that a stage's readers see."""
    if stage.monoid == "welford":
        return carried[1], carried[2]
    if stage.monoid == "logsumexp":
        top, total = carried
        base = where(s.isinf(top), const(0, top.dtype), top)
        return (base + s.log(total),)
    return tuple(carried)


def rewrite(loops: Loops) -> Loops:
    """``loops`` without the reductions that are two plain ones in turn."""
    if not any(g.kind == "reduce" and g.monoid in _TWO for g in loops.stages):
        return loops
    change = _Composite()
    for stage in loops.stages:
        change.add(replace(stage, values=tuple(change(v) for v in stage.values)), loops)
    return replace(replace(loops, stages=()).rewrite(change), stages=tuple(change.stages))


class _Composite(Rewrite):
    """Reads of the old stages become expressions over the new ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[Stage] = []
        self.components: list[Values] = []

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "stage":
            number, component = node.value
            found: Expr = self.components[number][component]
            return found if found.dtype is node.dtype else found.cast(node.dtype)
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)

    def add(self, stage: Stage, loops: Loops) -> None:
        """Take over one stage, as one or two."""
        x = stage.values[0]
        if stage.kind == "reduce" and stage.monoid == "welford":
            count = 1
            for axis in stage.over:
                count *= loops.extents[axis]
            n = Expr.of("linear", (), dt.index, (max(count, 1), ()))
            mean = self._stage("sum", stage.over, x)[0] / Expr.of("cast", (n,), x.dtype)
            m2 = self._stage("sum", stage.over, (x - mean) * (x - mean))[0]
            self.components.append((mean, m2))
        elif stage.kind == "reduce" and stage.monoid == "logsumexp":
            top = self._stage("max", stage.over, x)[0]
            base = where(s.isinf(top), const(0, x.dtype), top)
            total = self._stage("sum", stage.over, s.exp(x - base))[0]
            self.components.append((base + s.log(total),))
        elif stage.kind == "reduce" and stage.monoid in ("argmax", "argmin"):
            best = self._stage(stage.monoid[3:], stage.over, x)[0]
            hit = x.eq(best) | s.isnan(x) if x.dtype.kind == "f" else x.eq(best)
            place = stage.values[1]
            self.components.append((best, self._stage("min", stage.over, where(hit, place, highest(place.dtype)))[0]))
        else:
            self.stages.append(stage)
            types = [v.dtype for v in (stage.values if stage.monoid in ("argmax", "argmin") else (x, x))]
            number = len(self.stages) - 1
            self.components.append(tuple(Expr.of("stage", (), d, (number, k)) for k, d in enumerate(types)))

    def _stage(self, monoid: str, over: tuple[int, ...], value: Expr) -> Values:
        self.stages.append(Stage("reduce", monoid, over, (value,)))
        return (Expr.of("stage", (), value.dtype, (len(self.stages) - 1, 0)),)
