"""Handles that take a registered hook out again.

Used by `nn.Module` for its forward and backward hooks; the dict they act on stays with the module.
"""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from types import TracebackType
from typing import Any

_numbers = itertools.count()


class RemovableHandle:
    """Removes one hook when `remove` is called, or at the end of a ``with`` block.

    Holds the dict weakly: a handle keeps no module alive.
    """

    def __init__(self, hooks: OrderedDict[int, Any]) -> None:
        self.id = next(_numbers)
        self._hooks = weakref.ref(hooks)

    def remove(self) -> None:
        """Take the hook out; doing it twice is no error."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()
