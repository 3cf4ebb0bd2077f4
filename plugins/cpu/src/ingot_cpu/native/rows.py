"""The scalar operators as LLVM instructions: one row each, for scalars and vectors alike.

Called by `nest` with operands of one dtype in one number of lanes. Rows mean what `ingot_devices.ir.evaluate` says: integers
wrap, division by zero gives 0 and never traps, shifts by the width or more give 0, maximum and minimum hand on NaN,
floats out of range become integers as NumPy's do. What has no row here is expanded before (`codegen.ROWS`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType

from .emit import Function, Value, type_of

Row = Callable[[Function, Sequence[Value]], Value]


def _binary(floats: str, whole: str, bools: str = "") -> Row:
    """One instruction, by the kind of its operands."""

    def row(f: Function, args: Sequence[Value]) -> Value:
        a, b = args
        name = floats if a.dtype.kind == "f" else bools if a.dtype.kind == "b" and bools else whole
        return f.op(f"{name} {type_of(a.dtype, a.lanes)} {a.text}, {b.text}", a.dtype, a.lanes)

    return row


def _compare(floats: str, signed: str, unsigned: str) -> Row:
    def row(f: Function, args: Sequence[Value]) -> Value:
        a, b = args
        how = f"fcmp {floats}" if a.dtype.kind == "f" else f"icmp {signed if a.dtype.kind in 'in' else unsigned}"
        return f.op(f"{how} {type_of(a.dtype, a.lanes)} {a.text}, {b.text}", dt.bool_, a.lanes)

    return row


def _intrinsic(name: str) -> Row:
    """A rounding or a root; whole numbers stay as they are."""
    return lambda f, args: f.call(name, args[0].dtype, args) if args[0].dtype.kind == "f" else args[0]


def select(f: Function, condition: Value, a: Value, b: Value) -> Value:
    """``a`` where ``condition`` holds, else ``b``; all in one number of lanes."""
    kind = type_of(a.dtype, a.lanes)
    text = f"select {type_of(dt.bool_, condition.lanes)} {condition.text}, {kind} {a.text}, {kind} {b.text}"
    return f.op(text, a.dtype, a.lanes)


def compare(f: Function, how: str, a: Value, b: Value) -> Value:
    """``icmp`` or ``fcmp``, spelled out."""
    return f.op(f"{how} {type_of(a.dtype, a.lanes)} {a.text}, {b.text}", dt.bool_, a.lanes)


def _and(f: Function, a: Value, b: Value) -> Value:
    return f.op(f"and {type_of(a.dtype, a.lanes)} {a.text}, {b.text}", a.dtype, a.lanes)


def _or(f: Function, a: Value, b: Value) -> Value:
    return f.op(f"or {type_of(a.dtype, a.lanes)} {a.text}, {b.text}", a.dtype, a.lanes)


def _plain(f: Function, name: str, a: Value, b: Value) -> Value:
    return f.op(f"{name} {type_of(a.dtype, a.lanes)} {a.text}, {b.text}", a.dtype, a.lanes)


def neg(f: Function, args: Sequence[Value]) -> Value:
    """-x."""
    (a,) = args
    if a.dtype.kind == "f":
        return f.op(f"fneg {type_of(a.dtype, a.lanes)} {a.text}", a.dtype, a.lanes)
    return _plain(f, "sub", f.const(0, a.dtype, a.lanes), a)


def invert(f: Function, args: Sequence[Value]) -> Value:
    """Every bit turned."""
    (a,) = args
    return _plain(f, "xor", a, f.const(True if a.dtype.kind == "b" else -1, a.dtype, a.lanes))


def absolute(f: Function, args: Sequence[Value]) -> Value:
    """|x|; the least integer stays."""
    (a,) = args
    if a.dtype.kind == "f":
        return f.call("fabs", a.dtype, args)
    if a.dtype.kind not in "in":
        return a
    return f.call("abs", a.dtype, args, ", i1 false")


def _extreme(ordered: str) -> Row:
    """The larger or smaller; NaN wins; of equal operands the second."""

    def row(f: Function, args: Sequence[Value]) -> Value:
        a, b = args
        if a.dtype.kind == "b":
            return (_or if ordered == "gt" else _and)(f, a, b)
        if a.dtype.kind == "f" and f.is_number(b):
            better = compare(f, f"fcmp u{ordered}", a, b)
        elif a.dtype.kind == "f":
            better = _or(f, compare(f, f"fcmp o{ordered}", a, b), compare(f, "fcmp uno", a, a))
        else:
            better = compare(f, f"icmp {'s' if a.dtype.kind in 'in' else 'u'}{ordered}", a, b)
        return select(f, better, a, b)

    return row


def _shift(left: bool) -> Row:
    def row(f: Function, args: Sequence[Value]) -> Value:
        a, n = args
        width = 8 * a.dtype.itemsize
        inside = compare(f, "icmp ult", n, f.const(width, n.dtype, n.lanes))
        safe = select(f, inside, n, f.const(0, n.dtype, n.lanes))
        signed = not left and a.dtype.kind in "in"
        made = _plain(f, "shl" if left else "ashr" if signed else "lshr", a, safe)
        return select(f, inside, made, f.const(0, a.dtype, a.lanes))

    return row


# ---- division ----------------------------------------------------------------------------------------------------------
def _divisor(f: Function, b: Value) -> tuple[Value, Value]:
    """(b is 0, b with 1 in the place of what would trap)."""
    zero = compare(f, "icmp eq", b, f.const(0, b.dtype, b.lanes))
    unsafe = zero
    if b.dtype.kind in "in":
        unsafe = _or(f, zero, compare(f, "icmp eq", b, f.const(-1, b.dtype, b.lanes)))
    return zero, select(f, unsafe, f.const(1, b.dtype, b.lanes), b)


def _whole_parts(f: Function, a: Value, b: Value) -> tuple[Value, Value, Value, Value]:
    """Floored quotient and remainder of integers for a divisor other than 0 and -1, and where it was one of these."""
    signed = a.dtype.kind in "in"
    zero, safe = _divisor(f, b)
    quotient = _plain(f, "sdiv" if signed else "udiv", a, safe)
    rest = _plain(f, "sub", a, _plain(f, "mul", quotient, safe))
    none = f.const(0, a.dtype, a.lanes)
    if not signed:
        return quotient, rest, zero, zero
    minus = compare(f, "icmp eq", b, f.const(-1, b.dtype, b.lanes))
    apart = compare(f, "icmp slt", _plain(f, "xor", rest, safe), none)
    fix = _and(f, compare(f, "icmp ne", rest, none), apart)
    quotient = select(f, fix, _plain(f, "sub", quotient, f.const(1, a.dtype, a.lanes)), quotient)
    return quotient, select(f, fix, _plain(f, "add", rest, safe), rest), zero, minus


def somewhere(f: Function, condition: Value) -> Value:
    """Whether one of the lanes holds."""
    lanes = condition.lanes
    if not lanes:
        return condition
    bits = f.op(f"bitcast <{lanes} x i1> {condition.text} to i{lanes}", dt.uint64, 0)
    return f.op(f"icmp ne i{lanes} {bits.text}, 0", dt.bool_, 0)


QUOTIENTS = {dt.float32: 2.0**22, dt.float64: 2.0**51}
"""Up to where the whole part of a quotient is right, or 1 too large."""


def fmod(f: Function, args: Sequence[Value]) -> Value:
    """C's remainder. With q the whole part of |x / y|, |x| - q·|y| is a number of the dtype, so one rounding leaves it as it
    is; it is below 0 where the quotient was rounded up. The C library computes lanes among which one has a q too large.
    """
    a, b = args
    d, lanes = a.dtype, a.lanes
    if d.kind != "f":
        return _plain(f, "srem", a, b)
    x, y = (f.call("fabs", d, [v]) for v in args)
    quotient, none = _plain(f, "fdiv", x, y), f.const(0, d, lanes)
    large = compare(f, "fcmp uge", quotient, f.const(QUOTIENTS[d], d, lanes))
    far = _or(f, large, compare(f, "fcmp oeq", y, f.const(float("inf"), d, lanes)))
    rest = f.call("fma", d, [neg(f, [f.call("trunc", d, [quotient])]), y, x])
    rest = select(f, compare(f, "fcmp olt", rest, none), _plain(f, "fadd", rest, y), rest)
    rest = f.call("copysign", d, [rest, a])
    return f.when(somewhere(f, far), lambda: [_plain(f, "frem", a, b)], [rest])[0]


def idiv(f: Function, args: Sequence[Value]) -> Value:
    """The quotient rounded to minus infinity; of floats as Python has it, from an exact remainder."""
    a, b = args
    none = f.const(0, a.dtype, a.lanes)
    if a.dtype.kind != "f":
        quotient, _, zero, minus = _whole_parts(f, a, b)
        if a.dtype.kind in "in":
            quotient = select(f, minus, _plain(f, "sub", none, a), quotient)
        return select(f, zero, none, quotient)
    rest = fmod(f, args)
    exact = _plain(f, "fdiv", _plain(f, "fsub", a, rest), b)
    apart = _and(f, compare(f, "fcmp une", rest, none), _signs_differ(f, rest, b))
    exact = select(f, apart, _plain(f, "fsub", exact, f.const(1, a.dtype, a.lanes)), exact)
    floor = f.call("floor", a.dtype, [exact])
    short = compare(f, "fcmp ogt", _plain(f, "fsub", exact, floor), f.const(0.5, a.dtype, a.lanes))
    floor = select(f, short, _plain(f, "fadd", floor, f.const(1, a.dtype, a.lanes)), floor)
    plain = _plain(f, "fdiv", a, b)
    floor = select(f, compare(f, "fcmp oeq", exact, none), f.call("copysign", a.dtype, [none, plain]), floor)
    return select(f, compare(f, "fcmp oeq", b, none), plain, floor)


def _signs_differ(f: Function, a: Value, b: Value) -> Value:
    none = f.const(0, a.dtype, a.lanes)
    return f.op(
        f"xor {type_of(dt.bool_, a.lanes)} {compare(f, 'fcmp olt', a, none).text}, {compare(f, 'fcmp olt', b, none).text}",
        dt.bool_, a.lanes,
    )  # fmt: skip


def mod(f: Function, args: Sequence[Value]) -> Value:
    """The remainder with the divisor's sign."""
    a, b = args
    none = f.const(0, a.dtype, a.lanes)
    if a.dtype.kind != "f":
        _, rest, zero, minus = _whole_parts(f, a, b)
        return select(f, zero if zero is minus else _or(f, zero, minus), none, rest)
    rest = fmod(f, args)
    moved = select(f, _signs_differ(f, rest, b), _plain(f, "fadd", rest, b), rest)
    return select(f, compare(f, "fcmp oeq", rest, none), f.call("copysign", a.dtype, [rest, b]), moved)


