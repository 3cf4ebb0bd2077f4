"""Every record's reference agrees with PyTorch: the op tests with PyTorch as the library under
test."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.harness.suite import Check, each_case, run_case
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.records.promotion import NAMES, PROMOTED
from ingot_tools.conformance.records.record import Record

pytestmark = pytest.mark.torch
CASES = [
    pytest.param(*case, id="-".join(map(str, case)))
    for case in each_case(list(RECORDS.values()))
    if case[0].name != "bits"  # of our generator: what PyTorch draws is specified by nobody
]

DIFFERS: dict[tuple[str, ...], str] = {
    ("beyond", "take_along_dim"): "PyTorch reads beyond the end",
    (
        "nonfinite",
        "scaled_dot_product_attention",
    ): "PyTorch's CPU kernel drops rows of infinite scores",
    ("nonfinite", "binary_cross_entropy_with_logits"): "PyTorch makes NaN of an infinite logit",
    ("transposed", "local_response_norm"): "PyTorch views its input, which may not be contiguous",
    **{
        (how, "take_along_dim"): "PyTorch flattens by a view"
        for how in ("transposed", "stepped", "padded", "expanded", "overlapping", "far", "second_order")
    },
    **{
        ("value", name, "float64"): "PyTorch keeps a factor of the rate in float32"
        for name in ("nadam_step", "asgd_step")
    },
}
"""Where PyTorch, not the reference, is off."""
REFUSALS = ("not implemented for", "not supported", "Unsupported dtype", "_backward is not implemented",
            "_backward' is not implemented")


class Torch(Subject):
    """PyTorch, whose zero gradients may be tensors without memory."""

    def read(self, tensor: Any) -> Any:
        return super().read(tensor.detach().clone())


@contextmanager
def where_torch_can() -> Iterator[None]:
    """Skips what PyTorch has not for this dtype."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (NotImplementedError, RuntimeError) as error:
            if any(refusal in str(error) for refusal in REFUSALS):
                pytest.skip(f"PyTorch: {error}")
            raise


@pytest.fixture(scope="session")
def subject(torch: Any) -> Subject:
    return Torch(torch, "cpu")


@pytest.mark.parametrize(("check", "record", "case"), CASES)
def test_record(subject: Subject, check: Check, record: Record, case: str) -> None:
    for key in ((check.name, record.name), (check.name, record.name, case)):
        if key in DIFFERS:
            pytest.skip(DIFFERS[key])
    if check.name == "inplace_overlap":
        pytest.skip("PyTorch refuses a source that overlaps the destination")
    with where_torch_can():
        run_case(subject, check, record, case)


def test_promotion_table(torch: Any) -> None:
    """The table is PyTorch's."""
    for left in NAMES.values():
        for right in NAMES.values():
            try:
                common = torch.promote_types(getattr(torch, left), getattr(torch, right))
            except RuntimeError:
                assert (left, right) not in PROMOTED
            else:
                assert str(common) == f"torch.{PROMOTED[left, right]}"
