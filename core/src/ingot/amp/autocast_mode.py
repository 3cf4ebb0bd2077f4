"""``autocast``: ops choose their dtype, so that products run in a short one and sums in float32 (Micikevicius et al., 2018)."""

from __future__ import annotations

import warnings
from typing import Any

from ingot_devices.context import state
from ingot_devices.dtypes import DType

from ..autograd.modes import _Mode
from ..devices import device, open_device
from ..lazy import discovery
from .casting import SHORT, kept


class autocast(_Mode):
    """Inside, products of tensors on devices of ``device_type`` run in ``dtype``, and sums, powers and losses in float32.

    ``dtype``: float16 or bfloat16; without it bfloat16, or float16 where the device has no bfloat16. ``enabled=False`` makes
    a part of an autocast block ordinary again. ``cache_enabled``: a parameter that is used twice is cast once. The rows are in
    `ingot_devices.opset.precision`. Forward passes and losses belong inside; a backward pass runs in the dtypes that its
    forward pass chose wherever it is called. Ops in place, integers and float64 are left alone. A context manager and a
    decorator.
    """

    def __init__(
        self, device_type: Any, dtype: DType | None = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        super().__init__()
        self.device, self.cache = _kind(device_type), cache_enabled
        self.enabled = bool(enabled) and is_ready(self.device, "autocast")
        self.fast_dtype = _short(self.device, dtype) if self.enabled else dtype

    def _changes(self) -> dict[str, Any]:
        others = [pair for pair in state.context.autocast if pair[0] != self.device]
        return {"autocast": tuple(sorted([*others, (self.device, self.fast_dtype)] if self.enabled else others, key=str))}

    def _clone(self) -> autocast:
        return autocast(self.device, self.fast_dtype, self.enabled, self.cache)

    def __enter__(self) -> autocast:
        super().__enter__()
        self._outer.append(kept.enabled)
        kept.enabled = kept.enabled if self.cache is None else bool(self.cache)
        kept.depth += 1
        return self

    def __exit__(self, *exc: object) -> None:
        kept.depth -= 1
        kept.enabled = self._outer.pop()
        if not kept.depth:
            kept.casts.clear()
        super().__exit__(*exc)


def is_ready(device_type: Any, asker: str) -> bool:
    """True where a device of that type is ready; a warning where none is, DeviceUnavailable where no backend has the name."""
    kind = _kind(device_type)
    if discovery.record(kind) is None:
        open_device(kind)  # which says what there is
    if not discovery.is_available(kind):
        warnings.warn(f"{asker}({kind!r}) does nothing: no such device is ready", stacklevel=3)
        return False
    return True


def _kind(device_type: Any) -> str:
    if not isinstance(device_type, str | device):
        raise TypeError(f"a device's type is text such as 'cpu', not {type(device_type).__name__}")
    return device(device_type).type


def _short(kind: str, dtype: Any) -> DType:
    """``dtype``, or the first of those that devices of ``kind`` have; RuntimeError where they have it not."""
    has = _has(kind)
    if not has:
        raise RuntimeError(f"autocast has nothing to choose on {kind}: it has neither bfloat16 nor float16")
    if dtype is not None and dtype not in has:
        raise RuntimeError(f"autocast on {kind} takes {' or '.join(map(repr, has))}, not {dtype!r}")
    return dtype or has[0]


def _has(kind: str) -> list[DType]:
    """The short floats of devices of ``kind``, the first choice first."""
    limits = open_device(kind).limits
    return [d for d in SHORT if limits.dtype_class(d).kind != "refused"]


def is_autocast_enabled(device_type: Any = None) -> bool:
    """True inside ``autocast`` for devices of that type, or for any."""
    on = [kind for kind, _ in state.context.autocast]
    return bool(on) if device_type is None else _kind(device_type) in on


def get_autocast_dtype(device_type: Any) -> DType:
    """The dtype of the autocast that this is inside of, or the one it would have by default."""
    kind = _kind(device_type)
    return dict(state.context.autocast).get(kind) or _short(kind, None)


def is_autocast_available(device_type: Any) -> bool:
    """True where a device of that type is ready and has a short float."""
    kind = _kind(device_type)
    return discovery.is_available(kind) and bool(_has(kind))
