"""A program that shows a fault, to be pasted and run: the call that failed, made as small as it goes (`shrink`, `written`).

Where that cannot be, the case itself is run by its name, and a comment says why.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

from .harness import extremes
from .harness.checks import planted_cases, product_cases, samples_of
from .harness.data import arrays_of
from .harness.edges import resized, sizes
from .harness.layouts import STRIDED
from .harness.subject import Subject
from .levels import Case
from .records.record import Record, Sample
from .shrink import Call, alike, shrunk
from .written import Unwritten, written

LINES = 25
SECONDS = 3.0
"""For making one call smaller."""


def program(subject: Subject, case: Case, fault: BaseException | None, seconds: float = SECONDS) -> str:
    """The program of a failing case; ``fault`` is what the case raised, ``seconds`` are for making its call smaller."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _of_a_call(subject, case, fault, seconds)
    except Unwritten as error:
        return _again(subject, case, str(error))
    except Exception as error:  # what runs the case again is always true
        return _again(subject, case, f"its call could not be written down: {type(error).__name__}")


def _again(subject: Subject, case: Case, why: str) -> str:
    """The case itself, run by name."""
    slow = ", slow=True" if subject.is_slow else ""
    why = f"# by the name of its case, because {why}\n" if why else ""
    return f"{why}from ingot_tools.conformance import replay\n\nreplay({subject.device!r}, {case.name!r}{slow})\n"


def _of_a_call(subject: Subject, case: Case, fault: BaseException | None, seconds: float) -> str:
    record = case.record
    if record is None:
        raise Unwritten("")
    if case.check not in _KEPT and case.check not in ("edges", "nonfinite", "extremes"):
        raise Unwritten(f"{case.check!r} looks at more than one call and its values")
    if record.group == "optimizer":
        raise Unwritten("it sets attributes of what it acts on")
    for call in _calls(subject, case, record):
        found = call.fault()
        if found is None or not (fault is None or alike(found, fault)):
            continue
        small = shrunk(call, found, seconds)
        again = small.fault()
        if again is None:
            raise Unwritten("it fails now and then")
        text = "# the call of the message, made smaller\n" * (small is not call) + written(small, again)
        if text.count("\n") > LINES:
            raise Unwritten(f"it takes more than {LINES} lines")
        return text
    raise Unwritten("none of its calls fails by itself")


def _calls(subject: Subject, case: Case, record: Record) -> Iterator[Call]:
    """The calls of a case, in its order: the first that fails is the one that the message is about."""
    dtype = case.variant
    if case.check == "extremes":
        sample, arrays = extremes.call_of(record, dtype)
        yield Call(subject, record, sample, dtype, arrays)
        return
    if case.check == "nonfinite":
        found = product_cases if record.nonfinite == "product" else planted_cases
        yield from (Call(subject, record, sample, dtype, arrays) for sample, arrays in found(record, dtype))
        return
    if case.check == "edges":
        samples = [s for n in sizes(subject, record) for s in resized(record, n) if dtype not in s.but]
    else:
        samples = samples_of(subject, record, dtype, _KEPT[case.check])
    how = case.check if case.check in STRIDED else ""
    yield from (Call(subject, record, sample, dtype, arrays_of(record, sample, dtype), how) for sample in samples)


_KEPT: dict[str, Callable[[Sample], bool]] = {
    "value": lambda s: not (s.is_empty or s.is_zero_dim),
    "empty": lambda s: s.is_empty,
    "zero_dim": lambda s: s.is_zero_dim,
    **dict.fromkeys(STRIDED, lambda s: not (s.big or s.is_empty)),
}
"""The samples that a check looks at."""