def mulhi(f: Function, args: Sequence[Value]) -> Value:
    """The upper half of a product."""
    a, b = args
    width, lanes = 8 * a.dtype.itemsize, a.lanes
    wide = f"<{lanes} x i{2 * width}>" if lanes else f"i{2 * width}"
    kind, how = type_of(a.dtype, lanes), "sext" if a.dtype.kind in "in" else "zext"
    left, right = (f.op(f"{how} {kind} {v.text} to {wide}", a.dtype, lanes) for v in (a, b))
    product = f.op(f"mul {wide} {left.text}, {right.text}", a.dtype, lanes)
    by = f"splat (i{2 * width} {width})" if lanes else str(width)
    high = f.op(f"lshr {wide} {product.text}, {by}", a.dtype, lanes)
    return f.op(f"trunc {wide} {high.text} to {kind}", a.dtype, lanes)


def scaled(f: Function, args: Sequence[Value]) -> Value:
    """x·2ⁿ, rounded once, for a normal x near 1: by an instruction, or by two powers of two, of which the first is exact.
    0 where the last operand holds, whatever the others are there.

    n is given as a float and as an int32; which of them is used changes no bit.
    """
    x, count, n, gone = args
    keep = invert(f, [gone])
    if f.wide and x.lanes * x.dtype.itemsize in (64, 128, 256, 512, 1024):
        parts = zip(f.cut(x, 64), f.cut(count, 64), f.parted(keep, 64 // x.dtype.itemsize), strict=True)
        return f.joined([_scalef(f, a, b, k) for a, b, k in parts])
    bias, mantissa = (127, 23) if x.dtype is dt.float32 else (1023, 52)
    n = select(f, keep, n, f.const(0, n.dtype, n.lanes))
    half = _plain(f, "ashr", n, f.const(1, n.dtype, n.lanes))
    for part in (half, _plain(f, "sub", n, half)):
        wide = cast(f, _plain(f, "add", part, f.const(bias, n.dtype, n.lanes)), dt.int32 if mantissa == 23 else dt.int64)
        power = bitcast(f, _plain(f, "shl", wide, f.const(mantissa, wide.dtype, wide.lanes)), x.dtype)
        x = _plain(f, "fmul", x, power)
    return select(f, keep, x, f.const(0, x.dtype, x.lanes))


def _scalef(f: Function, x: Value, n: Value, keep: Value) -> Value:
    """AVX-512's instruction, on 64 bytes."""
    kind, letter, mask = type_of(x.dtype, x.lanes), "s" if x.dtype is dt.float32 else "d", f"i{x.lanes}"
    name = f"@llvm.x86.avx512.mask.scalef.p{letter}.512"
    f.declared[f"declare {kind} {name}({kind}, {kind}, {kind}, {mask}, i32)"] = None
    bits = f.op(f"bitcast {type_of(dt.bool_, x.lanes)} {keep.text} to {mask}", dt.bool_, 0)
    given = f"{kind} {x.text}, {kind} {n.text}, {kind} zeroinitializer, {mask} {bits.text}, i32 4"
    return f.op(f"call {kind} {name}({given})", x.dtype, x.lanes)


ROWS: dict[str, Row] = {
    "add": _binary("fadd", "add", "or"), "sub": _binary("fsub", "sub"), "mul": _binary("fmul", "mul", "and"),
    "div": _binary("fdiv", "sdiv"), "idiv": idiv, "mod": mod, "fmod": fmod,
    "and": _binary("and", "and"), "or": _binary("or", "or"), "xor": _binary("xor", "xor"),
    "eq": _compare("oeq", "eq", "eq"), "ne": _compare("une", "ne", "ne"), "lt": _compare("olt", "slt", "ult"),
    "le": _compare("ole", "sle", "ule"), "gt": _compare("ogt", "sgt", "ugt"), "ge": _compare("oge", "sge", "uge"),
    "neg": neg, "not": invert, "abs": absolute, "maximum": _extreme("gt"), "minimum": _extreme("lt"),
    "shl": _shift(True), "shr": _shift(False), "mulhi": mulhi,
    "floor": _intrinsic("floor"), "ceil": _intrinsic("ceil"), "trunc": _intrinsic("trunc"), "round": _intrinsic("rint"),
    "sqrt": _intrinsic("sqrt"), "fma": lambda f, args: f.call("fma", args[0].dtype, args),
    "copysign": lambda f, args: f.call("copysign", args[0].dtype, args),
    "isnan": lambda f, args: compare(f, "fcmp uno", args[0], args[0]),
    "isinf": lambda f, args: compare(f, "fcmp oeq", absolute(f, args), f.const(float("inf"), args[0].dtype, args[0].lanes)),
    "where": lambda f, args: select(f, *args), "scaled": scaled,
}  # fmt: skip
"""Operator → its instructions. ``where`` takes a bool first."""


# ---- conversions -------------------------------------------------------------------------------------------------------
def cast(f: Function, v: Value, to: DType) -> Value:
    """``v`` in ``to``."""
    if v.dtype is to:
        return v
    source, target = type_of(v.dtype, v.lanes), type_of(to, v.lanes)
    if to.kind == "b":
        none = f.const(0, v.dtype, v.lanes)
        return compare(f, "fcmp une" if v.dtype.kind == "f" else "icmp ne", v, none)
    if v.dtype.kind == "f":
        if to.kind != "f":
            return _to_whole(f, v, to)
        if dt.float16 in (v.dtype, to) and not f.has_float16:
            return _from_half(f, v) if v.dtype is dt.float16 else _to_half(f, v)
        how = "fpext" if to.itemsize > v.dtype.itemsize else "fptrunc"
    elif to.kind == "f":
        how = "sitofp" if v.dtype.kind in "in" else "uitofp"
    elif to.itemsize == v.dtype.itemsize and v.dtype.kind != "b":
        return Value(v.text, to, v.lanes)
    elif v.dtype.kind == "b" or to.itemsize > v.dtype.itemsize:
        how = "sext" if v.dtype.kind in "in" else "zext"
    else:
        how = "trunc"
    return f.op(f"{how} {source} {v.text} to {target}", to, v.lanes)


def _to_whole(f: Function, v: Value, to: DType) -> Value:
    """Towards zero, by way of 64 bits, whose least value stands for NaN and what does not fit."""
    source, lanes = type_of(v.dtype, v.lanes), v.lanes
    least = f.const(-(1 << 63), dt.int64, lanes)
    limit = f.const(2.0**63, v.dtype, lanes)
    fits = compare(f, "fcmp olt", f.call("fabs", v.dtype, [v]), limit)
    safe = select(f, fits, v, f.const(0, v.dtype, lanes))
    whole = f.op(f"fptosi {source} {safe.text} to {type_of(dt.int64, lanes)}", dt.int64, lanes)
    made = select(f, fits, whole, least)
    if to is dt.uint64:
        above = _plain(f, "fsub", v, limit)
        upper = _and(f, compare(f, "fcmp oge", above, f.const(0, v.dtype, lanes)), compare(f, "fcmp olt", above, limit))
        part = select(f, upper, above, f.const(0, v.dtype, lanes))
        big = f.op(f"fptosi {source} {part.text} to {type_of(dt.int64, lanes)}", dt.int64, lanes)
        made = select(f, upper, _plain(f, "xor", big, least), made)
    return cast(f, made, to)


def _from_half(f: Function, v: Value) -> Value:
    """float32 of a float16, exactly, in integers: the exponent is moved by a product with a power of two."""
    lanes = v.lanes

    def whole(value: int) -> Value:
        return f.const(value, dt.uint32, lanes)

    h = cast(f, bitcast(f, v, dt.uint16), dt.uint32)
    sign = _plain(f, "shl", _plain(f, "and", h, whole(0x8000)), whole(16))
    size = _plain(f, "and", h, whole(0x7FFF))
    moved = _plain(f, "shl", size, whole(13))
    scaled = _plain(f, "fmul", bitcast(f, moved, dt.float32), f.const(2.0**112, dt.float32, lanes))
    special = compare(f, "icmp uge", size, whole(0x7C00))
    made = select(f, special, _plain(f, "or", moved, whole(0x7F800000)), bitcast(f, scaled, dt.uint32))
    return bitcast(f, _plain(f, "or", made, sign), dt.float32)


def _to_half(f: Function, v: Value) -> Value:
    """float16 of a float32, to nearest even, in integers; a denormal one is rounded by adding 1/2."""
    lanes = v.lanes

    def whole(value: int) -> Value:
        return f.const(value, dt.uint32, lanes)

    bits = bitcast(f, v, dt.uint32)
    sign = _plain(f, "lshr", _plain(f, "and", bits, whole(0x80000000)), whole(16))
    size = _plain(f, "and", bits, whole(0x7FFFFFFF))
    odd = _plain(f, "and", _plain(f, "lshr", size, whole(13)), whole(1))
    normal = _plain(f, "lshr", _plain(f, "add", _plain(f, "add", size, whole((1 << 32) - (112 << 23) + 0xFFF)), odd), whole(13))
    pushed = _plain(f, "fadd", bitcast(f, size, dt.float32), f.const(0.5, dt.float32, lanes))
    tiny = _plain(f, "sub", bitcast(f, pushed, dt.uint32), whole(0x3F000000))
    made = select(f, compare(f, "icmp ult", size, whole(0x38800000)), tiny, normal)
    made = select(f, compare(f, "icmp uge", size, whole(0x477FF000)), whole(0x7C00), made)
    payload = _plain(f, "or", _plain(f, "and", _plain(f, "lshr", size, whole(13)), whole(0x3FF)), whole(0x7E00))
    made = select(f, compare(f, "icmp ugt", size, whole(0x7F800000)), payload, made)
    return bitcast(f, cast(f, _plain(f, "or", made, sign), dt.uint16), dt.float16)


def bitcast(f: Function, v: Value, to: DType) -> Value:
    """The same bits as ``to``."""
    source, target = type_of(v.dtype, v.lanes), type_of(to, v.lanes)
    if source == target:
        return Value(v.text, to, v.lanes)
    return f.op(f"bitcast {source} {v.text} to {target}", to, v.lanes)
