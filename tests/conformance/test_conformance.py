"""The command: declared gaps, programs to paste, wrong questions, the table of contents."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ingot_devices import IngotError
from ingot_tools.conformance.command import choose
from ingot_tools.conformance.levels import LEVELS, cases, sampled
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.result import CLOSED, GAP, PASSED, UNSUPPORTED, WRONG
from installed import paths
from planting import DEVICE, Planted


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
