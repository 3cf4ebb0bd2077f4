"""What the benchmarks of this folder share: the two libraries with their events, calls in turn, medians with quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import ingot

Call = Callable[[], Any]
Result = dict[str, Any]


class Side:
    """One library: its namespace and its events."""

    def __init__(self, name: str, t: Any) -> None:
        self.name, self.t = name, t

    def milliseconds(self, call: Call, calls: int) -> float:
        """Of one call, by the device's events around ``calls`` of them."""
        start, end = (self.t.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / calls


def sides() -> list[Side]:
    """Ingot, and PyTorch where it is installed with a GPU."""
    found = [Side("ingot", ingot)]
    try:
        import torch
    except ImportError:
        return found
    return [*found, Side("torch", torch)] if torch.cuda.is_available() else found


def in_turn(cases: Mapping[str, Mapping[str, tuple[Side, Call]]], calls: int, rounds: int) -> dict[str, Result]:
    """Case → milliseconds of each side (median and quartiles), every round all of them in turn; the first warms up."""
    times: dict[str, dict[str, list[float]]] = {case: {side: [] for side in by} for case, by in cases.items()}
    for k in range(rounds + 2):
        for case, by in cases.items():
            for name, (side, call) in by.items():
                took = side.milliseconds(call, calls)
                if k > 1:
                    times[case][name].append(took)
    return {case: {side: spread(values) for side, values in by.items()} for case, by in times.items()}


def spread(values: list[float]) -> Result:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"ms": middle, "low": low, "high": high}


def ratio(result: Result) -> float | None:
    """How many times as fast as PyTorch."""
    return result["torch"]["ms"] / result["ingot"]["ms"] if "torch" in result else None
