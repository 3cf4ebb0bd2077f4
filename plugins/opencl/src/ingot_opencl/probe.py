"""Lists every device of every OpenCL platform and builds a kernel of one line on each.

Runs in a child process. `devices` is the one place that fixes which index means which device; `device` uses it too.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from ingot_devices import DeviceInfo, Unavailable

CPU_PRIORITY = -10
_SOURCE = "__kernel void one(__global int *out) { out[get_global_id(0)] = 1; }"
_NO_DRIVER = "install a driver for your hardware, or the CPU's: `pip install \"ingot-opencl[pocl]\"`"


def devices() -> list[Any]:
    """All pyopencl devices, platform by platform."""
    import pyopencl as cl

    return [device for platform in cl.get_platforms() for device in platform.get_devices()]


def probe() -> Sequence[DeviceInfo] | Unavailable:
    """What `devices` finds, each with the fault that a build on it shows."""
    import pyopencl as cl

    try:
        found = devices()
    except cl.Error as error:
        return Unavailable(f"the OpenCL loader finds no platform ({error})", _NO_DRIVER)
    if not found:
        return Unavailable("no OpenCL platform has a device", _NO_DRIVER)
    return [_describe(device) for device in found]


def _describe(device: Any) -> DeviceInfo:
    import pyopencl as cl

    fault, remedy = _try_to_build(device)
    is_cpu = bool(device.type & cl.device_type.CPU)
    return DeviceInfo(
        name=device.name.strip(),
        memory=device.global_mem_size,
        compute_units=device.max_compute_units,
        driver=device.driver_version,
        details={"platform": device.platform.name.strip(), "type": cl.device_type.to_string(device.type)},
        priority=CPU_PRIORITY if is_cpu else None,
        fault=fault,
        remedy=remedy,
    )


def _try_to_build(device: Any) -> tuple[str, str]:
    """Build and run one line; (fault, remedy), both empty when it works."""
    import numpy as np
    import pyopencl as cl

    try:
        context = cl.Context([device])
        queue = cl.CommandQueue(context)
        kernel = cl.Program(context, _SOURCE).build(cache_dir=False).one
        buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, 4 * 4)
        kernel(queue, (4,), None, buffer)
        result = np.zeros(4, np.int32)
        cl.enqueue_copy(queue, result, buffer)
    except cl.Error as error:
        return _explain(device, str(error).strip().split("\n")[0])
    return ("", "") if (result == 1).all() else ("a kernel of one line computed nonsense", "update its driver")


def _explain(device: Any, error: str) -> tuple[str, str]:
    """PoCL links every kernel with ``ld``, and says little when there is none."""
    if "portable" in device.platform.name.lower() and shutil.which("ld") is None:
        return f"PoCL finds no linker to build kernels with ({error})", "install binutils, which brings `ld`"
    return f"a kernel of one line could not be built ({error})", "update its driver"
