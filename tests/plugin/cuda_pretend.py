"""A pretend GPU that keeps the kernels it is asked to build, and computes nothing: CUDA's sources without CUDA.

Used by tests of the dialect, and by ``tools/ci/nvrtc.py``, which compiles what the op tests make it build.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from ingot_cuda.dialect import RENDERER
from ingot_cuda.limits import TYPICAL
from ingot_devices.codegen.schedule import ScheduleCodegen
from ingot_devices.device import Arguments, Device
from ingot_devices.layout import Layout
from ingot_devices.memory import Pool
from ingot_devices.opset import OPS, Spec

COUNT = np.ones(1, np.int64)


class PretendGPU(Device):
    """``sources`` are what was built: source → kernel name."""

    codegen = ScheduleCodegen(RENDERER)
    limits = replace(TYPICAL, max_buffer=1 << 30)  # what a host can give, should a size be wrong
    name, kind, index = "pretend:0", "pretend", 0

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.pool = Pool(self)

    def allocate(self, nbytes: int) -> Any:
        return np.zeros(nbytes, np.uint8)

    def release(self, handle: Any) -> None:
        """Nothing is to do."""

    def copy_in(self, handle: Any, offset: int, data: memoryview) -> None:
        handle[offset : offset + data.nbytes] = np.frombuffer(data, np.uint8)

    def copy_out(self, handle: Any, offset: int, data: memoryview) -> None:
        """What is there; a single zero of 64 bits is read as 1, so that what an op counts makes a result with elements."""
        found = handle[offset : offset + data.nbytes]
        if data.nbytes == COUNT.nbytes and not found.any():
            found = COUNT.view(np.uint8)
        np.frombuffer(data, np.uint8)[:] = found

    def copy(self, dst: Any, dst_offset: int, src: Any, src_offset: int, nbytes: int) -> None:
        dst[dst_offset : dst_offset + nbytes] = src[src_offset : src_offset + nbytes]

    def synchronize(self) -> None:
        """Nothing is queued."""

    def build(self, source: str, name: str) -> str:
        self.sources[source] = name
        return source

    def launch(self, entry: Any, grid: Any, block: Any, arguments: Arguments, stream: Any = None) -> None:
        """Zeros, and not what memory held before: an op that answers a count makes its result of that size."""
        for binding in arguments.bindings:
            if "w" in binding.access:
                binding.handle[:] = 0


def rendered(name: str, *specs: Spec | None, **attrs: Any) -> str:
    """The CUDA C of an op for dense operands of these specs."""
    device, op = PretendGPU(), OPS[name]
    given = op.bind(attrs)
    for definition in op.definitions(specs, given, op.infer(specs, given)):
        layouts = {o.number: Layout.dense(o.shape, o.dtype, device) for o in definition.operands}
        device.codegen.compile(definition, layouts, device)
    return "\n".join(device.sources)
