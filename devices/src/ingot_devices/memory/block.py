"""A `Block`: the sole owner of a piece of device memory.

Tensors, native views, NumPy and DLPack exports hold the Block; when the last of them is gone, its
finalizer hands the memory back. The garbage collector may run a finalizer anywhere, even inside
``Pool.allocate``, so a finalizer takes no lock and calls no driver: it appends to a queue that the
next allocation drains, or puts the memory where it came from and subtracts from a counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import site as sites

if TYPE_CHECKING:
    from .chunks import Chunk
    from .pool import Pool

Array = np.ndarray[Any, Any]


class Block:
    """Device memory with one owner. Only a `Pool` makes them.

    ``handle`` is what the device's allocator returned; ``nbytes`` the rounded size; ``stream`` the
    stream it was allocated on (None: the default one) and ``uses`` the set of other streams that
    used it, or None; ``version`` counts in-place writes.
    """

    __slots__ = ("__weakref__", "_chunk", "handle", "nbytes", "version", "writer")

    handle: Any
    nbytes: int
    pool: Pool
    stream: Any
    uses: set[Any] | None
    version: int
    writer: str  # the op that wrote in place last, once there was one
    _chunk: Chunk

    @property
    def site(self) -> str | None:
        """The user's line that made it, ``"file:line"``, where it was noted."""
        return sites.text(self._chunk.site)

    def __repr__(self) -> str:
        where = f" from {self.site}" if self.site else ""
        return f"<Block {self.nbytes} bytes on {self.pool.device.name}{where}>"


class HostBlock(Block):
    """A block whose handle is a row-major NumPy array with memory of its own. See `Pool.adopt`."""

    __slots__ = ()

    @property
    def site(self) -> None:
        """Small blocks come and go too fast for their lines to be noted."""
        return None


def pooled_type(pool: Pool, atomic: bool) -> type[Block]:
    """The Block of one pool of chunks; ``stream`` and ``uses`` are those of its chunk.

    Its finalizer puts the chunk straight into its free list: with the interpreter lock (``atomic``) that is a subtraction
    and an append (see `host_type`). What other streams used, or another library owns, is queued for the pool instead.
    """
    append = pool.released.append

    def give_back(self: Block) -> None:
        try:
            chunk = self._chunk
        except AttributeError:  # interrupted while it was made: the pool takes the chunk back
            return
        if chunk.uses is None and atomic:
            chunk.live = False
            pool.used -= chunk.nbytes
            chunk.home.append(chunk)
        else:
            append(chunk)

    body = {
        "__slots__": (), "__del__": give_back, "pool": pool,
        "stream": property(lambda self: self._chunk.stream), "uses": property(lambda self: self._chunk.uses),
    }  # fmt: skip
    return type("Block", (Block,), body)


def host_type(pool: Pool, atomic: bool) -> type[HostBlock]:
    """The HostBlock of one pool.

    With the interpreter lock (``atomic``) its finalizer is one subtraction: CPython switches
    threads and runs the collector at calls and backward jumps only, and between reading ``used``
    and writing it there is neither (nor in ``pool.used = used = pool.used + n`` on the side that
    allocates). Without that lock, the pool's own is taken.
    """

    def subtract(self: HostBlock) -> None:
        try:
            pool.used -= self.nbytes
        except AttributeError:  # interrupted while it was made, before it was counted
            return

    def subtract_locked(self: HostBlock) -> None:
        with pool.lock:
            subtract(self)

    shared = {"pool": pool, "stream": None, "uses": None}
    body = {"__slots__": (), "__del__": subtract if atomic else subtract_locked, **shared}
    return type("HostBlock", (HostBlock,), body)


class HostMemory(Array):
    """Block memory as an array that keeps its ``block`` alive for all arrays that are based on it.

    NumPy collapses a chain of bases as long as the next one has the type of the new array: a plain
    array on HostMemory on HostMemory stops at the first, and that is the one with the block.
    """

    __slots__ = ("block",)

    block: Block


def held(block: Block, array: Array) -> HostMemory:
    """``array``, which lies in ``block``'s memory, as a buffer for arrays that own the Block."""
    if type(array) is not HostMemory:
        array = array.view(HostMemory)
    window = array.view(HostMemory)
    window.block = block
    return window


def hold(block: Block, array: Array) -> Array:
    """``array``, which lies in ``block``'s memory, as a plain array that owns the Block."""
    if type(array.base) is HostMemory:
        return array
    return held(block, array).view(np.ndarray)
