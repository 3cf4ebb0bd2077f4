"""Lists every device of every OpenCL platform, and builds and runs two small kernels on each.

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
_BYTES = """
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void bytes(__global const uchar *restrict x, __global uchar *restrict y, const int rows, const int columns, const int each) {
  const int first = (int)get_global_id(0) * each, whole = rows / 16 * 16;
  for (int column = first; column < min(first + each, columns); column++) {
    bool found[16];
    for (int k = 0; k < 16; k++) found[k] = false;
    for (int row = 0; row < whole; row += 16)
      for (int k = 0; k < 16; k++) found[k] |= x[(row + k) * columns + column] != 0;
    for (int row = whole; row < rows; row++) found[row - whole] |= x[row * columns + column] != 0;
    for (int k = 0; k < 8; k++) found[k] |= found[k + 8];
    for (int k = 0; k < 4; k++) found[k] |= found[k + 4];
    for (int k = 0; k < 2; k++) found[k] |= found[k + 2];
    y[column] = found[0] | found[1];
  }
}
"""  # any() over rows, as generated kernels have it: PoCL 3.1 with LLVM 15 vectorizes it wrongly for AVX
_TYPES = ("GPU", "ACCELERATOR", "CUSTOM", "CPU")
_NO_DRIVER = 'install a driver for your hardware, or the CPU\'s: `pip install "ingot-opencl[pocl]"`'
_MISCOMPILED = "its compiler is at fault: a loop over bytes gives wrong results"
_NO_LINKER = "install binutils, which brings `ld`"
_UPDATE = "update its driver"
_NARROWER = "use another driver, or let PoCL compile for narrower vectors: `export POCL_KERNELLIB_NAME=sse41`"
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
    """Build and run one line, and a loop over bytes."""
    import numpy as np
    import pyopencl as cl

    number = time.time_ns() & 0x7FFFFFFF  # a new source, which no cache of the driver answers
    result = np.zeros(4, np.int32)
    try:
        context = cl.Context([device])
        queue = cl.CommandQueue(context)
        program = cl.Program(context, _SOURCE.format(number) + _BYTES).build()
        buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, result.nbytes)
        cl.Kernel(program, "one")(queue, result.shape, None, buffer)
        cl.enqueue_copy(queue, result, buffer)
        if not (result == number).all():
            return "a kernel of one line computed something else", _UPDATE
        return ("", "") if _counts_bytes(context, queue, cl.Kernel(program, "bytes")) else (_MISCOMPILED, _NARROWER)
    except cl.Error as error:
        return _explain(str(error))


def _counts_bytes(context: Any, queue: Any, kernel: Any) -> bool:
    """True when `_BYTES` finds the columns that have a byte other than 0."""
    import numpy as np
    import pyopencl as cl

    rows, columns = 20, 64
    given = np.eye(rows, columns, 3, np.uint8)
    found = np.full(columns, 2, np.uint8)
    x = cl.Buffer(context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, hostbuf=given)
    y = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, found.nbytes)
    kernel(queue, (columns,), (1,), x, y, np.int32(rows), np.int32(columns), np.int32(1))
    cl.enqueue_copy(queue, found, y)
    return bool((found == given.any(0)).all())


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
