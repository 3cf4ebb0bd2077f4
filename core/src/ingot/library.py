"""Custom ops and kernels on tensors: ``torch.library``'s vocabulary over the contract's declarations.

    swiglu = ingot.library.custom_op("swiglu", "out = silu(gate) * x", reference=numpy_swiglu)
    y = swiglu(gate, x)                       differentiable, on every device; also ingot.ops.swiglu
    swiglu.source("opencl", '''…''')          a kernel that beats the generated one, on that device
    with ingot.use_kernel(kernel): …          or for a block of code only
    ingot.library.opcheck(swiglu, device="opencl")

The declarations are `ingot_devices.custom`; here they get functions that take tensors. `opcheck` is in `checking`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ingot_devices.context import Context, scope, state
from ingot_devices.custom import (
    DECLARED,
    Declared,
    callable_kernel,
    declare,
    expression_kernel,
    source_kernel,
    withdraw,
)
from ingot_devices.registry import Kernel, Off, registry

from . import dispatch
from .checking import OpReport, opcheck


class CustomOp:
    """A declared op as a function of tensors and numbers.

    Operands by position or name, then scalars and attributes by name: ``rms_norm(x, weight, eps=1e-6)``. Returns a
    Tensor, or a tuple of them where the op has several outputs.
    """

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.__name__ = self.__qualname__ = declared.row.name
        self.__doc__ = declared.row.doc or f"The op {declared.row.name}, declared in {declared.origin}."
        self._tensors = declared.tensors
        self._given = {*declared.row.names, *declared.row.attributes}

    @property
    def op(self) -> Any:
        """The row of the opset."""
        return self.declared.row

    def __call__(self, *operands: Any, **named: Any) -> Any:
        row = self.declared.row
        if len(operands) != len(self._tensors) or named:
            values, attrs = self._bind(operands, named)
            return dispatch.call(row, values, attrs)
        return dispatch.call(row, (*operands, *self.declared.scalars.values()), row.defaults)

    def _bind(self, operands: tuple[Any, ...], named: dict[str, Any]) -> tuple[list[Any], tuple[Any, ...]]:
        row, scalars = self.declared.row, self.declared.scalars
        given = {**scalars, **dict(zip(self._tensors, operands, strict=False))}
        strange = [k for k in named if k not in self._given]
        twice = [k for k in named if k in self._tensors[: len(operands)]]
        given |= {k: v for k, v in named.items() if k in row.names}
        missing = [n for n in self._tensors if n not in given]
        if strange or twice or missing or len(operands) > len(self._tensors):
            takes = ", ".join([*self._tensors, *(f"{k}={v!r}" for k, v in {**scalars, **row.attributes}.items())])
            fault = (f"has no {strange[0]!r}" if strange else f"got {twice[0]!r} twice" if twice
                     else f"misses {missing[0]!r}" if missing else f"got {len(operands)} operands")  # fmt: skip
            raise TypeError(f"{row.name}({takes}) {fault}")
        return [given[n] for n in row.names], row.bind({k: v for k, v in named.items() if k in row.attributes})

    # ---- kernels -----------------------------------------------------------------------------------------------------
    def source(self, device: str, text: str, *, register: bool = True, **how: Any) -> Kernel:
        """Add a kernel in the language of ``device``; see `ingot_devices.custom.source_kernel` for ``how``."""
        return self._added(source_kernel(self._named, device, text, **how), register)

    def expression(self, device: str, text: str, *, register: bool = True, **how: Any) -> Kernel:
        """Add a kernel as another expression; see `ingot_devices.custom.expression_kernel`."""
        return self._added(expression_kernel(self._named, device, text, **how), register)

    def register_kernel(self, device: str, function: Callable[..., Any] | None = None, **how: Any) -> Any:
        """Add a function of native views as a kernel, or decorate one; see `ingot_devices.custom.callable_kernel`."""
        if function is None:
            return lambda f: (self.register_kernel(device, f, **how), f)[1]
        return self._added(callable_kernel(self._named, device, function, **how), True)

    def _added(self, kernel: Kernel, register: bool) -> Kernel:
        if register:
            registry.register(kernel)
        return kernel

    @property
    def _named(self) -> Any:
        return self.declared.row

    def __repr__(self) -> str:
        return f"<custom op {self.declared.row.name}({', '.join(self._tensors)})>"


_ops: dict[str, CustomOp] = {}


def custom_op(name: str, expression: str | None = None, **how: Any) -> CustomOp:
    """Declare an op; see `ingot_devices.custom.declare`. It is ``ingot.ops.NAME`` from then on."""
    made = CustomOp(declare(name, expression, **how))
    _ops[name] = made
    return made


def kernel(expression: str, **how: Any) -> CustomOp:
    """A function from an expression, without a name in the opset: ``axpy = kernel("z = a*x + y")``."""
    return kernel_of(declare("kernel", expression, add=False, **how))


def kernel_of(declared: Declared) -> CustomOp:
    """A function on tensors from a declaration."""
    return CustomOp(declared)


class Namespace:
    """The ops of one namespace: ``ingot.ops.acme.twice`` is the op declared as ``"acme::twice"``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return find(f"{self._name}::{name}")


def find(name: str) -> CustomOp | Namespace:
    """The declared op (or namespace) called ``name``; AttributeError lists those that there are."""
    if name not in _ops and name not in DECLARED:
        from .lazy import discovery

        discovery.load_kernels()  # a plugin may bring it
    found = DECLARED.get(name)
    if found is None and any(known.startswith(f"{name}::") for known in DECLARED):
        return Namespace(name)
    if found is None:
        known = ", ".join(DECLARED) or "none"
        raise AttributeError(f"no custom op is called {name!r}; declared are: {known}")
    if name not in _ops or _ops[name].declared is not found:
        _ops[name] = CustomOp(found)
    return _ops[name]


# ---- kernels for a block of code ---------------------------------------------------------------------------------------
def use_kernel(*kernels: Kernel) -> AbstractContextManager[Context]:
    """``with use_kernel(k): …``: these win over all others in this thread, the innermost block's first."""
    for k in kernels:
        if not isinstance(k, Kernel):
            raise TypeError(f"use_kernel takes kernels, as source_kernel() or CustomOp.source() return them; not {k!r:.60}")
    ordered = sorted(kernels, key=lambda k: -k.priority)
    return scope(overrides=(*ordered, *state.context.overrides))


def without_kernels(
    owner: str | None = None, op: str | None = None, device: str | None = None
) -> AbstractContextManager[Context]:
    """``with without_kernels(owner="acme"): …`` leaves registered kernels out, to compare with what is next in order.

    By owner, op and kind of device; None is any.
    """
    return scope(overrides=(*state.context.overrides, Off(owner, op, device)))


__all__ = [
    "DECLARED",
    "CustomOp",
    "Declared",
    "Kernel",
    "OpReport",
    "callable_kernel",
    "custom_op",
    "declare",
    "expression_kernel",
    "find",
    "kernel",
    "kernel_of",
    "opcheck",
    "source_kernel",
    "use_kernel",
    "withdraw",
    "without_kernels",
]
