"""From an op and its operands to a launch: the eager flow's middle.

    Tensor method ──▶ call / binary / unary ──▶ plan (cached, else `ingot_devices.resolve`) ──▶ launch ──▶ record

A plan is looked up by (op, operand layouts, attributes, context); Python numbers are launch arguments and only their
type is in the key. No hook runs here. `Entry` is what the core keeps beside a plan: what recording the gradient
needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from ingot_devices.context import Context, on_change, scope, state
from ingot_devices.ir.expr import Expr
from ingot_devices.opset.op import OPS, Op

from .autograd.node import _SPECS, OpNode, Rules, Wanted, new_node, next_seq, rules_of
from .autograd.saved import save
from .base import TensorBase
from .cpu import KIND as CPU
from .devices import default_device, device_of
from .lazy import casting, crossing, heard, resolution

if TYPE_CHECKING:
    from ingot_devices.layout import Layout
    from ingot_devices.plan import Plan

# Kernels follow IEEE: NumPy's remarks on overflow are not news. A user's "error" filter is met in `_quiet`.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"ingot(_\w+)?(\.|$)")

_MAX_PLANS = 16384
_new = object.__new__
_empty = np.empty


class Entry:
    """A plan with what dispatch and autograd keep beside it."""

    __slots__ = (
        "adopts", "attrs", "calls", "fresh", "layout", "make", "order", "picks", "plan", "rules", "single", "specs", "step",
    )  # fmt: skip

    def __init__(self, op: Op, keys: Sequence[Any], attrs: tuple[Any, ...], plan: Plan) -> None:
        self.plan, self.attrs, self.specs = plan, attrs, tuple(keys)
        self.rules: Rules | None = rules_of(op)
        self.calls = 0
        # a plan of one step is run here; a longer one runs itself
        self.step: Any = None if plan.order is None else plan.steps[0].call
        self.order = None if plan.order == tuple(range(plan.inputs + len(plan.allocations))) else plan.order
        self.fresh = tuple(zip(plan.makers, plan.allocations, strict=True))
        self.picks = tuple(r.slot for r in plan.results)
        # and one step with one result is the hot path: there, ``single`` and ``make`` are no None
        self.single: Any = plan.single
        self.make: Any = plan.makers[0] if plan.makers else None
        self.layout = plan.layout
        self.adopts = _adopts(plan.device.pool, plan.layout) if plan.single is not None and plan.layout is not None else None


def _adopts(pool: Any, layout: Layout) -> tuple[Any, ...] | None:
    """What `ingot_devices.memory.Pool.adopt` needs to know of a result that NumPy allocates; else None."""
    if not pool.makes_arrays(layout):
        return None
    kind = pool.block_type
    return layout.shape, layout.dtype.numpy, layout.size * layout.dtype.itemsize, pool, kind.__new__, kind


_plans: dict[Any, Entry] = {}
_fast: list[dict[Any, Entry]] = []
_forget: list[Callable[[], None]] = [_SPECS.clear]
_retired: dict[str, int] = {}
programs: WeakSet[Any] = WeakSet()
"""Compiled programs, whose launches count too."""


def forget_plans() -> None:
    """Drop every cached plan (a kernel came or went, or too many are kept); their launch counts stay."""
    for name, n in _count().items():
        _retired[name] = _retired.get(name, 0) + n
    for plans in (_plans, *_fast):
        plans.clear()
    for forget in _forget:
        forget()


on_change(forget_plans)


def _count() -> dict[str, int]:
    total: dict[str, int] = {}
    for entry in {id(e): e for plans in (_plans, *_fast) for e in list(plans.values())}.values():
        entry.plan.calls += entry.calls
        entry.calls = 0
        for route, n in entry.plan.count().items():
            name = f"{entry.plan.device.name} {route}"
            total[name] = total.get(name, 0) + n
    return total


def launch_counts(device: str) -> dict[str, int]:
    """Launches on ``device`` (its name) so far, by route: registered, generated, host …"""
    total = dict(_retired)
    for name, n in _count().items():
        total[name] = total.get(name, 0) + n
    for program in list(programs):
        for route, n in program.count().items():
            name = f"{program.graph.device.name} {route}"
            total[name] = total.get(name, 0) + n
    prefix = f"{device} "
    return {k.removeprefix(prefix): n for k, n in total.items() if k.startswith(prefix)}


# ---- finding a plan --------------------------------------------------------------------------------------------------
def key_of(operand: Any) -> Any:
    """What stands for an operand in a plan's key: its layout, a number's type, or None."""
    if isinstance(operand, TensorBase):
        return operand._layout
    return None if operand is None else type(operand)


def find(
    op: Op, operands: Sequence[Any], attrs: tuple[Any, ...], context: Context, device: Any
) -> tuple[Entry, list[Any]]:
    """The entry for these operands, which may have been moved to one device or made plain numbers."""
    if context.recording:
        return heard.find(op, operands, attrs, context, device)
    operands, device = _agree(op, operands, device)
    keys = tuple([key_of(o) for o in operands])
    key = (op, keys, attrs, context, device)
    entry = _plans.get(key)
    if entry is None:
        device.require()
        try:
            plan = resolution.resolve(op, keys, attrs, device, context)
        except (ValueError, TypeError) as e:
            raise RuntimeError(f"{op.name}: {e}") from e
        except AttributeError as e:  # what a tensor has, asked of a number or of None
            kinds = _NUMBERS if isinstance(e.obj, Expr) else (None,) if e.obj is None else ()
            given = [repr(name) for name, k in zip(op.names, keys, strict=False) if k in kinds]
            if not given:
                raise
            said = "None" if e.obj is None else "a number"
            raise TypeError(f"{op.name}(): {' or '.join(given)} must be a Tensor, not {said}") from None
        entry = Entry(op, keys, attrs, plan)
        if len(_plans) >= _MAX_PLANS:
            forget_plans()
        _plans[key] = entry
    return entry, operands


_NUMBERS = (bool, int, float)


def _agree(op: Op, operands: Sequence[Any], device: Any) -> tuple[list[Any], Any]:
    """Operands on one device: zero-dim CPU tensors come along, NumPy scalars become numbers, the rest is an error."""
    made = list(operands)
    found: dict[int, Any] = {}
    for n, o in enumerate(made):
        if isinstance(o, TensorBase):
            found[id(o._layout.device)] = o._layout.device
        elif o is not None and type(o) not in _NUMBERS:
            made[n] = number_of(op.name, o)
    devices = list(found.values())
    if len(devices) <= 1:
        return made, device or (devices[0] if devices else default_device())
    if any(one.axes for one in devices):
        return crossing.together(op.name, made)
    for one in devices:  # a device that was lost may have the name of the one that took its place
        one.require()
    homes = [o._layout.device for o in made if isinstance(o, TensorBase) and o._layout.shape]
    if homes:
        for n, o in enumerate(made):
            if isinstance(o, TensorBase) and not o._layout.shape and o._layout.device.kind == CPU:
                made[n] = o.to(device_of(homes[0]))
    left = {o._layout.device.name: o._layout.device for o in made if isinstance(o, TensorBase)}
    if len(left) > 1:
        first, second, *_ = left
        raise RuntimeError(f"{op.name}: expected all tensors to be on the same device, but found at least two devices, "
                           f"{first} and {second}! Move one of them with .to()")
    return made, next(iter(left.values()))


def number_of(name: str, value: Any) -> Any:
    """A number of Python or NumPy as Python's; TypeError names who was given something else."""
    if isinstance(value, np.generic) and value.ndim == 0:
        value = value.item()
    for kind in _NUMBERS:
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{name} takes tensors and numbers, not {type(value).__name__}")


