"""Definitions as NumPy source: the host route of every device, and the generated kernels of the CPU.

Each axis of the definition is an axis of NumPy's broadcasting (the *frame*); a load becomes a view in that frame, an
operator a ufunc, a stage a reduction that keeps its axes. Whole axes at a time, no loop in Python. A stage that sums a
product over shared axes becomes a matrix product. The last operator of a store writes into the output itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import dtypes as dt
from ..ir.definition import Definition, Store
from ..ir.expr import Expr, walk
from ..layout import Layout
from . import Compiled
from . import host_runtime as runtime
from .host_patterns import PATTERNS
from .quiet import loud, quiet

UFUNCS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "idiv": "floor_divide", "mod": "remainder",
    "neg": "negative", "abs": "absolute", "maximum": "maximum", "minimum": "minimum",
    "atan2": "arctan2", "hypot": "hypot", "fmod": "fmod", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "not": "invert", "sign": "sign", "floor": "floor", "ceil": "ceil", "round": "rint",
    "trunc": "trunc", "sqrt": "sqrt", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2",
    "log10": "log10", "log1p": "log1p", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "eq": "equal", "ne": "not_equal", "lt": "less",
    "le": "less_equal", "gt": "greater", "ge": "greater_equal", "isnan": "isnan", "isinf": "isinf",
}  # fmt: skip
"""Scalar operators that NumPy has as ufuncs; the rest are functions of `host_runtime`."""

QUIET = frozenset("and or xor not eq ne lt le gt ge isnan isinf where maximum minimum neg abs".split())
"""Operators that raise no floating-point flag on ordinary or non-finite values."""


class HostCodegen:
    """A `Codegen` for memory that NumPy can see: natives are arrays of the operands' layouts."""

    def compile(
        self, definition: Definition, layouts: Mapping[int, Layout], device: Any,
        aliased: frozenset[int] = frozenset(),
    ) -> Compiled:  # fmt: skip
        direct = _direct(definition, layouts) or next(filter(None, (p(definition) for p in PATTERNS)), None)
        if direct is not None:
            return direct
        writer = _Writer(definition, aliased)
        source = writer.source()
        scope: dict[str, Any] = {"np": np, "rt": runtime, "quiet": quiet, "loud": loud, **writer.constants}
        exec(_code(source, definition.name), scope)
        return Compiled(scope["kernel"], source)


@functools.lru_cache(maxsize=4096)
def _code(source: str, name: str) -> Any:
    return compile(source, f"<ingot host kernel {name}>", "exec")


def _direct(d: Definition, layouts: Mapping[int, Layout]) -> Compiled | None:
    """A definition that is one ufunc over whole float operands needs no source: the ufunc is the kernel."""
    if d.stages or len(d.stores) != 1 or d.checks or d.stores[0].valid is not None or d.stores[0].combine:
        return None
    value = d.stores[0].value
    out = layouts[d.stores[0].operand]
    if value.op not in UFUNCS or value.dtype.kind not in "fb" or not out.shape:
        return None
    order = []
    for a in value.args:
        if a.op == "cast" and a.args[0].op == "param":
            a = a.args[0]  # NumPy's Python numbers are weak, as the cast says
        if a.op not in ("load", "param") or (a.op == "load" and not _broadcasts(d, a)):
            return None
        if a.op == "load" and a.dtype.kind != "f":
            return None
        order.append(a.value)
    inputs = sum(1 for o in d.operands if o.input) + len(d.params)
    if order != list(range(inputs)) or d.stores[0].operand != inputs:
        return None
    if value.dtype.kind == "b" and any(a.op == "param" for a in value.args):
        return None  # comparisons with numbers: the number is cast first
    ufunc = getattr(np, UFUNCS[value.op])
    call = _named_out(ufunc, len(order)) if value.op in ("maximum", "minimum") else ufunc
    return Compiled(call, f"np.{UFUNCS[value.op]}")


def _named_out(ufunc: Any, inputs: int) -> Any:
    """NumPy wants these two's output by name."""
    return lambda *arrays: ufunc(*arrays[:inputs], out=arrays[inputs])


