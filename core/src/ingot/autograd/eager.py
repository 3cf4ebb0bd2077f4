"""The builder that runs ops at once: what gradient rules are written against when a backward pass runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ingot_devices.builder import Builder
from ingot_devices.context import Context, state
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Op

from .. import dispatch
from ..base import TensorBase
from ..views import apply_view


class EagerBuilder(Builder):
    """Each op by name, on tensors, recorded for autograd where the thread's mode says so."""

    def __init__(self) -> None:
        self._fast: dict[Op, Callable[..., Any]] = {}
        self._constants: dict[tuple[Layout, Context], dispatch.Entry] = {}
        self._seeds: dict[tuple[Layout, Context], Any] = {}
        dispatch._forget += [self._constants.clear, self._seeds.clear]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = OPS.get(name)
        if op is None or op.view is None:
            return super().__getattr__(name)
        bind, names = op.bind, tuple(op.attributes)

        def look(x: Any, **attributes: Any) -> Any:
            return apply_view(op, x, tuple(attributes.values()) if tuple(attributes) == names else bind(attributes))

        self.__dict__[name] = look
        return look

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        if op.view is not None:
            return apply_view(op, operands[0], attributes)
        if not attributes and len(operands) <= 2 and op.group == "pointwise" and isinstance(operands[0], TensorBase):
            return self.fast(op)(*operands)
        return dispatch.call(op, operands, attributes)

    def fast(self, op: Op) -> Callable[..., Any]:
        """Dispatch's short way for a pointwise op of one or two operands, the first a tensor."""
        found = self._fast.get(op)
        if found is None:
            found = self._fast[op] = (dispatch.make_unary if len(op.operands) == 1 else dispatch.make_binary)(op)
        return found

    def once(self) -> Once:
        """A builder for the rules of one node."""
        return Once(self)

    def zeros(self, layout: Layout) -> Any:
        """Zeros of a layout's shape, dtype and device."""
        return self._constant(layout, 0)

    def ones(self, layout: Layout) -> Any:
        """Ones of a layout's shape, dtype and device."""
        return self._constant(layout, 1)

    def seed(self, layout: Layout) -> Any:
        """A one of a scalar's layout that is only read: the same each time, but where somebody wrote into it after all.

        Whoever may keep it gets a copy (`lent`). Kept where small blocks come from NumPy, so that it holds no memory of the
        device, and has no stream that may read it before it is there; not for a program, whose memory is its own.
        """
        context, device = state.context, layout.device
        if context.recording or device.streams or not device.numpy_handles:
            return self._constant(layout, 1)
        found = self._seeds.get((layout, context))
        if found is None or found._block.version:
            found = self._constant(layout, 1)
            if device.pool.forget(found._block):
                self._seeds[layout, context] = found
        return found

    def lent(self, g: Any) -> bool:
        """True for a `seed`, and for what sees its memory."""
        return any(seed._block is g._block for seed in self._seeds.values())

    def _constant(self, layout: Layout, value: int) -> Any:
        context = state.context
        entry = self._constants.get((layout, context))
        if entry is None:
            op = OPS["full"]
            attrs = op.bind({"shape": layout.shape, "dtype": layout.dtype})
            if context.recording:
                return dispatch.call(op, (value,), attrs, layout.device)
            entry, _ = dispatch.find(op, (value,), attrs, context, layout.device)
            self._constants[layout, context] = entry
        return dispatch.run_single(entry, (value,), context) if entry.single is not None else dispatch.run(entry, (value,))[0]


builder = EagerBuilder()
"""The one there is."""


class Once(Builder):
    """For the rules of one node: an op that several of them ask for, on the same operands, runs once.

    That is how a composite's backward op gives the gradients of all operands though each rule names one of its results.
    """

    lasting = False

    def __init__(self, inner: EagerBuilder) -> None:
        self._inner = inner
        self._made: dict[Any, tuple[Sequence[Any], Any]] = {}  # operands are kept, so that no other takes their id

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        key = (op, tuple([id(o) if isinstance(o, TensorBase) else (type(o), o) for o in operands]), attributes)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = (operands, self._inner.call(op, operands, attributes))
        return found[1]

    def zeros(self, layout: Layout) -> Any:
        """Zeros of a layout's shape, dtype and device."""
        return self._inner.zeros(layout)
