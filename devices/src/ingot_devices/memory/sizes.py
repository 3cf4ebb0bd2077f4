"""Size classes: which raw sizes the pool asks a device for.

A freed block serves every later request of its class, so classes are few enough to be met again
and fine enough to waste little. Up to 16 MiB there are eight to each power of two (at most 12.5 %
waste); above, multiples of 2 MiB, the page that large memory comes in.

Blocks are never cut from a larger allocation: handles are opaque and an offset is never folded
into one, so two blocks of one slab would need an offset in every launch and share a binding.
"""

from __future__ import annotations

import math

from ..limits import Limits

LARGE = 16 << 20
PAGE = 2 << 20
_STEP_BITS = 3  # 2**3 classes to a power of two


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
    if units * grain > LARGE:
        step = max(1, PAGE // grain)
    else:
        step = 1 << max(0, (units - 1).bit_length() - 1 - _STEP_BITS)
    rounded = -(-units // step) * step * grain
    return rounded if rounded <= limits.max_buffer else units * grain
