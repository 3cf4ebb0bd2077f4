"""Choosing and watching devices without naming a backend (`torch.accelerator`'s names)."""

from __future__ import annotations

from typing import Any

from . import cpu
from .devices import device, open_device
from .lazy import discovery


def is_available() -> bool:
    """True when a device other than the CPU is ready."""
    return any(not name.startswith(cpu.KIND) for name in discovery.ready())


def current_accelerator(check_available: bool = False) -> device | None:
    """The ready device of highest priority (``INGOT_DEVICE`` overrides), as ``device("auto")``."""
    return device("auto")


def device_count() -> int:
    """How many devices of the current accelerator's backend are ready."""
    return discovery.device_count(device("auto").type)


def _opened(spec: Any) -> Any:
    """The device ``spec``; the current accelerator where that is None."""
    return open_device(current_accelerator() if spec is None else spec)


def synchronize(spec: Any = None) -> None:
    """Wait for a device's queued work; an index refused by a kernel is raised here.

    Without ``spec`` it is the current accelerator's, here and below.
    """
    from ingot_devices import status

    status.finish(_opened(spec))


def memory_stats(spec: Any = None) -> dict[str, Any]:
    """The pool's counters, in bytes: used, reserved, peak …"""
    found: dict[str, Any] = _opened(spec).pool.stats()._asdict()
    return found


def memory_allocated(spec: Any = None) -> int:
    """Bytes that tensors hold."""
    return int(_opened(spec).pool.stats().used)


def max_memory_allocated(spec: Any = None) -> int:
    """The most bytes that tensors held at once."""
    return int(_opened(spec).pool.stats().peak)


def memory_reserved(spec: Any = None) -> int:
    """Bytes taken from the device, held or kept for reuse."""
    return int(_opened(spec).pool.stats().reserved)


def empty_cache(spec: Any = None) -> None:
    """Give memory that no tensor holds back to the device."""
    _opened(spec).pool.empty_cache()


def set_memory_limit(nbytes: int | None, spec: Any = None) -> None:
    """Bytes that tensors may hold before `OutOfMemoryError` (None: no limit but the device's)."""
    _opened(spec).pool.set_limit(nbytes)


def current_stream(spec: Any = None) -> Any:
    """The `Stream` that this thread's work on a device goes to."""
    from .streams import current_stream as found

    return found(_opened(spec).name)


def set_stream(stream: Any) -> None:
    """Make a `Stream` current for this thread."""
    from .streams import set_stream as make_current

    make_current(stream)


def reset(spec: Any) -> device:
    """Open a lost device again: a new incarnation, without the tensors of the old one."""
    from ingot_devices.layout import Layout

    from .devices import forget
    from .dispatch import forget_plans

    name = discovery.resolve_name(str(spec))
    old = [d for d in discovery.open_devices() if d.name == name]
    forget_plans()
    discovery.reset_device(name)
    for dead in old:
        forget(dead)
        Layout.forget(dead)
    return device(spec)
