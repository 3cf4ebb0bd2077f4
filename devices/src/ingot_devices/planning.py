"""The builder that lays a decomposition out as steps of a plan.

`resolve` runs an op's decomposition with it: each op that the decomposition calls is resolved for the layouts at
hand, and its steps are put behind one another; views are layout arithmetic and cost nothing. Number operands are not
known yet: they are symbols whose arithmetic is replayed at each run.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .builder import Builder
from .layout import Layout
from .observe import bare
from .opset.op import OPS, Op, parameters
from .plan import Lazy, Ref, Step


class Symbol:
    """A tensor of the plan: a slot, seen through a layout at an element offset."""

    def __init__(self, slot: int, layout: Layout, offset: int = 0) -> None:
        self.slot, self.layout, self.offset = slot, layout, offset

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape

    @property
    def dtype(self) -> Any:
        return self.layout.dtype

    @property
    def ndim(self) -> int:
        return len(self.layout.shape)

    def ref(self) -> Ref:
        """How a step names it."""
        return Ref(self.slot, self.layout, self.offset)


class Number:
    """A number operand, or arithmetic on some: known at each run only."""

    def __init__(self, kind: type, compute: Callable[[Sequence[Any]], Any]) -> None:
        self.kind, self.compute = kind, compute

    def lazy(self) -> Lazy:
        return Lazy(self.compute)

    def _with(self, other: Any, op: Callable[[Any, Any], Any], swap: bool = False) -> Number:
        right = other.compute if isinstance(other, Number) else lambda given: other
        kind = other.kind if isinstance(other, Number) else type(other)
        made = float if float in (kind, self.kind) or op is operator.truediv else self.kind
        left = self.compute
        if swap:
            return Number(made, lambda given: op(right(given), left(given)))
        return Number(made, lambda given: op(left(given), right(given)))

    def __add__(self, other: Any) -> Number:
        return self._with(other, operator.add)

    def __radd__(self, other: Any) -> Number:
        return self._with(other, operator.add, True)

    def __sub__(self, other: Any) -> Number:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Number:
        return self._with(other, operator.sub, True)

    def __mul__(self, other: Any) -> Number:
        return self._with(other, operator.mul)

    def __rmul__(self, other: Any) -> Number:
        return self._with(other, operator.mul, True)

    def __truediv__(self, other: Any) -> Number:
        return self._with(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Number:
        return self._with(other, operator.truediv, True)

    def __pow__(self, other: Any) -> Number:
        return self._with(other, operator.pow)

    def __neg__(self) -> Number:
        return self._with(-1, operator.mul)

    def __bool__(self) -> bool:
        raise TypeError("a decomposition cannot branch on a number operand: make it an attribute")


class PlanBuilder(Builder):
    """Collects ``steps`` and ``allocations``; slots below ``len(keys)`` are the op's own operands."""

    def __init__(self, device: Any, context: Any, keys: Sequence[Any], resolve: Callable[..., Any]) -> None:
        self.device, self.context, self.keys = device, context, tuple(keys)
        self.steps: list[Step] = []
        self.allocations: list[Layout] = []
        self._resolve = resolve
        self._taken: set[int] = set()

    def allocate(self, layout: Layout) -> int:
        """A new slot of ``layout``."""
        self.allocations.append(layout)
        return len(self.keys) + len(self.allocations) - 1

    def take(self, slot: int) -> None:
        """Note that ``slot`` is a result already."""
        self._taken.add(slot)

    def taken(self, slot: int) -> bool:
        """True the second time a slot is asked for as a result."""
        found = slot in self._taken
        self._taken.add(slot)
        return found

    def run(self, op: Op, attrs: tuple[Any, ...]) -> list[Symbol]:
        """The decomposition of ``op`` on the plan's operands; its results."""
        operands = [self._operand(n, k) for n, k in enumerate(self.keys)]
        made = decompose(op, self, operands, attrs)
        return list(made) if isinstance(made, (tuple, list)) else [made]

    def _operand(self, n: int, key: Any) -> Any:
        if key is None:
            return None
        if isinstance(key, Layout):
            return Symbol(n, key)
        return Number(key, lambda given: given[n])

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        if op.view is not None:
            return self._view(op, operands[0], attributes)
        keys = [
            o.layout if isinstance(o, Symbol) else o.kind if isinstance(o, Number) else None if o is None else type(o)
            for o in operands
        ]
        plan = self._resolve(op, keys, attributes, self.device, self.context)
        slots: dict[int, Any] = dict(enumerate(operands))
        for n, layout in enumerate(plan.allocations):
            slots[len(operands) + n] = Symbol(self.allocate(layout), layout)
        for step in plan.steps:
            moved = tuple(self._rename(o, slots, operands) for o in step.operands)
            self.steps.append(replace(step, call=bare(step.call), operands=moved))
        results = [self._symbol(r, slots) for r in plan.results]
        return results[0] if len(results) == 1 else tuple(results)

    def _rename(self, operand: Any, slots: dict[int, Any], operands: Sequence[Any]) -> Any:
        if isinstance(operand, Ref):
            value = slots[operand.slot]
            if isinstance(value, Number):
                return value.lazy()
            if not isinstance(value, Symbol):
                return value
            if operand.layout is None:
                return value.ref()
            return Ref(value.slot, operand.layout, value.offset + operand.offset)
        if isinstance(operand, Lazy):
            inner = operand.compute
            sources = [o.compute if isinstance(o, Number) else None for o in operands]
            constant = list(operands)

            def compute(given: Sequence[Any]) -> Any:
                return inner([c if s is None else s(given) for s, c in zip(sources, constant, strict=True)])

            return Lazy(compute)
        return operand

    def _symbol(self, ref: Ref, slots: dict[int, Any]) -> Symbol:
        value = slots[ref.slot]
        if ref.layout is None:
            return Symbol(value.slot, value.layout, value.offset)
        return Symbol(value.slot, ref.layout, value.offset + ref.offset)

    def _view(self, op: Op, x: Symbol, attributes: tuple[Any, ...]) -> Symbol:
        layout = x.layout
        named = dict(zip(op.attributes, attributes, strict=True))
        assert op.view is not None
        found = op.view(layout.shape, layout.strides, **named)
        if found is None:
            return self._view(op, self.call(OPS["copy"], (x,), ()), attributes)
        shape, strides, offset = found
        made = Layout.of(tuple(shape), tuple(strides), layout.dtype, layout.device)
        return Symbol(x.slot, made, x.offset + offset if made.size else 0)


def decompose(op: Op, builder: Builder, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
    """Run ``op``'s decomposition with ``builder``; operands and attributes are passed by name."""
    rule = op.decompose
    assert rule is not None
    named: dict[str, Any] = dict(zip(op.attributes, attributes, strict=True))
    fixed = len(op.names) - 1 if op.variadic else len(op.names)
    named |= dict(zip(op.names[:fixed], operands[:fixed], strict=False))
    if op.variadic:
        named[op.names[-1]] = tuple(operands[fixed:])
    wanted = parameters(rule)
    return rule(builder, **{k: v for k, v in named.items() if k in wanted})


__all__ = ["Number", "PlanBuilder", "Symbol", "decompose"]
