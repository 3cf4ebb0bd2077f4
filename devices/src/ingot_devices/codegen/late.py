"""Operators that schedules write themselves, for a dialect that has no row for them.

After `schedules.plan`: `legalize` has expanded what a definition says, but a schedule combines the parts of a stage (`monoids`)
and bounds its loops with operators of its own. So a dialect needs no more than the rows of `ir.expr.REQUIRED`.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.program import rewritten
from .legalize import Expand
from .schedules import Plan

OF_SCHEDULES = frozenset("maximum minimum isnan isinf ne le gt ge".split())
"""Those that are not required, and that a finished program may have."""


def expand_late(made: Plan, rows: frozenset[str] | None) -> Plan:
    """``made`` with those of `OF_SCHEDULES` expanded that are not in ``rows`` (None: all are)."""
    if rows is None or rows >= OF_SCHEDULES:
        return made
    change = Expand(rows)
    launches = (replace(x, program=replace(x.program, body=rewritten(x.program.body, change))) for x in made.launches)
    return replace(made, launches=tuple(launches))
