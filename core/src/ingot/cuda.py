"""``ingot.cuda``: PyTorch's questions about that backend, answered by discovery.

Programs ask them before they choose a device, whether or not the backend is installed.
"""

from __future__ import annotations

from typing import Any

from . import accelerator
from .lazy import discovery

KIND = __name__.rpartition(".")[2]
"""The backend's name: nothing else in the core says it."""


def is_available() -> bool:
    """True when the backend is installed and has a device."""
    return discovery.is_available(KIND)


def device_count() -> int:
    """How many devices are ready."""
    return discovery.device_count(KIND)


def synchronize(device: Any = None) -> None:
    """Wait for the device's queued work."""
    accelerator.synchronize(device or KIND)


def empty_cache() -> None:
    """Give unused memory back, where the backend is ready."""
    if is_available():
        accelerator.empty_cache(KIND)


def manual_seed(seed: int) -> None:
    """Seed the generator, which all devices share."""
    from .generator import manual_seed as seed_all

    seed_all(seed)


manual_seed_all = manual_seed
