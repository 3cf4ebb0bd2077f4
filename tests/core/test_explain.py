"""`explain`: the route that an op takes, every route that was looked at before, and why not those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ingot_devices import IngotError, open_device
from ingot_devices import dtypes as dt
from ingot_devices.errors import DeclarationError
from ingot_devices.explain import explain
from ingot_devices.opset import OPS
from ingot_devices.registry import Kernel, registry
from pretend_device import PretendDevice


@pytest.fixture
def cpu() -> Any:
    return open_device("cpu")


@pytest.fixture
def bare() -> Any:
    """A device with memory and copies only."""
    return PretendDevice()


@pytest.fixture
def owned() -> Iterator[None]:
    """Forgets the kernels that a test registers."""
    yield
    registry.remove("test")


def test_a_generated_op(cpu: Any) -> None:
    found = explain("add", cpu)
    assert (found.route, found.device) == ("generated", "cpu:0")
    assert [(s.op, s.route, s.launches) for s in found.steps] == [("add", "generated", 1)]
    assert found.text().splitlines() == [
        "add(float32[16×16], float32[16×16]) on cpu:0: generated",
        "  generated (cpu): taken",
        "  runs add: generated, 1 launch",
    ]
    assert found.to_dict()["considered"][0] == {
        "route": "generated", "owner": "cpu", "refused": "",
    }  # fmt: skip


def test_a_kernel_that_refuses_is_named_with_its_reason(cpu: Any, owned: None) -> None:
    registry.register(Kernel("add", "cpu", lambda request: None, dtypes=[dt.int32]), owner="test")
    found = explain("add", cpu)
    assert found.route == "generated"
    assert "registered (test): not taken, takes no float32" in found.text()
    found = explain("add", cpu, [dt.int32])
    assert "registered (test): not taken, declined this request" in found.text()


def test_a_device_without_a_generator_goes_to_the_host(bare: Any) -> None:
    found = explain("exp", bare)
    assert found.route == "host"
    assert [(s.op, s.route) for s in found.steps] == [("exp", "host")]


def test_a_view_has_no_launch(cpu: Any) -> None:
    assert (explain("permute", cpu).route, explain("permute", cpu).steps) == ("view", ())


def test_dtypes_shapes_and_attributes(cpu: Any) -> None:
    shapes = [(4, 5), (5,)]
    found = explain("mul", cpu, [dt.float16, dt.int64], shapes)
    assert found.operands == ("float16[4×5]", "int64[5]")
    assert explain("cast", cpu, attributes={"dtype": dt.float16}).route == "generated"


def test_no_op_needs_a_hint(cpu: Any) -> None:
    shy = []
    for name in [name for name, op in OPS.items() if op.group != "custom"]:  # somebody may have declared others
        try:
            explain(name, cpu)
        except IngotError:
            shy.append(name)
    assert shy == []


@pytest.mark.parametrize(
    ("op", "more", "message"),
    [
        ("mattmul", {}, "no op is called 'mattmul'. Did you mean 'matmul'?"),
        ("sum", {"attributes": {"dim": 0}}, "sum has no attribute ['dim']; it has ['axes'"),
        ("add", {"shapes": [(3,), (4,)]}, "add takes no such operands (shapes [3] and [4]"),
    ],
)
def test_faults(cpu: Any, op: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(IngotError) as caught:
        explain(op, cpu, **more)
    assert message in str(caught.value)


def test_the_host_route_says_why_it_is_none_of_the_others(bare: Any) -> None:
    assert explain("exp", bare).text().splitlines()[1:4] == [
        f"  registered ({bare.kind}): not taken, no plugin has a kernel for it",
        f"  generated ({bare.kind}): not taken, the device generates no kernels",
        "  host (ingot-devices): taken",
    ]


def test_gradients_of_pointwise_ops_have_names(cpu: Any) -> None:
    for name, operands in (("relu.dx", 2), ("sigmoid.dx.dout", 3), ("pow.dy", 4)):
        found = explain(name, cpu)
        assert (found.op, found.route, len(found.operands)) == (name, "generated", operands)
    with pytest.raises(IngotError, match=r"no op is called 'relu\.dy'"):
        explain("relu.dy", cpu)


def test_a_dtype_that_an_op_does_not_take_is_not_answered_for_numbers(cpu: Any) -> None:
    with pytest.raises(IngotError, match="dtype bool is not taken here"):
        explain("relu", cpu, [dt.bool_])
    assert explain("bitwise_and", cpu).operands == ("int64[16×16]", "int64[16×16]")  # where nothing is said of it


def test_a_kernel_whose_make_raises_is_named(cpu: Any, owned: None) -> None:
    def make(request: Any) -> Any:
        return request.nope

    registry.register(Kernel("add", "cpu", make), owner="test")
    with pytest.raises(DeclarationError) as caught:
        explain("add", cpu)
    text = str(caught.value)
    assert text.startswith("the kernel for add on cpu of test: make(request) raised AttributeError: 'Request' object has no")
    assert "test_explain.py:" in text
    assert isinstance(caught.value.__cause__, AttributeError)
