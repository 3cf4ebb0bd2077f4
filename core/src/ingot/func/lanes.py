"""Lanes: a device that computes on many values at once, and takes each for one.

`vmap` runs a function once, on tensors that lie on a `Lanes` device: their layouts say what one *lane* has, the memory behind
them holds all lanes of an *axis*. So the function, the tape, views and writes in place see single values and know of nothing;
what is special is how an op is planned, namely as an op on the device beneath, with one axis more (`rules`).

A `LaneBlock` is a block beneath with the distance from one lane to the next, 0 where all lanes are the same; an op on such
values alone runs once. Lanes stand on lanes where `vmap` is called inside `vmap`, the older axis below.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import ref

from ingot_devices.device import Device
from ingot_devices.layout import Layout
from ingot_devices.opset.op import Op
from ingot_devices.plan import Plan, Ref, Step
from ingot_devices.resolve import specs_of

from ..base import TensorBase

_ages = itertools.count().__next__
_lock = threading.Lock()
_KEPT = 64  # sizes of axes, and axes of a device


class Session:
    """One call of `vmap`. Whatever may come back to its axis holds it: blocks, nodes of the tape, the call itself."""

    __slots__ = ("__weakref__",)


class Axis:
    """What a call of `vmap` runs over: ``size`` lanes; ``randomness`` as `vmap` takes it; an older axis has a lower ``age``.

    An axis is used again when nothing is left of the call before, so that plans for its devices are found again.
    """

    _known: ClassVar[dict[tuple[int, str], list[Axis]]] = {}

    def __init__(self, size: int, randomness: str) -> None:
        self.size, self.randomness, self.age = size, randomness, 0
        self._session: Any = lambda: None

    @staticmethod
    def begin(size: int, randomness: str) -> tuple[Axis, Session]:
        """A free axis, from now on the youngest, and what keeps others from taking it."""
        session = Session()
        with _lock:
            if len(Axis._known) > _KEPT:  # of calls over many sizes
                Axis._known = {key: held for key, axes in Axis._known.items() if (held := [a for a in axes if a.session])}
            known = Axis._known.setdefault((size, randomness), [])
            axis = next((a for a in known if a._session() is None), None)
            if axis is None:
                axis = Axis(size, randomness)
                known.append(axis)
            axis._session, axis.age = ref(session), _ages()
        return axis, session

    @property
    def session(self) -> Any:
        """To be held by what may come back to the axis."""
        return self._session()

    def __repr__(self) -> str:
        return f"<axis of {self.size} lanes>"


class LaneBlock:
    """Memory of all lanes: ``inner``, a block beneath, from byte ``start`` on, each lane ``stride`` bytes behind the last.

    ``whole`` is the layout beneath of one lane's memory where an op made the block; None where it is the caller's, which is
    only read.
    """

    __slots__ = ("__weakref__", "_writes", "inner", "nbytes", "session", "start", "stride", "whole", "writer")
    handle = None

    def __init__(self, inner: Any = None, start: int = 0, stride: int = 0, nbytes: int = 0, session: Any = None) -> None:
        self.inner, self.start, self.stride, self.nbytes, self.session = inner, start, stride, nbytes, session
        self._writes = 0
        self.whole: Layout | None = None

    @property
    def version(self) -> int:
        """Counts writes, those beneath included where the memory is the caller's."""
        return self._writes + (0 if self.whole is not None or self.inner is None else self.inner.version)

    @version.setter
    def version(self, value: int) -> None:
        self._writes += value - self.version


class LanePool:
    """Makes blocks without memory: the result of an op brings its own."""

    block_type = None

    def maker(self, layout: Layout) -> Any:
        """What makes a block for a result."""
        return lambda: (LaneBlock(), None)

    def fresh(self, layout: Layout) -> Any:
        """Memory to copy into from elsewhere; there is none."""
        raise RuntimeError("vmap: a tensor cannot be moved to another device inside; move it before the call")

    def note_use(self, block: Any, stream: Any) -> None:
        """Streams are a matter of the device beneath."""


