"""What decompositions and gradient rules are written against: every op by name.

``b.mul(g, y)``, ``b.sum(x, axes=(-1,), keepdim=False)``: tensors and numbers by position, attributes by keyword. The
core supplies a builder that runs ops at once; `resolve` one that lays them out in a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from .opset.op import OPS, Op


class Builder:
    """Base of all builders: looks ops up by name. Subclasses define `call`.

    ``lasting``: what was looked up is kept, which makes a cycle; False where that would hold on to values.
    """

    lasting: ClassVar[bool] = True

    def call(self, op: Op, operands: Sequence[Any], attributes: tuple[Any, ...]) -> Any:
        """Apply ``op``; a tuple where it has several outputs."""
        raise TypeError(f"{type(self).__name__} does not define call")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = OPS.get(name)
        if op is None:
            raise AttributeError(f"no op is called {name!r}")

        def apply(*operands: Any, **attributes: Any) -> Any:
            missing = len(op.operands) - len(operands)
            if missing > 0 and not op.variadic:
                operands = (*operands, *[None] * missing)
            return self.call(op, operands, op.bind(attributes))

        if self.lasting:
            self.__dict__[name] = apply
        return apply
