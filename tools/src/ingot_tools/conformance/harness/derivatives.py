"""First and second derivatives of the op against numeric ones of the reference, on every device in
the same way.

The reference is in float64 and shares no code with the op's gradient rule, so a device without
float64 is judged by the same numbers with a wider tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..records.record import Record, Sample
from .checks import describe, float_results, ordinary, samples_of
from .compare import rules
from .data import arrays_of, evaluate, numpy_dtype, wide
from .layouts import dense, padded
from .numeric import jvp, second, vjp
from .subject import Subject

TOLERANCE = {"float64": 1e-7, "float32": 3e-5}
SECOND_TOLERANCE = {"float64": 1e-5, "float32": 1e-3}
MAX_ELEMENTS = 64


class Case:
    """One differentiable call: leaves, lying as ``put`` has it, results with a gradient, and the same function of arrays."""

    def __init__(self, subject: Subject, record: Record, sample: Sample, dtype: str, put: Any = dense) -> None:
        self.record, self.sample, self.dtype, self.subject = record, sample, dtype, subject
        self.arrays = [wide(a) for a in arrays_of(record, sample, dtype)]
        self.wanted = [k for k, o in enumerate(sample.operands()) if o.dtype is None and o.grad]
        self.put = dense if record.dense_only else put
        self.tensors = [self.put(subject, a, k) for k, a in enumerate(arrays_of(record, sample, dtype))]
        self.leaves = [self.tensors[k].requires_grad_() for k in self.wanted]
        results = subject.call(record, sample, self.tensors, dtype)
        self.kept = float_results(record, len(results), dtype)
        self.outputs = [results[k] for k in self.kept]
        self.cotangents = [pattern(tuple(o.shape), 0.7) for o in self.outputs]
        self.tangents = [pattern(self.arrays[k].shape, 1.3) for k in self.wanted]

    def function(self, arrays: Any) -> list[Any]:
        """The reference's results that carry a gradient."""
        results = evaluate(self.record, self.sample, arrays)
        return [results[k] for k in self.kept]

    def constants(self, arrays: list[Any]) -> list[Any]:
        """Arrays of the dtype under test, which lie further apart than the operands do."""
        kind = numpy_dtype(self.dtype)
        return [self.put(self.subject, a.astype(kind), len(self.tensors) + k) for k, a in enumerate(arrays)]

    def compare(self, got: Any, expected: list[Any], tolerance: float, what: str) -> None:
        """Gradients (None counts as zero) against numbers, relative to the largest of them."""
        for k, (mine, wanted) in enumerate(zip(got, expected, strict=True)):
            label = f"{what} of {self.record.name}{describe(self.sample)} {self.dtype}, operand {k}"
            value = np.zeros(wanted.shape) if mine is None else self.subject.read(mine)
            assert value.shape == wanted.shape, f"{label}: shape {value.shape}, not {wanted.shape}"
            if mine is not None:
                assert self.subject.name(mine) == self.dtype, f"{label}: dtype {mine.dtype}"
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
            np.testing.assert_allclose(value, wanted, rtol=0, atol=tolerance * scale, err_msg=label)


def pattern(shape: tuple[int, ...], phase: float) -> Any:
    """Fixed weights of mixed sign: cotangents and directions."""
    return np.sin(phase + 1.7 * np.arange(int(np.prod(shape)))).reshape(shape)


def differentiable(subject: Subject, record: Record, dtype: str) -> list[Sample]:
    """Samples small enough for numeric derivatives (empty ones are checked for their shapes)."""

    def small(s: Sample) -> bool:
        return not s.big and sum(int(np.prod(o.shape)) for o in s.operands()) <= MAX_ELEMENTS

    return [
        s for s in samples_of(subject, record, dtype, small) if any(o.dtype is None and o.grad for o in s.operands())
    ]


def grads(subject: Subject, outputs: list[Any], inputs: list[Any], seeds: list[Any], **how: Any) -> Any:
    """``autograd.grad``; outputs that depend on no input count as constants, and give None."""
    kept = [(o, s) for o, s in zip(outputs, seeds, strict=True) if o is not None and o.requires_grad]
    if not kept:
        return [None] * len(inputs)
    outputs, seeds = [o for o, _ in kept], [s for _, s in kept]
    return subject.t.autograd.grad(outputs, inputs, seeds, allow_unused=True, **how)


def gradient(subject: Subject, record: Record, dtype: str) -> None:
    """Vector-Jacobian products of every small sample."""
    for sample in differentiable(subject, record, dtype):
        case = Case(subject, record, sample, dtype)
        got = grads(subject, case.outputs, case.leaves, case.constants(case.cotangents))
        expected = vjp(case.function, case.arrays, case.wanted, case.cotangents)
        case.compare(got, expected, TOLERANCE[dtype], "gradient")


def second_order(subject: Subject, record: Record, dtype: str) -> None:
    """Products with the derivative of the gradient, by the operands and by the incoming
    gradient. Rows of all of them lie apart, each by another distance: `gradient` has them dense."""
    for sample in filter(ordinary, differentiable(subject, record, dtype)):
        case = Case(subject, record, sample, dtype, padded)
        seeds = [c.requires_grad_() for c in case.constants(case.cotangents)]
        first = grads(subject, case.outputs, case.leaves, seeds, create_graph=True)
        got = grads(subject, first, [*case.leaves, *seeds], case.constants(case.tangents))
        by_operand = second(case.function, case.arrays, case.wanted, case.cotangents, case.tangents)
        by_seed = jvp(case.function, case.arrays, case.wanted, case.tangents)
        case.compare(got, [*by_operand, *by_seed], SECOND_TOLERANCE[dtype], "second order")


__all__ = ["gradient", "rules", "second_order"]
