"""What registered kernels may trade for speed: process-wide switches that they read when a plan is made.

Beside `resolve`: a kernel somebody wrote may compute products of float32 in a narrower format that the hardware is faster in
(TF32 has 10 bits of mantissa, bfloat16 has 7), or by an algorithm that errs no more than that (Winograd's), where the switch of
its kind allows it. Generated kernels always multiply in float32. Changing a switch drops every plan. Names and first values are
PyTorch's: matrix products are exact at first, convolutions are not (``torch.backends``); but a convolution gives the same bits
each time unless that is waived.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .context import changed

LEVELS = ("highest", "high", "medium")
"""Of float32 products: all 24 bits, TF32 or better, bfloat16 or better."""

_chosen = {"matmul": LEVELS[0], "convolution": LEVELS[1], "deterministic": "yes"}


def _set(switch: str, value: str) -> None:
    if value != _chosen[switch]:
        _chosen[switch] = value
        changed()


def _set_level(switch: str, level: str) -> None:
    if level not in LEVELS:
        raise ValueError(f"a precision of float32 products is one of {', '.join(LEVELS)}; {level!r} was given")
    _set(switch, level)


def float32_matmul() -> str:
    """The level of matrix products; "highest" unless somebody changed it."""
    return _chosen["matmul"]


def set_float32_matmul(level: str) -> None:
    """Set the level; ValueError if it is none of `LEVELS`."""
    _set_level("matmul", level)


def float32_convolution() -> str:
    """The level of convolutions; "high" unless somebody changed it."""
    return _chosen["convolution"]


def set_float32_convolution(level: str) -> None:
    """Set the level; ValueError if it is none of `LEVELS`."""
    _set_level("convolution", level)


def deterministic_convolution() -> bool:
    """True unless somebody allowed sums in another order each time."""
    return _chosen["deterministic"] == "yes"


def set_deterministic_convolution(wanted: bool) -> None:
    """Say whether a convolution must give the same bits each time."""
    _set("deterministic", "yes" if wanted else "no")


@contextmanager
def exact() -> Iterator[None]:
    """A scope in which all products are: for comparing kernels with references."""
    before = dict(_chosen)
    try:
        for switch in ("matmul", "convolution"):
            _set(switch, LEVELS[0])
        yield
    finally:
        for switch, value in before.items():
            _set(switch, value)
