"""A small bench on the simulated driver, through pycuda and NVRTC's binding: compile, launch, see what the driver found.

For `planted`, `mutants` and tests; each runs in a process of its own, because a driver is chosen once in a process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .use import Simulator, activate

Array = np.ndarray[Any, Any]


class CompileError(Exception):
    """What NVRTC's log says."""


class Machine:
    """The simulated device, its primary context current in this thread."""

    def __init__(self) -> None:
        self.simulator: Simulator = activate()
        import pycuda.driver as drv

        drv.init()
        self.drv: Any = drv
        self.context: Any = drv.Device(0).retain_primary_context()
        self.context.push()
        self.modules: list[Any] = []

    def close(self) -> None:
        """Leave the context, without which pycuda would end the process."""
        self.modules.clear()
        self.context.pop()

    def kernel(self, source: str, name: str = "k", *options: str) -> Any:
        """The kernel ``name`` of CUDA C; CompileError with the log."""
        self.modules.append(self.drv.module_from_buffer(self.cubin(source, *options)))  # an unloading one waits for the device
        return self.modules[-1].get_function(name)

    def cubin(self, source: str, *options: str) -> bytes:
        """What NVRTC makes of ``source``."""
        from cuda.bindings import nvrtc

        def value(answer: tuple[Any, ...]) -> Any:
            assert answer[0] == nvrtc.nvrtcResult.NVRTC_SUCCESS, answer
            return answer[1]

        program = value(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
        given = [o.encode() for o in options or ("--gpu-architecture=sm_90", "--fmad=false")]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(given), given)
        real = status == nvrtc.nvrtcResult.NVRTC_SUCCESS
        size = (nvrtc.nvrtcGetCUBINSize if real else nvrtc.nvrtcGetProgramLogSize)(program)
        text: bytes = b" " * value(size)
        (nvrtc.nvrtcGetCUBIN if real else nvrtc.nvrtcGetProgramLog)(program, text)
        if not real:
            raise CompileError(text.decode().rstrip("\0"))
        return text

    def put(self, array: Array) -> Any:
        """A copy of ``array`` on the device, in an allocation of exactly its size."""
        memory = self.drv.mem_alloc(array.nbytes)
        self.drv.memcpy_htod(memory, array)
        return memory

    def get(self, memory: Any, like: Array) -> Array:
        """What is in ``memory``, after all that was queued."""
        self.context.synchronize()
        out = np.empty_like(like)
        self.drv.memcpy_dtoh(out, memory)
        return out

    def found(self, act: Callable[[], object]) -> list[str]:
        """What the driver found, or refused, while ``act`` ran and until all it queued was done."""
        refused = []
        try:
            act()
            self.context.synchronize()
        except self.drv.Error as error:
            refused = [f"refused: {str(error).splitlines()[0]}"]
        found = self.simulator.findings() or refused
        self.simulator.recover()
        return found
