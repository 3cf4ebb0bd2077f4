"""PyTorch's function names, over the ops of the contract's table.

Each module takes PyTorch's arguments, normalises them (axes counted from the right, static attributes) and calls
`dispatch`. Nothing is computed here. Ops that were declared (`ingot.library`) are found here by name, too.
"""

from __future__ import annotations

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    importing = not hasattr(sys.modules[__package__.partition(".")[0]], "__getattr__")  # which is defined last
    if name.startswith("_") or importing:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ..library import find

    return find(name)
