"""A step's length along a direction by the strong Wolfe conditions: enough descent, and a slope that is flat enough.

Bracketing, then zooming in by cubic interpolation (Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6, with the
safeguards of Schmidt's minFunc, which PyTorch follows). Lengths, losses and slopes are Python numbers; gradients stay where
they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """Where a length leads: the loss there, its gradient, and the slope along the direction."""

    length: float
    loss: float
    gradient: Any
    slope: float


DESCENT, FLATNESS = 1e-4, 0.9
"""c₁ and c₂ of the conditions."""


def strong_wolfe(
    at: Callable[[float], Point], start: Point, length: float, reach: float, tolerance: float, most: int
) -> tuple[Point, int]:
    """The point found from the first ``length`` on, and how many were tried.

    ``reach`` is how far the direction moves any element, ``tolerance`` how little of that is worth a trial, ``most`` bounds
    the trials after the first.
    """
    before, now, trials = start, at(length), 0
    while trials < most:
        if _climbs(now, start) or (trials > 1 and now.loss >= before.loss):
            break
        if _flat(now, start):
            return now, trials + 1
        if now.slope >= 0:
            break
        further = now.length + 0.01 * (now.length - before.length), now.length * 10
        before, now = now, at(_cubic(before, now, *further))
        trials += 1
    else:
        before = start
    low, high = (before, now) if before.loss <= now.loss else (now, before)
    return _zoom(at, start, low, high, reach, tolerance, most, trials)


def _zoom(
    at: Callable[[float], Point], start: Point, low: Point, high: Point, reach: float, tolerance: float, most: int, trials: int
) -> tuple[Point, int]:
    """Between the lower point and another, which have a good one between them."""
    stuck = False
    while trials < most and abs(high.length - low.length) * reach >= tolerance:
        length, stuck = _inside(_cubic(low, high, *_ends(low, high)), *_ends(low, high), stuck)
        now = at(length)
        trials += 1
        if _climbs(now, start) or now.loss >= low.loss:
            low, high = (low, now) if low.loss <= now.loss else (now, low)
            continue
        if _flat(now, start):
            return now, trials + 1
        low, high = now, low if now.slope * (high.length - low.length) >= 0 else high
    return low, trials + 1


def _inside(length: float, first: float, last: float, stuck: bool) -> tuple[float, bool]:
    """``length``, moved a tenth away from an end if it lies there, or near one for the second time (``stuck``)."""
    margin = 0.1 * (last - first)
    if min(last - length, length - first) >= margin:
        return length, False
    if stuck or not first < length < last:
        return last - margin if abs(length - last) < abs(length - first) else first + margin, False
    return length, True


def _ends(a: Point, b: Point) -> tuple[float, float]:
    return min(a.length, b.length), max(a.length, b.length)


def _climbs(point: Point, start: Point) -> bool:
    """Too high for how far it is."""
    return point.loss > start.loss + DESCENT * point.length * start.slope


def _flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -FLATNESS * start.slope


def _cubic(a: Point, b: Point, low: float, high: float) -> float:
    """The minimum, between ``low`` and ``high``, of the cubic through two points with their slopes; else the middle."""
    if a.length > b.length:
        a, b = b, a
    width = b.length - a.length
    if width:
        middle = a.slope + b.slope - 3 * (b.loss - a.loss) / width
        square = middle**2 - a.slope * b.slope
        bend = b.slope - a.slope + 2 * math.sqrt(square) if square >= 0 else 0.0
        if bend:
            return min(max(b.length - width * ((b.slope + math.sqrt(square) - middle) / bend), low), high)
    return (low + high) / 2
