"""Every error that the contract raises, as one tree.

    IngotError
    ├── DeviceUnavailable     an explicit choice of device that cannot be had; carries the discovery record
    ├── ContractError         a plugin broke its side of the contract (names plugin, hook and fault)
    ├── DeviceLost            the device is a dead incarnation: open it again
    ├── LaunchError           a kernel could not be launched, or failed while running
    ├── DeclarationError      an author's op or kernel is declared wrongly; names file and line
    ├── KernelBuildError      a kernel's source was refused by the device's compiler; carries source and log
    ├── NoKernelError         no route computes this op on this device
    ├── FallbackError         the host route was needed while the policy is "error"
    ├── DeviceIndexError      a kernel refused an index (also an IndexError)
    ├── DeviceValueError      a kernel refused a value (also a ValueError)
    └── OutOfMemoryError      an allocation failed after the whole ladder (also a MemoryError)

Callers may catch by meaning (``IndexError``, ``MemoryError``, ``RuntimeError``) without knowing Ingot.
"""

from __future__ import annotations


class IngotError(RuntimeError):
    """Root of the tree; a RuntimeError, because that is what PyTorch programs catch."""


class DeviceUnavailable(IngotError):
    """A device was asked for by name and cannot be had.

    ``record`` is the discovery record (or None when the name is known to nobody).
    """

    def __init__(self, message: str, record: object | None = None) -> None:
        super().__init__(message)
        self.record = record


class ContractError(IngotError):
    """A plugin broke its side of the contract."""


class DeviceLost(IngotError):
    """The device was lost; this incarnation refuses all work. Open the device again."""


class LaunchError(IngotError):
    """A kernel could not be launched, or failed while it ran."""


class DeclarationError(IngotError):
    """An op or a kernel is declared wrongly. The message begins with the author's ``file:line``."""


class KernelBuildError(IngotError):
    """The device's compiler refused a kernel. ``source`` and ``log`` hold what it said."""

    def __init__(self, message: str, source: str = "", log: str = "") -> None:
        super().__init__(message)
        self.source = source
        self.log = log


class NoKernelError(IngotError):
    """No registered kernel, definition, decomposition or host evaluation computes this."""


class FallbackError(IngotError):
    """The host route was needed, and the fallback policy forbids it."""


class DeviceIndexError(IngotError, IndexError):
    """A kernel met an index out of range; raised at the next synchronisation with op and line."""


class DeviceValueError(IngotError, ValueError):
    """A kernel met a value that its op does not take; raised at the next synchronisation with op and line."""


def refusal(code: str, message: str) -> IngotError:
    """The error of a failed check: its ``code`` begins with "index" where it is about one."""
    return (DeviceIndexError if code.startswith("index") else DeviceValueError)(message)


class OutOfMemoryError(IngotError, MemoryError):
    """An allocation failed after cache, collection and retry.

    ``requested`` and ``limit`` are bytes (limit None: the device's own).
    """

    def __init__(self, message: str, requested: int = 0, limit: int | None = None) -> None:
        super().__init__(message)
        self.requested = requested
        self.limit = limit
