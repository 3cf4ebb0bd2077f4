"""Convolutions as functions: PyTorch's arguments, turned into what the ops ``convolution…`` take.

`nn.functional` exports these. An input without a batch axis is taken as a batch of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingot.ops.common import run
from ingot.tensor import Tensor

Each = int | Sequence[int]
PADDINGS = ("valid", "same")


def each(name: str, value: Each, rank: int, least: int) -> tuple[int, ...]:
    """``value`` for each of ``rank`` spatial axes; RuntimeError for another number of them, or one below ``least``."""
    made = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(made) == 1 and rank > 1:
        made *= rank
    if len(made) != rank:
        raise RuntimeError(f"expected {name} to be a single integer value or a list of {rank} values to match the spatial "
                           f"dimensions, but got {name}={list(made)}")
    if any(n < least for n in made):
        raise RuntimeError(f"{'negative' if least == 0 else 'non-positive'} {name} is not supported: {list(made)} was given, "
                           f"each must be at least {least}")
    return made


def padded(
    padding: str | Each, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """(before, after) for each spatial axis. ``"same"`` keeps the sizes; what is odd goes to the end."""
    if not isinstance(padding, str):
        return tuple((n, n) for n in each("padding", padding, len(kernel), 0))
    if padding not in PADDINGS:
        raise RuntimeError(f"Invalid padding string: {padding!r}; it is 'valid' or 'same', or whole numbers")
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple((n // 2, n - n // 2) for n in totals)


def batched(name: str, input: Tensor, rank: int) -> tuple[Tensor, bool]:
    """``input`` as (N, C, spatial…), and whether the batch axis was added."""
    if input.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got input of size: "
                           f"{list(input.shape)}")
    alone = input.ndim == rank + 1
    return (input.unsqueeze(0) if alone else input), alone


def _check_weight(x: Tensor, weight: Tensor, groups: int, inputs: int) -> None:
    if groups < 1:
        raise RuntimeError(f"non-positive groups is not supported: groups={groups}")
    if weight.ndim != x.ndim:
        raise RuntimeError(f"expected a weight with {x.ndim} dimensions for an input with {x.ndim}, but got one of size "
                           f"{list(weight.shape)}")
    if x.shape[1] != inputs:
        raise RuntimeError(f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
                           f"{inputs} channels, but got {x.shape[1]} channels instead")


def _convolve(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Each, padding: str | Each, dilation: Each,
    groups: int,
) -> Tensor:  # fmt: skip
    x, alone = batched(f"conv{rank}d", input, rank)
    _check_weight(x, weight, groups, weight.shape[1] * groups if weight.ndim > 1 else 0)
    step, apart = each("stride", stride, rank, 1), each("dilation", dilation, rank, 1)
    room = padded(padding, tuple(weight.shape[2:]), step, apart)
    made: Tensor = run("convolution", x, weight, bias, stride=step, padding=room, dilation=apart, groups=groups)
    return made.squeeze(0) if alone else made


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Each = 1, padding: str | Each = 0, dilation: Each = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """(N, C, L), (O, C / groups, taps), (O,) → (N, O, L'); see `conv2d`."""
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Each = 1, padding: str | Each = 0, dilation: Each = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The scalar products of ``weight`` with every window: (N, C, H, W), (O, C / groups, kh, kw), (O,) → (N, O, H', W').

    H' is (H + 2·padding − dilation·(kh − 1) − 1) // stride + 1. ``padding`` is a number, one for each axis, or "valid" (0) or
    "same" (keeps the sizes; stride 1 only). ``groups``: the channels are cut into as many parts that do not mix. Floating
    point operands of one dtype; halves are summed in float32. RuntimeError for shapes that do not fit.
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Each = 1, padding: str | Each = 0, dilation: Each = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """(N, C, D, H, W), (O, C / groups, kd, kh, kw), (O,) → (N, O, D', H', W'); see `conv2d`."""
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _transposed(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Each, padding: Each, output_padding: Each,
    groups: int, dilation: Each,
) -> Tensor:  # fmt: skip
    x, alone = batched(f"conv_transpose{rank}d", input, rank)
    _check_weight(x, weight, groups, weight.shape[0])
    step, apart = each("stride", stride, rank, 1), each("dilation", dilation, rank, 1)
    room, more = each("padding", padding, rank, 0), each("output_padding", output_padding, rank, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, step, apart, strict=True)):
        raise RuntimeError("output padding must be smaller than either stride or dilation, but got "
                           f"output_padding={list(more)}, stride={list(step)}, dilation={list(apart)}")
    rows = zip(x.shape[2:], weight.shape[2:], step, room, more, apart, strict=True)
    sizes = [(n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, k, s, p, m, d in rows]
    if min(sizes) < 1:
        raise RuntimeError(f"Given input size {list(x.shape[2:])}, the output would have the size {sizes}, which is too small")
    how = {"stride": step, "padding": tuple((p, p) for p in room), "dilation": apart, "groups": groups}
    made: Tensor = run("convolution_input", x, weight, shape=(x.shape[0], weight.shape[1] * groups, *sizes), **how)
    if bias is not None:
        made = made + bias.view(-1, *(1,) * rank)
    return made.squeeze(0) if alone else made


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Each = 1, padding: Each = 0, output_padding: Each = 0,
    groups: int = 1, dilation: Each = 1,
) -> Tensor:  # fmt: skip
    """(N, C, L), (C, O / groups, taps), (O,) → (N, O, L'); see `conv_transpose2d`."""
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Each = 1, padding: Each = 0, output_padding: Each = 0,
    groups: int = 1, dilation: Each = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` by its input, as a layer: (N, C, H, W), (C, O / groups, kh, kw), (O,) → (N, O, H', W').

    H' is (H − 1)·stride − 2·padding + dilation·(kh − 1) + output_padding + 1.
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Each = 1, padding: Each = 0, output_padding: Each = 0,
    groups: int = 1, dilation: Each = 1,
) -> Tensor:  # fmt: skip
    """(N, C, D, H, W), (C, O / groups, kd, kh, kw), (O,) → (N, O, D', H', W'); see `conv_transpose2d`."""
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
