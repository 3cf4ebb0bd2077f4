"""A compiled function: warm up, record, replay; and eager wherever that is not safe.

    call ─▶ a replay fits? ─▶ its result
              │ no
              ├─ first of all: run, and see which code runs (`Watch`)
              ├─ then: run while dispatch is recorded, and make a program of it (`Capture`, `Replayer`)
              └─ not recordable, or too many kinds of calls: run; one warning says why
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

from ingot_devices.context import scope, state
from ingot_devices.observe import OBSERVERS, region

from ..autograd import engine
from ..autograd.eager import builder
from ..autograd.node import LeafNode, next_seq
from . import verify
from .arguments import Arguments
from .capture import Capture, Changes, Source
from .guard import Guard
from .joined import Joined, Spent, graph_of, histories, is_spent, tensors_in
from .recorder import Recorder
from .replaying import MISS, Replayer
from .watch import Watch, can_watch
from .world import Unguardable, World

RECORDINGS = 8
"""How many kinds of calls one function is compiled for."""
ATTEMPTS = 4
"""How often a recording is begun anew because code ran that was not seen before."""
MODES = ("default", "reduce-overhead", "max-autotune")
GRAPHS = MODES[1:]
"""The modes that replay a program as one graph of its device, where the device has them."""


class CompileWarning(UserWarning):
    """A compiled function runs eagerly; the text says why, and where."""


class CompileError(RuntimeError):
    """With ``fullgraph=True``: why the function cannot be one program."""


class Compiled:
    """``function``, replayed where that is safe. Attributes of the function (or module) are reached through it."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool, mode: str) -> None:
        self._function, self._fullgraph, self._mode = function, fullgraph, mode
        self._replays: list[Replayer] = []
        self._seen: Watch | None = None
        self._attempts = self._recordings = 0
        self._eager = "INGOT_COMPILE=off" if os.environ.get("INGOT_COMPILE") == "off" else ""
        self._check = os.environ.get("INGOT_COMPILE") == "verify"
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._last_miss = ""
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._replays and self._lock.acquire(False):
            try:
                for replayer in self._replays:
                    made = self._replay(replayer, args, kwargs)
                    if made is not MISS:
                        return made
            finally:
                self._lock.release()
        return self._other(args, kwargs)

    def _replay(self, replayer: Replayer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._check:
            return verify.call(replayer, self._function, args, kwargs)
        if OBSERVERS:
            name = getattr(self._function, "__qualname__", type(self._function).__name__)
            return region(f"replay of {name}", lambda: replayer.call(args, kwargs), MISS)
        return replayer.call(args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "function":
            raise AttributeError(name)
        return getattr(self._function, name)

    def explain(self, times: bool = False) -> str:
        """What was recorded and what became of it: ops, kernels, bytes moved, peak memory, and why it runs eagerly if it does.

        ``times``: also each kernel's time (on scratch memory) beside what its bytes take at the speed of a copy.
        """
        from .explain import explain

        return explain(self, times)

    def stage(self, name: str, recording: int = 0) -> str:
        """The program of a recording (0 is the latest) after a stage: "lift", "simplify", "epilogues", "fuse",
        "attach", "gather", "plan" or "lower"."""
        if not 0 <= recording < len(self._replays):
            raise IndexError(f"there are {len(self._replays)} recordings; number {recording} is none of them")
        return str(self._replays[recording].made.built.text(name))

    @property
    def label(self) -> str:
        """The name of what was compiled."""
        return str(getattr(self._function, "__qualname__", type(self._function).__name__))

    @property
    def mode(self) -> str:
        """As given to `compile`."""
        return self._mode

    @property
    def eager(self) -> str:
        """Why every call runs eagerly; empty where that is not so."""
        return self._eager

    @property
    def replays(self) -> tuple[Replayer, ...]:
        """The recordings, the latest first."""
        return tuple(self._replays)

    # ---- when nothing fits ---------------------------------------------------------------------------------------------
    def _other(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a kind that was not recorded yet."""
        busy = state.context.recording or state.context.anomaly or not can_watch()
        if self._eager or busy or not self._lock.acquire(False):
            return self._function(*args, **kwargs)
        try:
            if self._owner != os.getpid():  # after a fork: what devices hold of the parent's is gone
                self._replays, self._owner = [], os.getpid()
            return self._record_or_run(args, kwargs)
        finally:
            self._lock.release()

    def _record_or_run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = Arguments(args, kwargs)
        if self._refreshed(given):
            for replayer in self._replays:
                made = self._replay(replayer, args, kwargs)
                if made is not MISS:
                    return made
        if self._seen is None:
            return self._warm_up(args, kwargs)
        if self._recordings >= RECORDINGS:
            self._give_up(f"it was recorded {RECORDINGS} times and still meets calls of another kind: {self._last_miss}")
            return self._function(*args, **kwargs)
        return self._record(given)

    def _warm_up(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An eager run that shows which code runs; what dispatch tells is thrown away."""
        with Watch() as seen, listening(Recorder(seen.where, stopped="warm-up")):
            made = self._function(*args, **kwargs)
        self._seen = seen
        return made

    def _refreshed(self, given: Arguments) -> bool:
        """True when a guard failed only because equal values are other objects now."""
        refreshed = False
        for replayer in self._replays:
            differs = replayer.capture.arguments.differs(given)
            differs = differs or replayer.guard.why()
            refreshed = refreshed or not differs
            if replayer is self._replays[0]:
                self._last_miss = differs or "two inputs share memory, a mode changed, or a number became zero"
        return refreshed

    def _give_up(self, reason: str) -> None:
        """Run eagerly from now on."""
        self._eager = reason
        text = f"{self.label} is not compiled: {reason}"
        if self._fullgraph:
            raise CompileError(text)
        warnings.warn(text, CompileWarning, stacklevel=5)

    # ---- recording -----------------------------------------------------------------------------------------------------
    def _record(self, given: Arguments) -> Any:
        assert self._seen is not None
        try:
            world = World({"the function": self._function, **given.others}, self._seen)
        except Unguardable as e:
            self._give_up(str(e))
            return self._function(*given.args, **given.kwargs)
        before = world.read()
        origins = {id(t): (t._block, t._offset, t.grad) for _, t in given.tensors.values()}
        plain = state.context
        with Watch() as now:
            recorder = Recorder(now.where, first_seq=next_seq())
            with listening(recorder) as heard:
                result = self._function(*given.args, **given.kwargs)
            if heard.moved:
                recorder.stop("it leaves a mode changed")
        after = world.read()
        if now.codes.keys() - self._seen.codes.keys():
            self._meet(now)
            return result
        try:
            if recorder.stopped or now.foreign:
                raise Unguardable(recorder.stopped or now.foreign)
            capture = Capture(recorder, world, before, after, given, origins, tensors_in(result), self._mode in GRAPHS,
                              self._mode != "max-autotune" or self._check)  # fmt: skip
            self._replays.insert(0, self._replayer(capture, result, plain, now))
            self._recordings += 1
        except Changes as e:
            self._attempts += 1
            if self._attempts > ATTEMPTS:
                self._give_up(str(e))
        except Unguardable as e:
            self._give_up(str(e))
        return result

    def _meet(self, now: Watch) -> None:
        """Code ran that was not seen before: what it depends on was not looked at, so the next call is recorded."""
        assert self._seen is not None
        self._attempts += 1
        self._seen.codes |= now.codes
        self._seen.names |= now.names
        self._seen.user_names |= now.user_names
        self._seen.dynamic |= now.dynamic
        if self._attempts > ATTEMPTS * RECORDINGS:
            self._give_up("other code runs at each call")

    def _replayer(self, capture: Capture, result: Any, context: Any, now: Watch) -> Replayer:
        recorder = capture.recorder
        roots = histories(result, recorder.first_seq)
        nodes = graph_of(roots)
        history: Any = Spent()
        forward_only = list(recorder.applied)
        escaping = [*tensors_in(result)] + [e.value for e in capture.effects if e.value is not None]
        blocks = [recorder.number(t._block) for t in escaping if recorder.knows(t._block)]
        if roots and not is_spent(nodes):
            made, history = self._joined(capture, roots, nodes, forward_only, blocks, context, now)
        else:
            if recorder.outer:
                raise Unguardable("its backward pass goes on into the history of a tensor from outside")
            made = capture.program(forward_only, blocks, {})
        capture.build(made)
        moving = {id(s.tensor) for s in capture.moving()} | capture.replaced.keys()
        guard = Guard(capture.world, capture.before, capture.claims | _set_places(capture), moving)
        replayer = Replayer(capture, made, result, guard, context, history)
        capture.forget()
        return replayer

    def _joined(
        self, capture: Capture, roots: list[Any], nodes: list[Any], forward: list[Any], blocks: list[int], context: Any,
        now: Watch,
    ) -> tuple[Any, Joined]:  # fmt: skip
        """Record the backward pass, too; both programs."""
        recorder = capture.recorder
        arguments = [t for _, t in capture.arguments.tensors.values() if t._edge is not None]
        leaves = [n.tensor() for n in nodes if isinstance(n, LeafNode)]
        targets = [t for t in leaves if t is not None and not any(t is a for a in arguments)] + arguments
        outside = [n for n in nodes if 0 < n.seq < recorder.first_seq and not any(a._edge[0] is n for a in arguments)]
        if any(n.hooks for n in nodes):
            raise Unguardable("a tensor in it has a gradient hook")
        if outside and not all(any(a._edge[0].seq >= n.seq for a in arguments) for n in outside):
            raise Unguardable("it reads a tensor that has a history of its own")
        with scope(grad=False):
            seeds = [builder.ones(r._layout) for r in roots]
        given = {recorder.number(s._block): Source("seed", "a gradient", s, s._block, 0, s._layout) for s in seeds}
        with now, listening(recorder):
            found = engine.gradients(roots, seeds, targets, True, False)
        if recorder.stopped or now.foreign:
            raise Unguardable(recorder.stopped or now.foreign)
        later = recorder.applied[len(forward):]
        first = capture.program(forward, blocks, {})
        sources = dict(given)
        for number, buffer in first.buffer_of.items():
            kept = first.graph.buffers[buffer]
            block = recorder.block(number) or object()  # one that is gone is like no other
            sources[number] = Source(f"made:{number}", "a saved value", None, block, 0, kept.layout)
        ends = [recorder.number(g._block) for g in found if g is not None and recorder.knows(g._block)]
        second = capture.program(later, ends, sources)
        capture.build(second)
        kept_blocks = [int(s.text[5:]) for s in second.inputs.values() if s.text.startswith("made:")]
        for number in kept_blocks:
            saved = first.graph.buffers[first.buffer_of[number]]
            if saved.kind == "temp":
                saved.kind = "output"
        return first, Joined(capture, first, second, roots, targets, found, list(given.values()),
                             self._function)


def _set_places(capture: Capture) -> set[tuple[int, Any]]:
    """Places that each replay fills with a new tensor: their identity is no guard."""
    return {(id(e.item.holder), e.key) for e in capture.effects if e.item.kind != "tensor"}


class listening:
    """``recorder`` is told of what runs in the block. ``moved``: the block left another mode than it found."""

    moved = False

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __enter__(self) -> listening:
        self.before, self.outer = state.context, state.recorder
        state.recorder, state.context = self.recorder, self.before.change(recording=True)
        self.inside = state.context
        return self

    def __exit__(self, *exc: object) -> None:
        left = state.context
        state.context, state.recorder = self.before, self.outer
        self.moved = left is not self.inside
        if self.moved:
            state.context = left.change(recording=False)  # a mode that was set to stay
