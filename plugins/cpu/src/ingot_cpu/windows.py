"""Windows over two axes by native code: convolution, its gradients, max pooling.

Registered through the hook ``ingot_kernels``, above NumPy's (`convolution`, `pooling`), which have what these refuse. Windows
of 3×3 at stride 1 go by Winograd's F(4×4, 3×3), a quarter of the multiplications, where `ingot_devices.precision` lets a
convolution of float32 be less than exact ("high", as at first). It errs by about 1e-5 of the largest result where the direct
form errs by 1e-6; and a value that is not finite, or within a hundredth of the largest float, spoils the 4×4 results of its
tile. All others, and ``"highest"``, take the direct form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices import precision
from ingot_devices.codegen import Compiled, InWorkspace, Unsupported
from ingot_devices.ir.definition import Definition
from ingot_devices.opset.op import Spec
from ingot_devices.opset.pool import sliding
from ingot_devices.opset.window import Sliding
from ingot_devices.registry import Kernel, Request

from .native.jit import Target, jit
from .native.kernel import Native, pack, runtime, usable
from .native.recipe import ABSENT, ARRAY, GRAIN, Part, Recipe
from .native.windows import direct, geometry, panels, parts, pooling, turned, weights, winograd
from .native.windows.code import tiling
from .native.windows.geometry import Layout, Window
from .native.windows.tail import Computed, Tail, tail

Call = Callable[..., Any]
NANOSECONDS = 0.02
"""What a multiplication and addition takes, roughly."""
FEW, FEW_APART = 4, 17
"""Channels below which a matrix of columns is better than phases; the second where no two windows meet."""
MOVED = 0.5
"""The same of an element that is moved to another order."""
NARROW = 16
"""Channels and outputs from which on the transforms are worth it."""
WEIGHTS = ("outputs", "inputs", "output", "input", "taps", "packed", "panels")
NAMES = {
    "direct": (WEIGHTS, direct.NAMES), "winograd": (WEIGHTS, winograd.NAMES), "panels": (panels.NAMES, panels.NAMES),
}  # fmt: skip
"""The constants of each form's two groups."""


@cache
def _prepares(form: str, flipped: bool, target: Target) -> str:
    """The first group of a kernel: weights to panels, or pictures to tiles."""
    if form == "panels":
        return panels.tiles()
    if form == "winograd":
        return winograd.panels(WEIGHTS, tiling(target), flipped)
    return parts.panels(WEIGHTS, tiling(target), flipped)


def _shares(form: str, flipped: bool, target: Target, finish: parts.Finish) -> str:
    """The second group, which threads share."""
    if form == "panels":
        return panels.text(tiling(target), finish, flipped)
    return winograd.text(tiling(target), finish) if form == "winograd" else direct.text(tiling(target), finish)


@cache
def _plainly(form: str, flipped: bool, target: Target, bias: bool) -> str:
    return _shares(form, flipped, target, parts.biased if bias else parts.plain)


def _compiled(form: str, request: Request, w: Window, then: Tail | None = None) -> Compiled:
    """The launch of a convolution, of what follows from its results where that is given."""
    target, threads = jit().target, runtime().threads()
    made: Layout = getattr(geometry, form)(w, tiling(target), threads)
    bias = len(request.layouts) > 2 and request.layouts[2] is not None
    first, second = NAMES[form]
    constants = [tuple(made.constants[n] for n in names) for names in (first, second)]
    if then is None:
        text = _plainly(form, w.flipped, target, bias)
    else:
        finish = Computed(then, second, bias, target)
        text = _shares(form, w.flipped, target, finish)
        constants[1] += finish.constants
    moved = w.batch * w.channels * w.sizes[0] * w.sizes[1] if form == "panels" else w.outputs * w.channels
    units, grain = w.batch if form == "panels" else made.constants["panels"], int(threads > 1)
    groups = (
        Part(_prepares(form, w.flipped, target), constants[0], units, grain, moved * MOVED),
        Part(text, constants[1], threads, grain, w.work * NANOSECONDS / 2),
    )
    kinds = (ARRAY, ARRAY, ARRAY if bias else ABSENT, ARRAY if then is None else ABSENT, ARRAY, *(then.kinds if then else ()))
    doc = f"{form} windows of {w}" + (", and what follows" if then else "")

    def attach(definition: Definition, result: int, layouts: Mapping[int, Any]) -> Call:
        return _compiled(form, request, w, tail(definition, result, layouts)).call

    return replace(_in_workspace(request, groups, kinds, made.nbytes, doc), attach=attach)


def _in_workspace(
    request: Request, groups: tuple[Part, ...], kinds: tuple[int, ...], nbytes: int, doc: str
) -> Compiled:
    """The launch of groups over (operands…, result, workspace, more…); the workspace is given (`InWorkspace`).

    A kernel of five operands or more has room for a bias, which a gradient has not.
    """
    recipe = Recipe(kinds, groups, [])
    kernel = Native(pack(recipe, [jit().address(p.text, request.op) for p in groups]), recipe)
    call, given = runtime().function("ingot_call", kernel.packed), len(request.layouts)
    missing = (None,) * (min(len(kinds), 5) - 2 - given)

    def alone(*operands: Any) -> None:
        call(*operands[:given], *missing, operands[given], operands[-1])

    def among(*operands: Any) -> None:  # the result is among what follows
        call(*operands[:given], *missing, None, operands[-1], *operands[given:-1])

    run = InWorkspace(among if len(kinds) > 5 else alone, nbytes, request.device)
    return Compiled(run, f"; {doc} in {nbytes} bytes\n{kernel.source}")


