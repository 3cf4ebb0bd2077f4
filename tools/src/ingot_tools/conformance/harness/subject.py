"""The library under test on one device: ingot on each device found, or PyTorch when the records
themselves are tested.

The only place of the op tests that makes tensors and reads them back, so that one check runs on
both libraries.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..records.record import Record, Sample
from .data import arguments, numpy_dtype


class Refused(Exception):
    """The device declares that it takes no such dtype; the message says which."""


class Subject:
    """``t``: the namespace (``ingot`` or ``torch``); ``device``: where its tensors live; ``refused``: dtypes that the
    device declares to refuse; ``slow``: it interprets, or runs under a checker that does, so big samples are left out."""

    def __init__(self, t: Any, device: str, refused: frozenset[str] = frozenset(), slow: bool = False) -> None:
        self.t, self.device, self.refused = t, device, refused
        self.is_slow = slow or "INGOT_TEST_SMALL" in os.environ
        self.edges: Sequence[int] = ()  # sizes at which the device's schedules change

    def __repr__(self) -> str:
        return f"{self.t.__name__} on {self.device}"

    def dtype(self, name: str) -> Any:
        return getattr(self.t, name)

    def need(self, *dtypes: str) -> None:
        """Raise `Refused` if the device declares that it refuses one of ``dtypes``."""
        for name in dtypes:
            if name in self.refused:
                raise Refused(f"{self.device} declares no {name}")

    def tensor(self, array: Any, dtype: str | None = None) -> Any:
        """A dense tensor with the values of ``array``, of ``dtype`` or the array's own."""
        array = np.asarray(array)
        name = dtype or array.dtype.name
        if array.dtype == numpy_dtype("bfloat16"):
            array = array.astype(np.float32)
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        return self.t.tensor(array, dtype=self.dtype(name), device=self.device)

    def read(self, tensor: Any) -> Any:
        """The values as a NumPy array (bfloat16 as float32, exactly)."""
        if self.name(tensor) == "bfloat16":
            tensor = tensor.to(self.t.float32)
        return np.array(tensor.detach().cpu().numpy())

    def name(self, tensor: Any) -> str:
        """The name of the tensor's dtype."""
        return str(tensor.dtype).rsplit(".", maxsplit=1)[-1]

    def placeholder(self, dtype: str) -> Any:
        """Fills ``DEVICE`` and ``DTYPE``."""
        return lambda p: self.device if p.name == "device" else self.dtype(dtype)

    def settled(self, what: str, arrays: Sequence[Any], tensors: Sequence[Any], results: Sequence[Any]) -> None:
        """Called after each judged call: what else must hold. Here nothing; `guard` looks at memory."""

    def call(self, record: Record, sample: Sample, tensors: Iterable[Any], dtype: str) -> list[Any]:
        """The results of the op as a list."""
        args, kwargs = arguments(sample, tensors, self.placeholder(dtype))
        results = record.call(self.t, *args, **kwargs)
        return list(results) if isinstance(results, (tuple, list)) else [results]


SIDE = 48  # of the product by which `opened` knows a device that interprets


def opened(device: str, kind: type[Subject] = Subject) -> Subject:
    """Ingot on ``device``, with the dtypes that its limits refuse, and whether it interprets (as measured)."""
    import ingot
    from ingot_devices import dtypes, open_device

    from ..records.record import ALL
    from .edges import of_limits

    limits = open_device(device).limits
    refused = frozenset(d for d in ALL if limits.dtype_class(dtypes.dtype(d)).kind == "refused")
    subject = kind(ingot, device, refused)
    subject.edges = of_limits(limits)
    subject.is_slow |= _interprets(subject)
    return subject


def _interprets(subject: Subject) -> bool:
    """Whether a product takes the device longer than Python's own loops, on whichever machine this is.

    What interprets takes more than twice as long, and what does not less than a quarter of it. A number of seconds would
    say something else on each machine.
    """
    x, rows = subject.tensor(np.ones((SIDE, SIDE), np.float32)), [[1.0] * SIDE] * SIDE

    def device() -> None:
        with suppress(Exception):  # a device that cannot do that is judged elsewhere
            subject.read(x @ x)

    def python() -> None:
        _ = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in rows] for row in rows]

    return _shortest(device) > _shortest(python)


def _shortest(work: Callable[[], None]) -> float:
    times = []
    for _ in range(3):  # the first builds the kernel
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
