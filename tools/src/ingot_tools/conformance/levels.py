"""The levels of conformance, from memory to training, and every case of each: the table of contents.

A backend is brought up in this order: a level stands on those before it. A *case* is one check of one op in one dtype
(``pointwise/value/add/float32``) or a probe (``memory/copies_keep_their_order``); its name is its address everywhere: in
reports, in a plugin's declared gaps, on the command line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from .bench import Probe
from .harness.suite import SUITE, Check
from .records import RECORDS
from .records.record import Record


@dataclass(frozen=True)
class Level:
    """``holds``: which (check, record) belong here, if any do. ``probes``: a module of `probes`. ``guarded``: its ops run on
    poisoned and fenced memory."""

    name: str
    about: str
    holds: Callable[[Check, Record], bool] = lambda check, record: False
    probes: str = ""
    guarded: bool = True


NEEDS_CPU = {"to"}  # goes there and back
SCANS = {"cumsum", "cumprod", "cummax", "cummin"}
DERIVATIVES = {"gradient", "second_order", "inplace_on_view"}


def _ops(
    *groups: str, names: frozenset[str] = frozenset(), but: frozenset[str] = frozenset()
) -> Callable[[Check, Record], bool]:
    """Records of these groups and names, but for their derivatives."""

    def holds(check: Check, record: Record) -> bool:
        named = record.name in names or (record.group in groups and record.name not in but)
        return named and check.name not in DERIVATIVES

    return holds


LEVELS = (
    Level("memory", "limits, allocations, copies, the pool", probes="memory", guarded=False),
    Level("views", "shapes, views, copies and factories", _ops("shape", "creation", "conversion"), probes="views"),
    Level("pointwise", "arithmetic, comparisons, functions", _ops("unary", "binary", "gate"), probes="statements"),
    Level("reductions", "sums, extrema, norms", _ops("reduction", but=frozenset(SCANS))),
    Level("scan/index", "scans, gathers, scatters, sorting", _ops("index", names=frozenset(SCANS))),
    Level("contraction", "matrix products, windows, composites", _ops("contraction", "window", "composite")),
    Level("autograd", "first and second derivatives", lambda check, record: check.name in DERIVATIVES, guarded=False),
    Level("streams", "queues, events, threads", probes="streams", guarded=False),
    Level("RNG bits", "Philox, bit for bit", _ops("random"), probes="rng"),
    Level("faults", "no memory, wrong indices, a lost device", probes="faults", guarded=False),
    Level("compile", "recorded programs, replayed", probes="compiling", guarded=False),
    Level("training", "optimizers and whole trainings", _ops("optimizer"), probes="training"),
    Level("alone", "every op once with the CPU plugin disabled", guarded=False),
)
BY_NAME = {level.name: level for level in LEVELS}


@dataclass(frozen=True)
class Case:
    """One thing to run. A probe has no record; ``variant`` is a dtype, a pair of them, or empty."""

    level: str
    check: str
    record: Record | None = field(default=None, hash=False, compare=False)
    variant: str = ""

    @property
    def name(self) -> str:
        """``level/check/op/variant``."""
        op = f"/{self.record.name}/{self.variant}" if self.record is not None else ""
        return f"{self.level}/{self.check}{op}"

    def __str__(self) -> str:
        return self.name


def probes(level: Level) -> tuple[Probe, ...]:
    """The probes of a level."""
    if not level.probes:
        return ()
    found: tuple[Probe, ...] = import_module(f"{__package__}.probes.{level.probes}").PROBES
    return found


def cases(levels: Sequence[Level] = LEVELS, records: Sequence[Record] | None = None) -> Iterator[Case]:
    """Every case, level by level; the probes of a level first. ``records``: all of ours, unless given."""
    rows = list(RECORDS.values()) if records is None else records
    for level in levels:
        yield from (Case(level.name, probe.__name__) for probe in probes(level))
        if level.name == "alone":
            yield from (Case(level.name, "value", r, r.main_dtype) for r in rows if r.name not in NEEDS_CPU)
            continue
        for record in rows:
            for check in SUITE:
                if level.holds(check, record):
                    yield from (Case(level.name, check.name, record, variant) for variant in check.cases(record))


def sampled(every: Sequence[Case], salt: str) -> list[Case]:
    """All cases in an order drawn by ``salt``: each probe and a case of each op, then a second case of each op, and so on."""
    drawn = sorted(every, key=lambda c: hashlib.sha256((salt + c.name).encode()).digest())
    rounds: Counter[str] = Counter()
    order: list[tuple[int, int, Case]] = []
    for position, case in enumerate(drawn):
        op = case.record.name if case.record is not None else case.name
        rounds[op] += 1
        order.append((rounds[op], position, case))
    return [case for *_, case in sorted(order, key=lambda entry: entry[:2])]
