"""The greatest of each window over one or two axes, by native code.

Registered through the hook ``ingot_kernels``, above NumPy's (`pooling`), which has what this refuses.
"""

from __future__ import annotations

import math

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.opset.op import Spec
from ingot_devices.opset.pool import sliding
from ingot_devices.opset.window import Sliding
from ingot_devices.registry import Kernel, Request

from .native.jit import jit
from .native.kernel import Native, pack, runtime, usable
from .native.recipe import ARRAY, GRAIN, Part, Recipe
from .native.windows import pooling

NANOSECONDS = 0.06
"""What an element of a window takes, roughly."""


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
    cost = NANOSECONDS * down.kernel * across.kernel * math.prod(out)
    grain = max(1, min(planes, round(GRAIN * planes / cost))) if cost >= 2 * GRAIN else 0
    recipe = Recipe((ARRAY,) * (1 + results), (Part(text, constants, planes, grain, cost),), [])
    kernel = Native(pack(recipe, [here.address(text, "max_pool")]), recipe)
    return Compiled(runtime().function("ingot_call", kernel.packed), kernel.source)


KERNELS = tuple(
    Kernel(op, "cpu", max_pool, (dt.float32,), "dense", priority=10) for op in ("max_pool", "max_pool_with_indices")
)
