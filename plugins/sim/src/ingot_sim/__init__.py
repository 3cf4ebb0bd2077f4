"""A strict pretend accelerator: what the contract means, executable.

The light module that the entry point names: it declares the backend. `device` is imported
when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

if TYPE_CHECKING:
    from ingot_devices.device import Device

INGOT_CONTRACT = (1, 0)


class Sim(Backend):
    """Pretends to be an accelerator. ``auto`` takes it only where nothing else is ready."""

    name = "sim"
    vendor = "none"
    contract = (1, 0)
    priority = -100
    probe_in_process = True

    def probe(self) -> Sequence[DeviceInfo] | Unavailable:
        """Always one device."""
        return [DeviceInfo("simulated accelerator", compute_units=1, driver="Python")]

    def open(self, index: int) -> Device:
        """The one device; ``index`` is 0."""
        from .device import SimDevice

        return SimDevice()


@hookimpl
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare the backend."""
    register(Sim())
