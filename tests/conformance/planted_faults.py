"""Planted faults: wrong backends, each wrong in one way, with the level and the case that must catch it.

Each is the scaffold's native backend with something broken: a method of its device (`Fault.device`), a kernel's source on its
way to the driver (``source``), its language (``rows``), or a kernel of its own (``kernel``). All else is right, so the first
level that is wrong is the one at which the fault shows.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from grouped import grouped
from ingot_devices import dtypes as dt
from ingot_devices.layout import Layout
from ingot_devices.limits import DTypeClass
from ingot_devices.registry import Kernel
from queued import queued

Change = Callable[[type[Any]], type[Any]]


@dataclass(frozen=True)
class Fault:
    """``level`` and ``case`` (a part of its name) must catch it, and no earlier level may."""

    name: str
    level: str
    case: str
    device: Change = lambda base: base
    source: Callable[[str, str], str] = lambda source, name: source
    rows: dict[str, str] = field(default_factory=dict)
    kernel: Callable[[Any], Kernel] | None = None

    def __str__(self) -> str:
        return self.name


def methods(**changed: Callable[..., Any]) -> Change:
    """A subclass in which each method is ``changed(self, right, *arguments)``: ``right`` is the one of the base."""

    def make(base: type[Any]) -> type[Any]:
        def of(name: str, wrong: Callable[..., Any]) -> Callable[..., Any]:
            right = getattr(base, name)

            def method(self: Any, *args: Any, **kwargs: Any) -> Any:
                return wrong(self, lambda *a, **k: right(self, *a, **k), *args, **kwargs)

            return method

        return type(base.__name__, (base,), {name: of(name, wrong) for name, wrong in changed.items()})

    return make


def on_queues(**changed: Callable[..., Any]) -> Change:
    """The same of a board with queues."""
    return lambda base: methods(**changed)(queued(base))


def before_or_after(act: Callable[[Any, str, Any], None], before: bool = False) -> Change:
    """``act(device, kernel, bindings)`` around every launch."""

    def launch(self: Any, right: Any, entry: Any, grid: Any, block: Any, arguments: Any, stream: Any = None) -> None:
        if before:
            act(self, entry.__name__, arguments.bindings)
        right(entry, grid, block, arguments, stream)
        if not before:
            act(self, entry.__name__, arguments.bindings)

    return methods(launch=launch)


# ---- memory ------------------------------------------------------------------------------------------------------------
def late_copy_in(self: Any, right: Any, handle: Any, offset: int, data: memoryview) -> None:
    """The source is read when the next thing happens."""
    flush(self)
    self.late = lambda: right(handle, offset, data)


def flush(self: Any) -> None:
    late, self.late = getattr(self, "late", None), None
    if late:
        late()


def flushed(self: Any, right: Any, *args: Any, **kwargs: Any) -> Any:
    flush(self)
    return right(*args, **kwargs)


def short_copy_in(self: Any, right: Any, handle: Any, offset: int, data: memoryview) -> None:
    right(handle, offset, data[: len(data) - 1] if len(data) % 2 else data)


def wide_copy_in(self: Any, right: Any, handle: Any, offset: int, data: memoryview) -> None:
    """Whole words, whatever lies behind."""
    room = len(self.board.memory[handle]) - offset
    right(handle, offset, memoryview((bytes(data) + bytes(-len(data) % 4))[:room]))


def same_memory_twice(self: Any, right: Any, nbytes: int) -> Any:
    """A released handle stays in the list of free ones."""
    self.last = {**getattr(self, "last", {})}
    self.count = getattr(self, "count", 0) + 1
    if self.count % 5 == 0 and nbytes in self.last:
        return self.last[nbytes]
    self.last[nbytes] = right(nbytes)
    return self.last[nbytes]


def tolerant_release(self: Any, right: Any, handle: Any) -> None:
    if handle in self.board.memory:
        right(handle)


def release_clears_another(self: Any, right: Any, handle: Any) -> None:
    right(handle)
    for other in list(self.board.memory)[-1:]:
        self.board.memory[other][:4] = 0


def slow_allocate(self: Any, right: Any, nbytes: int) -> Any:
    """The next handle is read, and counted on a moment later, without a lock."""
    handle = next(self.board.handles)
    self.board.memory.setdefault(handle, np.zeros(nbytes, np.uint8))
    later = next(self.board.handles)
    self.board.handles = iter(range(handle, 1 << 30)) if handle % 3 == 0 else iter(range(later, 1 << 30))
    time.sleep(0.002)
    self.board.handles = iter(range(handle + 1, 1 << 30))
    return handle


def at_once(self: Any, right: Any, dst: Any, dst_offset: int, src: Any, src_offset: int, nbytes: int) -> None:
    """Copies within the device wait for `synchronize`, and nothing else waits for them."""
    if not hasattr(self, "waiting"):
        self.waiting = []
    self.waiting.append(lambda: right(dst, dst_offset, src, src_offset, nbytes))


def run_waiting(self: Any, right: Any) -> None:
    for task in getattr(self, "waiting", []):
        task()
    self.waiting = []
    right()


def halved(base: type[Any]) -> type[Any]:
    """int16 is kept in eight bits."""

    def opened(self: Any, index: int) -> None:
        base.__init__(self, index)
        kept = {**self.limits.dtypes, dt.int16: DTypeClass("stored", dt.int8, dt.int32)}
        self.limits = replace(self.limits, dtypes=kept)

    return type(base.__name__, (base,), {"__init__": opened})


# ---- kernels -----------------------------------------------------------------------------------------------------------
def one_lane_less(self: Any, right: Any, entry: Any, grid: Any, block: Any, arguments: Any, stream: Any = None) -> None:
    """The last work-item of a launch does not run."""

    def shortened(memory: Any, scalars: Any, lane: Any) -> None:
        if len(lane) > 1:  # far beyond the end: a shorter array would tell the others of one group less to share the work
            lane = np.append(lane[:-1], 1 << 40)
        entry(memory, scalars, lane)

    shortened.__name__ = entry.__name__
    right(shortened, grid, block, arguments, stream)


def one_more(source: str, name: str) -> str:
    """Every store writes the next element, too."""
    return re.sub(r"store\((x\d+), (.*), m+\)$", r"\g<0>; beyond(\1, \2)", source, flags=re.MULTILINE)


def skipped(self: Any, right: Any, entry: Any, *args: Any, **kwargs: Any) -> None:
    """Each ninth launch is lost."""
    self.count = getattr(self, "count", 0) + 1
    if self.count % 9:
        right(entry, *args, **kwargs)


def write_an_input(self: Any, name: str, bindings: Any) -> None:
    for b in bindings:
        if b.access == "r" and len(bindings) > 1:
            self.board.memory[b.handle][:1] ^= 1
            return


def clear_what_is_overwritten(self: Any, name: str, bindings: Any) -> None:
    """In place means: out first."""
    for b in bindings:
        if b.access == "rw":
            self.board.memory[b.handle][:] = 0


def unsteady(self: Any, name: str, bindings: Any) -> None:
    """The last bit of a sum is as the day is."""
    if "sum" in name and name != "ingot_cumsum":
        out = bindings[-1]
        memory = self.board.memory[out.handle]
        if "w" in out.access and memory.size >= 4:
            memory[0] ^= random.randrange(2)


def in_another_order(base: type[Any]) -> type[Any]:
    """The strides of the last two axes change places where an operand is not dense."""
    right = base.codegen

    def swapped(layout: Layout) -> Layout:
        if layout.is_dense or len(layout.shape) < 2 or 0 in layout.strides:
            return layout
        *outer, a, b = layout.strides
        return Layout.of(layout.shape, (*outer, b, a), layout.dtype, layout.device)

    class Wrong:
        renderer = right.renderer

        def compile(self, definition: Any, layouts: Any, device: Any, aliased: frozenset[int] = frozenset()) -> Any:
            out = {o.number for o in definition.operands if o.output}
            wrong = {n: k if n in out else swapped(k) for n, k in layouts.items()}
            return right.compile(definition, wrong, device, aliased)

    return type(base.__name__, (base,), {"codegen": Wrong()})


def from_the_start(self: Any, right: Any, block: Any, layout: Any, offset: int) -> Any:
    """A view's offset counts for dense operands only."""
    return right(block, layout, offset if layout.is_dense else 0)


