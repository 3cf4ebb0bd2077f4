"""A program of the kernel IR as the source of one Python function: what a single work-item does.

`program` runs it for every work-item. Only required rows are left in the expressions (`lower`), so
that expansions are exercised too. Every access to memory goes through a test of its bounds, and for
memory that work-items share, through a `Shared` that notices when one of them sees what another
wrote without a barrier between.
"""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType
from ingot_devices.errors import KernelBuildError
from ingot_devices.ir.expand import lower
from ingot_devices.ir.expr import REQUIRED, Expr, walk
from ingot_devices.ir.program import (
    Array,
    Assign,
    Barrier,
    For,
    If,
    Let,
    Program,
    Put,
    Statement,
)  # fmt: skip

from .emit import literal, namespace, rounded, row, wrap

_INDEX32 = 32


class Source:
    """Writes one program. ``text`` is the function ``item``, ``names`` its globals.

    ``specials`` are the work-item numbers that it takes, ``shared`` the memories that it accesses by
    methods, ``barriers`` how many places it can wait at (then it is a generator).
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = namespace()
        self.memory: dict[str, DType] = {b.name: b.dtype for b in program.buffers}
        self.memory |= {m.name: m.dtype for m in program.locals}
        self.written = {s.memory for s in _all(program.body) if isinstance(s, Put)}
        self.shared = self._shared()
        self.specials = sorted(_specials(program.body))
        self.barriers = 0
        self._scope = {s.name for s in program.scalars} | set(self.memory)
        self._count = 0
        self._lines: list[str] = []
        self._indent = 1
        self._memo: dict[Expr, str] = {}
        self._refuse_writes()
        self._block(program.body)
        self.text = "\n".join([self._head(), *self._lines]) + "\n"

    def _shared(self) -> set[str]:
        """Workgroup memory, and the buffers whose binding is written."""
        bindings = {b.binding for b in self.program.buffers if b.name in self.written}
        watched = {b.name for b in self.program.buffers if b.binding in bindings}
        return watched | {m.name for m in self.program.locals}

    def _refuse_writes(self) -> None:
        for b in self.program.buffers:
            if b.name in self.written and "w" not in b.access:
                raise KernelBuildError(f"{self.program.name} writes to {b.name}, which it declares as read")

    def _head(self) -> str:
        memories = [b.name for b in self.program.buffers] + [m.name for m in self.program.locals]
        numbers = [f"v_{s.name}" for s in self.program.scalars]
        specials = [f"{kind}{n}" for kind, n in self.specials]
        arguments = ", ".join(["F", "me", *(f"m_{m}" for m in memories), *numbers, *specials])
        return f"def item({arguments}):"

    # ---- statements --------------------------------------------------------------------------
    def _put(self, *lines: str) -> None:
        self._lines.extend("    " * self._indent + line for line in lines)

    def _block(self, body: tuple[Statement, ...]) -> None:
        if not body:
            self._put("pass")
        outside = set(self._scope)
        for statement in body:
            self._memo = {}
            self._statement(statement)
        self._scope = outside

    def _declare(self, name: str) -> None:
        """A name is declared once in its scope: what hides another is a mistake of the schedule."""
        if name in self._scope:
            raise KernelBuildError(f"{self.program.name} declares {name} where that name is taken")
        self._scope.add(name)

    def _statement(self, s: Statement) -> None:
        match s:
            case Let():
                value = self._value(s.value)
                self._declare(s.name)
                self._put(f"v_{s.name} = {value}")
            case Assign():
                self._put(f"v_{s.name} = {self._value(s.value)}")
            case Put():
                at, value = self._value(s.offset), self._value(s.value)
                self._store(s.memory, at, value)
            case Array():
                self._declare(s.name)
                self.memory[s.name] = s.dtype
                self._put(f"m_{s.name} = [{self._value(s.fill)}] * {s.size}")
            case For():
                bounds = [self._value(e) for e in (s.start, s.stop, s.step)]
                self._put(f"for v_{s.var} in range({', '.join(bounds)}):")
                before = set(self._scope)
                self._declare(s.var)
                self._nested(s.body)
                self._scope = before
            case If():
                self._put(f"if {self._value(s.condition)}:")
                self._nested(s.body)
                if s.orelse:
                    self._put("else:")
                    self._nested(s.orelse)
            case Barrier():
                self.barriers += 1
                self._put(f"yield {self.barriers}")

    def _nested(self, body: tuple[Statement, ...]) -> None:
        self._indent += 1
        self._block(body)
        self._indent -= 1

    def _store(self, memory: str, at: str, value: str) -> None:
        d = self.memory[memory]
        stored = f"{_half(d)}_bits({value})" if self._as_bits(memory) else value
        if memory in self.shared:
            self._put(f"m_{memory}.put({at}, {stored}, me)")
        else:
            self._test(memory, at)
            self._put(f"m_{memory}[{at}] = {stored}")

    def _as_bits(self, memory: str) -> bool:
        """Buffers of halves are memory of 16-bit words; workgroup memory holds numbers."""
        d = self.memory[memory]
        return d in (dt.float16, dt.bfloat16) and any(b.name == memory for b in self.program.buffers)

    def _test(self, memory: str, at: str) -> None:
        self.names["outside"] = _outside
        self._put(f"if not 0 <= {at} < len(m_{memory}): outside({memory!r}, {at}, len(m_{memory}))")

    # ---- expressions -------------------------------------------------------------------------
    def _value(self, root: Expr) -> str:
        lowered = lower(root, REQUIRED)
        for node in walk(lowered):
            if node not in self._memo:
                self._memo[node] = self._node(node)
        return self._memo[lowered]

    def _node(self, node: Expr) -> str:
        args = [self._memo[a] for a in node.args]
        match node.op:
            case "const":
                return literal(node.value, node.dtype)
            case "var":
                return f"v_{node.value}"
            case "special":
                return f"{node.value[0]}{node.value[1]}"
            case "get":
                return self._load(node.value, args[0])
        text, rounding = row(node, args, self.names)
        if node.op == "cast" and node.dtype is dt.index and self.program.index_bits == _INDEX32:
            text = wrap(args[0], dt.int32) if node.args[0].dtype.kind in "ui" else text
        return self._bind(text, node.dtype, rounding)

    def _load(self, memory: str, at: str) -> str:
        if memory in self.shared:
            text = f"m_{memory}.get({at}, me)"
        else:
            self._test(memory, at)
            text = f"m_{memory}[{at}]"
        d = self.memory[memory]
        return self._bind(f"{_half(d)}_of({text})" if self._as_bits(memory) else text, d, False)

    def _bind(self, text: str, d: DType, rounding: bool) -> str:
        self._count += 1
        name = f"t{self._count}"
        if rounding and d is dt.float32:
            self._put(f"F[0] = {text}", f"{name} = F[0]")
        else:
            self._put(f"{name} = {rounded(text, d) if rounding else text}")
        return name


def _half(d: DType) -> str:
    return "f16" if d is dt.float16 else "bf16"


class Outside(Exception):
    """An access outside a memory: its name, the offset and the number of elements."""


def _outside(memory: str, at: int, size: int) -> None:
    raise Outside(f"{memory}[{at}], and {memory} has {size} elements")


def _all(body: tuple[Statement, ...]) -> list[Any]:
    """Every statement, nested ones too."""
    found: list[Any] = []
    for s in body:
        found.append(s)
        if isinstance(s, For):
            found += _all(s.body)
        elif isinstance(s, If):
            found += _all(s.body) + _all(s.orelse)
    return found


def _roots(body: tuple[Statement, ...]) -> list[Expr]:
    """Every expression of the statements."""
    roots: list[Expr] = []
    for s in _all(body):
        fields = [getattr(s, name) for name in s.__dataclass_fields__]
        roots += [f for f in fields if isinstance(f, Expr)]
    return roots


def _specials(body: tuple[Statement, ...]) -> set[tuple[str, int]]:
    return {n.value for n in walk(*_roots(body)) if n.op == "special"}


def types_of(program: Program) -> set[DType]:
    """The types of all values and memories."""
    declared = {b.dtype for b in program.buffers} | {s.dtype for s in program.scalars} | {m.dtype for m in program.locals}
    return declared | {n.dtype for n in walk(*_roots(program.body))}
