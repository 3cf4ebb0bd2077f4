"""What a probe gets: the open device, ingot on it, and a few ways to move bytes.

A *probe* is a check that belongs to no op: memory, streams, faults. It takes a `Bench` and raises AssertionError; its
docstring says what must hold. Probes are collected by `probe` and named after their function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ingot_devices.memory.chunks import handle_of

from .harness.subject import Subject

Probe = Callable[["Bench"], None]


class NotPresent(Exception):
    """What is asked about is optional, and this device does not have it; the message says what."""


@dataclass(frozen=True)
class Bench:
    """``device``: the open contract Device. ``subject``: ingot on it."""

    device: Any
    subject: Subject

    @property
    def t(self) -> Any:
        """ingot."""
        return self.subject.t

    @property
    def name(self) -> str:
        return str(self.device.name)

    @property
    def grain(self) -> int:
        """Bytes that both an allocation and a copy are made of."""
        limits = self.device.limits
        return int(np.lcm(limits.allocation_granularity, limits.copy_granularity))

    def allocate(self, nbytes: int) -> Any:
        """Raw memory of the device."""
        return handle_of(self.device, nbytes)

    def put(self, handle: Any, data: bytes, offset: int = 0) -> None:
        """Bytes to the device."""
        self.device.copy_in(handle, offset, memoryview(bytearray(data)))

    def get(self, handle: Any, nbytes: int, offset: int = 0) -> bytes:
        """Bytes from the device."""
        found = bytearray(nbytes)
        self.device.copy_out(handle, offset, memoryview(found))
        return bytes(found)

    def release(self, *handles: Any) -> None:
        """Give raw memory back, once nothing that is queued uses it."""
        self.device.synchronize()
        for handle in handles:
            self.device.release(handle)

    def tensor(self, data: Any, **options: Any) -> Any:
        """A tensor on the device."""
        return self.t.tensor(np.asarray(data), device=self.subject.device, **options)


def pattern(nbytes: int, seed: int) -> bytes:
    """Bytes that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8).tobytes()


def difference(found: bytes, wanted: bytes) -> str:
    """Where two byte strings differ, for people."""
    if len(found) != len(wanted):
        return f"{len(found)} bytes, not {len(wanted)}"
    at = next((k for k, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b), None)
    return "" if at is None else f"byte {at} is {found[at]:#04x}, not {wanted[at]:#04x}"


def same(found: bytes, wanted: bytes, what: str) -> None:
    """AssertionError where the bytes differ."""
    if found != wanted:
        raise AssertionError(f"{what}: {difference(found, wanted)}")
