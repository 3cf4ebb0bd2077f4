"""A `Block`: the sole owner of a piece of device memory.

Tensors, native views, NumPy and DLPack exports hold the Block; when the last of them is gone, its finalizer hands the
memory back. The garbage collector may run a finalizer anywhere, even inside ``Pool.allocate``, so a finalizer takes no
lock and calls no driver: it appends to a queue that the next allocation drains (`Block`), or subtracts from a counter
(`HostBlock`, the small blocks of a device that computes on NumPy arrays).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .pool import Pool


class Chunk:
    """One raw allocation of a pool: in use by a Block, waiting for streams, or free for its size class."""

    __slots__ = ("events", "handle", "nbytes", "site", "stream", "uses")

    def __init__(self, handle: Any, nbytes: int) -> None:
        self.handle = handle
        self.nbytes = nbytes
        self.stream: Any = None
        self.uses: set[Any] | None = None  # other streams without an event yet
        self.events: list[Any] = []  # of other streams, while they are not done
        self.site: str | None = None


class Block:
    """Device memory with one owner. Only a `Pool` makes them.

    ``handle`` is what the device's allocator returned; ``nbytes`` the rounded size; ``stream`` the stream it was
    allocated on (None: the default one) and ``uses`` the set of other streams that used it, or None; ``version``
    counts in-place writes; ``site`` is the user's line that made it (``"file:line"``), where it was noted.
    """

    __slots__ = ("__weakref__", "_chunk", "handle", "nbytes", "pool", "site", "stream", "uses", "version")

    handle: Any
    nbytes: int
    pool: Pool
    stream: Any
    uses: set[Any] | None
    version: int
    site: str | None
    _chunk: Chunk

    def __del__(self) -> None:
        try:
            chunk = self._chunk
        except AttributeError:  # interrupted while it was made: the pool still has the chunk
            return
        chunk.uses = self.uses
        self.pool.released.append(chunk)

    def __repr__(self) -> str:
        where = f" from {self.site}" if self.site else ""
        return f"<Block {self.nbytes} bytes on {self.pool.device.name}{where}>"


class HostBlock(Block):
    """A block whose handle is a NumPy array that owns its memory (any dtype, row-major). See `Pool.adopt`."""

    __slots__ = ()

    stream: ClassVar[None] = None  # type: ignore[misc]
    uses: ClassVar[None] = None  # type: ignore[misc]
    site: ClassVar[None] = None  # type: ignore[misc]


def host_block_type(pool: Pool, atomic: bool) -> type[HostBlock]:
    """The HostBlock of one pool: ``pool`` is a class attribute, so that making one stores three attributes.

    With the interpreter lock (``atomic``) the finalizer is one subtraction: CPython switches threads and runs the
    collector only at calls and backward jumps, and between reading and writing ``used`` there is neither (nor in
    ``pool.used = used = pool.used + n``, on the allocating side). Without it, the pool's lock is taken.
    """

    def subtract(self: HostBlock, pool: Pool = pool) -> None:
        try:
            pool.used -= self.nbytes
        except AttributeError:  # interrupted while it was made, before it was counted
            return

    def subtract_locked(self: HostBlock, pool: Pool = pool) -> None:
        with pool.lock:
            subtract(self)

    body = {"__slots__": (), "pool": pool, "__del__": subtract if atomic else subtract_locked}
    return type("HostBlock", (HostBlock,), body)


class _Held(np.ndarray[Any, Any]):
    """A window on a block's memory that keeps the Block alive for as long as any array is based on it.

    NumPy collapses chains of bases, but never through an array of another type: every view ends here.
    """

    __slots__ = ("block",)


def hold(block: Block, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``array``, which lies in ``block``'s memory, as a plain array whose base owns the Block: for exports."""
    window = array.view(_Held)
    window.block = block
    return window.view(np.ndarray)


def held_bytes(block: Block) -> np.ndarray[Any, Any]:
    """The uint8 memory of a block (its handle being a uint8 array) as a buffer that keeps the Block alive."""
    window = block.handle.view(_Held)
    window.block = block
    return window  # type: ignore[no-any-return]
