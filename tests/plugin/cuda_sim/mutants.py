"""Are the tests of the device suite good enough to tell a wrong kernel from a right one? Mutants say so.

    python tools/ci/cuda_sim.py mutants [--sample N | --full]

1. The op tests run once without kernels (`suite.judge_nothing`), which tells what each test launches.
2. Every kernel's source is mutated (`mutate`); a sample takes mutants of all operators and ops in turn, drawn by the seed.
   (A mask of aligned offsets is dropped only in kernels that some test gives unaligned operands, and strides are swapped only
   in those that some test gives operands that lie otherwise: the suite has such tests for an op's main dtype.)
3. All mutants are compiled, many in one call.
4. A forked child for each mutant runs tests that launch its kernel, in both orders of threads, until one fails: an assertion,
   a finding of the driver, an error, a crash, or no end. First a few (`TESTS`), then for what survives those, and nobody knows
   why, more (`FURTHER`), and last those of the op that the kernel is named after, which a sample may not have. The same tests
   pass with the original, which is tried too. A kernel that only the run without kernels launched (its sizes follow from
   values, which were not there) has no mutants.

A survivor is listed with its line. `EQUAL` has those that compute what the original does: they are counted apart, and so are
swapped strides that are one number in every launch (`alike`: the original, made to trap where they differ, never does).
`MISSED` has others of which it is known why. Of the rest there should be no more than one in twenty (`WANTED`); a run fails
where there are more than three standard deviations of such a sample beyond that.
"""

from __future__ import annotations

import math
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from .mutate import OPERATORS, Mutant, mutants, where_strides_differ
from .survivors import EQUAL, MISSED, reason
from .use import Simulator, activate

TESTS, FURTHER, SECONDS, TOGETHER = 6, 60, 30, 60
LEAST = 10  # mutants that are tried however little time there is
COLLECT = 0.4  # share of the time for finding out which test launches what
DEVICE = "cuda:0"
KERNEL = re.compile(r"\bingot_(\w+)\(")
ALIGNMENT, SHIFTED = re.compile(r"if \(.*\bo\d+\)* & \d+\) == 0\)"), "shifted"  # a branch for aligned offsets, and its test
LAID = frozenset("transposed stepped padded expanded far overlapping second_order".split())  # what lays operands otherwise
ORDERS = ("forward", "reversed")  # of threads
UNUSED = "no test launches it"
SWAPPED, ALIKE = "swap strides", "both strides are one number in every launch, those of operands that lie otherwise included"
WANTED = 0.95  # share of mutants that are killed, or of which it is known why they are not
Case = tuple[Any, Any, str]  # check, record, case


@dataclass
class Tried:
    """A mutant, the op whose kernel it is, and how it ended: ``by`` what it was killed, or "" for a survivor."""

    mutant: Mutant
    op: str
    key: str
    cases: Sequence[Case]
    by: str = ""
    reason: str = ""
    equal: bool = False


@dataclass
class Suite:
    """The op tests, which kernels each launches, and the sources of those."""

    cases: list[Case]
    users: dict[str, list[Case]] = field(default_factory=lambda: defaultdict(list))
    sources: dict[str, str] = field(default_factory=dict)
    heads: dict[str, tuple[str, str, str]] = field(default_factory=dict)


