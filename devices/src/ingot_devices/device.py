"""One open device: what a plugin must give, and what it may.

Third stop of discovery (`Backend.open` returns one) and last stop of both flows: `memory` calls the allocator and the
copies, a `Plan` calls what `codegen` made of ``build`` and ``launch``. Handles are opaque: nothing here adds an offset
to one; a view's element offset is an argument of the launch.

Mandatory: ``limits``, ``allocate``, ``release``, ``copy_in``, ``copy_out``, ``copy``, ``synchronize``. With those alone
every op works, through the host. ``codegen`` (or ``dialect``) with ``build`` and ``launch`` makes a device native. Each
further capability has a default here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from .errors import ContractError, DeviceLost
from .limits import Limits

if TYPE_CHECKING:
    from .layout import Layout
    from .memory import Block, Pool
    from .opset.op import Op
    from .plan import Plan, Ref, Step

Handle = Any
"""Whatever the plugin's allocator returns."""


class Binding(NamedTuple):
    """One buffer of a launch. ``access`` is ``"r"``, ``"w"`` or ``"rw"``."""

    handle: Handle
    access: str


class Arguments(NamedTuple):
    """What a launch passes: buffers, and all scalars packed as one C struct (native alignment)."""

    bindings: tuple[Binding, ...]
    scalars: bytes


