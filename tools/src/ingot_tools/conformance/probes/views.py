"""Offsets that 32 bits do not hold: what no sample of an op is large enough to reach."""

from __future__ import annotations

import numpy as np

from ..bench import Bench, NotPresent, Probe

FAR = (1 << 31) + 1000
"""Bytes of a tensor whose last elements lie beyond what a signed 32-bit offset reaches."""


def offsets_beyond_31_bits(bench: Bench) -> None:
    """Reading and writing at the far end of a large tensor, and through a view that strides from its begin to its end."""
    limits, t = bench.device.limits, bench.t
    room = min(limits.max_buffer, limits.max_binding, limits.memory or limits.max_buffer)
    free, _ = bench.device.memory_info() or (FAR, FAR)
    reasons = (
        (bench.subject.is_slow, f"{bench.name} interprets"),
        (room < FAR, f"a buffer of {bench.name} ends at {room} bytes"),
        (free < FAR, f"{free} bytes of {bench.name} are free"),
        (limits.index_bits < 64, f"{bench.name} has no 64-bit offsets"),
        ("uint8" in bench.subject.refused, f"{bench.name} has no uint8"),
    )
    for holds, reason in reasons:
        if holds:
            raise NotPresent(reason)
    try:
        large = t.empty(FAR, dtype=t.uint8, device=bench.subject.device)
    except MemoryError as error:
        raise NotPresent(f"there is no room for {FAR} bytes: {error}") from error
    first, last = np.arange(8, dtype=np.uint8), np.arange(100, 108, dtype=np.uint8)
    large[:8].copy_(bench.tensor(first))
    large[FAR - 8 :].copy_(bench.tensor(last))
    read = bench.subject.read
    np.testing.assert_array_equal(read(large[FAR - 8 :]), last, err_msg="a copy to the far end")
    np.testing.assert_array_equal(read(large[FAR - 8 :] + 1), last + 1, err_msg="a kernel that reads the far end")
    both = large.as_strided((2, 8), (FAR - 8, 1))
    np.testing.assert_array_equal(read(both * 2), np.stack([first, last]) * 2, err_msg="a stride beyond 31 bits")
    both += 3
    np.testing.assert_array_equal(read(large[FAR - 8 :]), last + 3, err_msg="a kernel that writes the far end")
    np.testing.assert_array_equal(read(large[:8]), first + 3, err_msg="the near end of the same write")


PROBES: tuple[Probe, ...] = (offsets_beyond_31_bits,)
