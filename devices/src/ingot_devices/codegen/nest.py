"""Writes loop nests: the part of making a `Program` that all schedules share.

Fourth step of a scheduled kernel (see `bind`). A `Nest` collects the program's scalars and buffers; a `Scope` is a
block of statements with what is known in it: which axes have an index, which stages have a value, which expressions
have a name. `Scope.settle` emits the stages that can be computed where it stands, and only there: a stage is computed
in the outermost scope that knows all the axes it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.definition import Stage
from ..ir.expr import Expr, const, walk, where
from ..ir.program import Assign, Buffer, For, If, Let, Local, Put, Scalar, Statement
from ..ir.size import Size
from . import Unsupported, monoids
from .bind import STATUS, Loops, Write

ZERO, ONE = const(0, dt.index), const(1, dt.index)
_LEAVES = frozenset({"const", "var", "special"})


def var(name: str, dtype: DType = dt.index) -> Expr:
    """A program variable."""
    return Expr.of("var", (), dtype, name)


def special(name: str, dimension: int = 0) -> Expr:
    """A work-item's place: gid, lid, group, groups, size."""
    return Expr.of("special", (), dt.index, (name, dimension))


ARGUMENTS = frozenset(("n", "o", "p", "w", "x", "whole"))
"""What names of arguments begin with, before a number: extents, offsets, parameters, workspaces, memory, whole parts."""


def memory_name(operand: int) -> str:
    """The buffer of an operand: those below the status word are workspaces of several launches."""
    return f"x{operand}" if operand >= 0 else "status" if operand == STATUS else f"w{STATUS - operand}"


@dataclass
class Slot:
    """Where the value of a scalar comes from: ``("value", n)``, ``("offset", operand)`` or ``("param", operand)``."""

    scalar: Scalar
    source: str
    value: int


@dataclass(frozen=True)
class Neighbours:
    """Elements side by side along ``axis``: ``first`` and the ``width`` - 1 behind it, in turn at ``first`` + ``lane``."""

    axis: int
    first: Expr
    lane: Expr
    width: int


@dataclass
class Nest:
    """One program under construction, over some writes of bound ``loops``."""

    loops: Loops
    writes: tuple[Write, ...]
    index_bits: int = 64
    slots: dict[str, Slot] = field(default_factory=dict)
    locals: list[Local] = field(default_factory=list)
    stored: dict[int, DType] = field(default_factory=dict)
    loaded: dict[int, DType] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    forms: dict[tuple[Expr, int, int | None], Expr] = field(default_factory=dict)
    lanes: int = 1  # accumulators of a serial reduction
    shared: Callable[[Scope, int], None] | None = None  # how a workgroup reduces together, in a uniform scope
    neighbours: Neighbours | None = None  # along which accesses are known to be aligned meanwhile
    multiples: dict[int, int] = field(default_factory=dict)  # operand → what its element offset must be a multiple of
    _names: dict[str, int] = field(default_factory=dict)

    # ---- names and scalars ---------------------------------------------------------------------------------------
    def fresh(self, prefix: str) -> str:
        """A name not used yet, and that no argument will have."""
        assert prefix not in ARGUMENTS, f"{prefix}0 would hide an argument of a kernel"
        number = self._names.get(prefix, 0)
        self._names[prefix] = number + 1
        return f"{prefix}{number}"

    def scalar(self, name: str, value: int, source: str = "value", dtype: DType = dt.index) -> Expr:
        """The scalar called ``name``; the first use declares it."""
        if name not in self.slots:
            self.slots[name] = Slot(Scalar(name, dtype), source, value)
        return var(name, self.slots[name].scalar.dtype)

    def number(self, value: int) -> Expr:
        """An integer of index arithmetic: 0 and 1 as they are, others as arguments."""
        return const(value, dt.index) if value in (0, 1) else self.scalar(self.fresh("c"), value)

    def extent(self, axis: int) -> Expr:
        """The extent of an axis, as an argument."""
        return self.scalar(f"n{axis}", self.loops.extents[axis])

    def linear(self, form: Expr, atoms: Sequence[Expr], operand: int | None = None) -> Expr:
        """A linear form over given atoms; its coefficients (other than 1) and constant are arguments.

        Each ``operand`` has arguments of its own: that two of them have equal strides makes no other kernel.
        """
        base, coefficients = form.value
        total: Expr | None = None
        for number, (atom, c) in enumerate(zip(atoms, coefficients, strict=True)):
            term = atom if c == 1 else atom * self._coefficient((form, number, operand), c)
            total = term if total is None else total + term
        if total is None:
            return self._coefficient((form, -1, operand), base)
        return total + self._coefficient((form, -1, operand), base) if base else total

    def _coefficient(self, key: tuple[Expr, int, int | None], value: int) -> Expr:
        if key not in self.forms:
            self.forms[key] = self.number(value)
        return self.forms[key]

    def count(self, node: Expr) -> Expr:
        """A float literal that follows from sizes, as an argument."""
        key = (node, 0, None)
        if key not in self.forms:
            self.forms[key] = Expr.of("cast", (self.number(node.value),), node.dtype)
        return self.forms[key]

    # ---- memory ----------------------------------------------------------------------------------------------------
    def base(self, operand: int) -> Expr:
        """The element offset of an operand; workspaces have none."""
        if operand < STATUS:
            return ZERO
        return self.scalar(f"o{operand}", operand, "offset")

    def target(self, write: Write) -> str:
        """The buffer that ``write`` goes to."""
        self.stored[write.operand] = write.value.dtype
        return memory_name(write.operand)

    def buffers(self) -> dict[int, Buffer]:
        """Operand number → buffer, one binding for each, in order."""
        found: dict[int, Buffer] = {}
        for number in sorted(self.stored.keys() | self.loaded.keys(), key=lambda n: (n < 0, abs(n))):
            access = ("r" if number in self.loaded else "") + ("w" if number in self.stored else "")
            dtype = self.loaded.get(number) or self.stored[number]
            found[number] = Buffer(memory_name(number), dtype, access, len(found))
        return found

    # ---- stages ----------------------------------------------------------------------------------------------------
    def needed(self, roots: Iterable[Expr]) -> list[int]:
        """The stages that ``roots`` read, also through other stages, in order."""
        found: set[int] = set()
        pending = [n.value[0] for n in walk(*roots) if n.op == "stage"]
        while pending:
            number = pending.pop()
            if number not in found:
                found.add(number)
                pending.extend(n.value[0] for n in walk(*self.loops.stages[number].values) if n.op == "stage")
        return sorted(found)

    def free(self, number: int) -> frozenset[int]:
        """The axes that a stage keeps. A scan keeps its own."""
        return free_axes(self.loops, number)


