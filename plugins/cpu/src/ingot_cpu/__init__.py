"""Ingot on the CPU: native kernels by LLVM, or NumPy's; pooled and aligned memory.

The light module that the entry point names: it declares the backend. `device` is imported
when it is opened.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingot_devices import Backend, DeviceInfo, hookimpl

if TYPE_CHECKING:
    from ingot_devices.device import Device

INGOT_CONTRACT = (1, 0)


class Cpu(Backend):
    """The processor that Python runs on. Calls no driver, so it is probed in place."""

    name = "cpu"
    vendor = "any"
    contract = (1, 0)
    priority = 0
    probe_in_process = True
    survives_fork = True

    def probe(self) -> Sequence[DeviceInfo]:
        """Always one device."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return [DeviceInfo(_model(), memory=_memory(), compute_units=cores, driver="NumPy")]

    def open(self, index: int) -> Device:
        """The one device; ``index`` is 0."""
        from .device import CpuDevice

        return CpuDevice()


@hookimpl
def ingot_backends(register: Callable[[Backend], None]) -> None:
    """Declare the backend."""
    register(Cpu())


@hookimpl
def ingot_kernels(register: Callable[[Any], None]) -> None:
    """Register the kernels written by hand."""
    from . import convolution, kernels, maxima, pooling, windows

    for kernel in (*kernels.KERNELS, *convolution.KERNELS, *windows.KERNELS, *maxima.KERNELS, *pooling.KERNELS):
        register(kernel)


def _model() -> str:
    """The processor's name, from where the operating system keeps it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), platform.processor() or platform.machine() or "CPU")


def _memory() -> int | None:
    """Bytes of main memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
