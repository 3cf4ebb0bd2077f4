"""Loops of the CPU cut at the bounds of their conditions: the numbers of the whole loop, without a condition left."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elsewhere
import generated
import ml_dtypes
import native_cases
import numpy as np
import pytest
from ingot_cpu.native import apart, pieces, recipe
from ingot_cpu.native.codegen import CpuCodegen
from ingot_cpu.native.jit import jit
from ingot_devices import dtypes as dt
from ingot_devices.codegen.bind import Loops, Write, axis_form, constant, linear_node
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.ir.expr import Expr, binary, walk
from native_cases import Array

CODEGEN = CpuCodegen()
NATIVE = elsewhere.native()
RNG = np.random.default_rng(7)


def drawn(*shape: int, dtype: Any = np.float32) -> Array:
    return (RNG.standard_normal(shape) * 9).astype(dtype)


def sliced(axis: int, start: int, count: int) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    shape = (210, 190)
    part = [count if a == axis % 2 else n for a, n in enumerate(shape)]
    return "slice_backward", (drawn(*part),), {"shape": shape, "axis": axis, "start": start, "stop": start + count}


CASES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "columns": sliced(-1, 5, 100), "rows": sliced(0, 7, 90), "the first": sliced(0, 0, 3), "the last": sliced(-1, 189, 1),
    "padded": ("pad", (drawn(3, 100, 120), 2.5), {"pads": ((1, 2), (3, 4))}),
    "padded and cropped": ("pad", (drawn(3, 100, 130), 2.5), {"pads": ((-3, 2), (4, -7))}),
    "padded in front": ("pad", (drawn(40, 1000, dtype=np.int64), 3), {"pads": ((9, 0),)}),
    "padded bfloat16": ("pad", (drawn(40, 1000, dtype=ml_dtypes.bfloat16), 1.0), {"pads": ((2, 9),)}),
    "padded halves": ("pad", (drawn(40, 1000, dtype=np.float16), 1.0), {"pads": ((0, 9),)}),
    **{mode: ("border", (drawn(4, 100, 110),), {"pads": ((5, 2), (0, 3)), "mode": mode})
       for mode in ("reflect", "replicate", "circular")},
    "volumes": ("border", (drawn(30, 40, 41),), {"pads": ((1, 2), (2, 3), (4, 1)), "mode": "reflect"}),
    "rolled": ("roll", (drawn(200, 201),), {"shifts": (3, -5), "axes": (-2, -1)}),
}  # fmt: skip


def by_numpy(name: str, values: Any, attrs: Any) -> Any:
    def host(definition: Any, layouts: Any) -> Any:
        return HostCodegen().compile(definition, layouts, None)

    return native_cases.run(host, name, *values, **attrs)


def made(case: str) -> tuple[recipe.Recipe, Array, Array]:
    """The recipe of a case, its result, and that of the whole loop on NumPy."""
    name, values, attrs = CASES[case]
    (definition,), layouts, _ = native_cases.prepared(name, values, attrs)
    (got,) = native_cases.run(CODEGEN.native, name, *values, **attrs)
    (wanted,) = by_numpy(name, values, attrs)
    return recipe.recipe(definition, layouts, frozenset(), jit()), got, wanted


@NATIVE
@pytest.mark.parametrize("case", CASES)
def test_pieces_are_the_whole(case: str) -> None:
    found, got, wanted = made(case)
    np.testing.assert_array_equal(got, wanted)
    assert len(found.parts) > 1 or case == "volumes"


@pytest.mark.parametrize("case", [c for c in CASES if c != "volumes"])
def test_no_piece_asks(case: str) -> None:
    """No comparison of an index with a number is left in any loop."""
    name, values, attrs = CASES[case]
    (definition,), layouts, outs = native_cases.prepared(name, values, attrs)
    cut = pieces.cut(recipe.lower(definition, layouts))
    assert not [n for n in walk(*cut.roots()) if pieces.bound(n)]
    size = sum(int(np.prod([cut.extents[a] for a in w.axes])) for w in cut.writes)
    assert size == outs[0].size


def test_more_pieces_than_pay_are_one_loop() -> None:
    name, values, attrs = CASES["volumes"]
    (definition,), layouts, _ = native_cases.prepared(name, values, attrs)
    assert len(pieces.cut(recipe.lower(definition, layouts)).writes) == 1


@NATIVE
def test_small_loops_stay_whole() -> None:
    found = ("pad", (drawn(10, 11), 2.5), {"pads": ((1, 2), (3, 4))})
    (definition,), layouts, _ = native_cases.prepared(*found)
    assert len(recipe.recipe(definition, layouts, frozenset(), jit()).parts) == 1


@NATIVE
def test_every_kind_of_loop_in_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Samples of all kinds of loops, and of halves, are small: here they are cut, too."""
    monkeypatch.setattr(pieces, "LEAST", 1)
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path))
    for kept in ("_memory", "_structures"):
        monkeypatch.setattr(recipe, kept, {})
    for op, values, attrs, expected in generated.samples().values():
        assert not generated.wrong(native_cases.run(CODEGEN.native, op, *values, **attrs), expected), op
    half = drawn(9, 11, dtype=ml_dtypes.bfloat16)
    for name, attrs in (("pad", {"pads": ((1, 2), (3, 0))}), ("border", {"pads": ((1, 2), (3, 0))})):
        values = (half, 1.0) if name == "pad" else (half,)
        (got,) = native_cases.run(CODEGEN.native, name, *values, **attrs)
        np.testing.assert_array_equal(got, by_numpy(name, values, attrs)[0])


