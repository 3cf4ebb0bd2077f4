"""The renderer of WGSL: a `Program` as one compute shader.

Last step of a scheduled kernel (`ingot_devices.codegen.bind` is the first); `device` builds what it gives. Beside the C
family, because the language is none: no pointers (a buffer is a module variable of a bind group), no casts by
parentheses, ``select`` for ``?:``, no value that is infinite at compile time. A kernel is laid out so:

    @group(0) @binding(0…)  storage buffers in the order of the launch's bindings, read or read_write
    @group(0) @binding(n)   the block of scalars as a uniform array of words, and behind it a word that is 0

WGSL lets an implementation contract, reorder and simplify sums. Where that would change a result, the value goes through
``ig_exact`` (see `functions`): every sum and product of floats, but not an accumulation, whose order of adding nothing
can change and which would pay for it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported, arguments
from ingot_devices.dtypes import DType
from ingot_devices.ir.expr import REQUIRED, Expr, walk
from ingot_devices.ir.program import Array, Assign, Barrier, Buffer, For, If, Let, Program, Put, Statement

from .functions import closure

# fmt: off
TYPES = {"bool": "bool", "int32": "i32", "uint32": "u32", "float32": "f32", "float16": "f16", "index": "i32"}
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">",
          "ge": ">=", "and": "&", "or": "|", "xor": "^"}
_BUILTIN = {op: op for op in ("floor", "ceil", "trunc", "round", "sqrt")}
_FLOAT = {op: f"ig_{op}" for op in "exp exp2 log sin cos fmod isnan isinf abs maximum minimum".split()} | {"mod": "ig_mod_f"}
_INTEGER = {"maximum": "max", "minimum": "min"}
_BOOL = {"maximum": "({0} | {1})", "minimum": "({0} & {1})", "xor": "({0} != {1})",  # and no order of bools
         "lt": "(!{0} & {1})", "gt": "({0} & !{1})", "le": "(!{0} | {1})", "ge": "({0} | !{1})"}
_TYPED = frozenset("idiv mod shl shr mulhi".split())  # ig_idiv_i, ig_idiv_u …
_SPECIALS = {"gid": "global_invocation_id", "lid": "local_invocation_id", "group": "workgroup_id", "groups": "num_workgroups"}
# fmt: on


class Renderer:
    """Renders programs. Callable: what `ingot_devices.codegen.schedule.ScheduleCodegen` wants."""

    rows: frozenset[str] | None = REQUIRED | frozenset((*_INFIX, *_BUILTIN, *_FLOAT))

    def __call__(self, program: Program) -> str:
        return _Source(program).text()


class _Source:
    """The text of one program."""

    def __init__(self, program: Program) -> None:
        if program.index_bits != 32:
            raise Unsupported(f"{program.name} needs 64-bit indices, which WGSL has not")
        self.program = program
        self.memory: dict[str, DType] = {b.name: b.dtype for b in program.buffers}
        self.memory |= {m.name: m.dtype for m in program.locals}
        self.declared: dict[str, tuple[str, str]] = {}  # buffer → the variable that holds it and its element's type
        self.used: set[str] = set()
        self.specials: set[str] = set()

    def text(self) -> str:
        """The whole shader."""
        program, block = self.program, arguments.block(self.program.scalars, 32)
        heads = self._buffers()
        vectors = block.size // 16 + 1
        binding = len({b.binding for b in program.buffers})
        heads.append(f"@group(0) @binding({binding}) var<uniform> args: array<vec4<u32>, {vectors}>;")
        heads.append("var<private> ig_zero: u32;")
        for m in program.locals:
            heads.append(f"var<workgroup> {m.name}: array<{self.type(m.dtype)}, {m.size}>;")
        setup = [f"  ig_zero = args[{vectors - 1}].w;", *self._scalars()]
        body = self.lines(program.body, "  ")
        x, y, z = program.workgroup
        inputs = ", ".join(f"@builtin({_SPECIALS[s]}) ig_{s}: vec3<u32>" for s in _SPECIALS if s in self.specials)
        kernel = f"@compute @workgroup_size({x}, {y}, {z})\nfn {program.name}({inputs}) {{"
        enable = ["enable f16;"] if any(b.dtype is dt.float16 for b in program.buffers) else []
        return "\n".join([*enable, *heads, *closure(self.used), kernel, *setup, *body, "}", ""])

    def type(self, d: DType) -> str:
        """The WGSL type of a value."""
        found = TYPES.get(d.name)
        if found is None:
            raise Unsupported(f"WGSL has no {d.name}")
        return found

    # ---- parameters --------------------------------------------------------------------------------------------------
    def _buffers(self) -> list[str]:
        """One variable for each binding. Buffers of several types in one binding share it as words."""
        groups: dict[int, list[Buffer]] = {}
        for b in self.program.buffers:
            groups.setdefault(b.binding, []).append(b)
        lines = []
        for number, sharing in sorted(groups.items()):
            types = {self.type(b.dtype) for b in sharing}
            kind = types.pop() if len(types) == 1 else "u32"
            if len({b.dtype.itemsize for b in sharing}) > 1:
                raise Unsupported("operands of 16 and of 32 bits share a buffer, which WGSL cannot declare")
            for b in sharing:
                self.declared[b.name] = (sharing[0].name, kind)
            kind = f"atomic<{kind}>" if sharing[0].name == "status" else kind
            access = "read_write" if any("w" in b.access for b in sharing) else "read"
            lines.append(f"@group(0) @binding({number}) var<storage, {access}> {sharing[0].name}: array<{kind}>;")
        return lines

    def _scalars(self) -> list[str]:
        """The scalars, taken out of the words of the packed block."""
        lines, at = [], 0
        for s in self.program.scalars:
            word = f"args[{at // 16}].{'xyzw'[at // 4 % 4]}"
            if s.dtype is dt.bool_:  # packed as a byte
                value = f"((({word} >> {at % 4 * 8}u) & 0xFFu) != 0u)"
            else:
                value = _bitcast(word, "u32", self.type(s.dtype))
            lines.append(f"  let {s.name}: {self.type(s.dtype)} = {value};")
            at += 1 if s.dtype is dt.bool_ else 4
        return lines

    # ---- statements --------------------------------------------------------------------------------------------------
    def lines(self, body: Sequence[Statement], indent: str) -> list[str]:
        """The lines of a block."""
        return [line for s in body for line in self.statement(s, indent)]

    def statement(self, s: Statement, indent: str) -> list[str]:
        """The lines of one statement."""
        inner = indent + "  "
        match s:
            case Let():
                word = "var" if s.mutable else "let"
                return [f"{indent}{word} {s.name}: {self.type(s.value.dtype)} = {self.expr(s.value)};"]
            case Assign():
                return [f"{indent}{s.name} = {self._accumulated(s) or self.expr(s.value)};"]
            case Put():
                return [f"{indent}{self._put(s)}"]
            case Array():
                self.memory[s.name] = s.dtype
                fill = f"for (var q = 0i; q < {s.size}i; q++) {{ {s.name}[q] = {self.expr(s.fill)}; }}"
                return [f"{indent}var {s.name}: array<{self.type(s.dtype)}, {s.size}>;", indent + fill]
            case For():
                head = (f"for (var {s.var}: i32 = {self.expr(s.start)}; {s.var} < {self.expr(s.stop)}; "
                        f"{s.var} = {s.var} + {self.expr(s.step)}) {{")  # fmt: skip
                return [indent + head, *self.lines(s.body, inner), f"{indent}}}"]
            case If():
                lines = [f"{indent}if ({self.expr(s.condition)}) {{", *self.lines(s.body, inner)]
                if s.orelse:
                    lines += [f"{indent}}} else {{", *self.lines(s.orelse, inner)]
                return [*lines, f"{indent}}}"]
            case Barrier():
                return [f"{indent}workgroupBarrier();"]

    def _accumulated(self, s: Assign) -> str | None:
        """``a + x`` and ``a + x * y`` for the variable ``a`` itself, without a word to the optimiser."""
        value = s.value
        if value.op != "add" or value.dtype.kind != "f" or value.args[0].op != "var" or value.args[0].value != s.name:
            return None
        term = value.args[1]
        if term.op == "mul":
            return f"{s.name} + {self.expr(term.args[0])} * {self.expr(term.args[1])}"
        return f"{s.name} + {self.expr(term)}"

    def _put(self, s: Put) -> str:
        value, at = self.expr(s.value), self.expr(s.offset)
        if s.memory not in self.declared:
            return f"{s.memory}[{at}] = {value};"
        name, kind = self.declared[s.memory]
        if name == "status":  # any of the work-items that fail may win
            return f"atomicStore(&{name}[{at}], {value});"
        return f"{name}[{at}] = {_bitcast(value, self.type(self.memory[s.memory]), kind)};"

    # ---- expressions -------------------------------------------------------------------------------------------------
    def expr(self, root: Expr) -> str:
        """``root`` as WGSL, in parentheses wherever it is no primary expression."""
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
                return self._special(*node.value)
            case "get":
                return self._get(node, args[0])
            case "cast":
                return self._cast(node.args[0].dtype, node.dtype, args[0])
            case "bitcast":
                return _bitcast(args[0], self.type(node.args[0].dtype), self.type(node.dtype))
            case "where":
                return f"select({args[2]}, {args[1]}, {args[0]})"
            case "neg":
                return f"(0u - {args[0]})" if node.dtype.kind == "u" else f"(-{args[0]})"
            case "not":
                return self._not(node, args[0])
        d = node.args[0].dtype
        return self._float(node, args) if d.kind == "f" else self._integer(node, d, args)

    def _special(self, kind: str, dimension: int) -> str:
        if kind == "size":
            return f"{self.program.workgroup[dimension]}i"
        self.specials.add(kind)
        return f"i32(ig_{kind}.{'xyz'[dimension]})"

    def _get(self, node: Expr, at: str) -> str:
        if node.value not in self.declared:
            return f"{node.value}[{at}]"
        name, kind = self.declared[node.value]
        return _bitcast(f"{name}[{at}]", kind, self.type(node.dtype))

    def _cast(self, source: DType, target: DType, value: str) -> str:
        if target is dt.bool_ and source.kind == "f":
            return f"((bitcast<u32>({value}) & 0x7FFFFFFFu) != 0u)"
        if target is dt.bool_:
            return f"({value} != {self.type(source)}())"
        if source.kind == "f" and target is dt.uint32:
            return self._call("ig_u32", [value])
        kind = self.type(target)
        return value if kind == self.type(source) else f"{kind}({value})"

    def _not(self, node: Expr, value: str) -> str:
        """``~(a < b)`` of floats is not ``a >= b``: the comparison is hidden."""
        if node.dtype is not dt.bool_:
            return f"(~{value})"
        inner = node.args[0]
        plain = inner.op == "get" or (inner.op in _INFIX and inner.args[0].dtype.kind in "uin")
        return f"(!{value})" if plain else self._call("ig_not", [value])

    def _call(self, name: str, args: Sequence[str]) -> str:
        if name.startswith("ig_"):
            self.used.add(name)
        return f"{name}({', '.join(args)})"

    def _exact(self, value: str) -> str:
        return self._call("ig_exact", [value])

    # ---- operators of floats -----------------------------------------------------------------------------------------
    def _float(self, node: Expr, args: list[str]) -> str:
        op = node.op
        if op in _FLOAT:
            return self._call(_FLOAT[op], args)
        if op in _BUILTIN:
            return f"{op}({args[0]})"
        if op == "idiv":
            return f"floor({args[0]} / {args[1]})"
        if op in ("eq", "ne") and node.args[0] is node.args[1]:
            found = self._call("ig_isnan", args[:1])
            return f"(!{found})" if op == "eq" else found
        if op == "ne":  # wgpu's is false where one of them is NaN
            return self._call("ig_not", [f"{args[0]} == {args[1]}"])
        if op in ("add", "sub", "mul", "div"):
            # x - x, x * 0 and x + 0 are not what they seem where x is infinite, NaN or -0
            known = [a.op == "const" and a.value in (0.0, 1.0) for a in node.args]
            same = op in ("sub", "div") and node.args[0] is node.args[1]
            hidden = [known[0], known[1] or same]
            args = [self._exact(a) if h else a for a, h in zip(args, hidden, strict=True)]
            made = f"({args[0]} {_INFIX[op]} {args[1]})"
            return made if op == "div" else self._exact(made[1:-1])
        return f"({args[0]} {_INFIX[op]} {args[1]})"

    # ---- operators of integers and bool ------------------------------------------------------------------------------
    def _integer(self, node: Expr, d: DType, args: list[str]) -> str:
        op = node.op
        if op in ("shl", "shr") and node.args[1].op == "const":
            return self._constant_shift(op, d, args[0], node.args[1].value)
        if op in _TYPED:
            if d.kind == "u" and op in ("idiv", "mod") and _never_zero(node.args[1]):
                return f"({args[0]} {'/' if op == 'idiv' else '%'} {args[1]})"
            return self._call(f"ig_{op}_{'u' if d.kind == 'u' else 'i'}", args)
        if d is dt.bool_:
            return _BOOL.get(op, f"({{0}} {_INFIX.get(op, '')} {{1}})").format(*args)
        if op in _INTEGER:
            return f"{_INTEGER[op]}({', '.join(args)})"
        if all(a.op == "const" for a in node.args):
            args = [f"{self.type(d)}({args[0]} + bitcast<{self.type(d)}>(ig_zero))", *args[1:]]  # WGSL refuses what overflows
        return f"({args[0]} {_INFIX[op]} {args[1]})"

    def _constant_shift(self, op: str, d: DType, value: str, by: int) -> str:
        if not 0 <= by < 32:
            if op == "shl" or d.kind == "u":
                return f"{self.type(d)}()"
            by = 31
        return f"({value} {'<<' if op == 'shl' else '>>'} {by}u)"

    # ---- literals ----------------------------------------------------------------------------------------------------
    def literal(self, node: Expr) -> str:
        """An exact literal. What is not finite is made of its bits at run time."""
        d, v = node.dtype, node.value
        if d is dt.bool_:
            return "true" if v else "false"
        if d.kind == "u":
            return f"{v}u"
        if d.kind == "f":
            return self._float_literal(v) if d is dt.float32 else f"f16({self._float_literal(v)})"
        if v == -(1 << 31):
            return "(-2147483647i - 1i)"
        return f"({v}i)" if v < 0 else f"{v}i"

    def _float_literal(self, v: float) -> str:
        try:
            packed = struct.pack("<f", v)
        except OverflowError:
            packed = struct.pack("<f", math.copysign(math.inf, v))
        (single,), (bits,) = struct.unpack("<f", packed), struct.unpack("<I", packed)
        if not math.isfinite(single) or 0 < abs(single) < 2.0**-126:
            return self._call("ig_bits", [f"{bits & 0xFFC00000 if math.isnan(single) else bits}u"])
        return f"({single!r}f)" if math.copysign(1.0, single) < 0 else f"{single!r}f"


def _bitcast(value: str, source: str, target: str) -> str:
    return value if source == target else f"bitcast<{target}>({value})"


def _never_zero(node: Expr) -> bool:
    """Divisors of index arithmetic are positive."""
    return (node.op == "const" and node.value != 0) or (node.op == "cast" and node.args[0].dtype is dt.index)


RENDERER = Renderer()
