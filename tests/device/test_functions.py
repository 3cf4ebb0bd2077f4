"""Functions that are made of ops, from the rows of `functions_table`: values, gradients, operands that lie otherwise, compiled
calls, methods and in-place forms. `tests/parity` runs the same on PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import functions_shapes
import functions_table
import numpy as np
import pytest
from functions_table import Given, Row, flat
from harness.behaviour import needs, ours_only
from ingot.compiler import CompileWarning

ROWS = [*functions_table.ROWS, *functions_shapes.ROWS]
ALLOWED = ("read on the host", "computes nothing")
Make = Callable[[Any], Any]


def filled(item: Any, make: Make) -> Any:
    """Arguments with each operand made."""
    if isinstance(item, Given):
        return make(item)
    if isinstance(item, tuple | list):
        return type(item)(filled(x, make) for x in item)
    return item


def arguments(row: Row, make: Make) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return filled(row.args, make), {k: filled(v, make) for k, v in row.kwargs.items()}


def function_of(t: Any, row: Row) -> Any:
    found = t
    for name in row.name.split("."):
        found = getattr(found, name)
    return found


def on(t: Any, device: str, dtype: str, lie: Callable[[Any], Any] = lambda x: x) -> Make:
    """Makes operands: floats in ``dtype``, all of them lying as ``lie`` has it."""

    def make(given: Given) -> Any:
        kind = getattr(t, dtype) if given.is_float else None
        return lie(t.tensor(given.values, dtype=kind, device=device))

    return make


def operands(row: Row) -> list[Given]:
    return [a for a in flat([row.args, list(row.kwargs.values())]) if isinstance(a, Given)]


def placed(row: Row, device: str) -> dict[str, Any]:
    """``device=`` for what has no operand."""
    return {} if operands(row) else {"device": device}


def listed(results: Any) -> list[Any]:
    return list(results) if isinstance(results, tuple | list) else [results]


def expected(row: Row) -> list[Any]:
    args, kwargs = arguments(row, lambda given: given.values)
    with np.errstate(all="ignore"):
        return [np.asarray(x) for x in listed(row.reference(*args, **kwargs))]


def judged(results: Any, row: Row, dtype: str) -> None:
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    made, wanted = listed(results), expected(row)
    wanted = wanted[: len(made)]
    assert len(made) == len(wanted)
    for one, answer in zip(made, wanted, strict=True):
        assert tuple(one.shape) == answer.shape
        np.testing.assert_allclose(one.detach().cpu().numpy(), answer, rtol=tolerance, atol=tolerance)


EACH = pytest.mark.parametrize("row", ROWS, ids=str)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value(t: Any, device: str, row: Row, dtype: str) -> None:
    needs(t, device, dtype)
    args, kwargs = arguments(row, on(t, device, dtype))
    judged(function_of(t, row)(*args, **kwargs, **placed(row, device)), row, dtype if operands(row) else "float32")


def stepped(x: Any) -> Any:
    """The same values, every second element of memory."""
    return x if not x.ndim else x.repeat_interleave(2, -1)[..., ::2]


def transposed(x: Any) -> Any:
    return x if x.ndim < 2 else x.transpose(0, -1).contiguous().transpose(0, -1)


LAID = [r for r in ROWS if any(a.values.ndim for a in operands(r))]


@pytest.mark.parametrize("row", LAID, ids=str)
@pytest.mark.parametrize("lie", [stepped, transposed])
def test_operands_that_lie_otherwise(t: Any, device: str, row: Row, lie: Any) -> None:
    args, kwargs = arguments(row, on(t, device, "float32", lie))
    judged(function_of(t, row)(*args, **kwargs), row, "float32")


SMOOTH = [r for r in ROWS if r.grad and all(np.isfinite(a.values).all() for a in operands(r))]


@pytest.mark.parametrize("row", SMOOTH, ids=str)
@pytest.mark.parametrize("order", ["first", "second"])
def test_gradient(t: Any, device: str, row: Row, order: str) -> None:
    needs(t, device, "float64")
    make = on(t, device, "float64")
    leaves = [make(g).requires_grad_() for g in operands(row) if _varies(g)]
    fixed = 1 if row.name.endswith("quantile") else len(leaves)  # neither library differentiates by q

    def call(*given: Any) -> Any:
        each = iter((*given, *leaves[fixed:]))
        args, kwargs = arguments(row, lambda g: next(each) if _varies(g) else make(g))
        return tuple(x for x in listed(function_of(t, row)(*args, **kwargs)) if x.requires_grad)

    if leaves and any(x.numel() for x in call(*leaves[:fixed])):
        check = t.autograd.gradcheck if order == "first" else t.autograd.gradgradcheck
        assert check(call, tuple(leaves[:fixed]))
    else:
        assert not leaves or not any(e.size for e in expected(row))


def _varies(given: Given) -> bool:
    return given.is_float and given.values.size > 0


@EACH
def test_compiled(t: Any, device: str, row: Row) -> None:
    ours_only(t, "bit for bit, by replay")
    args, kwargs = arguments(row, on(t, device, "float32"))
    more = placed(row, device)
    function = function_of(t, row)
    compiled = t.compile(function)
    plain = listed(function(*args, **kwargs, **more))
    with warnings.catch_warnings(action="ignore", category=CompileWarning):
        for _ in range(3):
            made = listed(compiled(*args, **kwargs, **more))
    assert compiled.replays or any(words in compiled.eager for words in ALLOWED), compiled.eager
    for one, other in zip(made, plain, strict=True):
        np.testing.assert_array_equal(one.cpu().numpy(), other.cpu().numpy())


METHODS = [r for r in ROWS if r.args and isinstance(r.args[0], Given)]


@pytest.mark.parametrize("row", METHODS, ids=str)
def test_method(t: Any, device: str, row: Row) -> None:
    """Where Tensor has the name, its method is the function; where it has the name with a _, that writes the same over it."""
    if not hasattr(t.Tensor, row.name):
        assert "." in row.name or not hasattr(t.Tensor, f"{row.name}_")
        return
    args, kwargs = arguments(row, on(t, device, "float32"))
    judged(getattr(args[0], row.name)(*args[1:], **kwargs), row, "float32")
    if hasattr(t.Tensor, f"{row.name}_"):
        made = getattr(args[0], f"{row.name}_")(*args[1:], **kwargs)
        assert made is args[0]
        judged(made, row, "float32")
