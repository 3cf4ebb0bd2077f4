"""The op tests on lanes: each call of an op is one of `func.vmap`, and a lane of its result is judged.

The first lane has the operands of the test. The others have them turned round, and must be what the op gives for those alone.
Which operands differ by lane, and along which axis the lanes lie, is drawn from the call.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from ingot_tools.conformance.harness.data import arguments
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.records.record import Record, Sample

LANES = 3
WRITES = ("setitem", "index_put")
MEMORY = ("as_strided", "view")  # these say how a tensor lies: that of a lane lies as it did only along the first axis
COUNTED = ("bincount", "masked_select", "nonzero", "unique")  # how large a result is depends on values, and lanes differ
BY_MASKS = ("getitem", "setitem")  # and so it does here where a mask says what is meant
READ, MOVED = "vmap: a value was read on the host", "vmap: a tensor cannot be moved"


class LaneSubject(Subject):
    """``counts``: calls by what became of them."""

    def __init__(self, plain: Subject) -> None:
        super().__init__(plain.t, plain.device, plain.refused, plain.is_slow)
        self.edges = plain.edges
        self.counts: Counter[str] = Counter()

    def call(self, record: Record, sample: Sample, tensors: Iterable[Any], dtype: str) -> list[Any]:
        """The results of the first lane, as a list."""
        t, given = self.t, list(tensors)
        draw = np.random.default_rng(zlib.crc32(f"{record.name}/{sample}/{dtype}".encode()))
        differs = [bool(d) for d in draw.integers(0, 4, len(given))]  # three of four
        if not any(differs):
            return super().call(record, sample, given, dtype)
        if record.name in WRITES:
            differs[0] = True  # what is the same for all lanes cannot be written with what is not
        axes = [int(draw.integers(0, x.ndim + 1)) if d else None for x, d in zip(given, differs, strict=True)]
        if record.name in MEMORY:
            axes = [a and 0 for a in axes]
        turned = [_turned(x) if d else x for x, d in zip(given, differs, strict=True)]
        stacked = [x if a is None else t.stack([x, y, x], dim=a) for x, y, a in zip(given, turned, axes, strict=True)]

        def lane(*values: Any) -> list[Any]:
            args, kwargs = arguments(sample, values, self.placeholder(dtype))
            results = record.call(t, *args, **kwargs)
            return list(results) if isinstance(results, (tuple, list)) else [results]

        try:
            made = t.func.vmap(lane, in_dims=tuple(axes), randomness="same")(*stacked)
        except RuntimeError as error:
            masked = record.name in BY_MASKS and any(x.dtype is t.bool for x in given)
            if not str(error).startswith(READ if record.name in COUNTED or masked else MOVED if record.name == "to" else ()):
                raise
            self.counts["refused"] += 1
            return super().call(record, sample, given, dtype)
        self.counts["on lanes"] += 1
        with t.no_grad():
            alone = super().call(record, sample, [x.detach() for x in turned], dtype)
        for k, (every, one) in enumerate(zip(made, alone, strict=True)):
            what = f"{record.name} result {k}, lanes along {axes}"
            assert every.shape == (LANES, *one.shape), f"{what}: shape {every.shape} for {one.shape}"
            assert every.dtype is one.dtype, f"{what}: dtype {every.dtype} for {one.dtype}"
            first, second, third = (self.read(every[n]) for n in range(LANES))
            near = 0.1 if "16" in dtype else 1e-4
            for got, wanted in ((third, first), (second, self.read(one))):
                np.testing.assert_allclose(got.astype(np.float64), wanted.astype(np.float64), near, near / 2, err_msg=what)
        return [every[0] for every in made]


def _turned(x: Any) -> Any:
    return x.detach().flip(tuple(range(x.ndim))) if x.ndim else x.detach()
