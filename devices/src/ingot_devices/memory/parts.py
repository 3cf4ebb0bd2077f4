"""Blocks cut from a block: memory that is taken in one piece, and handed out in several that each look like their own.

A part keeps the whole alive, and what other streams do with a part is noted at the whole, whose memory it is. The device
must give handles on parts of an allocation (`Device.window`).
"""

from __future__ import annotations

from typing import Any

from .block import Block


class Part(Block):
    """``nbytes`` of the block ``whole``, under a ``handle`` of their own; all else that it says is the whole's."""

    __slots__ = ("whole",)

    whole: Block
    pool = property(lambda self: self.whole.pool)
    stream = property(lambda self: self.whole.stream)
    uses = property(lambda self: self.whole.uses)


def part(whole: Block, handle: Any, nbytes: int) -> Part:
    """A part of ``whole``."""
    made = Part.__new__(Part)
    made.whole, made._chunk, made.handle, made.nbytes, made.version = whole, whole._chunk, handle, nbytes, 0
    return made
