"""``backward`` and ``grad`` as users call them: arguments checked and given their defaults, then the walk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..base import TensorBase
from . import engine
from .eager import builder


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    inputs: Any = None,
) -> None:  # fmt: skip
    """Accumulate gradients of ``tensors`` into the leaves behind them (only ``inputs``, where given)."""
    if isinstance(tensors, TensorBase) and grad_tensors is None:
        roots: Sequence[Any] = (tensors,)
        seeds = [_seed(tensors, None, 0, lend=inputs is None and not create_graph)]
    else:
        roots = _sequence(tensors)
        seeds = _seeds(roots, grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        engine.backward(roots, seeds, keep, create_graph)
        return
    targets = _sequence(inputs)
    for t, g in zip(targets, engine.gradients(roots, seeds, targets, keep, create_graph), strict=True):
        if g is not None:
            t.grad = g if t.grad is None else builder.add(t.grad, g)


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    allow_unused: bool | None = None, is_grads_batched: bool = False, materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of ``outputs`` by each of ``inputs``, as a tuple; ``.grad`` is left alone.

    ``allow_unused``: None for an input that does not matter, instead of an error. ``materialize_grads``: zeros instead.
    ``is_grads_batched``: ``grad_outputs`` have a first axis more, and so has each gradient (by `func.vmap`).
    """
    if is_grads_batched:
        return _batched(outputs, inputs, grad_outputs, create_graph, allow_unused, materialize_grads)
    roots, targets = _sequence(outputs), _sequence(inputs)
    for t in targets:
        if t._edge is None:
            raise RuntimeError("one of the differentiated Tensors does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    found = engine.gradients(roots, _seeds(roots, grad_outputs), targets, keep, create_graph)
    if not allow_unused and not materialize_grads and any(g is None for g in found):
        raise RuntimeError("one of the differentiated Tensors appears to not have been used in the graph; "
                           "set allow_unused=True if this is the desired behavior")
    if materialize_grads:
        found = [builder.zeros(t._layout) if g is None else g for t, g in zip(targets, found, strict=True)]
    return tuple(found)


def _batched(outputs: Any, inputs: Any, seeds: Any, create: bool, allow_unused: bool | None, zeros: bool) -> tuple[Any, ...]:
    """`grad` for each row of the gradients ``seeds``."""
    from ..func import vmap

    if seeds is None:
        raise RuntimeError("grad(): is_grads_batched needs grad_outputs, with a first axis more than the outputs")
    reached: list[bool] = []

    def rows(*given: Any) -> list[Any]:
        found = grad(outputs, inputs, given, True, create, allow_unused, materialize_grads=zeros)
        reached[:] = [g is not None for g in found]
        return [g for g in found if g is not None]

    made = iter(vmap(rows)(*_sequence(seeds)))
    return tuple(next(made) if r else None for r in reached)


def _sequence(value: Any) -> Sequence[Any]:
    return (value,) if isinstance(value, TensorBase) else tuple(value)


def _seeds(roots: Sequence[Any], given: Any) -> list[Any]:
    """The gradients that the walk starts with: those given, or 1 for a scalar."""
    seeds = (None,) * len(roots) if given is None else _sequence(given)
    if len(seeds) != len(roots):
        raise RuntimeError(f"{len(roots)} tensors and {len(seeds)} gradients were given; there must be one for each")
    return [_seed(root, seed, k) for k, (root, seed) in enumerate(zip(roots, seeds, strict=True))]


def _seed(root: Any, seed: Any, number: int, lend: bool = False) -> Any:
    if root._edge is None:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    layout = root._layout
    if seed is None:
        if layout.size != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs; "
                               f"this one has shape {list(layout.shape)}: give its gradient")
        return builder.seed(layout) if lend else builder.ones(layout)
    if seed._layout.shape != layout.shape:
        raise RuntimeError(f"Mismatch in shape: grad_output[{number}] has a shape of {list(seed._layout.shape)} and "
                           f"output[{number}] has a shape of {list(layout.shape)}")
    return seed
