"""The builder that runs ops at once: what gradient rules are written against when a backward pass runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ingot_devices.builder import Builder
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Op

from .. import dispatch
from ..views import apply_view


class EagerBuilder(Builder):
    """Each op by name, on tensors, recorded for autograd where the thread's mode says so."""

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        if op.view is not None:
            return apply_view(op, operands[0], attributes)
        return dispatch.call(op, operands, attributes)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = OPS.get(name)
        if op is not None and op.group == "pointwise" and not op.attributes and len(op.operands) in (1, 2):
            made = dispatch.make_unary(op) if len(op.operands) == 1 else dispatch.make_binary(op)
            self.__dict__[name] = made
            return made
        return super().__getattr__(name)

    def zeros(self, layout: Layout) -> Any:
        """Zeros of a layout's shape, dtype and device."""
        op = OPS["full"]
        attrs = op.bind({"shape": layout.shape, "dtype": layout.dtype})
        return dispatch.call(op, (0,), attrs, layout.device)

    def ones(self, layout: Layout) -> Any:
        """Ones of a layout's shape, dtype and device."""
        op = OPS["full"]
        attrs = op.bind({"shape": layout.shape, "dtype": layout.dtype})
        return dispatch.call(op, (1,), attrs, layout.device)


builder = EagerBuilder()
"""The one there is."""
