"""First step of a scheduled kernel: a definition and its operands' layouts become loops over flat memory.

    definition + layouts ──`bind`──▶ Loops ──▶ `legalize` ──▶ `collapse` ──▶ `schedules` ──▶ Program

Every load becomes ``get(operand; offset)``, every store a `Write`; the offset is relative to the operand's element
offset, which stays an argument of the launch. Index arithmetic is kept in *linear* nodes: an `Expr` ``linear`` whose
``args`` are atoms (axes, or index expressions that are not affine) and whose ``value`` is ``(constant, coefficients)``.
That is the form in which axes are merged (`collapse`) and sizes and strides become arguments (`nest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .. import dtypes as dt
from ..ir.definition import Definition, Stage, Store
from ..ir.expr import Expr, const, rebuild, walk, where
from ..layout import Layout
from . import Unsupported

STATUS = -1
"""The operand number of the device's status word, which failed checks write to."""

LITERAL = 16
"""A divisor of an index up to this is a literal: the taps and the stride of a window are part of a kernel's class, so that
no kernel divides by them; a larger one is an argument, as every size is."""

TICKET = Expr.of("param", (), dt.int32, STATUS)
"""The scalar that a failed check writes: it names the launch (`status`)."""


@dataclass(frozen=True)
class Write:
    """``operand[offset] (combine)= value`` over ``axes`` where ``valid``; see `ir.definition.Store`.

    ``parallel`` are the axes whose points write different elements, so that their order does not matter.
    """

    operand: int
    offset: Expr
    value: Expr
    axes: tuple[int, ...]
    parallel: frozenset[int]
    combine: str | None = None
    valid: Expr | None = None

    def roots(self) -> tuple[Expr, ...]:
        """Its expressions."""
        return (self.offset, self.value) if self.valid is None else (self.offset, self.value, self.valid)


@dataclass(frozen=True)
class Part:
    """What a point of axis ``number`` has of an axis: ``each`` of it from ``number`` · ``each`` on, as far as it reaches."""

    number: int
    each: int


@dataclass(frozen=True)
class Loops:
    """A bound definition: axes of known extents, stages over them, writes. ``stages`` keep their numbers.

    ``parts``: the axes that are cut, so that several work-items or groups share the walk along them. ``aligned``: that
    operands begin at multiples of as many elements as a schedule takes together; else it takes them one by one. ``origin``:
    the definition's axes that each axis was merged from, the slowest first; without it each is itself (`walked`).
    """

    name: str
    extents: tuple[int, ...]
    stages: tuple[Stage, ...]
    writes: tuple[Write, ...]
    parts: Mapping[int, Part] = field(default_factory=dict)
    aligned: bool = True
    origin: tuple[tuple[int, ...], ...] = ()

    def walked(self, axis: int) -> tuple[int, ...]:
        """The definition's axes that a walk along ``axis`` goes through, the slowest first."""
        return self.origin[axis] if axis < len(self.origin) else (axis,)

    def roots(self) -> tuple[Expr, ...]:
        """Every expression in it."""
        return (*(v for s in self.stages for v in s.values), *(r for w in self.writes for r in w.roots()))

    def rewrite(self, change: Rewrite) -> Loops:
        """The same loops with ``change`` applied to every expression."""
        stages = tuple(replace(s, values=tuple(change(v) for v in s.values)) for s in self.stages)
        writes = tuple(
            replace(
                w, offset=change(w.offset), value=change(w.value), valid=None if w.valid is None else change(w.valid)
            )
            for w in self.writes
        )
        return replace(self, stages=stages, writes=writes)


class Rewrite:
    """A memoised bottom-up rewriting: subclass and define ``rule(node, args)`` giving the new node."""

    def __init__(self) -> None:
        self.memo: dict[Expr, Expr] = {}

    def __call__(self, root: Expr) -> Expr:
        memo = self.memo
        for node in walk(root):
            if node not in memo:
                memo[node] = self.rule(node, tuple(memo[a] for a in node.args))
        return memo[root]

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        """The node that takes the place of ``node``, whose operands became ``args``."""
        return node if args == node.args else rebuild(node, args)


def bind(definition: Definition, layouts: Mapping[int, Layout]) -> Loops:
    """The loops of ``definition`` over operands that lie as ``layouts`` says. Writes of no element are dropped."""
    flat, linear = _Flatten(layouts), Linearize()

    def change(e: Expr) -> Expr:
        return linear(flat(e))

    stages = tuple(replace(s, values=tuple(change(v) for v in s.values)) for s in definition.stages)
    writes = [_write(t, layouts, change) for t in definition.stores]
    for number, check in enumerate(definition.checks):
        axes = _widened(check.axes, definition)
        ticket = TICKET + number if number else TICKET
        failed = change(Expr.of("not", (check.condition,), dt.bool_))
        writes.append(Write(STATUS, constant(0), ticket, axes, frozenset(axes), None, failed))
    kept = tuple(w for w in writes if all(definition.axes[a] for a in w.axes))
    return Loops(definition.name, definition.axes, stages, kept)


def _widened(axes: tuple[int, ...], definition: Definition) -> tuple[int, ...]:
    """The axes of a store that holds the check's: it is then made in the same loop."""
    for store in definition.stores:
        if set(axes) <= set(store.axes) and all(definition.axes[a] for a in store.axes):
            return store.axes
    return axes


