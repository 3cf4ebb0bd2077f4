"""Puts the simulated driver into this process and its children.

`activate` must run before pycuda or ``cuda.bindings`` is imported. It loads both libraries by path, globally: whoever
then asks the loader for ``libcuda.so.1`` or ``libnvrtc.so.13`` gets these. Children get them through the environment,
which is all that another program needs::

    eval "$(python tools/ci/cuda_sim.py env)"      # sets LD_PRELOAD and PYTHONPATH
    ingot devices                                  # cuda:0  SIMULATED CUDA device

How it behaves is set by variables, read when the driver is loaded; README.md has the table. `findings` says what was done
wrong so far.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

from .build import Built, build

NVRTC, CUDA = "libnvrtc.so.13", "libcuda.so.1"


def environment(built: Built) -> dict[str, str]:
    """What a child process needs, beside what its environment has."""
    path = [str(built.site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"LD_PRELOAD": f"{built.driver / CUDA}:{built.driver / NVRTC}", "PYTHONPATH": os.pathsep.join(path)}


class Simulator:
    """The driver as loaded: its own functions, beside those of CUDA."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.library = ctypes.CDLL(str(built.driver / CUDA), ctypes.RTLD_GLOBAL)
        self.compiler = ctypes.CDLL(str(built.driver / NVRTC), ctypes.RTLD_GLOBAL)
        for function in (self.library.cuda_sim_findings, self.library.cuda_sim_launched):
            function.restype, function.argtypes = ctypes.c_size_t, [ctypes.c_char_p, ctypes.c_size_t]

    def findings(self) -> list[str]:
        """What was done wrong since the last call, one sentence each; what is still queued is run first."""
        self.library.cuda_sim_finish()
        return self._lines(self.library.cuda_sim_findings)

    def launched(self) -> list[str]:
        """The keys of the sources whose kernels were launched since the last call."""
        return self._lines(self.library.cuda_sim_launched)

    def _lines(self, function: Any) -> list[str]:
        size = int(function(None, 0)) + 1
        buffer = ctypes.create_string_buffer(size)
        function(buffer, size)
        return buffer.value.decode(errors="replace").splitlines()

    def recover(self) -> None:
        """Take back a lost context, so that one process can try several faults."""
        self.library.cuda_sim_recover()

    def build_collected(self, sources: list[Path]) -> int:
        """Compile collected sources in one call of the compiler; how many are there afterwards."""
        return int(self.library.cuda_sim_build_collected("\n".join(map(str, sources)).encode()))


_ACTIVE: list[Simulator] = []


def activate(built: Built | None = None) -> Simulator:
    """The simulator, in this process from now on. RuntimeError where a real driver is loaded already."""
    if _ACTIVE:
        return _ACTIVE[0]
    if "pycuda._driver" in sys.modules or "cuda.bindings" in sys.modules:
        raise RuntimeError("the simulated CUDA driver must be loaded before pycuda and cuda.bindings are")
    built = built or build()
    os.environ.update(environment(built))
    sys.path.insert(0, str(built.site))
    _ACTIVE.append(Simulator(built))
    return _ACTIVE[0]
