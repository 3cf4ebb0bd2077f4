"""Matrix products by cuBLASLt, as kernels for the ops matmul, linear and addmm.

Registered through the hook ``ingot_kernels``. Ingot's matrices are row-major and may be transposed views; the library's
are column-major, so it is given the transposed product: Dᵀ = Yᵀ·Xᵀ, which needs no copy in either case. What it cannot
take (or where it is not installed) goes to the generated kernel with tiles in shared memory, and `explain` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Compiled, Unsupported
from ingot_devices.errors import LaunchError
from ingot_devices.layout import Layout, broadcast_shapes
from ingot_devices.precision import float32_matmul
from ingot_devices.registry import Kernel, Request

from . import cublaslt
from .cublaslt import Matrix, Product

DTYPES = (dt.float16, dt.bfloat16, dt.float32, dt.float64)


@dataclass(frozen=True)
class Side:
    """A row-major operand as the library's column-major one: the matrix, whether to transpose it, the batch's step."""

    matrix: Matrix
    transposed: bool


def collapsed(sizes: Sequence[int], strides: Sequence[int]) -> int | None:
    """The step of several axes walked as one, row-major; 0 where all stand still, None where they cannot be one."""
    kept = [(n, s) for n, s in zip(sizes, strides, strict=True) if n != 1]
    if not kept:
        return 0
    for (_, outer), (n, inner) in pairwise(kept):
        if outer != n * inner:
            return None
    return kept[-1][1]


def side(rows: int, columns: int, row_step: int, column_step: int, step: int) -> Side:
    """The operand of ``rows`` × ``columns`` with these steps. `Unsupported` if neither axis is dense."""
    if columns == 1:  # the step along an axis of one element means nothing
        column_step = 1
    if rows == 1:
        row_step = columns if column_step == 1 else 1
    if column_step == 1 and row_step >= columns:
        return Side(Matrix(columns, rows, row_step, step), False)
    if row_step == 1 and column_step >= rows:
        return Side(Matrix(rows, columns, column_step, step), True)
    raise Unsupported(f"a matrix with steps {(row_step, column_step)} is dense along neither axis")


def operand(layout: Layout, batch: tuple[int, ...], swap: bool = False) -> Side:
    """A tensor operand whose leading axes broadcast to ``batch``; ``swap`` takes its last two axes exchanged."""
    lead = len(layout.shape) - 2
    wanted = (1,) * (len(batch) - lead) + layout.shape[:-2]
    strides = [0] * (len(batch) - lead) + list(layout.strides[:-2])
    steps = [0 if n == 1 else s for n, s in zip(wanted, strides, strict=True)]
    step = collapsed(batch, steps)
    if step is None:
        raise Unsupported(f"batch axes {wanted} with steps {tuple(steps)} are no single step")
    (m, n), (a, b) = layout.shape[-2:], layout.strides[-2:]
    return side(n, m, b, a, step) if swap else side(m, n, a, b, step)


def product(
    request: Request, x: Side, y: Side, m: int, n: int, batch: int, bias: bool = False, epilogue: str = ""
) -> Product:
    """The library's product for a row-major result (batch, m, n), with the op ``epilogue`` of it."""
    library = cublaslt.library()
    if min(m, n, batch, x.matrix.rows, x.matrix.columns) == 0:
        raise Unsupported("there is nothing to multiply")
    try:
        made = Product(
            library, request.device, request.outputs[0].dtype.name, y.matrix, x.matrix, Matrix(n, m, n, m * n),
            (y.transposed, x.transposed), batch, float32_matmul() != "highest", epilogue, bias,
        )  # fmt: skip
        made.algorithm(16)  # refused now, if it is
    except LaunchError as error:
        raise Unsupported(str(error)) from error
    return made


