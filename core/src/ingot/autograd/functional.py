"""``torch.autograd.functional``: derivatives of a function at some inputs, by `ingot.func`, under the older names.

``inputs`` is a tensor, or a tuple of the function's arguments; results have its form, and that of the outputs. Without
``create_graph`` they have no history. ``strict``: RuntimeError where an output does not depend on the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import func as _func
from ..base import TensorBase
from ..func.tree import flatten

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
Function = Callable[..., Any]


def _arguments(inputs: Any) -> tuple[Any, ...]:
    return (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)


def _strictly(func: Function, strict: bool) -> Function:
    """``func``, which must depend on its arguments where that is asked for."""

    def run(*args: Any) -> Any:
        made = func(*args)
        if strict and any(v._edge is None for v in flatten(made)[0]):
            raise RuntimeError("an output of the function does not depend on its inputs, and strict=True asks for that")
        return made

    return run


def _given(made: Any, inputs: Any, create_graph: bool) -> Any:
    """What belongs to each input, alone where that is one tensor."""
    return _history(made[0] if isinstance(inputs, TensorBase) else made, create_graph)


def _history(made: Any, keep: bool) -> Any:
    values, again = flatten(made)
    return made if keep else again([v.detach() for v in values])


def _vector(v: Any, like: Any, what: str, where: str) -> tuple[Any, ...]:
    """``v`` as a tuple; 1 for a single number where none is given."""
    if v is not None:
        return _arguments(v)
    if len(like) != 1 or like[0].numel() != 1:
        raise RuntimeError(f"{where}: the vector v can only be None if the {what} is a single number")
    return (like[0].new_ones(like[0].shape),)


def jacobian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian matrix: for an output of shape S and an input of shape T a tensor of shape (*S, *T), nested as outputs and
    within these as inputs. ``strategy``: "reverse-mode" or "forward-mode"; all rows are made at once, ``vectorize`` or not."""
    args = _arguments(inputs)
    if strategy not in ("reverse-mode", "forward-mode"):
        raise RuntimeError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', not {strategy!r}")
    by = _func.jacrev if strategy == "reverse-mode" else _func.jacfwd
    made = by(_strictly(func, strict), tuple(range(len(args))))(*args)
    alone = not isinstance(made, tuple) or not isinstance(made[0], tuple)  # one output: a tuple over the inputs
    return _given(made, inputs, create_graph) if alone else tuple(_given(m, inputs, create_graph) for m in made)


def hessian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a function whose result is one number, nested twice as ``inputs``."""
    args = _arguments(inputs)
    numbers = tuple(range(len(args)))
    outer = _func.jacrev if outer_jacobian_strategy == "reverse-mode" else _func.jacfwd
    made = outer(_func.jacrev(_strictly(_scalar(func, "hessian"), strict), numbers), numbers)(*args)
    return _given(tuple(_given(row, inputs, create_graph) for row in made), inputs, create_graph)


def _scalar(func: Function, where: str) -> Function:
    def run(*args: Any) -> Any:
        made = func(*args)
        if not isinstance(made, TensorBase) or made.numel() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {where} should contain a single element")
        return made.reshape(())

    return run


def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(outputs, vᵀ·J), for a vector ``v`` in the form of the outputs."""
    made, pull = _func.vjp(_strictly(func, strict), *_arguments(inputs))
    vector = _vector(v, _arguments(made), "output", "vjp")
    return _history(made, create_graph), _given(pull(*vector), inputs, create_graph)


def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(outputs, J·v), for a vector ``v`` in the form of the inputs."""
    args = _arguments(inputs)
    made, slope = _func.jvp(_strictly(func, strict), args, _vector(v, args, "input", "jvp"))
    return _history(made, create_graph), _history(slope, create_graph)


def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(the output, vᵀ·H) of a function whose result is one number, for ``v`` in the form of the inputs."""
    args = _arguments(inputs)
    value = _strictly(_scalar(func, "vhp"), strict)
    _, pull, made = _func.vjp(_func.grad_and_value(value, tuple(range(len(args)))), *args, has_aux=True)
    return _history(made, create_graph), _given(pull(*_vector(v, args, "input", "vhp")), inputs, create_graph)


def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(the output, H·v) of a function whose result is one number, for ``v`` in the form of the inputs."""
    args = _arguments(inputs)
    value = _strictly(_scalar(func, "hvp"), strict)
    both = _func.grad_and_value(value, tuple(range(len(args))))
    _, slope, made = _func.jvp(both, args, _vector(v, args, "input", "hvp"), has_aux=True)
    return _history(made, create_graph), _given(slope, inputs, create_graph)
