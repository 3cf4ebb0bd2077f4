"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..ops.shape import stack


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``module(*args, **kwargs)`` with the tensors of a dict (or of several) in the place of its parameters and buffers.

    Names are those of ``named_parameters`` and ``named_buffers``. What is not named stays as it is (``strict``: RuntimeError).
    ``tie_weights``: a parameter that the module knows by several names is replaced under all of them. After the call the module
    is as before; a buffer that ``forward`` assigned anew is kept in the dict, as PyTorch's.
    """
    given: dict[str, Any] = {}
    dicts = [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, dict) else list(parameter_and_buffer_dicts)
    for one in dicts:
        twice = sorted(given.keys() & one.keys())
        if twice:
            raise ValueError(f"functional_call: {twice} are in several of the dicts; give each name once")
        given |= one
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, given, tie_weights, strict, dicts):
        return module(*args, **(kwargs or {}))


@contextmanager
def _replaced(module: Any, given: dict[str, Any], tie: bool, strict: bool, dicts: Sequence[dict[str, Any]]) -> Iterator[None]:
    """The module with other tensors under these names, and back."""
    places = _places(module)
    strange = sorted(given.keys() - places.keys())
    if strange:
        raise RuntimeError(f"functional_call: {type(module).__name__} has no parameter or buffer {strange}; it has "
                           f"{sorted(places)}")
    if strict and (missing := sorted(places.keys() - given.keys())):
        raise RuntimeError(f"functional_call: with strict=True every tensor must be given; missing: {missing}")
    wanted = dict(given)
    if tie:
        tied: dict[int, Any] = {id(places[n][0][places[n][1]]): v for n, v in given.items()}
        wanted |= {n: tied[id(table[key])] for n, (table, key) in places.items() if id(table[key]) in tied and n not in given}
    before = {n: places[n][0][places[n][1]] for n in wanted}
    for n, value in wanted.items():
        table, key = places[n]
        table[key] = value
    try:
        yield
    finally:
        for n, value in before.items():
            table, key = places[n]
            for one in dicts:
                if n in one and one[n] is not table[key]:
                    one[n] = table[key]
            table[key] = value


def _places(module: Any) -> dict[str, tuple[dict[str, Any], str]]:
    """Where each parameter and buffer is kept, by its full name."""
    return {
        f"{prefix}{'.' if prefix else ''}{key}": (table, key)
        for prefix, inner in module.named_modules(remove_duplicate=False)
        for table in (inner._parameters, inner._buffers)
        for key, value in table.items()
        if value is not None
    }


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """``root`` with all its batch norms without running statistics, which `vmap` could not write: they use the batch's."""
    from ..nn.modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of several modules of one kind, each stacked along a new first axis, for an ensemble by `vmap`.

    The parameters are leaves that want gradients where those of the modules do. RuntimeError for no modules, for modules of
    several kinds, and where some train and others do not.
    """
    if not models:
        raise RuntimeError("stack_module_state: expected at least one model, got 0")
    kinds = sorted({type(m).__name__ for m in models})
    if len(kinds) > 1:
        raise RuntimeError(f"stack_module_state: expected all models to be of one class, got {kinds}")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: expected all models to have the same training/eval mode")
    return _stacked([dict(m.named_parameters()) for m in models]), _stacked([dict(m.named_buffers()) for m in models])


def _stacked(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: _joined([state[name] for state in states]) for name in states[0]}


def _joined(tensors: Sequence[Any]) -> Any:
    wanted = {t.requires_grad for t in tensors}
    if len(wanted) > 1:
        raise RuntimeError("stack_module_state: expected parameters of one name to have one requires_grad in all models")
    return stack([t.detach() for t in tensors]).requires_grad_(wanted.pop())
