"""A plan: what dispatch found for one op on operands of given layouts, ready to run again and again.

A short list of steps over numbered *slots*: the operands, then what the plan allocates (outputs, residuals,
workspaces; all from the pool). `resolve` makes plans, dispatch keeps and runs them.

    operands 0 … n-1 │ allocations n … │ step: call(slot, slot, …) │ results: which slots go back
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import observe
from .codegen.quiet import quietly
from .layout import Layout
from .view import View

if TYPE_CHECKING:
    from .codegen import Attach
    from .ir.definition import Definition

ROUTES = ("override", "registered", "generated", "decomposed", "host")


@dataclass(frozen=True)
class Ref:
    """A step's operand: slot ``slot`` as it is, or ``layout`` at ``offset`` elements further into its block."""

    slot: int
    layout: Layout | None = None
    offset: int = 0


@dataclass(frozen=True)
class Lazy:
    """A number that is computed from number operands at each run."""

    compute: Callable[[Sequence[Any]], Any]


Operand = Ref | Lazy | int | float | bool | None


@dataclass(frozen=True)
class Step:
    """One call. ``views``: it takes `View` objects instead of native views (the host route does).

    ``source`` is the kernel for people, ``origin`` the author's ``file:line`` where there is one. A call that was generated
    names the ``definition`` that it computes, with the ``aliased`` operands that it was generated for. ``behind``: what a
    kernel that somebody wrote can do with its result as well (`codegen.Compiled.behind`, ``attach``).
    """

    call: Callable[..., Any]
    operands: tuple[Operand, ...]
    route: str
    op: str
    launches: int = 1
    views: bool = False
    source: str = ""
    definition: Definition | None = None
    aliased: frozenset[int] = frozenset()
    origin: str = ""
    behind: Callable[[str], Callable[..., Any]] | None = None
    attach: Attach | None = None


@dataclass(eq=False)
class Plan:
    """See the module's docstring.

    Shortcuts of a plan of one step: ``order``, the slots that it takes, where all are taken whole; ``single``, its call,
    where these are the operands and then the one result.
    """

    op: str
    device: Any
    inputs: int
    allocations: tuple[Layout, ...]
    steps: tuple[Step, ...]
    results: tuple[Ref, ...]
    route: str
    note: str = ""
    calls: int = 0
    makers: tuple[Callable[[], tuple[Any, Any]], ...] = ()
    single: Callable[..., Any] | None = None
    order: tuple[int, ...] | None = None
    layout: Layout | None = None
    births: tuple[tuple[int, ...], ...] = ()
    deaths: tuple[tuple[int, ...], ...] = ()
    untouched: tuple[int, ...] = ()
    keys: tuple[Any, ...] = ()  # of the operands: layouts, types of numbers, None
    attributes: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        pool = self.device.pool
        self.makers = tuple(pool.maker(layout) for layout in self.allocations)
        self._schedule()
        if observe.OBSERVERS:
            observe.watch(self)
        if self.allocations:
            self.layout = self.allocations[0]
        if len(self.steps) == 1 and not self.steps[0].views and all(map(_whole, self.steps[0].operands + self.results)):
            self.order = tuple(o.slot for o in self.steps[0].operands if isinstance(o, Ref))
            if self.order == tuple(range(self.inputs + 1)) and self.results == (Ref(self.inputs),):
                self.single = self.steps[0].call

    def _schedule(self) -> None:
        """When each allocation is made (before the first step that names it) and dropped (after the last)."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for k, step in enumerate(self.steps):
            for o in step.operands:
                if isinstance(o, Ref) and o.slot >= self.inputs:
                    first.setdefault(o.slot, k)
                    last[o.slot] = k
        kept = {r.slot for r in self.results}
        steps = range(len(self.steps))
        self.births = tuple(tuple(s for s, at in first.items() if at == k) for k in steps)
        self.deaths = tuple(tuple(s for s, at in last.items() if at == k and s not in kept) for k in steps)
        self.untouched = tuple(s for s in sorted(kept) if s >= self.inputs and s not in first)

    def run(self, operands: Sequence[Any], kind: type[View]) -> list[Any]:
        """Run on ``operands`` (Views, numbers, None); the results as new values of class ``kind``."""
        self.calls += 1
        slots: list[Any] = [*operands, *(None,) * len(self.allocations)]
        for step, births, deaths in zip(self.steps, self.births, self.deaths, strict=True):
            for slot in births:
                slots[slot] = self._allocate(slot, kind)
            values = [_fetch(o, slots, operands, step.views) for o in step.operands]
            try:
                step.call(*values)
            except RuntimeWarning:  # NumPy's remark on a non-finite value, made an error by the user's filters
                quietly(step.call)(*values)
            for slot in deaths:
                slots[slot] = None
        for slot in self.untouched:  # an output that nothing writes has no elements
            slots[slot] = self._allocate(slot, kind)
        return [_result(r, slots, kind) for r in self.results]

    def _allocate(self, slot: int, kind: type[View]) -> Any:
        block, native = self.makers[slot - self.inputs]()
        return kind.make(block, self.allocations[slot - self.inputs], 0, native)

    def count(self) -> dict[str, int]:
        """Launches so far, by route; the parts of a decomposition count as that, but for those on the host."""
        found: dict[str, int] = {}
        for step in self.steps:
            route = self.route if self.route == "decomposed" and step.route != "host" else step.route
            found[route] = found.get(route, 0) + self.calls * step.launches
        return found

    def __str__(self) -> str:
        lines = [f"{self.op} on {self.device.name}: {self.route}" + (f" ({self.note})" if self.note else "")]
        lines += [f"  {k}. {s.op} [{s.route}]" for k, s in enumerate(self.steps)]
        return "\n".join(lines)


def _whole(operand: Operand) -> bool:
    return isinstance(operand, Ref) and operand.layout is None


def _fetch(operand: Operand, slots: list[Any], given: Sequence[Any], views: bool) -> Any:
    if isinstance(operand, Ref):
        value = slots[operand.slot]
        if not isinstance(value, View):
            return value
        if operand.layout is not None:
            value = View.make(value._block, operand.layout, value._offset + operand.offset)
        return value if views else value.native()
    if isinstance(operand, Lazy):
        return operand.compute(given)
    return operand


def _result(ref: Ref, slots: list[Any], kind: type[View]) -> Any:
    value = slots[ref.slot]
    if ref.layout is None:
        return value
    return kind.make(value._block, ref.layout, value._offset + ref.offset)
