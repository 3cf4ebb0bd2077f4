"""What holds of the records themselves: nothing required is missing, and they share no code with
the opset."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import records
from records import RECORDS, REQUIRED
from records.record import Record

HOME = Path(records.__file__).parent
ALLOWED = {"numpy", "scipy", "records", *sys.stdlib_module_names}
EACH = pytest.mark.parametrize("record", RECORDS.values(), ids=str)


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that ``path`` imports absolutely, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(HOME.glob("*.py")), ids=lambda p: p.stem)
def test_references_share_no_code_with_the_opset(path: Path) -> None:
    assert imported(path) <= ALLOWED
    assert "import_module" not in path.read_text() or path.name == "__init__.py"


def test_nothing_required_is_missing() -> None:
    assert sorted(REQUIRED - set(RECORDS)) == []


@EACH
def test_each_record_has_every_kind_of_sample(record: Record) -> None:
    """An empty and a zero-dim operand, or the reason why the op takes none; an answer to compare
    with."""
    assert record.no_empty or any(s.is_empty for s in record.samples)
    assert record.no_zero_dim or any(s.is_zero_dim for s in record.samples)
    assert any(not (s.big or s.is_empty or s.is_zero_dim) for s in record.samples)
    assert record.reference or record.verify or record.name.startswith("empty")
