"""``ingot.backends``: PyTorch's switches for kernels, answered by the contract's (`ingot_devices.precision`).

``set_float32_matmul_precision("high")`` and ``backends.cuda.matmul.allow_tf32 = True`` are two names of one switch. It
counts on every device whose kernels know a faster format for products of float32; on the others nothing changes. So do the
switches of ``backends.cudnn``, for convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ingot_devices import precision


def set_float32_matmul_precision(precision_: str) -> None:
    """How exactly float32 is multiplied: "highest" (all of it), "high" (TF32 or better), "medium" (bfloat16 or better)."""
    precision.set_float32_matmul(precision_)


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` has set; "highest" at first."""
    return precision.float32_matmul()


class _Switch:
    """An attribute that is True or False: ``told`` tells it, ``turn`` sets it."""

    def __init__(self, told: Callable[[], bool], turn: Callable[[bool], None]) -> None:
        self.told, self.turn = told, turn

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: Any = None) -> bool:
        return self.told()

    def __set__(self, owner: Any, wanted: bool) -> None:
        if not isinstance(wanted, bool):
            raise TypeError(f"{self.name} is True or False; {wanted!r} was given")
        self.turn(wanted)


def _tf32(told: Callable[[], str], turn: Callable[[str], None]) -> _Switch:
    """Whether products of float32 of one kind may be computed in TF32."""
    return _Switch(lambda: told() != "highest", lambda on: turn("high" if on else "highest"))


class _Matmul:
    """``backends.cuda.matmul``. Its TF32 is off at first."""

    allow_tf32 = _tf32(precision.float32_matmul, precision.set_float32_matmul)


class _Convolution:
    """``backends.cudnn``. Its TF32 is on at first; ``deterministic``, too, unlike PyTorch's: the same bits each time."""

    allow_tf32 = _tf32(precision.float32_convolution, precision.set_float32_convolution)
    deterministic = _Switch(precision.deterministic_convolution, precision.set_deterministic_convolution)


cuda = SimpleNamespace(matmul=_Matmul())
cudnn = _Convolution()
