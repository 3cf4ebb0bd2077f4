"""A pytest plugin for `oclgrind`: the host writes whole buffers.

Where the host writes a part of a buffer, Oclgrind 21.10 takes that part for the whole buffer from then on, and calls the rest
uninitialised whatever is written there. So what lies around the part is read first, and written with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ingot_devices import open_device


@pytest.fixture(autouse=True, scope="session")
def whole_writes() -> Iterator[None]:
    """Put another ``copy_in`` before the OpenCL device's own."""
    kind: Any = type(open_device("opencl:0"))
    plain = kind.copy_in

    def copy_in(self: Any, handle: Any, offset: int, data: memoryview) -> None:
        if data.nbytes == handle.size:
            plain(self, handle, offset, data)
        elif data.nbytes:
            whole = memoryview(bytearray(handle.size))
            self.copy_out(handle, 0, whole)
            whole[offset : offset + data.nbytes] = data.cast("B")
            plain(self, handle, 0, whole)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "copy_in", copy_in)
        yield
