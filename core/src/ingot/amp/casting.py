"""What autocast does to the operands of an op, on its way through `dispatch`.

Dispatch asks here where it has no plan for the operands as they are, and keeps plans only for those that stay as they are:
outside of autocast nothing is asked, and inside an op without casts costs what it costs outside.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.context import Context
from ingot_devices.opset.op import OPS, Op
from ingot_devices.opset.precision import FLOAT32, LOWER

from .. import dispatch
from ..base import TensorBase

SHORT = (dt.bfloat16, dt.float16)


class Kept(threading.local):
    """This thread's casts of parameters while the outermost autocast lasts: a weight that is used twice is cast once."""

    def __init__(self) -> None:
        self.depth = 0
        self.enabled = True
        self.casts: dict[Any, tuple[Any, int, Any]] = {}


kept = Kept()


def touches(op: Op) -> bool:
    """True where autocast may cast operands of ``op``."""
    return op.name in LOWER or op.name in FLOAT32


def operands(op: Op, given: Sequence[Any], context: Context) -> list[Any] | None:
    """The operands of ``op`` as ``context.autocast`` wants them; None where they are so already."""
    if not touches(op):
        return None
    made, short = list(given), dict(context.autocast)
    for k, x in enumerate(given):
        dtype = x._layout.dtype if isinstance(x, TensorBase) else None
        if dtype is None or dtype.kind != "f" or dtype is dt.float64 or x._layout.device.kind not in short:
            continue
        if op.name in LOWER:
            wanted = short[x._layout.device.kind]
        else:
            wanted = dt.float32 if dtype in SHORT else dtype
        if wanted is not dtype:
            made[k] = _cast(x, wanted, context)
    return None if all(map(dispatch._same, made, given)) else made


def _cast(x: Any, dtype: Any, context: Context) -> Any:
    is_parameter = x._edge is not None and x._edge[0].seq < 0 and x._base is None
    if not is_parameter or not kept.enabled or context.recording:  # a program must see the cast of a weight that will change
        return dispatch.call(OPS["cast"], (x,), (dtype,))
    key = id(x), dtype, context
    found = kept.casts.get(key)
    if found is None or found[1] != x._block.version:
        found = kept.casts[key] = x, x._block.version, dispatch.call(OPS["cast"], (x,), (dtype,))
    return found[2]
