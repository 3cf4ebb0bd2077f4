"""Second level of the kernel IR: *how* a device runs a definition, over flat memory offsets.

A `Program` is a little structured language: parameters, workgroup memory, and statements over `Expr`. Schedules make
one from a bound definition; renderers turn it into a device's source; ``sim`` runs it work-item by work-item.

Every buffer parameter is typed by its *storage* dtype and addressed by ``get``/`Put` with a flat element offset.
Scalars (sizes, strides, offsets, numbers) are ``var`` leaves that name a scalar parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..dtypes import DType
from .expr import Expr


@dataclass(frozen=True)
class Buffer:
    """A buffer parameter. ``binding`` numbers the launch's bindings: operands that share a handle share one."""

    name: str
    dtype: DType
    access: str  # "r" | "w" | "rw"
    binding: int


@dataclass(frozen=True)
class Scalar:
    """A scalar parameter: an element of the packed block of arguments."""

    name: str
    dtype: DType


@dataclass(frozen=True)
class Let:
    """``name`` = ``value``, in scope to the end of the block. Assignable with `Assign` when ``mutable``."""

    name: str
    value: Expr
    mutable: bool = False


@dataclass(frozen=True)
class Assign:
    """``name`` = ``value`` for a mutable `Let`."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Put:
    """``memory[offset] = value``: a buffer, a `Local` or an `Array`."""

    memory: str
    offset: Expr
    value: Expr


@dataclass(frozen=True)
class Array:
    """``size`` elements private to the work-item, ``fill``ed at first."""

    name: str
    dtype: DType
    size: int
    fill: Expr


@dataclass(frozen=True)
class For:
    """``for (index var = start; var < stop; var += step)``; ``unroll`` asks the renderer to unroll it."""

    var: str
    start: Expr
    stop: Expr
    step: Expr
    body: tuple[Statement, ...]
    unroll: bool = False


@dataclass(frozen=True)
class If:
    """``body`` where ``condition`` holds, else ``orelse``."""

    condition: Expr
    body: tuple[Statement, ...]
    orelse: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Barrier:
    """All work-items of the workgroup arrive here before one goes on; workgroup memory is then visible."""


Statement = Let | Assign | Put | Array | For | If | Barrier


def rewritten(body: Sequence[Statement], change: Callable[[Expr], Expr]) -> tuple[Statement, ...]:
    """``body`` with every expression of it, blocks within included, put through ``change``."""
    made: list[Statement] = []
    for s in body:
        match s:
            case Let() | Assign():
                made.append(replace(s, value=change(s.value)))
            case Put():
                made.append(Put(s.memory, change(s.offset), change(s.value)))
            case Array():
                made.append(replace(s, fill=change(s.fill)))
            case For():
                start, stop, step = map(change, (s.start, s.stop, s.step))
                made.append(replace(s, start=start, stop=stop, step=step, body=rewritten(s.body, change)))
            case If():
                made.append(If(change(s.condition), rewritten(s.body, change), rewritten(s.orelse, change)))
            case Barrier():
                made.append(s)
    return tuple(made)


@dataclass(frozen=True)
class Local:
    """Workgroup memory of ``size`` elements; its content is undefined at first."""

    name: str
    dtype: DType
    size: int


@dataclass(frozen=True)
class Program:
    """A kernel ready to be rendered. ``workgroup`` is its size; the grid is the launch's.

    ``index_bits`` is the width of index arithmetic: no index or offset that the launch reaches needs more.
    """

    name: str
    buffers: tuple[Buffer, ...]
    scalars: tuple[Scalar, ...]
    locals: tuple[Local, ...]
    body: tuple[Statement, ...]
    workgroup: tuple[int, int, int]
    index_bits: int = 64
    aligned: int = 1  # bytes: every buffer begins at a multiple of this, and may be told to the compiler