def _size(shape: Sequence[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def _compiled(request: Request, made: Callable[[str], Callable[..., None]]) -> Compiled:
    """The kernel ``made("")``, which can do an op behind the product as well: ``made(op)``."""

    def behind(op: str) -> Callable[..., None]:
        if op not in cublaslt.EPILOGUES:
            raise Unsupported(f"the library's products know no {op}")
        return made(op)

    call = made("")
    tf32 = " in TF32" if request.outputs[0].dtype is dt.float32 and float32_matmul() != "highest" else ""
    text = f"// cuBLASLt {cublaslt.library().version}: cublasLtMatmul of {request.outputs[0]}{tf32}"
    return Compiled(call, text, behind=behind)


def matmul(request: Request) -> Compiled:
    """(…, m, k)·(…, k, n); one matrix against a batch whose rows lie evenly is a single product."""
    x, y = request.layouts
    m, k, n = x.shape[-2], x.shape[-1], y.shape[-1]
    lead = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    item = x.dtype.itemsize
    rows = collapsed(x.shape[:-1], x.strides[:-1])
    if _size(y.shape[:-2]) == 1 and len(x.shape) > 2 and rows is not None:
        m = _size(x.shape[:-1])
        left, right, batch = side(m, k, rows, x.strides[-1], 0), operand(y, (1,) * len(y.shape[:-2])), 1
    else:
        left, right, batch = operand(x, lead), operand(y, lead), _size(lead)
    device = request.device

    def made(epilogue: str) -> Callable[..., None]:
        run = product(request, left, right, m, n, batch, epilogue=epilogue).run

        def call(x: Any, y: Any, out: Any) -> None:
            stream, workspace = device.library("cublasLtMatmul")
            run(y[0] + y[1] * item, x[0] + x[1] * item, out[0] + out[1] * item, stream, workspace)

        return call

    return _compiled(request, made)


def linear(request: Request) -> Compiled:
    """x·weightᵀ + bias; a vector is the library's epilogue, a summand for each element its C."""
    x, weight, bias = request.layouts
    n, k = weight.shape
    each = bias is not None and bias.is_dense and len(bias.shape) > 1 and bias.shape == (*x.shape[:-1], n)
    if bias is not None and not each and (bias.shape != (n,) or (n > 1 and bias.strides != (1,))):
        raise Unsupported(f"a bias of {bias} is neither a dense vector of {n} nor dense and shaped as the result")
    m, item = _size(x.shape[:-1]), x.dtype.itemsize
    step = collapsed(x.shape[:-1], x.strides[:-1])
    if step is None:
        raise Unsupported(f"the rows of {x} are no single step apart")
    left, right = side(m, k, step, x.strides[-1], 0), operand(weight, (), swap=True)
    device, vector = request.device, bias is not None and not each

    def made(epilogue: str) -> Callable[..., None]:
        run = product(request, left, right, m, n, 1, vector, epilogue).run

        def call(x: Any, weight: Any, bias: Any, out: Any) -> None:
            at = 0 if bias is None else bias[0] + bias[1] * item
            how = {"added": at, "beta": 1.0} if each else {"bias": at}
            stream, workspace = device.library("cublasLtMatmul")
            run(weight[0] + weight[1] * item, x[0] + x[1] * item, out[0] + out[1] * item, stream, workspace, **how)

        return call

    return _compiled(request, made)


def addmm(request: Request) -> Compiled:
    """beta·added + alpha·(x·y), where what is added is a dense matrix."""
    added, x, y, *_ = request.layouts
    m, n, item = x.shape[0], y.shape[1], x.dtype.itemsize
    if added.shape != (m, n) or not added.is_dense:
        raise Unsupported(f"what is added, {added}, is no dense matrix of {m}×{n}")
    left, right, device = operand(x, ()), operand(y, ()), request.device

    def made(epilogue: str) -> Callable[..., None]:
        run = product(request, left, right, m, n, 1, epilogue=epilogue).run

        def call(added: Any, x: Any, y: Any, beta: float, alpha: float, out: Any) -> None:
            stream, workspace = device.library("cublasLtMatmul")
            run(y[0] + y[1] * item, x[0] + x[1] * item, out[0] + out[1] * item, stream, workspace,
                added=added[0] + added[1] * item, alpha=float(alpha), beta=float(beta))  # fmt: skip

        return call

    return _compiled(request, made)


KERNELS = tuple(
    Kernel(made.__name__, "cuda", made, DTYPES, layout, priority=priority)
    for made in (matmul, linear, addmm)
    for layout, priority in (("any", 20), ("matrix-dense", 15), ("dense", 10))  # as they lie if possible, else after copies
)
