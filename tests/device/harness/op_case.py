"""A case of an op, as a test: what the op tests and those on lanes have in common."""

from __future__ import annotations

import pytest
from ingot_tools.conformance.harness.subject import Refused, Subject
from ingot_tools.conformance.harness.suite import Check, run_case
from ingot_tools.conformance.records.record import Record


def judged(subject: Subject, check: Check, record: Record, case: str) -> None:
    """Run it; skipped, with the device's own words, where its limits declare that it has no such dtype."""
    try:
        run_case(subject, check, record, case)
    except Refused as reason:
        pytest.skip(str(reason))
