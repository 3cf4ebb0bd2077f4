"""What a program computes of a convolution's results, computed while they are in registers.

A pointwise definition (normalisation by given statistics, a sum with what was there before, an activation) that reads the
results becomes the end of the kernel: its expression runs over 16 pixels of an output, in the same operations as in a kernel
of its own (`nest`), so it has the same bits. What depends on the output alone is computed once, before its pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported, monoids
from ingot_devices.codegen.arguments import passed
from ingot_devices.codegen.bind import Loops, Rewrite, Write, bind, constant
from ingot_devices.codegen.legalize import legalize
from ingot_devices.ir.definition import Definition
from ingot_devices.ir.expr import Expr, walk
from ingot_devices.layout import Layout

from ..access import WORKSPACE, Access, Scope, invariant
from ..elementary import KNOWN, Elementary
from ..emit import Value
from ..jit import Target
from ..lanes import HEAVY
from ..recipe import ABSENT, ARRAY, KINDS, LIMITS
from .code import LANES, OPERANDS, Code
from .parts import End, Ends, added

HELD = WORKSPACE - 1
"""The operand number of results in registers."""
RESULT = Expr.of("get", (constant(0),), dt.float32, HELD)
PLACE = len(OPERANDS)
"""Where the definition's operands stand among the kernel's."""


class _Moved(Rewrite):
    """Operands by their place in the kernel, the results as `RESULT`, the pixels of a plane as one axis."""

    def __init__(self, result: int, extents: Sequence[int], rows: int, columns: int) -> None:
        super().__init__()
        self.result, self.extents, self.rows, self.columns = result, extents, rows, columns

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        match node.op:
            case "get" if node.value == self.result:
                return RESULT
            case "get":
                return Expr.of("get", args, node.dtype, node.value + PLACE)
            case "param":
                return Expr.of("param", (), node.dtype, node.value + PLACE)
            case "linear":
                return self._flat(node)
        return super().rule(node, args)

    def _flat(self, form: Expr) -> Expr:
        """A form in which row and column are one index, as they lie side by side."""
        base, factors = form.value
        if any(a.op != "index" for a in form.args):
            raise Unsupported("it looks at other places than its own")
        terms = dict(zip((a.value for a in form.args), factors, strict=True))
        row, column = terms.pop(self.rows, 0), terms.pop(self.columns, 0)
        high, wide = (self.extents[a] if a >= 0 else 1 for a in (self.rows, self.columns))
        step = column if wide > 1 else row
        if high > 1 and row != step * wide:
            raise Unsupported("rows of an operand do not lie one behind the other")
        if step:
            terms[len(self.extents)] = step
        atoms = tuple(Expr.of("index", (), dt.index, a) for a in terms)
        return Expr.of("linear", atoms, dt.index, (base, tuple(terms.values())))


@dataclass(frozen=True)
class Tail:
    """A definition as the end of a kernel: ``value`` over axes, where ``outputs`` and ``images`` are two of them."""

    loops: Loops
    value: Expr
    out: int
    images: int
    outputs: int
    kinds: tuple[int, ...]
    numbers: Mapping[int, dt.DType]

    @property
    def pixels(self) -> int:
        """The axis of a plane's pixels."""
        return len(self.loops.extents)


