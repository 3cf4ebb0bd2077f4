"""Blocks cut from a block: memory that is taken in one piece, and handed out in several that each look like their own.

A part keeps the whole alive, and what other streams do with a part is noted at the whole, whose memory it is. The device
must give handles on parts of an allocation (`Device.window`).
"""

from __future__ import annotations

from typing import Any

from .block import Block


class Part(Block):
    """``nbytes`` of the block ``whole``, under a ``handle`` of their own."""

    __slots__ = ("whole",)

    whole: Block

    @property
    def uses(self) -> set[Any] | None:
        """The streams beside the home one that used the whole."""
        return self.whole.uses

    @uses.setter
    def uses(self, streams: set[Any] | None) -> None:
        self.whole.uses = streams


def part(whole: Block, handle: Any, nbytes: int) -> Part:
    """A part of ``whole``."""
    made = Part.__new__(Part)
    made.whole, made.handle, made.nbytes, made.version = whole, handle, nbytes, 0
    made.pool, made.stream, made._chunk = whole.pool, whole.stream, whole._chunk
    return made
