"""``ingot explain OP``: which route an op takes on a device, and why not the others."""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Sequence
from typing import Any

from ingot_devices import IngotError, open_device
from ingot_devices.discovery import notes
from ingot_devices.dtypes import dtype
from ingot_devices.explain import explain

from .cli import DONE, FAILED

SCHEMA = "ingot.explain"
SCHEMA_VERSION = 1


def explain_op(
    op: str,
    device: str,
    dtypes: Sequence[str],
    shapes: Sequence[str],
    attributes: Sequence[str],
    as_json: bool,
) -> int:
    """Print the explanation as text or JSON; 1 if nothing computes the op."""
    opened = open_device(device)
    found = explain(op, opened, *parsed(dtypes, shapes, attributes))
    if as_json:
        plain = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **found.to_dict(), "notes": notes(opened.kind)}
        print(json.dumps(plain, indent=2))
    else:
        print(found.text())
        for text in notes(opened.kind):
            print(f"note: {text}")
    return DONE if found.route else FAILED


def parsed(dtypes: Sequence[str], shapes: Sequence[str], attributes: Sequence[str]) -> tuple[list[Any], list[Any], Any]:
    """The options of a command as `explain` takes them; IngotError names the one that is wrong."""
    return [_dtype(name) for name in dtypes], [_shape(text) for text in shapes], dict(map(_attribute, attributes))


def _dtype(name: str) -> Any:
    try:
        return dtype(name)
    except TypeError as error:
        raise IngotError(str(error)) from None


def _shape(text: str) -> tuple[int, ...]:
    sizes = text.replace("x", " ").replace(",", " ").split()
    if not all(s.isdecimal() for s in sizes):
        raise IngotError(f"--shape {text}: not a shape; write sizes as in 16x16")
    return tuple(map(int, sizes))


def _attribute(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise IngotError(f"--set {text}: write NAME=VALUE, as in axis=-1")
    try:
        return name, literal_eval(value)
    except (ValueError, SyntaxError):
        return name, _dtype(value)
