"""What every part of the core knows of a tensor: a `View` with autograd metadata.

`Tensor` (the class that users see) derives from this; dispatch and autograd work on it without importing the methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from ingot_devices.view import View

from .lazy import interchange

REBOUND = [0]
"""How often a tensor that was there already got other memory, another layout or another history; counted once that is done."""


class TensorBase(View):
    """Metadata with class-level defaults, so that making a tensor stores only what differs.

    ``_edge`` is (node, output number), or None where no gradient is wanted; ``grad`` the accumulated gradient of a
    leaf. A differentiable view keeps its ``_base`` and the ``_chain`` of (op, attributes) that leads from there to
    it; the base has its ``_views``.
    """

    kind: ClassVar[Any]
    _edge: tuple[Any, int] | None = None
    grad: Any = None
    _base: Any = None
    _chain: tuple[tuple[Any, tuple[Any, ...]], ...] = ()
    _views: list[ref[Any]] | None = None
    _inference: bool = False

    @classmethod
    def make(cls, block: Any, layout: Any, offset: int = 0, native: Any = None) -> Any:
        """A new value over ``block``. What dispatch reads each time stands in the instance: that is found faster."""
        made = object.__new__(cls)
        made._block = block
        made._layout = layout
        made._native = native
        made._edge = None
        if offset:
            made._offset = offset
        return made

    # ---- other libraries ---------------------------------------------------------------------------------------------
    def __dlpack__(self, *, stream: Any = None, **kwargs: Any) -> Any:
        """Export without a copy, where DLPack knows the device's memory or the host sees it."""
        return interchange.export(self.detach(), stream, kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return interchange.device_of_memory(self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return interchange.array_interface(self)

    if TYPE_CHECKING:  # what `Tensor` adds, most of it from tables
        def __getattr__(self, name: str) -> Any: ...


TensorBase.kind = TensorBase
