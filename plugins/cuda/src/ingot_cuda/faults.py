"""What a driver's error means: memory, a refused launch, or a context that is lost.

Some faults of a kernel (an illegal address, an assertion, a time-out) are *sticky*: the driver answers every later call
of the process with the same error. The driver itself is asked whether one is: it is if waiting for the device fails too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any

import pycuda.driver as drv
from ingot_devices.errors import DeviceLost, LaunchError

RECENT = 8
"""Launches that are named when a context is lost: the fault is found some time after the launch that made it."""


def typed(error: Exception, name: str, what: str, launches: Sequence[str], capturing: bool) -> Exception:
    """The error of the contract for a driver's ``error`` while device ``name`` worked on ``what``.

    A `DeviceLost` is returned exactly if the context is lost; ``launches`` are the last ones, oldest first. While a graph
    is captured nobody may wait, so it is taken to live.
    """
    said = str(error).strip().split("\n")[0]
    if isinstance(error, drv.MemoryError):
        return MemoryError(f"{name} has no memory for {what} ({said})")
    if not capturing and _lost():
        last = f"; the last launches were {', '.join(launches)}" if launches else ""
        return DeviceLost(
            f"{name} was lost while it worked on {what} ({said}){last}. The CUDA context of this process is gone for "
            "good: start a new process, and load a checkpoint"
        )
    return LaunchError(f"{name} refused {what} ({said})")


def abandon(things: Iterable[Any]) -> None:
    """Never destroy these objects of pycuda: in a lost context each destructor could only write a warning."""
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _lost() -> bool:
    try:
        drv.Context.synchronize()
    except drv.Error:
        return True
    return False
