"""Which code ran, and what it called: seen through the interpreter's profile events while a call is recorded.

Only what runs while the context says ``recording`` is looked at. Two questions are answered. What does the call depend on:
the functions that ran (`Watch.codes`), whose globals, closures and defaults `world` then reads. And did it do something
that a replay would not: a call of a built-in that is neither pure nor ingot's (`Watch.foreign`), such as I/O, a clock or
`random`. Code of ingot itself is trusted.
"""

from __future__ import annotations

import dis
import functools
import gc
import sys
import sysconfig
import threading
from collections import deque
from importlib.metadata import entry_points
from types import CodeType, FrameType, TracebackType
from typing import Any

from ingot_devices.context import state
from ingot_devices.hooks import GROUP

PURE = frozenset(
    "len isinstance issubclass hasattr getattr abs min max sum sorted any all divmod round pow id hash iter next callable ord "
    "chr bin hex oct repr format ascii __build_class__ vars dir".split()
)
"""Built-in functions that leave no trace."""
PURE_MODULES = frozenset("math cmath operator _operator _functools itertools _collections_abc typing _typing _abc".split())
MUTATORS = frozenset(
    "append extend insert pop remove clear sort reverse update setdefault popitem add discard appendleft popleft rotate "
    "extendleft __setitem__ __delitem__ difference_update intersection_update symmetric_difference_update".split()
)
PURE_TYPES = (list, dict, set, frozenset, tuple, str, bytes, int, float, complex, bool, range, deque, slice, type)
CLASS_MAKING = frozenset(("__init_subclass__", "__subclasshook__"))
WRITERS = frozenset(("setattr", "delattr", "__setattr__", "__delattr__"))
WEAK = ("_weakrefset.py", "weakref.py")
"""Whose callbacks run whenever an object dies."""
DYNAMIC = frozenset("getattr vars hasattr dir".split())
"""What reads attributes by names that the code does not spell."""


_LIBRARY = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))


_BELOW = ("numpy", "ml_dtypes")


def _library(frame: FrameType) -> bool:
    """True for code of Python's own library, and of what ingot computes with; it belongs to whoever called it."""
    name = frame.f_code.co_filename
    if name.startswith("<frozen ") or (name.startswith(_LIBRARY) and "site-packages" not in name):
        return True
    return frame.f_globals.get("__name__", "").partition(".")[0] in _BELOW


def _caller(frame: FrameType) -> FrameType:
    """The nearest frame outside such a library."""
    at: FrameType | None = frame
    while at is not None and _library(at):
        frame, at = at, at.f_back
    return frame if at is None else at


def ours(frame: FrameType) -> bool:
    """True for ingot's own code, a plugin's, and what these call of others: a driver's Python, say."""
    at: FrameType | None = frame
    while at is not None:
        package = at.f_globals.get("__name__", "").partition(".")[0]
        if package in trusted() or at.f_code.co_filename.startswith("<ingot"):
            return at is frame or package not in ("ingot", "")  # the core calls the user's code: hooks, modules
        at = at.f_back
    return False


@functools.cache
def trusted() -> frozenset[str]:
    """The packages of ingot and of its plugins: what they do on the way to a launch is no part of what is recorded."""
    points = entry_points(group=GROUP)
    return frozenset({"ingot", "ingot_devices", *(p.value.partition(":")[0].partition(".")[0] for p in points)})


class _Quiet:
    """No garbage is collected while any thread watches: finalizers and callbacks are not the function's."""

    def __init__(self) -> None:
        self.lock, self.watching, self.collects = threading.RLock(), 0, False

    def begin(self) -> None:
        gc.collect(0)
        with self.lock:
            if not self.watching:
                self.collects = gc.isenabled()
            self.watching += 1
            gc.disable()

    def end(self) -> None:
        with self.lock:
            self.watching -= 1
            if not self.watching and self.collects:
                gc.enable()


_QUIET = _Quiet()


def can_watch() -> bool:
    """False while a profiler runs that cannot be told of what happens in between (`cProfile`)."""
    before = sys.getprofile()
    return before is None or callable(before)


