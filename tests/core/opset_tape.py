"""A builder over NumPy arrays with a tape: what runs rows of the opset in tests, without a core or a device.

Definitions are evaluated by the host's code generator, views by strides, decompositions by their parts. Gradient rules
run through the same builder, so that a gradient can be differentiated again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.builder import Builder
from ingot_devices.codegen import Compiled
from ingot_devices.codegen.host import HostCodegen
from ingot_devices.layout import Layout
from ingot_devices.opset import Op, Spec
from ingot_devices.opset.op import number_spec, parameters

HOST = HostCodegen()


@dataclass(eq=False)
class Value:
    """An array and where it came from."""

    array: Any
    node: Node | None = None
    output: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        return int(self.array.ndim)

    @property
    def dtype(self) -> dt.DType:
        return dt.from_numpy(self.array.dtype)


@dataclass(eq=False)
class Node:
    """An op that was run."""

    op: Op
    operands: tuple[Any, ...]
    attrs: tuple[Any, ...]
    outputs: list[Value] = field(default_factory=list)


class Tape(Builder):
    """Runs ops at once and remembers them."""

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        operands = tuple(Value(o) if isinstance(o, np.ndarray) else o for o in operands)
        if op.decompose is not None and op.gradient is None:
            return self._by_parts(op, operands, attributes)
        arrays = self._run(op, operands, attributes)
        node = Node(op, operands, attributes)
        node.outputs = [Value(a, node if name in op.differentiable else None, k)
                        for k, (name, a) in enumerate(zip(op.outputs, arrays, strict=True))]
        return node.outputs[0] if len(node.outputs) == 1 else tuple(node.outputs)

    def _by_parts(self, op: Op, operands: Sequence[Any], attrs: tuple[Any, ...]) -> Any:
        """An op that is differentiated through its decomposition, which must agree with its definition."""
        made = self._decomposed(op, operands, attrs)
        if op.define is not None:
            parts = made if isinstance(made, tuple) else (made,)
            for part, whole in zip(parts, self._run(op, operands, attrs), strict=True):
                np.testing.assert_allclose(part.array, whole, rtol=1e-5, atol=1e-6, err_msg=op.name)
        return made

    def _run(self, op: Op, operands: Sequence[Any], attrs: tuple[Any, ...]) -> list[Any]:
        if op.view is not None:
            return [seen(op, operands[0].array, attrs)]
        specs = [spec_of(o) for o in operands]
        outputs = op.infer(specs, attrs)
        if op.define is None and op.expression is None:
            made = self._decomposed(op, operands, attrs)
            results = [v.array for v in (made if isinstance(made, tuple) else (made,))]
        else:
            results = evaluate(op, operands, specs, attrs, outputs)
        for spec, array in zip(outputs, results, strict=True):
            assert (array.shape, array.dtype) == (spec.shape, spec.dtype.numpy), (op, spec, array.shape, array.dtype)
        return results

    def _decomposed(self, op: Op, operands: Sequence[Any], attrs: tuple[Any, ...]) -> Any:
        assert op.decompose is not None
        return op.decompose(self, **_chosen(op.decompose, _named(op, operands, attrs)))


def spec_of(operand: Any) -> Spec | None:
    """The spec of an operand as dispatch would find it."""
    if operand is None:
        return None
    return Spec.of(operand.shape, operand.dtype) if isinstance(operand, Value) else number_spec(type(operand))


def seen(op: Op, array: Any, attrs: tuple[Any, ...]) -> Any:
    """The view of ``array``; a copy of it where the row says that there is none."""
    assert op.view is not None
    strides = tuple(s // array.itemsize for s in array.strides)
    made = op.view(tuple(array.shape), strides, **dict(zip(op.attributes, attrs, strict=True)))
    if made is None:
        return seen(op, np.ascontiguousarray(array), attrs)
    shape, strides, offset = made
    flat = np.lib.stride_tricks.as_strided(array, (span(array),), (array.itemsize,))
    flat = flat[offset:] if 0 not in shape else flat[:0]
    return np.lib.stride_tricks.as_strided(flat, shape, [s * array.itemsize for s in strides])


def span(array: Any) -> int:
    """Elements from the first to one past the last."""
    return (
        1 + sum((n - 1) * s // array.itemsize for n, s in zip(array.shape, array.strides, strict=True))
        if array.size
        else 0
    )


def evaluate(
    op: Op, operands: Sequence[Any], specs: Sequence[Any], attrs: tuple[Any, ...], outputs: Sequence[Spec]
) -> list[Any]:
    """The op's definitions, in order, into outputs filled with rubbish."""
    results = [np.full(s.shape, 77, s.dtype.numpy) for s in outputs]
    given = [o.array if isinstance(o, Value) else o for o in operands]
    for compiled in compiled_for(op, tuple(specs), attrs, tuple(outputs)):
        compiled.call(*given, *results)
    return results


@functools.cache
def compiled_for(
    op: Op, specs: tuple[Spec | None, ...], attrs: tuple[Any, ...], outputs: tuple[Spec, ...]
) -> list[Compiled]:
    """The op's definitions as NumPy kernels."""
    layouts = {
        n: Layout.dense(s.shape, s.dtype, None) for n, s in enumerate([*specs, *outputs]) if s is not None and s.rank
    }
    return [HOST.compile(definition, layouts, None) for definition in op.definitions(specs, attrs, outputs)]


