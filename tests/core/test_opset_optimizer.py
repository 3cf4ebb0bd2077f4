"""The optimizer group: steps in place against the formulas in float64, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS, Spec
from ingot_devices.opset.adam import adam_numbers, nadam_momentum, nadam_numbers, radam_numbers
from ingot_devices.opset.op import number_spec

RNG = np.random.default_rng(4)


def step(name: str, *operands: Any, **attributes: Any) -> None:
    """Run an optimizer's definition on arrays, in place."""
    op = OPS[name]
    given = [*operands, *[None] * (len(op.operands) - len(operands))]
    specs = [
        None
        if o is None
        else number_spec(type(o))
        if isinstance(o, float)
        else Spec.of(o.shape, dt.from_numpy(o.dtype))
        for o in given
    ]
    attrs = op.bind(attributes)
    outputs = op.infer(specs, attrs)
    layouts = {n: Layout.dense(s.shape, s.dtype, None) for n, s in enumerate(specs) if s is not None and s.rank}
    (definition,) = op.definitions(specs, attrs, outputs)
    known = max(n for part in (definition.params, ((o.number, o) for o in definition.operands)) for n, _ in part)
    HostCodegen().compile(definition, layouts, None, frozenset(layouts)).call(*given[: known + 1])


def arrays(shape: Any = (3, 4), dtype: Any = np.float64) -> Any:
    return RNG.normal(size=shape).astype(dtype), [RNG.normal(size=shape).astype(dtype) for _ in range(4)]


@pytest.mark.parametrize("shape", [(3, 4), (), (5,), (1, 1)])
@pytest.mark.parametrize("decay", [None, 0.1])
@pytest.mark.parametrize("maximize", [False, True])
def test_sgd(shape: Any, decay: float | None, maximize: bool) -> None:
    p, gradients = arrays(shape)
    expected = p.copy()
    for g in gradients:
        step("sgd_step", p, g, 0.1, decay, maximize=maximize)
        expected = expected - 0.1 * ((-g if maximize else g) + (decay or 0) * expected)
    np.testing.assert_allclose(p, expected, rtol=1e-14)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("dampening", [0.0, 0.3])
def test_sgd_with_momentum(nesterov: bool, dampening: float) -> None:
    p, gradients = arrays()
    expected, held, buffer = p.copy(), None, np.full_like(p, np.nan)
    for k, given in enumerate(gradients):
        step("sgd_momentum_step", p, given, buffer, 0.1, 0.9, 1 - dampening, 0.2, nesterov=nesterov, first=k == 0)
        g = given + 0.2 * expected
        held = g if held is None else 0.9 * held + (1 - dampening) * g
        expected = expected - 0.1 * (g + 0.9 * held if nesterov else held)
    np.testing.assert_allclose(p, expected, rtol=1e-13)
    assert held is not None
    np.testing.assert_allclose(buffer, held, rtol=1e-13)


@pytest.mark.parametrize("name", ["adam_step", "adamw_step"])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.3, 0.5)])
@pytest.mark.parametrize(("dtype", "close"), [(np.float64, 1e-13), (np.float32, 2e-6), (np.float16, 1e-2)])
def test_adam(name: str, betas: Any, dtype: Any, close: float) -> None:
    p, gradients = arrays(dtype=dtype)
    expected, m, v = p.astype(np.float64), 0.0, 0.0
    mean, square = np.zeros_like(p), np.zeros_like(p)
    decoupled = name == "adamw_step"
    for k, given in enumerate(gradients, 1):
        step(name, p, given, mean, square, *adam_numbers(k, 0.01, betas[0], betas[1], 1e-8, 0.1, decoupled=decoupled))
        expected = expected * (1 - 0.01 * 0.1) if decoupled else expected
        g = given.astype(np.float64) + (0 if decoupled else 0.1 * expected)
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
        expected = expected - 0.01 * (m / (1 - betas[0] ** k)) / (np.sqrt(v / (1 - betas[1] ** k)) + 1e-8)
    np.testing.assert_allclose(p, expected, rtol=close, atol=close)
    np.testing.assert_allclose(mean, m, rtol=10 * close, atol=close)
    assert p.dtype == dtype


def test_mixed_dtypes() -> None:
    """Moments in float32 beside a parameter in float16."""
    p, (g, *_) = arrays(dtype=np.float16)
    mean, square = np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32)
    before = p.copy()
    step("adam_step", p, g, mean, square, *adam_numbers(1, 0.1, 0.9, 0.999, 1e-8, 0.0, decoupled=False))
    np.testing.assert_allclose(mean, g.astype(np.float32) * np.float32(0.1), rtol=1e-6)
    np.testing.assert_allclose(p, before - 0.1 * np.sign(g), atol=5e-3)


