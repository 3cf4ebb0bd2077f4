"""Convolutions in two dimensions by native code, as kernels for the rows ``convolution`` and ``convolution_input``.

Registered through the hook ``ingot_kernels``, above NumPy's (`convolution`), which has what these refuse. 3×3 windows at stride 1
go by Winograd's F(4×4, 3×3), a third of the multiplications or less, where `ingot_devices.precision` lets float32 convolutions
be less than exact ("high", as it does at first and as PyTorch does on a GPU); all others by the direct form.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices import precision
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.opset.op import Spec
from ingot_devices.opset.pool import sliding
from ingot_devices.registry import Kernel, Request

from .native.jit import Target, jit
from .native.kernel import Native, pack, runtime, usable
from .native.recipe import ABSENT, ARRAY, GRAIN, Part, Recipe
from .native.windows import direct, geometry, parts, pooling, winograd
from .native.windows.code import tiling
from .native.windows.geometry import Layout, Window

Array = Any
NANOSECONDS = 0.02
"""What a multiplication and addition takes, roughly."""
NARROW = 16
"""Channels and outputs from which on the transforms are worth it."""
WEIGHTS = ("outputs", "inputs", "output", "input", "taps", "packed", "panels")


@cache
def _texts(form: str, bias: bool, flipped: bool, target: Target) -> tuple[str, str]:
    """The two groups of a kernel: weights to panels, then chunk after chunk."""
    made, tiles = {"direct": direct, "winograd": winograd}[form], tiling(target)
    packs = winograd.panels if form == "winograd" else parts.panels
    return packs(WEIGHTS, tiles, flipped), made.text(tiles, parts.biased if bias else parts.plain)


def _native(form: str, w: Window, made: Layout, bias: bool) -> Native:
    """The kernel over (x, weight, bias, out, workspace)."""
    here, threads = jit(), runtime().threads()
    texts = _texts(form, bias, w.flipped, here.target)
    names = (WEIGHTS, winograd.NAMES if form == "winograd" else direct.NAMES)
    units, grain = (made.constants["panels"], threads), (1, int(threads > 1))
    groups = tuple(
        Part(text, tuple(made.constants[n] for n in name), unit, each, w.work * NANOSECONDS / 2)
        for text, name, unit, each in zip(texts, names, units, grain, strict=True)
    )
    recipe = Recipe((ARRAY, ARRAY, ARRAY if bias else ABSENT, ARRAY, ARRAY), groups, [])
    return Native(pack(recipe, [here.address(p.text, form) for p in groups]), recipe)


def _compiled(form: str, request: Request, w: Window) -> Compiled:
    """The launch; its workspace comes from the pool."""
    made = getattr(geometry, form)(w, tiling(jit().target), runtime().threads())
    bias = len(request.layouts) > 2 and request.layouts[2] is not None
    kernel = _native(form, w, made, bias)
    call, pool, nbytes = runtime().function("ingot_call", kernel.packed), request.device.pool, made.nbytes

    def run(x: Array, weight: Array, *rest: Array) -> None:
        bias, out = rest if len(rest) > 1 else (None, rest[0])
        space = pool.allocate(nbytes)
        call(x, weight, bias, out, space.handle)

    return Compiled(run, f"; {form} windows of {w} in {nbytes} bytes\n{kernel.source}")


def made_direct(request: Request) -> Compiled:
    """Any window of one group."""
    return _compiled("direct", request, _asked(request))


def made_winograd(request: Request) -> Compiled:
    """3×3 windows at stride 1, in tiles of 4×4."""
    if precision.float32_convolution() == "highest":
        raise Unsupported('Winograd is less exact than "highest" (ingot_devices.precision)')
    w = _asked(request)
    if (w.taps, w.stride, w.dilation) != ((3, 3), (1, 1), (1, 1)):
        raise Unsupported("Winograd takes windows of 3×3 at stride 1, not dilated")
    if min(w.channels, w.outputs) < NARROW or w.counts[0] * w.counts[1] < NARROW:
        raise Unsupported(f"Winograd is for {NARROW} channels, outputs and results of each and more")
    return _compiled("winograd", request, w)


def _asked(request: Request) -> Window:
    if not usable():
        raise Unsupported("there is no native code here")
    return geometry.asked(request)


def max_pool(request: Request) -> Compiled:
    """The greatest of each window over the last two axes, and its place."""
    if not usable():
        raise Unsupported("there is no native code here")
    shape, out = request.layouts[0].shape, request.outputs[0].shape
    attrs = {k: v for k, v in request.attributes.items() if k not in ("shape", "divisor")}
    lead, axes = sliding("max_pool", Spec.of(shape, dt.float32), **attrs)
    if len(axes) != 2 or axes[1].stride not in pooling.APART or any(a.misses for a in axes) or not math.prod(out):
        raise Unsupported(f"it takes two axes, windows {pooling.APART} apart along the last, and none that is empty")
    if math.prod(shape[-2:]) >= 1 << 31:
        raise Unsupported("a plane has too many elements")
    (down, across), planes = axes, math.prod(lead)
    constants = (down.size, across.size, down.count, across.count, down.kernel, across.kernel, down.stride, down.dilation,
                 across.dilation, down.pad, across.pad)  # fmt: skip
    text, here = pooling.text(across.stride), jit()
    cost = 3 * NANOSECONDS * down.kernel * across.kernel * math.prod(out)
    grain = max(1, min(planes, round(GRAIN * planes / cost))) if cost >= 2 * GRAIN else 0
    recipe = Recipe((ARRAY, ARRAY, ARRAY), (Part(text, constants, planes, grain, cost),), [])
    kernel = Native(pack(recipe, [here.address(text, "max_pool")]), recipe)
    return Compiled(runtime().function("ingot_call", kernel.packed), kernel.source)


KERNELS = (*(
    Kernel(op, "cpu", made, (dt.float32,), "dense", priority=priority)
    for op in ("convolution", "convolution_input")
    for made, priority in ((made_winograd, 20), (made_direct, 10))
), Kernel("max_pool", "cpu", max_pool, (dt.float32,), "dense", priority=10))
