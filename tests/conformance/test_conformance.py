"""The command and what is behind it: children that crash or hang, declared gaps, programs to paste, the grade, the files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import IngotError
from ingot_tools.conformance import conduct as conducting
from ingot_tools.conformance import show as showing
from ingot_tools.conformance.child import Child
from ingot_tools.conformance.command import choose
from ingot_tools.conformance.conduct import conduct
from ingot_tools.conformance.harness.pace import SLOW, TILE
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.levels import LEVELS, Case, cases, sampled
from ingot_tools.conformance.page import html
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.report import Grade, Report
from ingot_tools.conformance.result import CLOSED, CRASHED, GAP, PASSED, UNSUPPORTED, WRONG, Result, worst_route
from ingot_tools.scaffold import new
from installed import install, paths, run

DEVICE = "acme:0"
LAUNCH = "    def launch(self, entry, grid, block, arguments, stream=None):\n"
ABORT = "        if entry.__name__ == 'ingot_exp':\n            import os\n            os.abort()\n"
HANG = "        while entry.__name__ == 'ingot_exp':\n            pass\n"
PRODUCT = "        if entry.__name__ == 'ingot_matmul':\n            import os, time\n            "
NOTED = "open('hung', 'w').write(str(os.getpid()))\n            time.sleep(600)\n"
RUNS = "        self.board.launch(entry, grid[0], [b.handle for b in arguments.bindings], arguments.scalars)\n"
SPOILS = "        for b in arguments.bindings:\n            self.board.memory[b.handle][:1] ^= b.access == 'r'\n"
STORES = "    memory[offset[mask]] = value[mask]\n"
BEYOND = "    memory[min(int(np.max(offset)) + 1, len(memory) - 1)] = 1\n"
DECLINES = """    class Declines(ScheduleCodegen):
        def compile(self, definition, *given, **more):
            if "add_scaled" in definition.name:
                from ingot_devices.codegen import Unsupported
                raise Unsupported("no such kernel")
            return super().compile(definition, *given, **more)
    codegen = Declines(Renderer())
