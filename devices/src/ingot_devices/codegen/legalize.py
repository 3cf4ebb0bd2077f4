"""Rewrites bound loops into the types and operators that a device has.

Third step of a scheduled kernel (see `bind`). By `Limits.dtype_class`: a *stored* dtype is loaded in its storage type
and computed in another (bool as bytes or words; bfloat16 and float16 as their bits in float32; a small integer in a word
that is cut to its width after each operation that may leave it); a *refused* one makes the kernel `Unsupported`; an
*emulated* one passes as it is, until `emulate` takes the finished program apart. Operators without a row in the dialect
are expanded into those that have one. Python numbers are passed in the type they are used in. Index divisions that
cannot be negative become unsigned ones.
"""

from __future__ import annotations

from dataclasses import replace

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.expand import lower
from ..ir.expr import REQUIRED, Expr, const, where
from ..limits import DTypeClass, Limits
from . import Unsupported
from .bind import STATUS, Loops, Rewrite, Write, linear_node

BRAIN = "bfloat16_bits"
"""The row of a dialect that rounds a float32 to the bits of bfloat16 in a uint32 by itself; others do it by integers."""
_BITS = {2: dt.uint16, 4: dt.uint32, 8: dt.uint64}
_FREE = frozenset(
    "const var index param load stage get special linear".split()
)
_WHOLE = frozenset("ne le gt ge maximum minimum".split())
"""Rows that a dialect has for integers, too."""
_GROWING = frozenset("add sub mul neg not shl abs pow fma idiv bitcast stage".split())
"""What can leave the range of a small integer that is computed in a wider one."""


def legalize(loops: Loops, limits: Limits, rows: frozenset[str] | None, index_bits: int) -> Loops:
    """``loops`` in the types of ``limits`` and the operators ``rows`` (None: all of them)."""
    values = _Values(limits, index_bits, rows is not None and BRAIN in rows)
    changed = loops.rewrite(values)
    writes = tuple(_stored(w, old, values) for w, old in zip(changed.writes, loops.writes, strict=True))
    changed = Loops(changed.name, changed.extents, changed.stages, writes, origin=changed.origin)
    if rows is not None:
        changed = changed.rewrite(Expand(rows))
    return changed.rewrite(_Unsigned(index_bits))


def _stored(write: Write, old: Write, values: _Values) -> Write:
    """``write`` with its value in the storage type of the operand."""
    if write.operand == STATUS:
        return write
    logical = old.value.dtype
    kept = values.type_class(logical)
    if write.combine not in (None, "set"):
        return replace(write, value=_combined(write, logical, kept))
    if kept.storage is logical and kept.kind == "native":
        return write
    inner = old.value.args[0] if old.value.op == "cast" else None
    # the store itself rounds: don't round twice
    value = convert(values(inner), kept.compute) if inner is not None and logical.kind == "f" else write.value
    return replace(write, value=encode(value, logical, kept, values.brain))


def _combined(write: Write, logical: DType, kept: DTypeClass) -> Expr:
    """What a combining store leaves behind: the element that is there, with the value put to it."""
    assert write.combine is not None
    there = decode(Expr.of("get", (write.offset,), kept.storage, write.operand), logical, kept)
    value = write.value
    if logical is dt.bool_:
        made = there | value if write.combine in ("add", "max") else there & value
    else:
        made = fitted(COMBINE[write.combine](there, value), logical, kept)
    return encode(made, logical, kept)


COMBINE = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "max": s.maximum,
    "min": s.minimum,
}


def convert(value: Expr, d: DType) -> Expr:
    """``value`` cast to ``d``."""
    return value if value.dtype is d else Expr.of("cast", (value,), d)


# ---- storage -------------------------------------------------------------------------------------------------------
def decode(raw: Expr, logical: DType, kept: DTypeClass) -> Expr:
    """What ``raw``, an element in the storage type, means."""
    if kept.storage is logical and kept.compute is logical:
        return raw
    if logical is dt.bool_:
        return raw if raw.dtype is dt.bool_ else raw.ne(0)
    if logical is dt.bfloat16 and kept.storage.kind == "u":
        return (convert(raw, dt.uint32) << 16).bitcast(dt.float32)
    if logical is dt.float16 and kept.storage.kind == "u":
        return _float16_of(convert(raw, dt.uint32))
    return convert(raw, kept.compute)


