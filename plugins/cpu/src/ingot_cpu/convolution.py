"""Convolution and its gradients by matrix products: the windows of a few images at a time, laid out as columns.

The columns (channels and taps down, pixels across) are copied by strides into memory that stays in the cache, and BLAS
multiplies (Chellapilla, Puri and Simard, 2006). Small images are taken together, so that a weight is read once for many.
Registered for the rows ``convolution…``; a result differs from the generated kernel's in the order of its sums alone, as a
matrix product's does. Halves are multiplied in float32.
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
ACROSS = 512
"""Pixels that are worth a product of their own."""


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
        covered = zip(self.kernel, self.stride, self.dilation, self.padded, self.counts, strict=True)
        self.tiled = all(k == s and (d == 1 or k == 1) and p == s * n for k, s, d, p, n in covered)  # each place is seen once

    def parts(self) -> Iterator[slice]:
        """The images that are taken together."""
        count = max(1, min(self.batch, ACROSS // max(self.pixels, 1)))
        yield from (slice(n, min(n + count, self.batch)) for n in range(0, self.batch, count))

    def taps(self, images: Array) -> Iterator[tuple[Shape, Array]]:
        """For each tap of the kernel, what it sees of padded images (n, C, padded…): a view (n, C, counts…)."""
        for tap in np.ndindex(*self.kernel):
            rows = zip(tap, self.dilation, self.stride, self.counts, strict=True)
            yield tap, images[(..., *(slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in rows))]

    def inner(self) -> Any:
        """The images in padded ones."""
        return (..., *(slice(a, a + n) for n, (a, _) in zip(self.sizes, self.pads, strict=True)))

    def columns(self, x: Array) -> Iterator[tuple[slice, Array]]:
        """Images, and (groups, depth, images · pixels) of them; one after the other in one piece of memory."""
        held: Array = np.empty(0, self.work)
        padded = held
        for part in self.parts():
            images = x[part]
            n = len(images)
            if self.plain and n == 1:
                yield part, images.astype(self.work, copy=False).reshape(self.groups, self.depth, self.pixels)
                continue
            if len(padded) != n:
                padded = np.zeros((n, self.channels, *self.padded), self.work)
                held = np.empty((self.channels, *self.kernel, n, *self.counts), self.work)
            padded[self.inner()] = images
            for tap, seen in self.taps(padded):
                held[(slice(None), *tap)] = seen.swapaxes(0, 1)
            yield part, held.reshape(self.groups, self.depth, n * self.pixels)

    def rows(self, weight: Array) -> Array:
        """The weight as (groups, outputs, depth), in the computing type."""
        return weight.astype(self.work, copy=False).reshape(self.groups, self.outputs, self.depth)

    def across(self, grad: Array) -> Array:
        """Gradients (n, O, counts…) as (groups, outputs, n · pixels), in the computing type."""
        exact = grad.astype(self.work, copy=False)
        return exact.swapaxes(0, 1).reshape(self.groups, self.outputs, len(grad) * self.pixels)


def convolution(request: Request) -> Callable[..., None]:
    """x and weight and bias to a result."""
    x, weight = (request.layouts[n].shape for n in (0, 1))
    w = Windows(x, weight, request.outputs[0].shape, request)

    def run(x: Array, weight: Array, bias: Array | None, out: Array) -> None:
        rows = w.rows(weight)
        added = None if bias is None else bias.astype(w.work, copy=False).reshape(w.groups, w.outputs, 1)
        for part, columns in w.columns(x):
            target = out[part]
            straight = len(target) == 1 and out.dtype == w.work
            made = np.matmul(rows, columns, out=target.reshape(w.groups, w.outputs, w.pixels) if straight else None)
            if added is not None:
                made += added
            if not straight:
                target.swapaxes(0, 1)[...] = made.reshape(-1, len(target), *w.counts)

    return run


def convolution_input(request: Request) -> Callable[..., None]:
    """The gradient of the input: what each tap saw, added where it saw it; where no two see one place, written there."""
    grad, weight = (request.layouts[n].shape for n in (0, 1))
    w = Windows(request.outputs[0].shape, weight, grad, request)

    def run(grad: Array, weight: Array, out: Array) -> None:
        turned = w.rows(weight).transpose(0, 2, 1)
        straight = w.padded == w.sizes and out.dtype == w.work
        shares: Array = np.empty(0, w.work)
        padded = shares
        for part in w.parts():
            slopes = grad[part]
            n = len(slopes)
            if shares.size != w.groups * w.depth * n * w.pixels:  # one piece of memory for all parts of one length
                shares = np.empty((w.groups, w.depth, n * w.pixels), w.work)
                padded = np.empty((n, w.channels, *w.padded) if not straight else 0, w.work)
            np.matmul(turned, w.across(slopes), out=shares)
            seen = out[part] if straight else padded
            if not w.tiled:
                seen[...] = 0
            for tap, target in w.taps(seen):
                share = shares.reshape(w.channels, *w.kernel, n, *w.counts)[(slice(None), *tap)].swapaxes(0, 1)
                np.copyto(target, share) if w.tiled else np.add(target, share, out=target)
            if not straight:
                out[part] = padded[w.inner()]

    return run


def convolution_weight(request: Request) -> Callable[..., None]:
    """The gradient of the weight, summed over the images in their order."""
    grad, x = (request.layouts[n].shape for n in (0, 1))
    w = Windows(x, request.outputs[0].shape, grad, request)

    def run(grad: Array, x: Array, out: Array) -> None:
        total = np.zeros((w.groups, w.outputs, w.depth), w.work)
        for part, columns in w.columns(x):
            total += np.matmul(w.across(grad[part]), columns.transpose(0, 2, 1))
        out[...] = total.reshape(out.shape)

    return run


KERNELS = tuple(
    Kernel(made.__name__, "cpu", made, layout="dense")
    for made in (convolution, convolution_input, convolution_weight)
)
