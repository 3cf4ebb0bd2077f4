"""One writing of a kernel for many sizes: the formulas give what is written for each size by itself, and are few."""

from __future__ import annotations

import json
import operator
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import elsewhere
import pytest
from ingot_cpu.native import kernel, recipe
from ingot_devices import dtypes as dt
from ingot_devices import open_device
from ingot_devices.codegen.sizes import Shape
from ingot_devices.ir.definition import Definition
from ingot_devices.ir.expr import Expr, const
from ingot_devices.ir.size import Formula, Size, Traced
from ingot_devices.layout import Layout
from ingot_devices.opset import OPS, Spec

pytestmark = elsewhere.native()
RECORDS = 12


# ---- a size ------------------------------------------------------------------------------------------------------------
def formula(work: Callable[[Any, Any], Any], *numbers: int) -> Formula:
    trace = Traced(numbers)
    return trace.formula(work(*trace.sizes))


def test_arithmetic_is_kept_as_a_formula() -> None:
    made = formula(lambda m, n: (m * n + 3, -(-m // 4), [2 - n, abs(n - m)], round(m / n * 0.5), m << 2, 100 % n, "a"), 12, 5)
    for m, n in ((12, 5), (7, 9), (1000, 3)):
        assert made.holds((m, n))
        assert made.made((m, n)) == (m * n + 3, -(-m // 4), [2 - n, abs(n - m)], round(m / n * 0.5), m << 2, 100 % n, "a")


def test_a_decision_is_a_condition() -> None:
    made = formula(lambda m, n: m * 2 if m > n and n != 7 else n, 12, 5)
    assert made.holds((40, 6)) and made.made((40, 6)) == 80
    assert not made.holds((5, 12)) and not made.holds((12, 7))


def test_what_needs_a_number_has_it_pinned() -> None:
    texts: list[Callable[[Any, Any], Any]] = [
        lambda m, n: f"{m}", lambda m, n: str(m), lambda m, n: len(range(m)), lambda m, n: int(m), lambda m, n: float(m),
        lambda m, n: [0] * m,
    ]  # fmt: skip
    for work in texts:
        made = formula(work, 12, 5)
        assert made.holds((12, 99)) and not made.holds((13, 5))


def test_what_no_size_decides_is_no_condition() -> None:
    made = formula(lambda m, n: 1 if m > 1 and m and m * n >= 4 and n != 0 and m + n > 3 else 2, 12, 5)
    assert made.source[0] == "True"


def test_a_size_is_no_key() -> None:
    (m,) = Traced((12,)).sizes
    with pytest.raises(TypeError, match="unhashable"):
        {12, 13}.isdisjoint([m])  # a set would find it, or not, without a condition


def test_sizes_of_two_writings_do_not_meet() -> None:
    (m,), (n,) = Traced((12,)).sizes, Traced((12,)).sizes
    with pytest.raises(TypeError, match="another"):
        operator.eq(m, n)


def test_expressions_of_two_writings_are_two() -> None:
    sizes: list[Any] = [Traced((12,)).sizes[0], Traced((12,)).sizes[0]]
    m, n = sizes
    assert const(m, dt.index) is const(m, dt.index)
    assert const(m, dt.index) is not const(n, dt.index)
    assert const(m, dt.index) is not const(12, dt.index)
    assert isinstance((Expr.of("index", (), dt.index, 0) * m).args[1].value, Size)


# ---- kernels -----------------------------------------------------------------------------------------------------------
def checked(seen: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare each recipe with the one that is traced for its sizes alone, and what decides how sums round with one that is not
    traced. (Two numbers that only happen to be equal are one in that, so that texts may differ.)"""
    ordinary = recipe.recipe

    def both(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int], made: Any) -> Any:
        shape = Shape.of(definition, layouts, aliased)
        kind = recipe._structures.get((shape.structure, made)) or recipe.Recipes(shape.structure, made)
        recipe._structures[shape.structure, made] = kind
        known = kind.written.at(shape.numbers) is not None
        found = kind.of(shape, aliased)
        assert not kind.written.untraced, f"{definition.name}: {kind.written.untraced}"
        alone = kind.trace(shape, aliased).made(shape.numbers)
        assert json.dumps(recipe._plain(found)) == json.dumps(alone), f"{definition}\n{shape.numbers}"
        plain = recipe._fresh(definition, layouts, aliased, made)
        assert json.dumps(found.trees) == json.dumps(plain.trees), f"{definition}\n{shape.numbers}"
        assert [(p.units, p.grain, p.cost, p.product) for p in found.parts] == [
            (p.units, p.grain, p.cost, p.product) for p in plain.parts]  # fmt: skip
        seen["formula" if known else "written"] += 1
        return ordinary(definition, layouts, aliased, made)

    monkeypatch.setattr(kernel, "recipe", both)


def test_a_formula_gives_what_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """In op tests, whose samples have many sizes and layouts."""
    from ingot.dispatch import forget_plans
    from ingot_tools.conformance.harness.subject import Refused, opened
    from ingot_tools.conformance.harness.suite import BY_NAME
    from ingot_tools.conformance.records import RECORDS as ALL

    seen: Counter[str] = Counter()
    Expr._interned.clear()  # which it does when it is full: texts would differ then in what is written once
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path))
    checked(seen, monkeypatch)
    chosen = random.Random(os.environ.get("INGOT_TEST_SEED", "0")).sample(sorted(ALL), RECORDS)
    subject = opened("cpu:0")
    forget_plans()
    for name in chosen:
        for check in ("value", "padded", "overlapping", "edges", "gradient", "second_order"):
            for case in [*BY_NAME[check].cases(ALL[name])][:2]:
                try:
                    BY_NAME[check].run(subject, ALL[name], case)
                except Refused:
                    continue
    assert seen["written"] > 50 and seen["formula"] > 20, seen


SIZES = (17, 23, 40, 57, 63, 100, 129, 250, 999, 1000, 1001, 4097)
FEW: dict[str, Callable[[int], tuple[tuple[int, ...], ...]]] = {
    "add": lambda n: ((n, 5), (n, 5)), "exp": lambda n: ((n, n + 1),), "softmax": lambda n: ((n, 37),),
    "sum": lambda n: ((n, 11),), "mean": lambda n: ((n, 11),), "amax": lambda n: ((48, n),), "cumsum": lambda n: ((3, n),),
    "matmul": lambda n: ((n, 70), (70, 90)), "cat": lambda n: ((n, 3), (n + 5, 3), (2 * n, 3)),
    "where": lambda n: ((n,), (n,), (n,)), "flip": lambda n: ((n, 7),),
}  # fmt: skip
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "softmax": {"axis": -1}, "sum": {"axes": (-2,), "keepdim": False}, "mean": {"axes": (-2,), "keepdim": False},
    "amax": {"axes": (-1,), "keepdim": False}, "cat": {"axis": -2}, "cumsum": {"axis": -1}, "flip": {"axes": (-2,)},
}  # fmt: skip


@pytest.mark.parametrize("name", FEW)
def test_formulas_are_few(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A kernel is written for some ranges of sizes, not for each size."""
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path))
    op, device, structures = OPS[name], open_device("cpu"), dict[str, recipe.Recipes]()
    for n in SIZES:
        shapes = FEW[name](n)
        kinds = [dt.bool_ if name == "where" and not k else dt.float32 for k in range(len(shapes))]
        specs = [Spec.of(s, d) for s, d in zip(shapes, kinds, strict=True)]
        attrs = op.bind(ATTRIBUTES.get(name, {}))
        outputs = op.infer(specs, attrs)
        for definition in op.definitions(specs, attrs, outputs):
            layouts = {o.number: Layout.dense(o.shape, o.dtype, device) for o in definition.operands}
            shape = Shape.of(definition, layouts, frozenset())
            made = kernel.runtime().jit
            structures.setdefault(shape.structure, recipe.Recipes(shape.structure, made)).of(shape, frozenset())
    conditions = [formula.source[0] for kind in structures.values() for formula, _ in kind.written.found]
    assert len(conditions) <= 6, conditions


def test_formulas_are_kept_on_disk(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path))
    made, device = kernel.runtime().jit, open_device("cpu")

    def shape(n: int) -> Shape:
        specs = [Spec.of((n, 37), dt.float32)]
        attrs = OPS["softmax"].bind({"axis": -1})
        (definition,) = OPS["softmax"].definitions(specs, attrs, OPS["softmax"].infer(specs, attrs))
        layouts = {o.number: Layout.dense(o.shape, o.dtype, device) for o in definition.operands}
        return Shape.of(definition, layouts, frozenset())

    first = shape(100)
    found = recipe.Recipes(first.structure, made).of(first, frozenset())
    again = recipe.Recipes(first.structure, made)
    assert len(again.written.found) == 1 and again.written.at(shape(120).numbers)
    assert again.of(first, frozenset()) == found
