"""Memory: a plugin gives raw ``allocate/release``; everything else is written here, once.

In the order of the flow: a `Pool` (one per open device) hands out a `Block`, the sole owner of its
memory, from a raw allocation of a size class (`sizes`) that it keeps for reuse; a `Plan` takes its
outputs from ``Pool.maker``. When memory runs short the pool climbs a ladder and ends in the typed
error that `oom` words, with the lines that `site` noted. An `Arena` keeps the memory of a compiled
program apart. Beside this package, `transfer` moves bytes in and out.
"""

from __future__ import annotations

from .arena import Arena, Slot
from .block import Block, HostBlock, hold
from .pool import LiveAllocation, Pool, PoolStats

__all__ = ["Arena", "Block", "HostBlock", "LiveAllocation", "Pool", "PoolStats", "Slot", "hold"]
