"""`linalg` on every device: values by NumPy, gradients by differences of NumPy's answer, and what is refused.

A device without kernels of its own for these has the host compute them, which is allowed here. Second derivatives are compared
with PyTorch's (`tests/parity/test_linalg_torch.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import values
from ingot import func, linalg
from linalg_cases import CASES, SQUARE, TALL, listed


@pytest.fixture(autouse=True)
def _there(device: str) -> Iterator[None]:
    with ingot.device(device), ingot.fallback("allow"):
        yield


@pytest.fixture
def dtype(device: str) -> Any:
    """float64 where the device has it."""
    limits = ingot.zeros(1)._layout.device.limits
    return ingot.float32 if limits.dtype_class(ingot.float64).kind == "refused" else ingot.float64


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, dtype: Any) -> None:
    call, answer, arrays = CASES[name]
    tolerance = 1e-8 if dtype is ingot.float64 else 2e-4
    tensors = [ingot.tensor(a, dtype=dtype).requires_grad_() for a in arrays]
    made, wanted = listed(call(ingot, *tensors)), listed(answer(*arrays))
    weights = [np.cos(np.arange(w.size)).reshape(w.shape) for w in map(np.asarray, wanted)]
    for got, right in zip(made, wanted, strict=True):
        assert tuple(got.shape) == np.shape(right)
        np.testing.assert_allclose(values(got), right, rtol=tolerance, atol=tolerance)
    total = sum((m * ingot.tensor(w, dtype=dtype)).sum() for m, w in zip(made, weights, strict=True))
    for k, g in enumerate(ingot.autograd.grad(total, tensors)):
        right = slopes(lambda *xs: sum((m * w).sum() for m, w in zip(listed(answer(*xs)), weights, strict=True)), arrays, k)
        scale = max(1.0, np.abs(right).max())
        np.testing.assert_allclose(values(g) / scale, right / scale, atol=max(20 * tolerance, 1e-6))


def slopes(function: Any, arrays: Any, k: int) -> Any:
    """Differences of a function of arrays by the elements of one, of fourth order."""
    made = np.zeros(arrays[k].size)
    for n in range(made.size):
        for step, weight in ((1e-3, 8 / 12), (-1e-3, -8 / 12), (2e-3, -1 / 12), (-2e-3, 1 / 12)):
            moved = [a.copy() for a in arrays]
            moved[k].flat[n] += step
            made[n] += weight * function(*moved) / 1e-3
    return made.reshape(arrays[k].shape)


def test_what_has_no_gradient(dtype: Any) -> None:
    a = ingot.tensor(TALL, dtype=dtype)
    q, r = linalg.qr(a, "complete")
    np.testing.assert_allclose(values(q @ r), TALL, atol=1e-5)
    np.testing.assert_allclose(values(q.transpose(-2, -1) @ q), np.broadcast_to(np.eye(5), (2, 5, 5)), atol=1e-5)
    u, s, vh = linalg.svd(a)
    np.testing.assert_allclose(values(u[..., :3] @ (s[..., None] * vh)), TALL, atol=1e-5)
    assert tuple(u.shape) == (2, 5, 5)
    for call in (lambda: linalg.svd(a.requires_grad_()), lambda: linalg.qr(a.requires_grad_(), "complete")):
        with pytest.raises(RuntimeError, match="has no gradient"):
            call()


def test_ranks_and_tolerances(dtype: Any) -> None:
    flat = ingot.tensor([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.5]], dtype=dtype)
    assert linalg.matrix_rank(flat).item() == 2
    assert linalg.matrix_rank(ingot.stack([flat, flat * 0]), atol=1.0).tolist() == [1, 0]
    np.testing.assert_allclose(values(linalg.pinv(flat)), np.linalg.pinv(values(flat)), atol=1e-5)
    made = linalg.lstsq(ingot.tensor(TALL, dtype=dtype), ingot.tensor(TALL[..., :2] ** 2, dtype=dtype))
    rest = [np.linalg.lstsq(a, a[:, :2] ** 2, rcond=None)[1] for a in TALL]
    np.testing.assert_allclose(values(made.residuals), rest, rtol=1e-3, atol=1e-5)


def test_the_gradient_of_a_singular_determinant(dtype: Any) -> None:
    a = ingot.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=dtype).requires_grad_()
    linalg.det(a).backward()
    np.testing.assert_allclose(values(a.grad), [[4, -2], [-2, 1]], atol=1e-5)


def test_on_lanes(dtype: Any) -> None:
    a, one = ingot.tensor(SQUARE, dtype=dtype), ingot.tensor(SQUARE[0], dtype=dtype)
    np.testing.assert_allclose(values(func.vmap(linalg.inv)(a)), np.linalg.inv(SQUARE), atol=1e-4)
    solved = func.vmap(lambda y: linalg.solve(one, y))(a)
    np.testing.assert_allclose(values(solved), np.linalg.solve(SQUARE[0], SQUARE), atol=1e-4)
    by_lane = func.vmap(func.grad(lambda m: linalg.slogdet(m)[1]))(a)
    np.testing.assert_allclose(values(by_lane), np.swapaxes(np.linalg.inv(SQUARE), 1, 2), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "said", "call"),
    [
        (linalg.LinAlgError, "inv: Singular matrix", lambda: linalg.inv(ingot.zeros(2, 2))),
        (linalg.LinAlgError, "not positive definite", lambda: linalg.cholesky(-ingot.eye(2))),
        (RuntimeError, "square matrices, but they are 2 by 3", lambda: linalg.det(ingot.ones(2, 3))),
        (RuntimeError, "at least 2 dimensions, not 1", lambda: linalg.svd(ingot.ones(3))),
        (RuntimeError, "float32 and float64 are taken, got ingot.int32", lambda: linalg.inv(ingot.ones(2, 2).int())),
        (RuntimeError, "Incompatible shapes of A and B", lambda: linalg.solve(ingot.eye(2), ingot.ones(3))),
        (RuntimeError, "the same dtype", lambda: linalg.solve(ingot.eye(2), ingot.ones(2, dtype=ingot.int32))),
        (TypeError, "argument 'A' must be a Tensor, not int", lambda: linalg.inv(3)),
        (RuntimeError, "mode must be one of", lambda: linalg.qr(ingot.ones(3, 2), "some")),
        (RuntimeError, "UPLO must be 'L' or 'U'", lambda: linalg.eigh(ingot.eye(2), "M")),
        (RuntimeError, "driver 'gelsd' is not here", lambda: linalg.lstsq(ingot.eye(2), ingot.eye(2), driver="gelsd")),
        (ValueError, "ord must be", lambda: linalg.matrix_norm(ingot.eye(2), 3)),
    ],
)  # fmt: skip
def test_what_is_refused(kind: type[Exception], said: str, call: Any) -> None:
    with pytest.raises(kind, match=said):
        call()
