"""Matrices of derivatives: products with all unit vectors at once, by lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from math import prod
from typing import Any

from ..base import TensorBase
from ..ops.creation import eye
from .batching import vmap
from .gradients import Argnums, chosen, jvp, replaced, vjp
from .tree import Rebuild, flatten


def _basis(values: Sequence[Any]) -> list[Any]:
    """For each value, all unit vectors of all values together: (elements of all, its shape)."""
    sizes = [prod(v._layout.shape) for v in values]
    made, start = [], 0
    for v, n in zip(values, sizes, strict=True):
        unit = eye(sum(sizes), dtype=v.dtype, device=v.device)[:, start : start + n]
        made.append(unit.reshape(sum(sizes), *v._layout.shape))
        start += n
    return made


def _of_leaves(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums, where: str
) -> tuple[Callable[..., Any], list[Any], Rebuild]:
    """``func`` as a function of the tensors within the chosen arguments; these; and what makes such arguments of others."""
    places, wanted = chosen(args, argnums, where)
    inputs, form = flatten(wanted)

    def run(*values: Any) -> Any:
        return func(*replaced(args, places, form(list(values)), argnums), **kwargs)

    return run, inputs, form


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """A function that gives the Jacobian matrix of ``func``, row by row backwards: for fewer outputs than inputs.

    For an output of shape S and an argument of shape T a tensor of shape (*S, *T), in the form of the output, within which that
    of the argument. ``chunk_size``: no more rows at once than this. ``has_aux``: `grad`'s.
    """

    @wraps(func)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        run, inputs, form = _of_leaves(func, args, kwargs, argnums, "jacrev")
        made, pullback, *aux = vjp(run, *inputs, has_aux=has_aux)
        results, again = flatten(made)
        found = vmap(lambda *rows: pullback(again(list(rows))), chunk_size=chunk_size)(*_basis(results))
        by_result, start = [], 0
        for r in results:
            shape, n = r._layout.shape, prod(r._layout.shape)
            rows = [g[start : start + n].reshape(*shape, *x._layout.shape) for g, x in zip(found, inputs, strict=True)]
            by_result.append(form(rows))
            start += n
        return (again(by_result), aux[0]) if has_aux else again(by_result)

    return matrix


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """A function that gives the Jacobian matrix of ``func``, column by column forwards: for fewer inputs than outputs.

    The result is `jacrev`'s. ``randomness``: `vmap`'s.
    """

    @wraps(func)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        run, inputs, form = _of_leaves(func, args, kwargs, argnums, "jacfwd")
        def column(*tangents: Any) -> tuple[list[Any], list[Any]]:
            made, slope, *more = jvp(run, tuple(inputs), tangents, has_aux=has_aux)
            outputs, aux = flatten(made), flatten(more)
            forms[:] = [([r._layout.shape for r in outputs[0]], outputs[1]), aux]
            return flatten(slope)[0], [v for v in aux[0] if isinstance(v, TensorBase)]

        forms: list[Any] = []
        found, extra = vmap(column, out_dims=(-1, 0), randomness=randomness)(*_basis(inputs))
        (shapes, again), (values, aux_form) = forms
        by_result = []
        for shape, columns in zip(shapes, found, strict=True):
            start, parts = 0, []
            for x in inputs:
                n = prod(x._layout.shape)
                parts.append(columns[..., start : start + n].reshape(*shape, *x._layout.shape))
                start += n
            by_result.append(form(parts))
        made = again(by_result)
        if not has_aux:
            return made
        lanes = iter(extra)  # the same in all
        return made, aux_form([next(lanes)[0] if isinstance(v, TensorBase) else v for v in values])[0]

    return matrix


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that gives the second derivatives of ``func``: `jacfwd` of `jacrev`."""
    return jacfwd(jacrev(func, argnums), argnums)
