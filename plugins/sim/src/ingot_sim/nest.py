"""Loops: a definition written as the source of one Python function. See `definition` for the rules.

Each stage and each store becomes one nest of loops. A value is computed at the outermost loop at
which all it depends on is known, which is most of the speed that plain Python has to offer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ingot_devices import dtypes as dt
from ingot_devices.codegen import Unsupported
from ingot_devices.codegen.arguments import passed
from ingot_devices.dtypes import DType
from ingot_devices.errors import LaunchError
from ingot_devices.ir.expr import Expr, const, substitute, walk

from . import combine
from .emit import literal, namespace, rounded, row
from .span import span

if TYPE_CHECKING:
    from ingot_devices.ir.definition import Check, Definition, Stage, Store

    from .definition import Held


def outside(name: str, axis: int, at: int, extent: int) -> None:
    """A load or store that leaves its operand's shape."""
    raise LaunchError(f"sim: {name} is reached at {at} on axis {axis}, where it has {extent} elements")


def twice(name: str, at: int) -> None:
    """Two points that store to one element without combining."""
    raise LaunchError(f"sim: element {at} of {name} is written twice by stores that do not combine")


class Nest:
    """One nest of loops being written: lines by level, and the name and level of each value."""

    def __init__(self, writer: Writer, axes: Sequence[int]) -> None:
        self.writer = writer
        self.axes = list(axes)
        self.lines: list[list[str]] = [[] for _ in range(len(axes) + 1)]
        self.after: dict[int, list[str]] = {}
        self.memo: dict[Expr, tuple[str, int]] = {}

    @property
    def depth(self) -> int:
        return len(self.axes)

    def put(self, level: int, *lines: str) -> None:
        """Lines at a level: 0 is outside all loops."""
        self.lines[level].extend(lines)

    def value(self, root: Expr) -> tuple[str, int]:
        """The source of ``root`` (a name or a literal) and the level at which it is known."""
        for node in walk(root):
            if node not in self.memo:
                self.memo[node] = self._node(node)
        return self.memo[root]

    def raw(self, root: Expr) -> str:
        """``root`` for a place that rounds to its dtype itself: the last rounding is left to it."""
        if root in self.memo or root.op in _AS_THEY_ARE or root.dtype.kind != "f":
            return self.value(root)[0]
        args = [self.value(a)[0] for a in root.args]
        text, _ = row(root, args, self.writer.names)
        return text

    def _node(self, node: Expr) -> tuple[str, int]:
        if node.op == "const":
            return literal(node.value, node.dtype), 0
        if node.op == "param":
            return self.bind(f"p{node.value}", node.dtype, 0, node.dtype.kind == "f"), 0
        if node.op == "cast" and node.args[0].op == "param":
            return self._number(node), 0
        if node.op == "index":
            return f"i{node.value}", self._level_of(node.value)
        if node.op == "load":
            return self._load(node)
        if node.op == "stage":
            return self._stage(node)
        args = [self.memo[a] for a in node.args]
        level = max((n for _, n in args), default=0)
        text, rounding = row(node, [t for t, _ in args], self.writer.names)
        return self.bind(text, node.dtype, level, rounding), level

    def _number(self, node: Expr) -> str:
        """A param in another type: the number as it was given, in that type."""
        param = node.args[0]
        floating = self.writer.numbers[param.value].kind == "f"
        given = Expr.of("param", (), dt.float64, param.value) if floating else param
        cast = Expr.of("cast", (given,), node.dtype)
        text, rounding = row(cast, [f"p{param.value}"], self.writer.names)
        return self.bind(text, node.dtype, 0, rounding)

    def bind(self, text: str, d: DType, level: int, rounding: bool) -> str:
        """A new name for ``text``."""
        if text.isidentifier() and not rounding:
            return text
        name = self.writer.fresh()
        if rounding and d is dt.float32:
            self.put(level, f"F[0] = {text}", f"{name} = F[0]")
        else:
            self.put(level, f"{name} = {rounded(text, d) if rounding else text}")
        return name

    def _level_of(self, axis: int) -> int:
        if axis not in self.axes:
            raise Unsupported(f"axis i{axis} is used where only {self.axes} run")
        return self.axes.index(axis) + 1

    def _load(self, node: Expr) -> tuple[str, int]:
        held = self.writer.held[node.value]
        rank = len(held.operand.shape)
        at = [(e, *self.memo[e]) for e in node.args[:rank]]
        guarded = len(node.args) > rank
        if not guarded:
            level = max((lv for _, _, lv in at), default=0)
            self.put(level, *self.bounds_lines(held, at))
            offset, _ = self.offset([(t, lv) for _, t, lv in at], held.layout.strides)
            return self.bind(f"x{node.value}[{offset}]", node.dtype, level, False), level
        (valid, v_level), (fill, f_level) = (
            self.memo[node.args[rank]],
            self.memo[node.args[rank + 1]],
        )
        level = max(v_level, f_level, *(lv for _, _, lv in at), 0)
        offset = " + ".join(f"{t} * {s}" for (_, t, _), s in zip(at, held.layout.strides, strict=True)) or "0"
        name = self.writer.fresh()
        inner = [*self.bounds_lines(held, at), f"{name} = x{node.value}[{offset}]"]
        self.put(level, f"if {valid}:", *("    " + line for line in inner), f"else: {name} = {fill}")
        return name, level

    def bounds_lines(self, held: Held, at: Sequence[tuple[Expr, str, int]]) -> list[str]:
        """Tests of the indices that are not within the shape by their form alone."""
        lines = []
        for axis, ((e, text, _), extent) in enumerate(zip(at, held.operand.shape, strict=True)):
            known = span(e, self.writer.definition.axes)
            if known is None or known[0] < 0 or known[1] >= extent:
                lines.append(f"if not 0 <= {text} < {extent}: outside({held.operand.name!r}, {axis}, {text}, {extent})")
        return lines

    def offset(self, at: Sequence[tuple[str, int]], strides: Sequence[int]) -> tuple[str, int]:
        """The flat offset of an element, summed level by level from the outside."""
        found, level = "0", 0
        terms = sorted((lv, t, s) for (t, lv), s in zip(at, strides, strict=True) if s and t != "(0)")
        for k, (lv, text, stride) in enumerate(terms):
            term = text if stride == 1 else f"{text} * {stride}"
            found = term if found == "0" else f"{found} + {term}"
            level = lv
            if k + 1 < len(terms) and terms[k + 1][0] > lv:
                found = self.bind(found, dt.index, lv, False)
        return found, level

    def _stage(self, node: Expr) -> tuple[str, int]:
        number, component = node.value
        kept = self.writer.kept[number]
        at = [(f"i{a}", self._level_of(a)) for a in kept]
        offset, level = self.offset(at, self.writer.strides(kept))
        return self.bind(f"s{number}_{component}[{offset}]", node.dtype, level, False), level

    def text(self, indent: int, level: int = 0) -> list[str]:
        """The loops from ``level`` on as source. A loop over nothing is left out, and all that is inside."""
        pad = "    " * (indent + level)
        lines = [pad + line for line in self.lines[level]]
        if level < self.depth:
            extent = self.writer.definition.axes[self.axes[level]]
            inner = self.text(indent, level + 1) if extent else []
            if inner:
                lines += [f"{pad}for i{self.axes[level]} in range({extent}):", *inner]
        return lines + [pad + line for line in self.after.get(level, ())]


