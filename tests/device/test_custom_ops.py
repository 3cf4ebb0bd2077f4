"""Custom ops on every device: values against their references, gradients, layouts; expression and source agree; training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from custom_ops import EXPRESSIONS, LANGUAGES, SOURCES, declare_expressions, declare_sources
from ingot_devices.registry import registry

FIRST = ("value", "gradient")
"""The second order of each op is checked once (`tests/core/test_custom_expressions.py`): it costs seconds of compiling."""
SHAPES = ((4, 5), (3,), (2, 3, 33), (0, 3), (65, 7))


@pytest.fixture(scope="module")
def library() -> Any:
    from ingot import library

    return library


@pytest.fixture(scope="module")
def expressions(library: Any) -> Iterator[dict[str, Any]]:
    made = declare_expressions(library)
    yield made
    for name in made:
        library.withdraw(name)


@pytest.fixture(scope="module")
def sources(library: Any) -> Iterator[dict[str, Any]]:
    made = declare_sources(library)
    yield made
    for name in SOURCES:
        library.withdraw(name)
    registry.remove("custom_ops.py")


def of_rows(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {"x": shape, "weight": shape[-1:]}


def checked(library: Any, op: Any, device: str, name: str) -> Any:
    samples = of_rows if name == "rms_norm" else None
    return library.opcheck(op, device=device, shapes=SHAPES, samples=samples, checks=FIRST)


NAMES = pytest.mark.parametrize("name", ["swiglu", "rms_norm"])


@NAMES
def test_an_expression_is_checked_from_its_declaration(library: Any, expressions: Any, device: str, name: str) -> None:
    report = checked(library, expressions[name], device, name)
    assert report.route == "generated"
    assert report.passed["value"] >= len(SHAPES)
    assert "gradient" in report.skipped or report.passed["gradient"] == 1


@NAMES
def test_a_source_is_checked_from_its_declaration(library: Any, sources: Any, device: str, name: str) -> None:
    report = checked(library, sources[name], device, name)
    ours = device.partition(":")[0] in LANGUAGES
    assert report.route == ("registered, by custom_ops.py" if ours else "decomposed")
    assert "gradient" in report.skipped or report.passed["gradient"] == 1


@NAMES
def test_both_forms_agree(t: Any, expressions: Any, sources: Any, device: str, name: str) -> None:
    rng = np.random.default_rng(5)
    found = []
    values = [rng.standard_normal(s).astype(np.float32) for s in ((33, 17), (17,) if name == "rms_norm" else (33, 17))]
    for form in (expressions, sources):
        given = [t.tensor(v, device=device).requires_grad_() for v in values]
        out = form[name](*given)
        out.backward(t.ones_like(out))
        found.append([x.detach().cpu().numpy() for x in (out, *(g.grad for g in given))])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("form", ["expression", "source"])
def test_it_trains_inside_a_module(t: Any, expressions: Any, sources: Any, device: str, form: str) -> None:
    """A gated layer with RMSNorm learns a function; the loss falls to a tenth, alike on every device."""
    from ingot import nn

    ops = expressions if form == "expression" else sources

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(t.ones(8))
            self.up, self.gate, self.down = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 1)

        def forward(self, x: Any) -> Any:
            x = ops["rms_norm"](x, self.weight, eps=1e-5)
            return self.down(ops["swiglu"](self.gate(x), self.up(x)))

    t.manual_seed(0)
    model = Gated().to(device)
    rng = np.random.default_rng(0)
    data = rng.standard_normal((64, 8)).astype(np.float32)
    x = t.tensor(data, device=device)
    y = t.tensor(np.tanh(data[:, :1] * data[:, 1:2]), device=device)
    optimizer = t.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    with t.fallback("error"):
        for _ in range(80):
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
    assert losses[-1].item() < 0.25 * losses[0].item()
    assert model.weight.grad is not None and float(t.sum(t.abs(model.weight.grad))) > 0


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_and_their_derived_gradients(library: Any, device: str, name: str) -> None:
    text, reference = EXPRESSIONS[name]
    op = library.kernel(text, reference=reference)
    report = library.opcheck(op, device=device, shapes=((4, 5), (2, 3, 33)), checks=FIRST)
    assert report.route == "generated"
    assert "gradient" in report.skipped or report.passed["gradient"]


def test_integers_masks_and_several_results(t: Any, library: Any, device: str) -> None:
    op = library.kernel("low = minimum(x, y)\nhigh = maximum(x, y)", outputs="low high", gradient=None)
    low, high = op(t.tensor([1, 5, 3], device=device), t.tensor([4, 2, 3], device=device))
    assert (low.tolist(), high.tolist(), low.dtype) == ([1, 2, 3], [4, 5, 3], t.int64)
    masked = library.kernel("out = where(keep, x, 0)", operands="keep x")
    keep = t.tensor([True, False], device=device)
    assert masked(keep, t.tensor([2.0, 3.0], device=device)).tolist() == [2.0, 0.0]
    halved = library.kernel("out = n / 2")(t.tensor([3], device=device))
    assert (halved.dtype, halved.item()) == (t.float32, 1.5)
    assert library.kernel("out = a > b")(t.tensor([3], device=device), 2).tolist() == [True]
    assert library.kernel("out = sum(n)")(t.tensor([[1, 2], [3, 4]], dtype=t.int32, device=device)).tolist() == [3, 7]


def test_a_gradient_that_is_an_expression_of_its_own(t: Any, library: Any, device: str) -> None:
    """Straight through: the value is rounded, the gradient is cut outside [-1, 1]."""
    op = library.kernel("q = round(x)", gradient={"x": "where(abs(x) <= 1, g, 0)"})
    x = t.tensor([0.4, 0.6, 3.0], device=device).requires_grad_()
    y = op(x)
    y.backward(t.tensor([1.0, 2.0, 4.0], device=device))
    assert (y.tolist(), x.grad.tolist()) == ([0.0, 1.0, 3.0], [1.0, 2.0, 0.0])


def test_an_op_that_only_has_a_reference_runs_it(t: Any, library: Any, device: str) -> None:
    op = library.custom_op("sorted_rows", operands="x", result="x", reference=lambda x: np.sort(x, -1), gradient=None)
    try:
        with t.fallback("allow"):
            assert op(t.tensor([[3.0, 1.0, 2.0]], device=device)).tolist() == [[1.0, 2.0, 3.0]]
            assert t.ops.sorted_rows is not None
    finally:
        library.withdraw("sorted_rows")


def test_bfloat16_and_numbers(t: Any, library: Any, device: str) -> None:
    op = library.kernel("z = a*x + y")
    x = t.tensor([1.0, 2.0], dtype=t.bfloat16, device=device)
    made = op(2.0, x, x)
    assert (made.dtype, made.tolist()) == (t.bfloat16, [3.0, 6.0])


def test_a_compiled_step_is_the_eager_one_bit_for_bit(t: Any, expressions: Any, device: str) -> None:
    """A custom op is fused like any other."""

    def made() -> Any:
        weight = t.tensor(np.linspace(0.5, 1.5, 8), dtype=t.float32, device=device).requires_grad_()
        optimizer = t.optim.SGD([weight], lr=0.1)

        def step(x: Any) -> Any:
            h = expressions["rms_norm"](x, weight, eps=1e-5)
            loss = (expressions["swiglu"](h, x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step

    x = t.tensor(np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32), device=device)
    eager, compiled = made(), t.compile(made())
    assert [eager(x).item() for _ in range(4)] == [compiled(x).item() for _ in range(4)]