class Device:
    """One open device. Subclass it; see the module's docstring for what is mandatory.

    The contract sets ``name`` (``"acme:0"``), ``kind`` (``"acme"``), ``index`` and ``pool`` when it opens the device.
    ``lost`` turns True when the incarnation is dead: it refuses work, and its releases do nothing.
    """

    limits: Limits = Limits()
    codegen: ClassVar[Any] = None  # a Codegen: turns definitions into launches; None: through the host
    host_visible: ClassVar[bool] = False  # handles can be read and written as NumPy arrays
    numpy_handles: ClassVar[bool] = False  # any NumPy array is a handle: small blocks come straight from NumPy
    streams: ClassVar[bool] = False  # has streams beside the default one
    beneath: Any = None  # the device that this one stands on, for one made of another: `plan` and `copy_steps` are then its own
    axes: tuple[Any, ...] = ()  # along which it computes on several values at once; see `beneath`
    gaps: Mapping[str, str] = MappingProxyType({})  # what it does not keep: a case of conformance → the reason

    name: str = "?"
    kind: str = "?"
    index: int = 0
    pool: Pool
    lost: bool = False
    codegen_stats: Any = None  # what a codegen counts here: kernels compiled and built

    # ---- mandatory ---------------------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Handle:
        """Raw memory of ``nbytes`` (rounded and bounded by ``limits``), never None; MemoryError when there is none."""
        raise ContractError(f"{type(self).__name__} must define allocate(nbytes)")

    def release(self, handle: Handle) -> None:
        """Give back what ``allocate`` returned. Called when no queued work uses it any more."""
        raise ContractError(f"{type(self).__name__} must define release(handle)")

    def copy_in(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Host bytes to the device at byte ``offset``. Returns when ``data`` may be reused."""
        raise ContractError(f"{type(self).__name__} must define copy_in(handle, offset, data)")

    def copy_out(self, handle: Handle, offset: int, data: memoryview) -> None:
        """Device bytes at ``offset`` into the writable ``data``. Returns when ``data`` is filled."""
        raise ContractError(f"{type(self).__name__} must define copy_out(handle, offset, data)")

    def copy(self, dst: Handle, dst_offset: int, src: Handle, src_offset: int, nbytes: int) -> None:
        """Bytes within the device, in stream order. The ranges do not overlap."""
        raise ContractError(f"{type(self).__name__} must define copy(...)")

    def synchronize(self) -> None:
        """Wait until all queued work is done."""
        raise ContractError(f"{type(self).__name__} must define synchronize()")

    # ---- native kernels ----------------------------------------------------------------------------------------
    def build(self, source: Any, name: str) -> Any:
        """Compile ``source`` (what the device's codegen renders) and return the entry point ``name``."""
        raise ContractError(f"{self.name} declares a codegen and defines no build(source, name)")

    def launch(
        self,
        entry: Any,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Arguments,
        stream: Any = None,
    ) -> None:
        """Queue ``entry`` on ``grid`` workgroups of ``block`` work-items; ``stream`` None is the default one."""
        raise ContractError(f"{self.name} declares a codegen and defines no launch(...)")

    def launcher(
        self,
        entry: Any,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        accesses: tuple[str, ...],
        scalars: Struct,
    ) -> Callable[..., None]:
        """A function that queues ``entry`` on the current stream: it takes the handles of the buffers, then the scalars.

        ``accesses`` are those of the `Binding`s, ``scalars`` packs the numbers. A plan asks once and calls often: a
        device whose `launch` does the same work at each call can do it here.
        """
        launch, streams, count, pack = self.launch, self.streams, len(accesses), scalars.pack

        def queue(*given: Any) -> None:
            arguments = Arguments(tuple(map(Binding, given[:count], accesses)), pack(*given[count:]))
            if streams:
                launch(entry, grid, block, arguments, self.current_stream())
            else:
                launch(entry, grid, block, arguments)

        return queue

    def resources(self, entry: Any) -> Mapping[str, int]:
        """What the driver says that a built kernel takes, by name: registers, bytes of private memory … Empty: nothing."""
        return {}

    def fingerprint(self) -> str:
        """What a built kernel depends on beside its source: target, driver and compiler versions."""
        return f"{self.kind}/{self.name}"

    # ---- views -------------------------------------------------------------------------------------------------
    def view(self, block: Block, layout: Layout, offset: int) -> Any:
        """What kernels take for an operand: made once per tensor. The default is (handle, element offset); shape, strides and
        dtype are the layout's."""
        return (block.handle, offset)

    def host_bytes(self, handle: Handle) -> np.ndarray[Any, Any]:
        """The memory of ``handle`` as a uint8 array; only where ``host_visible``."""
        raise ContractError(f"{self.name} is not host visible")

    # ---- streams, events and clocks ----------------------------------------------------------------------------
    def create_stream(self) -> Any:
        """A further queue. Devices without streams return None, the default one."""
        return None

    def set_stream(self, stream: Any) -> Any:
        """Make ``stream`` current for this thread and return the one before."""
        return None

    def current_stream(self) -> Any:
        """The stream that launches and copies of this thread go to; None is the default one."""
        return None

    def record_event(self, stream: Any = None) -> Any:
        """An event after the work queued on ``stream`` (None: the default one, whatever is current) so far.

        A device without streams waits instead: its events are always done."""
        self.synchronize()
        return time.perf_counter_ns()

    def event_done(self, event: Any) -> bool:
        """True when the work before ``event`` is done."""
        return True

    def wait_event(self, event: Any, stream: Any = None) -> None:
        """Make ``stream`` (None: the default one) wait for ``event``, on the device, not in this thread."""

    def synchronize_event(self, event: Any) -> None:
        """Wait in this thread until ``event`` is done."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Milliseconds between two done events."""
        return float(end - start) / 1e6

    # ---- ranges on the time line of the vendor's own profiler ----------------------------------------------------
    def push_range(self, name: str) -> None:
        """Begin a named range of this thread's work; ranges nest."""
        raise ContractError(f"{self.name} hands no ranges to a profiler of its vendor's")

    def pop_range(self) -> None:
        """End the innermost range that this thread began with `push_range`."""
        raise ContractError(f"{self.name} hands no ranges to a profiler of its vendor's")

    # ---- memory that other libraries of the process use (`Backend.dlpack_type`) ---------------------------------
    def address(self, handle: Handle) -> int:
        """The address of ``handle``'s memory, as other libraries know it."""
        raise ContractError(f"{self.name} has no addresses that other libraries know")

    def share_in(self, address: int) -> Handle:
        """A handle for memory that another library owns, beginning at ``address`` or less than ``limits.vector_bytes``
        before it, aligned to that; ValueError if this device cannot reach it."""
        raise ContractError(f"{self.name} takes no memory of other libraries")

    def stream_number(self) -> int | None:
        """The current stream as DLPack numbers it; None where nobody has to wait for one."""
        return None

    def hand_over(self, stream: int | None) -> None:
        """Let another library's stream (by DLPack's number; None: its default one) wait for what is queued here.
        The default waits itself."""
        self.synchronize()

    def take_over(self, stream: int | None) -> None:
        """Let the current stream wait for what another library has queued on its ``stream`` (None: nothing)."""
        if stream is not None:
            raise ContractError(f"{self.name} knows no streams of other libraries")

    # ---- a device made of another (`beneath`) --------------------------------------------------------------------
    def plan(self, op: Op, keys: Sequence[Any], attrs: tuple[Any, ...]) -> Plan:
        """The plan of ``op`` for operands of these layouts, in the place of `resolve`'s routes."""
        raise ContractError(f"{self.name} stands on another device and defines no plan(...)")

    def copy_steps(self, source: Ref, target: Ref) -> list[Step]:
        """The steps of a copy between two values of one shape."""
        raise ContractError(f"{self.name} stands on another device and defines no copy_steps(...)")

    # ---- other capabilities ------------------------------------------------------------------------------------
    def copy_peer(
        self, dst: Handle, dst_offset: int, source: Device, src: Handle, src_offset: int, nbytes: int
    ) -> bool:
        """Copy from another device without the host; False when that is not possible."""
        return False

    def begin_capture(self) -> bool:
        """Start recording launches into a graph; False when the device has no graphs."""
        return False

    def end_capture(self) -> Any:
        """The captured graph, an object with ``replay()``."""
        raise ContractError(f"{self.name} has no graph capture")

    def memory_info(self) -> tuple[int, int] | None:
        """(free, total) bytes as the driver tells them, or None."""
        return None

    def window(self, handle: Handle, offset: int, nbytes: int) -> Handle | None:
        """A handle on ``nbytes`` of an allocation from byte ``offset`` on, which lives as long as that; None where the
        driver has no such thing. For guard bands; ``offset`` is a multiple of ``limits.allocation_granularity``.
        """
        return None

    def close(self) -> None:
        """Release what the incarnation holds. Called once; work after it is refused."""

    # ---- written here, for every device ------------------------------------------------------------------------
    def require(self) -> None:
        """Raise `DeviceLost` if this incarnation is dead."""
        if self.lost:
            raise DeviceLost(f"{self.name} was lost; its tensors are gone. Open it again with "
                             f"ingot.accelerator.reset({self.name!r}) and load a checkpoint")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