def made_direct(request: Request) -> Compiled:
    """Any window of one group."""
    w = _asked(request)
    if w.flipped and w.stride != (1, 1):
        raise Unsupported("a gradient of the input is a convolution at stride 1 alone")
    return _compiled("direct", request, w)


def made_winograd(request: Request) -> Compiled:
    """3×3 windows at stride 1, in tiles of 4×4."""
    if precision.float32_convolution() == "highest":
        raise Unsupported('Winograd is less exact than "highest" (ingot_devices.precision)')
    w = _asked(request)
    if (w.taps, w.stride, w.dilation) != ((3, 3), (1, 1), (1, 1)):
        raise Unsupported("Winograd takes windows of 3×3 at stride 1, not dilated")
    if min(w.channels, w.outputs) < NARROW or w.counts[0] * w.counts[1] < NARROW:
        raise Unsupported(f"Winograd is for {NARROW} channels, outputs and results of each and more")
    tiled, paneled = geometry.reads(w, tiling(jit().target), runtime().threads())
    return _compiled("winograd" if tiled <= paneled else "panels", request, w)


def made_turned(request: Request) -> Compiled:
    """The gradient of an input at any stride: phase after phase."""
    w, here, threads = _asked(request), jit(), runtime().threads()
    if w.stride == (1, 1) or w.dilation != (1, 1):
        raise Unsupported("phases are for strides above 1, without dilation")
    few = FEW_APART if w.taps == w.stride else FEW
    if w.outputs < few:
        raise Unsupported(f"for less than {few} channels a panel is mostly empty")
    made, tables = geometry.turned(w, tiling(here.target), threads)
    constants = (*(made.constants[n] for n in turned.NAMES), *tables)
    packs, text = _turned_texts(here.target)
    groups = (
        Part(packs, constants, made.constants["panels"], int(threads > 1), w.outputs * w.channels * MOVED),
        Part(text, constants, threads, int(threads > 1), w.work * NANOSECONDS / 2),
    )
    return _in_workspace(request, groups, (ARRAY, ARRAY, ABSENT, ARRAY, ARRAY), made.nbytes, f"phases of windows of {w}")


@cache
def _turned_texts(target: Target) -> tuple[str, str]:
    return turned.panels(tiling(target)), turned.text(tiling(target))


def made_weight(request: Request) -> Compiled:
    """The gradient of a weight of one group."""
    w, here = _asked(request), jit()
    tiles = tiling(here.target)
    made = geometry.weights(w, tiles, runtime().threads())
    constants = tuple(made.constants[n] for n in weights.NAMES)
    spread, text = _weight_texts(here.target)
    moved = w.batch * w.channels * w.sizes[0] * w.sizes[1] * MOVED
    groups = (
        Part(spread, constants, w.batch, 1, moved),
        Part(text, constants, -(-w.outputs // made.constants["span"]), 1, w.work * NANOSECONDS / 2),
    )
    return _in_workspace(request, groups, (ARRAY,) * 4, made.nbytes, f"gradient of the weight of {w}")


@cache
def _weight_texts(target: Target) -> tuple[str, str]:
    return weights.spread(), weights.text(tiling(target))


def _asked(request: Request) -> Window:
    if not usable():
        raise Unsupported("there is no native code here")
    return geometry.asked(request)


def max_pool(request: Request) -> Compiled:
    """The greatest of each window over the last axis or two, and its place where that is a result, too."""
    if not usable():
        raise Unsupported("there is no native code here")
    shape, out = request.layouts[0].shape, request.outputs[0].shape
    attrs = {k: v for k, v in request.attributes.items() if k not in ("shape", "divisor")}
    lead, axes = sliding("max_pool", Spec.of(shape, dt.float32), **attrs)
    results = len(request.outputs)
    if len(axes) > 2 or axes[-1].stride not in pooling.APART or any(a.misses for a in axes) or not math.prod(out):
        raise Unsupported(f"it takes one axis or two, windows {pooling.APART} apart along the last, and none that is empty")
    if math.prod(a.size for a in axes) >= 1 << 31:
        raise Unsupported("a plane has too many elements")
    (down, across), planes = axes if len(axes) == 2 else (Sliding(1, 1, 1, 0, 1, 1), axes[0]), math.prod(lead)
    constants = (down.size, across.size, down.count, across.count, down.kernel, across.kernel, down.stride, down.dilation,
                 across.dilation, down.pad, across.pad)  # fmt: skip
    text, here = pooling.text(across.stride, results > 1), jit()
    cost = 3 * NANOSECONDS * down.kernel * across.kernel * math.prod(out)
    grain = max(1, min(planes, round(GRAIN * planes / cost))) if cost >= 2 * GRAIN else 0
    recipe = Recipe((ARRAY,) * (1 + results), (Part(text, constants, planes, grain, cost),), [])
    kernel = Native(pack(recipe, [here.address(text, "max_pool")]), recipe)
    return Compiled(runtime().function("ingot_call", kernel.packed), kernel.source)


KERNELS = (*(
    Kernel(op, "cpu", made, (dt.float32,), "dense", priority=priority)
    for op in ("convolution", "convolution_input")
    for made, priority in ((made_winograd, 20), (made_direct, 10))
), Kernel("convolution_input", "cpu", made_turned, (dt.float32,), "dense", priority=5),
    Kernel("convolution_weight", "cpu", made_weight, (dt.float32,), "dense", priority=10),
    *(Kernel(op, "cpu", max_pool, (dt.float32,), "dense", priority=10) for op in ("max_pool", "max_pool_with_indices")))
