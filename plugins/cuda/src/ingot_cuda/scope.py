"""Which device's context is current in which thread.

pycuda keeps a stack of contexts for each thread, and ends the process when a thread ends with one on it. So a thread
has at most one of ours, which is taken off when the thread ends, when the interpreter does, and before a fork (a child
must not have it). `device.CUDADevice` asks `HERE` at every call; nearly always the answer is that nothing is to do.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from typing import Any


class _Guard:
    """Lives in a thread's local storage: when the thread ends, so does this, and takes the context off."""

    entered = False

    def leave(self) -> None:
        """Take the context off, if there is one. One that is lost cannot be popped, and need not be."""
        if self.entered:
            self.entered = False
            with suppress(Exception):
                import pycuda.driver as drv

                drv.Context.pop()

    def __del__(self) -> None:
        self.leave()


class _Here(threading.local):
    """``device`` is the one whose context this thread has made current, or None."""

    device: Any = None

    def __init__(self) -> None:
        self.guard = _Guard()

    def enter(self, device: Any, context: Any) -> None:
        """Make ``context``, of ``device``, current in this thread."""
        self.leave()
        context.push()
        self.device, self.guard.entered = device, True

    def leave(self) -> None:
        """Take this thread's context off, if it has one."""
        self.device = None
        self.guard.leave()


HERE = _Here()


def _leave() -> None:
    HERE.leave()


atexit.register(_leave)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_leave)
