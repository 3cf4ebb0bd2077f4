"""Faults planted in the compiler, one at a time: the random programs must find each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ingot.compiler import capture, guard, host, replaying
from ingot_devices.ir.expr import Expr
from ingot_devices.program import fuse, in_place, memory, merge, order, simplify, stages

Plant = Callable[[pytest.MonkeyPatch], None]


def without(patch: pytest.MonkeyPatch, kind: str) -> None:
    """The guard passes over all items of one kind."""
    tests, differs = guard.Guard._tests, guard.Guard._differs
    patch.setattr(guard.Guard, "_tests", lambda self, item, *rest: [] if item.kind == kind else tests(self, item, *rest))
    patch.setattr(guard.Guard, "_differs", lambda self, item, *rest: "" if item.kind == kind else differs(self, item, *rest))


def no_attributes(patch: pytest.MonkeyPatch) -> None:
    """The guard does not look at attributes of plain objects."""
    without(patch, "instance")


def no_memory(patch: pytest.MonkeyPatch) -> None:
    """The guard does not look at the memory of tensors."""
    patch.setattr(guard, "_tensor_tests", lambda *rest: ["True"])


def uncounted(patch: pytest.MonkeyPatch) -> None:
    """Nobody counts that tensors have got other memory."""
    patch.setattr(guard, "REBOUND", [0])


def no_globals(patch: pytest.MonkeyPatch) -> None:
    """The guard does not look at globals."""
    without(patch, "globals")


def any_number(patch: pytest.MonkeyPatch) -> None:
    """Arguments that are numbers are not compared."""
    written = replaying.Replayer._arguments

    def arguments(self: Any, context: Any) -> None:
        plain, self.capture.arguments.plain = self.capture.arguments.plain, []
        written(self, context)
        self.capture.arguments.plain = plain

    patch.setattr(replaying.Replayer, "_arguments", arguments)


def over_writes(patch: pytest.MonkeyPatch) -> None:
    """A kernel is moved past a write to what it reads."""
    patch.setattr(fuse._Fuser, "_may_sink", lambda *rest: True)
    patch.setattr(stages, "check", lambda *rest: None)


def over_operands(patch: pytest.MonkeyPatch) -> None:
    """A result takes the place of an operand that is read later."""
    pair = in_place._pair

    def careless(graph: Any, node: Any, store: Any, place: int, touched: Any, able: Any) -> Any:
        return pair(graph, node, store, place, {n: [at[0], place] for n, at in touched.items()}, able)

    patch.setattr(in_place, "_pair", careless)


def out_of_order(patch: pytest.MonkeyPatch) -> None:
    """What frees memory is done before what it waits for."""
    patch.setattr(order, "_free", lambda graph, before, node: not before.views)


def lost_stores(patch: pytest.MonkeyPatch) -> None:
    """A value that is still needed is fused away."""
    patch.setattr(fuse._Fuser, "_needed", lambda self, buffer, place: self.graph.buffers[buffer].kind != "temp")
    patch.setattr(stages, "check", lambda *rest: None)


def swapped(patch: pytest.MonkeyPatch) -> None:
    """Operands of a subtraction change sides when kernels are joined."""
    rule = merge._Mover._rule

    def moved(self: Any, node: Expr, args: tuple[Expr, ...]) -> Expr:
        return rule(self, node, args[::-1] if node.op == "sub" and len(args) == 2 else args)

    patch.setattr(merge._Mover, "_rule", moved)


def short_lives(patch: pytest.MonkeyPatch) -> None:
    """Memory is used again one kernel too early."""
    lives = memory.lifetimes
    patch.setattr(memory, "lifetimes", lambda graph: {n: (a, max(a, b - 1) - 1) for n, (a, b) in lives(graph).items()})


def same_value(patch: pytest.MonkeyPatch) -> None:
    """What was written in between is not minded when equal work is left out."""
    patch.setattr(simplify, "_untouched", lambda *rest: True)


def no_effects(patch: pytest.MonkeyPatch) -> None:
    """Gradients and replaced tensors are not put into their places."""
    patch.setattr(replaying.Replayer, "_effect", lambda self, effect: None)


def frozen_rate(patch: pytest.MonkeyPatch) -> None:
    """The numbers of an optimizer stay those of the recording."""

    numbers = host.Host.numbers

    def frozen(self: Any) -> None:
        start = len(self.text.lines)
        numbers(self)
        events = (e for e in self.recorder.events if e.kind == "numbers" and e.twin is None)
        for k in range(start, len(self.text.lines)):
            if "._numbers(" in self.text.lines[k]:
                event = next(events)
                values = [v for v in event.subject._numbers(event.group, event.state) if v is not None]
                self.text.lines[k] = f"    numbers += {self.text.name(values)}"

    patch.setattr(host.Host, "numbers", frozen)


def no_schedule(patch: pytest.MonkeyPatch) -> None:
    """A schedule's step is left out."""
    numbers = host.Host.numbers

    def left_out(self: Any) -> None:
        self.recorder.events = [e for e in self.recorder.events if e.kind != "act"]
        numbers(self)

    patch.setattr(host.Host, "numbers", left_out)


def old_seeds(patch: pytest.MonkeyPatch) -> None:
    """A generator does not move on."""
    numbers = host.Host.numbers

    def stands(self: Any) -> None:
        start = len(self.text.lines)
        numbers(self)
        for k in range(start, len(self.text.lines)):
            self.text.lines[k] = self.text.lines[k].replace(".take(", ".peek(")
        for event in self.recorder.events:
            if event.kind == "draw":
                event.subject.peek = lambda blocks, g=event.subject: (g._seed & 0xFFFFFFFF, g._seed >> 32, 0, 0)

    patch.setattr(host.Host, "numbers", stands)


def unseen_effects(patch: pytest.MonkeyPatch) -> None:
    """What changes in Python is not minded, and no guard either: foreign side effects are lost."""
    effects = capture.Capture._effect

    def effect(self: Any, item: Any, key: Any, was: Any, now: Any) -> Any:
        try:
            return effects(self, item, key, was, now)
        except capture.Changes:
            self.claims.add((id(item.holder), key))
            return None

    patch.setattr(capture.Capture, "_effect", effect)
    all_effects = capture.Capture._effects
    patch.setattr(capture.Capture, "_effects", lambda self: [e for e in all_effects(self) if e is not None])


FAULTS: tuple[Plant, ...] = (
    no_attributes, no_memory, uncounted, no_globals, any_number, over_writes, over_operands, out_of_order, lost_stores, swapped,
    short_lives, same_value, no_effects, frozen_rate, no_schedule, old_seeds, unseen_effects,
)  # fmt: skip
