"""Writing into tensors: in-place ops, copies into a view, and the aliasing they must mind.

``x.add_(y)`` is the op ``add`` whose result lands in ``x``. A pointwise op writes there directly where every operand
is either apart from ``x`` or the very same elements, and so does what writes at positions (`Op.over`) where they are
apart: it touches these alone. All else is computed apart and copied. The block's version goes up, and the tape is moved
(`views.rebase`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ingot_devices.context import Context, state
from ingot_devices.dtypes import DType
from ingot_devices.layout import Layout
from ingot_devices.opset.op import OPS, Op, Spec
from ingot_devices.transfer import copy_view

from . import dispatch
from .autograd.node import OpNode, new_node, next_seq, rules_of
from .autograd.saved import save
from .base import TensorBase
from .lazy import heard, plans, resolution
from .views import rebase

if TYPE_CHECKING:
    from ingot_devices.plan import Plan, Step

DISJOINT, SAME, OVERLAP = 0, 1, 2
_copies: dict[tuple[Layout, Layout], Any] = {}
dispatch._forget.append(_copies.clear)


def overlap(x: Any, y: Any) -> int:
    """How ``y`` lies to ``x``: disjoint, the same elements, or overlapping (a safe guess)."""
    if x._block is not y._block:
        return DISJOINT
    a, b = x._layout, y._layout
    if x._offset == y._offset and a.shape == b.shape and a.strides == b.strides and a.dtype is b.dtype:
        return SAME
    first, last = (x, y) if x._offset <= y._offset else (y, x)
    return OVERLAP if first._offset + first._layout.span > last._offset else DISJOINT


def write_into(x: Any, value: Any) -> None:
    """Copy ``value`` (broadcast, cast, any device) over ``x``, without the tape; the version goes up."""
    require_writable(x)
    if value._layout.device is not x._layout.device:
        if x._layout.device.axes or value._layout.device.axes:
            x, value = dispatch._agree(OPS["copy"], (x, value), None)[0]
            write_into(x, value)
            return
        if value._layout.shape != x._layout.shape or value._layout.dtype is not x._layout.dtype:
            value = value.to(x.device, x._layout.dtype).expand(x._layout.shape)
            write_into(x, value)
            return
        copy_view(x, value)
        _wrote(x, "copy")
        return
    if overlap(x, value) == OVERLAP:
        value = value.clone()
    key = (value._layout, x._layout)
    steps = _copies.get(key)
    if steps is None:
        if len(_copies) > 8192:
            _copies.clear()
        device = x._layout.device
        device.require()
        steps = resolution.copy_steps(device, value._layout, x._layout, plans.Ref(0), plans.Ref(1))
        steps = _copies[key] = plans.Plan("copy", device, 2, (), tuple(steps), (plans.Ref(1),), "generated")
    if x._layout.size:
        _run_copy(steps, value, x)
    _wrote(x, "copy")


def _run_copy(plan: Plan, value: Any, x: Any) -> None:
    context = state.context
    if not context.recording or plan.device.axes:
        plan.run((value, x), TensorBase.kind)
        return
    state.context = context.change(recording=False)  # what a plan does inside is not news
    try:
        plan.run((value, x), TensorBase.kind)
    finally:
        state.context = context
    state.recorder.note(OPS["copy"], plan, (value, x), (x,))


def _wrote(x: Any, name: str) -> None:
    """Count a write, and keep the name for the error of one who had saved the old value."""
    block = x._block
    block.version += 1
    block.writer = name


def require_writable(x: Any) -> None:
    """RuntimeError when several elements of ``x`` are one place in memory."""
    layout = x._layout
    if not layout.is_dense and any(s == 0 and n > 1 for n, s in zip(layout.shape, layout.strides, strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location; clone() the tensor before you write to it"
        )


def require_not_leaf(x: Any, name: str = "copy") -> None:
    """RuntimeError when writing would destroy a leaf that gradients are wanted for."""
    if not state.context.grad:
        return
    edge = x._edge
    if edge is not None and edge[0].seq < 0:
        raise RuntimeError(f"a leaf Variable that requires grad is being used in an in-place operation ({name}_); "
                           "write under no_grad(), or to a clone()")
    base = x._base
    if base is not None and base._edge is not None and base._edge[0].seq < 0:
        raise RuntimeError(f"a view of a leaf Variable that requires grad is being used in an in-place operation ({name}_); "
                           "write under no_grad(), or to a clone()")


def call_(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...] = (), at: int = 0) -> Any:
    """``op`` with its result written into the operand at ``at``, which is returned."""
    x = operands[at]
    require_not_leaf(x, op.name)
    require_writable(x)
    context = state.context
    if context.grad and any(isinstance(o, TensorBase) and o._edge is not None for o in operands):
        return _recorded(op, operands, attrs, at)
    _write(op, operands, attrs, at)
    return x


@cache
def make_inplace(op: Op) -> Callable[[Any, Any], Any]:
    """``x op= y`` for a pointwise op, on one page: what needs no tape and lies plainly is launched at once."""
    entries: dict[Any, dispatch.Entry] = {}
    dispatch._fast.append(entries)
    get = entries.get
    tensors, name = TensorBase, op.name

    def apply(x: Any, y: Any) -> Any:
        context = state.context
        ly: Any
        if isinstance(y, tensors):
            ly = y._layout
            if y._block is x._block or (context.grad and y._edge is not None):
                return call_(op, (x, y))
            yn = y._native
            if yn is None:
                yn = y.native()
        else:
            ly, yn = type(y), y
        entry = get((x._layout, ly, context))
        if entry is None or (context.grad and (x._edge is not None or x._base is not None)):
            return slow(x, y, ly, context)
        xn = x._native
        if xn is None:
            xn = x.native()
        entry.step(xn, yn, xn)
        entry.calls += 1
        block = x._block
        block.version += 1
        block.writer = name
        return x

    def slow(x: Any, y: Any, ly: Any, context: Context) -> Any:
        call_(op, (x, y))
        entry = _entries.get((op, (x._layout, ly), (), context, None, 0))
        if entry is not None and entry.order == (0, 1, 0) and x._layout.size:
            entries[x._layout, ly, context] = entry
        return x

    return apply


def _write(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...], at: int) -> None:
    x = operands[at]
    apart = True
    for k, o in enumerate(operands):
        if isinstance(o, TensorBase) and o._block is x._block and k != at:
            apart = False
    patterns = None if apart else tuple([overlap(x, o) if isinstance(o, TensorBase) else DISJOINT for o in operands])
    key = (op, tuple([o._layout if isinstance(o, TensorBase) else None if o is None else type(o) for o in operands]),
           attrs, state.context, patterns, at)  # fmt: skip
    entry = _entries.get(key)
    moved: Sequence[Any] = operands
    run = dispatch.run
    if entry is None:
        device = x._layout.device
        moved, device = dispatch._agree(op, operands, device)
        keys = tuple([dispatch.key_of(o) for o in moved])
        others = None if patterns is None else (*patterns[:at], *patterns[at + 1 :])
        entry = dispatch.Entry(op, keys, attrs, _plan(op, keys, attrs, device, set(others or ()), at))
        if state.context.recording:
            run = partial(heard.run, op)
        elif all(map(dispatch._same, moved, operands)):
            _entries[key] = entry
    if x._layout.size:
        run(entry, moved)
    block = x._block
    block.version += 1
    block.writer = op.name


_entries: dict[Any, dispatch.Entry] = {}
dispatch._fast.append(_entries)


def _plan(op: Op, keys: tuple[Any, ...], attrs: tuple[Any, ...], device: Any, patterns: set[int], at: int) -> Plan:
    """The plan of an in-place op: straight into the operand at ``at`` where that is safe, else apart and copied.

    ``patterns``: how the others lie to it.
    """
    target = keys[at]
    try:
        made = op.infer(resolution.specs_of(keys), attrs)[0]
    except ValueError as e:
        raise RuntimeError(f"{op.name}_: {e}") from None
    except TypeError as e:
        raise RuntimeError(f"{op.name}_: {e}") from None
    _require_fits(op, made, target)
    plan = resolution.resolve(op, keys, attrs, device, state.context)
    n, straight = len(keys), target.is_dense and made.dtype is target.dtype
    steps = _over(op, plan, patterns, at) if straight else ()
    if steps:
        here = {plans.Ref(n): plans.Ref(at)}
        there = tuple([replace(s, operands=tuple([here.get(o, o) for o in s.operands])) for s in steps])
        return plans.Plan(f"{op.name}_", device, n, (), there, (plans.Ref(at),), plan.route)
    result = plan.results[0]
    layout = result.layout or plan.allocations[result.slot - n]
    copies = resolution.copy_steps(device, layout, target, result, plans.Ref(at))
    return plans.Plan(f"{op.name}_", device, n, plan.allocations, (*plan.steps, *copies), (plans.Ref(at),), plan.route)


def _over(op: Op, plan: Plan, patterns: set[int], at: int) -> Sequence[Step]:
    """The steps of ``plan`` that may write over the operand at ``at`` in the place of its one new result; () for none."""
    steps = plan.steps
    if any(s.route not in ("generated", "registered") for s in steps):
        return ()
    if plan.single is not None and op.group == "pointwise":
        return () if OVERLAP in patterns else [replace(steps[0], call=_silently(steps[0].call))]
    return steps[1:] if op.over and at == 0 and plan.route == "generated" and not patterns - {DISJOINT} else ()


def _silently(call: Any) -> Any:
    """A ufunc that writes over its operand cannot be run again, so it runs with NumPy's remarks off."""
    from ingot_devices.codegen.quiet import quietly

    return quietly(call) if isinstance(call, np.ufunc) else call


