"""64-bit integers as pairs of words: each operation against Python's integers, and whole programs without a wide type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported
from ingot_devices.ir import words
from ingot_devices.ir.evaluate import evaluate
from ingot_devices.ir.expr import Expr, walk
from ingot_devices.ir.program import For, If, Program, Statement
from ingot_devices.ir.words import Pair
from ingot_devices.limits import WEBGPU, Limits, emulated
from null_device import NullDevice, compiled, defined, dense, shaped

EDGES = [0, 1, 2, 31, 32, 63, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (1 << 53) + 1, (1 << 62) - 1,
         1 << 62, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1]  # fmt: skip
NUMBERS = st.one_of(st.sampled_from(EDGES), st.integers(0, (1 << 64) - 1))
A = Pair(Expr.of("var", (), dt.uint32, "al"), Expr.of("var", (), dt.uint32, "ah"))
B = Pair(Expr.of("var", (), dt.uint32, "bl"), Expr.of("var", (), dt.uint32, "bh"))


def same(x: Expr) -> Expr:
    """Keeps nothing: expressions are evaluated as they are."""
    return x


def signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x


def value(root: Expr, a: int, b: int) -> Any:
    leaves = {A.low: a & 0xFFFFFFFF, A.high: a >> 32, B.low: b & 0xFFFFFFFF, B.high: b >> 32}
    with np.errstate(all="ignore"):
        return evaluate(root, {k: np.uint32(v) for k, v in leaves.items()})


def number(pair: Pair, a: int, b: int = 0) -> int:
    return int(value(pair.low, a, b)) | int(value(pair.high, a, b)) << 32


def shifted(op: str, is_signed: bool) -> Callable[[int, int], int]:
    def right(a: int, b: int) -> int:
        return (signed(a) if is_signed else a) >> min(b, 64)

    return right if op == "shr" else lambda a, b: a << b if b < 64 else 0


OPERATIONS: dict[str, tuple[Pair, Callable[[int, int], int]]] = {
    "add": (words.add(A, B, same), lambda a, b: a + b),
    "subtract": (words.subtract(A, B, same), lambda a, b: a - b),
    "negate": (words.negate(A, same), lambda a, b: -a),
    "multiply": (words.multiply(A, B, same), lambda a, b: a * b),
    "high of unsigned": (words.multiply_high(A, B, False, same), lambda a, b: a * b >> 64),
    "high of signed": (words.multiply_high(A, B, True, same), lambda a, b: signed(a) * signed(b) >> 64),
    "magnitude": (words.magnitude_of(A, same), lambda a, b: abs(signed(a))),
    "xor": (words.bitwise("xor", A, B, same), lambda a, b: a ^ b),
    "shl": (words.shift("shl", A, B, True, same), shifted("shl", True)),
    "shr of signed": (words.shift("shr", A, B, True, same), shifted("shr", True)),
    "shr of unsigned": (words.shift("shr", A, B, False, same), shifted("shr", False)),
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(a=NUMBERS, b=NUMBERS)
def test_an_operation_is_python_s_modulo_two_to_the_64(name: str, a: int, b: int) -> None:
    pair, expected = OPERATIONS[name]
    assert number(pair, a, b) == expected(a, b) % (1 << 64)


@given(a=NUMBERS, b=NUMBERS)
def test_comparisons(a: int, b: int) -> None:
    assert bool(value(words.less(A, B, False, same), a, b)) == (a < b)
    assert bool(value(words.less(A, B, True, same), a, b)) == (signed(a) < signed(b))
    assert bool(value(words.equal(A, B, same), a, b)) == (a == b)


@pytest.mark.parametrize("by", range(66))
def test_shifts_by_every_amount(by: int) -> None:
    for a in EDGES:
        for name in ("shl", "shr of signed", "shr of unsigned"):
            pair, expected = OPERATIONS[name]
            assert number(pair, a, by) == expected(a, by) % (1 << 64), (name, a)


@given(NUMBERS)
def test_to_float_rounds_once(a: int) -> None:
    assert value(words.to_float(A, False, same), a, 0) == np.uint64(a).astype(np.float32)
    assert value(words.to_float(A, True, same), a, 0) == np.int64(signed(a)).astype(np.float32)


@pytest.mark.parametrize("scale", range(24, 64))
def test_ties_go_to_even(scale: int) -> None:
    one, half = 1 << scale, 1 << (scale - 24)
    for a in (one + half, one + 3 * half, one + half + (half > 1), one + half - (half > 1), 2 * one - half):
        assert value(words.to_float(A, False, same), a, 0) == np.uint64(a).astype(np.float32), a


@given(st.floats(width=32))
def test_from_float_cuts_towards_zero(x: float) -> None:
    leaf = Expr.of("var", (), dt.float32, "x")
    for is_signed in (True, False):
        pair = words.from_float(leaf, is_signed, same)
        with np.errstate(all="ignore"):
            low, high = (int(evaluate(w, {leaf: np.float32(x)})) for w in pair)
        fits = abs(x) < 2.0 ** (63 if is_signed else 64)
        assert low | high << 32 == (int(x) % (1 << 64) if fits else 1 << 63)


# ---- programs ----------------------------------------------------------------------------------------------------------
def expressions(body: tuple[Statement, ...]) -> list[Expr]:
    """Every expression of the statements."""
    found: list[Expr] = []
    for s in body:
        found += [x for name in s.__dataclass_fields__ if isinstance(x := getattr(s, name), Expr)]
        if isinstance(s, For):
            found += expressions(s.body)
        elif isinstance(s, If):
            found += expressions(s.body) + expressions(s.orelse)
    return found


def types(program: Program) -> set[Any]:
    """The dtype of every value and memory in it."""
    declared = {b.dtype for b in program.buffers} | {s.dtype for s in program.scalars} | {m.dtype for m in program.locals}
    return declared | {n.dtype for n in walk(*expressions(program.body))}


CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "pointwise": ("floor_divide", [shaped(9, dtype=dt.int64), shaped(9, dtype=dt.int64)], {}),
    "row sum": ("sum", [shaped(4, 300, dtype=dt.int64)], {"axes": (-1,)}),
    "two phases": ("sum", [shaped(1 << 20, dtype=dt.int64)], {}),
    "tiles": ("matmul", [shaped(70, 33, dtype=dt.int64), shaped(33, 65, dtype=dt.int64)], {}),
    "scan": ("cumsum", [shaped(8, 100, dtype=dt.int64)], {"axis": -1}),
    "labels": ("gather", [shaped(5, 4), shaped(5, 4, dtype=dt.int64)], {"axis": -1}),
    "bools": ("sum", [shaped(4, 300, dtype=dt.bool_)], {"axes": (-1,)}),
}


@pytest.mark.parametrize("name", CASES)
def test_no_wide_value_is_left(name: str) -> None:
    op, specs, attrs = CASES[name]
    device = NullDevice(WEBGPU)
    for d in defined(op, specs, **attrs):
        for launch in device.codegen.plan(d, dense(d, device), device).launches:
            assert types(launch.program) <= {dt.bool_, dt.int32, dt.uint32, dt.float32, dt.index}
            assert [s.scalar for s in launch.slots] == list(launch.program.scalars)


def test_a_number_travels_as_its_two_words() -> None:
    from ingot_devices.opset.op import NUMBER, Spec

    device = NullDevice(WEBGPU)
    (kernel,) = compiled(device, "add", [shaped(3, dtype=dt.int64), Spec((), dt.int64, NUMBER)])
    kernel.call((device.allocate(256), 0), -2, (device.allocate(256), 0))
    *_, arguments = device.launches[-1]
    assert (-2 % (1 << 64)).to_bytes(8, "little") in arguments.scalars


def test_what_is_not_emulated_says_so() -> None:
    with pytest.raises(Unsupported, match="float64 cannot be emulated; int64, uint64 can"):
        compiled(NullDevice(Limits(dtypes={dt.float64: emulated(dt.float64)})), "add", [shaped(3), shaped(3)])
    wide = NullDevice(Limits(dtypes={dt.int64: emulated(dt.int64)}))
    with pytest.raises(Unsupported, match="int64 to float64 is not emulated"):
        compiled(wide, "cast", [shaped(3, dtype=dt.int64)], dtype=dt.float64)