# ---- calling ---------------------------------------------------------------------------------------------------------
def call(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...] = (), device: Any = None) -> Any:
    """Run ``op``: a new Tensor, or a tuple of them. ``attrs`` in the row's order; ``device`` where no operand has one."""
    context = state.context
    key: Any
    if len(operands) == 1 and device is None and isinstance(operands[0], TensorBase):
        key = (op, operands[0]._layout, attrs, context)
    else:
        key = (op, tuple([o._layout if isinstance(o, TensorBase) else None if o is None else type(o) for o in operands]),
               attrs, context, device)  # fmt: skip
    entry = _plans.get(key)
    if entry is None:
        if context.autocast:
            cast = casting.operands(op, operands, context)
            if cast is not None:
                return call(op, cast, attrs, device)
        if op.decompose is not None and op.gradient is None and _wants_grad(context, operands):
            return _decomposed(op, operands, attrs)
        if context.recording:
            return heard.call(op, operands, attrs, context, device)
        entry, moved = find(op, operands, attrs, context, device)
        if all(map(_same, moved, operands)):
            _plans[key] = entry
        operands = moved
    elif op.gradient is None and op.decompose is not None and _wants_grad(context, operands):
        return _decomposed(op, operands, attrs)
    if entry.single is not None:
        out = run_single(entry, operands, context)
        if context.grad and entry.rules is not None:
            for o in operands:
                if isinstance(o, TensorBase) and o._edge is not None:
                    record(entry, operands, (out,))
                    break
        return out
    outs = run(entry, operands)
    if context.grad and entry.rules is not None:
        for o in operands:
            if isinstance(o, TensorBase) and o._edge is not None:
                record(entry, operands, outs)
                break
    return outs[0] if len(outs) == 1 else tuple(outs)