def in_child(work: Any, seconds: float = SECONDS) -> str:
    """What ``work()`` returns in a forked child; how the child ended if it did not return."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(write, (work() or "").encode()[:4000])
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode()[:4000])
        os._exit(0)
    os.close(write)
    end = time.monotonic() + seconds
    status: int | None = None
    while time.monotonic() < end and status is None:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = code
        else:
            time.sleep(0.005)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    if status is None:
        return "did not end"
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else said


def fails(simulator: Simulator, cases: Sequence[Case], setting: dict[str, str], key: str = "") -> str:
    """Why one of ``cases`` fails, in this process; "" where all pass, `UNUSED` where they do and do not launch ``key``."""
    from ingot_tools.conformance.harness.subject import Refused, opened
    from ingot_tools.conformance.harness.suite import run_case

    os.environ.update(setting)
    from .suite import exact_blocks

    exact_blocks()
    device = opened(DEVICE)
    simulator.launched()
    for check, record, case in cases:
        try:
            run_case(device, check, record, case)
        except Refused:
            continue
        except BaseException as error:
            found = simulator.findings()
            return f"found: {found[0]}" if found else f"{type(error).__name__}: {str(error)[:200]}"
        found = simulator.findings()
        if found:
            return f"found: {found[0]}"
    return UNUSED if key and key not in simulator.launched() else ""


def collect(simulator: Simulator, cases: list[Case], folder: Path, end: float) -> Suite:
    """Run ``cases`` without kernels, in a child: which keys each launches, and the sources. After ``end`` no op is begun."""
    suite = Suite(cases)
    table, collected = folder / "used", folder / "collected"
    collected.mkdir()

    def work() -> str:
        from ingot_tools.conformance.harness.subject import opened
        from ingot_tools.conformance.harness.suite import run_case

        from .suite import exact_blocks, judge_nothing

        os.environ.update(INGOT_CUDA_SIM_GATHER=str(collected), INGOT_CACHE_DIR=str(folder / "none"))
        exact_blocks()
        judge_nothing()
        device = opened(DEVICE)
        simulator.launched()
        with table.open("w") as out:
            for number, (check, record, case) in enumerate(cases):
                if number and record is not cases[number - 1][1] and time.monotonic() > end:
                    break
                try:
                    run_case(device, check, record, case)
                except BaseException as error:  # nothing ran, so some tests cannot go on
                    del error
                out.write(f"{number} {' '.join(simulator.launched())}\n")
        return ""

    said = in_child(work, 3600)
    if said:
        raise RuntimeError(f"the kernels could not be collected: {said}")
    for line in table.read_text().splitlines():
        number, *keys = line.split()
        for key in keys:
            suite.users[key].append(cases[int(number)])
    for key in suite.users:
        suite.heads[key], suite.sources[key] = unpacked((collected / key).read_text())
    return suite


def unpacked(text: str) -> tuple[tuple[str, str, str], str]:
    """(architecture, name, options) and the source in what the simulated compiler made."""
    _, _, arch, name, size, rest = text.split("\n", 5)
    return (arch, name, rest[: int(size)]), rest[int(size) :]


def packed(head: tuple[str, str, str], source: str) -> str:
    """The other way."""
    arch, name, options = head
    body = f"{arch}\n{name}\n{len(options)}\n{options}{source}"
    return f"INGOT SIMULATED CUBIN 1\n{len(body):012}\n{body}"


def compile_all(simulator: Simulator, suite: Suite, tried: Sequence[Tried], folder: Path) -> None:
    """Compile originals and mutants, many in one call, in children: what the driver reads from the environment is read once."""
    files = [folder / "collected" / key for key in sorted({t.key for t in tried})]
    for k, one in enumerate(tried):
        files.append(folder / f"{k}.packed")
        files[-1].write_text(packed(suite.heads[one.key], one.mutant.source))
    for start in range(0, len(files), TOGETHER):
        in_child(lambda start=start: str(simulator.build_collected(files[start : start + TOGETHER])), 600)


def of_each_check(cases: Sequence[Case]) -> list[Case]:
    """``cases`` in an order whose beginnings have as many checks as they can: values, shifted operands, the others in turn."""
    turns: Counter[str] = Counter()
    order: list[tuple[int, int, int, Case]] = []
    for case in cases:
        name = case[0].name
        turns[name] += 1
        order.append((turns[name], {"value": 0, SHIFTED: 1, "bits": 1}.get(name, 2), len(order), case))
    return [case for *_, case in sorted(order, key=lambda row: row[:3])]


def chosen(suite: Suite, count: int | None, seed: str) -> list[Tried]:
    """``count`` mutants, of each operator and op in turn; all of them where it is None."""
    strata: dict[tuple[str, str], list[Tried]] = defaultdict(list)
    draw = random.Random(seed)
    for key in sorted(suite.sources):
        cases = suite.users[key]
        for mutant in mutants(suite.sources[key]):
            if ALIGNMENT.search(mutant.was) and not any(c[0].name == SHIFTED for c in cases):
                continue  # the suite shifts operands in an op's main dtype only: what other dtypes do is not held
            if mutant.operator == SWAPPED and not any(c[0].name in LAID for c in cases):
                continue  # and so it is with strides
            some = of_each_check(cases)[:FURTHER]
            strata[mutant.operator, cases[0][1].name].append(Tried(mutant, cases[0][1].name, key, some))
    for group in strata.values():
        draw.shuffle(group)
    total = sum(map(len, strata.values()))
    wanted = total if count is None else min(count, total)
    taken: list[Tried] = []
    by_operator = {o: [g for (operator, _), g in sorted(strata.items()) if operator == o] for o in OPERATORS}
    for groups in by_operator.values():
        draw.shuffle(groups)
    turn = 0
    while len(taken) < wanted:
        for groups in by_operator.values():
            live = [g for g in groups if g]
            if live and len(taken) < wanted:
                taken.append(live[turn % len(live)].pop())
        turn += 1
    return taken


def cases_of(count: int | None, seed: str) -> list[Case]:
    """All op tests, or for a sample all of some ops, drawn by ``seed``: whole ops, so that whatever the suite has against a
    mutant is there. Some of them draw random numbers."""
    from ingot_tools.conformance.harness.suite import each_case
    from ingot_tools.conformance.records import RECORDS

    records = list(RECORDS.values())
    if count is not None:
        draw = random.Random(seed)
        draw.shuffle(records)
        seeds = [r for r in records if r.reference is None][: max(1, count // 60)]
        others = [r for r in records if r not in seeds][: max(6, count // 5)]
        records = others[:1] + seeds + others[1:]
    return [case for record in records for case in each_case([record])]  # op by op


def run(count: int | None, seed: str, keep: float | None = None) -> Iterator[Tried]:
    """Try mutants, one after another; after ``keep`` seconds no more than LEAST."""
    simulator = activate()
    os.environ.setdefault("INGOT_TEST_SMALL", "1")
    import_module("ingot")  # for all children; devices are asked for in those, since none survives a fork
    start, keep = time.monotonic(), keep or float("inf")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = collect(simulator, cases_of(count, seed), folder, start + COLLECT * keep)
        tried = chosen(suite, count, seed)
        compile_all(simulator, suite, tried, folder)
        cache = {"INGOT_CACHE_DIR": str(folder / "cache")}
        launched: dict[tuple[str, float], bool] = {}
        for k, one in enumerate(tried):
            if k >= LEAST and time.monotonic() > start + keep:
                return
            place = folder / str(k)
            place.mkdir()
            (place / one.key).write_text(one.mutant.source)
            if attempt(simulator, one, cache, {**cache, "INGOT_CUDA_SIM_SUBSTITUTES": str(place)}, launched):
                if not (one.by or one.reason) and one.mutant.operator == SWAPPED and alike(simulator, suite, one, cache, place):
                    one.equal, one.reason = True, ALIKE
                yield one


def attempt(
    simulator: Simulator, one: Tried, right: dict[str, str], wrong: dict[str, str], launched: dict[tuple[str, float], bool]
) -> bool:
    """Let the tests of ``one`` look at it until one of them kills it, or until it is known why none does.

    False where none launches its kernel. ``launched`` keeps which do, by what they do with the original.
    """
    met = False
    last = [case for case in of_each_check(own(one)) if case not in one.cases]
    for cases, seconds in ((one.cases[:TESTS], SECONDS), (one.cases[TESTS:], 10 * SECONDS), (last, 20 * SECONDS)):
        if one.by or one.reason:
            break
        if not cases:
            continue
        if (one.key, seconds) not in launched:
            launched[one.key, seconds] = passes(simulator, one, cases, right)
        if not launched[one.key, seconds]:
            continue
        met = True
        for order in ORDERS:  # what one thread writes over another's result depends on it
            setting = {**wrong, "INGOT_CUDA_SIM_ORDER": order}
            one.by = one.by or in_child(partial(fails, simulator, cases, setting), seconds)
        if not one.by:
            why = reason(one.op, one.mutant, EQUAL)
            one.equal, one.reason = bool(why), why or reason(one.op, one.mutant, MISSED)
    return met


def alike(simulator: Simulator, suite: Suite, one: Tried, cache: dict[str, str], place: Path) -> bool:
    """True where no launch can tell the two strides apart: the original traps where they differ, and no test ends so."""
    probe = where_strides_differ(one.mutant, suite.sources[one.key])
    file = place / "probe.packed"
    file.write_text(packed(suite.heads[one.key], probe))
    in_child(lambda: str(simulator.build_collected([file])), 600)
    (place / one.key).write_text(probe)
    cases = [*one.cases, *(case for case in own(one) if case not in one.cases)]
    setting = {**cache, "INGOT_CUDA_SIM_SUBSTITUTES": str(place)}
    return in_child(partial(fails, simulator, cases, setting, one.key), 30 * SECONDS) == ""


def own(one: Tried) -> list[Case]:
    """The tests of the op that the mutant's kernel is named after, as a composite's tests launch the kernels of others."""
    from ingot_tools.conformance.harness.suite import each_case
    from ingot_tools.conformance.records import RECORDS

    name = KERNEL.search(one.mutant.source)
    words = name.group(1).split("_") if name else []  # where_dx is where's
    found = next((r for k in range(len(words), 0, -1) if (r := RECORDS.get("_".join(words[:k])))), None)
    return [] if found is None else list(each_case([found]))


def passes(simulator: Simulator, one: Tried, cases: Sequence[Case], setting: dict[str, str]) -> bool:
    """Whether ``cases`` launch the kernel; RuntimeError where one fails with the original."""
    said = in_child(partial(fails, simulator, cases, setting, one.key), 10 * SECONDS)
    if said not in ("", UNUSED):
        raise RuntimeError(f"a test of {one.op} fails without any mutant: {said}")
    return said != UNUSED


def report(tried: Sequence[Tried]) -> tuple[str, bool]:
    """A table by operator and the survivors; and whether few enough survive without a known reason."""
    lines = []
    for operator in OPERATORS:
        mine = [t for t in tried if t.mutant.operator == operator]
        killed = sum(bool(t.by) for t in mine)
        ways = Counter(t.by.split(":")[0] for t in mine if t.by)
        said = ", ".join(f"{n} by {way}" for way, n in ways.most_common())
        lines.append(f"{operator:24} {killed:5} of {len(mine):5} killed   {said}")
    lines += [
        f"{'equal' if t.equal else 'survivor'}: {t.op}, {t.mutant.operator}, line {t.mutant.line}: {t.mutant.was.strip()}\n"
        f"    became {t.mutant.source.splitlines()[t.mutant.line - 1].strip()}\n    {t.reason or '(no reason known)'}"
        for t in tried if not t.by
    ]  # fmt: skip
    wrong = [t for t in tried if not t.equal]
    killed, unexplained = sum(bool(t.by) for t in wrong), sum(not (t.by or t.reason) for t in wrong)
    lines.append(f"SIMULATED CUDA: {killed} of {len(wrong)} mutants killed ({killed / max(1, len(wrong)):.1%}); {unexplained} "
                 f"survive without a known reason; {len(tried) - len(wrong)} more compute what the original does")  # fmt: skip
    return "\n".join(lines), len(wrong) > 0 and unexplained <= most(len(wrong))


def most(count: int) -> float:
    """How many of ``count`` may survive without a known reason."""
    return max(2.0, (1 - WANTED) * count + 3 * math.sqrt(count * WANTED * (1 - WANTED)))
