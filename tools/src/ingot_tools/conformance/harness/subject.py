"""The library under test on one device: ingot on each device found, or PyTorch when the records
themselves are tested.

The only place of the op tests that makes tensors and reads them back, so that one check runs on
both libraries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..records.record import Record, Sample
from .data import arguments, numpy_dtype
from .pace import Pace, measured


class Refused(Exception):
    """The device declares that it takes no such dtype; the message says which."""


class Subject:
    """``t``: the namespace (``ingot`` or ``torch``); ``device``: where its tensors live; ``refused``: dtypes that the
    device declares to refuse; ``slow``: it interprets, or runs under a checker that does, so big samples are left out, but
    for those beyond any tile where it ``has_room``."""

    def __init__(self, t: Any, device: str, refused: frozenset[str] = frozenset(), slow: bool = False) -> None:
        self.t, self.device, self.refused = t, device, refused
        self.is_slow = slow or "INGOT_TEST_SMALL" in os.environ
        self.has_room = False
        self.edges: Sequence[int] = ()  # sizes at which the device's schedules change

    def __repr__(self) -> str:
        return f"{self.t.__name__} on {self.device}"

    def goes_at(self, pace: Pace) -> None:
        """Ask for less where the device is slow."""
        self.is_slow |= pace.is_slow
        self.has_room = pace.has_room

    def takes(self, sample: Sample) -> bool:
        """Whether there is time for the sample."""
        return not (sample.big and self.is_slow) or (sample.tile and self.has_room)

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

    def afresh(self) -> None:
        """Called before a call that is judged by itself: what the calls before it left behind is forgotten. Here nothing is."""

    def settled(self, what: str, arrays: Sequence[Any], tensors: Sequence[Any], results: Sequence[Any]) -> None:
        """Called after each judged call: what else must hold. Here nothing; `guard` looks at memory."""

    def call(self, record: Record, sample: Sample, tensors: Iterable[Any], dtype: str) -> list[Any]:
        """The results of the op as a list."""
        args, kwargs = arguments(sample, tensors, self.placeholder(dtype))
        results = record.call(self.t, *args, **kwargs)
        return list(results) if isinstance(results, (tuple, list)) else [results]


def opened(device: str, kind: type[Subject] = Subject, pace: Pace | None = None) -> Subject:
    """Ingot on ``device``, with the dtypes that its limits refuse; ``pace`` is measured unless it is given."""
    import ingot
    from ingot_devices import dtypes, open_device

    from ..records.record import ALL
    from .edges import of_limits

    limits = open_device(device).limits
    refused = frozenset(d for d in ALL if limits.dtype_class(dtypes.dtype(d)).kind == "refused")
    subject = kind(ingot, device, refused)
    subject.edges = of_limits(limits)
    subject.goes_at(measured(subject) if pace is None else pace)
    return subject
