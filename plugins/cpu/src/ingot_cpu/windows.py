"""Convolution over one or two axes, and its gradients, by native code.

Registered through the hook ``ingot_kernels``, above NumPy's (`convolution`), which has what these refuse. Windows
of 3×3 at stride 1 go by Winograd's F(4×4, 3×3), a quarter of the multiplications, where `ingot_devices.precision` lets a
convolution of float32 be less than exact ("high", as at first). It errs by about 1e-5 of the largest result where the direct
form errs by 1e-6; and a value that is not finite, or within a hundredth of the largest float, spoils the 4×4 results of its
tile. All others, and ``"highest"``, are exact: by planes where a group has few outputs, else by panels of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from ingot_devices import dtypes as dt
from ingot_devices import precision
from ingot_devices.codegen import Compiled, InWorkspace, Unsupported
from ingot_devices.ir.definition import Definition
from ingot_devices.registry import Kernel, Request

from .native.jit import Target, jit
from .native.kernel import Native, pack, runtime, usable
from .native.recipe import ABSENT, ARRAY, Part, Recipe
from .native.windows import (
    direct,
    geometry,
    grid,
    panels,
    parts,
    plane_weights,
    planes,
    turned,
    weights,
    winograd,
)
from .native.windows.code import OPERANDS, tiling
from .native.windows.geometry import Layout, Window
from .native.windows.tail import Computed, Tail, tail

Call = Callable[..., Any]
NANOSECONDS = 0.02
"""What a multiplication and addition takes, roughly."""
MOVED = 0.5
"""The same of an element that is moved to another order."""
PLANES, FILLED = 16, 0.8
"""Outputs of a group up to which planes are better than panels; for the gradient of a weight, what share of a panel is used."""
NARROW = 16
"""Channels and outputs from which on the transforms are worth it."""
WEIGHTS = ("groups", "panels", "weights", "outputs", "inputs", "output", "input", "taps", "packed")
NAMES = {
    "direct": (WEIGHTS, direct.NAMES), "winograd": (WEIGHTS, winograd.NAMES), "panels": (panels.NAMES, panels.NAMES),
}  # fmt: skip
"""The constants of each form's two steps."""


class Form(NamedTuple):
    """A way to compute windows: its first step, and what its second is made of, which threads share. ``variant``: what else
    decides its text."""

    name: str
    variant: tuple[Any, ...]
    first: Part
    constants: tuple[int, ...]
    nbytes: int


def _paneled(name: str, w: Window) -> Form:
    """By products with panels of weights, which are made first, or pictures in tiles."""
    target, threads = jit().target, runtime().threads()
    made: Layout = getattr(geometry, name)(w, tiling(target), threads)
    first, second = (tuple(made.constants[n] for n in names) for names in NAMES[name])
    if name == "panels":
        units, moved = w.batch, w.batch * w.channels * w.sizes[0] * w.sizes[1]
    else:
        units, moved = w.groups * made.constants["panels"], w.groups * w.outputs * w.channels
    prepares = Part(_prepares(name, w.flipped, target), first, units, int(threads > 1), moved * MOVED)
    return Form(name, (w.flipped,), prepares, second, made.nbytes)


def _planed(w: Window) -> Form:
    """By planes: nothing is made first."""
    g = grid.backward(w) if w.flipped else grid.forward(w)
    made, variant = grid.planes(w, g, planes.registers(jit().target), runtime().threads())
    return Form("planes", variant, _resets(*OPERANDS), tuple(made.constants[n] for n in planes.NAMES), made.nbytes)


@cache
def _resets(*operands: str) -> Part:
    return Part(planes.resets(operands), (), 1, 0, 0)


@cache
def _prepares(form: str, flipped: bool, target: Target) -> str:
    """The first step of a kernel: weights to panels, or pictures to tiles."""
    if form == "panels":
        return panels.tiles()
    if form == "winograd":
        return winograd.panels(WEIGHTS, tiling(target), flipped)
    return parts.panels(WEIGHTS, tiling(target), flipped)


