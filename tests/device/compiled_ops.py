"""The op tests with compile on (``--compile``): each call of an op is warmed up, recorded, and then replayed for the answer.

What runs eagerly though it could be recorded fails the test: only a result whose size depends on values, data from the host
and a call that computes nothing may.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ingot.compiler import CompileWarning
from ingot.compiler.joined import tensors_in
from ingot_tools.conformance.harness.data import arguments
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.records.record import Record, Sample

ALLOWED = ("read on the host", "copy from the host", "between two devices", "computes nothing", "several devices",
           "numpy()", "manual_seed()", "shares its memory", "that it makes itself", "its numbers are not known")  # fmt: skip


class CompiledSubject(Subject):
    """``counts``: answers that were replayed, and reasons of those that were not."""

    def __init__(self, plain: Subject) -> None:
        super().__init__(plain.t, plain.device, plain.refused, plain.is_slow)
        self.counts: Counter[str] = Counter()

    def call(self, record: Record, sample: Sample, tensors: Iterable[Any], dtype: str) -> list[Any]:
        """The results of the op as a list, from a replay where there is one."""
        args, kwargs = arguments(sample, tensors, self.placeholder(dtype))
        results = self._replayed(record, args, kwargs)
        return list(results) if isinstance(results, (tuple, list)) else [results]

    def _replayed(self, record: Record, args: Any, kwargs: Any) -> Any:
        t = self.t
        compiled = t.compile(lambda *a, **k: record.call(t, *a, **k))
        state = t.get_rng_state()
        given = tensors_in((args, kwargs))
        before = [a._version for a in given]
        for _ in range(3):
            t.set_rng_state(state)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CompileWarning)
                results = compiled(*args, **kwargs)
            if before != [a._version for a in given]:
                self.counts["written in place"] += 1
                return results  # another call would write a second time
        if compiled.replays:
            self.counts["replayed"] += 1
        else:
            assert any(words in compiled.eager for words in ALLOWED), f"{record.name} is not compiled: {compiled.eager}"
            self.counts[compiled.eager.partition(" (")[0]] += 1
        return results
