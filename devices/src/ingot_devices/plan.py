"""A plan: what dispatch found for one op on operands of given layouts, ready to run again and again.

A short list of steps over numbered *slots*: the operands, then what the plan allocates (outputs, residuals,
workspaces; all from the pool). `resolve` makes plans, dispatch keeps and runs them.

    operands 0 … n-1 │ allocations n … │ step: call(slot, slot, …) │ results: which slots go back
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

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


Making = Callable[[Sequence[Any], Any, Any], Any]  # of the operands, the blocks and the slots


class Move(NamedTuple):
    """A step as it is run: makers of what is allocated, and of operands that are no slot; what the call takes; what is done
    with after it."""

    births: tuple[tuple[int, Callable[[], tuple[Any, Any]]], ...]
    made: tuple[tuple[int, Making], ...]
    taken: Callable[[Sequence[Any]], Sequence[Any]]
    call: Callable[..., Any]
    deaths: tuple[int, ...]


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
    _moves: tuple[Move, ...] | None = None  # made by the first `run`: dispatch runs most plans of one step itself

    def __post_init__(self) -> None:
        pool = self.device.pool
        self.makers = tuple(pool.maker(layout) for layout in self.allocations)
        self._schedule()
        if observe.OBSERVERS and self.device.beneath is None:  # else what runs on the device beneath is watched
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

    def _straightened(self) -> tuple[Move, ...]:
        """The steps as `run` takes them: what a call takes is a place in one list, and nothing is looked at again."""
        rest: list[Any] = [None] * len(self.allocations)
        moves = []
        natives = set()
        for step, births, deaths in zip(self.steps, self.births, self.deaths, strict=True):
            taken, made = [], []
            for o in step.operands:
                if isinstance(o, Ref) and o.layout is None and not step.views:
                    taken.append(o.slot)
                    if o.slot < self.inputs:
                        natives.add(o.slot)
                    continue
                taken.append(self.inputs + len(rest))
                if isinstance(o, Ref | Lazy):
                    made.append((taken[-1], self._made(o, step.views)))
                    rest.append(None)
                else:
                    rest.append(o)
            gone = (*deaths, *(slot for slot, _ in made))
            moves.append(Move(self._births(births), tuple(made), _getter(taken), step.call, gone))
        self._rest, self._natives, self._last = tuple(rest), tuple(sorted(natives)), self._births(self.untouched)
        self._moves = tuple(moves)
        return self._moves

    def _births(self, slots: Sequence[int]) -> tuple[tuple[int, Callable[[], tuple[Any, Any]]], ...]:
        return tuple((slot, self.makers[slot - self.inputs]) for slot in slots)

    def _made(self, o: Ref | Lazy, views: bool) -> Making:
        """What makes an operand that is no slot as it is: a number, a `View`, or the native view of a part."""
        if isinstance(o, Lazy):
            return lambda given, blocks, slots: o.compute(given)
        layout = o.layout
        if o.slot >= self.inputs:
            whole, offset = self.allocations[o.slot - self.inputs], o.offset
            if not views:
                assert layout is not None
                return lambda given, blocks, slots: layout.device.view(blocks[o.slot], layout, offset)
            if layout is not None:
                return lambda given, blocks, slots: View.make(blocks[o.slot], layout, offset)
            return lambda given, blocks, slots: View.make(blocks[o.slot], whole, 0, slots[o.slot])

        def part(given: Sequence[Any], blocks: Any, slots: Any) -> Any:
            value = given[o.slot]
            if layout is not None and isinstance(value, View):
                value = View.make(value._block, layout, value._offset + o.offset)
            return value if views or not isinstance(value, View) else value.native()

        return part

    def run(self, operands: Sequence[Any], kind: type[View]) -> list[Any]:
        """Run on ``operands`` (Views, numbers, None); the results as new values of class ``kind``."""
        self.calls += 1
        moves = self._straightened() if self._moves is None else self._moves
        slots: list[Any] = [*operands, *self._rest]
        for slot in self._natives:
            value = slots[slot]
            if isinstance(value, View):
                slots[slot] = value.native()
        blocks: dict[int, Any] = {}
        for births, made, taken, call, deaths in moves:
            for slot, make in births:
                blocks[slot], slots[slot] = make()
            for slot, one in made:
                slots[slot] = one(operands, blocks, slots)
            try:
                call(*taken(slots))
            except RuntimeWarning:  # NumPy's remark on a non-finite value, made an error by the user's filters
                quietly(call)(*taken(slots))
            for slot in deaths:
                slots[slot] = blocks[slot] = None
        for slot, make in self._last:  # an output that nothing writes has no elements
            blocks[slot], slots[slot] = make()
        return [self._result(r, operands, blocks, slots, kind) for r in self.results]

    def _result(self, r: Ref, operands: Sequence[Any], blocks: Any, slots: Any, kind: type[View]) -> Any:
        if r.slot < self.inputs:
            value = operands[r.slot]
            return value if r.layout is None else kind.make(value._block, r.layout, value._offset + r.offset)
        if r.layout is None:
            return kind.make(blocks[r.slot], self.allocations[r.slot - self.inputs], 0, slots[r.slot])
        return kind.make(blocks[r.slot], r.layout, r.offset)

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


def _getter(slots: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What takes these of a list, as a sequence; `itemgetter` gives one of one bare."""
    if len(slots) > 1:
        return itemgetter(*slots)
    return lambda given: [given[k] for k in slots]
