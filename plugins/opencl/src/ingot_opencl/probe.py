"""Lists every device of every OpenCL platform and builds a kernel of one line on each.

Runs in a child process. `devices` is the one place that fixes which index means which device;
`device` uses it too. PoCL links kernels with ``ld`` and aborts the process where there is none, so
in that case the build is tried in a process of its own: ``python -m ingot_opencl.probe INDEX``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ingot_devices import DeviceInfo, Unavailable

CPU_PRIORITY = -10
_SOURCE = "__kernel void one(__global int *out) {{ out[get_global_id(0)] = {}; }}"
_TYPES = ("GPU", "ACCELERATOR", "CUSTOM", "CPU")
_NO_DRIVER = 'install a driver for your hardware, or the CPU\'s: `pip install "ingot-opencl[pocl]"`'
_NO_LINKER = "install binutils, which brings `ld`"
_UPDATE = "update its driver"
_Fault = tuple[str, str]  # and its remedy; both empty where there is none
# What a driver's compiler says of a trouble that is known, and what it comes to.
_KNOWN: tuple[tuple[str, _Fault], ...] = (
    (
        "unknown target CPU",
        (
            "the driver is older than this CPU, which its compiler does not know",
            "install a newer one; Debian's knows CPUs by what they can do: `apt-get install pocl-opencl-icd`",
        ),
    ),
)


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
    return [_describe(device, index) for index, device in enumerate(found)]


def _describe(device: Any, index: int) -> DeviceInfo:
    import pyopencl as cl

    fault, remedy = _build_apart(index) if _lacks_linker(device) else _build(device)
    kinds = [name for name in _TYPES if device.type & getattr(cl.device_type, name)]
    return DeviceInfo(
        name=device.name.strip(),
        memory=device.global_mem_size,
        compute_units=device.max_compute_units,
        driver=device.driver_version,
        details={"platform": device.platform.name.strip(), "type": ", ".join(kinds)},
        priority=CPU_PRIORITY if kinds == ["CPU"] else None,
        fault=fault,
        remedy=remedy,
    )


def _build(device: Any) -> _Fault:
    """Build and run one line."""
    import numpy as np
    import pyopencl as cl

    number = time.time_ns() & 0x7FFFFFFF  # a new source, which no cache of the driver answers
    result = np.zeros(4, np.int32)
    try:
        context = cl.Context([device])
        queue = cl.CommandQueue(context)
        kernel = cl.Kernel(cl.Program(context, _SOURCE.format(number)).build(), "one")
        buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, result.nbytes)
        kernel(queue, result.shape, None, buffer)
        cl.enqueue_copy(queue, result, buffer)
    except cl.Error as error:
        return _explain(str(error))
    if (result == number).all():
        return "", ""
    return "a kernel of one line computed something else", _UPDATE


def _explain(said: str) -> _Fault:
    """What an exception of pyopencl comes to: a known trouble, else the first line in which the compiler names an error."""
    for words, known in _KNOWN:
        if words in said:
            return known
    lines = said.strip().splitlines() or ["nothing was said"]
    line = next((one.strip() for one in lines if one.lstrip().startswith("error")), lines[0])
    return f"a kernel of one line could not be built ({line})", _UPDATE


def _lacks_linker(device: Any) -> bool:
    return "portable" in device.platform.name.lower() and shutil.which("ld") is None


def _build_apart(index: int) -> _Fault:
    """Try the build where an abort costs nothing. (Some builds of PoCL bring a linker along.)"""
    command = [sys.executable, "-m", "ingot_opencl.probe", str(index)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return "", ""
    if len(told := tried.stdout.splitlines()) == 2:  # it lived to tell
        return told[0], told[1]
    return "PoCL finds no linker, and so cannot build a kernel", _NO_LINKER


def main() -> int:
    """0 if a kernel can be built on the device with the index given; else 1, with the fault and the remedy, a line each."""
    fault, remedy = _build(devices()[int(sys.argv[1])])
    if fault:
        print(fault, remedy, sep="\n")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
