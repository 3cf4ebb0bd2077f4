"""A strict pretend accelerator: what the contract means, executable.

The light module that the entry point names: it declares the backend. `device` is imported
when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

from . import faults

if TYPE_CHECKING:
    from ingot_devices.device import Device

INGOT_CONTRACT = (1, 0)


class Sim(Backend):
    """Pretends to be an accelerator. ``auto`` takes it only where nothing else is ready."""

    name = "sim"
    vendor = "none"
    contract = (1, 0)
    priority = -100
    probe_in_process = not faults.probe_requested()  # one that hangs on request needs a process that can be ended

    def probe(self) -> Sequence[DeviceInfo] | Unavailable:
        """Always one device, unless the environment asks for a fault, or for what does not exist."""
        from .config import SimConfig

        faults.probe_fault()
        try:
            config = SimConfig.from_env()
        except ValueError as error:
            return Unavailable(str(error), "correct the variable, or unset it")
        return [DeviceInfo("simulated accelerator", memory=config.memory, compute_units=1, driver="Python")]

    def probe_key(self) -> str:
        """What the answer depends on."""
        return " ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("INGOT_SIM_"))

    def open(self, index: int) -> Device:
        """The one device; ``index`` is 0."""
        from .device import SimDevice

        return SimDevice()


@hookimpl
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare the backend."""
    register(Sim())