def run_single(entry: Entry, operands: Sequence[Any], context: Context) -> Any:
    """`run` for a plan of one step with one new result, as most are."""
    natives = [(o._native if o._native is not None else o.native()) if isinstance(o, TensorBase) else o for o in operands]
    block, native = entry.make()
    try:
        entry.single(*natives, native)
    except RuntimeWarning:
        _quiet(entry.single, *natives, native)
    entry.calls += 1
    out = _new(TensorBase.kind)
    out._block = block
    out._layout = entry.layout
    out._native = native
    out._edge = None
    if context.inference:
        out._inference = True
    return out


def _same(a: Any, b: Any) -> bool:
    return a is b


def run(entry: Entry, operands: Sequence[Any]) -> list[Any]:
    """Launch a plan; its results are new tensors (or the operands that it mutates)."""
    step = entry.step
    if step is None:
        with np.errstate(all="ignore"):  # among several steps some are bare ufuncs
            return entry.plan.run(operands, TensorBase.kind)
    entry.calls += 1
    kind = TensorBase.kind
    inference = state.context.inference
    values = list(operands)
    natives = [(o._native if o._native is not None else o.native()) if isinstance(o, TensorBase) else o for o in values]
    for make, layout in entry.fresh:
        block, native = make()
        natives.append(native)
        out = _new(kind)
        out._block = block
        out._layout = layout
        out._native = native
        out._edge = None
        if inference:
            out._inference = True
        values.append(out)
    order = entry.order
    if order is not None:
        natives = [natives[k] for k in order]
    try:
        step(*natives)
    except RuntimeWarning:
        _quiet(step, *natives)
    return [values[k] for k in entry.picks]


def _quiet(function: Callable[..., Any], *args: Any) -> Any:
    """Again, with NumPy's floating-point remarks off: the user's filters made an error of one."""
    with np.errstate(all="ignore"):
        return function(*args)


def _wants_grad(context: Context, operands: Sequence[Any]) -> bool:
    return context.grad and any(isinstance(o, TensorBase) and o._edge is not None for o in operands)


def _decomposed(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...]) -> Any:
    """An op without a gradient rule of its own is differentiated through its decomposition."""
    from ingot_devices.planning import decompose

    from .autograd.eager import builder  # the builder calls this module

    with scope(autocast=()):  # its operands were cast, and its parts are not ops of the program
        return decompose(op, builder, operands, attrs)


# ---- recording -------------------------------------------------------------------------------------------------------
def record(entry: Entry, operands: Sequence[Any], outs: Sequence[Any]) -> None:
    """Put a node behind ``outs``: edges to the operands that want gradients, and what the rules will read."""
    rules = entry.rules
    assert rules is not None
    edges = tuple([o._edge if isinstance(o, TensorBase) else None for o in operands])
    _note(entry, rules, rules.wanted(edges), edges, operands, outs)


def _note(
    entry: Entry, rules: Rules, wanted: Wanted, edges: tuple[Any, ...], operands: Sequence[Any], outs: Sequence[Any]
) -> None:  # fmt: skip
    """`record`, with all looked up."""
    if not wanted.any:
        return
    node = new_node(OpNode)
    node.entry = entry
    node.edges = edges
    node.seq = next_seq()
    node.wanted = wanted
    if len(outs) > 1:
        node.width = len(outs)
    node.saved = save(node, wanted, operands, outs) if wanted.saves else ()
    if state.context.anomaly:
        node.note_site()
    for k in rules.differentiable:
        out = outs[k]
        if out._layout.dtype.kind in "fc":
            out._edge = (node, k)


