"""One writing of a kernel for all sizes for which it would be written the same.

A code generator follows from sizes and strides by arithmetic and by decisions (is this axis longer than that; do two extents
make one). It writes once with a `Size` in the place of each number; what it gives is a `Formula`, and its conditions say for
which other sizes that is the same kernel, with other numbers for its arguments:

    definition + layouts ─ `Shape.of` ─▶ structure, numbers ─ `Written.at` ─▶ a formula whose conditions hold ─▶ the result
                                                            └─ none: `Shape.symbolic` ─▶ written ─ `Written.add` ─▶ one more
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.definition import Definition, Operand
from ..ir.expr import Expr, substitute, walk
from ..ir.size import Formula, Traced
from ..layout import Layout

T = TypeVar("T")
COUNT = 16
"""Whole floats up to this are an op's own numbers, whatever its sizes are."""
MOST, STRUCTURES = 64, 4096
"""Formulas that are kept of one structure at most (one that differs at every size is not worth more), and structures."""
UNTRACEABLE = (TypeError, AttributeError, SyntaxError, RecursionError, MemoryError)
"""What a generator raises that does with a `Size` what only a number can, or nests too deep. Each size is then written by
itself, where an error that has other reasons comes again."""


class Written(Generic[T]):
    """What was written of one structure: formulas, each for some sizes, and with each what is the same for all of these.

    ``untraced``: why there can be no more; nothing of ours should leave a word there (tests hold that).
    """

    def __init__(self, found: Sequence[tuple[Formula, T]] = ()) -> None:
        self.found, self.untraced = list(found), ""

    def at(self, numbers: Sequence[int]) -> tuple[Formula, T] | None:
        """What there is for these sizes."""
        return next((pair for pair in self.found if pair[0].holds(numbers)), None)

    def add(self, write: Callable[[], tuple[Formula, T] | None]) -> tuple[Formula, T] | None:
        """What is written now, if it may be: it is kept."""
        if self.untraced or len(self.found) >= MOST:
            return None
        try:
            made = write()
        except UNTRACEABLE as e:
            self.untraced = f"{type(e).__name__}: {e}"
            return None
        if made is not None:
            self.found.append(made)
        return made


@dataclass(frozen=True)
class Lies:
    """What a writing reads of a `Layout`."""

    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    dtype: DType

    @property
    def size(self) -> Any:
        """The number of elements."""
        total: Any = 1
        for n in self.shape:
            total = total * n
        return total

    @property
    def span(self) -> Any:
        """Elements from the lowest to one past the highest."""
        span: Any = 1
        for n, stride in zip(self.shape, self.strides, strict=True):
            if n == 0:
                return 0
            span = span + (n - 1) * stride
        return span


@dataclass(frozen=True)
class Shape:
    """A definition over layouts, taken apart: the text of all that is no size, and each size once, in order.

    0, 1 and −1 are part of the structure, and so is which sizes are equal.
    """

    definition: Definition
    layouts: Mapping[int, Layout]
    structure: str
    numbers: tuple[int, ...]
    counts: frozenset[int]

    @staticmethod
    def of(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int]) -> Shape:
        """Take apart."""
        places: dict[int, int] = {}
        counts = _counts(definition)

        def mark(n: int) -> str:
            return str(n) if n < 2 else f"s{places.setdefault(n, len(places))}"

        numbers: dict[Expr, int] = {}
        lines = []
        for node in walk(*definition.roots()):
            args = [numbers[a] for a in node.args]
            numbers[node] = len(numbers)
            value = mark(int(node.value)) if _is_size(node, counts) else repr(node.value)
            lines.append(f"{node.op} {node.dtype.name} {value} {args}")
        d = definition
        lines.append(repr(([mark(n) for n in d.axes], [(n, t.name) for n, t in d.params], sorted(aliased))))
        lines += [repr((s.kind, s.monoid, s.over, [numbers[v] for v in s.values])) for s in d.stages]
        for t in d.stores:
            valid = None if t.valid is None else numbers[t.valid]
            lines.append(repr((t.operand, [numbers[a] for a in t.at], numbers[t.value], t.axes, t.combine, valid)))
        lines += [repr((numbers[c.condition], c.axes)) for c in d.checks]
        lines += [repr((o.number, o.dtype.name, [mark(n) for n in o.shape], o.output, o.input)) for o in d.operands]
        for n, x in sorted(layouts.items()):
            lines.append(repr((n, [mark(k) for k in x.shape], [mark(k) for k in x.strides], x.dtype.name)))
        return Shape(definition, layouts, "\n".join(lines), tuple(places), counts)

    def symbolic(self) -> tuple[Traced, Definition, Mapping[int, Any]]:
        """The definition and the layouts with sizes for numbers, and what notes the conditions."""
        trace = Traced(self.numbers)
        sizes: dict[int, Any] = dict(zip(self.numbers, trace.sizes, strict=True))

        def rule(node: Expr) -> Expr | None:
            return Expr.of("const", (), node.dtype, sizes[int(node.value)]) if _is_size(node, self.counts) else None

        memo: dict[Expr, Expr] = {}

        def put(root: Expr) -> Expr:
            return substitute(root, rule, memo)

        def each(shape: Sequence[int]) -> tuple[Any, ...]:
            return tuple(sizes.get(n, n) for n in shape)

        d = self.definition
        made = Definition(
            d.name,
            tuple(Operand(o.number, o.name, o.dtype, each(o.shape), o.output, o.input) for o in d.operands),
            d.params,
            each(d.axes),
            tuple(replace(s, values=tuple(map(put, s.values))) for s in d.stages),
            tuple(
                replace(t, at=tuple(map(put, t.at)), value=put(t.value), valid=None if t.valid is None else put(t.valid))
                for t in d.stores
            ),
            tuple(replace(c, condition=put(c.condition)) for c in d.checks),
        )
        return trace, made, {n: Lies(each(x.shape), each(x.strides), x.dtype) for n, x in self.layouts.items()}


def _counts(definition: Definition) -> frozenset[int]:
    """How many elements a mean, or a variance, may be of."""
    axes = definition.axes
    walks = [*((a,) for a in range(len(axes))), *(s.over for s in definition.stages), tuple(range(len(axes)))]
    found = [math.prod(axes[a] for a in walk) for walk in walks]
    return frozenset(n - less for n in found for less in (0, 1) if n - less > COUNT)


def _is_size(node: Expr, counts: frozenset[int]) -> bool:
    """Constants of index arithmetic, and floats that say how many elements there are."""
    if node.op != "const":
        return False
    if node.dtype is dt.index:
        return type(node.value) is int and node.value > 1
    return node.dtype.kind == "f" and node.value in counts
