"""From an op and its operands' layouts to a plan: the order of the routes, and why each was taken or not.

    the user's override → a registered kernel → generated from the definition → its decomposition → the host

Called by dispatch when no plan is cached; pure but for building kernels. A device without a code generator has nothing
generated, so a definition goes to the host whole; a decomposition is taken when its parts do not fall to the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .codegen import Compiled, Unsupported
from .codegen.host import HostCodegen
from .context import Context, state
from .errors import DeclarationError, IngotError, NoKernelError
from .fallback import note
from .ir.definition import Define, Definition, Operand
from .layout import Layout
from .opset.op import Op, Spec, number_spec
from .outcomes import one_line
from .plan import Plan, Ref, Step
from .planning import PlanBuilder, Symbol
from .registry import LAYOUTS, Kernel, Off, Request, registry
from .transfer import read, write
from .view import View

Key = Layout | type | None
_HOST = HostCodegen()


class Attempt:
    """One route that was looked at: what it is, who owns it, and why it was not taken (empty: it was)."""

    def __init__(self, route: str, owner: str, refused: str = "") -> None:
        self.route, self.owner, self.refused = route, owner, refused


def specs_of(keys: Sequence[Key]) -> list[Spec | None]:
    """Specs of a key's operands: tensors, Python numbers, None."""
    return [
        None if k is None else Spec.of(k.shape, k.dtype) if isinstance(k, Layout) else number_spec(k) for k in keys
    ]


def resolve(
    op: Op, keys: Sequence[Key], attrs: tuple[Any, ...], device: Any, context: Context | None = None,
    attempts: list[Attempt] | None = None, aliased: frozenset[int] = frozenset(),
) -> Plan:  # fmt: skip
    """The plan of ``op`` for operands of these layouts on ``device``; results are new (or the mutated operands).

    ``aliased``: inputs whose elements are the output's own (an in-place pointwise op). `NoKernelError` when every route
    refuses; ``attempts`` collects what was looked at.
    """
    if device.beneath is not None:
        made: Plan = device.plan(op, keys, attrs)
        return made
    return _Resolver(op, tuple(keys), attrs, device, context or state.context, attempts, aliased).plan()