def _require_fits(op: Op, made: Spec, target: Layout) -> None:
    if made.shape != target.shape:
        raise RuntimeError(f"{op.name}_: output with shape {list(target.shape)} doesn't match the broadcast shape "
                           f"{list(made.shape)}")
    category = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    if category[made.dtype.kind] > category[target.dtype.kind]:
        raise RuntimeError(f"{op.name}_: result type {made.dtype.name} can't be cast to the desired output type "
                           f"{target.dtype.name}")


def _recorded(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...], at: int) -> Any:
    """The in-place op with its gradient. Where the rules read the value of ``x`` before, a copy of that is saved; where they
    read a result that is not the new value of ``x``, element for element, that is computed apart and copied."""
    x = operands[at]
    if x._layout.device.axes:  # on lanes all operands are, and have edges from there
        operands = tuple(dispatch._agree(op, operands, x._layout.device)[0])
    rules = rules_of(op)
    edges = tuple([o._edge if isinstance(o, TensorBase) else None for o in operands])
    wanted = rules.wanted(edges) if rules is not None else None
    read = operands
    if wanted is not None and at in wanted.inputs:
        read = (*operands[:at], _before(x), *operands[at + 1 :])
    found = None if wanted is None else dispatch.find(op, read, attrs, state.context, None)
    if found is None or wanted is None or (wanted.outputs and (wanted.outputs != (0,) or found[0].layout is not x._layout)):
        result = dispatch.call(op, read, attrs)
        _require_fits(op, Spec.of(result._layout.shape, result._layout.dtype), x._layout)
        assign(x, result)
        return x
    entry, moved = found
    node = new_node(OpNode)
    node.entry = entry
    node.edges = edges
    node.seq = next_seq()
    node.wanted = wanted
    node.saved = save(node, wanted, moved, (x,))
    _write(op, operands, attrs, at)
    if wanted.outputs:  # x as it is now
        node.saved[-1] = (*node.saved[-1][:4], x._block.version, node.saved[-1][5])
    if state.context.anomaly:
        node.note_site()
    rebase(x, (node, 0) if wanted.any else None)
    return x


