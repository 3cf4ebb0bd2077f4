"""How a tensor prints: values as NumPy arranges them, with dtype and device where they are not the defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.opset.op import Defaults
from ingot_devices.transfer import read

from .cpu import KIND as CPU
from .lazy import crossing


class _Options:
    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Digits, elements before a summary, elements at each edge, characters in a line."""
    for name, value in (
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ):
        if value is not None:
            setattr(_Options, name, value)
    _Options.sci_mode = sci_mode


def tensor_text(x: Any) -> str:
    """``tensor([1., 2.], device='opencl:0', grad_fn=<AddBackward>)``; inside `func.vmap` all lanes, the first axis."""
    if x._layout.device.axes:
        return f"lanes({tensor_text(crossing.every_lane(x))})"
    suffixes = []
    if not x._layout.size:
        body = "[]"
        if len(x._layout.shape) != 1:
            suffixes.append(f"size={tuple(x._layout.shape)}")
    else:
        body = _values(x)
    name = str(x.device)
    if name != CPU:
        suffixes.append(f"device='{name}'")
    if x._layout.dtype not in (Defaults.float, dt.int64, dt.bool_) or (
        not x._layout.size and x._layout.dtype is not Defaults.float
    ):
        suffixes.append(f"dtype={x._layout.dtype!r}")
    if x._edge is not None:
        suffixes.append("requires_grad=True" if x.is_leaf else f"grad_fn={x.grad_fn!r}")
    return _joined(body, suffixes)


def _values(x: Any) -> str:
    array = read(x)
    if array.dtype.kind not in "biufc":
        array = array.astype(np.float32)
    formatter = {"float_kind": _float_format(array)} if array.dtype.kind == "f" else {}
    return np.array2string(
        array, precision=_Options.precision, threshold=int(_Options.threshold), edgeitems=_Options.edgeitems,
        max_line_width=_Options.linewidth, separator=", ", prefix="tensor(", formatter=formatter or None,  # type: ignore[arg-type]
    )  # fmt: skip


def _float_format(array: Any) -> Any:
    digits = _Options.precision
    finite = array[np.isfinite(array)].astype(np.float64)
    whole = bool(finite.size) and bool(np.all(finite == np.trunc(finite))) and bool(np.all(np.abs(finite) < 1e8))
    nonzero = np.abs(finite[finite != 0])
    wide = bool(nonzero.size) and (nonzero.max() / nonzero.min() > 1000 or nonzero.max() > 1e8 or nonzero.min() < 1e-4)
    science = _Options.sci_mode if _Options.sci_mode is not None else wide and not whole

    def one(v: Any) -> str:
        v = float(v)
        if v != v or v in (float("inf"), float("-inf")):
            return str(v)
        return f"{v:.{digits}e}" if science else f"{v:.0f}." if whole else f"{v:.{digits}f}"

    width = max((len(one(v)) for v in array.reshape(-1)[:2000]), default=0)
    return lambda v: one(v).rjust(width)


def _joined(body: str, suffixes: list[str]) -> str:
    text = f"tensor({body}"
    for s in suffixes:
        last = len(text) - (text.rfind("\n") + 1)
        text += f",\n       {s}" if last + len(s) + 2 > _Options.linewidth else f", {s}"
    return text + ")"
