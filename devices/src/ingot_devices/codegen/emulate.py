"""Rewrites launches whose values are wider than the device's words: *emulated* dtypes as pairs of uint32.

Last step before a program is rendered (see `schedule`). A device that declares int64 or uint64 as ``emulated``
(`Limits.dtypes`) gets programs of 32-bit words only: variables, workgroup and private memory become two of each, an
element of a buffer becomes two elements (low word first, which is its form on the host), a number becomes two scalars.
Schedules know nothing of it: they see a 64-bit integer as any other value.

Arithmetic is `ir.words`; division is a loop of 64 steps. Every word gets a name, so that no text grows with the depth
of an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import words
from ..ir.expand import ROWS, lower
from ..ir.expr import REQUIRED, Expr, const, walk, where
from ..ir.program import Array, Assign, Barrier, For, If, Let, Local, Program, Put, Scalar, Statement
from ..ir.words import Pair
from ..limits import Limits
from . import Unsupported
from .bind import Rewrite
from .nest import ONE, ZERO, Slot, var
from .schedules import Launch, Plan

_LEAVES = frozenset({"const", "var", "special"})
_WIDE = (dt.int64, dt.uint64)


def emulate(plan: Plan, limits: Limits) -> Plan:
    """``plan`` without a value of a dtype that ``limits`` declares as emulated."""
    wide = frozenset(d for d, kept in limits.dtypes.items() if kept.kind == "emulated")
    if not wide:
        return plan
    others = [d.name for d in wide if d not in _WIDE]
    if others:
        raise Unsupported(f"{', '.join(others)} cannot be emulated; {', '.join(d.name for d in _WIDE)} can")
    return replace(plan, launches=tuple(_launch(launch, wide) for launch in plan.launches))


def _launch(launch: Launch, wide: frozenset[DType]) -> Launch:
    program = launch.program
    slots = tuple(half for slot in launch.slots for half in _slots(slot, wide))
    body = _Words(program, wide).body()
    buffers = tuple(replace(b, dtype=dt.uint32) if b.dtype in wide else b for b in program.buffers)
    local = tuple(half for m in program.locals for half in _locals(m, wide))
    scalars = tuple(s.scalar for s in slots)
    made = replace(program, buffers=buffers, scalars=scalars, locals=local, body=body)
    return replace(launch, program=made, slots=slots)


def _halves(name: str) -> tuple[str, str]:
    """The names of the two words of ``name``."""
    return f"{name}_l", f"{name}_h"


def _slots(slot: Slot, wide: frozenset[DType]) -> tuple[Slot, ...]:
    """A number of 64 bits is passed as its two words."""
    if slot.scalar.dtype not in wide:
        return (slot,)
    names = _halves(slot.scalar.name)
    return tuple(Slot(Scalar(n, dt.uint32), s, slot.value) for n, s in zip(names, ("low", "high"), strict=True))


def _locals(memory: Local, wide: frozenset[DType]) -> tuple[Local, ...]:
    if memory.dtype not in wide:
        return (memory,)
    return tuple(Local(name, dt.uint32, memory.size) for name in _halves(memory.name))


class _Words:
    """One program under rewriting. ``out`` is the block that statements go to."""

    def __init__(self, program: Program, wide: frozenset[DType]) -> None:
        self.program, self.wide = program, wide
        self.buffers = {b.name for b in program.buffers}
        self.out: list[Statement] = []
        self.count = 0
        self.lowered = _Lower(wide)

    def body(self) -> tuple[Statement, ...]:
        """The statements of the program, over words."""
        return self._block(self.program.body)

    # ---- statements --------------------------------------------------------------------------------------------------
    def _block(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        outer, self.out = self.out, []
        for statement in body:
            self._statement(statement)
        made, self.out = self.out, outer
        return tuple(made)

    def _statement(self, s: Statement) -> None:
        add = self.out.append
        match s:
            case Let() | Assign():
                self._named(s)
            case Put():
                self._put(s)
            case Array():
                for name, (fill,) in zip(self._names(s.name, s.dtype), self._parts(s.fill), strict=True):
                    add(replace(s, name=name, dtype=self._type(s.dtype), fill=fill))
            case For():
                start, stop, step = (self.value(e) for e in (s.start, s.stop, s.step))
                add(replace(s, start=start, stop=stop, step=step, body=self._block(s.body)))
            case If():
                condition = self.value(s.condition)
                add(If(condition, self._block(s.body), self._block(s.orelse)))
            case Barrier():
                add(s)

    def _named(self, s: Let | Assign) -> None:
        """Both words are computed before one of them is assigned."""
        parts = [value for value, in self._parts(s.value)]
        if len(parts) > 1 and isinstance(s, Assign):
            parts = [self._let(v, mutable=False) if v.op == "var" else v for v in parts]
        for name, value in zip(self._names(s.name, s.value.dtype), parts, strict=True):
            self.out.append(replace(s, name=name, value=value))

    def _put(self, s: Put) -> None:
        if s.value.dtype not in self.wide:
            offset, value = self._both(s.offset, s.value)
            self.out.append(Put(s.memory, offset, value))
            return
        offset, value = self._both(s.offset, s.value)
        for memory, at, half in zip(*self._places(s.memory, offset), value, strict=True):
            self.out.append(Put(memory, at, half))

    # ---- expressions -------------------------------------------------------------------------------------------------
    def _type(self, d: DType) -> DType:
        return dt.uint32 if d in self.wide else d

    def _names(self, name: str, d: DType) -> tuple[str, ...]:
        return _halves(name) if d in self.wide else (name,)

    def _parts(self, root: Expr) -> list[tuple[Expr]]:
        """The words of ``root``, each alone in a tuple; the one value of another type."""
        made = self._rewritten([root])[0]
        return [(half,) for half in made] if isinstance(made, Pair) else [(made,)]

    def value(self, root: Expr) -> Expr:
        """``root``, which is not wide itself, over words."""
        made = self._rewritten([root])[0]
        assert isinstance(made, Expr)
        return made

    def _both(self, offset: Expr, value: Expr) -> tuple[Expr, Any]:
        first, second = self._rewritten([offset, value])
        assert isinstance(first, Expr)
        return first, second

    def _rewritten(self, roots: Sequence[Expr]) -> list[Expr | Pair]:
        if not any(n.dtype in self.wide for n in walk(*roots)):
            return list(roots)
        lowered = [self.lowered(r) for r in roots]
        made: dict[Expr, Expr | Pair] = {}
        for node in walk(*lowered):
            made[node] = self._node(node, [made[a] for a in node.args])
        return [made[r] for r in lowered]

    def keep(self, value: Expr) -> Expr:
        """``value`` under a name."""
        if value.op in _LEAVES:
            return value
        return self._let(value, mutable=False)

    def _let(self, value: Expr, mutable: bool) -> Expr:
        self.count += 1
        name = f"word{self.count}"
        self.out.append(Let(name, value, mutable))
        return var(name, value.dtype)

    def _places(self, memory: str, offset: Expr) -> tuple[tuple[str, ...], tuple[Expr, ...]]:
        """Where the two words of an element are: beside each other in a buffer, else in memories of their own."""
        if memory in self.buffers:
            at = self.keep(offset * 2)
            return (memory, memory), (at, at + 1)
        return _halves(memory), (offset, offset)

    def _node(self, node: Expr, args: Sequence[Expr | Pair]) -> Expr | Pair:
        if node.dtype in self.wide or any(isinstance(a, Pair) for a in args):
            return self._wide(node, args)
        plain = tuple(a for a in args if isinstance(a, Expr))
        return node if plain == node.args else Expr.of(node.op, plain, node.dtype, node.value)

    def _wide(self, node: Expr, args: Sequence[Any]) -> Expr | Pair:
        match node.op:
            case "const":
                return words.literal(node.value)
            case "var":
                return Pair(*(var(name, dt.uint32) for name in _halves(node.value)))
            case "get":
                places = zip(*self._places(node.value, args[0]), strict=True)
                return Pair(*(self.keep(Expr.of("get", (at,), dt.uint32, memory)) for memory, at in places))
            case "cast":
                return self._cast(node, args[0])
            case "bitcast" if node.dtype in self.wide and isinstance(args[0], Pair):
                return args[0]
            case "idiv" | "mod":
                return self._divide(node.op, args[0], args[1], node.dtype.kind == "i")
        made = _ROWS.get(node.op)
        if made is None:
            raise Unsupported(f"{node.op} of {node.dtype.name} is not emulated")
        return made(self, node, args)

    def _cast(self, node: Expr, value: Any) -> Expr | Pair:
        source, target = node.args[0].dtype, node.dtype
        if not isinstance(value, Pair):
            if source.kind != "f":
                return words.from_word(value, self.keep)
            single = value if source is dt.float32 else value.cast(dt.float32)
            return words.from_float(single, target.kind == "i", self.keep)
        if target in self.wide:
            return value
        if target is dt.bool_:
            return self.keep(~(value.low | value.high).eq(0))
        if target.kind == "f":
            if target.itemsize > dt.float32.itemsize:
                raise Unsupported(f"{source.name} to {target.name} is not emulated")
            return words.to_float(value, source.kind == "i", self.keep).cast(target)
        return value.low.cast(target) if target.kind == "u" else value.low.bitcast(dt.int32).cast(target)

    # ---- division ----------------------------------------------------------------------------------------------------
    def _divide(self, op: str, a: Pair, b: Pair, signed: bool) -> Pair:
        """Floored, and 0 for a divisor of 0 (as everybody's), by long division of the magnitudes."""
        keep = self.keep
        sizes = [words.magnitude_of(x, keep) if signed else x for x in (a, b)]
        quotient, rest = self._long_division(*sizes)
        if signed:
            minus = keep(words.bitwise("xor", a, b, keep).high >= words.word(1 << 31))
            uneven = keep(minus & ~(rest.low | rest.high).eq(0))
            down = words.subtract(words.negate(quotient, keep), Pair(keep(_bit(uneven)), words.word(0)), keep)
            quotient = words.select(minus, down, quotient, keep)
            left = words.subtract(sizes[1], rest, keep)
            rest = words.select(uneven, left, rest, keep)
            rest = words.select(keep(b.high >= words.word(1 << 31)), words.negate(rest, keep), rest, keep)
        nothing = words.equal(b, words.literal(0), keep)
        return words.select(nothing, words.literal(0), quotient if op == "idiv" else rest, keep)

    def _long_division(self, a: Pair, b: Pair) -> tuple[Pair, Pair]:
        """(a // b, a % b) unsigned: each step moves a bit of ``a`` into the rest, and one of the quotient behind it."""
        bits, rest = (Pair(*(self._let(w, mutable=True) for w in start)) for start in (a, words.literal(0)))
        outer, self.out = self.out, []
        keep = self.keep
        top = keep(rest.high >> 31)  # the bit that the rest, shifted, has no room for
        moved = Pair(keep((rest.low << 1) | (bits.high >> 31)), keep((rest.high << 1) | (rest.low >> 31)))
        fits = keep(top.eq(1) | ~words.less(moved, b, False, keep))
        left = words.select(fits, words.subtract(moved, b, keep), moved, keep)
        shifted = Pair(keep((bits.low << 1) | _bit(fits)), keep((bits.high << 1) | (bits.low >> 31)))
        for target, value in zip((*rest, *bits), (*left, *shifted), strict=True):
            self.out.append(Assign(str(target.value), value))
        body, self.out = tuple(self.out), outer
        self.count += 1
        self.out.append(For(f"step{self.count}", ZERO, const(64, dt.index), ONE, body))
        return Pair(*map(self.keep, bits)), Pair(*map(self.keep, rest))


def _bit(condition: Expr) -> Expr:
    return where(condition, words.word(1), words.word(0))


class _Lower(Rewrite):
    """Operators of wide values that are not required rows, by their expansions."""

    def __init__(self, wide: frozenset[DType]) -> None:
        super().__init__()
        self.wide = wide

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        made = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        wide = node.op in ROWS and any(a.dtype in self.wide for a in args)
        return lower(made, REQUIRED) if wide else made


def _signed(node: Expr) -> bool:
    return node.args[0].dtype.kind == "i"


Row = Callable[[_Words, Expr, Sequence[Any]], "Expr | Pair"]

_ROWS: dict[str, Row] = {
    "add": lambda w, n, a: words.add(a[0], a[1], w.keep),
    "sub": lambda w, n, a: words.subtract(a[0], a[1], w.keep),
    "mul": lambda w, n, a: words.multiply(a[0], a[1], w.keep),
    "mulhi": lambda w, n, a: words.multiply_high(a[0], a[1], _signed(n), w.keep),
    "neg": lambda w, n, a: words.negate(a[0], w.keep),
    "not": lambda w, n, a: Pair(w.keep(~a[0].low), w.keep(~a[0].high)),
    **{op: lambda w, n, a: words.bitwise(n.op, a[0], a[1], w.keep) for op in ("and", "or", "xor")},
    **{op: lambda w, n, a: words.shift(n.op, a[0], a[1], _signed(n), w.keep) for op in ("shl", "shr")},
    "eq": lambda w, n, a: words.equal(a[0], a[1], w.keep),
    "lt": lambda w, n, a: words.less(a[0], a[1], _signed(n), w.keep),
    "where": lambda w, n, a: words.select(w.keep(a[0]), a[1], a[2], w.keep),
}  # fmt: skip
