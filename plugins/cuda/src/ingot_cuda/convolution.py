"""Convolution and its two gradients by cuDNN, as kernels for the rows ``convolution…``.

Registered through the hook ``ingot_kernels``. What the library does not take (float64, other padding before than after, where
it is not installed) goes to the generated kernels, and `explain` says why. One spatial axis is the last of two. float32 is
multiplied in TF32 where `ingot_devices.precision` allows it, as it does at first and as PyTorch does.
"""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices import precision
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.errors import LaunchError
from ingot_devices.layout import Layout
from ingot_devices.opset.window import each, pads
from ingot_devices.registry import Kernel, Request

from . import cudnn
from .cudnn import Convolution, Geometry, Way

DTYPES = (dt.float16, dt.bfloat16, dt.float32)
MOST = 1 << 31
ALIGNED = 16
"""Bytes at multiples of which the library expects operands to begin."""


def geometry(request: Request, x: Layout, w: Layout, y: Layout) -> Geometry:
    """What is asked for. `Unsupported` says what the library does not take."""
    attrs, rank = request.attributes, len(x.shape) - 2
    sides = pads(attrs["padding"], rank)
    if any(before != after for before, after in sides):
        raise Unsupported(f"padding {sides} is another before than after")
    if rank > 3 or not all(0 < layout.size < MOST for layout in (x, w, y)):
        raise Unsupported(f"it takes up to three spatial axes, and tensors of 1 to {MOST - 1} elements")
    if request.device.capability < (8, 0):
        raise Unsupported("it is used from compute capability 8.0 on")
    wide = (1,) * (rank == 1)

    def shape(layout: Layout) -> tuple[int, ...]:
        return (*layout.shape[:2], *wide, *layout.shape[2:])

    around = (*(0 for _ in wide), *(before for before, _ in sides))
    steps, apart = ((*wide, *each(attrs[name], rank)) for name in ("stride", "dilation"))
    return Geometry(shape(x), shape(w), shape(y), around, steps, apart, attrs["groups"])


def described(request: Request, way: Way, x: Layout, w: Layout, y: Layout) -> Convolution:
    """The library's convolution, or `Unsupported`."""
    library, asked = cudnn.library(), geometry(request, x, w, y)
    exact = precision.float32_convolution() == "highest"
    math = cudnn.TENSOR_MATH if x.dtype is not dt.float32 else cudnn.EXACT_MATH if exact else cudnn.DEFAULT_MATH
    request.device.enter()
    varying = not precision.deterministic_convolution()
    try:
        return Convolution(library, request.device, way, x.dtype.name, asked, math, varying)
    except LaunchError as error:
        raise Unsupported(str(error)) from error


class Place:
    """Where an operand lies for the library: its own memory, or an aligned copy that is given back to it by `written`."""

    def __init__(self, device: Any, view: Any, layout: Layout, read: bool = True) -> None:
        self.device, self.view, self.copy = device, view, None
        self.size = layout.dtype.itemsize
        self.nbytes = layout.size * self.size
        self.address = device.address(view[0]) + view[1] * self.size
        if self.address % ALIGNED:
            self.copy = device.pool.allocate(self.nbytes)
            self.address = device.address(self.copy.handle)
            if read:
                device.copy(self.copy.handle, 0, view[0], view[1] * self.size, self.nbytes)

    def written(self) -> None:
        """The result is there."""
        if self.copy is not None:
            self.device.copy(self.view[0], self.view[1] * self.size, self.copy.handle, 0, self.nbytes)


def _compiled(request: Request, made: Convolution, turned: bool) -> Compiled:
    """The launch; ``turned``: the library reads the second operand first."""
    device, result, run, nbytes = request.device, request.outputs[0], made.run, made.workspace
    item, name, lies = result.dtype.itemsize, f"cudnnConvolution{made.way.name}", request.layouts

    def call(a: Any, b: Any, *rest: Any) -> None:
        out = Place(device, rest[-1], result, False)
        x, y = Place(device, a, lies[0]), Place(device, b, lies[1])
        if turned:
            x, y = y, x
        workspace = device.pool.allocate(nbytes) if nbytes else None
        room = 0 if workspace is None else device.address(workspace.handle)
        bias = 0 if len(rest) == 1 or rest[0] is None else device.address(rest[0][0]) + rest[0][1] * item
        run(x.address, y.address, out.address, device.entering(name), room, bias)
        out.written()

    tf32 = " in TF32" if made.math == cudnn.DEFAULT_MATH else ""
    source = f"// cuDNN {made.library.version}: {name} of {result}{tf32}, algorithm {made.algorithm} in {nbytes} bytes"
    return Compiled(call, source, 1 if lies[2:] in ((), (None,)) else 2)


def convolution(request: Request) -> Compiled:
    """x and weight to a result; a bias is added by a launch of its own."""
    x, weight, _ = request.layouts
    return _compiled(request, described(request, cudnn.FORWARD, x, weight, request.outputs[0]), False)


def convolution_input(request: Request) -> Compiled:
    """The gradient of the input."""
    grad, weight = request.layouts
    return _compiled(request, described(request, cudnn.TO_INPUT, request.outputs[0], weight, grad), True)


def convolution_weight(request: Request) -> Compiled:
    """The gradient of the weight."""
    grad, x = request.layouts
    return _compiled(request, described(request, cudnn.TO_WEIGHT, x, request.outputs[0], grad), True)


KERNELS = tuple(
    Kernel(made.__name__, "cuda", made, DTYPES, "dense", priority=10)
    for made in (convolution, convolution_input, convolution_weight)
)
