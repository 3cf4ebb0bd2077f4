"""The status word of a device: how a kernel that refuses an index or a value tells the host.

A kernel with checks (`Definition.checks`) writes its launch's *ticket* to one word of device memory where a condition
fails. Nobody waits for that: the word is read at the next synchronisation or copy to the host (`check`), and the error
names the op and the user's line of that launch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .errors import IngotError, refusal
from .memory.site import Site, call_site, text

if TYPE_CHECKING:
    from .device import Device

_KEPT = 1 << 16  # launches remembered; of an older one only the fact is told
_WORD = 4


class _Status:
    """The word of one device, and what its tickets mean."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.handle: Any = None
        self.pending = False
        self.found = 0  # what the word said when it was given back unread
        self.next = 1
        self.launches: dict[int, tuple[str, Sequence[str], Site | None]] = {}

    def error(self, ticket: int) -> IngotError:
        for first, (op, codes, site) in self.launches.items():
            if first <= ticket < first + len(codes):
                place, code = text(site), codes[ticket - first]
                return refusal(code, f"{op}: {code}" + (f" (launched at {place})" if place else ""))
        return refusal("index", "an index was out of range, or a value, in an earlier launch")


_states: WeakKeyDictionary[Device, _Status] = WeakKeyDictionary()
_lock = threading.Lock()


def _state(device: Device) -> _Status:
    found = _states.get(device)
    if found is None:
        with _lock:
            found = _states.setdefault(device, _Status())
    return found


def ticket(device: Device, op: str, codes: Sequence[str]) -> int:
    """The number of a launch of ``op`` with these checks: check k writes ``ticket + k`` where it fails."""
    state = _state(device)
    site = call_site()
    with state.lock:
        if state.next > (1 << 31) - 1 - len(codes):
            state.next = 1
        number = state.next
        state.next += len(codes)
        state.launches[number] = (op, codes, site)
        state.pending = True
        if len(state.launches) > _KEPT:
            del state.launches[next(iter(state.launches))]
    return number


def following(device: Device) -> int:
    """The ticket that the next launch gets."""
    return _state(device).next


def since(device: Device, first: int) -> dict[int, Any]:
    """What the tickets from ``first`` on mean: those of a graph's launches, which are baked in. See `again`."""
    state = _state(device)
    with state.lock:
        return {number: meaning for number, meaning in state.launches.items() if number >= first}


def again(device: Device, launches: dict[int, Any]) -> None:
    """Launches with these tickets (`since`) are queued once more."""
    state = _state(device)
    with state.lock:
        state.launches.update(launches)
        state.pending = True


def word(device: Device) -> Any:
    """The handle of the device's status word, zeroed when it is made; OutOfMemoryError where there is no room for it."""
    state = _state(device)
    handle = state.handle
    return _make(device, state) if handle is None else handle


def _make(device: Device, state: _Status) -> Any:
    # Not under the lock: the pool's ladder calls `release`.
    handle = device.pool.raw(max(device.limits.allocation_granularity, device.limits.copy_granularity, _WORD))
    try:
        device.copy_in(handle, 0, memoryview(bytearray(_WORD)))
        with state.lock:
            if state.handle is None:
                state.handle = handle
        return state.handle
    finally:
        if state.handle is not handle and not device.lost:  # another thread was faster, or the copy failed
            device.release(handle)


def check(device: Device) -> None:
    """Raise what a launch since the last check has refused: an index or a value (`errors`). Free where no launch could."""
    state = _states.get(device)
    if state is None or not state.pending:
        return
    with state.lock:
        state.pending = False
        number, state.found = state.found or _read(device, state), 0
        error = state.error(number) if number else None
        state.launches.clear()
        if number and state.handle is not None:
            device.copy_in(state.handle, 0, memoryview(bytearray(_WORD)))
    if error is not None:
        raise error


def _read(device: Device, state: _Status) -> int:
    """What the word says, after all work that was queued before; 0 where there is none."""
    found = bytearray(_WORD)
    if state.handle is not None:
        device.copy_out(state.handle, 0, memoryview(found))
    return int.from_bytes(found, "little")


def finish(device: Device) -> None:
    """Wait until all work of ``device`` is done, and raise what its checks found."""
    device.synchronize()
    check(device)


def release(device: Device) -> None:
    """Give the status word back, once nothing uses it; the next launch with checks makes another.

    What it says is kept for the next `check`. Called when the pool gives all that is free back.
    """
    state = _states.get(device)
    if state is None or state.handle is None:
        return
    with state.lock:
        if not device.lost:
            device.synchronize()
            if state.pending:
                state.found = state.found or _read(device, state)
        handle, state.handle = state.handle, None
        if handle is not None and not device.lost:
            device.release(handle)
