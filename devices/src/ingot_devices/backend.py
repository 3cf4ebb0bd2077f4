"""A family of devices: what a plugin registers through the hook ``ingot_backends``.

Second stop of discovery: *declare* (this record, no driver touched) → *probe* (in a child process,
unless the backend says that it needs no driver) → *open* (a `Device`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from .errors import ContractError

if TYPE_CHECKING:
    from .device import Device

CONTRACT: tuple[int, int] = (1, 0)
"""The version of hooks, Device and Limits. The current and the previous minor are accepted."""


@dataclass(frozen=True)
class DeviceInfo:
    """What a probe says of one device. ``memory`` in bytes; ``details`` is free text by label.

    ``priority`` overrides the backend's for this device. A device that was seen and cannot be
    used is listed all the same, with ``fault`` (one line why) and ``remedy``.
    """

    name: str
    memory: int | None = None
    compute_units: int | None = None
    driver: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    priority: int | None = None
    fault: str = ""
    remedy: str = ""

    @property
    def usable(self) -> bool:
        """True unless the probe found a fault."""
        return not self.fault


@dataclass(frozen=True)
class Unavailable:
    """Why a backend has no device: one line, and the command or step that mends it."""

    reason: str
    remedy: str = ""


class Backend:
    """Declares one family of devices. Subclass, set the class attributes, write ``probe``,
    ``open``.

    ``name`` is what users type (``"acme"``, ``"acme:0"``); ``priority`` orders ``device("auto")``
    (the highest ready one wins; 0 is the CPU's); ``probe_in_process`` may be True only where no
    driver is called; ``survives_fork`` only where a forked child can go on using the device.
    ``dlpack_type`` is the ``DLDeviceType`` under which DLPack knows this memory (0: other libraries
    see it through the host only); the devices' `Device.address` and its neighbours go with it.
    """

    name: ClassVar[str]
    vendor: ClassVar[str] = ""
    contract: ClassVar[tuple[int, int]] = CONTRACT
    priority: ClassVar[int] = 10
    probe_in_process: ClassVar[bool] = False
    survives_fork: ClassVar[bool] = False
    dlpack_type: ClassVar[int] = 0

    def probe(self) -> Sequence[DeviceInfo] | Unavailable:
        """The devices of this machine in index order, or why there is none. May call the driver."""
        raise ContractError(f"{type(self).__name__} must define probe()")

    def probe_key(self) -> str:
        """What the probe's answer depends on beside plugin and boot: a cached answer is for one
        key.

        Driver versions, environment variables, folders of driver files. Runs in the user's
        process, so it must call no driver.
        """
        return ""

    def open(self, index: int) -> Device:
        """The device with this index of the probe's answer, ready for work."""
        raise ContractError(f"{type(self).__name__} must define open(index)")
