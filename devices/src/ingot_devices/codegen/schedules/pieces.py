"""Loops in pieces, one launch each: what one of them writes to a workspace, those behind it load.

Shared by `two_phase` and `apart`, which say where the cuts are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ... import dtypes as dt
from ...ir.definition import Stage
from ...ir.expr import Expr
from ...limits import Limits
from .. import monoids
from ..bind import STATUS, Loops, Part, Rewrite, Write, linear_node
from ..legalize import decode, encode
from ..nest import Nest

Piece = tuple[Loops, tuple[Write, ...]]


@dataclass
class Workspaces:
    """Operand numbers and sizes of the memory between launches."""

    sizes: dict[int, int] = field(default_factory=dict)

    def add(self, nbytes: int) -> int:
        """The operand number of a new one."""
        number = STATUS - 1 - len(self.sizes)
        self.sizes[number] = nbytes
        return number


class Pieces:
    """One group of writes on its way into several launches."""

    def __init__(self, loops: Loops, writes: tuple[Write, ...], limits: Limits, workspaces: Workspaces) -> None:
        self.loops, self.writes, self.limits, self.workspaces = loops, writes, limits, workspaces
        self.needed = Nest(loops, writes).needed([r for w in writes for r in w.roots()])
        self.known: dict[int, Sequence[Expr]] = {}  # stages whose values are loads by now

    def reads(self, number: int) -> set[int]:
        """The stages that a stage reads."""
        return set(Nest(self.loops, self.writes).needed(self.loops.stages[number].values))

    def stages(self, numbers: Sequence[int]) -> tuple[Stage, ...]:
        """These stages by themselves: those that they read are known, or are among them."""
        change = _Known(self.known, {n: k for k, n in enumerate(numbers)})
        return tuple(replace(s, values=tuple(change(v) for v in s.values)) for s in (self.loops.stages[n] for n in numbers))

    def rewritten(self, writes: Sequence[Write], level: Sequence[int]) -> list[Write]:
        """``writes`` beside the stages ``level``: all others that they read are known."""
        change = _Known(self.known, {n: k for k, n in enumerate(level)})
        return [
            replace(w, offset=change(w.offset), value=change(w.value), valid=None if w.valid is None else change(w.valid))
            for w in writes
        ]

    def piece(self, stages: tuple[Stage, ...], writes: Sequence[Write], parts: Mapping[int, Part] | None = None) -> Piece:
        """The loops of one launch."""
        return replace(self.loops, stages=stages, writes=tuple(writes), parts=parts or {}), tuple(writes)

    def stores(self, stages: Sequence[Stage], axes: Sequence[int]) -> tuple[list[Write], list[list[Expr]]]:
        """Writes of what ``stages`` carry at each point of ``axes`` to new workspaces, and the loads of it."""
        offsets, size = {}, 1
        for a in reversed(axes):
            offsets[Expr.of("index", (), dt.index, a)] = size
            size *= self.loops.extents[a]
        at = linear_node(0, offsets)
        writes: list[Write] = []
        loads: list[list[Expr]] = []
        for number, stage in enumerate(stages):
            loads.append([])
            for k, initial in enumerate(monoids.initial(stage)):
                kept = self.limits.dtype_class(initial.dtype)
                operand = self.workspaces.add(size * kept.storage.itemsize)
                value = Expr.of("stage", (), initial.dtype, (number, k))
                writes.append(Write(operand, at, encode(value, initial.dtype, kept), tuple(axes), frozenset(axes)))
                loads[-1].append(decode(Expr.of("get", (at,), kept.storage, operand), initial.dtype, kept))
        return writes, loads


class _Known(Rewrite):
    """Reads of stages become loads where they are ``known``; the others get new ``numbers``."""

    def __init__(self, known: Mapping[int, Sequence[Expr]], numbers: Mapping[int, int]) -> None:
        super().__init__()
        self.known, self.numbers = known, numbers

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "stage":
            number, component = node.value
            if number in self.known:
                found: Expr = self.known[number][component]
                return found
            return Expr.of("stage", (), node.dtype, (self.numbers[number], component))
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