def from_an_even_place(self: Any, right: Any, block: Any, layout: Any, offset: int) -> Any:
    """Vectors of two begin at even places."""
    return right(block, layout, offset - offset % 2)


# ---- kernels by hand ---------------------------------------------------------------------------------------------------
def arrays(device: Any, request: Any, natives: Any) -> list[Any]:
    """NumPy arrays over the board's memory, for dense operands and outputs."""
    layouts = [k for k in (*request.layouts, *request.outputs) if isinstance(k, Layout)]
    made = []
    for (handle, offset), layout in zip(natives, layouts, strict=True):
        start = offset * layout.dtype.itemsize
        memory = device.board.memory[handle][start : start + layout.size * layout.dtype.itemsize]
        made.append(memory.view(layout.dtype.numpy).reshape(layout.shape))
    return made


def by_hand(op: str, body: Callable[..., None], dtype: dt.DType = dt.float32, **claims: Any) -> Callable[[Any], Kernel]:
    """A registered kernel for one dtype in dense operands: ``body(*operands, *outputs, **attributes)``."""

    def kernel(kind: Any) -> Kernel:
        def make(request: Any) -> Any:
            def run(*natives: Any) -> None:
                body(*arrays(request.device, request, [n for n in natives if isinstance(n, tuple)]), **request.attributes)

            return run

        return Kernel(op, kind, make, dtypes=(dtype,), layout="dense", priority=50, **claims)

    return kernel


