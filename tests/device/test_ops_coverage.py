"""What holds of the records themselves: nothing required is missing, and they share no code with
the opset."""

from __future__ import annotations

import ast
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import ingot
import pytest
from ingot_tools.conformance import records
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.harness.suite import each_case, run_case
from ingot_tools.conformance.records import RECORDS, REQUIRED
from ingot_tools.conformance.records.record import Record

HOME = Path(records.__file__).parent
ALLOWED = {"numpy", "scipy", *sys.stdlib_module_names}
EACH = pytest.mark.parametrize("record", RECORDS.values(), ids=str)


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that ``path`` imports, also inside functions; a package above its own is ``..``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            found.add("." * node.level or (node.module or "").split(".")[0])
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


STEPS_OF_OTHERS = {"arrange", "sort_merge", "sort_pass", "sort_ranks", "stack"}
"""Ops that only a device without kernels of its own runs: steps of sort, and the row form of cat."""


def test_every_op_is_reached_by_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running each record with its derivatives resolves, or shares the name of, every op."""
    from ingot import dispatch, lazy
    from ingot_devices import is_available, resolve
    from ingot_devices.opset import OPS

    if not is_available("cpu"):
        pytest.skip("counted on the CPU")
    reached, real = set(RECORDS), resolve.resolve

    def noted(op: Any, *args: Any, **kwargs: Any) -> Any:
        reached.add(op.name)
        return real(op, *args, **kwargs)

    for module in (lazy.resolution, resolve):
        monkeypatch.setattr(module, "resolve", noted)
    dispatch.forget_plans()
    subject = Subject(ingot, "cpu")
    for check, record, case in each_case(list(RECORDS.values())):
        if check.name in ("value", "gradient", "second_order") and case == record.main_dtype:
            with suppress(AssertionError, RuntimeError, Warning):  # their own test tells
                run_case(subject, check, record, case)
    declared = {name for name, op in OPS.items() if op.group == "custom"}  # somebody's: `test_linalg`, `test_custom_ops`
    missing = sorted(set(OPS) - reached - STEPS_OF_OTHERS - declared)
    assert not missing, f"no record runs {', '.join(missing)}"
