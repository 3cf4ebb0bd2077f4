"""Stores that combine, on a device of lanes: each element of the output is claimed by one work-item, which adds to it in order.

Where such a store goes is data, so its axes cannot be shared out as they come. But what it hits can: of the work-items at
a point of the parallel axes (the columns of a row, say) each passes over all that is stored, and makes the stores to the
offsets that are its number modulo theirs; whose they are, a group finds out together. An element still meets its values in
the order of the store's axes, on every device to the same bits. The number of shares is a prime, so that no stride leaves
some of them without work.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import dtypes as dt
from ...ir.expr import Expr, const
from ...ir.program import Barrier, Local, Put
from ...limits import Limits
from ..bind import Loops, Write, linear_node
from ..nest import ZERO, Nest, Scope, special
from . import Launch, finish
from .contraction import smaller
from .flat import WORKGROUP, decode, parallel_axes, points, unsigned

PRIMES = (7, 31, 127, 509, 2039)
LEAST = 32
"""Stores to a work-item, on the average, that are worth walking over all of them."""
FILL = 4
"""Groups that keep a compute unit busy."""


def shares_of(loops: Loops, writes: Sequence[Write], limits: Limits) -> int:
    """How many work-items share what is stored at each point of the parallel axes; 1 where that does not fit or pay."""
    nest = Nest(loops, tuple(writes))
    if limits.lanes == 1 or not any(w.combine for w in writes) or nest.needed([r for w in writes for r in w.roots()]):
        return 1
    parallel = parallel_axes(nest, writes)
    total, stores = points(loops, parallel), points(loops, writes[0].axes)
    if total * PRIMES[-1] > limits.max_grid[0]:
        return 1
    wanted = min(FILL * limits.compute_units * WORKGROUP // max(total, 1), stores // (max(total, 1) * LEAST))
    return max((p for p in PRIMES if p <= wanted), default=1)


def launch(loops: Loops, writes: tuple[Write, ...], shares: int, limits: Limits, index_bits: int) -> Launch:
    """``shares`` work-items at each point of the parallel axes; those side by side are at neighbouring points."""
    nest = Nest(loops, writes, index_bits)
    claims = _Claims(nest, writes, shares, min(WORKGROUP, limits.max_workgroup, limits.max_workgroup_dims[0]))
    scope = Scope(nest)
    claims.emit(scope)
    groups = -(-claims.total * shares // claims.size)
    return finish(nest, loops.name, scope.body, (groups, 1, 1), (claims.size, 1, 1), index_bits)


class _Claims:
    """The statements of a group of ``size``: together they find the owners of so many stores, then each makes his own."""

    def __init__(self, nest: Nest, writes: tuple[Write, ...], shares: int, size: int) -> None:
        self.nest, self.writes, self.shares, self.size = nest, writes, shares, size
        (self.combining,) = (w for w in writes if w.combine)
        self.axes = parallel_axes(nest, writes)
        self.total = points(nest.loops, self.axes)
        self.owners = nest.fresh("owners")
        nest.locals.append(Local(self.owners, dt.index, size))

    def emit(self, scope: Scope) -> None:
        """All stores. The number of a work-item behind the last point is nobody's, so it makes none."""
        count = self.nest.scalar("across", self.total)
        self.mine = scope.name("mine", unsigned(scope, "idiv", special("gid"), count))
        if self.axes:
            decode(scope, self.axes, scope.name("r", unsigned(scope, "mod", special("gid"), count)))
        *outer, last = (a for a in self.combining.axes if a not in self.axes)
        extent, size = self.nest.extent(last), const(self.size, dt.index)
        scope.loop(outer, [], lambda inner: inner.count("k", ZERO, extent, lambda s, k: self._some(s, last, k), size))

    def _some(self, scope: Scope, axis: int, first: Expr) -> None:
        """The stores from ``first`` on along an axis."""
        end, lid = self.nest.extent(axis), special("lid")
        finding = Scope(self.nest, scope)
        finding.axes[axis] = finding.name("i", first + lid)
        (place,) = finding.values([_serial(self.combining.offset, self.axes)])
        finding.add(Put(self.owners, lid, unsigned(finding, "mod", place, const(self.shares, dt.index))))
        scope.when(first + lid < end, finding.body)
        scope.add(Barrier())
        count = scope.name("count", smaller(const(self.size, dt.index), end - first))
        scope.count("j", ZERO, count, lambda inner, j: self._store(inner, axis, first, j))
        scope.add(Barrier())

    def _store(self, scope: Scope, axis: int, first: Expr, number: Expr) -> None:
        body = Scope(self.nest, scope)
        body.axes[axis] = body.name("i", first + number)
        body.write(self.writes)
        scope.when(Expr.of("get", (number,), dt.index, self.owners).eq(self.mine), body.body)


def _serial(form: Expr, parallel: Sequence[int]) -> Expr:
    """An offset without its steps along parallel axes: at a point of these, equal where and only where offsets are."""
    if form.op != "linear":
        return form
    terms = zip(form.args, form.value[1], strict=True)
    return linear_node(form.value[0], {a: c for a, c in terms if not (a.op == "index" and a.value in parallel)})
