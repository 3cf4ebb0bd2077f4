"""``ingot.backends``: PyTorch's switches for kernels, answered by the contract's (`ingot_devices.precision`).

``set_float32_matmul_precision("high")`` and ``backends.cuda.matmul.allow_tf32 = True`` are two names of one switch. It
counts on every device whose kernels know a faster format for products of float32; on the others nothing changes. So do the
switches of ``backends.cudnn``, for convolutions.
"""

from __future__ import annotations

from types import SimpleNamespace

from ingot_devices import precision


def set_float32_matmul_precision(precision_: str) -> None:
    """How exactly float32 is multiplied: "highest" (all of it), "high" (TF32 or better), "medium" (bfloat16 or better)."""
    precision.set_float32_matmul(precision_)


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` has set; "highest" at first."""
    return precision.float32_matmul()


class _Matmul:
    """``backends.cuda.matmul``."""

    @property
    def allow_tf32(self) -> bool:
        """True where products of float32 may be computed in TF32."""
        return precision.float32_matmul() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        precision.set_float32_matmul("high" if allowed else "highest")


cuda = SimpleNamespace(matmul=_Matmul())


class _Convolution:
    """``backends.cudnn``."""

    @property
    def allow_tf32(self) -> bool:
        """True, as it is at first, where convolutions of float32 may be computed in TF32."""
        return precision.float32_convolution() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        precision.set_float32_convolution("high" if allowed else "highest")

    @property
    def deterministic(self) -> bool:
        """True, as it is at first (unlike PyTorch's), where a convolution gives the same bits each time."""
        return precision.deterministic_convolution()

    @deterministic.setter
    def deterministic(self, wanted: bool) -> None:
        precision.set_deterministic_convolution(wanted)


cudnn = _Convolution()
