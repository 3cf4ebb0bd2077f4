"""What an `OutOfMemoryError` says: request, limit, what is used, and who holds the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OutOfMemoryError

if TYPE_CHECKING:
    from .pool import Pool

_LISTED = 8
_STEP = 1024


def size_text(nbytes: int) -> str:
    """``nbytes`` for people: ``512 B``, ``1.50 MiB``."""
    if nbytes < _STEP:
        return f"{nbytes} B"
    size = nbytes / _STEP
    for unit in ("KiB", "MiB"):
        if size < _STEP:
            return f"{size:.2f} {unit}"
        size /= _STEP
    return f"{size:.2f} GiB"


def too_large(pool: Pool, request: int) -> OutOfMemoryError:
    """The error for a request above the device's largest buffer."""
    bound = pool.device.limits.max_buffer
    message = (
        f"{pool.device.name} cannot allocate {size_text(request)} at once: its largest buffer is "
        f"{size_text(bound)}. Split the tensor, or use a narrower dtype"
    )
    return OutOfMemoryError(message, request, bound)


def out_of_memory(pool: Pool, request: int, counted: int = 0) -> OutOfMemoryError:
    """The error for a request that failed after the ladder (in a graph capture: without it).

    ``counted`` bytes of it are in the pool's figures already.
    """
    stats = pool.stats()
    used, reserved = stats.used - counted, stats.reserved - counted
    tried = (
        "Nothing can be freed inside a graph capture"
        if pool.capturing
        else "The cache was emptied and garbage collected first"
    )
    lines = [
        (
            f"{pool.device.name} is out of memory: {size_text(request)} requested, "
            f"{size_text(used)} used, {size_text(reserved)} reserved, {_bound(pool)}."
        ),
        f"{tried}; use smaller batches, drop tensors that are not needed, or raise the limit.",
    ]
    largest = pool.live(_LISTED)
    rest = used - sum(a.nbytes for a in largest)
    if largest:
        lines.append("Largest live allocations:")
        lines += [f"{size_text(a.nbytes):>12}  {a.site or 'line not known'}" for a in largest]
        if rest > 0:
            lines.append(f"{size_text(rest):>12}  in others")
    return OutOfMemoryError("\n".join(lines), request, pool.limit)


def _bound(pool: Pool) -> str:
    capacity = pool.device.limits.memory
    if pool.limit is not None:
        return f"limit {size_text(pool.limit)}"
    return "no limit set" if capacity is None else f"memory {size_text(capacity)}"
