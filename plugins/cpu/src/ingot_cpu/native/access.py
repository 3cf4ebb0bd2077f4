"""Expressions and memory in the scope of a loop: the part of `nest` that computes values.

A `Scope` knows the index of each open axis; one of them may run along the lanes. What does not depend on that axis is a
scalar. Loads and stores along it are vectors where neighbours lie side by side, else one element after another.
Sizes and strides are constants of the launch (`Access.constant`), so one text serves a class of layouts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported
from ingot_devices.codegen.bind import STATUS, Loops
from ingot_devices.dtypes import DType
from ingot_devices.ir.expr import Expr, walk
from ingot_devices.ir.size import Size

from . import rows
from .emit import TYPES, Function, Value, type_of
from .jit import Target

WORKSPACE = STATUS - 1
"""The operand number of the memory between two nests of one kernel: float or integer words of 64 bits."""

ROW = WORKSPACE - 1
"""The operand number of a row of the stack, which one thread fills and reads again (`Access.row`)."""
NAMES = {STATUS: "%status", WORKSPACE: "%work", ROW: "%row"}


@dataclass
class Scope:
    """What is known inside a loop. ``axes``: the index of each open axis, that of the first lane for ``vector``."""

    axes: dict[int, Value] = field(default_factory=dict)
    lanes: int = 0
    vector: int = -1
    mask: str | None = None  # of a last, partial vector
    count: Value | None = None  # its active lanes
    streams: frozenset[int] = frozenset()  # operands that are stored past the caches
    stages: dict[int, tuple[Value, ...]] = field(default_factory=dict)
    carried: dict[int, list[Value]] = field(default_factory=dict)  # scans before this point of their axis
    memo: dict[Expr, Value] = field(default_factory=dict)

    def inside(self, axis: int, index: Value, **changes: Any) -> Scope:
        """The scope of a loop over ``axis``."""
        copied = {"stages": dict(self.stages), "carried": dict(self.carried), "memo": dict(self.memo)}
        return replace(self, axes={**self.axes, axis: index}, **{**copied, **changes})


class Access:
    """Values and memory of one function. ``numbers``: number operand → its declared dtype."""

    def __init__(self, loops: Loops, numbers: dict[int, DType], operands: int, target: Target) -> None:
        self.loops, self.numbers, self.operands, self.target = loops, numbers, operands, target
        self.f = Function(target.halves, target.wide)
        self.constants: list[int] = []
        self.pointers: dict[int, None] = {}
        self._places: dict[Any, Value] = {}
        self._buffers: dict[tuple[str, int], str] = {}
        self._variables = 0

    # ---- what a launch brings ------------------------------------------------------------------------------------------
    def constant(self, key: Any, value: Any) -> Value:
        """An integer of the launch; ``key`` says which one, so that equal values are no other class."""
        if key not in self._places:
            k = len(self.constants)
            self.constants.append(value)
            self.f.entry.append(f"  %cp{k} = getelementptr i64, ptr %consts, i64 {k}")
            self.f.entry.append(f"  %k{k} = load i64, ptr %cp{k}, align 8")
            self._places[key] = Value(f"%k{k}", dt.index)
        return self._places[key]

    def extent(self, axis: int) -> Value:
        """The extent of an axis."""
        return self.constant(("extent", axis), self.loops.extents[axis])

    def number(self, value: int) -> Value:
        """An integer of the text itself."""
        return Value(str(value), dt.index)

    def base(self, operand: int) -> str:
        """The address of an operand's first element."""
        name = f"%x{operand}" if operand >= 0 else NAMES[operand]
        if operand not in self.pointers:
            self.pointers[operand] = None
            place = operand if operand >= 0 else self.operands + (1 if operand == WORKSPACE else 0)
            address = name if operand == STATUS else f"{name}p"
            self.f.entry.append(f"  {address} = getelementptr i64, ptr %args, i64 {place}")
            if operand != STATUS:
                self.f.entry.append(f"  {name} = load ptr, ptr {name}p, align 8")
        return name

    def row(self, size: Value, d: DType, strides: dict[int, int]) -> Expr:
        """Where the indices of axes lie in memory of the stack for ``size`` elements; one such memory for a function."""
        self.pointers[ROW] = None
        self.f.entry.append(f"  {self.base(ROW)} = alloca {TYPES[d]}, i64 {size.text}, align 64")
        axes = tuple(Expr.of("index", (), dt.index, a) for a in strides)
        return Expr.of("linear", axes, dt.index, (0, tuple(strides.values())))

    def mask(self, count: Value, lanes: int) -> Value:
        """True in the first ``count`` lanes."""
        narrow = self.f.op(f"trunc i64 {count.text} to i32", dt.int32, 0)
        wide = self.f.spread(narrow, lanes)
        return self.f.op(f"icmp slt <{lanes} x i32> {self.f.iota(dt.int32, lanes).text}, {wide.text}", dt.bool_, lanes)

    def _param(self, node: Expr) -> Value:
        """A number operand in the type it is used in."""
        key = ("param", node.value, node.dtype)
        if key not in self._places:
            if node.value == STATUS:
                return self.f.const(1, node.dtype)
            declared = self.numbers[node.value]
            kept = dt.float64 if declared.kind == "f" else dt.int64
            name = f"%p{len(self._places)}"
            lines, self.f.lines = self.f.lines, []
            self.f.do(f"{name}a = getelementptr i64, ptr %args, i64 {node.value}")
            self.f.do(f"{name} = load {type_of(kept, 0)}, ptr {name}a, align 8")
            self._places[key] = rows.cast(self.f, Value(name, kept), node.dtype)
            self.f.entry += self.f.lines
            self.f.lines = lines
        return self._places[key]

    # ---- values --------------------------------------------------------------------------------------------------------
    def variable(self, scope: Scope, value: Value) -> Expr:
        """``value`` as a leaf of expressions."""
        self._variables += 1
        made = Expr.of("var", (), value.dtype, f"v{self._variables}")
        scope.memo[made] = value
        return made

    def value(self, scope: Scope, root: Expr) -> Value:
        """What ``root`` is here."""
        memo, stack = scope.memo, [root]
        while stack:
            node = stack[-1]
            if node in memo:
                stack.pop()
                continue
            waiting = [a for a in _needs(node) if a not in memo]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            memo[node] = self._node(scope, node)
        return memo[root]

    def vector(self, scope: Scope, root: Expr) -> Value:
        """`value`, in all lanes of the scope."""
        made = self.value(scope, root)
        return self.f.spread(made, scope.lanes) if scope.lanes else made

    def _node(self, scope: Scope, node: Expr) -> Value:
        match node.op:
            case "const" if isinstance(node.value, Size) and node.dtype.kind == "f":  # a count is no part of the text
                return rows.cast(self.f, self.constant(("number", node), node.value), node.dtype)
            case "const":
                return self.f.const(node.value, node.dtype)
            case "param":
                return self._param(node)
            case "index":
                return self._index(scope, node.value)
            case "stage":
                number, component = node.value
                if number not in scope.stages:
                    raise Unsupported("a stage is read where it has no value")
                held: Value = scope.stages[number][component]
                return held
            case "linear":
                return self._linear_value(scope, node)
            case "get":
                return self._load(scope, node)
        args = [scope.memo[a] for a in node.args]
        lanes = max(a.lanes for a in args)
        if lanes:
            args = [self.f.spread(a, lanes) for a in args]
        if node.op == "cast":
            return rows.cast(self.f, args[0], node.dtype)
        if node.op == "bitcast":
            return rows.bitcast(self.f, args[0], node.dtype)
        if node.op in ("far_sin", "far_cos"):
            return self._far(scope, node.op[4:], args[0])
        row = rows.ROWS.get(node.op)
        if row is None:
            raise Unsupported(f"native code has no {node.op} of {node.dtype.name}")
        return row(self.f, args)

    def _index(self, scope: Scope, axis: int) -> Value:
        index = scope.axes[axis]
        if axis != scope.vector:
            return index
        first = self.f.spread(index, scope.lanes)
        return rows.ROWS["add"](self.f, [first, self.f.iota(dt.index, scope.lanes)])

    def _linear_value(self, scope: Scope, form: Expr) -> Value:
        """A linear form as a number."""
        place = self.place(scope, form, None)
        total = place.scalar
        for value, factor in place.varying:
            wide = [self.f.spread(v, scope.lanes) for v in (value, factor)]
            term = rows.ROWS["mul"](self.f, wide)
            total = rows.ROWS["add"](self.f, [self.f.spread(total, scope.lanes), term])
        if place.step is None:
            return total
        steps = self.f.iota(dt.index, scope.lanes)
        if place.step.text != "1":
            steps = rows.ROWS["mul"](self.f, [steps, self.f.spread(place.step, scope.lanes)])
        return rows.ROWS["add"](self.f, [self.f.spread(total, scope.lanes), steps])

    def _far(self, scope: Scope, name: str, x: Value) -> Value:
        """sin or cos of large numbers by the C library, which is called where one of the lanes holds such a number."""
        from .elementary import FAR

        limit = self.f.const(FAR[x.dtype], x.dtype, x.lanes)
        far = rows.compare(self.f, "fcmp ogt", self.f.call("fabs", x.dtype, [x]), limit)

        def slow() -> list[Value]:
            wide = rows.cast(self.f, x, dt.float64)
            made = self.f.call(name, dt.float64, [wide])
            return [rows.cast(self.f, made, x.dtype)]

        return self.f.when(rows.somewhere(self.f, far), slow, [self.f.const(0, x.dtype, x.lanes)])[0]

    # ---- places --------------------------------------------------------------------------------------------------------
    def place(self, scope: Scope, form: Expr, operand: int | None) -> Place:
        """Where a linear form points to, taken apart by what varies along the lanes."""
        base, factors = form.value
        scalar, step, varying = self.number(0), None, []
        for k, (atom, factor) in enumerate(zip(form.args, factors, strict=True)):
            times = self.number(1) if factor == 1 else self.constant((form, k, operand), factor)
            if atom.op == "index" and atom.value == scope.vector:
                step = times
            value = scope.axes[atom.value] if atom.op == "index" else scope.memo[atom]
            if value.lanes:
                varying.append((value, times))
            else:
                scalar = self.f.add(scalar, self.f.times(value, times))
        if base:
            scalar = self.f.add(scalar, self.constant((form, -1, operand), base))
        return Place(scalar, step, tuple(varying))

    def _load(self, scope: Scope, node: Expr) -> Value:
        form, operand = node.args[0], node.value
        if form.op != "linear":
            raise Unsupported("an offset is not linear")
        place, base = self.place(scope, form, operand), self.base(operand)
        if not place.varying and place.step is None:
            return self.f.load(self.f.at(base, node.dtype, place.scalar), node.dtype, 0)
        if not place.varying and place.step is not None and place.step.text == "1":
            return self._side_by_side(scope, self.f.at(base, node.dtype, place.scalar), node.dtype)
        spread, size = self.buffer(node.dtype, scope.lanes), scope.count or self.number(scope.lanes)
        offsets = self._offsets(scope, place)

        def one(lane: Value, carried: list[Value]) -> list[Value]:
            value = self.f.load(self.f.at(base, node.dtype, offsets(lane)), node.dtype, 0)
            self.f.store(value, self.f.at(spread, node.dtype, lane))
            return carried

        self.f.loop(self.number(0), size, self.number(1), [], one)
        return self.f.load(spread, node.dtype, scope.lanes)

    def _offsets(self, scope: Scope, place: Place) -> Any:
        """The offset of a lane, by a scalar lane number."""
        if not place.varying:
            assert place.step is not None
            step = place.step
            return lambda lane: self.f.add(place.scalar, self.f.times(lane, step))
        total = self.f.spread(place.scalar, scope.lanes)
        for value, factor in place.varying:
            term = value if factor.text == "1" else rows.ROWS["mul"](self.f, [value, self.f.spread(factor, scope.lanes)])
            total = rows.ROWS["add"](self.f, [total, term])
        kept = self.buffer(dt.index, scope.lanes, "offsets")
        self.f.store(total, kept)

        def offset(lane: Value) -> Value:
            made = self.f.load(self.f.at(kept, dt.index, lane), dt.index, 0)
            return made if place.step is None else self.f.add(made, self.f.times(lane, place.step))

        return offset

    def _side_by_side(self, scope: Scope, address: str, d: DType) -> Value:
        """A vector of neighbours; where the last lanes are off, their memory is not touched."""
        if scope.count is None:
            return self.f.load(address, d, scope.lanes)
        if d.itemsize in self.target.masked:
            return self.f.load(address, d, scope.lanes, scope.mask)
        spread = self.buffer(d, scope.lanes)
        self.f.copy(spread, address, self.f.times(scope.count, self.number(d.itemsize)))
        return self.f.load(spread, d, scope.lanes)

    def buffer(self, d: DType, lanes: int, purpose: str = "") -> str:
        """Memory of the stack for ``lanes`` elements; one for each dtype and purpose."""
        key = (f"{d.name}{purpose}", lanes)
        if key not in self._buffers:
            self._buffers[key] = self.f.buffer(lanes * d.itemsize)
        return self._buffers[key]

    def store(self, scope: Scope, operand: int, form: Expr, value: Value, valid: Value | None) -> None:
        """``value`` to the element at ``form``, where ``valid`` holds."""
        for atom in form.args:
            if atom.op != "index":
                self.value(scope, atom)
        place, base, d = self.place(scope, form, operand), self.base(operand), value.dtype
        if not scope.lanes:
            address = self.f.at(base, d, place.scalar)
            if valid is None:
                self.f.store(value, address)
            else:
                self.f.when(valid, lambda: self.f.store(value, address))
            return
        value = self.f.spread(value, scope.lanes)
        near = not place.varying and place.step is not None and place.step.text == "1"
        if near and valid is None and scope.count is None:
            self.f.store(value, self.f.at(base, d, place.scalar), past=operand in scope.streams)
        elif near and d.itemsize in self.target.masked:
            mask = scope.mask
            if valid is not None:
                mask = valid.text if mask is None else self.f.op(
                    f"and <{scope.lanes} x i1> {valid.text}, {mask}", dt.bool_, scope.lanes).text
            self.f.store(value, self.f.at(base, d, place.scalar), mask)
        else:
            self._one_by_one(scope, base, place, value, valid)

    def _one_by_one(self, scope: Scope, base: str, place: Place, value: Value, valid: Value | None) -> None:
        d, size = value.dtype, scope.count or self.number(scope.lanes)
        spread = self.buffer(d, scope.lanes)
        self.f.store(value, spread)
        allowed = None
        if valid is not None:
            allowed = self.buffer(dt.bool_, scope.lanes, "valid")
            self.f.store(valid, allowed)
        offsets = self._offsets(scope, place) if place.varying or place.step is not None else lambda lane: place.scalar

        def put(lane: Value) -> None:
            element = self.f.load(self.f.at(spread, d, lane), d, 0)
            self.f.store(element, self.f.at(base, d, offsets(lane)))

        def one(lane: Value, carried: list[Value]) -> list[Value]:
            if allowed is None:
                put(lane)
            else:
                self.f.when(self.f.load(self.f.at(allowed, dt.bool_, lane), dt.bool_, 0), lambda: put(lane))
            return carried

        self.f.loop(self.number(0), size, self.number(1), [], one)

    def fail(self, scope: Scope, failed: Value, ticket: Value) -> None:
        """``ticket`` to the status word where a condition holds in some lane."""
        some = failed
        if failed.lanes:
            text = failed.text
            if scope.mask is not None:
                text = self.f.op(f"and <{failed.lanes} x i1> {text}, {scope.mask}", dt.bool_, failed.lanes).text
            whole = self.f.op(f"bitcast <{failed.lanes} x i1> {text} to i{failed.lanes}", dt.uint64, 0)
            some = self.f.op(f"icmp ne i{failed.lanes} {whole.text}, 0", dt.bool_, 0)
        word = rows.cast(self.f, ticket, dt.int64)
        self.f.when(some, lambda: self.f.store(word, self.base(STATUS)))


