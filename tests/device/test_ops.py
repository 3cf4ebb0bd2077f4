"""Every op on every device found, from one record per op: see `ingot_tools.conformance`:
`records` for what, `harness.suite` for how."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from compiled_ops import CompiledSubject
from harness.op_case import judged
from ingot_tools.conformance.harness.subject import Subject, opened
from ingot_tools.conformance.harness.suite import Check, each_case
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.records.record import Record

CASES = [
    pytest.param(*case, id="-".join(map(str, case))) for case in each_case(list(RECORDS.values()))
]


@pytest.fixture(scope="session")
def subject(device: str, request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The device, plain or with every call compiled; then the reasons of what was not are printed."""
    plain = opened(device)
    made = CompiledSubject(plain) if request.config.getoption("--compile") else plain
    yield made
    if isinstance(made, CompiledSubject):
        print(f"\n{device}: " + ", ".join(f"{n} {k}" for k, n in made.counts.most_common()))


@pytest.mark.parametrize(("check", "record", "case"), CASES)
def test_op(subject: Subject, device: str, check: Check, record: Record, case: str) -> None:
    judged(subject, check, record, case)
