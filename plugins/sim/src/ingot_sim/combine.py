"""How stages and combining stores combine: the monoids, as lines of Python.

A stage carries ``a`` (and ``b``, ``n``) from one line of `Carry.start` through `Carry.step` to `Carry.finish`. Sums
and products of floats are carried in float64 and rounded at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType

from .emit import bounds, rounded, wrap
from .scalars import INF, NAN

if TYPE_CHECKING:
    from ingot_devices.ir.definition import Stage

    from .definition import Held


@dataclass(frozen=True)
class Carry:
    """``step`` gets the sources of the values, each a name or literal; ``finish`` gives one text a component."""

    start: str
    step: Callable[..., list[str]]
    finish: Sequence[str]


def least(d: DType) -> str:
    """The neutral element of a maximum."""
    return "(-INF)" if d.kind == "f" else "False" if d.kind == "b" else f"({bounds(d)[0]})"


def greatest(d: DType) -> str:
    """The neutral element of a minimum."""
    return "INF" if d.kind == "f" else "True" if d.kind == "b" else f"({bounds(d)[1]})"


def carry(stage: Stage) -> Carry:
    """How ``stage`` goes from value to value."""
    d = stage.values[0].dtype
    return _ROWS[stage.monoid](d)


def _final(text: str, d: DType) -> str:
    return rounded(text, d) if d.kind == "f" else wrap(text, d)


def _sum(d: DType) -> Carry:
    return Carry("a = 0.0" if d.kind == "f" else "a = 0", lambda v: [f"a += {v}"], [_final("a", d)])


def _prod(d: DType) -> Carry:
    if d.kind == "f":
        return Carry("a = 1.0", lambda v: [f"a *= {v}"], [_final("a", d)])
    return Carry("a = 1", lambda v: [f"a = {wrap(f'a * {v}', d)}"], [wrap("a", d)])


def _extreme(sign: str, neutral: Callable[[DType], str]) -> Callable[[DType], Carry]:
    return lambda d: Carry(f"a = {neutral(d)}", lambda v: [f"if {v} {sign} a or {v} != {v}: a = {v}"], ["a"])


def _position(sign: str, neutral: Callable[[DType], str]) -> Callable[[DType], Carry]:
    def step(v: str, at: str) -> list[str]:
        better = f"{v} {sign} a or ({v} == a and {at} < b) or ({v} != {v} and (a == a or {at} < b))"
        return [f"if b is None or {better}:", f"    a = {v}", f"    b = {at}"]

    return lambda d: Carry(f"a = {neutral(d)}; b = None", step, ["a", "(0 if b is None else b)"])


def _truth(start: bool) -> Callable[[DType], Carry]:
    def row(d: DType) -> Carry:
        result = {"b": "a", "f": "float(a)"}.get(d.kind, "int(a)")
        test = "not " if start else ""
        return Carry(f"a = {start}", lambda v: [f"if {test}{v}: a = {not start}"], [result])

    return row


def _welford(d: DType) -> Carry:
    def step(v: str) -> list[str]:
        return ["n += 1", f"e = {v} - a", "a += e / n", f"b += e * ({v} - a)"]

    return Carry("n = 0; a = b = 0.0", step, [_final("a", d), _final("b", d)])


def _logsumexp(d: DType) -> Carry:
    return Carry("a = -INF; b = 0.0", lambda v: [f"a, b = lse(a, b, {v})"], [_final("lse_end(a, b)", d)])


_ROWS: dict[str, Callable[[DType], Carry]] = {
    "sum": _sum,
    "prod": _prod,
    "max": _extreme(">", least),
    "min": _extreme("<", greatest),
    "any": _truth(False),
    "all": _truth(True),
    "argmax": _position(">", least),
    "argmin": _position("<", greatest),
    "welford": _welford,
    "logsumexp": _logsumexp,
}


def lse(most: float, total: float, v: float) -> tuple[float, float]:
    """One more value for a logsumexp carried as (maximum, sum of exp(x - maximum))."""
    if v != v or most != most:
        return NAN, NAN
    if v == -INF or most == INF:
        return most, total
    if v == INF:
        return INF, 1.0
    return (most, total + math.exp(v - most)) if v <= most else (v, total * math.exp(most - v) + 1.0)


def lse_end(most: float, total: float) -> float:
    """The logsumexp itself."""
    return most + math.log(total) if total > 0 else most


def update(how: str, held: Held, number: int, offset: str, value: str) -> list[str]:
    """``memory[offset] (how)= value`` for one combining store; halves go to the dict ``c<number>`` in float32."""
    d = held.operand.dtype
    at = f"y{number}[{offset}]"
    if is_half(d):
        name = "f16_of" if d is dt.float16 else "bf16_of"
        lines = [f"o = {offset}", f"v = c{number}[o] if o in c{number} else {name}(y{number}[o])"]
        return [*lines, f"c{number}[o] = f32({_combined(how, 'v', value, dt.float64)})"]
    old = f"bool({at})" if d is dt.bool_ else at
    made = _combined(how, "v", value, d)
    return [f"v = {old}", f"{at} = " + (f"int({made})" if d is dt.bool_ else made)]


def _combined(how: str, old: str, new: str, d: DType) -> str:
    if how in ("max", "min"):
        sign = ">" if how == "max" else "<"
        return f"({new} if {new} {sign} {old} or {new} != {new} else {old})"
    text = f"{old} {'+' if how == 'add' else '*'} {new}"
    return text if d.kind == "f" else wrap(text, d)


def is_half(d: DType) -> bool:
    """True for float16 and bfloat16."""
    return d in (dt.float16, dt.bfloat16)


HELPERS = {"lse": lse, "lse_end": lse_end}