def encode(value: Expr, logical: DType, kept: DTypeClass, brain: bool = False) -> Expr:
    """``value`` of the computing type as an element of the storage type, rounded to nearest even. ``brain``: see `BRAIN`."""
    if logical is dt.bool_:
        if kept.storage is dt.bool_:
            return value
        return where(value, const(1, kept.storage), const(0, kept.storage))
    if logical is dt.bfloat16 and kept.storage.kind == "u":
        return convert(_bfloat16_bits(value, brain), kept.storage)
    if logical is dt.float16 and kept.storage.kind == "u":
        return convert(_float16_bits(value), kept.storage)
    return convert(value, kept.storage)


def fitted(value: Expr, logical: DType, kept: DTypeClass) -> Expr:
    """``value``, which may have left the range of a small integer ``logical``, wrapped into it."""
    spare = 8 * (kept.compute.itemsize - logical.itemsize)
    if logical.kind not in "ui" or not spare:
        return value
    if logical.kind == "u":
        return value & ((1 << 8 * logical.itemsize) - 1)
    return (value << spare) >> spare


def _float16_bits(x: Expr) -> Expr:
    """The bits of float16 for the float32 ``x``, rounded to nearest even, by integers: flushed denormals do no harm."""
    bits = x.bitcast(dt.uint32)
    size = bits & 0x7FFFFFFF
    normal = (size + (0xFFF + ((size >> 13) & 1)) >> 13) - (112 << 10)
    tiny = ((size.bitcast(dt.float32) * 2.0**24 + 2.0**23).bitcast(dt.uint32)) - 0x4B000000
    made = where(size < 0x38800000, tiny, normal)
    made = where(size < 0x477FF000, made, where(size > 0x7F800000, 0x7E00, const(0x7C00, dt.uint32)))
    return ((bits >> 16) & 0x8000) | made


def _float16_of(half: Expr) -> Expr:
    """The float32 with the value of float16 ``half`` (its bits in a uint32)."""
    size = half & 0x7FFF
    wide = (size << 13) + where(size < 0x7C00, const(112 << 23, dt.uint32), const(224 << 23, dt.uint32))
    tiny = (size.cast(dt.float32) * 2.0**-24).bitcast(dt.uint32)
    return (where(size < 0x400, tiny, wide) | ((half & 0x8000) << 16)).bitcast(dt.float32)