def free_axes(loops: Loops, number: int) -> frozenset[int]:
    """The axes that stage ``number`` keeps: those of its values, of the stages they read, and of the parts it has of its
    own axes; less these."""
    stage = loops.stages[number]
    found = set(stage.over) if stage.kind == "scan" else {loops.parts[a].number for a in stage.over if a in loops.parts}
    for node in walk(*stage.values):
        if node.op == "index":
            found.add(node.value)
        elif node.op == "stage":
            found |= free_axes(loops, node.value[0])
    return frozenset(found if stage.kind == "scan" else found - set(stage.over))


class Scope:
    """One block of statements under construction. See the module's docstring."""

    def __init__(self, nest: Nest, parent: Scope | None = None) -> None:
        self.nest = nest
        self.body: list[Statement] = []
        self.axes: dict[int, Expr] = dict(parent.axes) if parent else {}
        self.stages: dict[int, tuple[Expr, ...]] = dict(parent.stages) if parent else {}
        self.carried: dict[int, list[Expr]] = dict(parent.carried) if parent else {}
        self.memo: dict[Expr, Expr] = dict(parent.memo) if parent else {}
        self.uniform = False  # True where all work-items of a group pass together

    def add(self, *statements: Statement) -> None:
        """Append statements."""
        self.body.extend(statements)

    def name(self, prefix: str, value: Expr, mutable: bool = False) -> Expr:
        """A new variable with ``value``."""
        if value.op in _LEAVES and not mutable:
            return value
        made = self.nest.fresh(prefix)
        self.add(Let(made, value, mutable))
        return var(made, value.dtype)

    # ---- expressions -----------------------------------------------------------------------------------------------
    def resolve(self, root: Expr) -> Expr:
        """``root`` over program variables and flat memory."""
        return self._resolved([root])[0]

    def _resolved(self, roots: Sequence[Expr]) -> list[Expr]:
        made: dict[Expr, Expr] = {}
        for node in walk(*roots):
            made[node] = self._leaf(node, tuple(made[a] for a in node.args), made)
        return [made[r] for r in roots]

    def place(self, operand: int, form: Expr) -> Expr:
        """Where the offset ``form`` into an operand lies in its buffer."""
        parts = form.args if form.op == "linear" else (form,)
        return self._place(operand, form, dict(zip(parts, self._resolved(parts), strict=True)))

    def _place(self, operand: int, form: Expr, made: Mapping[Expr, Expr]) -> Expr:
        """`place`, with what is ``made`` of the parts of ``form``. Of neighbours the first is seen to be aligned."""
        base, beside = self.nest.base(operand), self.nest.neighbours
        if form.op != "linear":
            return base + made[form]
        if beside is None or not any(a.op == "index" and a.value == beside.axis for a in form.args):
            return base + self.nest.linear(form, [made[a] for a in form.args], operand)
        firsts = [beside.first if a.op == "index" and a.value == beside.axis else made[a] for a in form.args]
        first = self.nest.linear(form, firsts, operand)
        if base is not ZERO:
            self.nest.multiples[operand] = max(beside.width, self.nest.multiples.get(operand, 1))
        return ((base + first) & const(-beside.width, dt.index)) + beside.lane

    def _leaf(self, node: Expr, args: tuple[Expr, ...], made: Mapping[Expr, Expr]) -> Expr:
        match node.op:
            case "index":
                return self.axes[node.value]
            case "const" if isinstance(node.value, Size) and node.dtype.kind == "f":  # a count is no part of the text
                return self.nest.count(node)
            case "stage":
                number, component = node.value
                held: Expr = self.stages[number][component]
                return held
            case "linear":
                return self.nest.linear(node, args)
            case "get" if isinstance(node.value, int):
                self.nest.loaded[node.value] = node.dtype
                place = self._place(node.value, node.args[0], made)
                return Expr.of("get", (place,), node.dtype, memory_name(node.value))
            case "param":
                name, source = ("ticket", "ticket") if node.value == STATUS else (f"p{node.value}", "param")
                if source == "param" and self.nest.slots.get(name, None) is not None:
                    declared = self.nest.slots[name].scalar.dtype
                    if declared is not node.dtype:
                        name = f"p{node.value}_{node.dtype.name}"
                return self.nest.scalar(name, node.value, source, node.dtype)
        return node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)

    def values(self, roots: Sequence[Expr]) -> list[Expr]:
        """``roots`` resolved, with every shared part computed once and named."""
        return self.shared(self._resolved(roots))

    def shared(self, roots: Sequence[Expr]) -> list[Expr]:
        """Resolved ``roots`` with every part that is used twice named."""
        uses: dict[Expr, int] = {}
        order = list(walk(*roots))
        for node in order:
            for a in node.args:
                uses[a] = uses.get(a, 0) + 1
        for r in roots:
            uses[r] = uses.get(r, 0) + 1
        made: dict[Expr, Expr] = {}
        for node in order:
            known = self.memo.get(node)
            if known is not None:
                made[node] = known
                continue
            args = tuple(made[a] for a in node.args)
            new = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
            if uses[node] > 1 and node.op not in _LEAVES and node.dtype is not dt.float16:
                new = self.name("t", new)
                self.memo[node] = new
            made[node] = new
        return [made[r] for r in roots]

    def _kept(self, value: Expr) -> Expr:
        """``value`` in a variable; not in a type that is only stored (float16): that is converted at the store."""
        if value.op == "cast" and value.dtype is dt.float16:
            return Expr.of("cast", (self.name("v", value.args[0]),), value.dtype)
        return self.name("v", value)

    # ---- loops -----------------------------------------------------------------------------------------------------
    def loop(
        self, axes: Sequence[int], roots: Sequence[Expr], body: Callable[[Scope], None]
    ) -> None:
        """``body`` in loops over ``axes``, the scans along them running with them (``roots`` say which are needed)."""
        scans = [
            n for n in self.nest.needed(roots)
            if self.nest.loops.stages[n].kind == "scan" and n not in self.stages
            and set(self.nest.loops.stages[n].over) & set(axes)
        ]  # fmt: skip
        along = {a for n in scans for a in self.nest.loops.stages[n].over}
        if len(along) > 1:
            raise Unsupported("scans along two axes cannot run in one loop")
        self._open([a for a in axes if a not in along] + [a for a in axes if a in along], scans, body)

    def _open(self, axes: list[int], scans: list[int], body: Callable[[Scope], None]) -> None:
        if not axes:
            body(self)
            return
        axis = axes[0]
        starting = [n for n in scans if axis in self.nest.loops.stages[n].over]
        for n in starting:
            self.carried[n] = self.carry(n, f"s{n}")
        inner = Scope(self.nest, self)
        name = self.nest.fresh(f"i{axis}_")
        inner.axes[axis] = var(name)
        inner._open(axes[1:], scans, body)
        start, stop = self.bounds(axis)
        self.add(For(name, start, stop, ONE, tuple(inner.body)))

    def bounds(self, axis: int) -> tuple[Expr, Expr]:
        """Where a loop along an axis begins and ends here: its whole extent, or the part that a point has of it."""
        part, extent = self.nest.loops.parts.get(axis), self.nest.extent(axis)
        if part is None:
            return ZERO, extent
        each = self.nest.scalar(f"each{axis}", part.each)
        start = self.name("start", self.axes[part.number] * each)
        end = self.name("end", start + each)
        return start, self.name("stop", where(end < extent, end, extent))

    def carry(self, number: int, prefix: str) -> list[Expr]:
        """Mutable variables with the initial values of a stage."""
        stage = self.nest.loops.stages[number]
        return [self.name(f"{prefix}_", v, mutable=True) for v in monoids.initial(stage)]

    def advance(self, stage: Stage, carried: Sequence[Expr], values: Sequence[Expr]) -> None:
        """One step of a stage on mutable variables."""
        self.assign(carried, monoids.step(stage, carried, values))

    def assign(self, carried: Sequence[Expr], values: Sequence[Expr]) -> None:
        """New values for mutable variables; none sees another's new one."""
        made = self.shared(values)
        if len(made) > 1:
            made = [self.name("t", v) for v in made]
        for c, v in zip(carried, made, strict=True):
            if c is not v:
                self.add(Assign(str(c.value), v))
        self.memo = {k: v for k, v in self.memo.items() if not any(n in carried for n in walk(k))}

    def count(
        self, prefix: str, start: Expr, stop: Expr, body: Callable[[Scope, Expr], None], step: Expr = ONE
    ) -> None:
        """``body(scope, variable)`` in a plain loop."""
        inner, name = Scope(self.nest, self), self.nest.fresh(prefix)
        body(inner, var(name))
        self.add(For(name, start, stop, step, tuple(inner.body)))

    def put_all(self, memories: Sequence[str], at: Expr, values: Sequence[Expr]) -> None:
        """``values`` to the same place of private or workgroup memories; none sees another's new one."""
        made = self.shared(values)
        if len(made) > 1:
            made = [self.name("t", v) for v in made]
        self.add(*(Put(m, at, v) for m, v in zip(memories, made, strict=True)))

    def when(self, condition: Expr, statements: Sequence[Statement]) -> None:
        """Statements under a condition."""
        self.add(If(condition, tuple(statements)))

    # ---- stages ----------------------------------------------------------------------------------------------------
    def settle(self, roots: Sequence[Expr]) -> None:
        """Compute every stage that ``roots`` need and that keeps only axes known here."""
        for number in self.nest.needed(roots):
            if number in self.stages or not self.nest.free(number) <= self.axes.keys():
                continue
            stage = self.nest.loops.stages[number]
            if stage.kind == "scan" and stage.over:
                self._scan_step(number, stage)
            elif self.uniform and self.nest.shared is not None:
                self.nest.shared(self, number)
            else:
                self.reduce(number, self.nest.lanes)

    def _scan_step(self, number: int, stage: Stage) -> None:
        if number not in self.carried:
            raise Unsupported("a scan is read where its axis does not run in order")
        self.settle(stage.values)
        carried = self.carried[number]
        self.advance(stage, carried, self.values(stage.values))
        self.stages[number] = tuple(self.shared(monoids.finished(stage, carried)))

    def reduce(self, number: int, lanes: int = 1) -> None:
        """A serial reduction; with ``lanes`` > 1, over that many accumulators and a fixed tree."""
        stage = self.nest.loops.stages[number]
        if lanes > 1 and stage.over and not self._nested(stage):
            from .schedules.accumulators import reduce_lanes

            reduce_lanes(self, number, lanes)
            return
        carried = self.carry(number, f"s{number}")

        def body(inner: Scope) -> None:
            inner.settle(stage.values)
            inner.advance(stage, carried, inner.values(stage.values))

        self.loop(stage.over, stage.values, body)
        self.stages[number] = tuple(self.shared(monoids.finished(stage, carried)))

    def _nested(self, stage: Stage) -> bool:
        return any(n not in self.stages for n in self.nest.needed(stage.values))

    # ---- writes ----------------------------------------------------------------------------------------------------
    def write(self, writes: Sequence[Write]) -> None:
        """All ``writes``, whose axes are known here: every value is computed before the first is stored."""
        self.settle([r for w in writes for r in w.roots()])
        roots = []
        for w in writes:
            place = self.place(w.operand, w.offset) if w.operand != STATUS else self.resolve(w.offset)
            roots += [place, *self._resolved(w.roots()[1:])]
        resolved = iter(self.shared(roots))
        puts: list[Statement] = []
        for w in writes:
            offset, value = next(resolved), next(resolved)
            valid = next(resolved) if w.valid is not None else None
            if len(writes) > 1 and not _pure(value):
                value = self._kept(value)
            put = Put(self.nest.target(w), offset, value)
            puts.append(put if valid is None else If(valid, (put,)))
        self.add(*puts)


def _pure(value: Expr) -> bool:
    return not any(n.op == "get" for n in walk(value))
