"""How a layout of `harness.layouts` is written down, from numbers on the host as it is made there: lines of Python.

A row takes the name of the tensor, its shape, an expression for its numbers, a function that writes a tensor of some numbers,
and the number of the operand. The elements between those of the operand are ones.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from .harness.layouts import FARTHEST, far_strides

Make = Callable[[str], str]
Row = Callable[[str, tuple[int, ...], str, Make, int], list[str]]


def dense(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """As it comes."""
    return [f"{x} = {make(numbers)}"]


def _in_a_larger(x: str, shape: tuple[int, ...], put: str, numbers: str, tensor: str) -> list[str]:
    return [f"larger = np.ones({shape})", f"larger{put} = {numbers}", f"{x} = {tensor}"]


def transposed(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """The last two axes swapped in memory."""
    if len(shape) < 2:
        return stepped(x, shape, numbers, make, k)
    return [f"{x} = {make(f'np.swapaxes({numbers}, -1, -2).tolist()')}.transpose(-1, -2)"]


def stepped(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """Every second element, or every third …"""
    step = 2 + k
    part = f"[..., 1::{step}]" if shape else "[1]"
    larger = (*shape[:-1], step * shape[-1] + 1) if shape else (2,)
    return _in_a_larger(x, larger, part, numbers, make("larger.tolist()") + part)


def padded(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """Rows further apart than they are long."""
    if len(shape) < 2:
        return dense(x, shape, numbers, make, k)
    part = f"[..., :{shape[-1]}]"
    return _in_a_larger(x, (*shape[:-1], shape[-1] + 1 + k), part, numbers, make("larger.tolist()") + part)


def expanded(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """The first slice, again and again."""
    return [f"{x} = {make(f'{numbers}[:1]')}.expand({shape})"] if shape else dense(x, shape, numbers, make, k)


def shifted(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """One element behind where an allocation begins."""
    tensor = make("larger.tolist()") + f"[1:-1].view({shape})"
    return _in_a_larger(x, (prod(shape) + 2,), "[1:-1]", f"np.ravel({numbers})", tensor)


def far(x: str, shape: tuple[int, ...], numbers: str, make: Make, k: int) -> list[str]:
    """Neighbours thousands of elements apart."""
    strides, span = far_strides(shape)
    if span > FARTHEST:
        return shifted(x, shape, numbers, make, k)
    strided = f"{shape}, {strides}"
    put = f"[np.lib.stride_tricks.as_strided(np.arange({span}), {shape}, {tuple(8 * s for s in strides)})]"
    return _in_a_larger(x, (span,), put, numbers, make("larger.tolist()") + f".as_strided({strided})")


ROWS: dict[str, Row] = {
    "": dense, "transposed": transposed, "stepped": stepped, "padded": padded, "expanded": expanded, "shifted": shifted,
    "far": far,
}  # fmt: skip