def _write(store: Store, layouts: Mapping[int, Layout], change: object) -> Write:
    assert callable(change)
    offset = flat_offset(store.at, layouts[store.operand].strides)
    plain = {e.value for e in store.at if e.op == "index"}
    parallel = frozenset(a for a in store.axes if a in plain or store.combine is None)
    valid = None if store.valid is None else change(store.valid)
    return Write(store.operand, change(offset), change(store.value), store.axes, parallel, store.combine, valid)


def flat_offset(at: tuple[Expr, ...], strides: tuple[int, ...]) -> Expr:
    """Σ index · stride."""
    total: Expr = const(0, dt.index)
    for index, stride in zip(at, strides, strict=True):
        total = total + index * stride
    return total


class _Flatten(Rewrite):
    """Loads become ``get`` of a flat offset. A guarded one reads its operand's first element where it is not valid:
    both sides of a ``where`` may be evaluated, so the offset is guarded too."""

    def __init__(self, layouts: Mapping[int, Layout]) -> None:
        super().__init__()
        self.layouts = layouts

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op != "load":
            return super().rule(node, args)
        layout = self.layouts.get(node.value)
        if layout is None:
            raise Unsupported(f"operand {node.value} has no layout")
        rank = len(layout.shape)
        if layout.dtype is not node.dtype:
            raise Unsupported(f"operand {node.value} is {layout.dtype.name}, the definition loads {node.dtype.name}")
        offset = flat_offset(args[:rank], layout.strides)
        if len(args) == rank:
            return Expr.of("get", (offset,), node.dtype, node.value)
        valid, fill = args[rank], args[rank + 1]
        if layout.size == 0:
            return fill
        return where(valid, Expr.of("get", (where(valid, offset, 0),), node.dtype, node.value), fill)


# ---- linear forms --------------------------------------------------------------------------------------------------
def constant(value: int) -> Expr:
    """The linear form of a literal."""
    return Expr.of("linear", (), dt.index, (value, ()))


def axis_form(axis: int) -> Expr:
    """The linear form of one axis."""
    return Expr.of("linear", (Expr.of("index", (), dt.index, axis),), dt.index, (0, (1,)))


class Linearize:
    """Rewrites every index-typed position into a ``linear`` node."""

    def __init__(self) -> None:
        self.memo: dict[Expr, Expr] = {}
        self.forms: dict[Expr, tuple[int, dict[Expr, int]]] = {}

    def __call__(self, root: Expr) -> Expr:
        for node in walk(root):
            if node.dtype is dt.index:
                if node not in self.forms:
                    self.forms[node] = self._form(node)
            elif node not in self.memo:
                args = tuple(self._operand(a) for a in node.args)
                self.memo[node] = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        return self._operand(root)

    def _operand(self, node: Expr) -> Expr:
        return self.memo[node] if node.dtype is not dt.index else linear_node(*self.forms[node])

    def _form(self, node: Expr) -> tuple[int, dict[Expr, int]]:
        if node.op == "const":
            return node.value, {}
        if node.op == "linear":
            return node.value[0], dict(zip(node.args, node.value[1], strict=True))
        if node.op in ("add", "sub"):
            return _sum(self.forms[node.args[0]], self.forms[node.args[1]], 1 if node.op == "add" else -1)
        if node.op == "neg":
            return _sum((0, {}), self.forms[node.args[0]], -1)
        if node.op == "mul":
            a, b = (self.forms[x] for x in node.args)
            for factor, other in ((a, b), (b, a)):
                if not factor[1]:
                    return _sum((0, {}), other, factor[0])
        args = tuple(self._operand(a) for a in node.args)
        if node.op in ("idiv", "mod") and node.args[1].op == "const" and node.args[1].value <= LITERAL:
            args = (args[0], node.args[1])
        return 0, {Expr.of(node.op, args, dt.index, node.value): 1}


def linear_node(base: int, terms: Mapping[Expr, int]) -> Expr:
    """The node of a form; terms with coefficient 0 are left out."""
    base, terms = _recombined(base, terms)
    kept = [(atom, c) for atom, c in terms.items() if c]
    return Expr.of("linear", tuple(a for a, _ in kept), dt.index, (base, tuple(c for _, c in kept)))


def _recombined(base: int, terms: Mapping[Expr, int]) -> tuple[int, Mapping[Expr, int]]:
    """n·c·(e // n) + c·(e % n) is c·e: an axis that was split where memory runs on is whole again."""
    for rest, c in terms.items():
        if rest.op != "mod" or not (c and rest.args[1].op in ("const", "linear")) or rest.args[1].args:
            continue
        whole, n = Expr.of("idiv", rest.args, dt.index), rest.args[1].value
        if terms.get(whole, 0) == c * (n if rest.args[1].op == "const" else n[0]):
            start, inner = rest.args[0].value
            left = {atom: k for atom, k in terms.items() if atom is not rest and atom is not whole}
            return _recombined(*_sum((base, left), (start, dict(zip(rest.args[0].args, inner, strict=True))), c))
    return base, terms


def _sum(
    a: tuple[int, Mapping[Expr, int]], b: tuple[int, Mapping[Expr, int]], factor: int
) -> tuple[int, dict[Expr, int]]:
    terms = dict(a[1])
    for atom, c in b[1].items():
        terms[atom] = terms.get(atom, 0) + factor * c
    return a[0] + factor * b[0], terms
