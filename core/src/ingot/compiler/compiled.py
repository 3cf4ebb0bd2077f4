"""A compiled function: warm up, record, replay; and eager wherever that is not safe.

    call ─▶ a replay fits? ─▶ its result
              │ no
              ├─ first of all: run, and see which code runs (`Watch`)
              ├─ then: run while dispatch is recorded, and make a program of it (`Capture`, `Replayer`)
              ├─ another size of a kind that was recorded: the same, or run (`Sizes`)
              └─ not recordable, or too many kinds of calls: run; one warning says why
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

from ingot_devices.context import state
from ingot_devices.observe import OBSERVERS, region

from ..autograd.node import next_seq
from . import verify
from .arguments import Arguments
from .capture import Capture, Changes
from .joined import tensors_in
from .making import replayer_of
from .recorder import Recorder, listening
from .replaying import MISS, Replayer
from .sizes import KEPT, Sizes, kind_of, size_of
from .watch import Watch, can_watch
from .world import Unguardable, World

RECORDINGS = 8
"""How many kinds of calls one function is compiled for, their sizes apart."""
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
        self._sizes, self._told = Sizes(), 0
        self._eager = "INGOT_COMPILE=off" if os.environ.get("INGOT_COMPILE") == "off" else ""
        self._check = os.environ.get("INGOT_COMPILE") == "verify"
        self._lock = threading.RLock()
        self._owner = os.getpid()
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._replays and self._lock.acquire(False):
            try:
                if self._check or OBSERVERS:
                    made = self._replay(self._replays[0], args, kwargs)
                else:  # `_replay`, written out
                    made = self._replays[0].call(args, kwargs)
                if made is MISS:
                    made = self._replayed(args, kwargs, 1)
                if made is not MISS:
                    return made
            finally:
                self._lock.release()
        return self._other(args, kwargs)

    def _replayed(self, args: tuple[Any, ...], kwargs: dict[str, Any], first: int = 0) -> Any:
        """From the recording that fits, which is looked at first from then on; `MISS` where there is none."""
        for place in range(first, len(self._replays)):
            made = self._replay(self._replays[place], args, kwargs)
            if made is not MISS:
                self._replays.insert(0, self._replays.pop(place))
                return made
        return MISS

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
        """The program of a recording (0 was used last) after a stage: "lift", "simplify", "epilogues", "fuse", "attach",
        "gather", "workspaces", "plan" or "lower"."""
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
        """The recordings; the one that was used last is the first."""
        return tuple(self._replays)

    # ---- when nothing fits ---------------------------------------------------------------------------------------------
    def _other(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a kind that was not recorded yet."""
        busy = state.context.recording or state.context.anomaly or not can_watch()
        if self._eager or busy or not self._lock.acquire(False):
            return self._function(*args, **kwargs)
        try:
            if self._owner != os.getpid():  # after a fork: what devices hold of the parent's is gone
                self._replays, self._recordings, self._owner = [], 0, os.getpid()
            return self._record_or_run(args, kwargs)
        finally:
            self._lock.release()

    def _record_or_run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = Arguments(args, kwargs)
        kind, size = kind_of(given), size_of(given)
        if self._refreshed(kind, size):
            made = self._replayed(args, kwargs)
            if made is not MISS:
                return made
        if self._seen is None:
            self._sizes.meet((kind, size))
            return self._warm_up(args, kwargs)
        recorded = self._sizes_of(kind, size)
        if recorded and not self._sizes.wanted((kind, size), recorded):
            self._tell_sizes(given, recorded)
            return self._function(*args, **kwargs)
        if not recorded and self._recordings >= RECORDINGS:
            self._give_up(f"it was recorded {RECORDINGS} times and still meets calls of another kind: {self._miss(given)}")
            return self._function(*args, **kwargs)
        return self._record(given, another=not recorded)

    def _warm_up(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An eager run that shows which code runs; what dispatch tells is thrown away."""
        with Watch() as seen, listening(Recorder(seen.where, stopped="warm-up")):
            made = self._function(*args, **kwargs)
        self._seen = seen
        return made

    def _refreshed(self, kind: Any, size: Any) -> bool:
        """True when a guard failed only because equal values are other objects now."""
        alike = [r for r in self._replays if r.size == size and r.kind == kind]
        return [r.guard.why() for r in alike].count("") > 0

    def _sizes_of(self, kind: Any, size: Any) -> int:
        """How many sizes of such calls are recorded; 0 where something beside the size is new."""
        alike = [r for r in self._replays if r.size != size and r.kind == kind]
        fits = any(r.guard.holds() for r in alike) or (bool(alike) and not alike[0].guard.why())
        return len(alike) if fits else 0

    def _miss(self, given: Arguments) -> str:
        """What tells a call from those of the recording that was used last."""
        last = self._replays[0]
        return (last.capture.arguments.differs(given) or last.guard.why()
                or "two inputs share memory, a mode changed, or a number became zero")  # fmt: skip

    def _tell_sizes(self, given: Arguments, recorded: int) -> None:
        """One warning when sizes are no more recorded as they come, another when they are not at all."""
        if recorded >= KEPT:
            later, at = f"further ones run eagerly, for {KEPT} is the limit", 2
        else:
            later, at = f"further ones are when they come a second time, up to {KEPT}, and run eagerly the first time", 1
        if self._told >= at:
            return
        self._told = at
        text = f"{self.label} was recorded for {recorded} sizes, each by itself: {later}; {self._miss(given)}"
        if at == 2 and self._fullgraph:
            raise CompileError(text)
        warnings.warn(text, CompileWarning, stacklevel=6)

    def _give_up(self, reason: str, cause: BaseException | None = None) -> None:
        """Run eagerly from now on."""
        self._eager = reason
        text = f"{self.label} is not compiled: {reason}"
        if self._fullgraph:
            raise CompileError(text) from cause
        warnings.warn(text, CompileWarning, stacklevel=5)

    # ---- recording -----------------------------------------------------------------------------------------------------
    def _record(self, given: Arguments, another: bool) -> Any:
        """An eager run that is recorded; ``another``: of a kind that was not met before."""
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
            recorder.watch_gradients(world, before)
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
                              self._mode != "max-autotune" or self._check, self._arena())  # fmt: skip
            self._replays.insert(0, replayer_of(capture, result, plain, now, self._function))
            self._recordings += another
        except Changes as e:
            self._attempts += 1
            if self._attempts > ATTEMPTS:
                self._give_up(str(e))
        except Unguardable as e:
            self._give_up(str(e))
        except Exception as e:  # the call itself was good: its result stands, whatever became of the program
            self._give_up(f"its program cannot be built: {type(e).__name__}: {_first_line(e)}", e)
        return result

    def _arena(self) -> Any:
        """The largest arena of the recordings so far: programs of one function take turns with it."""
        built = [b for r in self._replays for b in (r.made.built, *r.history.programs().values())]
        return max((b.program.arena for b in built), key=lambda arena: arena.nbytes, default=None)

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


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
