"""PyTorch agrees with the rows of `tests/device/functions_table`, gives results of the same dtypes, and has the same names."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import test_functions as shared
from functions_table import Row
from test_functions import *  # noqa: F403 - collected here, with this folder's fixtures
from test_functions_more import *  # noqa: F403

pytestmark = pytest.mark.torch
DIFFERS = {
    ("test_operands_that_lie_otherwise", "bucketize"): "PyTorch warns of values that do not lie densely",
    ("test_operands_that_lie_otherwise", "kron"): "PyTorch's kron is a view of what does not lie so",
    ("test_equal_extremes_of_a_place_share_the_gradient", "False"): "PyTorch drops the share of what is left out",
    ("test_gradient", "second cdist"): "PyTorch does not differentiate cdist twice",
    ("test_gradient", "vander"): "PyTorch's vander writes over what its gradient reads",
}


@pytest.fixture(autouse=True)
def where_torch_can(request: pytest.FixtureRequest) -> None:
    """Skips what PyTorch has not."""
    params = getattr(getattr(request.node, "callspec", None), "params", {})
    words = [getattr(value, "name", str(value)) for value in params.values()]
    about = {*words, " ".join(words)}
    for case in about:
        if (request.node.originalname, case) in DIFFERS:
            pytest.skip(DIFFERS[request.node.originalname, case])


@pytest.fixture(scope="session")
def ingot() -> Any:
    return pytest.importorskip("ingot")


@shared.EACH
def test_the_same_dtypes_and_values(ingot: Any, torch: Any, row: Row) -> None:
    made = []
    for t in (ingot, torch):
        with warnings.catch_warnings(action="ignore"):
            args, kwargs = shared.arguments(row, shared.on(t, "cpu", "float32"))
            made.append(shared.listed(shared.function_of(t, row)(*args, **kwargs)))
    ours, theirs = made
    assert [str(x.dtype).rpartition(".")[2] for x in ours] == [str(x.dtype).rpartition(".")[2] for x in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=2e-5, atol=2e-5)


def names(ingot: Any) -> set[str]:
    """Of the functions of the modules that stand in a row."""
    return {name for module in ingot.ops.catalog.MODULES for name in (*module.FUNCTIONS, *module.METHODS)}


def test_tensor_has_the_same_methods(ingot: Any, torch: Any) -> None:
    wrong = {n for n in names(ingot) if hasattr(ingot.Tensor, n) != hasattr(torch.Tensor, n)}
    assert wrong == set()


def test_the_namespace_has_the_same_functions(ingot: Any, torch: Any) -> None:
    wrong = {n for n in names(ingot) if hasattr(ingot, n) != hasattr(torch, n)}
    assert wrong == set()
    assert {n for n in ingot.linalg.__all__ if not hasattr(torch.linalg, n)} == set()


def test_in_place_forms_are_where_pytorchs_are(ingot: Any, torch: Any) -> None:
    missing = {n for n in names(ingot) if hasattr(torch.Tensor, f"{n}_") and not hasattr(ingot.Tensor, f"{n}_")}
    assert missing == set()