class Watch:
    """``with Watch() as seen:`` around a call.

    ``codes``: user code that ran, with the globals of its frame; ``names``: every name that code spells, also as
    text, ingot's included (``user_names``: names in user code alone);
    ``foreign``: the first thing done that a replay would leave out, with its line; ``dynamic``: attributes were read by names
    made at run time.
    """

    def __init__(self) -> None:
        self.codes: dict[CodeType, dict[str, Any]] = {}
        self.names: set[str] = set()
        self.user_names: set[str] = set()
        self.foreign = ""
        self.dynamic = False
        self.line = ""
        self._seen: set[CodeType] = set()
        self._before: Any = None
        self._collects = False

    def __enter__(self) -> Watch:
        # what is there already leaves the youngest generation, so that what is in it later was made during the call
        _QUIET.begin()
        self._before = sys.getprofile()
        sys.setprofile(self._event)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setprofile(self._before)
        _QUIET.end()

    def where(self) -> str:
        """``file:line`` of the user's frame nearest to the present one."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and (_library(frame) or ours(frame)):
            frame = frame.f_back
        return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"

    def stop(self, reason: str, frame: FrameType) -> None:
        """Note the first thing that a replay would leave out."""
        if not self.foreign:
            self.foreign = f"{reason} ({frame.f_code.co_filename}:{frame.f_lineno})"

    # ---- events --------------------------------------------------------------------------------------------------------
    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        if self._before is not None:
            self._before(frame, event, arg)
        if not state.context.recording:
            return  # inside a plan, or a scheduler's step, which a replay runs again
        if event == "call":
            self._called(frame)
        elif event == "c_call" and not frame.f_code.co_filename.endswith(WEAK):
            caller = _caller(frame)
            if not ours(caller):
                self._built_in(caller, arg)

    def _called(self, frame: FrameType) -> None:
        code = frame.f_code
        if code in self._seen:
            return
        self._seen.add(code)
        self.names.update(code.co_names)
        self.names.update(c for c in code.co_consts if isinstance(c, str) and c.isidentifier())
        if _library(frame) or ours(frame):
            return
        self.codes[code] = frame.f_globals
        self.user_names.update(code.co_names)
        if code.co_flags & 0x20 and frame.f_lasti > 8 and code.co_name != "<genexpr>":
            self.stop(f"it steps the generator {code.co_name}, which was begun before", frame)

    def _built_in(self, frame: FrameType, function: Any) -> None:
        name = getattr(function, "__name__", "?")
        owner = getattr(function, "__self__", None)
        module = getattr(function, "__module__", None) or ""
        if name in DYNAMIC and module == "builtins":
            self.dynamic = True
        if name in WRITERS:
            self.stop(f"it calls {name}()", frame)
        elif owner is None or type(owner).__name__ == "module":
            if not (name in PURE and module == "builtins") and module.split(".")[0] not in PURE_MODULES and not (
                hasattr(function, "__objclass__") and issubclass(function.__objclass__, PURE_TYPES) and name not in MUTATORS
            ):
                self.stop(f"it calls {module and module + '.'}{name}()", frame)
        elif name in MUTATORS and isinstance(owner, (list, dict, set, deque)):
            if gc.is_tracked(owner) and all(owner is not o for o in gc.get_objects(generation=0)):
                self.stop(f"it changes a {type(owner).__name__} that was there before, by {name}()", frame)
        elif not isinstance(owner, PURE_TYPES) and not _of_ingot(owner) and name not in CLASS_MAKING:
            self.stop(f"it calls {name}() of a {type(owner).__module__}.{type(owner).__name__}", frame)


def _of_ingot(owner: Any) -> bool:
    return type(owner).__module__.partition(".")[0] in trusted()


@functools.lru_cache(maxsize=4096)
def globals_of(code: CodeType) -> tuple[str, ...]:
    """The names that ``code`` looks up in its globals."""
    found = (i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return tuple(dict.fromkeys(found))
