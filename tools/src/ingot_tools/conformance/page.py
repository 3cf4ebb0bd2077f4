"""The report as one HTML page without scripts: the grade, a bar a level, the grid of ops and dtypes, what is wrong."""

from __future__ import annotations

from html import escape

from .levels import LEVELS
from .records.record import ALL
from .report import ON_DEVICE, Cell, Report, rows
from .result import BAD, GAP, PASSED, UNSUPPORTED

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24; }
h1 { margin-bottom: 0 } .grade { font-size: 4rem; font-weight: 700; line-height: 1; } .F { color: #c62828 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .15rem .5rem; text-align: left; font-size: .85rem }
.grid td { text-align: center; min-width: 4.2rem; border: 1px solid #fff } .grid th { font-weight: 600 }
.native { background: #1b5e20; color: #fff } .generated { background: #66bb6a } .decomposed { background: #c5e1a5 }
.view { background: #e8f5e9 } .host { background: #ffe082 } .unsupported { background: #cfd8dc } .gap { background: #ffb74d }
.wrong { background: #c62828; color: #fff } .not-run { background: #fafafa; color: #999 } .bar { width: 20rem }
.bar div { height: .8rem; float: left } pre { background: #f5f5f5; padding: .7rem; overflow-x: auto }
small { color: #667 } .note { border-left: .3rem solid #ffb74d; padding-left: .7rem }
"""
MEANING = {
    "native": "a kernel that somebody wrote", "generated": "from the op's definition", "decomposed": "into other ops",
    "view": "no kernel needed", "host": "right, on the host", "unsupported": "dtype refused by the device",
    "gap": "wrong, and declared", "wrong": "wrong", "not run": "not run",
}  # fmt: skip


def html(report: Report) -> str:
    """The page."""
    grade = report.grade()
    letter = grade.letter or "–"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Conformance of {escape(report.device)}</title><style>{STYLE}</style>",
        f"<h1>{escape(report.device)}</h1><small>{escape(str(report.facts.get('fingerprint', '')))}</small>",
        f"<p class='grade {letter}'>{letter}</p><p>{escape(grade.sentence)}</p>",
        *(f"<p class=note>{escape(note)}" for note in report.notes),
        _levels(report), _legend(), _grid(report), _faults(report), "</html>",
    ]  # fmt: skip
    return "\n".join(parts)


def _levels(report: Report) -> str:
    lines = ["<table><tr><th>level<th>what<th><th>right<th>of<th>"]
    for level, (name, counts, asked) in zip(LEVELS, report.levels(), strict=True):
        bad = sum(counts[s] for s in BAD)
        shares = [("generated", counts[PASSED]), ("gap", counts[GAP]), ("unsupported", counts[UNSUPPORTED]), ("wrong", bad)]
        bar = "".join(f"<div class={k} style='width:{20 * n / asked:.3f}rem'></div>" for k, n in shares if n and asked)
        note = ", ".join(f"{n} {s}" for s, n in counts.items() if s != PASSED)
        lines.append(f"<tr><th>{escape(name)}<td>{escape(level.about)}<td class=bar>{bar}"
                     f"<td>{counts[PASSED] or ''}<td>{asked or ''}<td>{escape(note)}")  # fmt: skip
    return "\n".join([*lines, "</table>"])


def _legend() -> str:
    cells = "".join(f"<td class='{k.replace(' ', '-')}'>{k}<br><small>{v}</small>" for k, v in MEANING.items())
    return f"<table class=grid><tr>{cells}</table>"


def _grid(report: Report) -> str:
    head = "".join(f"<th>{d}" for d in ALL)
    lines = [f"<table class=grid><tr><th>{head}"]
    for group, members in rows(report.grid()):
        lines.append(f"<tr><th colspan={len(ALL) + 1}>{escape(group)}")
        lines += [f"<tr><th>{escape(record.name)}{''.join(map(_cell, (row.get(d) for d in ALL)))}" for record, row in members]
    return "\n".join([*lines, "</table>"])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td>"
    text = cell.state if cell.state not in ON_DEVICE or cell.ulp is None else f"{cell.ulp:.2g} ulp"
    title = f"host: {cell.host}" if cell.host else cell.state
    return f"<td class='{cell.state.replace(' ', '-')}' title='{title}'>{text}"


def _faults(report: Report) -> str:
    lines = []
    for r in (*report.bad, *report.gaps):
        lines.append(f"<h3>{escape(r.case)} <small>{r.status}</small></h3><p>{escape(r.message)}")
        if r.program:
            lines.append(f"<pre>{escape(r.program)}</pre>")
    return "\n".join(lines)
