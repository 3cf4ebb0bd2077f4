"""The contract between Ingot and hardware: hooks, discovery, devices, memory, kernels.

What plugin authors and the core import. Names are resolved at first use, so that ``import
ingot_devices`` costs nothing: the child process of a probe needs neither NumPy nor the opset.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import CONTRACT, Backend, DeviceInfo, Unavailable
    from .device import Arguments, Binding, Device
    from .discovery import (
        best,
        device_count,
        is_available,
        open_device,
        ready,
        record,
        records,
        reset_device,
    )
    from .errors import ContractError, DeviceLost, DeviceUnavailable, IngotError, OutOfMemoryError
    from .hooks import hookimpl, hookspec
    from .limits import Limits
    from .outcomes import Record

_HOME = {
    "CONTRACT": "backend",
    "Arguments": "device",
    "Backend": "backend",
    "Binding": "device",
    "ContractError": "errors",
    "Device": "device",
    "DeviceInfo": "backend",
    "DeviceLost": "errors",
    "DeviceUnavailable": "errors",
    "IngotError": "errors",
    "Limits": "limits",
    "OutOfMemoryError": "errors",
    "Record": "outcomes",
    "Unavailable": "backend",
    "best": "discovery",
    "device_count": "discovery",
    "hookimpl": "hooks",
    "hookspec": "hooks",
    "is_available": "discovery",
    "open_device": "discovery",
    "ready": "discovery",
    "record": "discovery",
    "records": "discovery",
    "reset_device": "discovery",
}

__all__ = [
    "CONTRACT",
    "Arguments",
    "Backend",
    "Binding",
    "ContractError",
    "Device",
    "DeviceInfo",
    "DeviceLost",
    "DeviceUnavailable",
    "IngotError",
    "Limits",
    "OutOfMemoryError",
    "Record",
    "Unavailable",
    "best",
    "device_count",
    "hookimpl",
    "hookspec",
    "is_available",
    "open_device",
    "ready",
    "record",
    "records",
    "reset_device",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