@dataclass(frozen=True)
class Place:
    """An offset: a scalar, plus ``step`` for each lane (None: the same for all), plus vectors times scalars."""

    scalar: Value
    step: Value | None
    varying: tuple[tuple[Value, Value], ...]


def _needs(node: Expr) -> Iterable[Expr]:
    """What must be computed before a node: of an offset, only what is not affine."""
    if node.op == "get":
        return [a for a in node.args[0].args if a.op != "index"]
    if node.op == "linear":
        return [a for a in node.args if a.op != "index"]
    return node.args


def invariant(
    roots: Iterable[Expr], axes: Iterable[int], stages: Iterable[int], changing: Iterable[int] = ()
) -> list[Expr]:
    """The largest parts of ``roots`` worth keeping that read none of ``axes``, only ``stages`` that are known, and no operand
    that is ``changing`` in the loops over ``axes``."""
    moving, known, written = set(axes), set(stages), set(changing)
    fixed: dict[Expr, bool] = {}
    found: dict[Expr, None] = {}
    for node in walk(*roots):
        free = node.op != "index" or node.value not in moving
        if node.op == "stage":
            free = node.value[0] in known
        elif node.op == "get":
            free = node.value not in written
        fixed[node] = free and all(fixed[a] for a in node.args)
        for a in node.args:
            if not fixed[node] and fixed[a] and a.op not in ("const", "index", "linear", "param", "stage", "var"):
                found[a] = None
    roots = list(roots)
    return [*found, *(r for r in roots if fixed[r] and r.op not in ("const", "index", "linear", "param", "stage", "var"))]
