"""Ingot on every Vulkan, Metal and Direct3D 12 device, through WebGPU.

The light module that the entry point names: it declares the backend. `probe` runs in a child process, `device` is
imported when one is opened; only they import wgpu.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

if TYPE_CHECKING:
    from ingot_devices.device import Device

INGOT_CONTRACT = (1, 0)

_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES", "XDG_DATA_DIRS", "LD_LIBRARY_PATH")
_DRIVERS = ("/usr/share/vulkan/icd.d/*.json", "/usr/local/share/vulkan/icd.d/*.json", "/etc/vulkan/icd.d/*.json",
            "/usr/lib/*/libvulkan.so.1")  # fmt: skip


class WebGPU(Backend):
    """Every adapter of Vulkan, Metal and Direct3D 12.

    Below the backends that a vendor's own language drives, above the CPU; an adapter that is a CPU comes after the CPU
    itself (see `probe`).
    """

    name = "webgpu"
    vendor = "any"
    contract = (1, 0)
    priority = 40

    def probe(self) -> Sequence[DeviceInfo] | Unavailable:
        """The adapters; one on which a shader cannot be run is listed with its fault."""
        from .probe import probe

        return probe()

    def probe_key(self) -> str:
        """The installed drivers and what steers them."""
        files = [(path, os.stat(path).st_mtime_ns) for pattern in _DRIVERS for path in sorted(glob(pattern))]
        return repr((files, [(name, os.environ.get(name)) for name in _VARIABLES], _version("wgpu")))

    def open(self, index: int) -> Device:
        """The device with this index."""
        from .device import WebGPUDevice

        return WebGPUDevice(index)


@hookimpl
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare the backend."""
    register(WebGPU())


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
