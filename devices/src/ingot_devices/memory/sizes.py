"""Size classes: which raw sizes the pool asks a device for.

A freed block serves every later request of its class, so classes are few enough to be met again
and fine enough to waste little. Up to 1 MiB there are eight to each power of two (at most 12.5 %
waste); above thirty-two (3 %), and no two more than 2 MiB apart, the page that large memory comes in.

Blocks are never cut from a larger allocation: handles are opaque and an offset is never folded
into one, so two blocks of one slab would need an offset in every launch and share a binding.
"""

from __future__ import annotations

import math

from ..limits import Limits

LARGE = 1 << 20
PAGE = 2 << 20
_FEW, _MANY = 3, 5  # 2**3 and 2**5 classes to a power of two


def granule(limits: Limits) -> int:
    """The smallest class: every block is a multiple of it, and made of whole copy units."""
    return math.lcm(limits.allocation_granularity, limits.copy_granularity)


def whole_size(nbytes: int, limits: Limits) -> int:
    """``nbytes`` in whole granules, for memory that no other request is to find."""
    grain = granule(limits)
    return -(-max(nbytes, 1) // grain) * grain


def round_size(nbytes: int, limits: Limits) -> int:
    """The class that serves ``nbytes``: not less, and within ``max_buffer`` where that can be."""
    grain = granule(limits)
    units = -(-max(nbytes, 1) // grain)
    bits = _MANY if units * grain > LARGE else _FEW
    step = min(1 << max(0, (units - 1).bit_length() - 1 - bits), max(1, PAGE // grain))
    rounded = -(-units // step) * step * grain
    return rounded if rounded <= limits.max_buffer else units * grain
