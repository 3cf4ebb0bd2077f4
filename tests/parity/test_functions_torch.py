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


FUNCTIONAL = (
    "binary_cross_entropy_with_logits cross_entropy elu gelu l1_loss layer_norm leaky_relu linear mse_loss nll_loss pad "
    "scaled_dot_product_attention silu softplus unfold"
).split()
"""PyTorch has them in `nn.functional`; ingot's are functions of the namespace and methods, too."""
METHODS_TOO = (
    "elu_ gelu_ isfinite_ isinf_ isnan_ leaky_relu_ maximum_ minimum_ rsub searchsorted silu_ softplus_ var_mean"
).split()
"""Methods of ingot's tensors alone."""
WITHOUT = {"as_strided_"}
"""PyTorch's, which ingot does not have."""


def names(ingot: Any) -> set[str]:
    """Of all functions, and their forms in place."""
    own = {name for module in ingot.ops.catalog.MODULES for name in (*module.FUNCTIONS, *module.METHODS)}
    return own | {f"{name}_" for name in own}


def differing(ours: Any, theirs: Any, among: set[str]) -> tuple[set[str], set[str]]:
    """The names that only ours has, and those that only theirs has."""
    has = {n for n in among if hasattr(ours, n)}, {n for n in among if hasattr(theirs, n)}
    return has[0] - has[1], has[1] - has[0]


def test_tensor_has_the_same_methods(ingot: Any, torch: Any) -> None:
    more, less = differing(ingot.Tensor, torch.Tensor, names(ingot))
    assert more <= {*FUNCTIONAL, *METHODS_TOO}
    assert more >= set(METHODS_TOO)
    assert less <= WITHOUT


def test_the_namespace_has_the_same_functions(ingot: Any, torch: Any) -> None:
    more, less = differing(ingot, torch, names(ingot))
    assert more <= set(FUNCTIONAL)
    assert less == WITHOUT
    assert {n for n in ingot.linalg.__all__ if not hasattr(torch.linalg, n)} == set()
