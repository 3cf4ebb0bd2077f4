"""The promoted dtype of every pair, as a table: PyTorch's, written out (`tests/parity` compares it
with PyTorch).

A hyphen stands where no dtype holds both.
"""

from __future__ import annotations

NAMES = {
    "b": "bool", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "i1": "int8",
    "i2": "int16",
    "i4": "int32", "i8": "int64", "h": "float16", "bf": "bfloat16", "f": "float32", "d": "float64",
}  # fmt: skip

TABLE = """
     b   u1  u2  u4  u8  i1  i2  i4  i8  h   bf  f   d
b    b   u1  -   -   -   i1  i2  i4  i8  h   bf  f   d
u1   u1  u1  -   -   -   i2  i2  i4  i8  h   bf  f   d
u2   -   -   u2  -   -   -   -   -   -   h   bf  f   d
u4   -   -   -   u4  -   -   -   -   -   h   bf  f   d
u8   -   -   -   -   u8  -   -   -   -   h   bf  f   d
i1   i1  i2  -   -   -   i1  i2  i4  i8  h   bf  f   d
i2   i2  i2  -   -   -   i2  i2  i4  i8  h   bf  f   d
i4   i4  i4  -   -   -   i4  i4  i4  i8  h   bf  f   d
i8   i8  i8  -   -   -   i8  i8  i8  i8  h   bf  f   d
h    h   h   h   h   h   h   h   h   h   h   f   f   d
bf   bf  bf  bf  bf  bf  bf  bf  bf  bf  f   bf  f   d
f    f   f   f   f   f   f   f   f   f   f   f   f   d
d    d   d   d   d   d   d   d   d   d   d   d   d   d
"""


def _read() -> dict[tuple[str, str], str]:
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    cells = {(row[0], column): cell for row in rows for column, cell in zip(head, row[1:], strict=True)}
    return {(NAMES[a], NAMES[b]): NAMES[c] for (a, b), c in cells.items() if c != "-"}


PROMOTED = _read()
"""(dtype, dtype) → their common dtype."""
