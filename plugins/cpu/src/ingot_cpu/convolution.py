"""Convolution and its gradients by matrix products: the windows of one image at a time, laid out as columns.

The columns of an image (channels and taps down, pixels across) are copied by strides into memory that stays in the cache,
and BLAS multiplies (Chellapilla, Puri and Simard, 2006). Registered for the rows ``convolution…``; a result differs from
the generated kernel's in the order of its sums alone, as a matrix product's does. Halves are multiplied in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ingot_devices.opset.window import each, pads
from ingot_devices.registry import Kernel, Request

Array = Any
Shape = tuple[int, ...]


class Windows:
    """The geometry of one convolution: input (N, C, sizes…), weight (O, C / groups, kernel…), result (N, O, counts…)."""

    def __init__(self, x: Shape, weight: Shape, out: Shape, request: Request) -> None:
        attrs, rank = request.attributes, len(x) - 2
        self.stride, self.dilation = each(attrs["stride"], rank), each(attrs["dilation"], rank)
        self.pads, self.groups = pads(attrs["padding"], rank), attrs["groups"]
        self.batch, self.channels, self.sizes = x[0], x[1], x[2:]
        self.kernel, self.counts = weight[2:], out[2:]
        self.padded = tuple(n + a + z for n, (a, z) in zip(self.sizes, self.pads, strict=True))
        self.outputs = weight[0] // self.groups
        self.pixels, self.depth = math.prod(self.counts), math.prod(weight[1:])
        self.work = np.dtype(np.float64 if request.outputs[0].dtype.itemsize == 8 else np.float32)
        plain = all(k == s == 1 and p == (0, 0) for k, s, p in zip(self.kernel, self.stride, self.pads, strict=True))
        self.plain = plain  # the columns are the image itself

    def taps(self, image: Array) -> Iterator[tuple[Shape, Array]]:
        """For each tap of the kernel, what it sees of a padded image (C, padded…): a view (C, counts…)."""
        for tap in np.ndindex(*self.kernel):
            rows = zip(tap, self.dilation, self.stride, self.counts, strict=True)
            yield tap, image[(slice(None), *(slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in rows))]

    def inner(self) -> Any:
        """The image in a padded one."""
        return (slice(None), *(slice(a, a + n) for n, (a, _) in zip(self.sizes, self.pads, strict=True)))

    def columns(self, x: Array) -> Iterator[Array]:
        """(groups, depth, pixels) of one image after the other, in one piece of memory."""
        image: Array = np.zeros((self.channels, *self.padded), self.work)
        held: Array = np.empty((self.channels, *self.kernel, *self.counts), self.work)
        for one in x:
            if self.plain:
                yield one.astype(self.work, copy=False).reshape(self.groups, self.depth, self.pixels)
                continue
            image[self.inner()] = one
            for tap, seen in self.taps(image):
                held[(slice(None), *tap)] = seen
            yield held.reshape(self.groups, self.depth, self.pixels)

    def rows(self, weight: Array) -> Array:
        """The weight as (groups, outputs, depth), in the computing type."""
        return weight.astype(self.work, copy=False).reshape(self.groups, self.outputs, self.depth)


def convolution(request: Request) -> Callable[..., None]:
    """x and weight and bias to a result."""
    x, weight = (request.layouts[n].shape for n in (0, 1))
    w = Windows(x, weight, request.outputs[0].shape, request)

    def run(x: Array, weight: Array, bias: Array | None, out: Array) -> None:
        rows = w.rows(weight)
        added = None if bias is None else bias.astype(w.work, copy=False).reshape(w.groups, w.outputs, 1)
        for one, columns in zip(out.reshape(w.batch, w.groups, w.outputs, w.pixels), w.columns(x), strict=True):
            exact = one.dtype == w.work
            made = np.matmul(rows, columns, out=one if exact else None)
            if added is not None:
                made += added
            if not exact:
                one[...] = made

    return run


def convolution_input(request: Request) -> Callable[..., None]:
    """The gradient of the input: what each tap saw, added where it saw it."""
    grad, weight = (request.layouts[n].shape for n in (0, 1))
    w = Windows(request.outputs[0].shape, weight, grad, request)

    def run(grad: Array, weight: Array, out: Array) -> None:
        across = w.rows(weight).transpose(0, 2, 1)
        image: Array = np.zeros((w.channels, *w.padded), w.work)
        seen: Array = np.empty((w.groups, w.depth, w.pixels), w.work)
        for one, slope in zip(out, grad.astype(w.work, copy=False), strict=True):
            np.matmul(across, slope.reshape(w.groups, w.outputs, w.pixels), out=seen)
            if w.plain:
                one[...] = seen.reshape(one.shape)
                continue
            image[...] = 0
            shares = seen.reshape(w.channels, *w.kernel, *w.counts)
            for tap, target in w.taps(image):
                target += shares[(slice(None), *tap)]
            one[...] = image[w.inner()]

    return run


def convolution_weight(request: Request) -> Callable[..., None]:
    """The gradient of the weight, summed over the images in their order."""
    grad, x = (request.layouts[n].shape for n in (0, 1))
    w = Windows(x, request.outputs[0].shape, grad, request)

    def run(grad: Array, x: Array, out: Array) -> None:
        total = np.zeros((w.groups, w.outputs, w.depth), w.work)
        part = np.empty_like(total)
        for slope, columns in zip(grad.astype(w.work, copy=False), w.columns(x), strict=True):
            total += np.matmul(slope.reshape(w.groups, w.outputs, w.pixels), columns.transpose(0, 2, 1), out=part)
        out[...] = total.reshape(out.shape)

    return run


KERNELS = tuple(
    Kernel(made.__name__, "cpu", made, layout="dense")
    for made in (convolution, convolution_input, convolution_weight)
)
