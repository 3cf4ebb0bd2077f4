"""The devices that the tests run on, and how much of the op tests a run has time for.

``device`` is parametrised over the first device of each backend that is ready (``--device NAME``,
repeatable, chooses others). ``INGOT_REQUIRE=cpu,opencl`` fails the run where one of them is missing
(`test_devices_found.py`).

The op tests of one device have a budget of seconds, and so have those of functions made of ops, and of ops on lanes. They
run in an order drawn from the commit, such that every beginning of it spreads over all ops, and stop
when the budget is spent: the summary says "ran n of N". With ``--others SECONDS`` all other tests have
one, too, file by file in an order drawn as well, and those that are about no device are left out.
``--full`` lifts the budgets, ``--budget SECONDS`` sets them, ``INGOT_TEST_SEED`` replaces the commit.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import ingot_devices
import pytest
from ingot_devices.precision import exact

BUDGETS = {"cpu": 90.0, "opencl": 240.0, "sim": 180.0}
OTHERWISE = 120.0
SHARES = {"op": 1.0, "function": 0.5, "lanes": 0.25, "other": float("inf")}
"""Of a budget that nobody has set; that of lanes also of one that somebody has."""


class Case(NamedTuple):
    """A test of which a sample may do: of a ``kind`` (an "op", an op on "lanes", a "function"), called ``name``, by a
    ``check``; or an "other" one of a file."""

    device: str
    kind: str
    name: str
    check: str

    @property
    def group(self) -> tuple[str, str]:
        """What has a budget."""
        return self.device, self.kind


class Tally:
    """What was collected and run of sampled tests, by group and check."""

    def __init__(self) -> None:
        self.collected: Counter[tuple[tuple[str, str], str]] = Counter()
        self.ran: Counter[tuple[tuple[str, str], str]] = Counter()
        self.skipped: Counter[tuple[tuple[str, str], str]] = Counter()
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.begun: Path | None = None  # the module of the last test that ran


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
        "--budget", type=float, metavar="SECONDS", help="time for the op tests of each device, and for those of functions"
    )
    group.addoption("--others", type=float, metavar="SECONDS", help="time for the other tests of each device")
    group.addoption(
        "--cuda-driver",
        choices=("real", "simulated"),
        default="real",
        help="simulated: run the kernels of cuda on the host (see plugin/cuda_sim); no GPU is tested",
    )
    group.addoption("--compile", action="store_true", help="run the op tests with each call compiled")
    group.addoption("--full", action="store_true", help="run every op test, however long it takes")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TALLY] = Tally()
    config.pluginmanager.register(Workers(config.stash[TALLY]))
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


def case_of(item: pytest.Item) -> Case | None:
    """What a test is about, if it is an op test, a row of functions, or any other where those have a budget; else None."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    if {"device", "record", "check"} <= set(params):
        kind = "lanes" if item.path.stem == "test_func_ops" else "op"
        return Case(params["device"], kind, params["record"].name, str(params["check"]))
    if {"device", "row"} <= set(params):
        return Case(params["device"], "function", params["row"].name, getattr(item, "originalname", "").removeprefix("test_"))
    if "device" in params and item.config.getoption("--others") is not None:
        return Case(params["device"], "other", item.path.stem, item.path.stem.removeprefix("test_"))
    return None


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
    on; and those of functions."""
    tally, salt = config.stash[TALLY], seed(config.rootpath)
    cases = [(item, case) for item in items if (case := case_of(item)) is not None]

    def drawn(pair: tuple[pytest.Item, Case]) -> bytes:
        item, case = pair
        return hashlib.sha256((salt + (case.name if case.kind == "other" else item.name)).encode()).digest()

    cases.sort(key=drawn)
    rounds: Counter[tuple[str, str, str]] = Counter()
    order: list[tuple[str, str, int, int, pytest.Item]] = []
    for item, case in cases:
        rounds[*case.group, case.name] += case.kind != "other"  # files are run one after the other
        order.append((case.kind, case.device, rounds[*case.group, case.name], len(order), item))
        tally.collected[case.group, case.check] += 1
    chosen = {id(item) for item, _ in cases}
    rest = [i for i in items if id(i) not in chosen]
    if config.getoption("--others") is not None:
        here = [i for i in rest if i.path.is_relative_to(Path(__file__).parent)]
        config.hook.pytest_deselected(items=here)
        rest = [i for i in rest if i not in here]
    items[:] = rest + [entry[-1] for entry in sorted(order, key=lambda e: e[:4])]


def budget(config: pytest.Config, case: Case) -> float:
    if config.getoption("--full"):
        return float("inf")
    given = config.getoption("--others" if case.kind == "other" else "--budget")
    usual = BUDGETS.get(case.device.split(":", maxsplit=1)[0], OTHERWISE) * SHARES[case.kind]
    return usual if given is None else float(given) * (SHARES["lanes"] if case.kind == "lanes" else 1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Passes over a test whose group has no time left; but for the last of a module that was begun, which then is torn down."""
    case, tally = case_of(item), item.config.stash[TALLY]
    over = case is not None and tally.seconds[case.group] >= budget(item.config, case)
    if over and not (tally.begun == item.path and nextitem is not None and nextitem.path != item.path):
        return True
    tally.begun = item.path
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Counts the sampled tests and their time."""
    report = yield
    case = case_of(item)
    if case is not None:
        tally = item.config.stash[TALLY]
        tally.seconds[case.group] += report.duration
        if report.when == "call":
            (tally.skipped if report.skipped else tally.ran)[case.group, case.check] += 1
    return report


# ---- the summary ---------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of several hands its counts over."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        tally = session.config.stash[TALLY]
        told["tally"] = [list(tally.collected.items()), list(tally.ran.items()), list(tally.skipped.items()),
                         list(tally.seconds.items())]  # fmt: skip


class Workers:
    """Takes them: each worker collects all tests and runs a part of them."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        collected, ran, skipped, seconds = getattr(node, "workeroutput", {}).get("tally", ((), (), (), ()))
        for (group, check), n in collected:
            self.tally.collected[tuple(group), check] = n
        for counts, given in ((self.tally.ran, ran), (self.tally.skipped, skipped)):
            for (group, check), n in given:
                counts[tuple(group), check] += n
        for group, spent in seconds:
            self.tally.seconds[tuple(group)] += spent


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    tally = config.stash[TALLY]
    for group in sorted({group for group, _ in tally.collected}):
        device, kind = group
        checks = [check for of, check in tally.collected if of == group]
        counts = [(c, tally.ran[group, c], tally.collected[group, c]) for c in dict.fromkeys(checks)]
        ran, total = sum(n for _, n, _ in counts), sum(n for _, _, n in counts)
        left = sum(tally.skipped[group, c] for c, _, _ in counts)
        terminalreporter.section(f"{kind} tests: ran n of N")
        terminalreporter.write_line(f"{device}: ran {ran} of {total} in {tally.seconds[group]:.0f} s, {left} skipped")
        terminalreporter.write_line("    " + ", ".join(f"{c} {n} of {m}" for c, n, m in counts))