@NATIVE
def test_one_writing_serves_many_sizes() -> None:
    """Of a padding, by formulas: the same numbers as NumPy's, for sizes that none was written for."""
    for rows, columns, before in ((200, 210, 4), (333, 201, 9), (190, 1001, 1), (200, 210, 0)):
        x, pads = drawn(rows, columns), ((before, 3), (2, before))
        (got,) = native_cases.run(CODEGEN.native, "pad", x, 0.5, pads=pads)
        np.testing.assert_array_equal(got, np.pad(x, pads, constant_values=np.float32(0.5)))


@pytest.mark.parametrize("op", ["ge", "gt", "le", "lt"])
@pytest.mark.parametrize(("factor", "swapped"), list(itertools.product((1, -1), (False, True))))
def test_where_a_comparison_changes(op: str, factor: int, swapped: bool) -> None:
    """Beside every index: a Bound says for which a comparison of ``factor`` · i + 3 with 5 holds."""
    compare: Callable[[int, int], bool] = getattr(operator, op)
    index = Expr.of("index", (), dt.index, 0)
    sides = (linear_node(3, {index: factor}), constant(5))
    node = Expr.of(op, sides[::-1] if swapped else sides, dt.bool_)
    found = pieces.bound(node)
    assert found is not None and found.axis == 0
    for i in range(-20, 20):
        pair = (factor * i + 3, 5)
        assert ((i >= found.point) == found.rises) == compare(*(pair[::-1] if swapped else pair)), i


def test_what_is_no_bound() -> None:
    twice = linear_node(0, {Expr.of("index", (), dt.index, 0): 2})
    assert pieces.bound(Expr.of("lt", (twice, constant(5)), dt.bool_)) is None
    assert pieces.bound(Expr.of("lt", (axis_form(0), axis_form(1)), dt.bool_)) is None
    assert pieces.bound(binary("lt", Expr.of("param", (), dt.float32, 0), Expr.of("param", (), dt.float32, 1))) is None


# ---- parts of one result ---------------------------------------------------------------------------------------------
def writes(extents: tuple[int, ...], *forms: tuple[int, tuple[int, ...]]) -> tuple[Loops, list[Write]]:
    axes = tuple(range(len(extents)))
    atoms = [Expr.of("index", (), dt.index, a) for a in axes]
    value = Expr.of("const", (), dt.float32, 1.0)
    offsets = (linear_node(base, dict(zip(atoms, factors, strict=True))) for base, factors in forms)
    made = [Write(0, offset, value, axes, frozenset(axes)) for offset in offsets]
    return Loops("parts", extents, (), tuple(made)), made


@pytest.mark.parametrize(("extents", "forms", "expected"), [
    ((3, 8), ((0, (32, 1)), (8, (32, 1))), True), ((3, 8), ((0, (32, 1)), (24, (32, 1))), True),
    ((3, 8), ((0, (32, 1)), (7, (32, 1))), False), ((3, 8), ((0, (32, 1)), (0, (32, 1))), False),
    ((3, 8), ((0, (32, 1)), (25, (32, 1))), False),  # the last of a row meets the first of the next
    ((3, 8), ((0, (32, 1)), (8, (16, 1))), False), ((4, 3, 2), ((0, (10, 11, 1)), (4, (10, 11, 1))), False),
])  # fmt: skip
def test_which_parts_never_meet(extents: Any, forms: Any, expected: bool) -> None:
    loops, (a, b) = writes(extents, *forms)
    first, second = ({base + int(np.dot(factors, at)) for at in np.ndindex(*extents)} for base, factors in forms)
    assert apart.apart(loops, a, b) is expected
    assert not (expected and first & second)
    assert len(apart.joined(loops, [(a,), (b,)])) == (1 if expected else 2)