# ---- the fast paths --------------------------------------------------------------------------------------------------
def make_binary(op: Op) -> Callable[[Any, Any], Any]:
    """The function of a pointwise op of two operands, the first a tensor, with everything on one page.

    This is the eager hot path: one key, one look-up, one launch, one record.
    """
    plans: dict[Any, Entry] = {}
    _fast.append(plans)
    get = plans.get
    rules = rules_of(op)
    kind = TensorBase.kind  # the class Tensor does not exist yet: `slow` fills it in
    new = object.__new__
    tensors = TensorBase
    wanted_of = rules.masks if rules is not None else {}

    last: tuple[Any, Any, Any, Any] = (None, None, None, None)  # the entry of the call before: most loops repeat one

    def forget() -> None:
        nonlocal last
        last = (None, None, None, None)

    _forget.append(forget)

    def apply(x: Any, y: Any) -> Any:
        nonlocal last
        context = state.context
        ly: Any
        if type(y) is kind or isinstance(y, tensors):
            ly = y._layout
            yn = y._native
            if yn is None:
                yn = y.native()
            ye = y._edge
        else:
            ly = type(y)
            yn = y
            ye = None
        lx = x._layout
        was_x, was_y, was_context, entry = last
        if was_x is not lx or was_y is not ly or was_context is not context:
            entry = get((lx, ly, context))
            if entry is None:
                return slow(x, y, context)
            last = lx, ly, context, entry
        xn = x._native
        if xn is None:
            xn = x.native()
        adopts = entry.adopts
        if adopts is None:
            block, native = entry.make()
        else:  # the same, written out
            shape, dtype, nbytes, pool, block_new, block_kind = adopts
            native = _empty(shape, dtype)
            block = block_new(block_kind)
            block.handle = native
            block.version = 0
            block.nbytes = nbytes
            pool.used = used = pool.used + nbytes
            if used > pool.mark:
                pool.over(nbytes)
        try:
            entry.single(xn, yn, native)
        except RuntimeWarning:
            _quiet(entry.single, xn, yn, native)
        entry.calls += 1
        out = new(kind)
        out._block = block
        out._layout = entry.layout
        out._native = native
        out._edge = None
        if context.grad:
            xe = x._edge
            if (xe is not None or ye is not None) and rules is not None:
                node = new_node(OpNode)
                node.entry = entry
                node.edges = (xe, ye)
                node.seq = next_seq()
                node.wanted = wanted = wanted_of[xe is not None, ye is not None]
                node.saved = save(node, wanted, (x, y), (out,)) if wanted.saves else ()
                if context.anomaly:
                    node.note_site()
                if wanted.any:
                    out._edge = (node, 0)
        elif context.inference:
            out._inference = True
        return out

    def slow(x: Any, y: Any, context: Context) -> Any:
        nonlocal kind
        kind = TensorBase.kind
        if not isinstance(y, tensors) and type(y) not in _NUMBERS and not isinstance(y, (np.generic, *_NUMBERS)):
            return NotImplemented
        if context.recording or (context.autocast and casting.touches(op)):
            return call(op, (x, y))
        entry, operands = find(op, (x, y), (), context, None)
        if entry.single is not None and operands[0] is x and operands[1] is y:
            plans[x._layout, key_of(y), context] = entry
        outs = run(entry, operands)
        if _wants_grad(context, operands) and entry.rules is not None:
            record(entry, operands, outs)
        return outs[0]

    return apply


def make_unary(op: Op, attrs: tuple[Any, ...] = ()) -> Callable[[Any], Any]:
    """The function of an op of one operand, a tensor, with these attributes."""
    plans: dict[Any, Entry] = {}
    _fast.append(plans)
    get = plans.get
    kind = TensorBase.kind  # the class Tensor does not exist yet: the first call fills it in
    new = object.__new__
    rules = rules_of(op)

    def apply(x: Any) -> Any:
        nonlocal kind
        context = state.context
        entry = get((x._layout, context))
        if entry is None:
            if context.recording or (context.autocast and casting.touches(op)):
                return call(op, (x,), attrs)
            entry, _ = find(op, (x,), attrs, context, None)
            if entry.single is None:
                return call(op, (x,), attrs)
            plans[x._layout, context] = entry
            kind = TensorBase.kind
        xn = x._native
        if xn is None:
            xn = x.native()
        block, native = entry.make()
        try:
            entry.single(xn, native)
        except RuntimeWarning:
            _quiet(entry.single, xn, native)
        entry.calls += 1
        out = new(kind)
        out._block = block
        out._layout = entry.layout
        out._native = native
        out._edge = None
        if context.inference:
            out._inference = True
        elif context.grad and x._edge is not None and rules is not None:
            _note(entry, rules, rules.masks[(True,)], (x._edge,), (x,), (out,))
        return out

    return apply


def named(name: str, *operands: Any, **attributes: Any) -> Any:
    """`call` by name: ``named("sum", x, axes=(-1,), keepdim=False)``."""
    op = OPS[name]
    return call(op, operands, op.bind(attributes))


