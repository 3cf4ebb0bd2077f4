"""Every case of conformance as a pytest item: ``pytest --pyargs ingot_tools.conformance --ingot-device acme:0``.

In one process, so ``-k``, ``-x``, ``--pdb`` and ``-n`` do what they do. ``ingot conformance`` runs the same in processes of
their own, survives a driver that crashes, disables the CPU plugin for the last level, and gives the grade.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .levels import BY_NAME, LEVELS, Case, cases
from .result import ABSENT, BAD, GAP, UNSUPPORTED, Result
from .runner import Runner


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen: list[Any] = []
    if metafunc.config.getoption("--ingot-device", None):
        names = metafunc.config.getoption("--ingot-level") or [level.name for level in LEVELS if level.name != "alone"]
        if unknown := sorted(set(names) - set(BY_NAME)):
            raise pytest.UsageError(f"no level is called {unknown[0]!r}; there are: {', '.join(BY_NAME)}")
        chosen = [pytest.param(case, id=case.name) for case in cases([BY_NAME[n] for n in names])]
    else:
        reason = "no device was named: give --ingot-device"
        chosen = [pytest.param(None, id="no device", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize("case", chosen)


@pytest.fixture(scope="session")
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    with Runner(str(request.config.getoption("--ingot-device"))) as made:
        yield made


@pytest.fixture(autouse=True)
def host_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ops that run through the host are right or wrong like others; how many do is for the grade."""
    monkeypatch.setenv("INGOT_FALLBACK", "allow")


def test_case(runner: Runner, case: Case) -> None:
    judged(runner.run(case))


def judged(result: Result) -> None:
    """Raise, skip or pass as the result says."""
    if result.status in BAD:
        program = f"\n\n{result.program}" if result.program else ""
        pytest.fail(f"{result.status}: {result.message}{program}", pytrace=False)
    if result.status == GAP:
        pytest.xfail(result.message)
    if result.status in (UNSUPPORTED, ABSENT):
        pytest.skip(f"{result.status}: {result.message}")