def _before(x: Any) -> Any:
    """``x`` as it is now, in memory of its own, with the history that it has now."""
    context = state.context
    state.context = context.change(grad=False)
    try:
        made = dispatch.call(OPS["copy"], (x,))
    finally:
        state.context = context
    made._edge = x._edge
    return made


def number_in(value: Any, dtype: DType) -> Any:
    """A Python number as ``dtype`` has it: whole, or True and False; RuntimeError where it does not reach so far."""
    if dtype.kind == "b":
        return bool(value)
    if dtype.kind in "iu" and type(value) is not bool:
        signed = dtype.kind == "i"
        reach = (1 << 8 * dtype.itemsize - signed) - 1
        if not -reach - signed <= value <= reach:  # NaN is nowhere; what is unsigned wraps, as PyTorch's
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}")
        return int(value)
    return value


def fill(x: Any, value: Any) -> None:
    """``x[...] = value`` for a number: what x depended on gets zeros for gradients from here on."""
    require_not_leaf(x, "fill")
    require_writable(x)
    context, layout = state.context, x._layout
    if type(value) not in (float, int, bool):
        value = dispatch.number_of("fill_", value)
    value = number_in(value, layout.dtype)
    if context.grad and x._edge is not None and x._base is None:
        call_(OPS["where"], (True, value, x), (), at=2)
        return
    if context.recording:
        made = dispatch.call(OPS["full"], (value,), ((), layout.dtype), layout.device)
        assign(x, made.expand(layout.shape))
        return
    key = (layout, type(value), context)
    entry = _fills.get(key)
    if entry is None:
        layout.device.require()
        entry = _fills[key] = dispatch.Entry(OPS["full"], (), (), _filling(layout, type(value), context))
    if layout.size:
        dispatch.run(entry, (x, value))
    _wrote(x, "fill")
    if context.grad and x._base is not None and x._base._edge is not None:
        rebase(x, None)


