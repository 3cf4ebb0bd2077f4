"""The report: the grade, what it says beside it, progress on the way to it, and the page."""

from __future__ import annotations

from html import unescape

import pytest
from ingot_tools.conformance import show as showing
from ingot_tools.conformance.harness.pace import SLOW, TILE
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.levels import Case, cases
from ingot_tools.conformance.page import html
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.report import Grade, Report
from ingot_tools.conformance.result import CRASHED, GAP, PASSED, UNSUPPORTED, WRONG, Result, worst_route
from planting import DEVICE


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
