"""``ingot.cpu``: the device whose name PyTorch's programs take for granted.

New tensors are made there unless told otherwise, ``x.cpu()`` goes there, and files name no other device for what lay
there.
"""

from __future__ import annotations

from typing import Any

from .lazy import discovery

KIND = __name__.rpartition(".")[2]
"""The backend's name: nothing else in the core says it."""


def is_available() -> bool:
    """True unless the plugin is missing or switched off."""
    return discovery.is_available(KIND)


def device_count() -> int:
    """How many devices are ready."""
    return discovery.device_count(KIND)


def current_device() -> str:
    """The name of the device."""
    return KIND


def synchronize(device: Any = None) -> None:
    """Wait for the device's queued work."""
    from . import accelerator

    accelerator.synchronize(device or KIND)
