"""What rows cannot say of the functions: names in place, tensors that become views of themselves, ties, questions, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from functions_table import NAN
from harness.behaviour import near, needs, ours_only, refused, same
from ingot_tools.conformance.records import RECORDS
from linalg_cases import called
from test_functions import ROWS

X = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 1, 3) / 8


def test_every_function_is_tested(t: Any) -> None:
    """By a row, by a record of its op, or here."""
    ours_only(t, "its tables")
    rows = {row.name for row in ROWS} | set(RECORDS) | set(QUESTIONS) | set(REFUSED) | called()
    of: dict[Any, set[str]] = {}
    for module in t.ops.catalog.MODULES:
        for name, function in module.FUNCTIONS.items():
            of.setdefault(function, set()).add(name)
    plain = [names for names in of.values() if not any(n.endswith("_") for n in names)]
    assert [names for names in plain if not names & rows] == []
    assert {f"linalg.{name}" for name in t.linalg.__all__} <= rows


# ---- in place ----------------------------------------------------------------------------------------------------------
OF_MORE = {"clamp": (0.25, 0.5), "clip": (0.25, 0.5), "clamp_max": (0.5,), "clamp_min": (0.5,)}


def names_in_place() -> list[str]:
    from ingot.ops import overwriting

    return [n for n in overwriting.NAMES if n not in (*OF_MORE, "ldexp", "xlogy")]


@pytest.mark.parametrize("name", names_in_place())
def test_a_function_in_place_is_the_function(t: Any, device: str, name: str) -> None:
    x = t.tensor(X + (1 if name in ("acosh", "arccosh") else 0), device=device)
    wanted = getattr(t, name)(x)
    made = getattr(t, f"{name}_")(x)
    assert made is x
    same(x, wanted.cpu().numpy())


@pytest.mark.parametrize("name", [*OF_MORE, "ldexp", "xlogy"])
def test_a_function_of_more_in_place(t: Any, device: str, name: str) -> None:
    x = t.tensor(X, device=device)
    others = OF_MORE.get(name) or (t.tensor(0.5, device=device),)
    wanted = getattr(t, name)(x, *others)
    assert getattr(t, f"{name}_")(x, *others) is x
    same(x, wanted.cpu().numpy())


@pytest.mark.parametrize("name", "absolute fix sgn greater greater_equal less less_equal not_equal true_divide".split())
def test_aliases_in_place(t: Any, device: str, name: str) -> None:
    x = t.tensor(X, device=device)
    args = (0.5,) if hasattr(t.Tensor, name) and name not in ("absolute", "fix", "sgn") else ()
    wanted = getattr(x, name)(*args).to(x.dtype)
    assert getattr(x, f"{name}_")(*args) is x
    same(x, wanted.cpu().numpy())


def test_functions_that_write(t: Any, device: str) -> None:
    x = t.tensor(X[:, 0], device=device).requires_grad_() * 1
    assert t.detach_(x) is x and not x.requires_grad
    assert t.fill_(x, 3) is x
    assert t.index_put_(x, (t.tensor([0, 0], device=device),), t.ones(3, device=device), accumulate=True) is x
    same(x, [[5.0] * 3, [3.0] * 3])
    assert t.zero_(x) is x
    same(x, np.zeros((2, 3)))


# ---- tensors that become views of themselves ---------------------------------------------------------------------------
BECOME: dict[str, tuple[int, ...]] = {
    "squeeze_": (), "squeeze_ of one": (1,), "unsqueeze_": (0,), "transpose_": (0, 2), "swapaxes_": (0, 1), "swapdims_": (1, 2),
}  # fmt: skip


@pytest.mark.parametrize("how", BECOME)
def test_a_tensor_becomes_its_view(t: Any, device: str, how: str) -> None:
    name, args = how.partition(" ")[0], BECOME[how]
    x = t.tensor(X, device=device)
    y, part = x * 2, None
    part = y[1]
    wanted = getattr(y, name[:-1])(*args)
    assert getattr(y, name)(*args) is y
    assert tuple(y.shape) == tuple(wanted.shape) and y.stride() == wanted.stride()
    same(y, wanted.cpu().numpy())
    y.mul_(3)  # one memory still
    same(part, X[1] * 6)


@pytest.mark.parametrize("how", BECOME)
@pytest.mark.parametrize("seen", [False, True], ids=["alone", "seen by a view"])
def test_gradients_pass_what_became_a_view(t: Any, device: str, how: str, seen: bool) -> None:
    name, args = how.partition(" ")[0], BECOME[how]
    grads = []
    for form in (name[:-1], name):
        x = t.tensor(X, device=device).requires_grad_()
        y = x * 2
        parts = [y[0]] if seen else []
        z = getattr(y, form)(*args)
        z.mul_(3)
        weights = t.arange(6.0, device=device).reshape(z.shape)
        sum((part.square().sum() for part in parts), (z * weights).sum()).backward()
        grads.append(x.grad.cpu().numpy())
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-6)


def test_t_in_place(t: Any, device: str) -> None:
    x = t.tensor(X[:, 0], device=device)
    assert x.t_() is x
    same(x, X[:, 0].T)
    x += 1
    same(x, X[:, 0].T + 1)


def test_a_view_becomes_another_view(t: Any, device: str) -> None:
    x = t.tensor(X, device=device).requires_grad_()
    y = x * 1
    part = y[1]
    part.squeeze_(0).unsqueeze_(1)
    assert tuple(part.shape) == (3, 1)
    part.mul_(5)
    y.sum().backward()
    same(x.grad, np.broadcast_to(np.array([1.0, 5.0]).reshape(2, 1, 1), X.shape))


def test_a_leaf_does_not_become_a_view(t: Any, device: str) -> None:
    x = t.tensor(X, device=device).requires_grad_()
    with refused(t, RuntimeError, "leaf", "squeeze_"):
        x.squeeze_()


def test_what_becomes_a_view_ends_a_recording(t: Any, device: str) -> None:
    ours_only(t, "recording")
    from ingot.compiler import CompileWarning

    def step(x: Any) -> Any:
        return (x * 2).squeeze_() + 1

    compiled, x = t.compile(step), t.tensor(X, device=device)
    compiled(x)
    with pytest.warns(CompileWarning, match="squeeze_"):
        compiled(x)
    same(compiled(x), X[:, 0] * 2 + 1)


# ---- ties --------------------------------------------------------------------------------------------------------------
def test_equal_medians_share_the_gradient(t: Any, device: str) -> None:
    x = t.tensor([3.0, 1.0, 3.0, 9.0], device=device).requires_grad_()
    t.median(x).backward()
    near(x.grad, [0.5, 0, 0.5, 0])


@pytest.mark.parametrize("own", [True, False])
def test_equal_extremes_of_a_place_share_the_gradient(t: Any, device: str, own: bool) -> None:
    x = t.tensor([2.0, 0.0, 7.0], device=device).requires_grad_()
    y = t.tensor([2.0, 2.0, 5.0, 1.0], device=device).requires_grad_()
    index = t.tensor([0, 0, 1, 1], device=device)
    made = x.scatter_reduce(0, index, y, "amax", include_self=own)
    same(made, [2.0, 5.0, 7.0])
    made.sum().backward()
    near(x.grad, [1 / 3, 0, 1] if own else [0, 0, 1])
    near(y.grad, [1 / 3, 1 / 3, 1, 0] if own else [0.5, 0.5, 1, 0])


def test_medians_of_halves_and_infinities(t: Any, device: str) -> None:
    needs(t, device, "float16")
    x = t.tensor([float("inf"), 1.0, float("inf")], device=device, dtype=t.float16).requires_grad_()
    made = x.median()
    made.backward()
    assert float(made.detach()) == float("inf") and made.dtype == t.float16


def drawn(x: Any, like: Any, low: float, high: float, mean: float) -> bool:
    """Whether ``x`` is like ``like``, with 500 draws from ``low`` to below ``high`` whose mean is within some deviations."""
    values = x.cpu().numpy().astype(np.float64)
    alike = x.shape == like.shape and x.dtype == like.dtype and x.device == like.device
    return alike and bool(low <= values.min() and values.max() < high and abs(values.mean() - mean) < 0.3)


# ---- questions ---------------------------------------------------------------------------------------------------------
QUESTIONS: dict[str, list[Callable[[Any, str], Any]]] = {
    "broadcast_shapes": [lambda t, d: t.broadcast_shapes((2, 1), (3,), 1) == (2, 3), lambda t, d: t.broadcast_shapes() == ()],
    "can_cast": [lambda t, d: t.can_cast(t.int64, t.float16), lambda t, d: not t.can_cast(t.float32, t.int64),
                 lambda t, d: t.can_cast(t.int64, t.uint8), lambda t, d: not t.can_cast(t.uint8, t.bool)],
    "allclose": [lambda t, d: t.allclose(t.ones(2, device=d), t.tensor([1.0, 1 + 1e-6], device=d)),
                 lambda t, d: not t.ones(2, device=d).allclose(t.tensor([1.0, 1.001], device=d)),
                 lambda t, d: t.allclose(t.ones(2, device=d), t.zeros(1, device=d), atol=1.0),
                 lambda t, d: t.allclose(t.ones(0, device=d), t.ones(0, device=d))],
    "equal": [lambda t, d: t.equal(t.ones(2, device=d), t.tensor([1, 1], device=d)),
              lambda t, d: not t.ones(2, device=d).equal(t.ones(1, device=d)),
              lambda t, d: not t.equal(t.tensor([np.nan], device=d), t.tensor([np.nan], device=d)),
              lambda t, d: t.equal(t.ones(0, 3, device=d), t.ones(0, 3, device=d))],
    "result_type": [lambda t, d: t.result_type(t.ones(2, device=d, dtype=t.int32), 1.5) == t.float32,
                    lambda t, d: t.result_type(1, 2.0) == t.get_default_dtype()],
    "tensor": [lambda t, d: t.tensor([[1, 2]], device=d).dtype == t.int64, lambda t, d: t.tensor(2.5, device=d).shape == ()],
    "as_tensor": [lambda t, d: t.as_tensor(x := t.ones(2, device=d)) is x,
                  lambda t, d: t.asarray([1.0, 2.0], device=d).tolist() == [1.0, 2.0]],
    "from_numpy": [lambda t, d: t.from_numpy(a := np.zeros(2, np.float32)).add_(1).tolist() == a.tolist() == [1.0, 1.0]],
    "scalar_tensor": [lambda t, d: (x := t.scalar_tensor(3, device=d)).shape == () and x.dtype == t.get_default_dtype(),
                      lambda t, d: float(t.scalar_tensor(3, dtype=t.int32, device=d)) == 3.0],
    "rand_like": [lambda t, d: drawn(t.rand_like(like := t.zeros(500, device=d)), like, 0, 1, 0.5)],
    "randn_like": [lambda t, d: drawn(t.randn_like(like := t.zeros(500, device=d)), like, -8, 8, 0.0)],
    "randint_like": [lambda t, d: drawn(t.randint_like(like := t.zeros(500, device=d), 3, 6), like, 3, 6, 4.0),
                     lambda t, d: set(t.randint_like(t.zeros(99, device=d), 2).tolist()) == {0.0, 1.0}],
    "repeat_interleave": [lambda t, d: t.repeat_interleave(t.tensor([1, 0, 2], device=d)).tolist() == [0, 2, 2],
                          lambda t, d: t.repeat_interleave(t.zeros(3, device=d).int()).dtype == t.int32],
    "is_complex": [lambda t, d: not t.is_complex(t.ones(1, device=d))],
    "is_nonzero": [lambda t, d: t.is_nonzero(t.ones(1, 1, device=d)), lambda t, d: not t.zeros((), device=d).is_nonzero()],
    "is_same_size": [lambda t, d: t.is_same_size(t.ones(2, 1, device=d), t.zeros(2, 1, device=d)),
                     lambda t, d: not t.ones(2, device=d).is_same_size(t.ones(2, 1, device=d))],
    "is_signed": [lambda t, d: t.is_signed(t.ones(1, device=d)),
                  lambda t, d: not t.is_signed(t.ones(1, dtype=t.uint8, device=d))],
    "float_power": [lambda t, d: d.startswith("webgpu") or abs(float(t.float_power(t.tensor(3, device=d), 2)) - 9) < 1e-12,
                    lambda t, d: d.startswith("webgpu") or t.float_power(2, t.ones(1, device=d)).dtype == t.float64],
    "positive": [lambda t, d: t.positive(-t.ones(2, device=d)).tolist() == [-1.0, -1.0]],
    "deg2rad": [lambda t, d: abs(float(t.deg2rad(t.tensor(180.0, device=d))) - np.pi) < 1e-6],
    "rad2deg": [lambda t, d: abs(float(t.tensor(np.pi / 2, device=d).float().rad2deg()) - 90) < 1e-4],
    "sum_to_size": [lambda t, d: t.ones(2, 3, 4, device=d).sum_to_size(3, 1).tolist() == [[8.0], [8.0], [8.0]]],
    "H": [lambda t, d: t.ones(2, 3, device=d).H.shape == (3, 2), lambda t, d: t.ones(4, 2, 3, device=d).mH.shape == (4, 3, 2)],
    "ndimension": [lambda t, d: t.ones(2, 3, device=d).ndimension() == 2],
}  # fmt: skip


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, several in QUESTIONS.items() for k in range(len(several))])
def test_questions(t: Any, device: str, name: str, k: int) -> None:
    assert QUESTIONS[name][k](t, device)


# ---- refusals ----------------------------------------------------------------------------------------------------------
REFUSED: dict[str, list[Callable[[Any], Any]]] = {
    "isclose": [lambda t: t.isclose(t.ones(2), t.ones(2), rtol=-1.0), lambda t: t.isclose(t.ones(2), t.ones(2), atol=NAN),
                lambda t: t.isclose(t.ones(2), t.tensor([1, 1])), lambda t: t.ones(2).isclose(t.ones(3))],
    "allclose": [lambda t: t.allclose(t.ones(2), t.ones(2), atol=-1.0), lambda t: t.allclose(t.ones(2), t.tensor([1, 1]))],
    "repeat_interleave": [lambda t: t.ones(2).repeat_interleave(-1), lambda t: t.ones(2).repeat_interleave(2, output_size=5),
                          lambda t: t.ones(2).repeat_interleave(t.tensor([1, 2, 3])),
                          lambda t: t.ones(2).repeat_interleave(1.5),
                          lambda t: t.ones(2).repeat_interleave(t.tensor([1, -1])),
                          lambda t: t.ones(2).repeat_interleave(t.ones(2)), lambda t: t.repeat_interleave(t.ones(2, 2).int())],
    "meshgrid": [lambda t: t.meshgrid(), lambda t: t.meshgrid(t.ones(2), t.ones(1, 2), indexing="ij"),
                 lambda t: t.meshgrid(t.ones(2), t.ones(2).int(), indexing="ij"),
                 lambda t: t.meshgrid(t.ones(2), t.ones(3), indexing="ji")],
    "movedim": [lambda t: t.movedim(t.ones(2, 3), (0, 1), (0,)), lambda t: t.movedim(t.ones(2, 3), (0, 0), (0, 1)),
                lambda t: t.movedim(t.ones(2, 3), (0, 1), (1, 1))],
    "mv": [lambda t: t.mv(t.ones(2), t.ones(2)), lambda t: t.mv(t.ones(2, 3), t.ones(2))],
    "randint_like": [lambda t: t.randint_like(t.ones(2), 3, 3)], "from_numpy": [lambda t: t.from_numpy([1])],
    "scalar_tensor": [lambda t: t.scalar_tensor([1])], "diag": [lambda t: t.diag(t.ones(1, 1, 1))],
    "heaviside": [lambda t: t.heaviside(t.ones(2), t.tensor([1]))],
    "positive": [lambda t: t.positive(t.tensor([True]))],
    "float_power": [lambda t: t.ones(2).float_power_(2)],
    "fliplr": [lambda t: t.fliplr(t.ones(2))],
    "rot90": [lambda t: t.rot90(t.ones(2, 2), 1, [0]), lambda t: t.rot90(t.ones(2, 2), 1, [0, 0])],
    "hsplit": [lambda t: t.hsplit(t.ones(2, 3), 2)], "dsplit": [lambda t: t.dsplit(t.ones(2, 3), 1)],
    "tensor_split": [lambda t: t.tensor_split(t.ones(2), 0), lambda t: t.tensor_split(t.ones(()), 1)],
    "block_diag": [lambda t: t.block_diag(t.ones(1, 1, 1))], "diag_embed": [lambda t: t.diag_embed(t.ones(2), 0, 1, 1)],
    "cartesian_prod": [lambda t: t.cartesian_prod(t.ones(1, 1))], "combinations": [lambda t: t.combinations(t.ones(2), -1)],
    "vander": [lambda t: t.vander(t.ones(2, 2))], "tril_indices": [lambda t: t.tril_indices(-1, 2)],
    "index_copy": [lambda t: t.ones(2, 2).index_copy(0, t.tensor([0]), t.ones(2, 2)),
                   lambda t: t.ones(2).index_copy(0, t.tensor([0]), t.tensor([1]))],
    "index_fill": [lambda t: t.ones(2).index_fill(0, t.tensor([0]), t.ones(2)),
                   lambda t: t.ones(2).index_fill(0, t.tensor([[0]]), 1.0)],
    "scatter_reduce": [lambda t: t.ones(2).scatter_reduce(0, t.tensor([0]), t.ones(1), "least")],
    "masked_scatter": [lambda t: t.ones(2).masked_scatter(t.tensor([1, 0]), t.ones(2))],
    "select_scatter": [lambda t: t.select_scatter(t.ones(2, 3), t.ones(2), 0, 0)],
    "median": [lambda t: t.ones(0, 2).median(0)], "kthvalue": [lambda t: t.ones(3).kthvalue(4)],
    "quantile": [lambda t: t.quantile(t.ones(3), 1.5), lambda t: t.quantile(t.ones(3), 0.5, interpolation="cubic"),
                 lambda t: t.quantile(t.tensor([1]), 0.5), lambda t: t.quantile(t.ones(0), 0.5)],
    "bucketize": [lambda t: t.bucketize(t.ones(2), t.ones(2, 2))], "histc": [lambda t: t.histc(t.ones(2), 0),
                  lambda t: t.histc(t.ones(2), 2, 3, 1)],
    "cov": [lambda t: t.cov(t.ones(1, 2, 3)), lambda t: t.cov(t.ones(2, 3), fweights=t.ones(3))],
    "trace": [lambda t: t.trace(t.ones(2))], "diff": [lambda t: t.diff(t.ones(())), lambda t: t.diff(t.ones(2), n=-1)],
    "aminmax": [lambda t: t.aminmax(t.ones(0))], "nanmean": [lambda t: t.nanmean(t.tensor([1]))],
    "trapezoid": [lambda t: t.trapezoid(t.ones(3), t.ones(2))],
    "tensordot": [lambda t: t.tensordot(t.ones(2, 3), t.ones(2, 3), 1), lambda t: t.tensordot(t.ones(2), t.ones(2), 2),
                  lambda t: t.tensordot(t.ones(2), t.ones(2), ([0], []))],
    "inner": [lambda t: t.inner(t.ones(2), t.ones(3))], "addmv": [lambda t: t.addmv(t.ones(2), t.ones(2), t.ones(2))],
    "baddbmm": [lambda t: t.baddbmm(t.ones(1), t.ones(2, 2), t.ones(2, 2)),
                lambda t: t.baddbmm(t.ones(1), t.ones(1, 2, 3), t.ones(1, 2, 3))],
    "cross": [lambda t: t.linalg.cross(t.ones(2), t.ones(2)), lambda t: t.linalg.cross(t.ones(3), t.ones(2, 3))],
    "matrix_power": [lambda t: t.matrix_power(t.ones(2, 3), 2)],
    "linalg.multi_dot": [lambda t: t.linalg.multi_dot([t.ones(2, 2)]),
                         lambda t: t.linalg.multi_dot([t.ones(2, 2), t.ones(3, 2)])],
    "linalg.vector_norm": [lambda t: t.linalg.vector_norm(t.tensor([1]))],
    "linalg.matrix_norm": [lambda t: t.linalg.matrix_norm(t.ones(3)), lambda t: t.linalg.matrix_norm(t.ones(3, 3), dim=(0, 0))],
    "linalg.norm": [lambda t: t.linalg.norm(t.ones(2, 2, 2), 1)],
    "cdist": [lambda t: t.cdist(t.ones(3), t.ones(3, 3)), lambda t: t.cdist(t.ones(3, 2), t.ones(3, 3))],
    "renorm": [lambda t: t.renorm(t.ones(3), 2, 0, 1.0)],
}  # fmt: skip


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, several in REFUSED.items() for k in range(len(several))])
def test_refusals(t: Any, name: str, k: int) -> None:
    with refused(t, (RuntimeError, IndexError, TypeError)):
        REFUSED[name][k](t)


def test_what_is_not_supported_says_so(t: Any, device: str) -> None:
    ours_only(t, "PyTorch has it")
    x = t.ones(2, 2, device=device)
    with refused(t, RuntimeError, "prod", "sum, mean, amax, amin"):
        x.scatter_reduce(0, t.tensor([[0, 0]], device=device), x, "prod")


def test_a_quantile_beyond_the_ends_is_refused_when_it_is_read(t: Any, device: str) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        t.quantile(t.ones(3, device=device), t.tensor([1.5], device=device)).tolist()


def test_more_places_than_a_source_has(t: Any, device: str) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        t.zeros(3, device=device).masked_scatter(t.tensor([True, True, True], device=device), t.ones(2, device=device)).tolist()