_fills: dict[Any, dispatch.Entry] = {}
dispatch._fast.append(_fills)


def _filling(layout: Layout, kind: type, context: Context) -> Plan:
    """What writes a number (slot 1) over ``layout`` (slot 0): straight where it is dense, else by way of one element."""
    op, device = OPS["full"], layout.device
    if layout.is_dense:
        plan = resolution.resolve(op, (kind,), (layout.shape, layout.dtype), device, context)
        if plan.single is not None and plan.steps[0].route in ("generated", "registered"):
            step = replace(plan.steps[0], operands=(plans.Ref(1), plans.Ref(0)))
            return plans.Plan("fill_", device, 2, (), (step,), (plans.Ref(0),), plan.route)
    plan = resolution.resolve(op, (kind,), ((), layout.dtype), device, context)
    steps = [replace(s, operands=tuple(map(_further, s.operands))) for s in plan.steps]
    wide = Layout.of(layout.shape, (0,) * len(layout.shape), layout.dtype, device)
    steps += resolution.copy_steps(device, wide, layout, plans.Ref(2, wide), plans.Ref(0))
    return plans.Plan("fill_", device, 2, plan.allocations, tuple(steps), (plans.Ref(0),), plan.route)


def _further(operand: Any) -> Any:
    """An operand of a plan of one number, where a tensor stands before that."""
    return replace(operand, slot=operand.slot + 1) if isinstance(operand, plans.Ref) else operand


def assign(x: Any, value: Any) -> None:
    """``x[...] = value`` with the tape: x's value is ``value`` from here on."""
    require_not_leaf(x)
    if value._layout.device is not x._layout.device and x._layout.device.axes:
        value = dispatch._agree(OPS["copy"], (x, value), None)[0][1]
    write_into(x, value)
    if state.context.grad and (value._edge is not None or x._edge is not None
                               or (x._base is not None and x._base._edge is not None)):
        edge = value._edge
        if edge is not None and (value._layout.shape != x._layout.shape or value._layout.dtype is not x._layout.dtype):
            shown = value.to(x._layout.dtype).expand(x._layout.shape)
            edge = shown._edge
        rebase(x, edge)
