"""All parameters as one vector, and back: for optimizers of other libraries."""

from __future__ import annotations

from collections.abc import Iterable

import ingot
from ingot.tensor import Tensor


def _one_device(tensors: list[Tensor]) -> None:
    devices = sorted({str(tensor.device) for tensor in tensors})
    if len(devices) > 1:
        raise TypeError(
            f"Found two parameters on different devices ({' and '.join(devices)}), "
            "this is currently not supported."
        )


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Every element of ``parameters``, one after the other, as a 1-dimensional tensor
    (differentiable).
    """
    given = list(parameters)
    _one_device(given)
    return ingot.cat([parameter.reshape(-1) for parameter in given])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make the parameters views of ``vec``'s parts, in order.

    ValueError when the vector's length is not the parameters' together; nothing is changed then.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected ingot.Tensor, but got: {type(vec).__name__}")
    given = list(parameters)
    _one_device(given)
    needed = sum(parameter.numel() for parameter in given)
    if vec.dim() != 1 or vec.numel() != needed:
        raise ValueError(
            f"the parameters hold {needed} elements, but the vector has shape {vec.shape}"
        )
    start = 0
    for parameter in given:
        end = start + parameter.numel()
        parameter.data = vec[start:end].view_as(parameter).data
        start = end
