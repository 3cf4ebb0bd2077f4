"""The program of a fault: it is short, it is the call of the message made smaller, and it shows the fault when it is run."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterator
from typing import Any

import numpy as np
import pretend_acme
import pytest
from ingot import accelerator
from ingot_devices import dtypes as dt
from ingot_devices.registry import registry
from ingot_tools.conformance.harness.layouts import STRIDED
from ingot_tools.conformance.harness.pace import FAST
from ingot_tools.conformance.harness.subject import opened
from ingot_tools.conformance.laid import ROWS
from ingot_tools.conformance.levels import cases
from ingot_tools.conformance.reproduce import LINES
from ingot_tools.conformance.result import PASSED, WRONG, Result
from ingot_tools.conformance.runner import Runner
from planted_faults import by_hand

acme = pretend_acme.acme
DEVICE = "acme:0"


@pytest.fixture
def forgets(acme: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """A product on the device that is wrong from so many terms on."""
    terms: int = request.param

    def body(x: Any, y: Any, out: Any, **_: Any) -> None:
        out[...] = x @ y
        if x.shape[-1] >= terms:
            out[...] += 1

    for dtype in (dt.float32, dt.int32):
        registry.register(by_hand("matmul", body, dtype)("acme"), owner="fault")
    accelerator.reset(DEVICE)
    yield
    registry.remove("fault")


def judged(name: str) -> Result:
    case = next(c for c in cases() if c.name == name)
    with Runner(DEVICE, pace=FAST) as runner:
        result = runner.run(case)
    assert result.status == WRONG
    return result


def shows_it(program: str) -> None:
    """Its result is off by one from what it says is expected."""
    said: list[Any] = []
    exec(compile(program, "pasted", "exec"), {"print": lambda x: said.append(x.tolist())})
    expected = literal_eval(program.rpartition("# expected: ")[2])
    np.testing.assert_allclose(said[0], np.asarray(expected) + 1, atol=1e-4)


@pytest.mark.parametrize("forgets", [17], indirect=True)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_it_is_the_call_of_the_message_made_smaller(forgets: None, dtype: str) -> None:
    result = judged(f"contraction/value/matmul/{dtype}")
    assert "matmul(67x130, 130x33)" in result.message
    lines = result.program.splitlines()
    assert lines[0] == "# the call of the message, made smaller" and len(lines) < 20
    shows_it(result.program)
    assert result.program.count(", ") < 50, "17 numbers each"


@pytest.mark.parametrize("forgets", [60], indirect=True)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_many_numbers_are_drawn_by_a_line(forgets: None, dtype: str) -> None:
    result = judged(f"contraction/value/matmul/{dtype}")
    assert "np.random.default_rng(0)." in result.program and "(1, 60)" in result.program
    assert len(result.program.splitlines()) < 12 and max(map(len, result.program.splitlines())) < 160
    shows_it(result.program)


@pytest.mark.parametrize("forgets", [2], indirect=True)
@pytest.mark.parametrize("check", ["edges", *STRIDED])
def test_it_shows_the_fault_in_every_layout(forgets: None, check: str) -> None:
    result = judged(f"contraction/{check}/matmul/float32")
    assert len(result.program.splitlines()) <= LINES
    shows_it(result.program)


@pytest.mark.parametrize("forgets", [2], indirect=True)
def test_a_case_that_is_run_by_name_says_why(forgets: None) -> None:
    program = judged("autograd/second_order/matmul/float32").program
    assert program.startswith("# by the name of its case, because 'second_order' looks at more than one call")
    assert "replay('acme:0', 'autograd/second_order/matmul/float32')" in program


def test_a_pointwise_fault_is_one_element(acme: Any) -> None:
    def body(x: Any, y: Any, out: Any, **_: Any) -> None:
        out[...] = x + y + (np.abs(x) > 1 << 24)

    registry.register(by_hand("add", body, dt.int32)("acme"), owner="fault")
    accelerator.reset(DEVICE)
    try:
        program = judged("pointwise/extremes/add/int32").program
        shows_it(program)
    finally:
        registry.remove("fault")
    assert len(program.splitlines()) == 7 and "(1,)" not in program


def test_what_a_case_wrote_outside_is_no_fault_of_the_next(acme: Any) -> None:
    def body(x: Any, out: Any, **_: Any) -> None:
        out[...] = np.exp(x)
        whole = out
        while whole.base is not None:
            whole = whole.base
        whole[out.nbytes :] = 1

    registry.register(by_hand("exp", body)("acme"), owner="fault")
    accelerator.reset(DEVICE)
    try:
        wanted = [c for c in cases() if c.name in ("pointwise/value/exp/float32", "pointwise/value/neg/float32")]
        with Runner(DEVICE, pace=FAST) as runner:
            found = {r.case: r for r in map(runner.run, sorted(wanted, key=str))}
    finally:
        registry.remove("fault")
    assert "memory outside of the result was written" in found["pointwise/value/exp/float32"].message
    assert found["pointwise/value/neg/float32"].status == PASSED


@pytest.mark.parametrize("how", ROWS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3)])
def test_what_is_written_lies_as_the_check_lays_it(how: str, shape: tuple[int, ...]) -> None:
    subject = opened("cpu:0", pace=FAST)
    array = np.arange(2, 2 + int(np.prod(shape)), dtype=np.float32).reshape(shape)
    lines = ROWS[how]("x0", shape, str(array.tolist()), lambda of: f"t.tensor({of}, dtype=t.float32, device='cpu:0')", 1)
    names: dict[str, Any] = {"np": np, "t": subject.t}
    exec("\n".join(lines), names)
    wanted = STRIDED[how](subject, array, 1) if how else subject.tensor(array)
    written = names["x0"]
    assert (written.stride(), written.storage_offset()) == (wanted.stride(), wanted.storage_offset())
    np.testing.assert_array_equal(subject.read(written), subject.read(wanted))
