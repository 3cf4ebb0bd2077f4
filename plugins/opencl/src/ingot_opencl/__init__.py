"""Ingot on every OpenCL device, through pyopencl.

The light module that the entry point names: it declares the backend. `probe` runs in a child
process, `device` is imported when one is opened; only they import pyopencl.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

if TYPE_CHECKING:
    from ingot_devices.device import Device

INGOT_CONTRACT = (1, 0)

_VARIABLES = (
    "OCL_ICD_VENDORS",
    "OCL_ICD_FILENAMES",
    "OPENCL_VENDOR_PATH",
    "POCL_DEVICES",
    "POCL_KERNELLIB_NAME",
    "POCL_LLVM_CPU_NAME",
    "PATH",
    "LD_LIBRARY_PATH",
)
_DISTRIBUTIONS = ("ingot-opencl", "pyopencl", "pocl-binary-distribution")


class OpenCL(Backend):
    """Every device of every platform, in the order of the drivers.

    ``priority`` is a GPU's; a CPU driven through OpenCL comes after the CPU itself (see `probe`).
    """

    name = "opencl"
    vendor = "any"
    contract = (1, 0)
    priority = 50

    def probe(self) -> Sequence[DeviceInfo] | Unavailable:
        """The devices; one on which a kernel cannot be built is listed with its fault."""
        from .probe import probe

        return probe()

    def probe_key(self) -> str:
        """The installed drivers and what steers them."""
        files = sorted(glob("/etc/OpenCL/vendors/*.icd"))
        drivers = [(path, os.stat(path).st_mtime_ns) for path in files]
        variables = [(name, os.environ.get(name)) for name in _VARIABLES]
        return repr((drivers, variables, [_version(name) for name in _DISTRIBUTIONS]))

    def open(self, index: int) -> Device:
        """The device with this index."""
        from .device import OpenCLDevice

        return OpenCLDevice(index)


@hookimpl
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare the backend."""
    register(OpenCL())


@hookimpl
def ingot_kernels(register: Callable[[Any], None]) -> None:
    """Kernels of our own."""
    from .matmul import KERNELS

    for kernel in KERNELS:
        register(kernel)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
