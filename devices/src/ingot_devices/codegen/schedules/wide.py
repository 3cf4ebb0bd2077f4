"""Several neighbours to a work-item, on a device of lanes: wide accesses keep more bytes on their way.

Shared by `vector`, `row` and `across`. Neighbours lie along one axis, on which each operand steps by one element or
stands still, and every other term of its offset is a multiple of their number (`width_along`). An operand's own element
offset is one, too, in the usual variant of a kernel (`Launch.multiples`): there the low bits of the first place are cut
off (`nest.Neighbours`), by which the device's compiler sees that the unrolled accesses are one. The variant for other
offsets computes the same, in the same order, from elements that it loads one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from ... import dtypes as dt
from ...dtypes import DType
from ...ir.expr import Expr, const, walk
from ...ir.program import Array, For, If, Put, Statement
from ...limits import Limits
from ..bind import STATUS, Loops, Write
from ..nest import ONE, ZERO, Neighbours, Nest, Scope, var
from . import Launch

WIDEST = 8
"""Neighbours that one work-item takes at most: registers are limited, too."""


# ---- what can be wide ------------------------------------------------------------------------------------------------
def width_along(loops: Loops, axis: int, writes: Sequence[Write], values: Sequence[Expr], limits: Limits) -> int:
    """How many neighbours along ``axis`` a work-item takes, where ``values`` are computed and ``writes`` made of them."""
    roots = [*values, *(r for w in writes for r in w.roots())]
    if any(w.valid is not None or w.operand == STATUS or w.combine for w in writes) or guarded(roots):
        return 1
    accesses = [(n.args[0], n.dtype) for n in walk(*roots) if n.op == "get"]
    return together(axis, [*accesses, *((w.offset, w.value.dtype) for w in writes)], limits)


def together(axis: int, accesses: Sequence[tuple[Expr, DType]], limits: Limits) -> int:
    """How many neighbours along ``axis`` these accesses, offsets with what lies there, can take at once."""
    steps = [step_along(form, axis) for form, _ in accesses]
    sizes = [limits.storage_itemsize(d) for (_, d), s in zip(accesses, steps, strict=True) if s == 1]
    if not sizes or any(s not in (0, 1) for s in steps):
        return 1
    width = max(1, min(limits.vector_bytes // min(sizes), WIDEST))
    while width > 1 and any(s and _rest(form, axis) % width for (form, _), s in zip(accesses, steps, strict=True)):
        width //= 2
    return width


def step_along(form: Expr, axis: int) -> int | None:
    """The step of an offset along ``axis``; None where it is no fixed one."""
    if form.op != "linear":
        return None if depends(form, axis) else 0
    step = 0
    for atom, c in zip(form.args, form.value[1], strict=True):
        if atom.op == "index":
            step += c if atom.value == axis else 0
        elif depends(atom, axis):
            return None
    return step


def _rest(form: Expr, axis: int) -> int:
    """The bits of an offset that are not steps along ``axis``, as one number: it is a multiple of a power of two where
    all of them are."""
    found: int = abs(form.value[0])
    for atom, c in zip(form.args, form.value[1], strict=True):
        if not (atom.op == "index" and atom.value == axis):
            found |= abs(c)
    return found


def depends(root: Expr, axis: int) -> bool:
    """True when an expression depends on the index along ``axis``, be it through what lies there."""
    return any(n.op == "index" and n.value == axis for n in walk(root))


def guarded(roots: Sequence[Expr]) -> bool:
    """True when a place, not what lies there, decides between two values: that may keep a load within bounds."""
    placed: set[int] = set()
    for n in walk(*roots):  # operands before users
        if n.op == "where" and id(n.args[0]) in placed:
            return True
        if n.op == "index" or (n.op != "get" and any(id(a) in placed for a in n.args)):
            placed.add(id(n))
    return False


def loads_along(axis: int, roots: Iterable[Expr]) -> list[Expr]:
    """The loads in ``roots`` that step along ``axis``."""
    return [n for n in walk(*roots) if n.op == "get" and step_along(n.args[0], axis) == 1]


def walked(values: Sequence[Expr], axes: Set[int]) -> bool:
    """True when a load in ``values`` varies along all of ``axes``: there is one element for each of their points."""
    loads = [n for n in walk(*values) if n.op == "get"]
    return any(axes <= {i.value for i in walk(n.args[0]) if i.op == "index"} for n in loads)


def still(writes: Sequence[Write]) -> list[Expr]:
    """The loads that are the same at every point, of what nobody writes: they may be made once, before everything."""
    outputs = {w.operand for w in writes}
    loads = [n for n in walk(*(w.value for w in writes)) if n.op == "get" and n.value not in outputs]
    return [n for n in loads if n.dtype is not dt.float16 and all(a.op != "index" for a in walk(*n.args))]


def told(launch: Launch, limits: Limits) -> Launch:
    """``launch``, its compiler told that buffers are aligned."""
    return replace(launch, program=replace(launch.program, aligned=limits.vector_bytes))


# ---- a block of elements in a work-item ------------------------------------------------------------------------------
@dataclass
class Block:
    """``steps`` times ``width`` neighbours along ``axis``. ``place`` tells a scope where a step is, and gives its first
    neighbour; from step ``full`` on, a step only counts where ``inside`` holds of that."""

    nest: Nest
    axis: int
    width: int
    steps: int
    place: Callable[[Scope, Expr], Expr]
    full: int
    inside: Callable[[Expr], Expr] | None = None
    held: dict[Expr, Expr] = field(default_factory=dict)  # a load → its element in a private array

    def __post_init__(self) -> None:
        self.lane = var(self.nest.fresh("l"))
        self.step = var(self.nest.fresh("u")) if self.steps > 1 else ZERO

    @property
    def at(self) -> Expr:
        """Where an element is in a private array."""
        return self.step * self.width + self.lane

    def hold(self, scope: Scope, loads: Iterable[Expr]) -> None:
        """Private arrays for ``loads``."""
        for load in loads:
            if load not in self.held:
                self.held[load] = self._array(scope, load)

    def _array(self, scope: Scope, value: Expr) -> Expr:
        """The element of a new private array for a value of each element."""
        name = self.nest.fresh("v")
        scope.add(Array(name, value.dtype, self.steps * self.width, const(0, value.dtype)))
        return Expr.of("get", (self.at,), value.dtype, name)

    def load(self, scope: Scope, loads: Sequence[Expr]) -> None:
        """Fill the arrays of ``loads``."""

        def one(inner: Scope) -> None:
            inner.add(*(Put(self.held[n].value, self.at, inner.resolve(n)) for n in loads))

        self.each(scope, [one])

    def each(self, scope: Scope, bodies: Sequence[Callable[[Scope], None]]) -> None:
        """At each step every one of ``bodies`` in turn for all neighbours."""
        for start, stop, inside in ((0, self.full, None), (self.full, self.steps, self.inside)):
            if start == stop:
                continue
            outer = Scope(self.nest, scope)
            first = self.place(outer, self.step)
            outer.axes[self.axis] = first + self.lane
            parts = tuple(s for body in bodies for s in self._neighbours(outer, first, body))
            outer.add(*(parts if inside is None else (If(inside(first), parts),)))
            if self.steps == 1:
                scope.add(*outer.body)
            else:
                bounds = const(start, dt.index), const(stop, dt.index)
                scope.add(For(self.step.value, *bounds, ONE, tuple(outer.body), unroll=True))

    def _neighbours(self, scope: Scope, first: Expr, body: Callable[[Scope], None]) -> list[Statement]:
        inner = Scope(self.nest, scope)
        if self.width > 1 and self.nest.loops.aligned:
            self.nest.neighbours = Neighbours(self.axis, first, self.lane, self.width)
        body(inner)
        self.nest.neighbours = None
        if not inner.body:
            return []
        return [For(self.lane.value, ZERO, const(self.width, dt.index), ONE, tuple(inner.body), unroll=True)]

    def write(self, scope: Scope, writes: Sequence[Write]) -> None:
        """``writes`` at each element: at each step all loads that are not held, then all values, then all stores.

        Each is a loop of its own over private arrays, so that nothing stands between accesses that could be one. A load
        that a place may keep within bounds, or that steps otherwise, is made where its value is computed.
        """
        checks = [w for w in writes if w.operand == STATUS]
        writes = [w for w in writes if w.operand != STATUS]
        values, held = [w.value for w in writes], dict(self.held)
        found = [] if guarded(values) else loads_along(self.axis, values)
        more = [n for n in found if n not in held]
        single = Block(self.nest, self.axis, self.width, 1, self.place, 1)
        single.lane = self.lane
        held |= {n: single._array(scope, n) for n in more}
        results = [single._array(scope, v) for v in values]

        def load(inner: Scope) -> None:
            inner.add(*(Put(held[n].value, self.lane, inner.resolve(n)) for n in more))

        def compute(inner: Scope) -> None:
            self.nest.neighbours = None
            made = inner.values([replaced(v, held) for v in values])
            inner.add(*(Put(r.value, self.lane, v) for r, v in zip(results, made, strict=True)))
            inner.write(checks)

        def store(inner: Scope) -> None:
            for w, r in zip(writes, results, strict=True):
                inner.add(Put(self.nest.target(w), inner.place(w.operand, w.offset), r))

        self.each(scope, [load, compute, store])


def replaced(root: Expr, found: Mapping[Expr, Expr]) -> Expr:
    """``root`` with ``found`` in the places of its loads."""
    made: dict[Expr, Expr] = {}
    for node in walk(root):
        args = tuple(made[a] for a in node.args)
        new = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        made[node] = found.get(node, new)
    return made[root]
