"""What discovery found out, kept for the life of the process: declared backends and their records.

Between `plugins` (declare), `probing` (probe) and `discovery` (the public functions). The first
question loads the plugins' light modules; a question about one kind probes that kind alone, one
about all kinds probes all of them at once.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from .outcomes import Record, one_line

if TYPE_CHECKING:
    from .plugins import Loaded

_FORKED = "this process was forked, and a driver does not survive that"
_SPAWN = "start workers by spawn or forkserver"


class Catalog:
    """Plugins and records of one process. Every method may be called from any thread.

    ``probed`` holds the records of backends that were asked, by name; ``failures`` those of plugins
    that could not be loaded and of published backends that are not installed.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.failures: list[Record] = []
        self.probed: dict[str, Record] = {}
        self._loaded: Loaded | None = None
        self._notes: dict[str, list[str]] = {}
        self._forked = False

    # ---- declare and probe -----------------------------------------------------------------------
    def load(self) -> Loaded:
        """Import the plugins' light modules, once."""
        with self.lock:
            if self._loaded is None:
                from .plugins import load
                from .published import not_installed

                loaded = load()
                named = {r.name for r in loaded.records} | set(loaded.backends)
                self.failures = [*loaded.records, *not_installed(named)]
                self._loaded = loaded
            return self._loaded

    def probe(self, names: Iterable[str] | None = None, fresh: bool = False) -> None:
        """Ask the backends called ``names`` (None: all) that were not asked yet, all at once."""
        with self.lock:
            backends = self.load().backends
            asked = backends if names is None else set(names)
            wanted = [d for n, d in backends.items() if n in asked and n not in self.probed]
            if self._forked:
                self._refuse_forked([d.backend.name for d in wanted])
                wanted = [d for d in wanted if d.backend.survives_fork]
            if wanted:
                from .probing import probe_all

                self.probed.update({r.name: r for r in probe_all(wanted, fresh)})

    def rescan(self, fresh: bool) -> None:
        """Probe everything again."""
        with self.lock:
            self.probed.clear()
            self.probe(fresh=fresh)

    # ---- records ---------------------------------------------------------------------------------
    def records(self) -> tuple[Record, ...]:
        """Every outcome, the ready ones by priority, then the rest by name."""
        with self.lock:
            self.probe()
            found = [*self.probed.values(), *self._others()]
            found.sort(key=lambda r: (r.state != "ready", -r.top_priority, r.name))
            return tuple(self._noted(r) for r in found)

    def record(self, name: str) -> Record | None:
        """The outcome for one backend or plugin, asking no other; None if nobody knows the name."""
        with self.lock:
            self.probe([name])
            if name in self.probed:
                return self._noted(self.probed[name])
            others = self._others()
            found = [r for r in others if r.name == name] or [r for r in others if r.plugin == name]
            return self._noted(found[0]) if found else None

    def _others(self) -> list[Record]:
        """Failures, and plugins that bring kernels, allocators or commands only."""
        loaded = self.load()
        owners = {d.plugin.name for d in loaded.backends.values()}
        owners |= {r.plugin for r in loaded.records}
        bare = [p for n, p in loaded.plugins.items() if n not in owners]
        return [*self.failures, *(p.record("ready", "brings no device of its own") for p in bare)]

    # ---- notes: faults that cost no device -------------------------------------------------------
    def note(self, plugin: str, text: str) -> None:
        """Attach ``text`` to the records of ``plugin``."""
        with self.lock:
            self._notes.setdefault(plugin, []).append(text)

    @contextmanager
    def noting(self, plugin: str, doing: str, lost: str = "") -> Iterator[None]:
        """Turn an exception in the block into a note; and a warning, where something is ``lost`` that a user would miss."""
        try:
            yield
        except (Exception, SystemExit) as error:
            text = f"{doing} raised {one_line(error)}"
            self.note(plugin, text)
            if lost:
                warnings.warn(f"plugin {plugin!r}: {text}; {lost}", RuntimeWarning, stacklevel=2)

    def notes(self, plugin: str) -> tuple[str, ...]:
        """What was noted about ``plugin`` so far."""
        with self.lock:
            return tuple(self._notes.get(plugin, ()))

    def _noted(self, record: Record) -> Record:
        return replace(record, notes=tuple(self._notes.get(record.plugin, ())))

    # ---- the words of an error -------------------------------------------------------------------
    def ready(self) -> list[str]:
        """Names of all usable devices, highest priority first."""
        with self.lock:
            self.probe()
            found = [
                (-r.priority_of(i), r.name, i)
                for r in self.probed.values()
                for i in r.ready_indices
            ]
            return [f"{kind}:{index}" for _, kind, index in sorted(found)]

    def available(self, but: str = "") -> str:
        """A sentence that says which devices can be had (``but`` left out), or why none."""
        names = sorted(set(self.ready()) - {but})
        if names:
            return f"Available: {', '.join(names)}"
        why = (
            "; ".join(f"{r.name}: {r.sentence()}" for r in self.records()) or "no plugin installed"
        )
        return f"No device is ready ({why})"

    def similar(self, name: str) -> str:
        """A question that offers the known name nearest to ``name``, or nothing."""
        near = get_close_matches(name, [r.name for r in self.records()], 1)
        return f"Did you mean {near[0]!r}? " if near else ""

    # ---- fork ------------------------------------------------------------------------------------
    def after_fork(self) -> None:
        """In the child: refuse what does not survive a fork."""
        self.lock = threading.RLock()
        self._forked = True
        self._refuse_forked(list(self.probed))

    def _refuse_forked(self, names: Iterable[str]) -> None:
        backends = self._loaded.backends if self._loaded else {}
        for name in names:
            if not backends[name].backend.survives_fork:
                self.probed[name] = backends[name].record("refused", _FORKED, _SPAWN)
