"""Launches that are planned once for many sizes are those that are planned for each, on null devices of several kinds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported, monoids
from ingot_devices.codegen.bind import bind
from ingot_devices.codegen.collapse import collapse
from ingot_devices.codegen.planned import Asked, known
from ingot_devices.codegen.schedule import Identity, Kernel
from ingot_devices.ir.expr import Expr
from ingot_devices.layout import Layout
from null_device import CPU, GPU, NullDevice, defined, dense, shaped

LIMITS = {"cpu": CPU, "gpu": GPU}
FLAT = {"axis": -1}
OPS: dict[str, tuple[Callable[[int, int], Sequence[Any]], dict[str, Any]]] = {
    "add": (lambda m, n: [shaped(m, n), shaped(n)], {}),
    "gelu": (lambda m, n: [shaped(m * n)], {}),
    "where": (lambda m, n: [shaped(m, n, dtype=dt.bool_), shaped(m, n), shaped(m, 1)], {}),
    "softmax": (lambda m, n: [shaped(m, n)], FLAT),
    "sum": (lambda m, n: [shaped(m, n)], {"axes": (-2,), "keepdim": False}),
    "mean": (lambda m, n: [shaped(m, n)], {"axes": (-1,), "keepdim": True}),
    "amax": (lambda m, n: [shaped(m, n, 3)], {"axes": (-3, -1), "keepdim": False}),
    "argmax": (lambda m, n: [shaped(m, n)], {"axis": -1, "keepdim": False}),
    "cumsum": (lambda m, n: [shaped(m, n)], FLAT),
    "matmul": (lambda m, n: [shaped(m, n), shaped(n, m + 3)], {}),
    "cat": (lambda m, n: [shaped(m, 4), shaped(n, 4), shaped(m + n, 4)], {"axis": -2}),
    "flip": (lambda m, n: [shaped(m, n)], {"axes": (-1,)}),
    "pad": (lambda m, n: [shaped(m, n), 0.0], {"pads": ((1, 2), (0, 3))}),
    "cast": (lambda m, n: [shaped(m, n)], {"dtype": dt.float16}),
    "index_select": (lambda m, n: [shaped(m, n), shaped(7, dtype=dt.int64)], FLAT),
}
SIZES = ((7, 5), (33, 129), (130, 4), (64, 64), (5, 4000), (4000, 5), (3, 1 << 17), (257, 1), (1, 257), (8, 8))


def specs_of(given: Sequence[Any]) -> list[Any]:
    from ingot_devices.opset.op import number_spec

    return [number_spec(type(x)) if isinstance(x, float) else x for x in given]


def strided(definition: Any, device: Any, draw: random.Random) -> dict[int, Layout]:
    """Layouts whose inputs have gaps between rows, or are transposed."""
    found = dense(definition, device)
    for o in definition.operands:
        if o.input and not o.output and len(o.shape) > 1:
            gap, (*lead, rows, columns) = draw.randint(0, 5), o.shape
            strides = (1, rows + gap) if draw.random() < 0.5 else (columns + gap, 1)
            outer = [(rows + gap) * (columns + gap)] * len(lead)
            found[o.number] = Layout.of(o.shape, (*outer, *strides), o.dtype, device)
    return found


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("name", OPS)
def test_launches_are_those_of_each_size(name: str, kind: str) -> None:
    Expr._interned.clear()  # which it does when it is full: texts would differ then in what is written once
    device, draw = NullDevice(LIMITS[kind]), random.Random(name)
    codegen = device.codegen
    sizes = [*SIZES, *((draw.randint(1, 300), draw.randint(1, 300)) for _ in range(20))]
    for m, n in sizes:
        make, attrs = OPS[name]
        for definition in defined(name, specs_of(make(m, n)), **attrs):
            for layouts in (dense(definition, device), strided(definition, device, draw)):
                asked = Asked(codegen, definition, layouts, device)
                try:
                    plain = Kernel.of(asked, collapse(monoids.rewrite(bind(definition, layouts))))
                except Unsupported:
                    with pytest.raises(Unsupported):
                        known(asked)
                    continue
                made = known(asked)
                assert made is not None and made.usual is not None
                assert (made.used, made.outputs, made.bits, made.span) == (plain.used, plain.outputs, plain.bits, plain.span)
                wanted = plain.plan(plain.bits)
                assert made.usual.workspaces == wanted.workspaces
                for one, other, source in zip(made.usual.launches, wanted.launches, made.written, strict=True):
                    assert (one.grid, one.program.workgroup) == (other.grid, other.program.workgroup)
                    assert all(type(x) is int for x in (*one.grid, *one.program.workgroup, one.reach))
                    if name != "mean":  # whose count is an argument
                        assert (one.slots, one.operands, one.reach, one.multiples) == (
                            other.slots, other.operands, other.reach, other.multiples)  # fmt: skip
                        assert source == codegen.renderer(other.program)
    assert not any(written.untraced for written in codegen.cache(device).planned.values())


def test_a_mean_of_another_number_is_the_same_kernel() -> None:
    device, counts = NullDevice(GPU), (40, 44, 48, 52)
    for n in counts:
        (definition,) = defined("mean", [shaped(30, n)], axes=(-1,), keepdim=False)
        device.codegen.compile(definition, dense(definition, device), device).call((bytearray(4), 0), (bytearray(4), 0))
    assert len(device.sources) == 1 and len(device.launches) == 4
    assert "/ (float)" in device.sources[0] and "40.0" not in device.sources[0]


def test_a_renderer_that_does_more_than_write_gets_numbers() -> None:
    device = NullDevice(GPU, Identity())
    (definition,) = defined("softmax", [shaped(30, 40)], axis=-1)
    made = device.codegen.compile(definition, dense(definition, device), device)
    assert made.launches == 1 and not device.codegen.cache(device).planned


def test_what_is_computed_in_place_is_built_once() -> None:
    """Its usual case is that the result has the handle of an operand; where it has not, that is another kernel."""
    device = NullDevice(GPU)
    for n in (70, 130):
        (definition,) = defined("add", [shaped(n, 4), shaped(n, 4)])
        made = device.codegen.compile(definition, dense(definition, device), device, frozenset({0}))
        x, y = bytearray(4), bytearray(4)
        made.call((x, 0), (y, 0), (x, 0))
    assert len(device.sources) == 1 and len(device.launches) == 2
    made.call((x, 0), (y, 0), (bytearray(4), 0))
    assert len(device.sources) == 2 and len(device.launches) == 3
