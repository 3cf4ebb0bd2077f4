"""``ingot explain OP``: which route an op takes on a device, and why not the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from ingot_devices import IngotError, open_device
from ingot_devices.dtypes import dtype

from .cli import DONE

SCHEMA = "ingot.explain"
SCHEMA_VERSION = 1


def explain_op(op: str, device: str, dtypes: Sequence[str], as_json: bool) -> int:
    """Print the explanation as text or JSON."""
    from ingot_devices import resolve
    from ingot_devices.opset import OPS

    if op not in OPS:
        near = get_close_matches(op, OPS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise IngotError(f"no op is called {op!r}.{hint} The opset has {len(OPS)} ops")
    try:
        wanted = [dtype(name) for name in dtypes]
    except TypeError as error:
        raise IngotError(str(error)) from None
    found: Any = resolve.explain(op, open_device(device), wanted)
    if as_json:
        print(
            json.dumps(
                {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **found.to_dict()}, indent=2
            )
        )
    else:
        print(found.text())
    return DONE
