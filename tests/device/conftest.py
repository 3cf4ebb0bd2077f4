"""The devices that the tests run on, and how much of the op tests a run has time for.

``device`` is parametrised over the first device of each backend that is ready (``--device NAME``,
repeatable, chooses others). ``INGOT_REQUIRE=cpu,opencl`` fails the run where one of them is missing
(`test_devices_found.py`).

The op tests of one device have a budget of seconds. They run in an order drawn from the commit,
such that every beginning of it spreads over all ops, and stop when the budget is spent: the summary
says "ran n of N". ``--full`` lifts the budget, ``--budget SECONDS`` sets it, ``INGOT_TEST_SEED``
replaces the commit.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import ingot_devices
import pytest
from ingot_devices.precision import exact
from ingot_tools.conformance.records.record import Record

BUDGETS = {"cpu": 90.0, "opencl": 240.0, "sim": 180.0}
OTHERWISE = 120.0


class Tally:
    """What was collected and run of the op tests, by device and check."""

    def __init__(self) -> None:
        self.collected: Counter[tuple[str, str]] = Counter()
        self.ran: Counter[tuple[str, str]] = Counter()
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)


TALLY = pytest.StashKey[Tally]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ingot", "Ingot: devices and budgets")
    group.addoption(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="run on this device (repeatable)",
    )
    group.addoption(
        "--budget", type=float, metavar="SECONDS", help="time for the op tests of each device"
    )
    group.addoption(
        "--cuda-driver",
        choices=("real", "simulated"),
        default="real",
        help="simulated: run the kernels of cuda on the host (see plugin/cuda_sim); no GPU is tested",
    )
    group.addoption("--compile", action="store_true", help="run the op tests with each call compiled")
    group.addoption("--full", action="store_true", help="run every op test, however long it takes")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # begun in the background by a shell: children would inherit that, and those that are sent a Ctrl-C not notice it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[TALLY] = Tally()
    if config.getoption("--cuda-driver") == "simulated":
        sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))
        from cuda_sim.suite import Simulated

        config.pluginmanager.register(Simulated(), "cuda_sim")


def devices_under_test(config: pytest.Config) -> list[str]:
    """The devices chosen (``cuda`` is ``cuda:0``), or the first of each kind that is ready."""
    if config.getoption("--device"):
        return [name if ":" in name else f"{name}:0" for name in config.getoption("--device")]
    first: dict[str, str] = {}
    for name in ingot_devices.ready():
        first.setdefault(name.split(":")[0], name)
    return sorted(first.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        names: list[Any] = list(devices_under_test(metafunc.config))
        if not names:
            reason = "no device is ready; `ingot devices` says why"
            names = [pytest.param("none", marks=pytest.mark.skip(reason=reason))]
        metafunc.parametrize("device", names, scope="session")


@pytest.fixture(scope="module", autouse=True)
def exactly() -> Generator[None, None, None]:
    """What registered kernels may trade for speed would be compared with references otherwise. Gone again after each module:
    the tests of the switches themselves may come next."""
    with exact():
        yield


@pytest.fixture(scope="session")
def commit(request: pytest.FixtureRequest) -> str:
    """What samples are drawn from."""
    return seed(request.config.rootpath)


@pytest.fixture(scope="session")
def t() -> Any:
    """The library under test; `tests/parity` runs the same tests with PyTorch here."""
    import ingot

    return ingot


# ---- the order and the budget of the op tests ----------------------------------------------------


def op_case(item: pytest.Item) -> tuple[str, Record, str] | None:
    """(device, record, check) of an op test, None for any other test."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    if not {"device", "record", "check"} <= set(params):
        return None
    return params["device"], params["record"], str(params["check"])


def seed(root: Path) -> str:
    """The commit, so that each commit tries another sample and any of them can be repeated."""
    if "INGOT_TEST_SEED" in os.environ:
        return os.environ["INGOT_TEST_SEED"]
    command = ["git", "rev-parse", "HEAD"]
    try:
        asked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"  # an unpacked archive, or no git
    return asked.stdout.strip()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Other tests first; then, device by device, one case of every op, a second of every op, and so
    on."""
    tally, salt = config.stash[TALLY], seed(config.rootpath)
    cases = [(item, case) for item in items if (case := op_case(item)) is not None]
    cases.sort(key=lambda pair: hashlib.sha256((salt + pair[0].name).encode()).digest())
    rounds: Counter[tuple[str, str]] = Counter()
    order: list[tuple[str, int, int, pytest.Item]] = []
    for item, (device, record, check) in cases:
        rounds[device, record.name] += 1
        order.append((device, rounds[device, record.name], len(order), item))
        tally.collected[device, check] += 1
    chosen = {id(item) for item, _ in cases}
    items[:] = [i for i in items if id(i) not in chosen] + [
        entry[-1] for entry in sorted(order, key=lambda e: e[:3])
    ]


def budget(config: pytest.Config, device: str) -> float:
    if config.getoption("--full"):
        return float("inf")
    given = config.getoption("--budget")
    return (
        BUDGETS.get(device.split(":", maxsplit=1)[0], OTHERWISE) if given is None else float(given)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Passes over an op test whose device has no time left. Those tests are last and of one module,
    so that nothing has to be torn down for them."""
    case, tally = op_case(item), item.config.stash[TALLY]
    spent = case is not None and tally.seconds[case[0]] >= budget(item.config, case[0])
    return True if spent else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Counts the op tests and their time."""
    report = yield
    case = op_case(item)
    if case is not None:
        tally = item.config.stash[TALLY]
        tally.seconds[case[0]] += report.duration
        if report.when == "call":
            (tally.skipped if report.skipped else tally.ran)[case[0], case[2]] += 1
    return report


# ---- the summary ---------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    tally = config.stash[TALLY]
    devices = sorted({device for device, _ in tally.collected})
    if not devices:
        return
    terminalreporter.section("op tests: ran n of N")
    checks = list(dict.fromkeys(check for _, check in tally.collected))
    for device in devices:
        counts = [(c, tally.ran[device, c], tally.collected[device, c]) for c in checks]
        ran, total = sum(n for _, n, _ in counts), sum(n for _, _, n in counts)
        left = sum(tally.skipped[device, c] for c in checks)
        terminalreporter.write_line(
            f"{device}: ran {ran} of {total} in {tally.seconds[device]:.0f} s, {left} skipped"
        )
        terminalreporter.write_line("    " + ", ".join(f"{c} {n} of {m}" for c, n, m in counts))