class Writer:
    """Writes one definition: stages in order, checks, stores in order."""

    def __init__(self, definition: Definition, held: dict[int, Held]) -> None:
        self.definition = definition
        self.held = held
        self.names = {**namespace(), **combine.HELPERS, "outside": outside, "twice": twice}
        self.numbers = passed(definition.params, definition.roots())
        self.kept: list[tuple[int, ...]] = []
        self._count = 0
        self._lines: list[str] = []

    def fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def finish(self) -> tuple[str, dict[str, Any]]:
        """The source of ``kernel(loads, memories, params, failed)`` and its globals."""
        self._prologue()
        for number, stage in enumerate(self.definition.stages):
            self._stage(number, stage)
        for number, check in enumerate(self.definition.checks):
            self._check(number, check)
        for store in self.definition.stores:
            self._store(store)
        for number in self._collected():
            self._put(f"for o, v in c{number}.items(): y{number}[o] = {self._stored(number, 'v')}")
        return "\n".join(self._lines) + "\n", self.names

    def strides(self, axes: Sequence[int]) -> list[int]:
        """Row-major strides of a stage's values over its kept axes."""
        extents = [self.definition.axes[a] for a in axes]
        return [math.prod(extents[k + 1 :]) for k in range(len(axes))]

    def _put(self, *lines: str) -> None:
        self._lines.extend("    " + line for line in lines)

    def _prologue(self) -> None:
        self._lines.append("def kernel(loads, memories, params, failed):")
        self._put("F = memoryview(bytearray(4)).cast('f')")
        for k, number in enumerate(self.held):
            operand = self.held[number].operand
            if operand.input:
                self._put(f"x{number} = loads[{k}]")
            if operand.output:
                self._put(f"y{number} = memories[{k}]")
        for k, (number, _) in enumerate(self.definition.params):
            self._put(f"p{number} = params[{k}]")
        for number in self._collected():
            self._put(f"c{number} = {{}}")
        for number in self._watched():
            self._put(f"w{number} = bytearray({max(self.held[number].layout.span, 1)})")

    def _empty(self, axes: Sequence[int]) -> bool:
        return any(self.definition.axes[a] == 0 for a in axes)

    def _emit(self, nest: Nest) -> None:
        if not self._empty(nest.axes):
            self._lines += nest.text(1)

    # ---- stages ------------------------------------------------------------------------------
    def _axes_of(self, roots: Sequence[Expr]) -> set[int]:
        found: set[int] = set()
        for node in walk(*roots):
            if node.op == "index":
                found.add(node.value)
            elif node.op == "stage":
                found.update(self.kept[node.value[0]])
        return found

    def _stage(self, number: int, stage: Stage) -> None:
        used, over = self._axes_of(stage.values), list(stage.over)
        outer = sorted(used - set(over))
        scan = stage.kind == "scan"
        kept = sorted([*outer, *over]) if scan else outer
        self.kept.append(tuple(kept))
        how = combine.carry(stage)
        size = math.prod(self.definition.axes[a] for a in kept)
        self._put(*(f"s{number}_{c} = [0] * {size}" for c in range(len(how.finish))))
        at = " + ".join(f"i{a} * {s}" for a, s in zip(kept, self.strides(kept), strict=True)) or "0"
        keep = [f"s{number}_{c}[{at}] = {text}" for c, text in enumerate(how.finish)]
        nest = Nest(self, [*outer, *over])
        nest.put(len(outer), how.start)
        nest.put(nest.depth, *how.step(*(nest.value(v)[0] for v in stage.values)))
        if scan:
            nest.put(nest.depth, *keep)
        else:
            nest.after[len(outer)] = keep
        if not self._empty(outer):
            self._lines += nest.text(1)

    # ---- checks and stores -------------------------------------------------------------------
    def _check(self, number: int, check: Check) -> None:
        nest = Nest(self, sorted(set(check.axes) | self._axes_of([check.condition])))
        condition, level = nest.value(check.condition)
        nest.put(level, f"if not {condition} and {number} not in failed: failed.append({number})")
        self._emit(nest)

    def _collected(self) -> list[int]:
        """Outputs of halves that are combined into: what is added up stays in float32 until the end."""
        combined = {s.operand for s in self.definition.stores if s.combine not in (None, "set")}
        return sorted(n for n in combined if combine.is_half(self.held[n].operand.dtype))

    def _watched(self) -> list[int]:
        """Outputs whose elements might be written twice, as far as the form of the stores tells."""
        plain = [s for s in self.definition.stores if s.combine is None]
        counts = {s.operand: sum(t.operand == s.operand for t in plain) for s in plain}
        return sorted({s.operand for s in plain if counts[s.operand] > 1 or not self._injective(s)})

    def _injective(self, store: Store) -> bool:
        used = [e.value for e in store.at if e.op == "index"]
        plain = all(e.op in ("index", "const") for e in store.at) and len(set(used)) == len(used)
        layout = self.held[store.operand].layout
        reach = 1
        for stride, extent in sorted(zip(layout.strides, layout.shape, strict=True)):
            if extent > 1 and stride < reach:
                return False
            reach += (extent - 1) * stride
        return plain and {a for a in store.axes if self.definition.axes[a] > 1} <= set(used)

    def _store(self, store: Store) -> None:
        held, n, guard = self.held[store.operand], store.operand, store.valid
        nest = Nest(self, store.axes)
        at = [(e, *nest.value(self._under(guard, e))) for e in store.at]
        direct = store.combine is None and guard is None and held.kept.storage is dt.float32
        offset, _ = nest.offset([(t, lv) for _, t, lv in at], held.layout.strides)
        lines = nest.bounds_lines(held, at)
        wanted = self._under(guard, store.value)
        value = nest.raw(wanted) if direct else nest.value(wanted)[0]
        if store.combine in (None, "set"):
            if store.combine is None and n in self._watched():
                lines += [
                    f"if w{n}[{offset}]: twice({held.operand.name!r}, {offset})",
                    f"w{n}[{offset}] = 1",
                ]
            lines.append(f"y{n}[{offset}] = {self._stored(n, value)}")
        else:
            lines += combine.update(str(store.combine), held, n, offset, value)
        if guard is not None:
            lines = [f"if {nest.value(guard)[0]}:", *("    " + line for line in lines)]
        nest.put(nest.depth, *lines)
        self._emit(nest)

    def _under(self, guard: Expr | None, root: Expr) -> Expr:
        """``root`` with its loads guarded: where a store does not happen, nothing is loaded for it."""
        if guard is None:
            return root

        def rule(node: Expr) -> Expr | None:
            if node.op != "load" or len(node.args) > len(self.held[node.value].operand.shape):
                return None
            return Expr.of("load", (*node.args, guard, const(0, node.dtype)), node.dtype, node.value)

        return substitute(root, rule)

    def _stored(self, number: int, value: str) -> str:
        """A logical value in the form in which memory keeps it."""
        logical, storage = self.held[number].operand.dtype, self.held[number].kept.storage
        if combine.is_half(logical):
            return f"{'f16' if logical is dt.float16 else 'bf16'}_bits({value})"
        return f"int({value})" if logical is dt.bool_ and storage is not dt.bool_ else value


_AS_THEY_ARE = frozenset(("const", "param", "index", "load", "stage", "cast"))
