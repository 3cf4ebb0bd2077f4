"""Custom kernels and ops: one declaration, three ways to write a kernel.

    declare            an op: names, result rule, meaning, gradient, reference     (`declare`, `gradients`)
    expression_kernel  "z = a*x + y", portable to every backend                    (`parse` → `form` → `lower`, `adjoint`)
    source_kernel      the device's own language, with operands by name            (`source`)
    callable_kernel    a function of native views, to call a vendor's library      (`kernels`)

Nothing here knows a tensor; ``ingot.library`` is the same for people who hold some.
"""

from __future__ import annotations

from .declare import DECLARED, Declared, declare, withdraw
from .kernels import callable_kernel, expression_kernel, source_kernel

__all__ = ["DECLARED", "Declared", "callable_kernel", "declare", "expression_kernel", "source_kernel", "withdraw"]