def test_maximize() -> None:
    p, (g, *_) = arrays()
    q, moments = p.copy(), [np.zeros_like(p) for _ in range(4)]
    numbers = adam_numbers(1, 0.1, 0.9, 0.999, 1e-8, 0.0, decoupled=False)
    step("adam_step", p, g, *moments[:2], *numbers, maximize=True)
    step("adam_step", q, -g, *moments[2:], *numbers)
    np.testing.assert_array_equal(p, q)


ROWS = [op for op in OPS.values() if op.group == "optimizer"]


def operands(op: Any, dtype: Any = np.float64) -> tuple[list[Any], list[float]]:
    """Tensors of a row, all other values than 0 (a mean below the root of that of squares), and numbers that keep them so."""
    names = op.names[: 1 + len(op.mutates)]
    given = [(RNG.uniform(0.5, 1.5, (3, 4)) * (0.1 if name == "grad_avg" else 1)).astype(dtype) for name in names]
    return given, [0.3] * (len(op.operands) - len(names))


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_row_writes_all_tensors_but_the_gradient(op: Any, dtype: Any) -> None:
    given, numbers = operands(op, dtype)
    before = [a.copy() for a in given]
    step(op.name, *given, *numbers)
    changed = [n for n, (a, b) in enumerate(zip(given, before, strict=True)) if not np.array_equal(a, b)]
    assert changed == sorted(op.mutates.values()) == [n for n in range(len(given)) if n != 1]
    assert all(np.isfinite(a).all() and a.dtype == dtype for a in given)


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_a_row_climbs_as_it_goes_down_the_other_way(op: Any) -> None:
    given, numbers = operands(op)
    turned = [a.copy() for a in given]
    turned[1] *= -1
    step(op.name, *given, *numbers, maximize=True)
    step(op.name, *turned, *numbers)
    for k in op.mutates.values():
        np.testing.assert_array_equal(given[k], turned[k])


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_a_row_names_what_does_not_fit(op: Any) -> None:
    given, numbers = operands(op)
    for k in range(1, len(given)):
        wrong = [a[0] if n == k else a for n, a in enumerate(given)]
        with pytest.raises(ValueError, match=rf"{op.names[k]} of shape \[4\] does not match the parameter of shape \[3, 4\]"):
            step(op.name, *wrong, *numbers)


@pytest.mark.parametrize("beta2", [0.0, 0.9, 0.999])
def test_radam_s_numbers(beta2: float) -> None:
    """The second moment is used from the step on at which the length of its mean is above 5; then the size tends to Adam's."""
    found = [radam_numbers(k, 0.1, 0.9, beta2, 1e-8, 0.0, decoupled=False) for k in range(1, 3000)]
    lengths = [2 / (1 - beta2) - 1 - 2 * k * beta2**k / (1 - beta2**k) for k in range(1, 3000)]
    assert [n[5] for n in found] == [float(length > 5) for length in lengths]
    assert found[0][0] == pytest.approx(1.0) and found[0][1:5] == (1 - 0.9, beta2, 1 - beta2, 1e-8)
    assert found[-1][0] == pytest.approx(0.1, rel=0.2 if beta2 == 0.999 else 1e-9)


def test_nadam_s_numbers_are_those_of_a_plain_product() -> None:
    product = 1.0
    for k in range(1, 20):
        mu, following = (0.9 * (1 - 0.5 * 0.96 ** (n * 0.004)) for n in (k, k + 1))
        of_grad, of_mean, *_, decay = nadam_numbers(k, product, 0.1, 0.9, 0.0, 1e-8, 0.5, 0.004, decoupled=True)
        product *= mu
        assert of_grad == pytest.approx(0.1 * (1 - mu) / (1 - product))
        assert of_mean == pytest.approx(0.1 * following / (1 - product * following))
        assert nadam_momentum(k, 0.9, 0.004) == mu and decay == 1 - 0.1 * 0.5


def test_refusals() -> None:
    p, (g, *_) = arrays()
    with pytest.raises(ValueError, match=r"grad of shape \[4\] does not match the parameter of shape \[3, 4\]"):
        step("sgd_step", p, g[0], 0.1)
    with pytest.raises(TypeError, match="floating point, int64"):
        step("sgd_step", p.astype(np.int64), g, 0.1)
