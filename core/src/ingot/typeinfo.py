"""``finfo`` and ``iinfo``: the limits of a dtype, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from ingot_devices.dtypes import DType
from ingot_devices.opset.op import Defaults


class finfo:
    """A float dtype's ``bits``, ``eps`` (from 1 to the next number), ``max``, ``min`` (the lowest), ``smallest_normal`` (or
    ``tiny``) and ``resolution`` (of decimal digits); of the default dtype where none is given. TypeError for other kinds.
    """

    def __init__(self, dtype: DType | None = None) -> None:
        kept = _checked(dtype or Defaults.float, "f", "finfo", "floating point", "iinfo")
        import ml_dtypes  # has NumPy's formats, too

        found: Any = ml_dtypes.finfo(kept.numpy)
        self.dtype, self.bits = kept.name, 8 * kept.itemsize
        self.eps, self.max, self.min = float(found.eps), float(found.max), float(found.min)
        self.smallest_normal = self.tiny = float(found.smallest_normal)
        self.resolution = 10.0 ** -int(found.precision)

    def __repr__(self) -> str:
        return (f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
                f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})")  # fmt: skip


class iinfo:
    """An integer dtype's ``bits``, ``max`` and ``min``. TypeError for a dtype of another kind."""

    def __init__(self, dtype: DType) -> None:
        kept = _checked(dtype, "iu", "iinfo", "integer", "finfo")
        self.dtype, self.bits = kept.name, 8 * kept.itemsize
        below = self.bits - (kept.kind == "i")
        self.max, self.min = 2**below - 1, -(2**below) if kept.kind == "i" else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def _checked(dtype: Any, kinds: str, name: str, wanted: str, other: str) -> DType:
    if not isinstance(dtype, DType):
        raise TypeError(f"{name}() takes a dtype such as ingot.float32, not {dtype!r}")
    if dtype.kind not in kinds:
        hint = f"; {other}() is for that" if dtype.kind in "iuf" else ""
        raise TypeError(f"{name}() takes a {wanted} dtype, not {dtype!r}{hint}")
    return dtype
