"""Gradient clipping, between ``backward`` and ``step``: by the total norm, or value by value."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

import ingot
from ingot.tensor import Tensor


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    found = list(parameters)
    if not found and isinstance(parameters, Iterator):
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3
        )
    return [p.grad for p in found if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The ``norm_type``-norm of all elements of ``tensors`` together, on the device of the first.

    RuntimeError when it is not finite and ``error_if_nonfinite``. ``foreach`` changes nothing here.
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not given:
        return ingot.tensor(0.0)
    order = float(norm_type)
    device = given[0].device
    norms = ingot.stack([tensor.norm(order).to(device) for tensor in given])
    total = norms.norm(order)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale the gradients in place by min(1, max_norm / total_norm), without a wait."""
    with ingot.no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for gradient in _gradients(parameters):
            gradient.mul_(factor.to(gradient.device, gradient.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients in place so that their total norm is at most ``max_norm``; returns the
    norm before.

    ``norm_type`` may be ``inf``. RuntimeError when the norm is not finite and
    ``error_if_nonfinite``.
    """
    held = parameters if isinstance(parameters, Tensor) else list(parameters)
    with ingot.no_grad():
        total = get_total_norm(_gradients(held), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(held, max_norm, total)
    return total


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clamp every gradient in place to [-clip_value, clip_value]."""
    bound = float(clip_value)
    with ingot.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-bound, bound)