def matmul_without_its_tail(x: Any, y: Any, out: Any, **_: Any) -> None:
    """Terms in blocks of eight; what is left over is left out."""
    whole = x.shape[-1] // 8 * 8 or x.shape[-1]
    out[...] = x[..., :whole] @ y[..., :whole, :]


def matmul_of_one_tile(x: Any, y: Any, out: Any, **_: Any) -> None:
    """More terms than a tile has are forgotten."""
    out[...] = x[..., :16] @ y[..., :16, :]


def slow_products(self: Any, name: str, bindings: Any) -> None:
    """Much slower than Python's own loops."""
    if name == "ingot_matmul":
        time.sleep(0.06)


def softmax_without_its_maximum(x: Any, out: Any, axis: int) -> None:
    with np.errstate(all="ignore"):
        e = np.exp(x * np.float32(1.0001))
        out[...] = e / e.sum(axis, keepdims=True)


def softmax_backward_without_its_sum(g: Any, y: Any, out: Any, axis: int) -> None:
    out[...] = g * y


def sum_in_halves(x: Any, out: Any, axes: Any, **_: Any) -> None:
    out[...] = x.astype(np.float16).sum(tuple(axes), dtype=np.float16).reshape(out.shape)


# ---- faults of the device --------------------------------------------------------------------------------------------------
def takes_anything(self: Any, right: Any, source: Any, name: str) -> Any:
    try:
        return right(source, name)
    except Exception:
        return lambda *args: None


