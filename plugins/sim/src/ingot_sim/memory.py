"""The memory of the pretend accelerator: private bytes behind integer handles, poisoned and fenced.

Used by `device` for allocations and copies and by the kernels' runs. Nothing outside ever gets a pointer: the host
holds a handle, an integer that is never used twice. Fresh memory is filled with a pattern that is NaN in every float
type and absurd as an index or a bool, so that reading what was never written shows. A band of known bytes lies before
and after each buffer and is checked when it is released and at every synchronisation.
"""

from __future__ import annotations

from ingot_devices.errors import ContractError

POISON = b"\xfb\x7f"
"""0x7ffb: NaN as float16, bfloat16, float32 and float64; 2147188731 as an int32; no bool."""
GUARD = b"\xcb" * 64
BAND = len(GUARD)
_REMEMBERED = 100_000


class Memory:
    """All live buffers of one device. ``capacity`` in bytes, or None for as much as the host has."""

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.used = 0
        self._live: dict[int, bytearray] = {}
        self._freed: dict[int, int] = {}
        self._parts: dict[int, tuple[int, int, int]] = {}  # a handle on a part → (whole, first byte, bytes)
        self._named: dict[tuple[int, int, int], int] = {}  # the other way round
        self._next = 0x1000

    def __len__(self) -> int:
        return len(self._live)

    def allocate(self, nbytes: int) -> int:
        """A new handle on ``nbytes`` of poisoned memory; MemoryError beyond the capacity."""
        if self.capacity is not None and self.used + nbytes > self.capacity:
            raise MemoryError(f"sim has {self.capacity} bytes, {self.used} of them in use: no room for {nbytes} more")
        fill = (POISON * (nbytes // 2 + 1))[:nbytes]
        handle = self._next
        self._next += 1
        self._live[handle] = bytearray(GUARD + fill + GUARD)
        self.used += nbytes
        return handle

    def release(self, handle: int) -> None:
        """Take a buffer back; ContractError for one already released, unknown, or written outside its bounds."""
        self._find(handle, "released")
        self.check(handle)
        nbytes = self.size(handle)
        del self._live[handle]
        for key in [k for k in self._named if k[0] == handle]:
            del self._parts[self._named.pop(key)]
        self.used -= nbytes
        if len(self._freed) >= _REMEMBERED:
            self._freed.pop(next(iter(self._freed)))
        self._freed[handle] = nbytes

    def forget(self) -> None:
        """Drop everything: the device was lost."""
        self._live.clear()
        self._parts.clear()
        self._named.clear()
        self.used = 0

    def part(self, handle: int, offset: int, nbytes: int) -> int:
        """A handle on some bytes of a live buffer, the same for the same bytes; it goes when the buffer is released."""
        self.window(handle, offset, nbytes, "cut")
        key = (handle, offset, nbytes)
        if key not in self._named:
            self._named[key] = self._next
            self._parts[self._next] = key
            self._next += 1
        return self._named[key]

    def owner(self, handle: int) -> int:
        """The buffer that a handle on a part is of; any other handle as it is."""
        return self._parts[handle][0] if handle in self._parts else handle

    def size(self, handle: int) -> int:
        """Bytes of a live buffer, or of a part."""
        if handle in self._parts:
            return self._parts[handle][2]
        return len(self._find(handle, "measured")) - 2 * BAND

    def window(self, handle: int, offset: int, nbytes: int, act: str) -> memoryview:
        """Bytes ``[offset, offset + nbytes)`` of a live buffer, writable; ContractError outside of it."""
        whole, start, size = self._parts.get(handle, (handle, 0, 0))
        buffer = self._find(whole, act)
        size = size or len(buffer) - 2 * BAND
        if offset < 0 or nbytes < 0 or offset + nbytes > size:
            raise ContractError(
                f"sim: bytes {offset} to {offset + nbytes} of handle {handle:#x} were {act}, and it has {size} bytes"
            )
        start += BAND + offset
        return memoryview(buffer)[start : start + nbytes]

    def whole(self, handle: int, act: str) -> memoryview:
        """All bytes of a live buffer, writable."""
        if handle in self._parts:
            return self.window(handle, 0, self.size(handle), act)
        return memoryview(self._find(handle, act))[BAND:-BAND]

    def check(self, handle: int) -> None:
        """ContractError where the bands around a buffer were written."""
        buffer = self._live[handle]
        if buffer[:BAND] == GUARD and buffer[-BAND:] == GUARD:
            return
        before = buffer[:BAND] != GUARD
        where = "before its first byte" if before else "past its last byte"
        raise ContractError(
            f"sim: the guard band of handle {handle:#x} ({len(buffer) - 2 * BAND} bytes) was written {where}"
        )

    def check_all(self) -> None:
        """Check the bands of every live buffer."""
        for handle in list(self._live):
            self.check(handle)

    def _find(self, handle: int, act: str) -> bytearray:
        found = self._live.get(handle) if isinstance(handle, int) else None
        if found is not None:
            return found
        if isinstance(handle, int) and handle in self._freed:
            raise ContractError(
                f"sim: handle {handle:#x} ({self._freed[handle]} bytes) is {act} after it was released"
                if act != "released"
                else f"sim: handle {handle:#x} ({self._freed[handle]} bytes) is released twice"
            )
        raise ContractError(f"sim: {handle!r} is {act}, and is no handle of this device")
