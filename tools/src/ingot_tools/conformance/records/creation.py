"""Ops that make tensors out of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import ALL, DEVICE, DTYPE, FLOAT, INT, Record, S, V, function

NUMBER = INT + FLOAT
HERE: dict[str, Any] = {"device": DEVICE, "dtype": DTYPE}
NOTHING = "takes no tensor"


def K(name: str, reference: Callable[..., Any] | None, **options: Any) -> Record:
    """A row: no operands, no gradient."""
    options.setdefault("dtypes", ALL)
    options.setdefault("ulp", 0)
    options.setdefault("no_empty", NOTHING)
    options.setdefault("no_zero_dim", NOTHING)
    return Record(name, function(name), reference, grad=False, nonfinite=NOTHING, group="creation", **options)


def shaped(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` of the shape, given as one tuple or as several numbers."""

    def reference(*shape: Any, **_: Any) -> Any:
        return f(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)

    return reference


def like(name: str, reference: Callable[..., Any] | None, *more: Any, **options: Any) -> Record:
    """A row of ``…_like``: the shape and dtype of an operand."""
    samples = (S(V(3, 4), *more), S(V(), *more), S(V(0, 2), *more))
    return K(name, reference, samples=samples, no_empty="", no_zero_dim="", **options)


def shape_of(result: Any, *arguments: Any, **_: Any) -> None:
    shape = arguments[0] if arguments else (3, 4)
    assert result.shape == np.shape(shape)


SHAPES = (S(3, 4, **HERE), S((2, 0), **HERE), S((), **HERE), S(7, **HERE))

# fmt: off
RECORDS = (
    K("empty", None, samples=(S(3, 4, **HERE), S((), **HERE), S(0, **HERE))),
    K("zeros", shaped(np.zeros), samples=(*SHAPES, S(129, 65, big=True, **HERE))),
    K("ones", shaped(np.ones), samples=(*SHAPES, S(129, 65, big=True, **HERE))),
    K("full", lambda shape, value, **_: np.full(shape, value), samples=(
        S((3, 4), 1, **HERE), S((), 1, **HERE), S((2, 0), 1, **HERE))),
    K("arange", lambda *bounds, **_: np.arange(*bounds), dtypes=NUMBER, ulp=2, scale=1.0, samples=(
        S(7, **HERE), S(2, 9, **HERE), S(1, 10, 3, **HERE), S(5, 0, -2, **HERE), S(0, **HERE))),
    K("linspace", lambda a, b, n, **_: np.linspace(a, b, n), dtypes=FLOAT, ulp=2, scale=1.0,
      samples=(
        S(0, 1, 5, **HERE), S(-2.0, 3.0, 11, **HERE), S(2, 2, 1, **HERE), S(0, 1, 0, **HERE),
        S(1, 0, 200, big=True, **HERE))),
    K("eye", lambda n, m=None, **_: np.eye(n, m), samples=(
        S(3, **HERE), S(2, 4, **HERE), S(4, 2, **HERE), S(0, **HERE))),
    like("zeros_like", np.zeros_like), like("ones_like", np.ones_like),
    like("full_like", lambda x, value: np.full(x.shape, value), 1),
    like("empty_like", None),
)
# fmt: on