class Lanes(Device):
    """All lanes of ``axis``, on the device ``beneath``. Its name for users is that of the device at the bottom."""

    def __init__(self, beneath: Any, axis: Axis) -> None:
        self.beneath, self.axis, self.size = beneath, axis, axis.size
        self.axes = (*beneath.axes, axis)
        self.limits, self.kind, self.index = beneath.limits, beneath.kind, beneath.index
        self.name = f"{beneath.name} × {axis.size}"
        self.pool: Any = LanePool()
        self.fits: dict[Any, bool] = {}  # what `Call.fits` found

    @staticmethod
    def over(beneath: Any, *axes: Axis) -> Any:
        """``beneath`` with these axes on it, one upon the other; each such device is there once."""
        for axis in axes:
            with _lock:
                made = vars(beneath).setdefault("_lanes", {})
                if len(made) > _KEPT:
                    made = vars(beneath)["_lanes"] = {a: lanes for a, lanes in made.items() if a.session}
                beneath = made.get(axis) or made.setdefault(axis, Lanes(beneath, axis))
        return beneath

    # ---- the contract ------------------------------------------------------------------------------------------------
    def require(self) -> None:
        self.beneath.require()

    def synchronize(self) -> None:
        self.beneath.synchronize()

    def view(self, block: Any, layout: Layout, offset: int) -> Any:
        """Nothing is launched here; plans are given the tensors themselves."""
        return ()

    def copy_out(self, handle: Any, offset: int, data: memoryview) -> None:
        raise RuntimeError(
            "vmap: a value was read on the host (item(), print, a branch on a tensor, a result whose size depends on data …), "
            "but inside there is one for each lane; write it with where() and masks, or do it outside"
        )

    def copy_in(self, handle: Any, offset: int, data: memoryview) -> None:
        raise RuntimeError("vmap: host data cannot be written into a tensor inside; make a tensor of it, and copy that")

    # ---- plans -------------------------------------------------------------------------------------------------------
    def plan(self, op: Op, keys: Sequence[Any], attrs: tuple[Any, ...]) -> Plan:
        """The plan of an op: one step, which runs it beneath."""
        from .running import run

        outputs = op.infer(specs_of(keys), attrs)
        count = len(keys)
        fresh = [k for k in range(len(outputs)) if k not in op.mutates]
        layouts = tuple(Layout.dense(outputs[k].shape, outputs[k].dtype, self) for k in fresh)
        refs = tuple(Ref(op.mutates[k]) if k in op.mutates else Ref(count + fresh.index(k)) for k in range(len(outputs)))

        def call(*views: Any) -> None:
            run(self, op, views[:count], attrs, outputs, views[count:])

        step = Step(call, (*map(Ref, range(count)), *refs), "decomposed", op.name, views=True)
        return Plan(op.name, self, count, layouts, (step,), refs, "decomposed", f"{self.size} lanes at once")

    def copy_steps(self, frm: Ref, to: Ref) -> list[Step]:
        """The steps of a copy between two values here."""
        from .running import write

        return [Step(write, (frm, to), "decomposed", "copy", views=True)]


# ---- all lanes of a value, as a value beneath --------------------------------------------------------------------------
def is_shared(view: Any) -> bool:
    """True where all lanes are the same."""
    return bool(view._block.stride == 0)


def lanes_of(view: Any, rank: int = 0) -> Any:
    """``view`` beneath: its lanes along a new first axis, axes of size 1 after that up to ``rank``. Without either where all
    lanes are the same."""
    block, layout = view._block, view._layout
    beneath = layout.device.beneath
    item = beneath.limits.storage_itemsize(layout.dtype)
    shape, strides = layout.shape, layout.strides
    if block.stride:
        more = rank - len(shape)
        shape = (layout.device.size, *(1,) * more, *shape)
        strides = (block.stride // item, *(0,) * more, *strides)
    every = Layout.of(shape, strides, layout.dtype, beneath)
    return TensorBase.kind.make(block.inner, every, block.start // item + view._offset)


def fill(view: Any, made: Any, shared: bool) -> None:
    """Give ``view``, a result without memory, that of ``made``, a dense tensor beneath (with the lanes first, or without)."""
    block, layout = view._block, view._layout
    beneath = layout.device.beneath
    item = beneath.limits.storage_itemsize(layout.dtype)
    block.nbytes = layout.size * item
    block.whole = Layout.dense(layout.shape, layout.dtype, beneath)
    block.inner, block.start, block.stride = made._block, made._offset * item, 0 if shared else block.nbytes
    block.session = layout.device.axis.session
