"""Parameter: a tensor that a Module collects, trains and saves.

First stop of the model-writer's flow: `Module.__setattr__` files Parameters away by name, `optim`
walks them, `state_dict` stores them. Apart from its class a Parameter is an ordinary leaf tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ingot
from ingot.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that becomes a module's parameter when it is assigned to an attribute.

    Shares the storage of ``data`` (a tensor of any shape); ``requires_grad`` is True unless told
    otherwise. TypeError when ``data`` is not a tensor.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = ingot.empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter takes a tensor, not {type(data).__name__}; "
                "make one with ingot.tensor(...)"
            )
        self = data.detach()
        self.__class__ = cls
        return self.requires_grad_(requires_grad)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        """Everything is done by `__new__`; this keeps Tensor's own constructor from running."""

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (self.detach(), self.requires_grad)
