"""Every planted fault is caught, at the level that it belongs to and no earlier, by the case that is made for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pretend_acme
import pytest
from grouped import put
from ingot import accelerator
from ingot_devices.registry import registry
from ingot_tools.conformance.levels import LEVELS, Case, cases, probes
from ingot_tools.conformance.result import BAD, Result
from ingot_tools.conformance.runner import Runner
from planted_faults import FAULTS, RIGHT, Fault, methods

acme = pretend_acme.acme
DEVICE = "acme:0"
SAMPLE = {
    "views": "value/flip/float32 value/cat/int32 value/clone/float32 shifted/clone/* transposed/contiguous/* stepped/flip/* "
             "value/bfloat16/float32 value/narrow/float32 value/tril/float32 extremes/int/*",
    "pointwise": "value/add/float32 value/add/bfloat16 edges/add/* shifted/mul/* transposed/mul/* value/exp/float32 "
                 "nonfinite/maximum/* inplace/add/* promotion/add/* value/floor_divide/int32 value/sub/uint8 "
                 "value/mul/float64 extremes/add/int32 extremes/lt/int64 extremes/mul/int8 value/exp/float64 nonfinite/lt/* "
                 "nonfinite/clamp/* value/where/float32",
    "reductions": "value/sum/float32 value/sum/int64 edges/sum/* repeated/sum/* value/var/float32 nonfinite/amax/* "
                  "value/amax/float32",
    "scan/index": "value/cumsum/float32 value/gather/float32 value/sort/float32 repeated/scatter_add/* "
                  "value/index_select/float32",
    "contraction": "value/matmul/float32 value/matmul/int32 edges/matmul/* transposed/matmul/* value/softmax/float32 "
                   "value/layer_norm/float32",
    "autograd": "gradient/mul/float32 gradient/softmax/float32 gradient/matmul/float32 second_order/tanh/float32",
    "RNG bits": "value/rand/float32 value/randint/int64",
    "training": "value/sgd_step/float32",
}  # fmt: skip
"""Cases of each level that stand for it here; its probes all run."""
LEFT_OUT = {"the_digits_are_learned", "moments_are_right"}  # slow, and there for what the others cannot see


def sample() -> dict[str, list[Case]]:
    """Cases by level, in the order of the levels."""
    every = list(cases([level for level in LEVELS if level.name != "alone"]))
    made: dict[str, list[Case]] = {}
    for level in LEVELS:
        patterns = SAMPLE.get(level.name, "").split()
        mine = [c for c in every if c.level == level.name]
        probing = {p.__name__ for p in probes(level)} - LEFT_OUT
        chosen = [c for c in mine if c.record is None and c.check in probing]
        for pattern in patterns:
            found = [c for c in mine if fnmatchcase(c.name, f"{level.name}/{pattern}")]
            assert found, f"no case is called {pattern}"
            chosen += found
        made[level.name] = chosen
    return made


SAMPLED = sample()


def helpers() -> dict[str, Any]:
    """What the wrong rows call."""

    def beyond(memory: Any, offset: Any, value: Any) -> None:
        memory[min(int(np.max(offset)) + 1, len(memory) - 1)] = 1

    def saturating(a: Any, b: Any) -> Any:
        if np.asarray(a).dtype.kind != "u":
            return a - b
        return np.where(a < b, np.asarray(a).dtype.type(0), a - b)

    def unsigned_first(x: Any, kind: Any) -> Any:
        x = np.asarray(x)
        small = x.dtype.kind == "i" and x.dtype.itemsize < 4 and np.dtype(kind).itemsize > x.dtype.itemsize
        return (x.astype(f"u{x.dtype.itemsize}") if small and np.dtype(kind).kind == "f" else x).astype(kind)

    def single(a: Any, b: Any) -> Any:
        doubles = np.result_type(a, b) == np.float64
        return np.asarray(np.float32(a) * np.float32(b), np.float64) if doubles else a * b

    return {
        "beyond": beyond,
        "put": put,
        "saturating": saturating,
        "unsigned_first": unsigned_first,
        "single": single,
        "towards_zero": lambda a, b: np.trunc(a / np.where(b == 0, 1, b)).astype(np.result_type(a, b)),
        "half_precision": lambda x: np.exp(x.astype(np.float16)).astype(x.dtype),
    }


@pytest.fixture
def planted(acme: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The device with the fault of this test in it, opened anew; right again afterwards."""
    fault: Fault = request.param
    device, change = fault.device(acme.device.AcmeDevice), fault.source
    device = methods(build=lambda self, right, source, name: right(change(source, name), name))(device)
    monkeypatch.setattr(acme.device, "AcmeDevice", device)
    for operator, row in fault.rows.items():
        monkeypatch.setitem(acme.dialect.ROWS, operator, row)
    for name, function in helpers().items():
        monkeypatch.setitem(acme.driver.FUNCTIONS, name, function)
    if fault.kernel is not None:
        registry.register(fault.kernel("acme"), owner="fault")
    accelerator.reset(DEVICE)
    yield
    registry.remove("fault")


def first_bad() -> tuple[str, list[Result], int]:
    """The first level with something wrong ("" where all is right), what is wrong there, and how many cases ran."""
    ran = 0
    for level, chosen in SAMPLED.items():
        with Runner(DEVICE) as runner:
            results = [runner.run(case) for case in chosen]
        ran += len(results)
        bad = [r for r in results if r.status in BAD]
        if bad:
            return level, bad, ran
    return "", [], ran


@pytest.mark.parametrize("planted", RIGHT, indirect=True, ids=str)
def test_a_right_backend_is_right(planted: None) -> None:
    level, bad, ran = first_bad()
    assert not bad, f"{level}: {bad[0].case}: {bad[0].message}"
    assert ran > 100


@pytest.mark.parametrize(("planted", "fault"), [(f, f) for f in FAULTS], indirect=["planted"], ids=str)
def test_a_fault_is_caught(planted: None, fault: Fault) -> None:
    level, bad, _ = first_bad()
    assert level == fault.level, f"caught at {level or 'no level'}: {[(r.case, r.message[:200]) for r in bad[:3]]}"
    assert any(fault.case in r.case for r in bad), f"caught by {[r.case for r in bad]}, not by {fault.case}"
    assert all(r.message for r in bad)


def test_faults_are_many_and_of_every_kind() -> None:
    assert len(FAULTS) >= 25 and len({f.name for f in FAULTS}) == len(FAULTS)
    assert len(Counter(f.level for f in FAULTS)) >= 8
