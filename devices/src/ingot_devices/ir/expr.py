"""Scalar expressions: the leaves and operators that every kernel is made of.

An `Expr` is an interned, typed tree; rows of the opset build one by ordinary Python arithmetic
(``lambda x, y: x + y``). The first level of the IR puts them into `Definition`s; code generators walk them.

Leaves (``op``) and what ``value`` holds:

    const      a Python number                     var       the name of a program variable
    index      the number of a definition's axis   param     the number of an operand that is a scalar
    load       the number of an operand; args are its indices, then (where guarded) valid and fill
    stage      (number of a stage, component): the value of a reduction or scan
    get        the name of a program's memory; the arg is one flat offset         (second level only)
    special    ("gid"|"lid"|"group"|"groups"|"size", dimension)                   (second level only)

``cast`` and ``bitcast`` go to ``dtype``; every other operator is a row of `SCALARS`. Integer division and remainder
round towards minus infinity; ``maximum`` and ``minimum`` hand on NaN; shifts by the width or more give 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from .. import dtypes as dt
from ..dtypes import DType
from .size import Size

Number = bool | int | float

REQUIRED = frozenset(
    "add sub mul div idiv mod neg eq lt and or xor not shl shr where cast bitcast "
    "floor sqrt exp log sin cos mulhi".split()
)
"""The rows that a dialect must have. Every other scalar operator has an expansion into them (`ir.expand`)."""

SCALARS: dict[str, str] = {
    # name: result ("same" as the operands, "bool")
    **dict.fromkeys(
        "add sub mul div idiv mod neg abs maximum minimum pow atan2 hypot fmod mulhi fma "
        "and or xor not shl shr sign floor ceil round trunc sqrt rsqrt exp exp2 expm1 log log2 log10 log1p "
        "sin cos tan asin acos atan sinh cosh tanh erf erfc".split(),
        "same",
    ),
    **dict.fromkeys("eq ne lt le gt ge isnan isinf".split(), "bool"),
    "where": "same",
}


class Expr:
    """One node. Compare structure with ``is``: equal trees are one object while one of them lives.

    ``eq`` and the other comparisons build expressions: use the methods, ``==`` is identity.
    """

    __slots__ = ("__weakref__", "args", "dtype", "op", "value")
    op: str
    args: tuple[Expr, ...]
    dtype: DType
    value: Any

    _interned: ClassVar[dict[tuple[Any, ...], Expr]] = {}

    @staticmethod
    def of(op: str, args: tuple[Expr, ...] = (), dtype: DType = dt.index, value: Any = None) -> Expr:
        """The one node with these fields."""
        key: tuple[Any, ...] = (op, args, dtype, value, type(value), str(value) if type(value) is float else "")
        try:
            found = Expr._interned.get(key)
        except TypeError:  # a size has no hash
            key = (op, args, dtype, _hashable(value))
            found = Expr._interned.get(key)
        if found is None:
            if len(Expr._interned) > 200_000:
                Expr._interned.clear()  # structure is then compared as unequal: a slower miss, never a wrong hit
            found = object.__new__(Expr)
            found.op, found.args, found.dtype, found.value = op, args, dtype, value
            Expr._interned[key] = found
        return found

    # ---- arithmetic --------------------------------------------------------------------------------------------
    def __add__(self, other: Expr | Number) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Number) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Number) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: Expr | Number) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Number) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: Expr | Number) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: Number) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: Expr | Number) -> Expr:
        return binary("idiv", self, other)

    def __mod__(self, other: Expr | Number) -> Expr:
        return binary("mod", self, other)

    def __neg__(self) -> Expr:
        return unary("neg", self)

    def __invert__(self) -> Expr:
        return unary("not", self)

    def __and__(self, other: Expr | Number) -> Expr:
        return binary("and", self, other)

    def __or__(self, other: Expr | Number) -> Expr:
        return binary("or", self, other)

    def __xor__(self, other: Expr | Number) -> Expr:
        return binary("xor", self, other)

    def __lshift__(self, other: Expr | Number) -> Expr:
        return binary("shl", self, other)

    def __rshift__(self, other: Expr | Number) -> Expr:
        return binary("shr", self, other)

    def __lt__(self, other: Expr | Number) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: Expr | Number) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: Expr | Number) -> Expr:
        return binary("gt", self, other)

    def __ge__(self, other: Expr | Number) -> Expr:
        return binary("ge", self, other)

    def eq(self, other: Expr | Number) -> Expr:
        """``self == other`` as a bool expression."""
        return binary("eq", self, other)

    def ne(self, other: Expr | Number) -> Expr:
        """``self != other`` as a bool expression."""
        return binary("ne", self, other)

    def cast(self, dtype: DType) -> Expr:
        """The value in ``dtype``: towards zero from float to integer, round to nearest even to a float."""
        if dtype is self.dtype:
            return self
        if self.op == "const":
            return const(self.value, dtype)
        return Expr.of("cast", (self,), dtype)

    def bitcast(self, dtype: DType) -> Expr:
        """The same bits read as ``dtype`` of the same width."""
        return self if dtype is self.dtype else Expr.of("bitcast", (self,), dtype)

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value while a kernel is being defined; use where(), & and |")

    def __repr__(self) -> str:
        return show(self)


def const(value: Number | Size, dtype: DType) -> Expr:
    """A literal of ``dtype``. Integers wrap to the type's width; a float literal keeps NaN and infinity."""
    if isinstance(value, Size) and (dtype is dt.index or dtype.kind == "f"):
        return Expr.of("const", (), dtype, value)
    if dtype.kind == "b":
        value = bool(value)
    elif dtype.kind == "f":
        value = float(value)
    else:
        value = int(value)
        if dtype.kind in "ui":
            bits = 8 * dtype.itemsize
            value &= (1 << bits) - 1
            if dtype.kind == "i" and value >> (bits - 1):
                value -= 1 << bits
    return Expr.of("const", (), dtype, value)