def says_nothing_of_memory(self: Any, right: Any, nbytes: int) -> Any:
    """Beyond its memory the board gives what it has."""
    return right(min(nbytes, self.board.size // 16))


def keeps_everything(self: Any, right: Any, handle: Any) -> None:
    """Nothing is released."""


def tells(self: Any, right: Any) -> tuple[int, int]:
    """`memory_info` of the board."""
    return self.board.size - sum(m.nbytes for m in self.board.memory.values()), self.board.size


def loses_some(self: Any, right: Any, handle: Any) -> None:
    """Each tenth release."""
    self.released = getattr(self, "released", 0) + 1
    if self.released % 10:
        right(handle)


def keeps_scratch(self: Any, name: str, bindings: Any) -> None:
    """A launch takes memory of its own, and forgets it."""
    if name == "ingot_matmul":
        self.board.malloc(4096)


def shared_stream(self: Any, right: Any, stream: Any) -> Any:
    before, self.shared = getattr(self, "shared", None), stream
    return before


def backwards(self: Any, right: Any, start: Any, end: Any) -> float:
    return -1.0


def never_waits(self: Any, right: Any, *args: Any) -> None:
    """Returns at once."""


FAULTS = (
    Fault("stale source: copy_in reads after it has returned", "memory", "a_source_may_be_reused",
          methods(copy_in=late_copy_in, copy_out=flushed, copy=flushed, launch=flushed, synchronize=flushed)),
    Fault("short copy: the last byte of an odd size is left out", "memory", "copies_reach_every_byte", methods(copy_in=short_copy_in)),
    Fault("wide copy: whole words are written", "memory", "copies_reach_every_byte", methods(copy_in=wide_copy_in)),
    Fault("copy_out ignores its offset", "memory", "copies_reach_every_byte",
          methods(copy_out=lambda self, right, handle, offset, data: right(handle, 0, data))),
    Fault("copy ignores the offset of its source", "memory", "copies_within_the_device",
          methods(copy=lambda self, right, d, do, s, so, n: right(d, do, s, 0, n))),
    Fault("use after free: memory is handed out twice", "memory", "allocations_do_not_overlap",
          methods(allocate=same_memory_twice, release=tolerant_release)),
    Fault("release writes into another allocation", "memory", "a_release_spares_the_others", methods(release=release_clears_another)),
    Fault("leak: nothing is released", "memory", "memory_is_given_back", methods(release=keeps_everything)),
    Fault("leak: some releases are lost", "memory", "free_memory_comes_back", methods(release=loses_some, memory_info=tells)),
    Fault("leak: a kernel keeps its scratch memory", "contraction", "matmul",
          lambda base: methods(memory_info=tells)(before_or_after(keeps_scratch)(base))),
    Fault("race: two threads get one handle", "memory", "many_threads_at_once", methods(allocate=slow_allocate)),
    Fault("out of memory without an error", "memory", "", methods(allocate=says_nothing_of_memory)),
    Fault("out of memory is None", "memory", "too_much_is_refused",
          methods(allocate=lambda self, right, nbytes: None if nbytes > 1 << 22 else right(nbytes))),
    Fault("copies within the device come late", "memory", "copies_", methods(copy=at_once, synchronize=run_waiting)),
    Fault("wrong dtype: int16 kept in eight bits", "memory", "every_dtype_comes_back", halved),
    Fault("off by one at the tail", "views", "", methods(launch=one_lane_less)),
    Fault("out of bounds: one element past the end is written", "views", "", source=one_more),
    Fault("stale buffer: a launch is lost", "views", "", methods(launch=skipped)),
    Fault("a kernel writes to its operand", "views", "", before_or_after(write_an_input)),
    Fault("wrong stride: two axes change places", "views", "", in_another_order),
    Fault("offset of a view ignored", "views", "", methods(view=from_the_start)),
    Fault("misaligned operands are read from an aligned place", "views", "shifted", methods(view=from_an_even_place)),
    Fault("wrong rounding: bfloat16 is cut off", "views", "bfloat16", source=lambda s, name: s.replace("np.uint32(32767)", "np.uint32(0)")),
    Fault("in-place aliasing: the output is cleared first", "pointwise", "inplace", before_or_after(clear_what_is_overwritten, True)),
    Fault("integer division rounds towards zero", "pointwise", "floor_divide", rows={"idiv": "towards_zero({0}, {1})"}),
    Fault("saturating integers", "pointwise", "sub/uint8", rows={"sub": "saturating({0}, {1})"}),
    Fault("fast-math exp", "pointwise", "exp", rows={"exp": "half_precision({0})"}),
    Fault("comparisons hold for NaN", "pointwise", "nonfinite", rows={"lt": "(~({0} >= {1}))"}),
    Fault("float64 in single precision", "pointwise", "float64", rows={"mul": "single({0}, {1})"}),
    Fault("wrong promotion: small integers lose their sign", "pointwise", "promotion", rows={"cast": "unsigned_first({0}, {type})"}),
    Fault("missing barrier", "reductions", "sum", lambda base: grouped(base, False)),
    Fault("a maximum loses NaN", "pointwise", "nonfinite", rows={"maximum": "np.fmax({0}, {1})"}),
    Fault("non-deterministic reduction", "reductions", "repeated", before_or_after(unsteady)),
    Fault("sums of float32 in half precision", "reductions", "sum", kernel=by_hand("sum", sum_in_halves)),
    Fault("a tile's tail is left out", "contraction", "edges", kernel=by_hand("matmul", matmul_without_its_tail)),
    Fault("what a slow device does beyond a tile", "contraction", "value/matmul/int32", before_or_after(slow_products),
          kernel=by_hand("matmul", matmul_of_one_tile, dt.int32)),
    Fault("a softmax of something else", "contraction", "softmax", kernel=by_hand("softmax", softmax_without_its_maximum)),
    Fault("a gradient forgets a term", "autograd", "softmax", kernel=by_hand("softmax_backward", softmax_backward_without_its_sum)),
    Fault("a wait for an event is forgotten", "streams", "events_order_two_streams", on_queues(wait_event=never_waits)),
    Fault("an event of the default stream is the current one's", "streams", "the_default_stream_keeps_its_name",
          on_queues(record_event=lambda self, right, stream=None: right(self.current_stream() if stream is None else stream))),
    Fault("one stream for all threads", "streams", "streams_belong_to_a_thread",
          on_queues(set_stream=shared_stream, current_stream=lambda self, right: getattr(self, "shared", None))),
    Fault("time runs backwards", "streams", "events_end", on_queues(elapsed_ms=backwards)),
    Fault("synchronize returns at once", "memory", "", on_queues(synchronize=never_waits)),
    Fault("RNG skew: a high half loses its last bit", "RNG bits", "", rows={"mulhi": "(mulhi({0}, {1}) & ~np.uint32(1))"}),
    Fault("nonsense is built", "faults", "broken_source_is_refused", methods(build=takes_anything)),
    Fault("a refused index is not noted", "faults", "an_index_out_of_range_is_refused",
          source=lambda s, name: re.sub(r"store\(status,.*\)$", "pass", s, flags=re.MULTILINE)),
)  # fmt: skip

RIGHT = (
    Fault("as it is", "", ""),
    Fault("with queues, and memory that it tells", "", "", on_queues(memory_info=tells)),
    Fault("with groups", "", "", lambda base: grouped(base, True)),
)
"""What the faults are planted in: right."""
