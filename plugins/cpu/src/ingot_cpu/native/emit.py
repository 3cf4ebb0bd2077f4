"""The text of one function in LLVM IR: values, constants, blocks and loops.

Used by `nest`, which decides what is computed where, and by `rows`, which has the operators. A `Value` is a scalar
(``lanes`` 0, the same in all lanes) or a vector of ``lanes`` elements; LLVM splits vectors to what the processor has, so
the number of lanes is part of the meaning and never of the machine. No flag relaxes floating point.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType

TYPES = {
    dt.bool_: "i1", dt.uint8: "i8", dt.int8: "i8", dt.uint16: "i16", dt.int16: "i16", dt.uint32: "i32", dt.int32: "i32",
    dt.uint64: "i64", dt.int64: "i64", dt.index: "i64", dt.float16: "half", dt.float32: "float", dt.float64: "double",
}  # fmt: skip
NAN = "0x7FF8000000000000"
PAST_ALIGNMENT = 64
"""Bytes that the address of a store past the caches is a multiple of."""
ATTRIBUTES = 'nounwind "no-trapping-math"="true" "prefer-vector-width"="512" "min-legal-vector-width"="512"'


class Value(NamedTuple):
    """An SSA name or constant, its dtype, and its lanes (0: a scalar, uniform)."""

    text: str
    dtype: DType
    lanes: int = 0


def type_of(d: DType, lanes: int) -> str:
    """The LLVM type of ``lanes`` elements of ``d``."""
    return f"<{lanes} x {TYPES[d]}>" if lanes else TYPES[d]


def literal(value: bool | int | float, d: DType) -> str:
    """A scalar constant. Floats are written as the bits of a double, which is exact."""
    if d.kind == "b":
        return "true" if value else "false"
    if d.kind != "f":
        return str(int(value))
    if math.isnan(value):
        return NAN
    if d is dt.float32 and math.isfinite(value):
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Function:
    """The body of one function under construction."""

    def __init__(self, halves: bool = True, wide: bool = False) -> None:
        self.has_float16 = halves  # float16 and float32 are converted by an instruction
        self.wide = wide  # the processor has AVX-512's instructions
        self.lines: list[str] = []
        self.entry: list[str] = []  # what stands before the body: constants, pointers, buffers
        self.declared: dict[str, None] = {}
        self.block = "start"
        self.streams = False  # some stores go past the caches
        self._count = 0

    # ---- names and instructions ------------------------------------------------------------------------------------
    def fresh(self, prefix: str = "t") -> str:
        """A name not used yet."""
        self._count += 1
        return f"{prefix}{self._count}"

    def op(self, text: str, d: DType, lanes: int) -> Value:
        """The value of an instruction."""
        name = f"%{self.fresh()}"
        self.lines.append(f"  {name} = {text}")
        return Value(name, d, lanes)

    def do(self, text: str) -> None:
        """An instruction without a value."""
        self.lines.append(f"  {text}")

    def call(self, name: str, d: DType, args: Sequence[Value], extra: str = "") -> Value:
        """A call of an intrinsic ``llvm.NAME`` overloaded by the type of its first operand."""
        lanes, kind = args[0].lanes, args[0].dtype
        letter = {"half": "f16", "float": "f32", "double": "f64"}.get(TYPES[kind], TYPES[kind])
        full = f"@llvm.{name}.{f'v{lanes}' if lanes else ''}{letter}"
        types = ", ".join(type_of(a.dtype, a.lanes) for a in args) + (", i1" if extra else "")
        result = type_of(d, lanes)
        self.declared[f"declare {result} {full}({types})"] = None
        given = ", ".join(f"{type_of(a.dtype, a.lanes)} {a.text}" for a in args)
        return self.op(f"call {result} {full}({given}{extra})", d, lanes)

    # ---- constants and lanes -----------------------------------------------------------------------------------------
    def const(self, value: bool | int | float, d: DType, lanes: int = 0) -> Value:
        """A constant, the same in all lanes."""
        text = literal(value, d)
        return Value(f"splat ({TYPES[d]} {text})" if lanes else text, d, lanes)

    def is_number(self, v: Value) -> bool:
        """True for a constant that is not NaN."""
        return not v.text.startswith("%") and NAN not in v.text

    def spread(self, v: Value, lanes: int) -> Value:
        """``v`` in ``lanes`` lanes."""
        if v.lanes == lanes:
            return v
        if not v.text.startswith("%"):
            return Value(f"splat ({TYPES[v.dtype]} {v.text})", v.dtype, lanes)
        kind = type_of(v.dtype, lanes)
        one = self.op(f"insertelement {kind} poison, {TYPES[v.dtype]} {v.text}, i64 0", v.dtype, lanes)
        return self.op(f"shufflevector {kind} {one.text}, {kind} poison, <{lanes} x i32> zeroinitializer", v.dtype, lanes)

    def iota(self, d: DType, lanes: int) -> Value:
        """0, 1, 2 … in ``lanes`` lanes."""
        return Value("<" + ", ".join(f"{TYPES[d]} {k}" for k in range(lanes)) + ">", d, lanes)

    def halves(self, v: Value) -> tuple[Value, Value]:
        """The lower and the upper lanes of ``v``."""
        kind, half = type_of(v.dtype, v.lanes), v.lanes // 2

        def pick(first: int) -> Value:
            places = ", ".join(f"i32 {k}" for k in range(first, first + half))
            made = self.op(f"shufflevector {kind} {v.text}, {kind} poison, <{half} x i32> <{places}>", v.dtype, half)
            if half > 1:
                return made
            return self.op(f"extractelement {type_of(v.dtype, 1)} {made.text}, i64 0", v.dtype, 0)

        return pick(0), pick(half)

    def mixed(self, a: Value, b: Value, places: Sequence[int]) -> Value:
        """Lanes of ``a`` and ``b``, which are counted on from those of ``a``."""
        kind = type_of(a.dtype, a.lanes)
        text = ", ".join(f"i32 {k}" for k in places)
        return self.op(f"shufflevector {kind} {a.text}, {kind} {b.text}, <{len(places)} x i32> <{text}>", a.dtype, len(places))

    def cut(self, v: Value, nbytes: int) -> list[Value]:
        """``v`` in vectors of ``nbytes``."""
        return self.parted(v, nbytes // v.dtype.itemsize)

    def parted(self, v: Value, size: int) -> list[Value]:
        """``v`` in vectors of ``size`` lanes."""
        if v.lanes == size:
            return [v]
        return [self.mixed(v, v, range(k, k + size)) for k in range(0, v.lanes, size)]

    def joined(self, parts: Sequence[Value]) -> Value:
        """What `cut` took apart; their number is a power of two."""
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [self.mixed(a, b, range(2 * a.lanes)) for a, b in pairs]
        return parts[0]

    def transposed(self, rows: Sequence[Value]) -> list[Value]:
        """The columns of four rows of four."""
        a, b, c, d = rows
        low, high = ([self.mixed(x, y, places) for x, y in ((a, b), (c, d))] for places in ((0, 4, 1, 5), (2, 6, 3, 7)))
        return [self.mixed(x, y, places) for x, y in (low, high) for places in ((0, 1, 4, 5), (2, 3, 6, 7))]

    def lane(self, v: Value, number: Value) -> Value:
        """One lane, by a scalar number."""
        return self.op(f"extractelement {type_of(v.dtype, v.lanes)} {v.text}, i64 {number.text}", v.dtype, 0)

    # ---- integers of addressing --------------------------------------------------------------------------------------
    def add(self, a: Value, b: Value) -> Value:
        """Sum of two scalar indices."""
        if a.text == "0":
            return b
        return a if b.text == "0" else self.op(f"add nsw i64 {a.text}, {b.text}", dt.index, 0)

    def times(self, a: Value, b: Value) -> Value:
        """Product of two scalar indices."""
        if "1" in (a.text, b.text):
            return b if a.text == "1" else a
        return self.op(f"mul nsw i64 {a.text}, {b.text}", dt.index, 0)

    def least(self, a: Value, b: Value) -> Value:
        """The smaller of two scalar indices."""
        below = self.op(f"icmp slt i64 {a.text}, {b.text}", dt.bool_, 0)
        return self.op(f"select i1 {below.text}, i64 {a.text}, i64 {b.text}", dt.index, 0)

    def most(self, a: Value, b: Value) -> Value:
        """The larger of two scalar indices."""
        above = self.op(f"icmp sgt i64 {a.text}, {b.text}", dt.bool_, 0)
        return self.op(f"select i1 {above.text}, i64 {a.text}, i64 {b.text}", dt.index, 0)

    # ---- memory ------------------------------------------------------------------------------------------------------
    def buffer(self, size: int) -> str:
        """The address of ``size`` bytes of the stack, zero at first."""
        name = f"%{self.fresh('b')}"
        self.entry.append(f"  {name} = alloca [{size} x i8], align 64")
        self.entry.append(f"  store [{size} x i8] zeroinitializer, ptr {name}, align 64")
        return name

    def at(self, base: str, d: DType, offset: Value) -> str:
        """The address of an element; bool elements are bytes."""
        kind = "i8" if d.kind == "b" else TYPES[d]
        return self.op(f"getelementptr {kind}, ptr {base}, i64 {offset.text}", dt.index, 0).text

    def load(self, address: str, d: DType, lanes: int, mask: str | None = None) -> Value:
        """Elements from ``address`` on; those not in ``mask`` are 0 and their memory is not touched."""
        stored = dt.uint8 if d.kind == "b" else d
        kind, align = type_of(stored, lanes), stored.itemsize
        if mask is None:
            raw = self.op(f"load {kind}, ptr {address}, align {align}", stored, lanes)
        else:
            letter = {"half": "f16", "float": "f32", "double": "f64"}.get(TYPES[stored], TYPES[stored])
            full = f"@llvm.masked.load.v{lanes}{letter}.p0"
            self.declared[f"declare {kind} {full}(ptr, i32, <{lanes} x i1>, {kind})"] = None
            text = f"call {kind} {full}(ptr {address}, i32 {align}, <{lanes} x i1> {mask}, {kind} zeroinitializer)"
            raw = self.op(text, stored, lanes)
        if d.kind != "b":
            return raw
        return self.op(f"icmp ne {kind} {raw.text}, {'zeroinitializer' if lanes else '0'}", d, lanes)

    def store(self, v: Value, address: str, mask: str | None = None, past: bool = False) -> None:
        """``v`` to memory, where ``mask`` is true; ``past`` the caches: its address is a multiple of its size."""
        if v.dtype.kind == "b":
            wide = self.op(f"zext {type_of(v.dtype, v.lanes)} {v.text} to {type_of(dt.uint8, v.lanes)}", dt.uint8, v.lanes)
            v = wide
        kind, align = type_of(v.dtype, v.lanes), v.dtype.itemsize
        if mask is None:
            self.streams = self.streams or past
            how = f"{PAST_ALIGNMENT}, !nontemporal !0" if past else str(align)
            self.do(f"store {kind} {v.text}, ptr {address}, align {how}")
            return
        letter = {"half": "f16", "float": "f32", "double": "f64"}.get(TYPES[v.dtype], TYPES[v.dtype])
        full = f"@llvm.masked.store.v{v.lanes}{letter}.p0"
        self.declared[f"declare void {full}({kind}, ptr, i32, <{v.lanes} x i1>)"] = None
        self.do(f"call void {full}({kind} {v.text}, ptr {address}, i32 {align}, <{v.lanes} x i1> {mask})")

    def copy(self, target: str, source: str, nbytes: Value) -> None:
        """``nbytes`` of memory."""
        self.declared["declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"] = None
        self.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 {nbytes.text}, i1 false)")

    def fetch(self, address: str, offset: int) -> None:
        """Have the line ``offset`` bytes behind ``address`` brought to the second cache; it need not exist."""
        self.declared["declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"] = None
        line = self.op(f"getelementptr i8, ptr {address}, i64 {offset}", dt.index, 0)
        self.do(f"call void @llvm.prefetch.p0(ptr {line.text}, i32 0, i32 2, i32 1)")

    # ---- blocks ------------------------------------------------------------------------------------------------------
    def begin(self, label: str) -> None:
        """The next instructions are in a block of their own."""
        self.lines.append(f"{label}:")
        self.block = label

    def loop(
        self, start: Value, stop: Value, step: Value, carried: Sequence[Value],
        body: Callable[[Value, list[Value]], Sequence[Value]],
    ) -> list[Value]:  # fmt: skip
        """``for i in range(start, stop, step): carried = body(i, carried)``; the carried values after it."""
        number = self.fresh("")
        before, head = self.block, f"head{number}"
        self.do(f"br label %{head}")
        self.begin(head)
        place = len(self.lines)
        index = Value(f"%i{number}", dt.index)
        held = [Value(f"%a{number}_{k}", v.dtype, v.lanes) for k, v in enumerate(carried)]
        self.lines.append("")
        self.do(f"%c{number} = icmp slt i64 {index.text}, {stop.text}")
        self.do(f"br i1 %c{number}, label %body{number}, label %done{number}")
        self.begin(f"body{number}")
        made = body(index, held)
        following = self.op(f"add nsw i64 {index.text}, {step.text}", dt.index, 0)
        self.do(f"br label %{head}")
        phis = [f"  {index.text} = phi i64 [{start.text}, %{before}], [{following.text}, %{self.block}]"]
        for h, first, last in zip(held, carried, made, strict=True):
            kind = type_of(h.dtype, h.lanes)
            phis.append(f"  {h.text} = phi {kind} [{first.text}, %{before}], [{last.text}, %{self.block}]")
        self.lines[place] = "\n".join(phis)
        self.begin(f"done{number}")
        return held

    def when(
        self, condition: Value, body: Callable[[], Sequence[Value] | None], otherwise: Sequence[Value] = ()
    ) -> list[Value]:
        """``body()`` where a scalar ``condition`` holds, else ``otherwise``."""
        number, before = self.fresh(""), self.block
        self.do(f"br i1 {condition.text}, label %then{number}, label %after{number}")
        self.begin(f"then{number}")
        made = body() or ()
        last = self.block
        self.do(f"br label %after{number}")
        self.begin(f"after{number}")
        return [
            self.op(f"phi {type_of(a.dtype, a.lanes)} [{a.text}, %{last}], [{b.text}, %{before}]", a.dtype, a.lanes)
            for a, b in zip(made, otherwise, strict=True)
        ]

    def text(self) -> str:
        """The function, called NAME, and what it declares."""
        head = "define void @NAME(ptr %args, ptr %consts, i64 %lo, i64 %hi) #0 {"
        fence, after = [], []
        if self.streams:  # other threads see such stores after a fence only
            fence, after = ["  call void @llvm.x86.sse.sfence()"], ["declare void @llvm.x86.sse.sfence()", "!0 = !{i32 1}"]
        body = [head, "start:", *self.entry, *self.lines, *fence, "  ret void", "}"]
        return "\n".join([*body, *self.declared, *after, f"attributes #0 = {{ {ATTRIBUTES} }}", ""])