def tail(definition: Definition, result: int, layouts: Mapping[int, Layout]) -> Tail:
    """The tail of a pointwise definition whose operand ``result`` are a convolution's results; `Unsupported` says why not."""
    if definition.stages or definition.checks or len(definition.stores) != 1:
        raise Unsupported("it is more than one value at each place")
    loops = legalize(monoids.rewrite(bind(definition, layouts)), LIMITS, KNOWN, 64).rewrite(Elementary())
    (write,) = loops.writes
    shape = layouts[write.operand].shape
    if write.combine or write.valid is not None or write.value.dtype is not dt.float32 or len(shape) not in (3, 4):
        raise Unsupported("it does not give a float32 at each place")
    if not layouts[write.operand].is_dense or not layouts[result].is_dense or layouts[result].shape != shape:
        raise Unsupported("its result lies in another order")
    axes = [e.value if e.op == "index" else -1 for e in definition.stores[0].at]
    if any(e.op != "index" and shape[k] != 1 for k, e in enumerate(definition.stores[0].at)):
        raise Unsupported("it writes other places than its own")
    axes = axes if len(axes) == 4 else [*axes[:2], -1, axes[2]]
    _own(loops, write, result)
    moved = _Moved(result, loops.extents, axes[2], axes[3])
    value = moved(write.value)
    read = {n.value for n in walk(value) if n.op == "index"}
    if _weight(value, len(loops.extents)) > HEAVY:
        raise Unsupported("its expression is too long")
    if not read <= {axes[0], axes[1], len(loops.extents)}:
        raise Unsupported("it counts rows or columns")
    numbers = passed(definition.params, [value])
    return Tail(loops, value, write.operand + PLACE, axes[0], axes[1], _kinds(value, write, numbers),
                {n + PLACE: d for n, d in numbers.items()})  # fmt: skip


def _weight(value: Expr, pixels: int) -> int:
    """How many operators each pixel takes."""
    varying: set[Expr] = set()
    for node in walk(value):
        if node is RESULT or (node.op == "index" and node.value == pixels) or any(a in varying for a in node.args):
            varying.add(node)
    return sum(1 for n in varying if n.args and n.op not in ("get", "linear"))


def _own(loops: Loops, write: Write, result: int) -> None:
    """`Unsupported` unless the results are read where the value is written."""
    for node in walk(write.value):
        if node.op == "get" and node.value == result and node.args[0] != write.offset:
            raise Unsupported("it reads other results than its own")


def _kinds(value: Expr, write: Write, numbers: Mapping[int, dt.DType]) -> tuple[int, ...]:
    """The kinds of the definition's operands."""
    found = {write.operand: ARRAY}
    for node in walk(value):
        if node.op == "get" and node is not RESULT:
            found[node.value - PLACE] = ARRAY
        elif node.op == "param":
            found[node.value - PLACE] = KINDS[numbers[node.value - PLACE].kind]
    return tuple(found.get(k, ABSENT) for k in range(max(found) + 1))


class Computed:
    """A `Finish`: results, with their bias where there is one, through a tail. ``constants`` follow the kernel's ``first``."""

    def __init__(self, made: Tail, first: int, bias: bool, target: Target) -> None:
        self.tail, self.bias = made, bias
        self.access = Access(made.loops, dict(made.numbers), 0, target)
        self.access.constants = [0] * first
        self.first = first

    @property
    def constants(self) -> tuple[int, ...]:
        """Strides of the tail's operands."""
        return tuple(self.access.constants[self.first :])

    def __call__(self, c: Code) -> Ends:
        """See `parts.Ends`."""
        self.access.f = c
        t = self.tail

        def ends(image: Value, outputs: Sequence[Value]) -> list[End]:
            bias: list[Any] = added(c, outputs) if self.bias else [None] * len(outputs)
            return [self._end(c, {t.images: image, t.outputs: o}, b) for o, b in zip(outputs, bias, strict=True)]

        return ends

    def _end(self, c: Code, axes: dict[int, Value], bias: Value | None) -> End:
        t = self.tail
        known = Scope(axes=axes)
        for part in invariant([t.value], [t.pixels], [], [HELD]):
            self.access.value(known, part)

        def end(value: Value, place: Value, pixel: Value, count: Value, mask: str) -> None:
            scope = replace(known.inside(t.pixels, pixel, lanes=LANES, vector=t.pixels), mask=mask, count=count)
            scope.memo[RESULT] = value if bias is None else c.plus(value, bias)
            c.store(self.access.vector(scope, t.value), c.float_at(self.access.base(t.out), place), mask)

        return end
