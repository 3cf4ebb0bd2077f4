"""The renderer of the C family: a `Program` as a kernel in OpenCL C, CUDA C or another dialect of C.

Last step of a scheduled kernel (see `bind`). A `Dialect` is an attribute table and a few rows; everything that the
dialects share is here. Integers are computed so that they wrap, shifts by the width or more give 0, // and % floor and
never trap, literals are exact. Contraction and fast-math are off: the dialect's ``prologue`` and build options say so.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from .. import dtypes as dt
from ..dtypes import DType
from ..ir.expr import Expr, walk
from ..ir.program import Array, Assign, Barrier, Buffer, For, If, Let, Program, Put, Statement

Row = str | Callable[[DType, Sequence[str]], str]


@dataclass(frozen=True)
class Dialect:
    """What a dialect of C differs in. Templates are filled by `str.format`; ``rows`` are the native operators."""

    name: str
    types: Mapping[str, str]  # dtype name → C type
    rows: Mapping[str, Row] = field(default_factory=dict)
    kernel: str = "__kernel void {name}({parameters})"
    scalars: str = "const {struct} args"
    pointer: str = "__global {const}{type} *{restrict} {name}"
    cast_pointer: str = "(__global {const}{type} *)"
    restrict: str = "restrict"
    local: str = "__local {type} {name}[{size}];"
    barrier: str = "barrier(CLK_LOCAL_MEM_FENCE);"
    specials: Mapping[str, str] = field(default_factory=dict)  # of a dimension as a number {0} and as a letter {1}
    loads: Mapping[str, str] = field(default_factory=dict)  # storage dtype → how a buffer's element is read
    stores: Mapping[str, str] = field(default_factory=dict)
    bitcast: str = "as_{type}({value})"
    mulhi: str = "mul_hi({0}, {1})"
    function: str = "static inline"
    functions: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (operator, dtype name) → its body over x, y
    unroll: str = "#pragma unroll"
    aligned: str = ""  # tells the compiler that the pointer {name}, to {const}{type}, is a multiple of {bytes}
    prologue: str = ""
    attributes: str = ""


class Frame(NamedTuple):
    """A source with an author's text in it, and the lines on which that and its helpers begin."""

    source: str
    text_line: int
    helpers_line: int