def _broadcasts(d: Definition, load: Expr) -> bool:
    """True when the load is the whole operand under NumPy's own broadcasting of all axes."""
    shape = next(o.shape for o in d.operands if o.number == load.value)
    axes = range(len(d.axes) - len(shape), len(d.axes))
    return len(load.args) == len(shape) and all(
        (i.op == "index" and i.value == n) or (i.op == "const" and i.value == 0 and e == 1)
        for i, n, e in zip(load.args, axes, shape, strict=True)
    )


def _axes(*roots: Expr) -> frozenset[int]:
    """The axes that expressions use."""
    return frozenset(n.value for n in walk(*roots) if n.op == "index")


def _affine(i: Expr) -> tuple[int, int, int] | None:
    """(axis, scale, start) of an index that is ``axis·scale + start``."""
    if i.op == "index":
        return i.value, 1, 0
    if i.op not in ("add", "sub", "mul"):
        return None
    a, b = i.args
    left, right = _affine(a), _affine(b)
    if b.op == "const" and left is not None:
        axis, scale, start = left
        k = b.value
        return (axis, scale * k, start * k) if i.op == "mul" else (axis, scale, start + (k if i.op == "add" else -k))
    if a.op == "const" and right is not None:
        axis, scale, start = right
        k = a.value
        if i.op == "mul":
            return axis, scale * k, start * k
        return (axis, scale, start + k) if i.op == "add" else (axis, -scale, k - start)
    return None


