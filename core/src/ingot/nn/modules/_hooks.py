"""The slow path of calling a Module: forward and backward hooks.

A Module without hooks never comes here: `Module.__call__` looks at one attribute. Backward hooks
are an identity put before the inputs and another behind the outputs; their backward sees the
gradients pass by.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ingot
from ingot.tensor import Tensor
from ingot.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from ingot.nn.modules.module import Module

Hook = Callable[..., Any]
Hooks = OrderedDict[int, Any]
Gradients = tuple[Any, ...]


class HookTable:
    """All hooks of one module, by kind, each kind in the order of its calls."""

    def __init__(self) -> None:
        self.pre: Hooks = OrderedDict()
        self.forward: Hooks = OrderedDict()
        self.backward_pre: Hooks = OrderedDict()
        self.backward: Hooks = OrderedDict()

    @staticmethod
    def add(hooks: Hooks, hook: Hook, prepend: bool, *options: bool) -> RemovableHandle:
        handle = RemovableHandle(hooks)
        hooks[handle.id] = (hook, *options)
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle


def call(module: Module, table: HookTable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward`` with every hook around it, in PyTorch's order."""
    called: set[int] = set()
    try:
        args, kwargs = _run_pre(module, table, args, kwargs)
        watch = _Watch(module, table) if table.backward or table.backward_pre else None
        if watch is not None:
            args = watch.inputs(args)
        result = module.forward(*args, **kwargs)
        for number, (hook, with_kwargs, _) in list(table.forward.items()):
            called.add(number)
            new = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            result = result if new is None else new
        return result if watch is None else watch.outputs(result)
    except Exception:
        _run_always(module, table, called, args, kwargs)
        raise


def _run_pre(
    module: Module, table: HookTable, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook, with_kwargs in list(table.pre.values()):
        if not with_kwargs:
            new = hook(module, args)
            if new is not None:
                args = new if isinstance(new, tuple) else (new,)
            continue
        new = hook(module, args, kwargs)
        if new is None:
            continue
        if not (isinstance(new, tuple) and len(new) == 2):
            raise RuntimeError(
                "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                f"but got {new!r}."
            )
        args, kwargs = new
    return args, kwargs


def _run_always(
    module: Module,
    table: HookTable,
    called: set[int],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """After a failure: the hooks registered with ``always_call`` that have not run, result None."""
    for number, (hook, with_kwargs, always) in list(table.forward.items()):
        if always and number not in called:
            if with_kwargs:
                hook(module, args, kwargs, None)
            else:
                hook(module, args, None)


class _Watch:
    """One forward call under backward hooks: collects grad_output, then grad_input, then calls
    them.
    """

    def __init__(self, module: Module, table: HookTable) -> None:
        self.module, self.table = module, table
        self.grad_output: Gradients | None = None
        self.sees_inputs = False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            return args
        self.sees_inputs = True
        return _through(args, self._on_grad_input)

    def outputs(self, result: Any) -> Any:
        if isinstance(result, Tensor):
            return _through((result,), self._on_grad_output)[0]
        if isinstance(result, (tuple, list)):
            return type(result)(_through(tuple(result), self._on_grad_output))
        raise RuntimeError(
            "a backward hook needs forward to return a tensor or a tuple or list of tensors, "
            f"but {type(self.module).__name__} returned {type(result).__name__}"
        )

    def _on_grad_output(self, gradients: Gradients) -> Gradients:
        for hook, *_ in list(self.table.backward_pre.values()):
            gradients = _replaced(hook(self.module, gradients), gradients, "grad_output")
        self.grad_output = gradients
        if not self.sees_inputs:
            for hook, *_ in list(self.table.backward.values()):
                if hook(self.module, (), gradients) is not None:
                    raise RuntimeError(
                        "a backward hook may not return a gradient when no input of the module "
                        "requires one"
                    )
        return gradients

    def _on_grad_input(self, gradients: Gradients) -> Gradients:
        for hook, *_ in list(self.table.backward.values()):
            new = hook(self.module, gradients, self.grad_output)
            gradients = _replaced(new, gradients, "grad_input")
        return gradients


def _replaced(new: Any, old: Gradients, what: str) -> Gradients:
    if new is None:
        return old
    new = new if isinstance(new, tuple) else (new,)
    if len(new) != len(old):
        raise RuntimeError(
            f"backward hook returned {len(new)} gradients for {what}, which has {len(old)}"
        )
    return new


def _through(values: tuple[Any, ...], action: Callable[[Gradients], Gradients]) -> tuple[Any, ...]:
    """``values`` with its tensors passed through an identity whose backward calls ``action``.

    ``action`` sees one gradient per value, None for what is no tensor.
    """
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]

    def on_gradients(gradients: Gradients) -> Gradients:
        spread: list[Any] = [None] * len(values)
        for place, gradient in zip(places, gradients, strict=True):
            spread[place] = gradient
        seen = action(tuple(spread))
        return tuple(seen[place] for place in places)

    if not places or not ingot.is_grad_enabled():
        return values
    passed = _identity().apply(on_gradients, *(values[place] for place in places))
    result = list(values)
    for place, value in zip(places, passed, strict=True):
        result[place] = value
    return tuple(result)


_identity_class: list[Any] = []


def _identity() -> Any:
    """The identity Function, made on first use: autograd may be imported after `nn`."""
    if not _identity_class:

        class Identity(ingot.autograd.Function):
            @staticmethod
            def forward(ctx: Any, on_gradients: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
                ctx.on_gradients = on_gradients
                ctx.set_materialize_grads(False)
                return tuple(tensor.view_as(tensor) for tensor in tensors)

            @staticmethod
            def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
                return (None, *ctx.on_gradients(gradients))

        _identity_class.append(Identity)
    return _identity_class[0]