def _shares(form: str, variant: tuple[Any, ...], target: Target, finish: parts.Finish) -> str:
    """The second step, which threads share."""
    if form == "planes":
        return planes.text(finish, planes.Variant(*variant))
    if form == "panels":
        return panels.text(tiling(target), finish, *variant)
    return winograd.text(tiling(target), finish) if form == "winograd" else direct.text(tiling(target), finish)


@cache
def _plainly(form: str, variant: tuple[Any, ...], target: Target, bias: bool) -> str:
    return _shares(form, variant, target, parts.biased if bias else parts.plain)


def _compiled(form: Form, request: Request, w: Window, then: Tail | None = None) -> Compiled:
    """The launch of a convolution, of what follows from its results where that is given."""
    target, threads = jit().target, runtime().threads()
    bias = len(request.layouts) > 2 and request.layouts[2] is not None
    constants = form.constants
    if then is None:
        text = _plainly(form.name, form.variant, target, bias)
    else:
        finish = Computed(then, len(constants), bias, target)
        text = _shares(form.name, form.variant, target, finish)
        constants += finish.constants
    steps = (form.first, Part(text, constants, threads, int(threads > 1), w.work * NANOSECONDS / 2))
    kinds = (ARRAY, ARRAY, ARRAY if bias else ABSENT, ARRAY if then is None else ABSENT, ARRAY, *(then.kinds if then else ()))
    doc = f"{form.name} windows of {w}" + (", and what follows" if then else "")

    def attach(definition: Definition, result: int, layouts: Mapping[int, Any]) -> Call:
        return _compiled(form, request, w, tail(definition, result, layouts)).call

    return replace(_in_workspace(request, steps, kinds, form.nbytes, doc), attach=attach)


def _in_workspace(
    request: Request, steps: tuple[Part, ...], kinds: tuple[int, ...], nbytes: int, doc: str
) -> Compiled:
    """The launch of steps over (operands…, result, workspace, more…); the workspace is given (`InWorkspace`).

    A kernel of five operands or more has room for a bias, which a gradient has not.
    """
    recipe = Recipe(kinds, steps, [])
    kernel = Native(pack(recipe, [jit().address(p.text, request.op) for p in steps]), recipe)
    call, given = runtime().function("ingot_call", kernel.packed), len(request.layouts)
    missing = (None,) * (min(len(kinds), 5) - 2 - given)

    def alone(*operands: Any) -> None:
        call(*operands[:given], *missing, operands[given], operands[-1])

    def among(*operands: Any) -> None:  # the result is among what follows
        call(*operands[:given], *missing, None, operands[-1], *operands[given:-1])

    run = InWorkspace(among if len(kinds) > 5 else alone, nbytes, request.device)
    return Compiled(run, f"; {doc} in {nbytes} bytes\n{kernel.source}")


def made_direct(request: Request) -> Compiled:
    """Any window."""
    w = geometry.at_one(_asked(request))
    return _compiled(_paneled("direct", w), request, w)


def made_winograd(request: Request) -> Compiled:
    """3×3 windows at stride 1, in tiles of 4×4."""
    if precision.float32_convolution() == "highest":
        raise Unsupported('Winograd is less exact than "highest" (ingot_devices.precision)')
    w = _asked(request)
    if (w.taps, w.stride, w.dilation) != ((3, 3), (1, 1), (1, 1)):
        raise Unsupported("Winograd takes windows of 3×3 at stride 1, not dilated")
    w = geometry.at_one(w)
    if min(w.channels, w.outputs) < NARROW or w.counts[0] * w.counts[1] < NARROW:
        raise Unsupported(f"Winograd is for {NARROW} channels, outputs and results of each and more")
    tiled, paneled = geometry.reads(w, tiling(jit().target), runtime().threads())
    return _compiled(_paneled("winograd" if w.groups > 1 or tiled <= paneled else "panels", w), request, w)


