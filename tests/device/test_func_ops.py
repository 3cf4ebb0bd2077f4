"""Every op on lanes, on every device found: its own tests, with each call inside `func.vmap` (`lane_ops`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.op_case import judged
from ingot_tools.conformance.harness.subject import opened
from ingot_tools.conformance.harness.suite import BY_NAME, Check
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.records.record import Record
from lane_ops import LaneSubject

CHECKS = ("value", "zero_dim", "empty", "transposed", "gradient", "second_order", "promotion")
INPLACE = ("batch_norm_update",)  # it writes into its arguments, which on lanes is refused
CASES = [
    pytest.param(BY_NAME[name], record, case, id=f"{name}-{record}-{case}")
    for name in CHECKS
    for record in RECORDS.values()
    if record.reference is not None and record.group != "optimizer" and record.name not in INPLACE
    for case in BY_NAME[name].cases(record)
]


@pytest.fixture(scope="session")
def lanes(device: str) -> Iterator[LaneSubject]:
    made = LaneSubject(opened(device))
    yield made
    print(f"\n{device}: " + ", ".join(f"{n} {k}" for k, n in made.counts.most_common()))


@pytest.mark.parametrize(("check", "record", "case"), CASES)
def test_op_on_lanes(lanes: LaneSubject, device: str, check: Check, record: Record, case: str) -> None:
    judged(lanes, check, record, case)