class _Resolver:
    """The routes of one request, in order."""

    def __init__(
        self, op: Op, keys: tuple[Key, ...], attrs: tuple[Any, ...], device: Any, context: Context,
        attempts: list[Attempt] | None, aliased: frozenset[int],
    ) -> None:  # fmt: skip
        self.op, self.keys, self.attrs, self.device, self.context = op, keys, attrs, device, context
        self.attempts = [] if attempts is None else attempts
        self.aliased = aliased
        self.specs = specs_of(keys)
        self.outputs = op.infer(self.specs, attrs)
        self.layouts = tuple(Layout.dense(s.shape, s.dtype, device) for s in self.outputs)
        self.slots = len(keys)
        fresh = [k for k in range(len(self.outputs)) if k not in op.mutates]
        self.allocations = tuple(self.layouts[k] for k in fresh)
        self.out_refs = tuple(
            Ref(op.mutates[k]) if k in op.mutates else Ref(self.slots + fresh.index(k))
            for k in range(len(self.outputs))
        )

    def plan(self) -> Plan:
        for route in (self._kernels, self._generated, self._decomposed, self._host):
            made = route()
            if made is not None:
                made.keys, made.attributes = self.keys, self.attrs
                return made
        reasons = "; ".join(f"{a.route} ({a.owner}): {a.refused}" for a in self.attempts) or "it has no meaning"
        shown = ", ".join(map(repr, self.keys))
        raise NoKernelError(f"nothing computes {self.op.name}({shown}) on {self.device.name}: {reasons}")

    # ---- kernels that somebody wrote -------------------------------------------------------------------------------
    def _kernels(self) -> Plan | None:
        kind = self.device.kind
        scopes = self.context.overrides
        off = [o for o in scopes if isinstance(o, Off)]
        wins = [o for o in scopes if isinstance(o, Kernel)]
        chosen = [("override", k) for k in wins if (k.op, k.device) == (self.op.name, kind)]
        chosen += [("registered", k) for k in registry.candidates(self.op.name, kind)]
        if not chosen:
            if self.device.codegen is None:
                self.attempts.append(Attempt("registered", kind, "no plugin has a kernel for it"))
            return None
        request = Request(self.op.name, self.keys, dict(zip(self.op.attributes, self.attrs, strict=True)),
                          self.layouts, self.device, self.aliased)
        for route, kernel in chosen:
            hidden = route == "registered" and any(o.hides(kernel) for o in off)
            refused = "switched off" if hidden else kernel.refuses(request)
            if not refused:
                made = self._try_kernel(route, kernel, request)
                if isinstance(made, Plan):
                    return made
                refused = made
            self.attempts.append(Attempt(route, kernel.owner, refused))
        return None

    def _try_kernel(self, route: str, kernel: Kernel, request: Request) -> Plan | str:
        """The plan with this kernel, or why it does not take the request."""
        prepared, steps, extra = self._prepared(kernel.layout)
        if prepared != request.layouts:
            request = Request(request.op, prepared, request.attributes, request.outputs, request.device, self.aliased)
        try:
            made = kernel.make(request)
        except Unsupported as e:
            return str(e)
        except IngotError:
            raise
        except Exception as e:
            raise DeclarationError(f"the kernel for {kernel.op} on {kernel.device} of {kernel.owner or 'this scope'}: "
                                   f"make(request) raised {one_line(e)}") from e
        if made is None:
            return "declined this request"
        compiled = made if isinstance(made, Compiled) else Compiled(made, getattr(made, "__name__", "callable"))
        refs = [Ref(n) for n in range(self.slots)]
        for n, slot in extra.items():
            refs[n] = Ref(slot)
        outs = [r for k, r in enumerate(self.out_refs) if k not in self.op.mutates]
        step = Step(compiled.call, (*refs, *outs), route, self.op.name, compiled.launches, source=compiled.source,
                    origin=compiled.origin, behind=compiled.behind, attach=compiled.attach)
        self.attempts.append(Attempt(route, kernel.owner))
        temps = tuple(Layout.dense(k.shape, k.dtype, k.device) for n, k in enumerate(self.keys)
                      if n in extra and isinstance(k, Layout))
        allocations, results = self._left(compiled.results) if compiled.results else (self.allocations, self.out_refs)
        return Plan(self.op.name, self.device, self.slots, (*allocations, *temps), (*steps, step), results, route,
                    f"by {kernel.owner}")

    def _left(self, results: tuple[Layout, ...]) -> tuple[tuple[Layout, ...], tuple[Ref, ...]]:
        """Memory for results that lie in another order than the dense one, and how they are seen there."""
        if self.op.mutates:
            raise Unsupported("a kernel that writes into its operands leaves them as they lie")
        turned = [x is not dense for x, dense in zip(results, self.layouts, strict=True)]
        flat = (Layout.dense((x.size,), x.dtype, x.device) for x in results)
        return (
            tuple(f if t else dense for f, t, dense in zip(flat, turned, self.allocations, strict=True)),
            tuple(Ref(r.slot, x) if t else r for r, x, t in zip(self.out_refs, results, turned, strict=True)),
        )

    def _prepared(self, layout: str) -> tuple[tuple[Key, ...], list[Step], dict[int, int]]:
        """Copies for operands that the kernel does not take as they lie: (layouts, copy steps, operand → slot)."""
        keys, steps = list(self.keys), list[Step]()
        extra: dict[int, int] = {}
        for n, key in enumerate(self.keys):
            if isinstance(key, Layout) and not LAYOUTS[layout](key):
                dense = Layout.dense(key.shape, key.dtype, key.device)
                slot = self.slots + len(self.allocations) + len(extra)
                steps += copy_steps(self.device, key, dense, Ref(n), Ref(slot))
                extra[n] = slot
                keys[n] = dense
        return tuple(keys), steps, extra

    # ---- generated ---------------------------------------------------------------------------------------------------
    def _definitions(self) -> tuple[Definition, ...]:
        return self.op.definitions(self.specs, self.attrs, self.outputs)

    def _by_number(self) -> dict[int, Layout]:
        layouts = {n: k for n, k in enumerate(self.keys) if isinstance(k, Layout)}
        for k, layout in enumerate(self.layouts):
            if k not in self.op.mutates:
                layouts[self.slots + k] = layout
        return layouts

    def _refs(self, *definitions: Definition) -> tuple[Ref, ...]:
        """What stands at each operand number that the definitions know (trailing mutated outputs have none)."""
        every = (*(Ref(n) for n in range(self.slots)), *self.out_refs)
        known = [n for d in definitions for n in (*(o.number for o in d.operands), *(n for n, _ in d.params))]
        return every[: max(known, default=-1) + 1]

    def _generated(self) -> Plan | None:
        codegen = self.device.codegen
        if self.op.expression is None and self.op.define is None:
            return None
        if codegen is None:
            self.attempts.append(Attempt("generated", self.device.kind, "the device generates no kernels"))
            return None
        layouts = self._by_number()
        steps = []
        compiled: Compiled | None = None
        try:
            for definition in self._definitions():
                compiled = codegen.compile(definition, layouts, self.device, self.aliased)
                steps.append(
                    Step(
                        compiled.call,
                        self._refs(definition),
                        "generated",
                        definition.name,
                        compiled.launches,
                        source=compiled.source,
                        definition=definition,
                        aliased=self.aliased,
                    )
                )
        except Unsupported as e:
            self.attempts.append(Attempt("generated", self.device.kind, str(e)))
            return None
        self.attempts.append(Attempt("generated", self.device.kind))
        return Plan(self.op.name, self.device, self.slots, self.allocations, tuple(steps), self.out_refs, "generated")

    # ---- decomposed --------------------------------------------------------------------------------------------------
    def _decomposed(self) -> Plan | None:
        if self.op.decompose is None:
            return None
        builder = PlanBuilder(self.device, self.context, self.keys, resolve)
        try:
            results = builder.run(self.op, self.attrs)
        except (Unsupported, NoKernelError) as e:
            self.attempts.append(Attempt("decomposed", "ingot", str(e)))
            return None
        hosted = sorted({s.op for s in builder.steps if s.route == "host"})
        if hosted and (self.op.expression is not None or self.op.define is not None):
            self.attempts.append(Attempt("decomposed", "ingot", f"{', '.join(hosted)} would run on the host"))
            return None
        self.attempts.append(Attempt("decomposed", "ingot"))
        refs = tuple(self._settle(builder, r, k) for k, r in enumerate(results))
        return Plan(self.op.name, self.device, self.slots, tuple(builder.allocations), tuple(builder.steps), refs,
                    "decomposed")

    def _settle(self, builder: PlanBuilder, result: Symbol, position: int) -> Ref:
        """A result in memory of its own, in its dense layout, or copied into the operand it mutates."""
        wanted = self.layouts[position]
        if position in self.op.mutates:
            target = self.keys[self.op.mutates[position]]
            assert isinstance(target, Layout)
            builder.steps += copy_steps(
                self.device, result.layout, target, result.ref(), Ref(self.op.mutates[position])
            )
            return Ref(self.op.mutates[position])
        whole = result.slot >= self.slots and result.layout is wanted and result.offset == 0
        if whole and builder.allocations[result.slot - self.slots] is wanted and not builder.taken(result.slot):
            return Ref(result.slot)
        slot = builder.allocate(wanted)
        builder.steps += copy_steps(self.device, result.layout, wanted, result.ref(), Ref(slot))
        builder.take(slot)
        return Ref(slot)

    # ---- the host ----------------------------------------------------------------------------------------------------
    def _host(self) -> Plan | None:
        if self.op.reference is not None:
            return self._reference()
        if self.op.expression is None and self.op.define is None:
            return None
        definitions = self._definitions()
        if not definitions and any(s.size for s in self.outputs):
            return None
        reason = next((a.refused for a in reversed(self.attempts) if a.refused), "the device generates no kernels")
        call = host_call(self.op.name, definitions, self._by_number(), self.device, reason)
        self.attempts.append(Attempt("host", "ingot-devices"))
        step = Step(call, self._refs(*definitions), "host", self.op.name, len(definitions), views=True)
        return Plan(self.op.name, self.device, self.slots, self.allocations, (step,), self.out_refs, "host", reason)


    def _reference(self) -> Plan | None:
        """An op that has no meaning but its NumPy reference."""
        rule = self.op.reference
        assert rule is not None
        attrs = dict(zip(self.op.attributes, self.attrs, strict=True))

        def evaluate(*arrays: Any) -> None:
            for out, made in zip(arrays[self.slots :], rule(*arrays[: self.slots], **attrs), strict=True):
                out[...] = made

        self.attempts.append(Attempt("host", "its NumPy reference"))
        native = self.device.numpy_handles  # then nothing moves
        call = evaluate if native else host_run(self.op.name, evaluate, self.slots, self.device)
        step = Step(call, (*(Ref(n) for n in range(self.slots)), *self.out_refs), "host", self.op.name, views=not native)
        return Plan(self.op.name, self.device, self.slots, self.allocations, (step,), self.out_refs, "host",
                    "by its NumPy reference")


