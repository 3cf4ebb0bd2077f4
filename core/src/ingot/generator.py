"""The state of random numbers: a seed and an offset, above the backends.

Which element takes which counter is specified in `ingot_devices.opset.random`; a generator only says where the next op
begins. So the same seed gives the same bits on every device.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ingot_devices.context import state

from . import cpu
from .cpu import KIND as CPU

_MASK = (1 << 32) - 1


def _fresh_seed() -> int:
    """63 bits from the operating system."""
    return int.from_bytes(os.urandom(8), "little") >> 1


class Generator:
    """A stream of random numbers: ``seed`` (64 bits) and ``offset``. The default one is seeded by the operating system."""

    def __init__(self, device: Any = CPU) -> None:
        from .devices import device as name

        self._device = name(device)
        self._lock = threading.Lock()
        self._seed = _fresh_seed()
        self._offset = 0

    @property
    def device(self) -> Any:
        """The device it was made for; its numbers are the same on all."""
        return self._device

    def manual_seed(self, seed: int) -> Generator:
        """Begin anew with ``seed``."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise RuntimeError(f"Overflow when unpacking long: a seed has 64 bits, {seed} does not fit")
        if state.context.recording:
            state.recorder.stop("manual_seed()")
        with self._lock:
            self._seed, self._offset = seed % (1 << 64), 0
        return self

    def seed(self) -> int:
        """Begin anew with a seed from the operating system, which is returned."""
        self.manual_seed(_fresh_seed())
        return self._seed

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def take(self, blocks: int) -> tuple[int, int, int, int]:
        """(seed low, seed high, offset low, offset high) for an op that consumes ``blocks``; the offset moves on.

        Inside `func.vmap` each lane consumes as many, where it says that they differ.
        """
        for axis in state.axes:
            if axis.randomness == "error":
                raise RuntimeError("vmap: a random number was drawn inside; say with randomness='different' or 'same' whether "
                                   "each lane has its own")
            if axis.randomness == "different":
                blocks *= axis.size
        with self._lock:
            offset = self._offset
            self._offset = (offset + blocks) % (1 << 64)
        taken = self._seed & _MASK, self._seed >> 32, offset & _MASK, offset >> 32
        if state.context.recording:
            state.recorder.took(self, blocks, taken)
        return taken

    def get_state(self) -> Any:
        """The state as 16 bytes in a uint8 tensor, on the CPU where there is one."""
        import numpy as np

        from .ops.creation import tensor

        data = self._seed.to_bytes(8, "little") + self._offset.to_bytes(8, "little")
        return tensor(np.frombuffer(data, np.uint8), device=CPU if cpu.is_available() else None)

    def set_state(self, new_state: Any) -> Generator:
        """Go back to a state from `get_state`."""
        if state.context.recording:
            state.recorder.stop("set_state()")
        data = bytes(new_state.tolist())
        if len(data) != 16:
            raise RuntimeError(f"RNG state is wrong size: 16 bytes are expected, {len(data)} were given")
        with self._lock:
            self._seed, self._offset = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"device": str(self._device), "seed": self._seed, "offset": self._offset}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from .devices import device as name

        self._device, self._lock = name(state["device"]), threading.Lock()
        self._seed, self._offset = state["seed"], state["offset"]


class _Default(Generator):
    """The process's own; needs no device."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seed = _fresh_seed()
        self._offset = 0

    @property
    def device(self) -> Any:
        from .devices import get_default_device

        return get_default_device()


default_generator = _Default()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, for all devices."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system."""
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Set the default generator's state."""
    default_generator.set_state(new_state)