def _bfloat16_bits(x: Expr, brain: bool) -> Expr:
    if brain:
        return Expr.of(BRAIN, (x,), dt.uint32)
    bits = x.bitcast(dt.uint32)
    rounded = (bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16
    return where(s.isnan(x), (bits >> 16) | 0x0040, rounded)


def round_bfloat16(x: Expr, brain: bool = False) -> Expr:
    """The float32 ``x`` rounded to what bfloat16 holds."""
    return (_bfloat16_bits(x, brain) << 16).bitcast(dt.float32)


def round_float16(x: Expr) -> Expr:
    """The float32 ``x`` rounded to what float16 holds, in float32 arithmetic (contraction is off)."""
    size = where(x < 0, -x, x)
    split = x * 8193.0
    normal = split - (split - x)  # Veltkamp: 11 bits, to nearest even
    tiny = (x + 0.75) - 0.75  # a multiple of 2**-24
    made = where(size < 2.0**-14, where(tiny.eq(0), x * 0, tiny), normal)
    return where(size < 65520.0, made, where(size >= 65520.0, x * float("inf"), x))


class _Values(Rewrite):
    """Every value in its computing type."""

    def __init__(self, limits: Limits, index_bits: int, brain: bool) -> None:
        super().__init__()
        self.limits, self.index_bits, self.brain = limits, index_bits, brain

    def type_class(self, d: DType) -> DTypeClass:
        """How the device keeps ``d``; `Unsupported` when it does not."""
        kept = self.limits.dtype_class(d)
        if kept.kind == "refused":
            raise Unsupported(kept.reason or f"the device has no {d.name}")
        if d.kind == "c":
            raise Unsupported("complex numbers are not supported yet")
        return kept

    def compute(self, d: DType) -> DType:
        if d is dt.index or d is dt.bool_:
            return d
        return self.type_class(d).compute

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "get":
            kept = self.type_class(node.dtype)
            return decode(Expr.of("get", args, kept.storage, node.value), node.dtype, kept)
        if node.op == "param":
            return node  # its type is checked where it is used: a cast of it is a number of another type
        if node.op == "cast":
            return self._cast(node, args[0])
        args = tuple(self._checked(a) for a in args)
        if node.op == "const":
            return self._const(node)
        made = self.compute(node.dtype)
        if node.op == "linear" or (args == node.args and made is node.dtype):
            return (
                linear_node(node.value[0], dict(zip(args, node.value[1], strict=True))) if node.op == "linear" else node
            )
        if node.op == "mulhi" and made.itemsize > node.dtype.itemsize:
            return (args[0] * args[1]) >> 8 * node.dtype.itemsize
        new = Expr.of(node.op, args, made, node.value)
        return self._fitted(new, node.dtype) if node.op in _GROWING else new

    def __call__(self, root: Expr) -> Expr:
        return self._checked(super().__call__(root))

    def _fitted(self, value: Expr, d: DType) -> Expr:
        return fitted(value, d, self.type_class(d)) if d.kind in "ui" and value.dtype is not d else value

    def _checked(self, value: Expr) -> Expr:
        return self._param(value, value.dtype) if value.op == "param" else value

    def _param(self, value: Expr, d: DType) -> Expr:
        """A number passed in the type that computes ``d``; it is no small integer before it is made one."""
        made = self.compute(d)
        new = value if made is value.dtype else Expr.of("param", (), made, value.value)
        return self._fitted(new, d)

    def _const(self, node: Expr) -> Expr:
        if node.dtype is dt.float16 or node.dtype is dt.bfloat16:
            return const(float(node.dtype.numpy.type(node.value)), self.compute(node.dtype))
        made = self.compute(node.dtype)
        return node if made is node.dtype else const(node.value, made)

    def _cast(self, node: Expr, arg: Expr) -> Expr:
        source, target = node.args[0].dtype, node.dtype
        if arg.op == "param" and target is not dt.index:
            return self._param(arg, target)
        arg = self._checked(arg)
        if target is dt.index:
            return self._to_index(arg)
        if target is dt.bool_:
            return arg if arg.dtype is dt.bool_ else arg.ne(0)
        made = self._converted(arg, source, target)
        if made.dtype is dt.float32 and source is not target and source is not dt.bool_:
            if target is dt.float16:
                return round_float16(made)
            if target is dt.bfloat16:
                return round_bfloat16(made, self.brain)
        return made

    def _converted(self, value: Expr, source: DType, target: DType) -> Expr:
        """``value`` in the type that computes ``target``, and in its range."""
        kept = self.compute(target)
        if target.kind not in "ui" or kept is target:
            return convert(value, kept)
        if source.kind == "f":
            value = convert(value, dt.int32)  # then it wraps, as everybody's does
        return fitted(convert(value, kept), target, self.type_class(target))

    def _to_index(self, value: Expr) -> Expr:
        """A value as an index. What does not fit a 32-bit index is far out of range, and must stay so."""
        if self.index_bits == 32 and value.dtype.kind in "ui" and value.dtype.itemsize >= 4:
            top = const(1 << 30, value.dtype)
            value = where(value < top, value, top)
            if value.dtype.kind == "i":
                value = where(value > -(1 << 30), value, -(1 << 30))
        return Expr.of("cast", (value,), dt.index)


class Expand(Rewrite):
    """Operators that the dialect has no row for, by their expansions. Its own rows are for floats."""

    def __init__(self, rows: frozenset[str]) -> None:
        super().__init__()
        self.rows = rows | REQUIRED | _FREE
        self.whole = REQUIRED | _FREE | (rows & _WHOLE)

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        made = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        rows = self.rows if not args or args[0].dtype.kind == "f" else self.whole
        return made if node.op in rows else lower(made, rows)


class _Unsigned(Rewrite):
    """Index // and % that see no negative number, as unsigned operations: cheaper, and without the flooring."""

    def __init__(self, index_bits: int) -> None:
        super().__init__()
        self.type = _BITS[index_bits // 8]

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        made = node if args == node.args else Expr.of(node.op, args, node.dtype, node.value)
        if node.op in ("idiv", "mod") and node.dtype is dt.index and never_negative(node.args[0]):
            a, b = (Expr.of("cast", (x,), self.type) for x in args)
            return Expr.of("cast", (Expr.of(node.op, (a, b), self.type),), dt.index)
        return made


def never_negative(node: Expr) -> bool:
    """True when an index expression is known to be at least 0 (axes are; divisors are positive by definition)."""
    match node.op:
        case "index":
            return True
        case "const":
            return bool(node.value >= 0)
        case "linear":
            base, coefficients = node.value
            return base >= 0 and all(c >= 0 for c in coefficients) and all(map(never_negative, node.args))
        case "mod":
            return True
        case "idiv":
            return never_negative(node.args[0])
        case "maximum":
            return any(map(never_negative, node.args))
        case "minimum":
            return all(map(never_negative, node.args))
        case "where":
            return all(map(never_negative, node.args[1:]))
        case "cast":
            return node.args[0].dtype.kind in "bu"
    return False


