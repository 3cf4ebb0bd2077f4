"""First level of the kernel IR: *what* a kernel computes, over logical indices.

A `Definition` has operands, axes, ordered stages and stores. A stage reduces (or scans) a scalar expression over some
axes and keeps the others; a store writes an expression over its axes. All loads see memory before any store. Softmax is
one definition: stage max, stage sum of exp(x − max), one store. A pointwise op has no stage; a matmul has one sum.

    opset row ──`Define`──▶ Definition ──▶ `codegen` (host: NumPy; else: bind layouts → program → source)

`Define` is how rows write one down::

    def softmax(d: Define, x: Operand) -> None:
        *rows, j = d.axes(x.shape)
        m = d.reduce("max", x[*rows, j], over=[j])
        s = d.reduce("sum", exp(x[*rows, j] - m), over=[j])
        d.store(0, [*rows, j], exp(x[*rows, j] - m) / s)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import dtypes as dt
from ..dtypes import DType
from .expr import Expr, Number, as_expr, const, walk, where


@dataclass(frozen=True)
class Monoid:
    """How a stage combines values. ``components`` values are carried; one of them is the result.

    sum, prod, max, min (NaN wins), any, all carry one. argmax and argmin carry (value, position): the least position
    wins among equals, NaN comes first; component 0 is the value, 1 the position. welford carries (count, mean, m2) from
    one value; its components are 0 mean, 1 m2 (sum of squared deviations). logsumexp carries (max, sum of exp).
    """

    name: str
    inputs: int = 1
    components: int = 1


MONOIDS = {
    m.name: m
    for m in (
        Monoid("sum"), Monoid("prod"), Monoid("max"), Monoid("min"), Monoid("any"), Monoid("all"),
        Monoid("argmax", 2, 2), Monoid("argmin", 2, 2), Monoid("welford", 1, 2), Monoid("logsumexp"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Operand:
    """A tensor of the definition, by its number. ``x[i, j]`` is a load; indices are index expressions or ints.

    ``shape`` is logical: the layout (strides) is bound later. ``output`` operands can be stored to; an operand that is
    both (in-place) is listed once and has both flags.
    """

    number: int
    name: str
    dtype: DType
    shape: tuple[int, ...]
    output: bool = False
    input: bool = True

    def __getitem__(self, at: Expr | int | tuple[Expr | int, ...]) -> Expr:
        return self.load(at if isinstance(at, tuple) else (at,))

    def load(self, at: Sequence[Expr | int], valid: Expr | None = None, fill: Number = 0) -> Expr:
        """The element at ``at``; where ``valid`` is given and false, memory is not touched and ``fill`` results."""
        if len(at) != len(self.shape):
            raise ValueError(f"{self.name} has {len(self.shape)} axes, {len(at)} indices given")
        args = tuple(as_expr(i, dt.index) for i in at)
        if valid is not None and valid.op == "const":
            if not valid.value:
                return const(fill, self.dtype)
            valid = None
        if valid is not None:
            args = (*args, valid, const(fill, self.dtype))
        return Expr.of("load", args, self.dtype, self.number)

    def at(self, indices: Sequence[Expr], extents: Sequence[int]) -> Expr:
        """A broadcasting load: ``indices`` (of ``extents``) are counted from the right, axes of size 1 read 0."""
        tail = len(indices) - len(self.shape)
        chosen = [
            const(0, dt.index) if n == 1 and extents[tail + k] != 1 else indices[tail + k]
            for k, n in enumerate(self.shape)
        ]
        return self.load(chosen)


@dataclass(frozen=True)
class Stage:
    """A reduction or scan. ``over`` are axis numbers; ``values`` are its inputs (one, or two for argmax/argmin).

    A scan (``kind="scan"``) runs along its single axis, inclusively, and is read at that axis's index.
    """

    kind: str  # "reduce" | "scan"
    monoid: str
    over: tuple[int, ...]
    values: tuple[Expr, ...]

    @property
    def value(self) -> Expr:
        return self.values[0]


@dataclass(frozen=True)
class Store:
    """``operand[at] (combine)= value`` for every point of ``axes`` where ``valid`` holds.

    Combining stores ("add", "mul", "max", "min", "set" for the last write) act in the order of ``axes``, row-major:
    deterministic by meaning. Without one, no two points write one element.
    """

    operand: int
    at: tuple[Expr, ...]
    value: Expr
    axes: tuple[int, ...]
    combine: str | None = None
    valid: Expr | None = None


@dataclass(frozen=True)
class Check:
    """``condition`` must hold at every point of ``axes``; else the status word gets ``code``."""

    condition: Expr
    axes: tuple[int, ...]
    code: str


@dataclass(frozen=True)
class Definition:
    """One kernel. ``axes[n]`` is the extent of axis n; scalar operands are ``param`` leaves numbered as operands."""

    name: str
    operands: tuple[Operand, ...]
    params: tuple[tuple[int, DType], ...]
    axes: tuple[int, ...]
    stages: tuple[Stage, ...]
    stores: tuple[Store, ...]
    checks: tuple[Check, ...] = ()

    def roots(self) -> tuple[Expr, ...]:
        """Every expression in it."""
        stages = tuple(v for s in self.stages for v in s.values)
        stores = tuple(e for s in self.stores for e in (*s.at, s.value, *([s.valid] if s.valid is not None else [])))
        return (*stages, *stores, *(c.condition for c in self.checks))

    def __str__(self) -> str:
        lines = [f"{self.name}:  axes " + " ".join(f"i{n}<{e}" for n, e in enumerate(self.axes))]
        lines += [f"  x{o.number} = {o.name}: {o.dtype.name}{list(o.shape)}" for o in self.operands]
        for n, s in enumerate(self.stages):
            over = ",".join(f"i{a}" for a in s.over)
            lines.append(f"  s{n} = {s.kind} {s.monoid} over {over} of " + ", ".join(map(repr, s.values)))
        for c in self.checks:
            lines.append(f"  check {c.condition!r}: {c.code}")
        for t in self.stores:
            guard = f" if {t.valid!r}" if t.valid is not None else ""
            lines.append(f"  x{t.operand}[{', '.join(map(repr, t.at))}] {t.combine or ''}= {t.value!r}{guard}")
        return "\n".join(lines)


class Define:
    """Writes one `Definition` down, in order. See the module's docstring for the look of it."""

    def __init__(self, name: str, operands: Sequence[Operand], params: Sequence[tuple[int, DType]] = ()) -> None:
        self.name = name
        self.operands = tuple(operands)
        self.outputs = tuple(o for o in operands if o.output)
        self._params = tuple(params)
        self._axes: list[int] = []
        self._stages: list[Stage] = []
        self._stores: list[Store] = []
        self._checks: list[Check] = []

    def axis(self, extent: int) -> Expr:
        """A new axis, as the expression of its index. An axis of extent 1 is the literal 0."""
        self._axes.append(extent)
        if extent == 1:
            return const(0, dt.index)
        return Expr.of("index", (), dt.index, len(self._axes) - 1)

    def axes(self, extents: Sequence[int]) -> tuple[Expr, ...]:
        """One new axis for each extent."""
        return tuple(self.axis(n) for n in extents)

    def extent(self, axis: Expr) -> int:
        """The extent of an axis made here."""
        return 1 if axis.op == "const" else self._axes[axis.value]

    def reduce(self, monoid: str, *values: Expr, over: Sequence[Expr]) -> Expr:
        """Reduce ``values`` over the axes ``over``; component 0 of the result (see `component`)."""
        return self._stage("reduce", monoid, values, over)

    def scan(self, monoid: str, *values: Expr, along: Expr) -> Expr:
        """Inclusive scan along one axis; read at the same index."""
        return self._stage("scan", monoid, values, [along])

    def _stage(self, kind: str, monoid: str, values: tuple[Expr, ...], over: Sequence[Expr]) -> Expr:
        row = MONOIDS[monoid]
        if len(values) != row.inputs:
            raise ValueError(f"{monoid} takes {row.inputs} value(s), {len(values)} given")
        numbers = tuple(a.value for a in over if a.op == "index")
        self._stages.append(Stage(kind, monoid, numbers, values))
        return Expr.of("stage", (), values[0].dtype, (len(self._stages) - 1, 0))

    def component(self, stage: Expr, number: int, dtype: DType | None = None) -> Expr:
        """Another carried value of ``stage`` (argmax: 1 is the position; welford: 1 is m2)."""
        values = self._stages[stage.value[0]].values
        made = dtype or values[min(number, len(values) - 1)].dtype
        return Expr.of("stage", (), made, (stage.value[0], number))

    def store(
        self,
        output: int,
        at: Sequence[Expr | int],
        value: Expr,
        *,
        over: Sequence[Expr] | None = None,
        combine: str | None = None,
        valid: Expr | None = None,
    ) -> None:
        """Write ``value`` (cast to the output's dtype) to output number ``output`` at ``at``.

        ``over`` names the axes to run over, in order; the default is every axis that ``at``, ``value`` and ``valid``
        use outside their stages, in the order of their making.
        """
        target = self.outputs[output]
        where_ = tuple(as_expr(i, dt.index) for i in at)
        used = (*where_, value, *([valid] if valid is not None else []))
        axes = (
            tuple(a.value for a in over if a.op == "index")
            if over is not None
            else tuple(sorted({n.value for n in walk(*used) if n.op == "index"}))
        )
        self._stores.append(Store(target.number, where_, value.cast(target.dtype), axes, combine, valid))

    def gathered(self, position: Expr, size: int, code: str, over: Sequence[Expr]) -> Expr:
        """``position`` (an integer value) as an index into ``size`` elements: negative counts from the end.

        It is clamped into range, so that memory is safe, and checked: out of range raises ``code`` later.
        """
        i = position.cast(dt.index)
        wrapped = where(i < 0, i + size, i)
        inside = (wrapped >= 0) & (wrapped < size)
        self._checks.append(Check(inside, tuple(a.value for a in over if a.op == "index"), code))
        return where(
            wrapped < 0, const(0, dt.index), where(wrapped >= size, const(max(size - 1, 0), dt.index), wrapped)
        )

    def check(self, condition: Expr, code: str, over: Sequence[Expr]) -> None:
        """``condition`` must hold over the axes ``over``, or ``code`` is raised later: an IndexError where it begins with
        "index", else a ValueError.
        """
        self._checks.append(Check(condition, tuple(a.value for a in over if a.op == "index"), code))

    def finish(self) -> Definition:
        """The definition as written."""
        if not self._stores:
            raise ValueError(f"{self.name} stores nothing")
        return Definition(
            self.name, self.operands, self._params, tuple(self._axes),
            tuple(self._stages), tuple(self._stores), tuple(self._checks),
        )  # fmt: skip
