"""Fused attention for float16 and bfloat16 on tensor cores: kernels for `scaled_dot_product_attention` and its gradients.

Registered through the hook ``ingot_kernels``; the kernels are `attention.cu` and, for the gradients, `attention_queries.cu` and
`attention_keys.cu`, each over `tiles.cu` and built once for each head size. What they do not take (float32, a mask, head
sizes that are no multiple of 16, GPUs before compute capability 8.0) goes to the composites' decompositions.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.device import Arguments, Binding
from ingot_devices.layout import Layout
from ingot_devices.registry import Kernel, Request

from .dialect import PROLOGUE

ROWS = 64  # of a block, queries or keys, where heads are large; twice as many where they are small
LARGEST = 128  # head size: what registers and shared memory hold
HALVES = (dt.float16, dt.bfloat16)
Steps = tuple[int, int, int]
_BLOCK = (128, 1, 1)
_SCALARS = struct.Struct("@33qf3i")


@dataclass(frozen=True)
class Problem:
    """What a kernel is built for and launched with. ``steps``: of each matrix that is read, by batch, head and row."""

    half: bool
    size: int
    causal: bool
    batch: int
    heads: int
    queries: int
    keys: int
    steps: tuple[Steps, ...]

    def source(self, file: str, aligned: bool) -> str:
        """The kernel of a file; ``aligned`` where all rows begin at multiples of 16 bytes."""
        defined = {"HALF": self.half, "D": self.size, "CAUSAL": self.causal, "ALIGNED": aligned}
        texts = [files(__package__).joinpath(name).read_text("utf-8") for name in ("tiles.cu", file)]
        return "\n".join([PROLOGUE, *(f"#define {key} {int(value)}" for key, value in defined.items()), *texts])

    def aligned(self, matrices: Sequence[Any] = ()) -> bool:
        """True where all rows of these native views begin at multiples of 16 bytes."""
        return all(n % 8 == 0 for steps in self.steps for n in steps) and all(x[1] % 8 == 0 for x in matrices)

    def scalars(self, places: Sequence[tuple[int, Steps]], lse: int, scale: float) -> bytes:
        """The kernels' structure `Arguments`: offset and steps of each matrix, in its order, and the rest."""
        numbers = [n for offset, steps in places for n in (offset, *steps)]
        numbers += [0] * (32 - len(numbers))
        return _SCALARS.pack(*numbers, lse, float(scale), self.heads, self.queries, self.keys)

    def grid(self, rows: int) -> tuple[int, int, int]:
        """Heads first, so that all blocks with much to do begin before those with little. A block is the kernels' BLOCK."""
        return (self.batch * self.heads, -(-rows // (ROWS if self.size > 64 else 2 * ROWS)), 1)


def problem(request: Request, q: Layout, k: Layout, v: Layout, mask: Any, *others: Layout) -> Problem:
    """What the kernels are asked for; ``others`` are matrices beside. `Unsupported` says what they do not take."""
    size, matrices = q.shape[-1], (q, k, v, *others)
    if mask is not None:
        raise Unsupported("it takes no mask beside the causal one")
    if any(x.dtype not in HALVES for x in matrices):
        raise Unsupported(f"takes no {q.dtype.name}")
    if v.shape[-1] != size or size % 16 or size > LARGEST:
        raise Unsupported(f"it takes one head size for all, a multiple of 16 up to {LARGEST}")
    if request.device.capability < (8, 0):
        raise Unsupported("its matrix instructions are those of compute capability 8.0")
    lead = q.shape[:-2]
    if any(x.shape[:-2] != lead for x in matrices) or len(lead) > 2:
        raise Unsupported("it takes up to two leading axes, the same for queries, keys and values")
    batch, heads = (1, 1, *lead)[-2:]
    queries, keys = q.shape[-2], k.shape[-2]
    if not (q.size and k.size) or max(queries, keys) > ROWS * request.device.limits.max_grid[1]:
        raise Unsupported("it takes queries and keys, at most four million")
    steps = tuple(steps_of(x) for x in matrices)
    return Problem(q.dtype is dt.float16, size, bool(request.attributes["is_causal"]), batch, heads, queries, keys, steps)


def steps_of(x: Layout) -> Steps:
    """Elements from batch to batch, head to head and row to row; the last axis must be dense."""
    if x.shape[-1] > 1 and x.strides[-1] != 1:
        raise Unsupported("rows must be dense")
    batch, heads, rows = (0, 0, *x.strides[:-1])[-3:]
    return batch, heads, rows


def laid_like(x: Layout, result: Layout) -> Layout:
    """A result with its heads within rows where ``x`` has them so: then both can be seen as rows of all heads."""
    if len(x.shape) != 4 or x.shape[1] == 1 or x.strides[1] >= x.strides[2]:
        return result
    _, heads, rows, size = result.shape
    return Layout.of(result.shape, (rows * heads * size, size, heads * size, 1), result.dtype, result.device)


class Built:
    """The kernel ``ingot_NAME`` of ``NAME.cu``, for rows that are aligned and for others; the usual one is built now."""

    def __init__(self, device: Any, asked: Problem, name: str) -> None:
        self.device, self.asked, self.name = device, asked, name
        self._built: dict[bool, Any] = {}
        self.source = asked.source(f"{name}.cu", asked.aligned())
        self.entry(asked.aligned())

    def entry(self, aligned: bool) -> Any:
        """What is launched."""
        if aligned not in self._built:
            source = self.asked.source(f"{self.name}.cu", aligned)
            self._built[aligned] = self.device.build(source, f"ingot_{self.name}")
        return self._built[aligned]


def attention(request: Request) -> Compiled:
    """softmax(scale · q·kᵀ)·v and lse, by one launch."""
    q, k, v, mask, _ = request.layouts
    device, asked = request.device, problem(request, q, k, v, mask)
    built = Built(device, asked, "attention")
    grid = asked.grid(asked.queries)
    left = (laid_like(q, request.outputs[0]), request.outputs[1])
    nothing, steps = (0, 0, 0), steps_of(left[0])

    def call(q: Any, k: Any, v: Any, mask: None, scale: float, out: Any, lse: Any) -> None:
        matrices = (q, k, v)
        bound = (*(Binding(x[0], "r") for x in matrices), Binding(out[0], "w"), Binding(lse[0], "w"))
        places = zip((q[1], k[1], v[1], 0, out[1]), (*asked.steps, nothing, steps), strict=True)
        arguments = Arguments(bound, asked.scalars(tuple(places), lse[1], scale))
        device.launch(built.entry(asked.aligned(matrices)), grid, _BLOCK, arguments, device.current_stream())

    return Compiled(call, built.source, results=left)


def attention_backward(request: Request) -> Compiled:
    """The gradients of q, k and v, by two launches; between them lie two numbers for each query."""
    grad, q, k, v, mask, out, lse, _ = request.layouts
    device, asked = request.device, problem(request, q, k, v, mask, grad, out)
    if not lse.is_dense:
        raise Unsupported("its sums of rows must be dense")
    first, second = Built(device, asked, "attention_queries"), Built(device, asked, "attention_keys")
    between = asked.batch * asked.heads * asked.queries * 8
    over_queries, over_keys = asked.grid(asked.queries), asked.grid(asked.keys)
    left = tuple(laid_like(x, made) for x, made in zip((q, k, v), request.outputs, strict=True))
    steps = (*asked.steps, *map(steps_of, left))

    def call(grad: Any, q: Any, k: Any, v: Any, mask: None, out: Any, lse: Any, scale: float, *made: Any) -> None:
        matrices = (q, k, v, grad, out)
        places = tuple(zip((x[1] for x in (*matrices, *made)), steps, strict=True))
        aligned, scalars = asked.aligned(matrices), asked.scalars(places, lse[1], scale)
        rows, stream = device.pool.allocate(between), device.current_stream()
        read = [Binding(x[0], "r") for x in matrices]
        to_q, to_k, to_v = (Binding(x[0], "w") for x in made)
        bound = (*read, Binding(lse[0], "r"), Binding(rows.handle, "w"), to_q)
        device.launch(first.entry(aligned), over_queries, _BLOCK, Arguments(bound, scalars), stream)
        bound = (*read[:4], Binding(rows.handle, "r"), to_k, to_v)
        device.launch(second.entry(aligned), over_keys, _BLOCK, Arguments(bound, scalars), stream)

    return Compiled(call, f"{first.source}\n{second.source}", 2, results=left)


KERNELS = tuple(
    Kernel(op, "cuda", made, None, layout, priority=priority)
    for op, made in (("scaled_dot_product_attention", attention), ("attention_backward", attention_backward))
    for layout, priority in (("any", 20), ("inner-dense", 15), ("dense", 10))  # as they lie if possible, else after copies
)
