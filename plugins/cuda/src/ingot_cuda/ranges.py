"""NVTX: named ranges of the host's work, which NVIDIA's profilers show above what they see of the GPU.

By the vendor's package ``nvtx``, which does nothing unless a profiler watches. It is asked for at the first range.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from typing import Any

from ingot_devices.errors import ContractError

REMEDY = "pip install 'ingot-cuda[nvtx]'"


@cache
def domain(name: str) -> Any:
    """Our ranges are kept apart from those of others by their domain."""
    try:
        return import_module("nvtx").get_domain("ingot")
    except ImportError as error:
        reason = f"{name} hands its ranges on through the package nvtx, which does not load ({error})"
        raise ContractError(f"{reason}: {REMEDY}") from error


@lru_cache(1024)
def attributes(name: str, text: str) -> Any:
    """A range's name as NVTX keeps it: made once for those in use, which a counter in a name may make many."""
    return domain(name).get_event_attributes(message=text)


def push(name: str, text: str) -> None:
    """Begin the range ``text`` in this thread; ``name`` is the device's, for the error."""
    domain(name).push_range(attributes(name, text))


def pop(name: str) -> None:
    """End the innermost range of this thread."""
    domain(name).pop_range()