"""
NO_DOUBLES = "HALVES = {\n    dt.float64: DTypeClass('refused', dt.float64, dt.float64, 'no doubles'),"
FAULTY = {
    "crash": ("device.py", LAUNCH, LAUNCH + ABORT),
    "hang": ("device.py", LAUNCH, LAUNCH + HANG),
    "no product": ("device.py", LAUNCH, LAUNCH + PRODUCT + "os._exit(139)\n"),
    "endless product": ("device.py", LAUNCH, LAUNCH + PRODUCT + NOTED),
    "no board": ("device.py", "        self.board = Board(index)\n", "        import os; os._exit(3)\n"),
    "gap": ("device.py", "    codegen =", "    gaps = {'value/exp/float32': 'three digits'}\n    codegen ="),
    "pattern": ("device.py", "    codegen =", "    gaps = {'value/ex*/float16': 'none of it'}\n    codegen ="),
    "wrong": ("dialect.py", '"exp({0})"', '"(exp({0}) + exp({0}) * {type}(0.01))"'),
    "outside": ("driver.py", STORES, STORES + BEYOND),
    "spoils": ("device.py", RUNS, RUNS + SPOILS),
    "no kernel": ("device.py", "    codegen = ScheduleCodegen(Renderer())\n", DECLINES),
    "refuses": ("device.py", "HALVES = {", NO_DOUBLES),
}  # fmt: skip
"""name → (file, what is there, what is put there)."""
EXP = ("*/value/exp/*", "*/value/neg/float32")


class Planted:
    """A package acme with some of `FAULTY`, installed on a path of its own."""

    def __init__(self, place: Path, *faults: str) -> None:
        self.place = place
        self.site = place / "site"
        self.site.mkdir()
        home = new.backend("acme", place / "ingot-acme", native=True)
        for name in faults:
            file, found, put = FAULTY[name]
            path = home / "src/ingot_acme" / file
            assert found in path.read_text()
            path.write_text(path.read_text().replace(found, put))
        install(home, self.site)

    def conformance(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        quiet = {"INGOT_DISABLE": "opencl,cuda,webgpu", **environment}
        return run(self.site, "ingot", "conformance", DEVICE, *arguments, cwd=self.place, **quiet)

    def report(self, *only: str, code: int, **environment: str) -> dict[str, Any]:
        chosen = [a for pattern in only for a in ("--only", pattern)]
        done = self.conformance("--json", "report.json", *chosen, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        made: dict[str, Any] = json.loads((self.place / "report.json").read_text())
        return made


# ---- children that end -------------------------------------------------------------------------------------------------
def test_a_crash_costs_one_case(tmp_path: Path) -> None:
    found = Planted(tmp_path, "crash").report("pointwise/value/exp/float32", "pointwise/value/neg/float32", code=1)
    (wrong,) = found["wrong"]
    assert wrong["case"] == "pointwise/value/exp/float32" and wrong["status"] == CRASHED
    assert "SIGABRT" in wrong["message"]
    assert found["grid"]["neg"]["float32"]["state"] == "generated", "the case behind the crash ran"
    assert found["ran"] == found["asked"] == 2


def test_a_product_that_crashes_costs_its_own_cases(tmp_path: Path) -> None:
    """The device is measured by one before all cases: whose fault it is, and that nothing is known, is said."""
    found = Planted(tmp_path, "no product").report("value/neg/float32", "contraction/value/mm/float32", code=1)
    (wrong,) = found["wrong"]
    assert wrong["case"] == "contraction/value/mm/float32" and "ended with 139" in wrong["message"]
    assert found["grid"]["neg"]["float32"]["state"] == "generated"
    (note,) = found["notes"]
    assert "product of 48×48 float32 was asked for, and the process ended with 139" in note and "nothing was left out" in note


def test_a_product_that_hangs_is_waited_for_as_a_case_is(tmp_path: Path) -> None:
    done = Planted(tmp_path, "endless product").conformance("--only", "value/neg/float32", "--patience", "15")
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("no answer for 15 s", "nothing was left out for it", "are right"):
        assert text in done.stdout


def test_what_hangs_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "HANGS", 2)
    monkeypatch.setattr(Child, "__init__", never_answers)
    wanted = [c for c in cases() if c.name.startswith("pointwise/value/abs/")][:4]
    waited: list[str] = []
    watcher = conducting.Watcher()
    monkeypatch.setattr(watcher, "waits", lambda case, seconds, patience: waited.append(case), raising=False)
    monkeypatch.setattr(conducting, "TICK", 0.05)
    made = conduct("cpu:0", wanted, watcher=watcher, patience=0.2)
    assert [r.case for r in made.results] == [wanted[0].name] and made.left == [c.name for c in wanted[1:]]
    assert "the rest was not run: the process was lost 2 times, 2 of them because no answer came" in made.notes[1]
    assert {"pace", wanted[0].name} == set(waited), "whoever waits is told for what"


def never_answers(self: Child, device: str, names: list[str], alone: bool, pace: Any) -> None:
    """A child that begins its first case and no more."""
    lines = (json.dumps({"ready": device, "facts": {}}), json.dumps({"begin": names[0]}))
    command = [sys.executable, "-c", f"import time; print({chr(10).join(lines)!r}, flush=True); time.sleep(60)"]
    self.start(command, {**os.environ}, names)


def test_a_device_that_does_not_open_says_how(tmp_path: Path) -> None:
    done = Planted(tmp_path, "no board").conformance("--only", "value/neg/float32")
    assert done.returncode == 1 and "error: conformance could not begin: the process ended with 3" in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_the_command_ends_its_worker(ending: signal.Signals, tmp_path: Path) -> None:
    planted = Planted(tmp_path, "endless product")
    code = f"from ingot_tools.cli import main; main(['conformance', {DEVICE!r}, '--only', 'value/neg/float32'])"
    environment = {**os.environ, **paths(planted.site), "INGOT_DISABLE": "opencl,cuda,webgpu"}
    command = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    pid = tmp_path / "hung"
    until(lambda: pid.exists() and bool(pid.read_text()))
    command.send_signal(ending)
    assert command.wait(timeout=30) == {signal.SIGTERM: 143, signal.SIGINT: 130}[ending]
    until(lambda: not Path(f"/proc/{pid.read_text()}").exists())


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until ``holds`` does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.1)


def test_a_hang_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Planted(tmp_path, "hang")
    monkeypatch.setattr(conducting, "PATIENCE", 25.0)
    monkeypatch.syspath_prepend(str(planted.site))
    monkeypatch.setenv("INGOT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("INGOT_DISABLE", "opencl,cuda,webgpu")
    wanted = [c for c in cases() if c.name in ("pointwise/value/exp/float32", "pointwise/value/neg/float32")]
    found = {r.case: r for r in conduct(DEVICE, wanted).results}
    assert found["pointwise/value/exp/float32"].status == CRASHED
    assert "no answer" in found["pointwise/value/exp/float32"].message
    assert found["pointwise/value/neg/float32"].status == PASSED


def test_a_child_runs_so_many_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    begin = Child.__init__

    def counted(self: Child, device: str, names: list[str], *given: Any) -> None:
        children.append(len(names))
        begin(self, device, names, *given)

    monkeypatch.setattr(conducting, "MANY", 2)
    monkeypatch.setattr(Child, "__init__", counted)
    wanted = [c for c in cases() if c.name.startswith("pointwise/value/abs/")][:5]
    assert [r.case for r in conduct("cpu:0", wanted).results] == [c.name for c in wanted]
    assert children == [2, 2, 2], "the first thing that the first one does is to time a product"


# ---- gaps and faults ---------------------------------------------------------------------------------------------------
def test_a_fault_has_a_program_that_shows_it(tmp_path: Path) -> None:
    planted = Planted(tmp_path, "wrong")
    found = planted.report("pointwise/value/exp/float32", code=1)
    (wrong,) = found["wrong"]
    assert wrong["status"] == WRONG and wrong["ulp"] > 1000 and "ulp apart" in wrong["message"]
    assert "from ingot_tools" not in wrong["program"], "ingot and NumPy are all that it needs"
    script = tmp_path / "pasted.py"
    script.write_text(wrong["program"])
    environment = {**paths(planted.site), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = float(wrong["program"].rpartition("# expected: ")[2].strip("[]. \n"))
    got = float(done.stdout.partition("[")[2].partition("]")[0])
    assert got == pytest.approx(1.01 * expected, rel=1e-3)


@pytest.mark.parametrize(
    ("fault", "told", "shown"),
    [
        ("outside", "memory outside of the result was written", "exp on acme:0 .* wrote outside its memory"),
        ("spoils", "operand 0 was changed by the call", "AssertionError: x0 was changed by the call: .*, not "),
    ],
)
def test_a_program_shows_what_is_no_matter_of_values(fault: str, told: str, shown: str, tmp_path: Path) -> None:
    planted = Planted(tmp_path, fault)
    (wrong,) = planted.report("pointwise/value/exp/float32", code=1)["wrong"]
    assert told in wrong["message"] and "from ingot_tools" not in wrong["program"]
    environment, command = {**paths(planted.site), "PATH": "/usr/bin:/bin"}, [sys.executable, "-c", wrong["program"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search(shown, done.stderr), done.stderr


def test_a_declared_gap_is_no_fault(tmp_path: Path) -> None:
    found = Planted(tmp_path, "wrong", "gap").report("pointwise/value/exp/float32", code=0)
    (gap,) = found["gaps"]
    assert gap["status"] == GAP and gap["message"].startswith("three digits (")
    assert found["wrong"] == [] and found["grid"]["exp"]["float32"]["state"] == GAP


def test_a_gap_that_has_closed_is_an_error(tmp_path: Path) -> None:
    found = Planted(tmp_path, "gap").report("pointwise/value/exp/float32", code=1)
    (wrong,) = found["wrong"]
    assert wrong["status"] == CLOSED and "take it out of the device's `gaps`" in wrong["message"]


def test_a_gap_that_names_nothing_wrong_is_an_error(tmp_path: Path) -> None:
    found = Planted(tmp_path, "pattern").report("pointwise/value/exp*", code=1)
    (wrong,) = found["wrong"]
    assert wrong["case"] == "gaps/value/ex*/float16" and "none of its cases is wrong" in wrong["message"]


def test_a_refused_dtype_is_unsupported_with_its_reason(tmp_path: Path) -> None:
    found = Planted(tmp_path, "refuses").report("pointwise/value/exp/*", code=0)
    assert found["facts"]["refused"] == {"float64": "no doubles"}
    assert found["grid"]["exp"]["float64"]["state"] == UNSUPPORTED
    assert found["grid"]["exp"]["float32"]["state"] == "generated"


def test_without_the_cpu_plugin(tmp_path: Path) -> None:
    """The last level runs where there is no other device at all."""
    found = Planted(tmp_path).report("alone/value/add/*", "alone/value/softmax/*", "alone/value/sort/*", code=0)
    (alone,) = [level for level in found["levels"] if level["level"] == "alone"]
    assert alone[PASSED] == alone["asked"] == 3


def test_an_op_on_the_host_is_named(tmp_path: Path) -> None:
    """`add` calls another op where it is given an alpha: which one the host ran is said."""
    planted = Planted(tmp_path, "no kernel")
    found = planted.report("pointwise/value/add/float32", "pointwise/value/mul/float32", code=0)
    assert found["grid"]["add"]["float32"]["state"] == "host" and found["grid"]["add"]["float32"]["host"] == "add_scaled"
    assert found["grid"]["mul"]["float32"] == {"state": "generated", "ulp": 0.0}
    done = planted.conformance("--only", "pointwise/value/add/float32", "--html", "page.html")
    assert "ran on the host, in so many of these: add_scaled (1)" in done.stdout
    assert "<td class='host' title='host: add_scaled'>host" in (tmp_path / "page.html").read_text()


def test_an_op_that_may_not_run_on_the_host_blames_nobody_s_line(tmp_path: Path) -> None:
    found = Planted(tmp_path, "no kernel").report("pointwise/value/add/float32", code=1, INGOT_FALLBACK="error")
    (wrong,) = found["wrong"]
    assert "add_scaled has no kernel on acme:0" in wrong["message"] and wrong["message"].endswith("or INGOT_FALLBACK=allow")


def test_checks_cannot_be_optimised_away(tmp_path: Path) -> None:
    found = Planted(tmp_path, "wrong").report("pointwise/value/exp/float32", code=1, PYTHONOPTIMIZE="2")
    assert found["wrong"]


# ---- the words for people ----------------------------------------------------------------------------------------------
def test_the_command_shows_levels_faults_and_a_grade(tmp_path: Path) -> None:
    done = Planted(tmp_path, "wrong").conformance("--only", "value/exp/float32", "--html", "page.html")
    assert done.returncode == 1
    for text in ("pointwise", "1 wrong", "ulp apart", "print(ingot.exp(x0))", "# expected:", "grade F: 2 of 2 cases are wrong"):
        assert text in done.stdout, f"{text!r} missing in {done.stdout}"
    page = (tmp_path / "page.html").read_text()
    assert "class='grade F'" in page and "<td class='wrong' title='wrong'>wrong" in page and "<script" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--level", "speed"), ("no level is called 'speed'", "memory", "training")),
        (("--only", "value/expp"), ("no case is named like 'value/expp': a pattern is a part of", "--list")),
        (("--level", "contraction", "--only", "/relu/"), ("and none of them is of contraction; they are of pointwise, ",)),
    ],
)
def test_a_wrong_question_gets_an_answer(tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = Planted(tmp_path).conformance(*arguments)
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr


def test_cases_are_listed(tmp_path: Path) -> None:
    done = Planted(tmp_path).conformance("--list", "--level", "memory")
    assert "memory/copies_reach_every_byte" in done.stdout.split()


def test_replay_runs_one_case(tmp_path: Path) -> None:
    planted = Planted(tmp_path, "wrong")
    code = f"from ingot_tools.conformance import replay; replay({DEVICE!r}, 'pointwise/value/exp/float32')"
    environment = {**paths(planted.site), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "AssertionError: pointwise/value/exp/float32 on acme:0" in done.stderr


def test_replay_of_nothing_says_what_there_is() -> None:
    from ingot_tools.conformance import replay

    with pytest.raises(ValueError, match="no case is called 'x/y'; `ingot conformance DEVICE --list`"):
        replay("cpu:0", "x/y")


# ---- the table of contents ---------------------------------------------------------------------------------------------
def test_every_check_of_every_record_has_one_level() -> None:
    from ingot_tools.conformance.harness.suite import each_case

    wanted = [(check.name, record.name, variant) for check, record, variant in each_case(list(RECORDS.values()))]
    found = [(c.check, c.record.name, c.variant) for c in cases() if c.record is not None and c.level != "alone"]
    assert sorted(found) == sorted(wanted)


def test_names_are_addresses() -> None:
    names = [c.name for c in cases()]
    assert len(set(names)) == len(names)
    assert all(name.startswith(tuple(level.name for level in LEVELS)) for name in names)


def test_a_sample_begins_with_every_probe_and_every_op() -> None:
    drawn = sampled(list(cases()), "7")
    probing = {c.name for c in cases() if c.record is None}
    first = drawn[: len(probing) + len(RECORDS)]
    assert {c.record.name if c.record else c.name for c in first} == probing | set(RECORDS)
    assert sampled(list(cases()), "8") != drawn and sorted(map(str, drawn)) == sorted(map(str, cases()))


def test_one_cannot_choose_part_and_call_it_whole() -> None:
    assert choose(DEVICE, [], [])[1]
    assert not choose(DEVICE, ["memory"], [])[1]
    with pytest.raises(IngotError, match="no level is called"):
        choose(DEVICE, ["nothing"], [])


# ---- the grade ---------------------------------------------------------------------------------------------------------
def graded(route: str, *special: tuple[str, Result], left: int = 0, whole: bool = True) -> Grade:
    """The grade where every case is right by ``route``, but for the special ones; ``left`` were not run."""
    asked = list(cases())
    given = dict(special)
    results = [given.get(c.name) or Result(c.name, PASSED, route=route if c.check == "value" else "") for c in asked]
    ran = len(results) - left
    return Report(DEVICE, {}, results[:ran], asked, [c.name for c in asked[ran:]], whole).grade()


def test_a_grade_cannot_be_bought_with_skips() -> None:
    name = "pointwise/value/add/float32"
    assert graded("generated").letter == "A"
    assert graded("host").letter == "D"
    assert graded("generated", left=1).letter == ""
    assert graded("generated", whole=False).letter == ""
    assert graded("generated", (name, Result(name, WRONG, "x"))).letter == "F"
    assert graded("generated", (name, Result(name, CRASHED, "x"))).letter == "F"
    assert graded("generated", (name, Result(name, GAP, "x"))).letter == "B"
    doubles = [(c.name, Result(c.name, UNSUPPORTED)) for c in cases() if c.variant.startswith("float")]
    refusing = graded("generated", *doubles)
    assert refusing.letter > "A" and refusing.covered < graded("generated").covered


def test_nothing_run_is_no_grade() -> None:
    made = Report(DEVICE, {}, [], list(cases()), []).grade()
    assert made.letter == "" and "nothing ran" in made.sentence


def test_a_slow_device_is_said_to_be_asked_less() -> None:
    asked = [c for c in cases() if c.name.startswith("contraction/value/matmul/")]
    results = [Result(c.name, PASSED, route="native") for c in asked]
    pace = {"device": 0.05, "python": 0.01}
    made = Report(DEVICE, {"interprets": True, "has_room": True, "pace": pace}, results, asked)
    left_out = 3 * len(asked)  # in each dtype all but the one beyond any tile
    assert f"all {len(asked)} cases are right, {left_out} large samples left out because it is slow" in made.grade().sentence
    (note,) = made.to_dict()["notes"]
    assert "a product of 48×48 took 50 ms, Python's own loops 10 ms" in note and f"{left_out} large samples" in note
    assert note in unescape(html(made))
    assert Report(DEVICE, {"interprets": False}, results, asked).notes == []


def test_each_contraction_has_a_sample_beyond_any_tile() -> None:
    subject = Subject(None, DEVICE)
    subject.goes_at(SLOW)
    for record in (r for r in RECORDS.values() if r.group == "contraction"):
        taken = [s for s in record.samples if s.big and subject.takes(s)]
        sides = [n for s in taken for o in s.operands() for n in o.shape[-2:]]
        assert sides and min(sides) > 64 and (max(sides) <= TILE or record.name == "dot"), record.name


def test_progress_is_told_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(showing, "TOLD", 0.0)
    for quiet in (False, True):
        with showing.progress("acme:0", 2, quiet) as watcher:
            watcher.came(Result("views/value/flip/float32", PASSED))
            watcher.waits("views/value/roll/float32", 61.2, 180.0)
            watcher.came(Result("views/value/roll/float32", WRONG))
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "acme:0: 1 of 2, 0 wrong, at views/value/flip/float32",
        "acme:0: 1 of 2, 0 wrong, at views/value/roll/float32, for 61 s (at most 180)",
        "acme:0: 2 of 2, 1 wrong, at views/value/roll/float32",
    ] and not said.out  # fmt: skip


def test_the_worst_route_counts() -> None:
    assert worst_route({}, {}) == "view"
    assert worst_route({"generated": 2}, {"generated": 3, "host": 1}) == "host"
    assert worst_route({"registered": 1}, {"registered": 2}) == "native"
    assert worst_route({"host": 5, "generated": 1}, {"host": 5, "generated": 2}) == "generated"


def test_the_page_escapes_what_it_shows() -> None:
    case = next(iter(cases()))
    report = Report(DEVICE, {"fingerprint": "<b>"}, [Result(case.name, WRONG, "a < b & <i>")], [case])
    page = html(report)
    assert "a &lt; b &amp; &lt;i&gt;" in page and "&lt;b&gt;" in page


def test_a_case_is_found_by_its_name() -> None:
    assert Case("memory", "x").name == "memory/x"
