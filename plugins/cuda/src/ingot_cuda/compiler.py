"""CUDA C to machine code, by NVRTC: a cubin for one architecture, or PTX where this NVRTC does not know it.

Called by `device.CUDADevice.build`, which keeps what comes out on disk. No GPU and no driver is needed, so every kernel
can be compiled for every architecture anywhere. Contraction is off, and division and square root are IEEE's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ingot_devices.errors import KernelBuildError

OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")
FILE = "kernel.cu"
_LINE = re.compile(rf"{re.escape(FILE)}\((\d+)\): (?:catastrophic )?error[^:]*: (.*)")


def version() -> tuple[int, int]:
    """NVRTC's version."""
    from cuda.bindings import nvrtc

    _, major, minor = nvrtc.nvrtcVersion()
    return int(major), int(minor)


def target(capability: tuple[int, int]) -> str:
    """What to build for a GPU of this compute capability: ``sm_90``, or the newest PTX below it, ``compute_120``."""
    from cuda.bindings import nvrtc

    _, known = nvrtc.nvrtcGetSupportedArchs()
    number = capability[0] * 10 + capability[1]
    if number in known:
        return f"sm_{number}"
    return f"compute_{max((a for a in known if a < number), default=min(known))}"


def compile_source(source: str, name: str, target: str, options: Sequence[str] = OPTIONS, where: str = "NVRTC") -> bytes:
    """The cubin (``target`` sm_…) or PTX (compute_…) of ``source``.

    KernelBuildError, with the first line that was refused, the source and the whole log. ``where`` names who asks.
    """
    from cuda.bindings import nvrtc

    program = _done(nvrtc, nvrtc.nvrtcCreateProgram(source.encode(), FILE.encode(), 0, [], []))
    try:
        given = [o.encode() for o in (f"--gpu-architecture={target}", *options)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(given), given)
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            log = _text(nvrtc, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).decode(errors="replace")
            raise KernelBuildError(explained(name, where, source, log.rstrip("\0")), source, log.rstrip("\0"))
        if target.startswith("sm_"):
            return _text(nvrtc, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
        return _text(nvrtc, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def explained(name: str, where: str, source: str, log: str) -> str:
    """The first error of a build log, with the line of the source that it means."""
    found = _LINE.search(log)
    if not found:
        return f"{where} could not build kernel {name}: {log.strip()[:500]}"
    lines, number = source.splitlines(), int(found.group(1))
    text = lines[number - 1].strip() if 0 < number <= len(lines) else "?"
    return f"{where} could not build kernel {name}: {found.group(2)}, in line {number}: {text}"


def _text(nvrtc: Any, size: Any, get: Any, program: Any) -> bytes:
    buffer = b"\0" * int(_done(nvrtc, size(program)))
    _done(nvrtc, get(program, buffer))
    return buffer


def _done(nvrtc: Any, answer: tuple[Any, ...]) -> Any:
    """The value of a call of NVRTC that cannot fail but by a fault of ours or of its installation."""
    status, *values = answer
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise KernelBuildError(f"NVRTC failed: {status.name}")
    return values[0] if values else None