def _hashable(value: Any) -> Any:
    """A key for a value with sizes in it: which trace, and what they are in it."""
    if isinstance(value, tuple):
        return tuple(map(_hashable, value))
    return (id(value.trace), value.code) if isinstance(value, Size) else value


def as_expr(value: Expr | Number, dtype: DType) -> Expr:
    """``value`` itself, or a literal of ``dtype``."""
    return value if isinstance(value, Expr) else const(value, dtype)


def unary(op: str, x: Expr) -> Expr:
    """``op(x)``, folded where x is an index literal."""
    if op == "neg" and x.op == "const" and x.dtype is dt.index:
        return const(-x.value, dt.index)
    return Expr.of(op, (x,), dt.bool_ if SCALARS[op] == "bool" else x.dtype)


def binary(op: str, a: Expr | Number, b: Expr | Number) -> Expr:
    """``op(a, b)``. Both have one dtype, or one is a Python number; index arithmetic is folded."""
    if not isinstance(a, Expr):
        assert isinstance(b, Expr)
        a = const(a, b.dtype)
    elif not isinstance(b, Expr):
        b = const(b, a.dtype)
    if a.dtype is not b.dtype:
        raise TypeError(f"{op} of {a.dtype.name} and {b.dtype.name} in a kernel: cast one to the other")
    if a.dtype is dt.index:
        folded = _fold_index(op, a, b)
        if folded is not None:
            return folded
    return Expr.of(op, (a, b), dt.bool_ if SCALARS[op] == "bool" else a.dtype)


def _fold_index(op: str, a: Expr, b: Expr) -> Expr | None:
    """Literal arithmetic and the neutral elements; exact for integers."""
    x = a.value if a.op == "const" else None
    y = b.value if b.op == "const" else None
    if x is not None and y is not None:
        if op in _FOLD and not (op in ("idiv", "mod") and y == 0):
            made = _FOLD[op](x, y)
            return const(made, dt.bool_ if isinstance(made, bool) else dt.index)
        return None
    if op == "add":
        return b if x == 0 else a if y == 0 else None
    if op == "sub":
        return a if y == 0 else None
    if op == "mul":
        if x == 0 or y == 0:
            return const(0, dt.index)
        return b if x == 1 else a if y == 1 else None
    if op == "idiv":
        return a if y == 1 else None
    if op == "mod":
        return const(0, dt.index) if y == 1 else None
    return None


_FOLD: dict[str, Any] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "idiv": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
    "maximum": max,
    "minimum": min,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
}


def where(condition: Expr, a: Expr | Number, b: Expr | Number) -> Expr:
    """``a`` where ``condition`` (bool) holds, else ``b``; at least one of them is an expression."""
    if not isinstance(a, Expr):
        assert isinstance(b, Expr)
        a = const(a, b.dtype)
    elif not isinstance(b, Expr):
        b = const(b, a.dtype)
    if condition.op == "const":
        return a if condition.value else b
    return Expr.of("where", (condition, a, b), a.dtype)


def walk(*roots: Expr) -> Iterator[Expr]:
    """Every node below ``roots`` once, operands before users."""
    seen: set[int] = set()
    stack: list[tuple[Expr, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))


def substitute(root: Expr, rule: Any, memo: dict[Expr, Expr] | None = None) -> Expr:
    """``root`` rebuilt bottom-up; ``rule(node)`` sees nodes with rewritten operands and returns one, or None to keep.

    Index arithmetic is folded again on the way.
    """
    memo = {} if memo is None else memo
    for node in walk(root):
        if node in memo:
            continue
        args = tuple(memo[a] for a in node.args)
        made = node if args == node.args else rebuild(node, args)
        changed = rule(made)
        memo[node] = made if changed is None else changed
    return memo[root]


def rebuild(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """``node`` over other operands."""
    if len(args) == 2 and node.dtype in (dt.index, dt.bool_) and args[0].dtype is dt.index and node.op in SCALARS:
        return binary(node.op, args[0], args[1])
    if node.op == "where":
        return where(*args)
    return Expr.of(node.op, args, node.dtype, node.value)


_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "idiv": "//", "mod": "%", "eq": "==", "ne": "!=",
          "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|", "xor": "^", "shl": "<<",
          "shr": ">>"}  # fmt: skip


def show(node: Expr) -> str:
    """A line of text for people: ``exp((x0[i0, i1] - s0))``."""
    args = [show(a) for a in node.args]
    match node.op:
        case "const":
            return repr(node.value)
        case "index":
            return f"i{node.value}"
        case "param":
            return f"p{node.value}"
        case "var":
            return str(node.value)
        case "load":
            return f"x{node.value}[{', '.join(args)}]"
        case "stage":
            return f"s{node.value[0]}" + (f".{node.value[1]}" if node.value[1] else "")
        case "get":
            return f"{node.value}[{args[0]}]"
        case "special":
            return f"{node.value[0]}{node.value[1]}"
        case "cast" | "bitcast":
            return f"{node.op}<{node.dtype.name}>({args[0]})"
    if node.op in _INFIX:
        return f"({args[0]} {_INFIX[node.op]} {args[1]})"
    return f"{node.op}({', '.join(args)})"
