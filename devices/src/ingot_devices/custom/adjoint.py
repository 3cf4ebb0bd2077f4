"""The gradient of an expression kernel, as another expression kernel: reverse mode over its stages.

A form computes, for each row, stage after stage and then its results. Its gradient for one operand goes back: the
adjoint of a stage is the sum, over the row, of what every later value owes to it (Griewank & Walther, *Evaluating
Derivatives*, ch. 3, with a reduction as one elementary function). The answer is a form over the same operands and
the results' gradients, so a gradient has a gradient, to any order.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dtypes import DType
from ..ir.derive import derivative
from ..ir.expr import Expr, const, substitute, walk, where
from .form import Form, Result, Stage, stage


class NoDerivative(Exception):
    """The text says through what no derivative is known."""


def adjoint(form: Form, leaf: Expr, grads: Sequence[Expr]) -> Form | None:
    """The gradient of ``form`` for the operand ``leaf``; ``grads`` are the leaves of its results' gradients.

    None where nothing depends on the operand.
    """
    walked = _Adjoint(form, grads, leaf.dtype)
    total = walked.towards(leaf)
    return None if total is None else _pruned(Form(tuple(walked.stages), (Result(total),)))


class _Adjoint:
    """``owed[k]`` is the adjoint of stage k, of each row."""

    def __init__(self, form: Form, grads: Sequence[Expr], dtype: DType) -> None:
        self.form, self.grads, self.dtype = form, grads, dtype
        self.stages: list[Stage] = list(form.stages)
        self.owed: dict[int, Expr] = {}
        self.slopes: dict[int, Expr] = {}
        for k in reversed(range(len(form.stages))):
            self._stage(k)

    def _stage(self, k: int) -> None:
        leaf = stage(k, self.form.stages[k].value.dtype)
        if leaf.dtype.kind != "f":
            return
        whole = self._results(leaf, dropped=True)
        points = _plus(self._results(leaf, dropped=False), self._through_stages(leaf, k + 1))
        if points is not None:
            self.stages.append(Stage("sum", self.form.stages[k].axes, points))
            whole = _plus(whole, stage(len(self.stages) - 1, points.dtype))
        if whole is not None:
            self.owed[k] = whole

    def towards(self, leaf: Expr) -> Expr | None:
        """What results and stages owe to an operand."""
        return _plus(_plus(self._results(leaf, False), self._results(leaf, True)), self._through_stages(leaf, 0))

    def _results(self, leaf: Expr, dropped: bool) -> Expr | None:
        total: Expr | None = None
        for result, g in zip(self.form.results, self.grads, strict=True):
            if bool(result.dropped) is dropped and result.value.dtype.kind == "f":
                slope = _derivative(result.value, leaf)
                total = _plus(total, None if slope is None else _times(g, slope))
        return total

    def _through_stages(self, leaf: Expr, first: int) -> Expr | None:
        total: Expr | None = None
        for m in range(first, len(self.form.stages)):
            if m in self.owed:
                slope = _derivative(self.form.stages[m].value, leaf)
                if slope is not None:
                    total = _plus(total, _times(_times(self.owed[m], self._slope(m)), slope))
        return total

    def _slope(self, m: int) -> Expr:
        if m not in self.slopes:
            self.slopes[m] = self._new_slope(m)
        return self.slopes[m]

    def _new_slope(self, m: int) -> Expr:
        """d stage m / d its value at this point."""
        made = self.form.stages[m]
        one = const(1, made.value.dtype)
        if made.monoid == "sum":
            return one
        if made.monoid in ("max", "min"):  # elements that are equally large share, as PyTorch's amax does
            hit = where(made.value.eq(stage(m, made.value.dtype)), one, const(0, one.dtype))
            self.stages.append(Stage("sum", made.axes, hit))
            return hit / stage(len(self.stages) - 1, one.dtype)
        raise NoDerivative(f"a derivative through {made.monoid}() is not derived")


def _derivative(root: Expr, leaf: Expr) -> Expr | None:
    try:
        return derivative(root, leaf)
    except KeyError as missing:
        raise NoDerivative(f"no derivative of {missing.args[0]!r} is known") from None


def _plus(a: Expr | None, b: Expr | None) -> Expr | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _times(a: Expr, b: Expr) -> Expr:
    for one, other in ((a, b), (b, a)):
        if one.op == "const" and one.value == 1:
            return other
    return a * b


def _pruned(form: Form) -> Form:
    """The form without stages that nothing reads or that another equals, renumbered."""
    needed: set[int] = set()
    stack = [r.value for r in form.results]
    while stack:
        for node in walk(stack.pop()):
            if node.op == "stage" and node.value[0] not in needed:
                needed.add(node.value[0])
                stack.append(form.stages[node.value[0]].value)
    numbers: dict[int, int] = {}

    def rename(root: Expr) -> Expr:
        return substitute(root, lambda n: stage(numbers[n.value[0]], n.dtype) if n.op == "stage" else None)

    stages: dict[Stage, int] = {}
    for k in sorted(needed):
        s = form.stages[k]
        numbers[k] = stages.setdefault(Stage(s.monoid, s.axes, rename(s.value)), len(stages))
    return Form(tuple(stages), tuple(Result(rename(r.value), r.dropped, r.keepdim) for r in form.results))
