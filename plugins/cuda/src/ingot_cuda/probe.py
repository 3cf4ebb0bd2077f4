"""Lists the NVIDIA GPUs and says why one, or all, cannot be used. No context is created.

Runs in a child process. What can be missing, from the outside in: the driver (``libcuda``), a GPU, pycuda, the runtime
compiler, a driver as new as that compiler, a GPU that the compiler still knows, a compute mode that lets us in.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from glob import glob
from typing import Any

from ingot_devices import DeviceInfo, Unavailable

TOOLKIT = 13
"""The major version of the NVRTC that the extra pins. A driver runs what a compiler of its own major version builds."""

OLDEST = (7, 5)
"""The oldest compute capability that this NVRTC builds for."""

PROHIBITED, EXCLUSIVE = 2, 3  # CUcomputemode
_HARDWARE = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/gpus/*", "/dev/nvhost-gpu", "/dev/dxg")
_INSTALL = '`pip install "ingot-cuda[driver]"`; it builds pycuda, for which plugins/cuda/README.md has the command'
_DRIVER = "install NVIDIA's driver, version 580 or newer"


def probe() -> Sequence[DeviceInfo] | Unavailable:
    """The GPUs in the driver's order, each with what keeps it from being used; or why there is none."""
    missing = _missing()
    if missing:
        seen = [path for pattern in _HARDWARE for path in sorted(glob(pattern))]
        if not seen:
            return Unavailable(f"no NVIDIA GPU is seen on this machine, and {missing[0]}", missing[1])
        return [DeviceInfo("NVIDIA GPU", details={"seen at": seen[0]}, fault=missing[0], remedy=missing[1])]
    import pycuda.driver as drv

    try:
        drv.init()
        count = drv.Device.count()
    except drv.Error as error:
        return Unavailable(f"NVIDIA's driver shows no GPU ({_said(error)})", _no_device(str(error)))
    if not count:
        return Unavailable("NVIDIA's driver shows no GPU", _no_device(""))
    return [describe(drv, index) for index in range(count)]


def _missing() -> tuple[str, str] | None:
    """What is not installed and what to do, or None."""
    try:
        importlib.import_module("pycuda.driver")
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed", _INSTALL
    except ImportError as error:
        if "libcuda" in str(error):
            return f"NVIDIA's driver is not installed ({error})", _DRIVER
        return f"pycuda cannot be loaded ({error})", "build pycuda anew, as plugins/cuda/README.md says"
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed", _INSTALL
    except Exception as error:  # the loader of the library raises several kinds
        said = str(error).strip().split("\n")[0]
        return f"NVRTC cannot be loaded ({said})", '`pip install "nvidia-cuda-nvrtc==13.0.*"`'
    return None


def describe(drv: Any, index: int) -> DeviceInfo:
    """One GPU of pycuda's driver module ``drv``."""
    device = drv.Device(index)
    attribute = drv.device_attribute
    version = drv.get_driver_version()
    capability = device.compute_capability()
    mode = device.get_attribute(attribute.COMPUTE_MODE)
    fault, remedy = _fault(version, capability, int(mode))
    details = {"compute capability": "{}.{}".format(*capability), "bus": device.pci_bus_id()}
    if int(mode) == EXCLUSIVE:
        details["compute mode"] = "exclusive: one process at a time"
    return DeviceInfo(
        name=device.name(),
        memory=device.total_memory(),
        compute_units=device.get_attribute(attribute.MULTIPROCESSOR_COUNT),
        driver=f"CUDA {version // 1000}.{version % 1000 // 10}",
        details=details,
        fault=fault,
        remedy=remedy,
    )


def _fault(version: int, capability: tuple[int, int], mode: int) -> tuple[str, str]:
    if version // 1000 < TOOLKIT:
        said = f"its driver knows CUDA {version // 1000}.{version % 1000 // 10}, and kernels are built by CUDA {TOOLKIT}"
        return said, _DRIVER
    if capability < OLDEST:
        said = "compute capability {}.{} is older than {}.{}, the oldest that CUDA {} builds for"
        return said.format(*capability, *OLDEST, TOOLKIT), "use another device, through OpenCL perhaps"
    if mode == PROHIBITED:
        return "its compute mode prohibits contexts", "`nvidia-smi -c DEFAULT`, as root"
    return "", ""


def _said(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _no_device(said: str) -> str:
    if "no CUDA-capable device" in said or not said:
        return "is CUDA_VISIBLE_DEVICES empty, or the GPU not handed to this container? `nvidia-smi` shows what there is"
    return "`nvidia-smi` shows the driver's state; restart after an update of it, or install it anew"
