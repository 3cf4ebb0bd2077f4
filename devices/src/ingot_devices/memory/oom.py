"""What an `OutOfMemoryError` says: request, limit, what is used, and who holds the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OutOfMemoryError

if TYPE_CHECKING:
    from .pool import Pool

_LISTED = 8


def size_text(nbytes: int) -> str:
    """``nbytes`` for people: ``512 B``, ``1.50 MiB``."""
    size = float(nbytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{nbytes} B" if unit == "B" else f"{size:.2f} {unit}"


def too_large(pool: Pool, request: int) -> OutOfMemoryError:
    """The error for a request above the device's largest buffer."""
    bound = pool.device.limits.max_buffer
    return OutOfMemoryError(
        f"{pool.device.name} cannot allocate {size_text(request)} at once: its largest buffer is "
        f"{size_text(bound)}. Split the tensor (ingot.chunk), or use a narrower dtype", request, bound,
    )  # fmt: skip


def out_of_memory(pool: Pool, request: int, climbed: bool = True) -> OutOfMemoryError:
    """The error for a request that failed after the ladder (or, inside a graph capture, without it)."""
    stats = pool.stats()
    limit = pool.limit
    capacity = pool.device.limits.memory
    bound = f"limit {size_text(limit)}" if limit is not None else (
        f"memory {size_text(capacity)}" if capacity is not None else "no limit set")  # fmt: skip
    tried = (
        "Its cache was emptied and garbage collected before this"
        if climbed
        else "Inside a graph capture nothing can be freed"
    )
    lines = [
        f"{pool.device.name} is out of memory: {size_text(request)} requested, "
        f"{size_text(stats.used)} used, {size_text(stats.reserved)} reserved, {bound}.",
        f"{tried}; use smaller batches, drop tensors that are not needed, or raise the limit.",
    ]
    largest = pool.live(_LISTED)
    if largest:
        lines.append("Largest live allocations:")
        lines += [f"  {size_text(a.nbytes):>12}  {a.site or 'line not noted'}" for a in largest]
    rest = stats.used - sum(a.nbytes for a in largest)
    if rest > 0:
        lines.append(f"  {size_text(rest):>12}  in smaller ones")
    return OutOfMemoryError("\n".join(lines), request, limit)
