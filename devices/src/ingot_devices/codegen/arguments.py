"""The packed block of scalars: one C struct, in native alignment.

Renderers declare it, `schedule` fills it at every launch, ``sim`` reads it. The widest scalars come first, so that the
struct has no holes; its size is rounded up to its widest member, as a C compiler does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.expr import Expr, walk
from ..ir.program import Scalar

_CODES = {
    "bool": "B", "uint8": "B", "int8": "b", "uint16": "H", "int16": "h", "uint32": "I", "int32": "i",
    "uint64": "Q", "int64": "q", "float16": "e", "float32": "f", "float64": "d",
}  # fmt: skip


def code(dtype: DType, index_bits: int) -> str:
    """The letter of ``dtype`` in the `struct` module."""
    if dtype.kind == "n":
        return "q" if index_bits == 64 else "i"
    return _CODES[dtype.name]


def block(scalars: Sequence[Scalar], index_bits: int) -> struct.Struct:
    """The struct of ``scalars`` in order."""
    codes = [code(s.dtype, index_bits) for s in scalars]
    widest = max(codes, key=struct.calcsize, default="")
    return struct.Struct("@" + "".join(codes) + (f"0{widest}" if widest else ""))


def passed(params: Iterable[tuple[int, DType]], roots: Iterable[Expr]) -> dict[int, DType]:
    """Number operand → the type that it is passed in: float64 where all that ``roots`` do with an integer is to make it a
    float, since that has no bound at 64 bits; else its own."""
    uses: dict[int, set[str]] = {}
    roots = list(roots)
    for node in walk(*roots):
        for a in node.args:
            if a.op == "param":
                uses.setdefault(a.value, set()).add(node.dtype.kind if node.op == "cast" else a.dtype.kind)
    for root in roots:
        if root.op == "param":
            uses.setdefault(root.value, set()).add(root.dtype.kind)
    return {n: dt.float64 if d.kind in "iu" and uses.get(n) == {"f"} else d for n, d in params}


def whole(value: Any) -> int:
    """An integer; OverflowError where 64 bits are too few for it, with a sign or without."""
    made = int(value)
    if not -1 << 63 <= made < 1 << 64:
        raise OverflowError(f"int too big to convert: {made} needs more than 64 bits")
    return made


def converter(dtype: DType) -> Callable[[Any], Any]:
    """How a Python number becomes a value of ``dtype``: floats round, integers wrap (`whole` says from where on not)."""
    if dtype.kind == "f":
        return _single if dtype.name == "float32" else float
    if dtype.kind == "b":
        return bool
    bits = 8 * dtype.itemsize
    mask, sign = (1 << bits) - 1, 1 << (bits - 1) if dtype.kind == "i" else 0

    def wrap(value: Any) -> int:
        return ((whole(value) + sign) & mask) - sign

    return wrap


def _single(value: Any) -> float:
    """float32 out of range is infinite; `struct` would raise."""
    made = float(value)
    if -3.4028234663852886e38 <= made <= 3.4028234663852886e38:
        return made
    with np.errstate(over="ignore"):
        return float(np.float32(made))
