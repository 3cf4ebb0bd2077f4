"""Ingot on NVIDIA GPUs, through pycuda and NVRTC.

The light module that the entry point names: it declares the backend. `probe` runs in a child process, `device` is
imported when one is opened; only they import pycuda and ``cuda.bindings``, which the extra ``driver`` brings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingot_devices import Backend, DeviceInfo, Unavailable, hookimpl

if TYPE_CHECKING:
    from ingot_devices.device import Device

INGOT_CONTRACT = (1, 0)

_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH", "LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES")
_DISTRIBUTIONS = ("pycuda", "cuda-bindings", "nvidia-cuda-nvrtc")
_DRIVER = Path("/proc/driver/nvidia/version")


class CUDA(Backend):
    """Every NVIDIA GPU that the driver shows (``CUDA_VISIBLE_DEVICES`` chooses), in the driver's order."""

    name = "cuda"
    vendor = "NVIDIA"
    contract = (1, 0)
    priority = 100
    dlpack_type = 2  # kDLCUDA

    def probe(self) -> Sequence[DeviceInfo] | Unavailable:
        """The GPUs, without a context on any; one that cannot be used is listed with its fault."""
        from .probe import probe

        return probe()

    def probe_key(self) -> str:
        """The driver's version, the installed parts, and what steers them."""
        driver = _DRIVER.read_text() if _DRIVER.exists() else ""
        variables = [(name, os.environ.get(name)) for name in _VARIABLES]
        return repr((driver, variables, [_version(name) for name in _DISTRIBUTIONS]))

    def open(self, index: int) -> Device:
        """The GPU with this index, in its primary context."""
        from .device import CUDADevice

        return CUDADevice(index)


@hookimpl
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare the backend."""
    register(CUDA())


@hookimpl
def ingot_kernels(register: Callable[[Any], None]) -> None:
    """Matrix products and convolutions by NVIDIA's libraries, and fused attention."""
    from . import attention, convolution, matmul

    for kernel in (*matmul.KERNELS, *convolution.KERNELS, *attention.KERNELS):
        register(kernel)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
