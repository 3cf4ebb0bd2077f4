"""What became of a case: the words of the report, and how they are told from exceptions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

PASSED = "passed"
WRONG = "wrong"  # it ran, and what it gave is not right; or it raised what it should not
CRASHED = "crashed"  # the process ended, or did not answer in time
GAP = "gap"  # wrong, and declared so by the plugin, with a reason
CLOSED = "gap closed"  # declared as a gap, and right by now: the declaration is wrong
UNSUPPORTED = "unsupported"  # a dtype that the device's limits refuse, with a reason
ABSENT = "not present"  # an optional part of the contract that the device leaves out
BAD = (WRONG, CRASHED, CLOSED)

ROUTES = ("view", "override", "registered", "generated", "decomposed", "host")
NATIVE = {"override": "native", "registered": "native"}


@dataclass
class Result:
    """``ulp``: the largest error met, in units in the last place. Of a value check only: ``route``, the worst that the op took,
    and ``host``, the ops that ran there. ``program``: lines that show the fault when they are pasted and run."""

    case: str
    status: str
    message: str = ""
    ulp: float | None = None
    route: str = ""
    host: str = ""
    program: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without what says nothing."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None)}


def worst_route(before: dict[str, int], after: dict[str, int]) -> str:
    """The last in `ROUTES` of those whose launches grew; ``view`` where none did."""
    grown = [route for route in ROUTES if after.get(route, 0) > before.get(route, 0)]
    return NATIVE.get(grown[-1], grown[-1]) if grown else "view"
