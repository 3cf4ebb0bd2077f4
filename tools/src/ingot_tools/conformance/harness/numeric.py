"""Derivatives of a reference by central differences of fourth order, in float64.

``f`` maps a list of arrays to a list of arrays; ``wanted`` says which arrays vary. Two nested
differences give the second order. Cost: four evaluations per element, so gradient samples are
small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

Function = Callable[[Sequence[Any]], Sequence[Any]]
Scalar = Callable[[Sequence[Any]], float]
STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
STEP = 4e-3


def directional(f: Callable[[float], Any], step: float = STEP) -> Any:
    """The derivative of ``f`` at 0."""
    return sum(weight * f(k * step) for k, weight in STENCIL) / step


def inner(outputs: Sequence[Any], cotangents: Sequence[Any]) -> float:
    """Σ ⟨output, cotangent⟩."""
    return float(sum(np.sum(o * c) for o, c in zip(outputs, cotangents, strict=True)))


def vjp(f: Function, arrays: Sequence[Any], wanted: Sequence[int], cotangents: Sequence[Any]) -> list[Any]:
    """The gradient of ⟨f(arrays), cotangents⟩ by each wanted array."""
    return gradient(lambda xs: inner(f(xs), cotangents), arrays, wanted)


def gradient(g: Callable[[Sequence[Any]], float], arrays: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
    """The gradient of the scalar function ``g`` by each wanted array."""
    found = []
    for k in wanted:
        result = np.zeros(arrays[k].shape)
        for at in np.ndindex(result.shape):
            result[at] = directional(partial(_moved, g, arrays, k, at))
        found.append(result)
    return found


def _moved(g: Scalar, arrays: Sequence[Any], k: int, at: tuple[int, ...], by: float) -> float:
    return g(nudged(arrays, k, at, by))


def nudged(arrays: Sequence[Any], k: int, at: tuple[int, ...], by: float) -> list[Any]:
    """``arrays`` with element ``at`` of the k-th moved."""
    moved = list(arrays)
    moved[k] = arrays[k].copy()
    moved[k][at] += by
    return moved


def jvp(f: Function, arrays: Sequence[Any], wanted: Sequence[int], tangents: Sequence[Any]) -> list[Any]:
    """The derivative of each output of ``f`` along ``tangents``."""
    values = [[weight * np.asarray(o) for o in f(along(arrays, wanted, tangents, k * STEP))] for k, weight in STENCIL]
    return [sum(parts) / STEP for parts in zip(*values, strict=True)]


def along(arrays: Sequence[Any], wanted: Sequence[int], tangents: Sequence[Any], by: float) -> list[Any]:
    """``arrays`` moved ``by`` along ``tangents``."""
    moved = list(arrays)
    for k, tangent in zip(wanted, tangents, strict=True):
        moved[k] = arrays[k] + by * tangent
    return moved


def second(
    f: Function,
    arrays: Sequence[Any],
    wanted: Sequence[int],
    cotangents: Sequence[Any],
    tangents: Sequence[Any],
) -> list[Any]:
    """The gradient by each wanted array of ⟨vjp(f), tangents⟩, the derivative of ⟨f, cotangents⟩
    along tangents."""

    def slope(xs: Sequence[Any]) -> float:
        return float(directional(lambda e: inner(f(along(xs, wanted, tangents, e)), cotangents)))

    return gradient(slope, arrays, wanted)