def made_turned(request: Request) -> Compiled:
    """The gradient of an input at any stride: phase after phase."""
    w, here, threads = _asked(request), jit(), runtime().threads()
    if w.stride == (1, 1) or w.dilation != (1, 1):
        raise Unsupported("phases are for strides above 1, without dilation")
    if w.outputs <= PLANES:
        raise Unsupported(f"for {PLANES} channels and less a panel is mostly empty")
    made, tables = geometry.turned(w, tiling(here.target), threads)
    constants = (*(made.constants[n] for n in turned.NAMES), *tables)
    packs, text = _turned_texts(here.target)
    steps = (
        Part(packs, constants, w.groups * made.constants["panels"], int(threads > 1), w.weights * w.groups * MOVED),
        Part(text, constants, threads, int(threads > 1), w.work * NANOSECONDS / 2),
    )
    return _in_workspace(request, steps, (ARRAY, ARRAY, ABSENT, ARRAY, ARRAY), made.nbytes, f"phases of windows of {w}")


@cache
def _turned_texts(target: Target) -> tuple[str, str]:
    return turned.panels(tiling(target)), turned.text(tiling(target))


def made_weight(request: Request) -> Compiled:
    """The gradient of a weight."""
    w, here = _asked(request), jit()
    tiles = tiling(here.target)
    made = geometry.weights(w, tiles, runtime().threads())
    constants = tuple(made.constants[n] for n in weights.NAMES)
    spread, text = _weight_texts(here.target)
    moved = w.pictures * w.channels * w.sizes[0] * w.sizes[1] * MOVED
    steps = (
        Part(spread, constants, w.pictures, 1, moved),
        Part(text, constants, w.groups * made.constants["units"], 1, w.work * NANOSECONDS / 2),
    )
    return _in_workspace(request, steps, (ARRAY,) * 4, made.nbytes, f"gradient of the weight of {w}")


@cache
def _weight_texts(target: Target) -> tuple[str, str]:
    return weights.spread(), weights.text(tiling(target))


def made_planes(request: Request) -> Compiled:
    """Windows of few outputs or one channel; the gradient of an input at any stride."""
    w = _asked(request)
    if w.outputs > PLANES and w.channels > 1:
        raise Unsupported(f"planes are for {PLANES} outputs of a group or less, and for one channel")
    return _compiled(_planed(w), request, w)


def made_plane_weights(request: Request) -> Compiled:
    """The gradient of a weight whose channels are too few for panels: 32 of them and of a row's taps, by 4 outputs."""
    w, target, threads = _asked(request), jit().target, runtime().threads()
    across = w.channels * (w.taps[1] if w.dilation[1] == 1 else 1)
    filled = across / geometry.rounded(across, 32) * w.outputs / geometry.rounded(w.outputs, 4)  # on any processor
    if filled >= FILLED:
        raise Unsupported(f"planes are for weights that fill panels to less than {FILLED:.0%}; it fills {filled:.0%}")
    g = grid.forward(w)
    made, table = grid.weights(w, g, threads)
    constants = (*(made.constants[n] for n in planes.NAMES), *table)
    text = _plane_weights(target, g.inner[1])
    steps = (_resets(*plane_weights.OPERANDS), Part(text, constants, threads, int(threads > 1), w.work * NANOSECONDS / 2))
    return _in_workspace(request, steps, (ARRAY,) * 4, made.nbytes, f"plane_weights, gradient of the weight of {w}")


@cache
def _plane_weights(target: Target, across: int) -> str:
    return plane_weights.text(target, across)


def _asked(request: Request) -> Window:
    if not usable():
        raise Unsupported("there is no native code here")
    return geometry.asked(request)


KERNELS = (*(
    Kernel(op, "cpu", made, (dt.float32,), "dense", priority=priority)
    for op in ("convolution", "convolution_input")
    for made, priority in ((made_winograd, 20), (made_planes, 15), (made_direct, 10))
), Kernel("convolution_input", "cpu", made_turned, (dt.float32,), "dense", priority=5), *(
    Kernel("convolution_weight", "cpu", made, (dt.float32,), "dense", priority=priority)
    for made, priority in ((made_plane_weights, 15), (made_weight, 10))
))  # fmt: skip
