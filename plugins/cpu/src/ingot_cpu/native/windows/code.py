"""The words in which convolutions are written: IR of one function over vectors of 16 floats, with named integers.

On top of `emit.Function`. The integers (sizes, distances) are constants of the launch, so one text serves every shape. Lanes
are always 16: LLVM splits them to what the processor has, and each output's sum is one chain of fused multiply-adds in a fixed
order, so the bits depend on no instruction set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ingot_devices import dtypes as dt

from ..emit import Function, Value
from ..jit import Target

LANES = 16
FLOAT = 4
"""Bytes of an element."""
OPERANDS = ("x", "weight", "bias", "out", "space")
"""What a convolution is called with; the last is its workspace."""


class Tiling(NamedTuple):
    """The registers of a product: ``vectors`` of 16 outputs side by side, and how many ``rows`` at a time, most first."""

    vectors: int
    rows: tuple[int, ...]

    @property
    def width(self) -> int:
        """Outputs of a packed panel."""
        return LANES * self.vectors


def tiling(target: Target) -> Tiling:
    """What fits the registers of ``target``. No result depends on it."""
    if target.wide:
        return Tiling(2, (12, 8, 4))
    return Tiling(1, (2,)) if target.name == "sse2" else Tiling(1, (6, 4, 2))


class Code(Function):
    """A function under construction. ``names`` are its constants, in order; ``operands`` its arrays."""

    def __init__(self, names: Sequence[str], operands: Sequence[str] = OPERANDS) -> None:
        super().__init__()
        self.sizes: dict[str, Value] = {}
        for k, name in enumerate(names):
            self.entry.append(f"  %cp{k} = getelementptr i64, ptr %consts, i64 {k}")
            self.entry.append(f"  %k{k} = load i64, ptr %cp{k}, align 8")
            self.sizes[name] = Value(f"%k{k}", dt.index)
        for k, name in enumerate(operands):
            self.entry.append(f"  %{name}p = getelementptr i64, ptr %args, i64 {k}")
            self.entry.append(f"  %{name} = load ptr, ptr %{name}p, align 8")

    def __getitem__(self, name: str) -> Value:
        """A constant of the launch."""
        return self.sizes[name]

    # ---- whole numbers ---------------------------------------------------------------------------------------------
    def number(self, value: int) -> Value:
        """A literal."""
        return Value(str(value), dt.index)

    def sum(self, *terms: Value | int) -> Value:
        """The sum of whole numbers."""
        total = self.number(0)
        for t in terms:
            total = self.add(total, self.number(t) if isinstance(t, int) else t)
        return total

    def product(self, *factors: Value | int) -> Value:
        """The product of whole numbers."""
        total = self.number(1)
        for t in factors:
            total = self.times(total, self.number(t) if isinstance(t, int) else t)
        return total

    def minus(self, a: Value, b: Value) -> Value:
        """A difference."""
        return self.op(f"sub nsw i64 {a.text}, {b.text}", dt.index, 0)

    def divide(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Quotient and remainder of two that are not negative."""
        q = self.op(f"udiv i64 {a.text}, {b.text}", dt.index, 0)
        return q, self.op(f"urem i64 {a.text}, {b.text}", dt.index, 0)

    def below(self, a: Value, b: Value) -> Value:
        """True where a < b."""
        return self.op(f"icmp slt i64 {a.text}, {b.text}", dt.bool_, 0)

    def each(self, start: Value | int, stop: Value | int, body: Callable[[Value], None], step: Value | int = 1) -> None:
        """``body`` for each of a range."""
        first, last, apart = (self.number(v) if isinstance(v, int) else v for v in (start, stop, step))

        def one(index: Value, carried: list[Value]) -> list[Value]:
            body(index)
            return carried

        self.loop(first, last, apart, [], one)

    def units(self, body: Callable[[Value], None]) -> None:
        """``body`` for each unit that this call was given."""
        self.each(Value("%lo", dt.index), Value("%hi", dt.index), body)

    # ---- memory ----------------------------------------------------------------------------------------------------
    def float_at(self, base: str, *offset: Value | int) -> str:
        """The address of a float: ``base`` and a sum of whole numbers further."""
        return self.at(base, dt.float32, self.sum(*offset))

    def byte_at(self, base: str, offset: Value) -> str:
        """The address of a byte."""
        return self.at(base, dt.uint8, offset)

    def read(self, address: str, mask: str | None = None) -> Value:
        """16 floats."""
        return self.load(address, dt.float32, LANES, mask)

    def scalar(self, address: str) -> Value:
        """One float, in all lanes."""
        return self.spread(self.load(address, dt.float32, 0), LANES)

    def zero(self, address: str, count: Value) -> None:
        """``count`` floats become zero."""
        self.declared["declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"] = None
        nbytes = self.times(count, self.number(FLOAT))
        self.do(f"call void @llvm.memset.p0.i64(ptr {address}, i8 0, i64 {nbytes.text}, i1 false)")

    def first(self, count: Value) -> str:
        """A mask of the first ``count`` lanes, 16 or fewer."""
        wide = self.spread(self.op(f"trunc i64 {count.text} to i32", dt.int32, 0), LANES)
        return self.op(f"icmp slt <{LANES} x i32> {self.iota(dt.int32, LANES).text}, {wide.text}", dt.bool_, LANES).text

    def where(self, condition: Value, mask: str) -> str:
        """``mask``, or no lane unless a scalar ``condition`` holds."""
        kind = f"<{LANES} x i1>"
        return self.op(f"select i1 {condition.text}, {kind} {mask}, {kind} zeroinitializer", dt.bool_, LANES).text

    def taken(self, counter: str) -> Value:
        """The next number of a counter in memory, which threads share."""
        return self.op(f"atomicrmw add ptr {counter}, i64 1 monotonic", dt.index, 0)

    # ---- vectors ---------------------------------------------------------------------------------------------------
    def plus(self, a: Value, b: Value) -> Value:
        """A sum of vectors."""
        return self.op(f"fadd <{LANES} x float> {a.text}, {b.text}", dt.float32, LANES)

    def less(self, a: Value, b: Value) -> Value:
        """A difference of vectors."""
        return self.op(f"fsub <{LANES} x float> {a.text}, {b.text}", dt.float32, LANES)

    def multiplied(self, a: Value, b: Value) -> Value:
        """A product of vectors."""
        return self.op(f"fmul <{LANES} x float> {a.text}, {b.text}", dt.float32, LANES)

    def fused(self, a: Value, b: Value, c: Value) -> Value:
        """a·b + c, rounded once."""
        return self.call("fma", dt.float32, [a, b, c])

    def same(self, value: float) -> Value:
        """A constant in all lanes."""
        return self.const(value, dt.float32, LANES)

    def transposed(self, rows: Sequence[Value]) -> list[Value]:
        """16 vectors as the columns of 16: four rounds that each exchange lanes at a distance of 1, 2, 4, 8."""
        held = list(rows)
        for distance in (1, 2, 4, 8):
            made = list(held)
            for k in range(LANES):
                if k & distance:
                    continue
                a, b = held[k], held[k + distance]
                low = [lane if not lane & distance else lane - distance + LANES for lane in range(LANES)]
                high = [lane + distance if not lane & distance else lane + LANES for lane in range(LANES)]
                made[k], made[k + distance] = self._shuffled(a, b, low), self._shuffled(a, b, high)
            held = made
        return held

    def _shuffled(self, a: Value, b: Value, places: Sequence[int]) -> Value:
        kind = f"<{LANES} x float>"
        order = ", ".join(f"i32 {p}" for p in places)
        return self.op(f"shufflevector {kind} {a.text}, {kind} {b.text}, <{LANES} x i32> <{order}>", dt.float32, LANES)
