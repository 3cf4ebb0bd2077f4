"""Calls of the driver that pycuda lacks, through ``cuda.bindings``, in the same context: graphs, peers, foreign streams.

Streams, contexts and addresses are plain numbers on both sides. Every call here needs the device's context to be current,
as pycuda's do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingot_devices.errors import LaunchError

RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED: memory may be taken while a graph is captured
_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING


def done(name: str, *arguments: Any) -> Any:
    """Call ``cuda.bindings.driver.NAME``; its value, if it has one. LaunchError names the call and the driver's reason."""
    from cuda.bindings import driver

    function: Callable[..., tuple[Any, ...]] = getattr(driver, name)
    try:
        status, *values = function(*arguments)
    except RuntimeError as error:  # the driver is too old to have it
        raise LaunchError(f"{name} failed: {error}") from error
    if status != driver.CUresult.CUDA_SUCCESS:
        raise LaunchError(f"{name} failed: {status.name}")
    return values[0] if values else None


class Graph:
    """Launches and copies of one capture. ``replay`` queues them all on the device's current stream."""

    def __init__(self, device: Any, graph: Any, stream: Any) -> None:
        self.device, self.graph = device, graph
        self.stream = stream  # whose memory the launches use
        self.executable = done("cuGraphInstantiate", graph, 0)

    def replay(self) -> None:
        """Queue the whole graph."""
        self.device.run_graph(self.executable)

    def __del__(self) -> None:
        if getattr(self, "executable", None) is not None and not self.device.lost:
            self.device.dispose("cuGraphExecDestroy", self.executable)
            self.device.dispose("cuGraphDestroy", self.graph)


def begin_capture(stream: Any) -> None:
    """Record what is queued on ``stream`` from now on, and run none of it."""
    from cuda.bindings import driver

    done("cuStreamBeginCapture", stream.handle, driver.CUstreamCaptureMode(RELAXED))


def end_capture(stream: Any) -> Any:
    """The graph that was recorded on ``stream``."""
    return done("cuStreamEndCapture", stream.handle)


def copy_peer(dst: int, dst_context: Any, src: int, src_context: Any, nbytes: int, stream: Any) -> None:
    """Bytes from one GPU's memory to another's, on a stream of the first; past the host where they can reach each other."""
    done("cuMemcpyPeerAsync", dst, dst_context.handle, src, src_context.handle, nbytes, stream.handle)


def make_wait(waiting: int, for_: int) -> None:
    """Make one stream wait for what another has queued so far; both by number, as other libraries tell them."""
    event = done("cuEventCreate", _NO_TIMING)
    done("cuEventRecord", event, for_)
    done("cuStreamWaitEvent", waiting, event, 0)
    done("cuEventDestroy", event)  # its memory goes when the wait is over


def home_of(address: int) -> tuple[int, int]:
    """The context (0 for memory of a driver's pool, which belongs to none) and the device that a pointer belongs to.

    ValueError if it is no device memory that the driver knows.
    """
    from cuda.bindings import driver

    names = driver.CUpointer_attribute
    found = []
    for name in (names.CU_POINTER_ATTRIBUTE_CONTEXT, names.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL):
        status, value = driver.cuPointerGetAttribute(name, address)
        if status != driver.CUresult.CUDA_SUCCESS:
            raise ValueError(f"{address:#x} is no memory of a GPU that this process knows")
        found.append(int(value))
    return found[0], found[1]
