"""The element types: one interned record each, and the promotion rule.

First stop of every flow: a `Layout` names a `DType`, a `Definition` is typed by it, a device's `Limits` say
how it is kept. Promotion follows PyTorch's table (``torch.promote_types``). Complex types are reserved: they
have records so that files and protocols can name them, and no op takes them yet.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np


class DType:
    """One element type. Interned: compare with ``is``.

    Attributes: ``name``; ``kind`` (``b`` bool, ``u`` unsigned, ``i`` signed, ``f`` float, ``c`` complex,
    ``n`` the index type of the kernel IR); ``itemsize`` in bytes; ``numpy``, the NumPy dtype that holds it.
    """

    __slots__ = ("itemsize", "kind", "name", "numpy", "rank")

    def __init__(self, name: str, kind: str, numpy: Any, rank: int) -> None:
        self.name, self.kind, self.rank = name, kind, rank
        self.numpy: np.dtype[Any] = np.dtype(numpy)
        self.itemsize: int = self.numpy.itemsize

    @property
    def is_floating_point(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def is_signed(self) -> bool:
        return self.kind in "ifc"

    @property
    def is_integral(self) -> bool:
        """True for integers, bool left out."""
        return self.kind in "ui"

    def __repr__(self) -> str:
        return f"ingot.{self.name}"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return dtype, (self.name,)


# fmt: off
bool_ = DType("bool", "b", np.bool_, 0)
uint8 = DType("uint8", "u", np.uint8, 1)
uint16 = DType("uint16", "u", np.uint16, 2)
uint32 = DType("uint32", "u", np.uint32, 3)
uint64 = DType("uint64", "u", np.uint64, 4)
int8 = DType("int8", "i", np.int8, 1)
int16 = DType("int16", "i", np.int16, 2)
int32 = DType("int32", "i", np.int32, 3)
int64 = DType("int64", "i", np.int64, 4)
float16 = DType("float16", "f", np.float16, 2)
bfloat16 = DType("bfloat16", "f", ml_dtypes.bfloat16, 2)
float32 = DType("float32", "f", np.float32, 3)
float64 = DType("float64", "f", np.float64, 4)
complex64 = DType("complex64", "c", np.complex64, 3)
complex128 = DType("complex128", "c", np.complex128, 4)
index = DType("index", "n", np.int64, 4)  # offsets and loop counters of the kernel IR; never a tensor's
# fmt: on

ALL: tuple[DType, ...] = (
    bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
    float16, bfloat16, float32, float64,
)  # fmt: skip
FLOATS = tuple(d for d in ALL if d.kind == "f")
INTEGERS = tuple(d for d in ALL if d.kind in "ui")
_BY_NAME = {d.name: d for d in (*ALL, complex64, complex128, index)}
_BY_NUMPY = {d.numpy: d for d in (*ALL, complex64, complex128)}
_KIND_ORDER = "buifc"


def dtype(name: str) -> DType:
    """The DType called ``name`` (``"float32"``); KeyError-free: an unknown name lists what exists."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise TypeError(f"unknown dtype {name!r}; known: {', '.join(_BY_NAME)}") from None


def from_numpy(numpy_dtype: Any) -> DType:
    """The DType of a NumPy dtype; TypeError for one that has none (strings, objects, records)."""
    try:
        return _BY_NUMPY[np.dtype(numpy_dtype).newbyteorder("=")]
    except KeyError:
        raise TypeError(f"no ingot dtype holds NumPy's {np.dtype(numpy_dtype)}") from None


def _promote(a: DType, b: DType) -> DType:
    if a is b:
        return a
    low, high = sorted((a, b), key=lambda d: (_KIND_ORDER.index(d.kind), d.rank))
    if low.kind == high.kind:
        if low.kind == "f" and low.rank == high.rank:  # float16 with bfloat16
            return float32
        return high
    if (low.kind, high.kind) == ("u", "i"):  # a signed type wide enough for both
        if low is uint64:
            raise TypeError(f"no integer type holds both {a} and {b}; cast one of them first")
        return next(d for d in (int16, int32, int64) if d.rank > low.rank and d.rank >= high.rank)
    if high.kind == "c" and low is float64:
        return complex128
    return high


_TABLE = {
    (a, b): None if {a, b} & {uint64} and "i" in (a.kind, b.kind) else _promote(a, b)
    for a in _BY_NUMPY.values()
    for b in _BY_NUMPY.values()
}


def promote(a: DType, b: DType) -> DType:
    """The smallest type that PyTorch's rules give for ``a`` and ``b`` together."""
    found = _TABLE[a, b]
    return _promote(a, b) if found is None else found


def compute_dtype(d: DType) -> DType:
    """The type in which values of ``d`` are computed and summed: halves in float32, the rest as they are."""
    return float32 if d in (float16, bfloat16) else d


def accumulate_dtype(d: DType) -> DType:
    """The type of a sum's accumulator: float32 for halves, int64 for integers and bool."""
    return int64 if d.kind in "bui" else compute_dtype(d)
