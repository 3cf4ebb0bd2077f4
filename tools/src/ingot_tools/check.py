"""Runs a small program on one device, in a child process: ``python -m ingot_tools.check DEVICE``.

`doctor` starts one per device, so that a driver that crashes or hangs is a FAIL like
any other. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[[Any, str], "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]"]
_TOLERANCE = 1e-4
_SHAPE = (33, 17)  # odd on purpose: no multiple of any vector or workgroup


def _values() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(_SHAPE, np.float32), rng.standard_normal(_SHAPE, np.float32)


def _add(ingot: Any, device: str) -> tuple[Any, Any]:
    a, b = _values()
    return (ingot.tensor(a, device=device) + ingot.tensor(b, device=device)).cpu().numpy(), a + b


def _matmul(ingot: Any, device: str) -> tuple[Any, Any]:
    a, b = _values()
    found = ingot.tensor(a, device=device) @ ingot.tensor(b, device=device).T
    return found.cpu().numpy(), a @ b.T


def _sum(ingot: Any, device: str) -> tuple[Any, Any]:
    a, _ = _values()
    return ingot.tensor(a, device=device).sum(0).cpu().numpy(), a.sum(0)


def _gradient(ingot: Any, device: str) -> tuple[Any, Any]:
    a, _ = _values()
    x = ingot.tensor(a, device=device, requires_grad=True)
    (x * x).sum().backward()
    return x.grad.cpu().numpy(), 2 * a


STEPS: dict[str, Program] = {"add": _add, "matmul": _matmul, "sum": _sum, "gradient": _gradient}


def check(device: str) -> dict[str, Any]:
    """Open ``device`` and run every step; the first fault ends it."""
    from ingot_devices import open_device

    start, step = time.perf_counter(), "open"
    passed: list[str] = []
    result: dict[str, Any] = {"device": device, "ok": False, "passed": passed, "reason": ""}
    try:
        opened = open_device(device)
        passed.append(step)
        import ingot

        for step, program in STEPS.items():
            found, expected = program(ingot, device)
            error = float(np.max(np.abs(found - expected)))
            if not error < _TOLERANCE * max(1.0, float(np.max(np.abs(expected)))):
                result["reason"] = f"{step}: differs from NumPy by {error:g}"
                return result
            passed.append(step)
        opened.synchronize()
    except Exception as error:
        result["reason"] = f"{step}: {type(error).__name__}: {error}"
        return result
    return {**result, "ok": True, "seconds": time.perf_counter() - start, "built": built(opened)}


def built(device: Any) -> int | None:
    """Kernel classes that were built so far, where the device counts them."""
    statistics = getattr(device, "codegen_stats", None)
    return None if statistics is None else int(statistics.built)


if __name__ == "__main__":
    answers = os.dup(1)
    os.dup2(2, 1)  # drivers print, too
    os.write(answers, json.dumps(check(sys.argv[1])).encode() + b"\n")
    sys.stderr.flush()
    os._exit(0)
