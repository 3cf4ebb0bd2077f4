"""``ingot source OP``: the kernel that would run, as definition, as rendered source, and what the driver says it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingot_devices import open_device
from ingot_devices.explain import Explanation, explain, resolved
from ingot_devices.observe import Patches
from ingot_devices.opset.op import Op
from ingot_devices.plan import Plan
from ingot_devices.resolve import specs_of

from .cli import DONE, FAILED
from .explain import parsed

SCHEMA = "ingot.source"
SCHEMA_VERSION = 1


@dataclass
class Kernel:
    """One step of the plan, for people. ``resources``: what the driver tells of each kernel built for it."""

    op: str
    route: str
    origin: str
    source: str


def show_source(
    op: str, device: str, dtypes: Sequence[str], shapes: Sequence[str], attributes: Sequence[str], as_json: bool
) -> int:
    """Print it; 1 if nothing computes the op."""
    opened = open_device(device)
    built: dict[str, Mapping[str, int]] = {}
    patches = Patches()

    def recording(inner: Any) -> Any:
        def build(source: Any, name: str) -> Any:
            entry = inner(source, name)
            built[name] = opened.resources(entry)
            return entry

        return build

    patches.replace(opened, "build", recording)
    try:
        asked = parsed(dtypes, shapes, attributes)
        told = explain(op, opened, *asked)
        if told.route in ("", "view"):
            print(told.text())
            return FAILED if not told.route else DONE
        row, plan = resolved(op, opened, *asked)
    finally:
        patches.undo()
    steps = [Kernel(s.op, s.route, s.origin, s.source) for s in plan.steps]
    definition = _definition(row, plan)
    if as_json:
        print(json.dumps(_plain(told, definition, steps, built), indent=2))
    else:
        _show(told, definition, steps, built)
    return DONE


def _definition(row: Op, plan: Plan) -> str:
    """The op's meaning in the kernel IR, where it has one of its own."""
    if row.expression is None and row.define is None:
        return ""
    specs, attrs = specs_of(plan.keys), plan.attributes
    return "\n".join(map(str, row.definitions(specs, attrs, row.infer(specs, attrs))))


def _plain(
    told: Explanation, definition: str, steps: Sequence[Kernel], built: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "op": told.op, "device": told.device, "route": told.route,
        "definition": definition, "steps": [vars(s) for s in steps], "resources": {k: dict(v) for k, v in built.items()},
    }  # fmt: skip


def _show(
    told: Explanation, definition: str, steps: Sequence[Kernel], built: Mapping[str, Mapping[str, int]]
) -> None:
    print(f"{told.op}({', '.join(told.operands)}) on {told.device}: {told.route}")
    if definition:
        print(f"\n-- definition\n{definition}")
    for number, step in enumerate(steps):
        place = f", written at {step.origin}" if step.origin else ""
        print(f"\n-- step {number}: {step.op} [{step.route}]{place}\n{step.source.rstrip() or '(no source)'}")
    for name, resources in built.items():
        if resources:
            print(f"\n-- {name}: " + ", ".join(f"{what} {n}" for what, n in resources.items()))
