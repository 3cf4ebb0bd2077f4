"""A kernel that somebody wrote and the pointwise kernel that reads its result, as one call: when, and with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ingot
import numpy as np
import pytest
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.ir.definition import Definition
from ingot_devices.ir.expr import walk
from ingot_devices.registry import Kernel, Request, registry

RNG = np.random.default_rng(12)
F = ingot.nn.functional
attached: list[str] = []
"""The names of definitions that were attached."""


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    attached.clear()
    registry.register(Kernel("linear", "cpu", linear, None, "dense", priority=1000, owner="test"))
    yield
    registry.remove("test")


def product(x: Any, weight: Any, bias: Any, out: Any) -> None:
    out[...] = x @ weight.T + (0 if bias is None else bias)


def linear(request: Request) -> Compiled:
    """x·weightᵀ + bias, that computes any definition of its result but one with exp."""

    def attach(definition: Definition, result: int, layouts: Mapping[int, Any]) -> Callable[..., None]:
        if any(n.op == "exp" for n in walk(*definition.roots())):
            raise Unsupported("no exp")
        attached.append(definition.name)
        follow = HostCodegen().compile(definition, layouts, None).call
        made = layouts[result]

        def call(x: Any, weight: Any, bias: Any, *operands: Any) -> None:
            held = np.empty(made.shape, made.dtype.numpy) if operands[result] is None else operands[result]
            product(x, weight, bias, held)
            follow(*operands[:result], held, *operands[result + 1 :])

        return call

    return Compiled(product, "linear", attach=attach)


def given(*shapes: tuple[int, ...]) -> list[Any]:
    return [ingot.tensor(RNG.normal(size=s)) for s in shapes]


def compiled(function: Any, *operands: Any) -> tuple[Any, str]:
    """What the third call gives beside the eager one, to the bit, and the program after the stage."""
    made = ingot.compile(function, fullgraph=True)
    for _ in range(3):
        result = made(*(o.clone() for o in operands))
    np.testing.assert_array_equal(result.numpy(), function(*(o.clone() for o in operands)).numpy())
    return result, made.stage("attach")


def test_what_reads_a_result_becomes_its_kernel_s_end() -> None:
    _, text = compiled(lambda x, w, b, r: F.relu(F.linear(x, w, b) * 2 + r), *given((4, 6), (5, 6), (5,), (4, 5)))
    assert attached == ["mul+add+relu"] and "= linear+mul+add+relu(" in text and text.startswith("1 kernels")


def test_so_does_what_replaces_it_in_place() -> None:
    def function(x: Any, w: Any, b: Any) -> Any:
        made = F.linear(x, w, b)
        return made.mul_(3).relu_()

    _, text = compiled(function, *given((4, 6), (5, 6), (5,)))
    assert attached == ["mul+relu"] and text.startswith("1 kernels")


def test_what_is_computed_between_the_two_comes_before_both() -> None:
    def function(x: Any, w: Any, y: Any) -> Any:
        made = F.linear(x, w)
        other = y.sum(0)
        return made + other

    _, text = compiled(function, *given((4, 6), (5, 6), (7, 5)))
    assert attached == ["add"] and text.index("= sum(") < text.index("= linear+add(")


def another_reader(x: Any, w: Any) -> Any:
    made = F.linear(x, w)
    return (made * 2).sum(0) + made.sum(0)


def refused(x: Any, w: Any) -> Any:
    return F.linear(x, w).exp()


def written_to(x: Any, w: Any) -> Any:
    made = F.linear(x, w)
    x.mul_(2)
    return made + x.sum()


def through_a_view(x: Any, w: Any) -> Any:
    return F.linear(x, w).view(2, 10) * 2


@pytest.mark.parametrize("function", [another_reader, refused, written_to, through_a_view])
def test_when_the_two_stay_two(function: Any) -> None:
    _, text = compiled(function, *given((4, 6), (5, 6)))
    assert "= linear(" in text and "linear+" not in text


def test_a_result_that_is_handed_out_is_written() -> None:
    def function(x: Any, w: Any) -> Any:
        made = F.linear(x, w)
        return made, made * 2

    x, w = given((4, 6), (5, 6))
    made = ingot.compile(function, fullgraph=True)
    for _ in range(3):
        first, second = made(x, w)
    np.testing.assert_array_equal(first.numpy() * 2, second.numpy())
    assert "= linear(" in made.stage("attach") and not attached
