"""Every op on every device found, from one record per op: see `records` for what and
`harness.suite` for how."""

from __future__ import annotations

from typing import Any

import ingot
import pytest
from harness.subject import Subject
from harness.suite import Check, each_case, run_case
from records import RECORDS
from records.record import ALL, Record

CASES = [
    pytest.param(*case, id="-".join(map(str, case))) for case in each_case(list(RECORDS.values()))
]


@pytest.fixture(scope="session")
def subject(device: str) -> Subject:
    """Ingot on the device, with the dtypes that the device's limits refuse."""
    from ingot_devices import dtypes, open_device

    limits = open_device(device).limits
    refused = {d for d in ALL if limits.dtype_class(dtypes.dtype(d)).kind == "refused"}
    return Subject(ingot, device, frozenset(refused))


@pytest.mark.parametrize(("check", "record", "case"), CASES)
def test_op(subject: Subject, device: str, check: Check, record: Record, case: str) -> Any:
    run_case(subject, check, record, case)
