"""A value in device memory: block, layout and element offset.

What plans take and return. The core's Tensor is a View with autograd metadata; nothing here knows that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .layout import Layout
    from .memory import Block


class View:
    """Elements of ``_layout`` in ``_block``, beginning ``_offset`` elements from its start.

    ``_native`` is what the device's kernels take for this operand, made at first use and kept.
    """

    _block: Block
    _layout: Layout
    _offset: int = 0
    _native: Any = None

    def native(self) -> Any:
        """The device's native view (`Device.view`), made once."""
        found = self._native
        if found is None:
            layout = self._layout
            found = self._native = layout.device.view(self._block, layout, self._offset)
        return found

    @classmethod
    def make(cls, block: Block, layout: Layout, offset: int = 0, native: Any = None) -> Any:
        """A new value of this class over ``block``."""
        made = object.__new__(cls)
        made._block = block
        made._layout = layout
        if offset:
            made._offset = offset
        made._native = native
        return made