def host_call(
    name: str, definitions: Sequence[Definition], layouts: dict[int, Layout], device: Any, reason: str
) -> Any:
    """A call over Views that copies operands out, evaluates with NumPy, and copies outputs back in; noted each time."""
    dense = {n: Layout.dense(k.shape, k.dtype, k.device) for n, k in layouts.items()}
    compiled = [_HOST.compile(d, dense, device) for d in definitions]
    operands = {o.number: o for d in definitions for o in d.operands}
    moved = sum(layouts[n].size * layouts[n].dtype.itemsize for n in operands)

    def call(*views: Any) -> None:
        note(name, device.name, moved, reason)
        arrays = list(views)
        for n, o in operands.items():
            arrays[n] = read(views[n]) if o.input else np.empty(o.shape, o.dtype.numpy)
        for c in compiled:
            c.call(*arrays)
        for n, o in operands.items():
            if o.output:
                write(views[n], arrays[n])

    return call


def host_run(name: str, evaluate: Any, inputs: int, device: Any) -> Any:
    """A call over Views that copies operands out, calls ``evaluate`` on arrays, and copies outputs in; noted each time."""

    def call(*views: Any) -> None:
        tensors = [v for v in views if isinstance(v, View)]
        moved = sum(v._layout.size * v._layout.dtype.itemsize for v in tensors)
        note(name, device.name, moved, "there is its NumPy reference alone")
        given = [read(v) if isinstance(v, View) else v for v in views[:inputs]]
        made = [np.empty(v._layout.shape, v._layout.dtype.numpy) for v in views[inputs:]]
        evaluate(*given, *made)
        for view, array in zip(views[inputs:], made, strict=True):
            write(view, array)

    return call


def copy_definition(source: Layout, target: Layout) -> Definition:
    """target = source, cast and broadcast."""
    x = Operand(0, "x", source.dtype, source.shape)
    out = Operand(1, "out", target.dtype, target.shape, output=True, input=False)
    d = Define("copy", [x, out])
    axes = d.axes(target.shape)
    d.store(0, axes, x.at(axes, target.shape))
    return d.finish()


def copy_steps(device: Any, source: Layout, target: Layout, frm: Ref, to: Ref) -> list[Step]:
    """The steps of a copy between two layouts of one device, by the best route there is."""
    if device.beneath is not None:
        own: list[Step] = device.copy_steps(frm, to)
        return own
    definition = copy_definition(source, target)
    layouts = {0: source, 1: target}
    if device.codegen is not None:
        try:
            made = device.codegen.compile(definition, layouts, device)
            return [Step(made.call, (frm, to), "generated", "copy", made.launches, source=made.source, definition=definition)]
        except Unsupported:
            pass
    call = host_call("copy", (definition,), layouts, device, "it generates no kernels")
    return [Step(call, (frm, to), "host", "copy", 1, views=True)]