def gradients(b: Tape, out: Value, g: Value, wanted: Sequence[Value]) -> list[Value | None]:
    """The gradients of ``out`` (with gradient ``g``) by the values ``wanted``, as values that can be differentiated."""
    found: dict[Value, Value] = {out: g}
    for node in reversed(_order(out)):
        given = [found.get(o) for o in node.outputs]
        if all(x is None for x in given):
            continue
        for operand, value in _operand_gradients(b, node, given):
            held = found.get(operand)
            found[operand] = value if held is None else b.add(held, value)
    return [found.get(w) for w in wanted]


def _order(out: Value) -> list[Node]:
    order: list[Node] = []
    marks: set[Node] = set()

    def visit(node: Node | None) -> None:
        if node is not None and node not in marks:
            marks.add(node)
            for o in node.operands:
                if isinstance(o, Value):
                    visit(o.node)
            order.append(node)

    visit(out.node)
    return order


def _operand_gradients(b: Tape, node: Node, given: list[Value | None]) -> list[tuple[Value, Value]]:
    op = node.op
    given = [Value(np.zeros_like(o.array)) if g is None else g for g, o in zip(given, node.outputs, strict=True)]
    known = _named(op, node.operands, node.attrs)
    known |= dict(zip(op.outputs, node.outputs, strict=True)) | {"g": given[0]}
    known |= {f"g_{name}": g for name, g in zip(op.outputs, given, strict=True)}
    made: list[tuple[Value, Value]] = []
    for name, rule in (op.gradient or {}).items():
        operand = known[name]
        values = operand if isinstance(operand, tuple) else (operand,)
        if not all(isinstance(v, Value) and v.dtype.kind == "f" for v in values):
            continue
        result = rule(b, **_chosen(rule, known))
        results = result if isinstance(operand, tuple) else (result,)
        made += [(v, fitted(b, r, v)) for v, r in zip(values, results, strict=True)]
    return made


def fitted(b: Tape, g: Value, like: Value) -> Value:
    """``g`` summed to the shape of ``like``, as the engine does."""
    lead = g.ndim - like.ndim
    axes = tuple(k - g.ndim for k in range(g.ndim) if k < lead or (like.shape[k - lead] == 1 and g.shape[k] != 1))
    if axes:
        g = b.view(b.sum(g, axes=axes), shape=like.shape)
    return g if g.dtype is like.dtype else b.cast(g, dtype=like.dtype)


def _named(op: Op, operands: Sequence[Any], attrs: tuple[Any, ...]) -> dict[str, Any]:
    named: dict[str, Any] = dict(zip(op.attributes, attrs, strict=True))
    fixed = len(op.names) - 1 if op.variadic else len(op.names)
    named |= dict(zip(op.names[:fixed], operands[:fixed], strict=True))
    if op.variadic:
        named[op.names[-1]] = tuple(operands[fixed:])
    for name in op.names:
        value = named[name]
        named[f"{name}_spec"] = tuple(map(spec_of, value)) if isinstance(value, tuple) else spec_of(value)
    return named


def _chosen(rule: Callable[..., Any], known: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in known.items() if k in parameters(rule)}


# ---- checks ----------------------------------------------------------------------------------------------------------
Case = Callable[..., Any]


def check_gradients(case: Case, *inputs: Any, order: int = 2, step: float = 1e-6, close: float = 1e-6) -> None:
    """Compare the gradients of ``case(b, *inputs)`` with finite differences in float64, up to ``order``."""
    b = Tape()
    rng = np.random.default_rng(3)
    values = [Value(np.array(x, dtype=np.float64)) for x in inputs]
    out = case(b, *values)
    g = Value(rng.uniform(0.5, 1.5, out.shape))
    found = gradients(b, out, g, values)

    def scalar(*arrays: Any) -> float:
        return float((case(b, *map(Value, arrays)).array * g.array).sum())

    for n, slope in enumerate(found):
        expected = differences(scalar, [v.array for v in values], n, step)
        np.testing.assert_allclose(
            0 if slope is None else slope.array, expected, rtol=close, atol=close, err_msg=f"operand {n}"
        )
    if order > 1:
        for n, slope in enumerate(found):
            if slope is not None and slope.node is not None:
                check_gradients(
                    _slope_case(case, g.array, n), *[v.array for v in values], g.array, order=order - 1, close=close
                )


def _slope_case(case: Case, g: Any, n: int) -> Case:
    def slope(b: Tape, *values: Value) -> Value:
        *operands, weight = values
        found = gradients(b, case(b, *operands), weight, operands)[n]
        assert found is not None
        return found

    return slope


def differences(scalar: Callable[..., float], arrays: list[Any], n: int, step: float) -> Any:
    """Central differences of ``scalar(*arrays)`` by each element of ``arrays[n]``."""
    slope = np.zeros(arrays[n].shape)
    for at in np.ndindex(*arrays[n].shape):
        sides = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[n][at] += sign * step
            sides.append(scalar(*moved))
        slope[at] = (sides[0] - sides[1]) / (2 * step)
    return slope
