"""``ingot.cuda``: PyTorch's questions about that backend, answered by discovery.

Programs ask them before they choose a device, whether or not the backend is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
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
    accelerator.synchronize(_named(device))


def current_device() -> int:
    """The index of the device that the backend's bare name means."""
    return discovery.open_device(KIND).index


def get_device_name(device: Any = None) -> str:
    """What the driver calls the device."""
    return str(_info(device).name)


def get_device_properties(device: Any = None) -> SimpleNamespace:
    """``name``, ``total_memory`` in bytes, ``multi_processor_count``, and ``warp_size``."""
    info, limits = _info(device), discovery.open_device(_named(device)).limits
    return SimpleNamespace(
        name=info.name, total_memory=info.memory, multi_processor_count=info.compute_units, warp_size=limits.lanes
    )


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes, as the driver counts for all processes."""
    found = discovery.open_device(_named(device)).memory_info()
    if found is None:
        raise RuntimeError(f"{_named(device)} does not tell how much memory is free")
    return int(found[0]), int(found[1])


def memory_allocated(device: Any = None) -> int:
    """Bytes that tensors hold."""
    return accelerator.memory_allocated(_named(device))


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that tensors held at once."""
    return accelerator.max_memory_allocated(_named(device))


def memory_reserved(device: Any = None) -> int:
    """Bytes taken from the device, held or kept for reuse."""
    return accelerator.memory_reserved(_named(device))


def reset_peak_memory_stats(device: Any = None) -> None:
    """Count the peak anew."""
    discovery.open_device(_named(device)).pool.reset_peak()


def Stream(device: Any = None, priority: int = 0) -> Any:
    """A further queue of a device; see `ingot.Stream`."""
    from .streams import Stream as made

    return made(_named(device), priority)


def Event(enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> Any:
    """A mark in a stream of the current device; see `ingot.Event`."""
    from .streams import Event as made

    return made(KIND, enable_timing=enable_timing, blocking=blocking, interprocess=interprocess)


def stream(stream: Any) -> AbstractContextManager[Any]:
    """``with ingot.cuda.stream(s):`` makes it current for this thread; None changes nothing."""
    from .streams import checked

    return nullcontext() if stream is None else checked(stream, "stream")


def current_stream(device: Any = None) -> Any:
    """The stream that this thread's work on a device goes to."""
    return accelerator.current_stream(_named(device))


def default_stream(device: Any = None) -> Any:
    """The stream that is current where none was set."""
    from .streams import default_stream as found

    return found(_named(device))


def _named(device: Any) -> str:
    """A device's full name; a number is an index of this backend."""
    spec = KIND if device is None else f"{KIND}:{device}" if isinstance(device, int) else str(device)
    return str(discovery.resolve_name(spec))


def _info(device: Any) -> Any:
    """What the probe said of a device."""
    kind, _, index = _named(device).partition(":")
    return discovery.record(kind).devices[int(index)]


class nvtx:
    """Ranges of one's own on the time line of the vendor's profiler; `profiler.emit_ranges` names all ops there."""

    @staticmethod
    def range_push(msg: str) -> None:
        """Begin a range of this thread's work on the current device; ranges nest."""
        discovery.open_device(KIND).push_range(msg)

    @staticmethod
    def range_pop() -> None:
        """End the innermost range."""
        discovery.open_device(KIND).pop_range()

    @staticmethod
    @contextmanager
    def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
        """``with ingot.cuda.nvtx.range("epoch {}", k):`` a range around the block."""
        nvtx.range_push(msg.format(*args, **kwargs))
        try:
            yield
        finally:
            nvtx.range_pop()


def empty_cache() -> None:
    """Give unused memory back, where the backend is ready."""
    if is_available():
        accelerator.empty_cache(KIND)


def manual_seed(seed: int) -> None:
    """Seed the generator, which all devices share."""
    from .generator import manual_seed as seed_all

    seed_all(seed)


manual_seed_all = manual_seed