class CRenderer:
    """Renders programs in one dialect. Callable: what `schedule.ScheduleCodegen` wants."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.sizes = True
        self.rows: frozenset[str] | None = frozenset(_INFIX) | frozenset(_BASIC) | frozenset(dialect.rows)

    def __call__(self, program: Program) -> str:
        return _Source(self.dialect, program).text()

    def frame(self, program: Program, text: str, helpers: str, defines: Mapping[str, str]) -> Frame:
        """An author's kernel: ``program`` (which has no body) with ``text`` in its place, after ``helpers``.

        Each buffer ``x_base`` is seen as ``x``, moved by the scalar ``x_offset``; ``x_t`` is its element type.
        """
        source, types = _Source(self.dialect, program), self.dialect.types
        names = {b.name.removesuffix("_base"): b for b in program.buffers}
        macros = {f"{n}_t": source.storage(b.dtype) for n, b in names.items()}
        macros |= {"index_t": source.ctype(dt.index), **{k: types.get(v, v) for k, v in defines.items()}}
        above = [f"#define {name} {value}" for name, value in macros.items()]
        opening = source.text().rstrip().removesuffix("}").splitlines()
        for name, b in names.items():
            const = "const " if b.access == "r" else ""
            pointer = self.dialect.pointer.format(const=const, type=source.storage(b.dtype), restrict="", name=name)
            opening.append(f"  {pointer.replace('* ', '*')} = {b.name} + {name}_offset;")
        lines = [*above, *helpers.splitlines(), *opening, *text.splitlines(), "}", ""]
        first = len(above) + 1
        return Frame("\n".join(lines), first + len(helpers.splitlines()) + len(opening), first)


# fmt: off
_INFIX = {"div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|", "xor": "^"}
_BASIC = tuple("add sub mul neg idiv mod not shl shr where cast bitcast mulhi maximum minimum".split())
_WRAPPING = {"add": "+", "sub": "-", "mul": "*"}

HELPERS = {
    "idiv": "{T} ig_idiv_{S}({T} a, {T} b) {{\n"
            "  if (b == 0) return 0;\n"
            "  if (b == ({T})-1) return ({T})(({U})0 - ({U})a);\n"
            "  {T} q = a / b;\n"
            "  return q - (q * b != a && (a < 0) != (b < 0));\n}}",
    "mod": "{T} ig_mod_{S}({T} a, {T} b) {{\n"
           "  if (b == 0 || b == ({T})-1) return 0;\n"
           "  {T} r = a % b;\n"
           "  return r != 0 && (r < 0) != (b < 0) ? r + b : r;\n}}",
    "uidiv": "{T} ig_uidiv_{S}({T} a, {T} b) {{ return b == 0 ? 0 : a / b; }}",
    "umod": "{T} ig_umod_{S}({T} a, {T} b) {{ return b == 0 ? 0 : a % b; }}",
    "fmodf": "{T} ig_fmodf_{S}({T} a, {T} b) {{\n"
             "  {T} r = fmod(a, b);\n"
             "  return r != 0 ? ((r < 0) != (b < 0) ? r + b : r) : copysign(r, b);\n}}",
    "shl": "{T} ig_shl_{S}({T} a, {T} b) {{ return ({U})b < {B}u ? ({T})(({U})a << ({U})b) : ({T})0; }}",
    "shr": "{T} ig_shr_{S}({T} a, {T} b) {{ return ({U})b < {B}u ? ({T})(a >> b) : ({T})(a < 0 ? -1 : 0); }}",
    "maximum": "{T} ig_maximum_{S}({T} a, {T} b) {{ return a > b || a != a ? a : b; }}",
    "minimum": "{T} ig_minimum_{S}({T} a, {T} b) {{ return a < b || a != a ? a : b; }}",
}
# fmt: on


class _Source:
    """The text of one program."""

    def __init__(self, dialect: Dialect, program: Program) -> None:
        self.dialect, self.program = dialect, program
        self.helpers: dict[tuple[str, str], str] = {}
        self.memory: dict[str, DType] = {b.name: b.dtype for b in program.buffers}
        self.buffers = set(self.memory)

    def text(self) -> str:
        """The whole source: helpers, struct, kernel."""
        program = self.program
        body = self.lines(program.body, "  ")
        heads = [self.dialect.prologue] if self.dialect.prologue else []
        heads += self.helpers.values()
        if program.scalars:
            # a bool has no size that host and device agree on, so it travels as it is stored
            types = [self.storage(s.dtype) if s.dtype is dt.bool_ else self.ctype(s.dtype) for s in program.scalars]
            members = "\n".join(f"  {t} {s.name};" for t, s in zip(types, program.scalars, strict=True))
            heads.append(f"typedef struct {{\n{members}\n}} Arguments;")
        setup = [f"  {line}" for line in self._setup()]
        kernel = self.dialect.kernel.format(name=program.name, parameters=self._parameters(), x=program.workgroup[0],
                                            y=program.workgroup[1], z=program.workgroup[2])  # fmt: skip
        return "\n".join([*heads, kernel + " {", *setup, *body, "}", ""])

    def ctype(self, d: DType) -> str:
        """The C type of a value."""
        if d is dt.index:
            return self.dialect.types["int64" if self.program.index_bits == 64 else "int32"]
        return self.dialect.types[d.name]

    def _parameters(self) -> str:
        made: dict[int, str] = {}
        shared = len({b.binding for b in self.program.buffers}) < len(self.program.buffers)
        for b in self.program.buffers:
            first = b.binding not in made
            alone = [o for o in self.program.buffers if o.binding == b.binding]
            if first:
                readonly = all(o.access == "r" for o in alone)
                made[b.binding] = self.dialect.pointer.format(
                    const="const " if readonly else "", type=self.storage(b.dtype),
                    restrict="" if shared else self.dialect.restrict, name=b.name,
                ).replace("* ", "*")  # fmt: skip
        arguments = [made[k] for k in sorted(made)]
        if self.program.scalars:
            arguments.append(self.dialect.scalars.format(struct="Arguments"))
        return ", ".join(arguments)

    def storage(self, d: DType) -> str:
        """The C type of a buffer's element."""
        return self.dialect.types.get(f"{d.name}*", self.dialect.types[d.name])

    def _setup(self) -> list[str]:
        lines = self._alignment()
        first: dict[int, Buffer] = {}
        for b in self.program.buffers:
            owner = first.setdefault(b.binding, b)
            if owner is not b:
                readonly = all(o.access == "r" for o in self.program.buffers if o.binding == b.binding)
                const = "const " if readonly else ""
                pointer = self.dialect.pointer.format(
                    const=const, type=self.storage(b.dtype), restrict="", name=b.name
                )
                cast = self.dialect.cast_pointer.format(const=const, type=self.storage(b.dtype))
                lines.append(f"{pointer.replace('* ', '*')} = {cast}{owner.name};")
        lines += [f"const {self.ctype(s.dtype)} {s.name} = args.{s.name};" for s in self.program.scalars]
        for memory in self.program.locals:
            self.memory[memory.name] = memory.dtype
            lines.append(self.dialect.local.format(type=self.ctype(memory.dtype), name=memory.name, size=memory.size))
        return lines

    def _alignment(self) -> list[str]:
        if self.program.aligned == 1 or not self.dialect.aligned:
            return []
        told: dict[int, str] = {}
        for b in self.program.buffers:
            readonly = all(o.access == "r" for o in self.program.buffers if o.binding == b.binding)
            text = self.dialect.aligned.format(
                name=b.name, const="const " if readonly else "", type=self.storage(b.dtype), bytes=self.program.aligned
            )
            told.setdefault(b.binding, text)
        return list(told.values())

    # ---- statements ------------------------------------------------------------------------------------------------
    def lines(self, body: Sequence[Statement], indent: str) -> list[str]:
        """The lines of a block."""
        for memory in self.program.locals:
            self.memory[memory.name] = memory.dtype
        return [line for s in body for line in self.statement(s, indent)]

    def statement(self, s: Statement, indent: str) -> list[str]:
        """The lines of one statement."""
        match s:
            case Let():
                const = "" if s.mutable else "const "
                return [f"{indent}{const}{self.ctype(s.value.dtype)} {s.name} = {self.expr(s.value)};"]
            case Assign():
                return [f"{indent}{s.name} = {self.expr(s.value)};"]
            case Put():
                return [indent + self._put(s)]
            case Array():
                self.memory[s.name] = s.dtype
                lines = [f"{indent}{self.ctype(s.dtype)} {s.name}[{s.size}];"]
                fill = f"for (int q = 0; q < {s.size}; q++) {s.name}[q] = {self.expr(s.fill)};"
                return [*lines, *([indent + self.dialect.unroll] if s.size <= 64 else []), indent + fill]
            case For():
                return self._for(s, indent)
            case If():
                lines = [f"{indent}if ({self.expr(s.condition)}) {{", *self.lines(s.body, indent + "  ")]
                if s.orelse:
                    lines += [f"{indent}}} else {{", *self.lines(s.orelse, indent + "  ")]
                return [*lines, f"{indent}}}"]
            case Barrier():
                return [indent + self.dialect.barrier]

    def _for(self, s: For, indent: str) -> list[str]:
        step = f"{s.var}++" if s.step.op == "const" and s.step.value == 1 else f"{s.var} += {self.expr(s.step)}"
        start, stop = self.expr(s.start), self.operand(s.stop)
        head = f"for ({self.ctype(dt.index)} {s.var} = {start}; {s.var} < {stop}; {step}) {{"
        pragma = [indent + self.dialect.unroll] if s.unroll else []
        return [*pragma, indent + head, *self.lines(s.body, indent + "  "), f"{indent}}}"]

    def _put(self, s: Put) -> str:
        offset = self.expr(s.offset)
        template = self.dialect.stores.get(self.memory[s.memory].name) if s.memory in self.buffers else None
        if template and s.value.op == "cast":  # the template converts
            value = self.expr(s.value.args[0])
        else:
            value = self.expr(s.value)
        if template:
            return template.format(value=value, offset=offset, memory=s.memory) + ";"
        if s.memory in self.buffers and self.memory[s.memory] is dt.bool_:
            value = f"({value}) ? 1 : 0"
        return f"{s.memory}[{offset}] = {value};"

    # ---- expressions -----------------------------------------------------------------------------------------------
    def expr(self, root: Expr) -> str:
        """``root`` as C. Outer parentheses are left out."""
        text = self.operand(root)
        return text[1:-1] if _wrapped(text) else text

    def operand(self, root: Expr) -> str:
        """``root`` as an operand of C's operators."""
        if not root.args:
            return self._node(root, [])
        made: dict[Expr, str] = {}
        for node in walk(root):
            made[node] = self._node(node, [made[a] for a in node.args])
        return made[root]

    def _node(self, node: Expr, args: list[str]) -> str:
        match node.op:
            case "var":
                return str(node.value)
            case "const":
                return self.literal(node)
            case "special":
                name, dimension = node.value
                text = self.dialect.specials[name].format(dimension, "xyz"[dimension])
                return f"({self.ctype(dt.index)}){text}"
            case "get":
                return self._get(node, args[0])
            case "cast":
                return self._cast(node, args[0])
            case "bitcast":
                return self.dialect.bitcast.format(type=self.ctype(node.dtype), value=args[0])
            case "where":
                return f"({args[0]} ? {args[1]} : {args[2]})"
        if node.args and (node.op, node.args[0].dtype.name) in self.dialect.functions:
            return f"{self.function(node.op, node.args[0].dtype, len(args))}({', '.join(args)})"
        row = self.dialect.rows.get(node.op)
        if row is not None and not (isinstance(row, str) and node.args[0].dtype.kind != "f"):
            return row(node.args[0].dtype, args) if callable(row) else row.format(*args)
        return self._operator(node, args)

    def _operator(self, node: Expr, args: list[str]) -> str:
        op, d = node.op, node.args[0].dtype
        if op in _WRAPPING and d.kind in "ui":
            return self._wrapping(_WRAPPING[op], d, args)
        if op in _WRAPPING:
            return f"({args[0]} {_WRAPPING[op]} {args[1]})"
        if op == "neg":
            return self._wrapping("-", d, ["0", args[0]]) if d.kind in "ui" else f"(-{args[0]})"
        if op == "not":
            made = f"(!{args[0]})" if d.kind == "b" else f"(~{args[0]})"
            return made if d.kind == "b" or d.itemsize >= 4 else f"(({self.ctype(d)}){made})"
        if op in _INFIX:
            text = f"({args[0]} {_INFIX[op]} {args[1]})"
            return text if d.kind in "fbn" or node.dtype.kind == "b" or d.itemsize >= 4 else f"(({self.ctype(d)}){text})"
        if op == "mulhi":
            return self._mulhi(d, args)
        return self._call(op, node, args)

    def _call(self, op: str, node: Expr, args: list[str]) -> str:
        d = node.args[0].dtype
        if op in ("shl", "shr") and node.args[1].op == "const":
            return self._constant_shift(op, d, args[0], node.args[1].value)
        if op in ("idiv", "mod"):
            if d.kind == "u":
                if _never_zero(node.args[1]):
                    return f"({args[0]} {'/' if op == 'idiv' else '%'} {args[1]})"
                op = "u" + op
            elif d.kind == "f":
                if op == "idiv":
                    return f"floor({args[0]} / {args[1]})"
                op = "fmodf"
        return f"{self.helper(op, d)}({', '.join(args)})"

    def helper(self, op: str, d: DType) -> str:
        """The name of a helper function of type ``d``; its text goes to the head of the source."""
        kind = d if d is not dt.index else dt.int64 if self.program.index_bits == 64 else dt.int32
        key = (op, kind.name)
        if key not in self.helpers:
            unsigned = self.dialect.types.get("u" + kind.name.lstrip("u"), self.dialect.types[kind.name])
            text = HELPERS[op].format(T=self.dialect.types[kind.name], S=kind.name, U=unsigned, B=8 * kind.itemsize)
            self.helpers[key] = f"{self.dialect.function} {text}"
        return f"ig_{op}_{kind.name}"

    def _mulhi(self, d: DType, args: list[str]) -> str:
        if d.itemsize == 8 or "int64" not in self.dialect.types:
            return self.dialect.mulhi.format(*args, sign="u" if d.kind == "u" else "")
        wide = self.dialect.types["uint64" if d.kind == "u" else "int64"]
        return f"({self.ctype(d)})((({wide}){args[0]} * ({wide}){args[1]}) >> {8 * d.itemsize})"

    def function(self, op: str, d: DType, count: int) -> str:
        """The name of the dialect's own function for ``op`` of ``d``, whose ``count`` parameters are called x, y, z."""
        name = f"ig_{op}_{d.name}"
        if (op, d.name) not in self.helpers:
            kind, body = self.dialect.types[d.name], self.dialect.functions[op, d.name]
            parameters = ", ".join(f"{kind} {p}" for p in "xyz"[:count])
            self.helpers[op, d.name] = f"{self.dialect.function} {kind} {name}({parameters}) {{\n{body}\n}}"
        return name

    def _wrapping(self, sign: str, d: DType, args: list[str]) -> str:
        if d.kind == "u" and d.itemsize >= 4:
            return f"({args[0]} {sign} {args[1]})"
        wide = self.dialect.types["uint64" if d.itemsize == 8 else "uint32"]
        return f"({self.ctype(d)})(({wide}){args[0]} {sign} ({wide}){args[1]})"

    def _constant_shift(self, op: str, d: DType, value: str, by: int) -> str:
        if not 0 <= by < 8 * d.itemsize:
            return f"(({self.ctype(d)})0)"
        if op == "shr" or d.kind == "u":
            text = f"({value} {'>>' if op == 'shr' else '<<'} {by})"
            return text if d.itemsize >= 4 else f"(({self.ctype(d)}){text})"
        return f"({self.ctype(d)})(({self.dialect.types['u' + d.name]}){value} << {by})"

    def _get(self, node: Expr, offset: str) -> str:
        offset = offset[1:-1] if _wrapped(offset) else offset
        if node.value in self.buffers:
            template = self.dialect.loads.get(self.memory[node.value].name)
            if template:
                return template.format(offset=offset, memory=node.value)
            if self.memory[node.value] is dt.bool_:
                return f"({node.value}[{offset}] != 0)"
        return f"{node.value}[{offset}]"

    def _cast(self, node: Expr, value: str) -> str:
        source, target = node.args[0].dtype, node.dtype
        if target is dt.bool_:
            return f"({value} != 0)"
        if self.ctype(source) == self.ctype(target) and source.kind == target.kind:
            return value
        if source.kind == "f" and target.kind in "ui" and target.itemsize < 4:
            value = f"({self.dialect.types['int32']}){value}"  # then it wraps, as everybody's does
        elif source.kind == "f" and target is dt.uint32 and "int64" in self.dialect.types:
            value = f"({self.dialect.types['int64']}){value}"
        return f"({self.ctype(target)}){value}"

    def literal(self, node: Expr) -> str:
        """An exact literal."""
        d, v = node.dtype, node.value
        if d is dt.bool_:
            return "true" if v else "false"
        if d.kind == "f":
            return _float_literal(v, d)
        if d.kind == "u":
            return f"{v}u" if d.itemsize <= 4 else f"{v}ul"
        long = d.itemsize == 8 and not (d is dt.index and self.program.index_bits == 32)
        if d is dt.index and abs(v) < 1 << 31:
            long = False
        if v == -(1 << (63 if long else 31)):
            return f"({v + 1}{'l' if long else ''} - 1)"
        text = f"{v}{'l' if long else ''}"
        return f"({text})" if v < 0 else text


def _never_zero(node: Expr) -> bool:
    """Divisors of index arithmetic are positive."""
    return (node.op == "const" and node.value != 0) or (node.op == "cast" and node.args[0].dtype is dt.index)


def _float_literal(value: float, d: DType) -> str:
    single = d.itemsize < 8
    if math.isnan(value):
        return "NAN"
    if single and math.isfinite(value):
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    suffix = "f" if single else ""
    text = repr(value) if "e" not in repr(value) and Fraction(repr(value)) == Fraction(value) else _hex(value)
    return f"({text}{suffix})" if math.copysign(1.0, value) < 0 else text + suffix


def _hex(value: float) -> str:
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"


def _wrapped(text: str) -> bool:
    """True when the first parenthesis closes at the end."""
    if not text.startswith("("):
        return False
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return k == len(text) - 1
    return False
