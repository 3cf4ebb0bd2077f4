"""Module: the base class of every layer and model.

The flow: `__setattr__` collects parameters and children (`_tree`), `__call__` runs `forward`
(through `_hooks` when there are any), `to` and its like convert in place, `state_dict` saves
(`_state`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import ingot
from ingot.cpu import KIND as CPU
from ingot.nn.modules import _hooks
from ingot.nn.modules._hooks import Hook, HookTable
from ingot.nn.modules._state import ModuleState
from ingot.tensor import Tensor
from ingot.utils.hooks import RemovableHandle


class Module(ModuleState):
    """Base class of all layers: subclass it, call ``super().__init__()``, set attributes, write
    `forward`.

    Parameters and modules that are set as attributes are found by `parameters`, moved by `to` and
    saved by `state_dict`.
    """

    # None until the first hook is registered: calling a module then costs one attribute look-up.
    _hook_table: HookTable | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Every subclass that is called has its own."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hook_table is None:
            return self.forward(*args, **kwargs)
        return _hooks.call(self, self._hook_table, args, kwargs)

    # ---- hooks -----------------------------------------------------------------------------------

    def _hooks_to_change(self) -> HookTable:
        if self._hook_table is None:
            self._hook_table = HookTable()
        return self._hook_table

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before every forward; it may return new args.

        With ``with_kwargs``: ``hook(module, args, kwargs)``, which returns None or (args, kwargs).
        """
        table = self._hooks_to_change()
        return table.add(table.pre, hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every forward; it may return a new output.

        ``always_call`` runs it also when forward raises, with output None.
        """
        table = self._hooks_to_change()
        return table.add(table.forward, hook, prepend, with_kwargs, always_call)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` in backward; it may return a new
        grad_input.
        """
        table = self._hooks_to_change()
        return table.add(table.backward, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` in backward; it may return a new grad_output."""
        table = self._hooks_to_change()
        return table.add(table.backward_pre, hook, prepend)

    # ---- modes -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all below it (dropout and its like look at
        ``training``).
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of every parameter: False freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of every parameter, or set them to zero."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad = parameter.grad.detach().zero_()

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every module of the tree, children first: how weights are initialised by
        hand.
        """
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ---- conversion ------------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Replace the data of every parameter, gradient and buffer by ``fn`` of it, in place."""
        for child in self.children():
            child._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            gradient = parameter.grad
            parameter.data = fn(parameter.data)
            if gradient is not None:
                parameter.grad = fn(gradient.data).requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move and cast parameters and buffers in place: ``to(device)``, ``to(dtype)``, both, or
        ``to(tensor)``.

        The dtype (floating point only; TypeError otherwise) is given to floating-point tensors, the
        device to all. Returns the module itself.
        """
        device, dtype = _target(args, kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, "
                f"but got desired dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            return tensor.to(
                device=tensor.device if device is None else device,
                dtype=dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype,
            )

        return self._apply(convert)

    def cpu(self) -> Self:
        """Move everything to the host's device."""
        return self.to(CPU)

    def float(self) -> Self:
        """Cast floating-point parameters and buffers to float32."""
        return self.to(ingot.float32)

    def double(self) -> Self:
        """Cast floating-point parameters and buffers to float64."""
        return self.to(ingot.float64)

    def half(self) -> Self:
        """Cast floating-point parameters and buffers to float16."""
        return self.to(ingot.float16)

    def bfloat16(self) -> Self:
        """Cast floating-point parameters and buffers to bfloat16."""
        return self.to(ingot.bfloat16)


def _target(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """(device or None, dtype or None) from the ways in which ``to`` may be called."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)  # copies are stream-ordered anyway
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument {next(iter(kwargs))!r}")
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, ingot.dtype):
            dtype = arg
        elif arg is not None and not isinstance(arg, bool):
            device = arg
    return (None if device is None else ingot.device(device)), dtype
