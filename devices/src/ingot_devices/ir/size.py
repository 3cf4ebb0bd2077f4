"""Numbers that are traced: what a generator computes from sizes is kept as a formula, what it decides as a condition.

Other numbers that meet all conditions of a formula have the same result, with other numbers in it (`codegen.sizes` uses this
for kernels). That is how tracing compilers specialise a program on its shapes (guards; PyTorch's "dynamic shapes" of 2022). A
`Size` is no int: whatever wants to have one (a text, a key, a range) asks for its number, and has it pinned by a condition. So
a formula may be less general than it could be, and never wrong.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any


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

    def __init__(self, trace: Traced, value: Any, code: str, least: int | None = None) -> None:
        self.trace, self.value, self.code, self.least = trace, value, code, least

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'Size'. As a key, a number would decide without a condition")

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
