"""Conversions between dtypes and devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .record import ALL, DEVICE, Domain, Record, S, V, method

SHAPES = (S(V(3, 4)), S(V()), S(V(0, 2)), S(V(129, 33), big=True))
WHOLE = Domain(0.0, 7.0, ints=(0, 8))
"""What every dtype can hold: floats are cut towards zero, and none is negative, for unsigned
results."""


def T(name: str, target: str, cast: Callable[..., Any], **options: Any) -> Record:
    """A row: from every dtype to ``target``, rounded once."""
    options.setdefault("call", method(name))
    options.setdefault("samples", SHAPES)
    call = options.pop("call")
    finite_only = target in ("int32", "int64")
    nonfinite = "integers have none" if finite_only else "product"
    return Record(
        name,
        call,
        cast,
        dtypes=ALL,
        domain=WHOLE,
        result=target,
        ulp=0,
        grad=target in ("float32", "float64"),
        nonfinite=nonfinite,
        group="conversion",
        **options,
    )


def to_double(x: Any, *_: Any, **__: Any) -> Any:
    return np.asarray(x).astype(np.float64)


def cut(x: Any) -> Any:
    return np.trunc(np.asarray(x).astype(np.float64)).astype(np.int64)


def there_and_back(t: Any, x: Any, device: Any) -> Any:
    return x.cpu().to(device, t.float32)


RECORDS = (
    T(
        "to",
        "float32",
        to_double,
        call=there_and_back,
        samples=tuple(S(*s.args, device=DEVICE, big=s.big) for s in SHAPES),
    ),
    T("float", "float32", to_double),
    T("double", "float64", to_double),
    T("half", "float16", to_double),
    T("bfloat16", "bfloat16", to_double),
    T("int", "int32", cut),
    T("long", "int64", cut),
    T("bool", "bool", lambda x: np.asarray(x) != 0),
)