class _Writer:
    """Writes one kernel: statements in order, one variable for each node of the expressions."""

    def __init__(self, definition: Definition, aliased: frozenset[int] = frozenset()) -> None:
        self.d = definition
        self.shapes = {o.number: o.shape for o in definition.operands}
        self.shared = aliased | {o.number for o in definition.operands if o.output}  # memory that stores change
        self.axes = [n for n, e in enumerate(definition.axes) if e != 1]
        self.place = {n: k for k, n in enumerate(self.axes)}
        self.rank = len(self.axes)
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.names: dict[Expr, str] = {}
        self.extent: dict[Expr, frozenset[int]] = {}  # which axes a value really varies over
        self.owned: dict[str, tuple[frozenset[int], Any]] = {}  # temporaries that may be overwritten
        self.uses: dict[Expr, int] = {}
        self.loud = False
        for root in definition.roots():
            for node in walk(root):
                for a in node.args:
                    self.uses[a] = self.uses.get(a, 0) + 1
            self.uses[root] = self.uses.get(root, 0) + 1

    # ---- the whole -----------------------------------------------------------------------------------------------
    def source(self) -> str:
        self.stages: dict[int, list[str]] = {}
        for n, stage in enumerate(self.d.stages):
            self._stage(n, stage)
        for check in self.d.checks:
            condition = self.value(check.condition)
            self.lines.append(f"rt.check({condition}, {self.d.name!r}, {check.code!r})")
        self._stores()
        parameters = ", ".join(f"x{n}" for n in self._numbers())
        head = [f"def kernel({parameters}):"]
        if not self.loud:
            return "\n".join(head + ["    " + line for line in self.lines]) + "\n"
        body = ["    token = quiet()", "    try:", *("        " + line for line in self.lines)]
        return "\n".join(head + body + ["    finally:", "        loud(token)"]) + "\n"

    def _numbers(self) -> range:
        numbers = [o.number for o in self.d.operands] + [n for n, _ in self.d.params]
        return range(max(numbers) + 1)

    def name(self) -> str:
        return f"t{len(self.lines)}"

    # ---- values --------------------------------------------------------------------------------------------------
    def value(self, root: Expr) -> str:
        """The variable (or literal) that holds ``root`` in the frame."""
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [a for a in self._needs(node) if a not in self.names] if node not in self.names else []
            if waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            if node not in self.names:
                self.names[node] = self._node(node)
        return self.names[root]

    def _needs(self, node: Expr) -> tuple[Expr, ...]:
        """What must be computed before ``node``: not the indices of a load that is a view."""
        return () if node.op == "load" and self._plain_load(node) is not None else node.args

    def _node(self, node: Expr, out: str | None = None) -> str:
        args = [self.names[a] for a in self._needs(node)]
        self.extent[node] = frozenset().union(*(self.extent[a] for a in self._needs(node)))
        match node.op:
            case "const":
                return self._const(node)
            case "index":
                self.extent[node] = frozenset([node.value])
                return self._arange(node.value)
            case "param":
                self.loud = self.loud or node.dtype.kind == "f"  # a number may overflow where it is stored
                return f"x{node.value}"
            case "load":
                return self._load(node, args)
            case "stage":
                number, component = node.value
                self.extent[node] = self.kept[number]
                return str(self.stages[number][component])
        return self._operator(node, args, out)

    def _const(self, node: Expr) -> str:
        v = node.value
        if isinstance(v, float):
            if v != v:
                return "np.nan"
            if v in (float("inf"), float("-inf")):
                return "np.inf" if v > 0 else "-np.inf"
        return f"({v!r})" if not isinstance(v, bool) and v < 0 else repr(v)

    def _typed(self, node: Expr) -> str:
        """An operand that must bring its own dtype (NumPy's Python numbers take the other side's)."""
        name = self.names[node]
        if node.op == "const":
            key = f"c_{node.dtype.name}_{len(self.constants)}"
            self.constants[key] = np.array(node.value, dtype=node.dtype.numpy)[()]
            return key
        return name

    def _arange(self, axis: int) -> str:
        key = f"i{axis}"
        if key not in self.constants:
            shape = [1] * self.rank
            shape[self.place[axis]] = self.d.axes[axis]
            self.constants[key] = np.arange(self.d.axes[axis], dtype=np.int64).reshape(shape)
        return key

    def _compared(self, node: Expr) -> list[str]:
        """The operands of what gives a truth: NumPy would compare whole numbers of any size."""
        numbers = {a for a in node.args if a.op == "param" and a.dtype.kind in "iu"}
        return [f"rt.whole({self.names[a]})" if a in numbers else self.names[a] for a in node.args]

    def _operator(self, node: Expr, args: list[str], out: str | None) -> str:
        if node.op not in QUIET and node.dtype.kind != "b":
            self.loud = (
                self.loud or node.dtype.kind == "f" or node.args[0].dtype.kind == "f" or node.op in ("idiv", "mod")
            )
        name = out or self.name()
        if all(a.op == "const" for a in node.args) or (node.args and node.op == "pow"):
            args = [self._typed(a) for a in node.args]
        elif node.dtype.kind == "b":
            args = self._compared(node)
        if node.op == "cast":
            source = node.args[0]
            if source.op == "param":
                self.lines.append(f"{name} = rt.number({args[0]}, {self._dtype(node.dtype)})")
            else:
                self.lines.append(f"{name} = rt.cast({args[0]}, {self._dtype(node.dtype)})")
            return name
        if node.op == "bitcast":
            self.lines.append(f"{name} = rt.bitcast({args[0]}, {self._dtype(node.dtype)})")
            return name
        target = self._reusable(node)
        if node.op in UFUNCS:
            tail = f", out={target}" if target else ""
            self.lines.append(f"{name} = np.{UFUNCS[node.op]}({', '.join(args)}{tail})")
        else:
            extra = f", {self._dtype(node.dtype)}" if node.op in ("where", "shl", "shr", "mulhi") else ""
            self.lines.append(f"{name} = rt.{node.op}_({', '.join(args)}{extra})")
        self.owned[name] = (self.extent[node], node.dtype)
        return name

    def _dtype(self, d: dt.DType) -> str:
        key = f"d_{d.name}"
        self.constants[key] = d.numpy
        return key

    def _reusable(self, node: Expr) -> str | None:
        """A temporary of the same extent and dtype whose last use this is."""
        if not self.extent[node]:
            return None
        for a in node.args:
            name = self.names[a]
            if self.uses.get(a) == 1 and self.owned.get(name) == (self.extent[node], node.dtype):
                del self.owned[name]
                return name
        return None

    # ---- loads ---------------------------------------------------------------------------------------------------
    def _plain_load(self, node: Expr) -> str | None:
        """The suffix of an unguarded load that is a view of its operand."""
        rank = len(self.shapes[node.value])
        return self._plain(node.value, node.args) if len(node.args) == rank else None

    def _load(self, node: Expr, args: list[str]) -> str:
        rank = len(self.shapes[node.value])
        plain = self._plain_load(node)
        name = self.name()
        if plain is not None:
            self.extent[node] = _axes(*node.args)
            view = f"x{node.value}{plain}"
            if plain:
                self.lines.append(f"{name} = {view}")
                return name
            return view
        places = "".join(f"{a}, " for a in args[:rank])
        if len(args) > rank:
            valid, fill = args[rank], args[rank + 1]
            self.lines.append(f"{name} = rt.guarded(x{node.value}, ({places}), {valid}, {fill})")
        else:
            self.lines.append(f"{name} = x{node.value}[{places}]")
        return name

    def _plain(self, number: int, indices: tuple[Expr, ...]) -> str | None:
        """The suffix that makes an operand a view in the frame; None when an index is no slice along one axis."""
        found = [self._pick(i, n) for i, n in zip(indices, self.shapes[number], strict=True)]
        axes = [a for f in found if f is not None for a in f[1]]
        if len(set(axes)) != len(axes) or None in found:
            return None
        picks = [f[0] for f in found if f is not None]
        suffix = "" if all(p == ":" for p in picks) else f"[{', '.join(picks)}]"
        order = sorted(range(len(axes)), key=lambda k: self.place[axes[k]])
        if order != list(range(len(axes))):
            suffix += f".transpose({', '.join(map(str, order))})"
        wanted = {self.place[a] for a in axes}
        if not wanted:
            return suffix
        lead = min(wanted)
        spots = [":" if k in wanted else "None" for k in range(lead, self.rank)]
        if "None" in spots:
            suffix += f"[{', '.join(spots)}]"
        return suffix

    def _pick(self, i: Expr, size: int) -> tuple[str, tuple[int, ...]] | None:
        """An index into ``size`` elements as NumPy's, and the axis that it runs along; None when it is no slice."""
        if i.op == "const":
            return str(i.value), ()
        line = _affine(i)
        if line is None:
            return None
        axis, scale, start = line
        n = self.d.axes[axis]
        last = start + scale * (n - 1)
        if n == 0:
            return ":0", (axis,)
        if min(start, last) < 0 or max(start, last) >= size or scale == 0:
            return None
        if (scale, start, n) == (1, 0, size):
            return ":", (axis,)
        stop = last + (1 if scale > 0 else -1)
        return f"{start}:{stop if stop >= 0 else ''}:{scale}", (axis,)

    # ---- stages --------------------------------------------------------------------------------------------------
    kept: dict[int, frozenset[int]]

    def _stage(self, n: int, stage: Any) -> None:
        if n == 0:
            self.kept = {}
        over = sorted(self.place[a] for a in stage.over)
        if stage.kind == "reduce" and stage.monoid == "sum" and self._contraction(n, stage):
            return
        values = [self._spread(v, stage.over) for v in stage.values]
        extent = frozenset().union(*(self.extent[v] for v in stage.values))
        self.kept[n] = extent - frozenset(stage.over) if stage.kind == "reduce" else extent | frozenset(stage.over)
        self.loud = True
        names = [f"s{n}_{k}" for k in range(2 if stage.monoid in ("argmax", "argmin", "welford") else 1)]
        self.stages[n] = names
        if not stage.over:
            axes = "()"
        else:
            axes = f"({', '.join(map(str, (k - self.rank for k in over)))},)"
        where_to = f"{stage.kind}_{stage.monoid}"
        self.lines.append(f"{', '.join(names)} = rt.{where_to}({', '.join(values)}, {axes})")

    def _spread(self, value: Expr, over: tuple[int, ...]) -> str:
        """``value`` with the reduced axes at their full extent."""
        name = self.value(value)
        missing = [a for a in over if a not in self.extent[value]]
        if not missing and value.op != "const":
            return name
        shape = tuple(self.d.axes[a] if a in self.extent[value] or a in over else 1 for a in self.axes)
        self.lines.append(f"{name}b = np.broadcast_to({self._typed(value)}, {shape})" if name.isidentifier() else
                          f"t{len(self.lines)}b = np.broadcast_to({self._typed(value)}, {shape})")
        return self.lines[-1].split(" = ")[0]

    def _contraction(self, n: int, stage: Any) -> bool:
        """A sum of a product whose factors vary over different axes is a matrix product."""
        node = stage.value
        if node.op != "mul" or node.dtype.kind == "b":
            return False
        a, b = node.args
        left, right = self.value(a), self.value(b)
        ea, eb, over = self.extent[a], self.extent[b], frozenset(stage.over)
        if not (ea - eb - over) or not (eb - ea - over) or not over <= ea & eb:
            return False
        order = {k: [x for x in self.axes if x in s] for k, s in
                 (("batch", (ea & eb) - over), ("m", ea - eb), ("n", eb - ea), ("k", over))}
        places = {k: tuple(self.place[x] for x in v) for k, v in order.items()}
        self.kept[n] = (ea | eb) - over
        self.stages[n] = [f"s{n}_0"]
        self.loud = self.loud or node.dtype.kind == "f"
        self.lines.append(f"s{n}_0 = rt.contract({left}, {right}, {self.rank}, {places['batch']}, {places['m']}, "
                          f"{places['n']}, {places['k']})")
        return True

    # ---- stores --------------------------------------------------------------------------------------------------
    def _stores(self) -> None:
        """All values first, then the writes: loads see memory before any store."""
        plans = []
        written: set[int] = set()
        single = len(self.d.stores) == 1
        for store in self.d.stores:
            root = store.value
            plain = None if store.valid is not None or store.combine else self._plain(store.operand, store.at)
            direct = (
                plain is not None and root not in self.names and root.op in UFUNCS and root.op != "pow"
                and not any(n.op == "load" and n.value in written for a in root.args for n in [a])
            )
            if direct:
                for a in root.args:
                    self.value(a)
                self._node_extent(root)
                direct = self.extent[root] == _axes(*store.at)
            if not direct:
                name = self.value(root)
                if not single and (name.startswith("x") or root.op == "load") and root.value in self.shared:
                    self.lines.append(f"{self.name()} = {name}.copy()")
                    self.names[root] = self.lines[-1].split(" = ")[0]
            at = [self.value(i) for i in store.at] if plain is None else []
            valid = self.value(store.valid) if store.valid is not None else None
            plans.append((store, plain, direct, at, valid))
            written.add(store.operand)
        for store, plain, direct, at, valid in plans:
            self._write(store, plain, direct, at, valid)

    def _node_extent(self, node: Expr) -> None:
        self.extent[node] = frozenset().union(*(self.extent[a] for a in node.args)) if node.args else frozenset()

    def _write(self, store: Store, plain: str | None, direct: bool, at: list[str], valid: str | None) -> None:
        target = f"x{store.operand}"
        root = store.value
        if plain and not _axes(*store.at):
            plain = f"{plain[:-1]}, ...]"  # one element, as an array that can be written to
        if direct:
            args = self._compared(root) if root.dtype.kind == "b" else [self.names[a] for a in root.args]
            if all(a.op == "const" for a in root.args):
                args = [self._typed(a) for a in root.args]
            if root.op not in QUIET and (root.dtype.kind == "f" or root.op in ("idiv", "mod")):
                self.loud = True
            if any(n.op == "stage" for n in walk(root)):  # a stage stands in the whole frame, so must the output
                lead = min((self.place[a] for a in _axes(*store.at)), default=self.rank)
                plain = f"{plain}[{'None, ' * lead}...]" if lead else plain
            self.lines.append(f"np.{UFUNCS[root.op]}({', '.join(args)}, out={target}{plain})")
            return
        value = self.names[root]
        if plain is not None:
            self.lines.append(f"{target}{plain}[...] = {value}")
            return
        axes = tuple(self.d.axes[a] if a in store.axes else 1 for a in self.axes)
        order = tuple(self.place[a] for a in store.axes if a in self.place)
        self.loud = True
        self.lines.append(f"rt.scatter({target}, ({''.join(i + ', ' for i in at)}), {value}, {valid}, "
                          f"{store.combine!r}, {axes}, {order})")

