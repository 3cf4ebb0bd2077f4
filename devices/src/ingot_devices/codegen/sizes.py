"""One writing of a kernel for all sizes for which it would be written the same.

A code generator follows from sizes and strides by arithmetic and by decisions (is this axis longer than that; do two extents
make one). Written once with a `Size` in the place of each number, the arithmetic is kept as a formula and each decision as a
condition, so that other numbers that meet all conditions have the same kernel, with other numbers for its arguments:

    definition + layouts ─ `Shape.of` ─▶ structure, numbers ─ `Shape.symbolic` ─▶ written ─ `Traced.formula` ─▶ numbers → result

This is how tracing compilers specialise a program on its shapes (guards; PyTorch's "dynamic shapes" of 2022). A `Size` is no
int: whatever wants to have one (a text, a key, a range) asks for its number, and has it pinned by a condition. So a result
may be less general than it could be, and never wrong.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.definition import Definition, Operand
from ..ir.expr import Expr, substitute, walk
from ..layout import Layout

COUNT = 16
"""Whole floats up to this are an op's own numbers, whatever its sizes are."""


class Traced:
    """A writing with `numbers` in the places that they have: which conditions it took, as source text over ``s``."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.sizes = [Size(self, n, f"s[{k}]", 2) for k, n in enumerate(numbers)]
        self.conditions: dict[str, None] = {}

    def formula(self, result: Any) -> Formula:
        """What ``result`` (a nest of tuples, lists and dicts with sizes in it) is for other numbers."""
        return Formula(" and ".join(self.conditions) or "True", _source(result))


class Formula:
    """``holds(numbers)``: whether they make the same decisions; ``made(numbers)``: the result for them. ``source``: of both."""

    def __init__(self, condition: str, result: str) -> None:
        self.source = condition, result
        made: dict[str, Any] = {"inf": math.inf, "nan": math.nan}
        source = f"def holds(s): return {condition}\ndef made(s): return {result}"
        exec(compile(source, "<ingot sizes>", "exec"), made)  # a text alone would end the process if a Ctrl-C came meanwhile
        self.holds: Callable[[Sequence[int]], bool] = made["holds"]
        self.made: Callable[[Sequence[int]], Any] = made["made"]


def _source(item: Any) -> str:
    if isinstance(item, Size):
        return item.code
    if isinstance(item, dict):
        return "{" + ", ".join(f"{k!r}: {_source(v)}" for k, v in item.items()) + "}"
    if isinstance(item, tuple | list):
        inner = ", ".join(map(_source, item))
        return f"[{inner}]" if isinstance(item, list) else f"({inner}{',' * (len(item) == 1)})"
    return repr(item)


class Size:
    """A number that follows from the traced ones: ``value`` in this writing, ``code`` in all, and never below ``least``."""

    __slots__ = ("code", "least", "trace", "value")
    __hash__ = None  # type: ignore[assignment]  # as a key, a number would decide without a condition

    def __init__(self, trace: Traced, value: Any, code: str, least: int | None = None) -> None:
        self.trace, self.value, self.code, self.least = trace, value, code, least

    # ---- decisions ---------------------------------------------------------------------------------------------------
    def decide(self, symbol: str, other: Any) -> Any:
        """The outcome of a comparison, which becomes a condition unless it could not be another."""
        if not isinstance(other, Size | int | float):
            return NotImplemented
        outcome = _COMPARE[symbol](self.value, _value(other, self.trace))
        if not _certain(symbol, self.least, other):
            code = f"{self.code} {symbol} {_code(other)}"
            self.trace.conditions[code if outcome else f"not {code}"] = None
        return outcome

    def pinned(self) -> Any:
        """Its number, on the condition that it is that."""
        self.decide("==", self.value)
        return self.value

    def __bool__(self) -> bool:
        return not self.decide("==", 0)

    def __index__(self) -> int:
        return int(self.pinned())

    def __int__(self) -> int:
        return int(self.pinned())

    def __float__(self) -> float:
        return float(self.pinned())

    def __str__(self) -> str:
        return str(self.pinned())

    def __format__(self, how: str) -> str:
        return format(self.pinned(), how)

    def __repr__(self) -> str:
        return repr(self.pinned())

    # ---- arithmetic --------------------------------------------------------------------------------------------------
    def __neg__(self) -> Size:
        return Size(self.trace, -self.value, f"(-{self.code})")

    def __abs__(self) -> Size:
        return Size(self.trace, abs(self.value), f"abs({self.code})", 0)

    def bit_length(self) -> Size:
        """As an int's."""
        return Size(self.trace, self.value.bit_length(), f"{self.code}.bit_length()", 0)

    def __round__(self, digits: int | None = None) -> Size:
        return Size(self.trace, round(self.value), f"round({self.code})")


def _value(item: Any, trace: Traced) -> Any:
    if not isinstance(item, Size):
        return item
    if item.trace is not trace:
        raise TypeError("a size of one writing met one of another")
    return item.value


def _code(item: Any) -> str:
    return item.code if isinstance(item, Size) else repr(item)


def _certain(symbol: str, least: int | None, other: Any) -> bool:
    """True where no number could decide otherwise."""
    return least is not None and not isinstance(other, Size) and (other <= least if symbol in ("<", ">=") else other < least)


_COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ARITHMETIC = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "/": operator.truediv, "%": operator.mod,
    "&": operator.and_, "|": operator.or_, "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip
_NAMES = {
    "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
    "+": "add", "-": "sub", "*": "mul", "//": "floordiv", "/": "truediv", "%": "mod", "&": "and", "|": "or",
    "<<": "lshift", ">>": "rshift",
}  # fmt: skip


def _computed(symbol: str, a: Any, b: Any, trace: Traced) -> Any:
    if not (isinstance(a, Size | int | float) and isinstance(b, Size | int | float)):
        return NotImplemented
    value = _ARITHMETIC[symbol](_value(a, trace), _value(b, trace))
    return Size(trace, value, f"({_code(a)} {symbol} {_code(b)})", _least(symbol, a, b))


def _least(symbol: str, a: Any, b: Any) -> int | None:
    """What a sum or a product is never below."""
    x, y = (n.least if isinstance(n, Size) else n if isinstance(n, int) else None for n in (a, b))
    if symbol not in "+*" or x is None or y is None or (symbol == "*" and min(x, y) < 0):
        return None
    return int(_ARITHMETIC[symbol](x, y))


def _comparison(symbol: str) -> Any:
    return lambda self, other: self.decide(symbol, other)


def _operation(symbol: str, turned: bool) -> Any:
    if turned:
        return lambda self, other: _computed(symbol, other, self, self.trace)
    return lambda self, other: _computed(symbol, self, other, self.trace)


for _symbol, _name in _NAMES.items():
    if _symbol in _COMPARE:
        setattr(Size, f"__{_name}__", _comparison(_symbol))
    else:
        setattr(Size, f"__{_name}__", _operation(_symbol, turned=False))
        setattr(Size, f"__r{_name}__", _operation(_symbol, turned=True))


# ---- what a kernel is written from -------------------------------------------------------------------------------------
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
