"""Every record's reference agrees with PyTorch: the same checks, with PyTorch as the library under test."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness import checks, derivatives
from harness.subject import Subject
from records import RECORDS
from records.record import Record

pytestmark = pytest.mark.torch
EACH = pytest.mark.parametrize("record", RECORDS.values(), ids=str)


DIFFERS = {
    "test_nonfinite[gelu]": "PyTorch's vectorised tanh form makes NaN of infinity",
    "test_nonfinite[scaled_dot_product_attention]": "PyTorch's CPU kernel drops rows of infinite scores",
    **{f"test_strided[{how}-take_along_dim]": "PyTorch flattens by a view" for how in checks.STRIDED},
    "test_nonfinite[binary_cross_entropy_with_logits]": "PyTorch makes NaN of an infinite logit",
}
"""Where PyTorch, not the reference, is off."""


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
            if "not implemented for" in str(error) or "not supported" in str(error):
                pytest.skip(f"PyTorch: {error}")
            raise


@pytest.fixture
def subject(torch: Any, request: pytest.FixtureRequest) -> Subject:
    if request.node.name in DIFFERS:
        pytest.skip(DIFFERS[request.node.name])
    return Torch(torch, "cpu")


@pytest.mark.parametrize(
    ("record", "dtype"), [pytest.param(r, d, id=f"{r}-{d}") for r in RECORDS.values() for d in r.dtypes]
)
def test_values(subject: Subject, record: Record, dtype: str) -> None:
    with where_torch_can():
        checks.value(subject, record, dtype, lambda s: True)


@EACH
def test_nonfinite(subject: Subject, record: Record) -> None:
    if record.nonfinite not in ("product", "planted"):
        pytest.skip(record.nonfinite)
    with where_torch_can():
        checks.nonfinite(subject, record, record.main_dtype)


@EACH
@pytest.mark.parametrize("how", list(checks.STRIDED))
def test_strided(subject: Subject, record: Record, how: str) -> None:
    if record.dense_only:
        pytest.skip(record.dense_only)
    with where_torch_can():
        checks.strided(subject, record, record.main_dtype, how)


@EACH
def test_gradient(subject: Subject, record: Record) -> None:
    if not record.grad:
        pytest.skip("no gradient")
    with where_torch_can():
        derivatives.gradient(subject, record, "float64")
        derivatives.gradient(subject, record, "float32")


@EACH
def test_second_order(subject: Subject, record: Record) -> None:
    if not (record.grad and record.second):
        pytest.skip("no second order")
    with where_torch_can():
        derivatives.second_order(subject, record, "float64")


@EACH
def test_method(subject: Subject, record: Record) -> None:
    if not record.method:
        pytest.skip("no method")
    with where_torch_can():
        checks.method(subject, record, record.main_dtype)


@EACH
def test_inplace(subject: Subject, record: Record) -> None:
    if not record.inplace:
        pytest.skip("no in-place form")
    with where_torch_can():
        checks.inplace(subject, record, record.main_dtype)
