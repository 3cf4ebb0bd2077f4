"""Two definitions as one: the expressions of a producer in place of what its consumer loads.

Three ways, by what the two are (`join` tries them in order):

    inline     the producer has no stage: its expression stands for each load of its result
    epilogue   the producer has stages and its consumer has none, over the same points: the consumer's expression
               follows in the producer's store
    beside     neither reads the other; they run over the same points: one kernel with the stores of both

The result of a store is cast to its operand's dtype as ever, so that a joined kernel gives the bits of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .. import dtypes as dt
from ..codegen.replay import Input
from ..dtypes import DType
from ..ir.definition import Definition, Stage, Store
from ..ir.definition import Operand as Tensor
from ..ir.expr import Expr, const, rebuild, walk
from ..plan import Ref
from .graph import Node, Operand, accesses

NAME_LENGTH = 60


@dataclass(frozen=True)
class _Parts:
    """A definition's stages and stores over operand numbers and axes of the joined one."""

    stages: tuple[Stage, ...]
    stores: tuple[Store, ...]


def join(first: Node, second: Node, inner: frozenset[int], keep: frozenset[int]) -> Node | None:
    """``first`` then ``second`` as one node; None where no way fits.

    ``inner``: buffers that ``first`` writes and ``second`` reads; ``keep``: those of them that must still be written.
    """
    a, b = first.definition, second.definition
    if a is None or b is None:
        return None
    if not inner:
        return _beside(first, second)
    return _epilogue(first, second, inner, keep) if a.stages else _inline(first, second, inner, keep)


# ---- operands --------------------------------------------------------------------------------------------------------
class _Operands:
    """The operands of the joined node; a place that both name is one operand."""

    def __init__(self) -> None:
        self.values: list[Operand] = []
        self.tensors: dict[int, Tensor] = {}
        self.params: dict[int, DType] = {}
        self._places: dict[object, int] = {}

    def tensor(self, value: Operand, like: Tensor) -> int:
        number = self._number((Ref, value), value)
        held = self.tensors.get(number)
        self.tensors[number] = Tensor(number, like.name if held is None else held.name, like.dtype, like.shape,
                                      like.output or (held is not None and held.output),
                                      like.input or (held is not None and held.input))  # fmt: skip
        return number

    def param(self, value: Operand, dtype: DType) -> int:
        shown = value if isinstance(value, Input) else (type(value), repr(value))
        number = self._number((dtype, shown), value)
        self.params[number] = dtype
        return number

    def _number(self, key: object, value: Operand) -> int:
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]

    def take(self, node: Node, without: frozenset[int]) -> dict[int, int]:
        """The new number of each operand of ``node`` but the buffers in ``without``."""
        d = node.definition
        assert d is not None
        numbers = {}
        for o in d.operands:
            value = node.operands[o.number] if o.number < len(node.operands) else None
            if not isinstance(value, Ref) or value.slot in without:
                continue
            numbers[o.number] = self.tensor(value, o)
        for n, dtype in d.params:
            numbers[n] = self.param(node.operands[n], dtype)
        return numbers


def _rewrite(root: Expr, rule: Callable[[Expr, tuple[Expr, ...]], Expr], memo: dict[Expr, Expr]) -> Expr:
    for node in walk(root):
        if node not in memo:
            memo[node] = rule(node, tuple(memo[a] for a in node.args))
    return memo[root]


class _Mover:
    """Expressions of one definition over the joined one's numbers: operands, axes, stages; loads of inner buffers."""

    def __init__(
        self, numbers: Mapping[int, int], axes: Mapping[int, Expr], stages: int = 0,
        loads: Callable[[Expr, tuple[Expr, ...]], Expr | None] = lambda node, args: None,
    ) -> None:  # fmt: skip
        self.numbers, self.axes, self.stages, self.loads = numbers, axes, stages, loads
        self.memo: dict[Expr, Expr] = {}

    def __call__(self, root: Expr) -> Expr:
        return _rewrite(root, self._rule, self.memo)

    def _rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        match node.op:
            case "index":
                return self.axes[node.value]
            case "load":
                made = self.loads(node, args)
                return Expr.of("load", args, node.dtype, self.numbers[node.value]) if made is None else made
            case "param":
                return Expr.of("param", (), node.dtype, self.numbers[node.value])
            case "stage":
                return Expr.of("stage", (), node.dtype, (node.value[0] + self.stages, node.value[1]))
        return node if args == node.args else rebuild(node, args)

    def store(self, store: Store, axes: Mapping[int, int]) -> Store:
        return replace(store, operand=self.numbers[store.operand], at=tuple(self(i) for i in store.at),
                       value=self(store.value), axes=tuple(axes[a] for a in store.axes),
                       valid=None if store.valid is None else self(store.valid))  # fmt: skip


def _finish(
    first: Node, second: Node, operands: _Operands, axes: Sequence[int], stages: Sequence[Stage], stores: Sequence[Store]
) -> Node | None:
    """The joined node, unless its stores would race with its loads."""
    name = f"{first.definition.name}+{second.definition.name}"  # type: ignore[union-attr]
    if len(name) > NAME_LENGTH:
        name = name[: NAME_LENGTH - 2] + "+…"
    made = Definition(name, tuple(operands.tensors[n] for n in sorted(operands.tensors)),
                      tuple(sorted(operands.params.items())), tuple(axes), tuple(stages), tuple(stores))  # fmt: skip
    reads, writes = accesses(made)
    node = Node(name, tuple(operands.values), reads, writes, made,
                parts=(*(first.parts or (first,)), *(second.parts or (second,))))  # fmt: skip
    return node if _apart(node) and all(1 not in (axes[a] for a in t.axes) for t in stores) else None


def _apart(node: Node) -> bool:
    """True when each buffer written is touched at one place only: all loads see memory before any store."""
    for ref in node.refs(node.writes):
        places = {(r.layout, r.offset) for r in node.refs((*node.reads, *node.writes)) if r.slot == ref.slot}
        if len(places) > 1:
            return False
    targets = [s.operand for s in node.definition.stores]  # type: ignore[union-attr]
    return len(set(targets)) == len(targets)


def _by_slot(node: Node, definition: Definition) -> dict[int, Store]:
    """What ``node`` stores, by the slot that it lies in; a store's operand is memory, never a number."""
    found = {}
    for store in definition.stores:
        operand = node.operands[store.operand]
        assert isinstance(operand, Ref)
        found[operand.slot] = store
    return found


# ---- a producer without stages ---------------------------------------------------------------------------------------
def _inline(first: Node, second: Node, inner: frozenset[int], keep: frozenset[int]) -> Node | None:
    a, b = first.definition, second.definition
    assert a is not None and b is not None
    stores = _by_slot(first, a)
    if not all(plain(s, a) for s in stores.values()) or len(stores) != len(a.stores):
        return None
    if any(s.combine or s.valid is not None for s in b.stores):
        return None
    dropped = frozenset(inner - keep)
    kept_all = all(n in dropped for n in stores)
    aligned = _aligned(first, second, inner)
    if not kept_all and aligned is None:
        return None
    operands = _Operands()
    mine = operands.take(first, dropped)
    theirs = operands.take(second, inner)
    axes = {n: Expr.of("index", (), dt.index, n) if e != 1 else const(0, dt.index) for n, e in enumerate(b.axes)}
    failed: list[Expr] = []

    def load(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        ref = second.operands[node.value]
        if not isinstance(ref, Ref) or ref.slot not in inner:
            return None
        store = stores[ref.slot]
        places = _positions(ref, first.operands[store.operand], args)
        if places is None:
            failed.append(node)
            return const(0, node.dtype)
        at = {i.value: p for i, p in zip(store.at, places, strict=True) if i.op == "index"}
        return _Mover(mine, at)(store.value)

    mover = _Mover(theirs, axes, 0, load)
    same = {n: n for n in range(len(b.axes))}
    stages = [replace(s, values=tuple(mover(v) for v in s.values)) for s in b.stages]
    made = [mover.store(s, same) for s in b.stores]
    if failed:
        return None
    if not kept_all:
        assert aligned is not None
        rest = _Mover(mine, {a_: axes[b_] for a_, b_ in aligned.items()})
        made = [rest.store(s, aligned) for n, s in stores.items() if n not in dropped] + made
    return _finish(first, second, operands, b.axes, stages, made)


def plain(store: Store, d: Definition) -> bool:
    """True when a store writes each point of its own axes once, in their order, and nothing else."""
    named = [i.value for i in store.at if i.op == "index"]
    whole = all(i.op == "index" or (i.op == "const" and i.value == 0) for i in store.at)
    bare = store.combine is None and store.valid is None and all(d.axes[a] != 1 for a in store.axes)
    return bare and whole and len(set(named)) == len(named) and set(named) == set(store.axes)


def _positions(ref: Ref, written: Operand, args: tuple[Expr, ...]) -> tuple[Expr, ...] | None:
    """The indices of the producer's store for a load of ``ref`` at ``args``: the two may see the buffer differently."""
    assert isinstance(written, Ref) and written.layout is not None and ref.layout is not None
    rank = len(ref.layout.shape)
    if len(args) != rank:
        return None  # a guarded load: the producer's own loads would have to be guarded too
    if (ref.layout, ref.offset) == (written.layout, written.offset):
        return args
    if ref.offset != written.offset or not written.layout.is_dense:
        return None
    found: list[Expr] = [const(0, dt.index)] * len(written.layout.shape)
    for index, n, stride in zip(args, ref.layout.shape, ref.layout.strides, strict=True):
        if n == 1 or stride == 0:
            continue
        axis = next((k for k, (e, s) in enumerate(zip(written.layout.shape, written.layout.strides, strict=True))
                     if e == n and s == stride), None)  # fmt: skip
        if axis is None or found[axis].op != "const":
            return None
        found[axis] = index
    missing = any(e != 1 and f.op == "const" for e, f in zip(written.layout.shape, found, strict=True))
    return None if missing and ref.layout.size < written.layout.size else tuple(found)


def _aligned(first: Node, second: Node, inner: frozenset[int]) -> dict[int, int] | None:
    """Axis of ``first`` → axis of ``second``, where the second runs over exactly the points that the first stores."""
    a, b = first.definition, second.definition
    assert a is not None and b is not None
    stores = _by_slot(first, a)
    found: dict[int, int] | None = None
    for node in walk(*b.roots()):
        ref = second.operands[node.value] if node.op == "load" else None
        if not isinstance(ref, Ref) or ref.slot not in inner:
            continue
        store = stores[ref.slot]
        places = _positions(ref, first.operands[store.operand], node.args) if plain(store, a) else None
        if places is None:
            return None
        here: dict[int, int] = {}
        for i, p in zip(store.at, places, strict=True):
            if i.op == "index":
                if p.op != "index" or b.axes[p.value] != a.axes[i.value]:
                    return None
                here[i.value] = p.value
        if found is not None and found != here:
            return None
        found = here
    if found is None or set(found.values()) != {n for n, e in enumerate(b.axes) if e != 1}:
        return None
    return found if len(set(found.values())) == len(found) else None


# ---- a producer with stages ------------------------------------------------------------------------------------------
def _epilogue(first: Node, second: Node, inner: frozenset[int], keep: frozenset[int]) -> Node | None:
    a, b = first.definition, second.definition
    assert a is not None and b is not None
    if b.stages or any(s.combine or s.valid is not None for s in (*a.stores, *b.stores)):
        return None
    aligned = _aligned(first, second, inner)
    stores = _by_slot(first, a)
    if aligned is None or len(stores) != len(a.stores) or not all(plain(stores[n], a) for n in inner):
        return None
    back = {theirs: mine for mine, theirs in aligned.items()}
    dropped = frozenset(inner - keep)
    operands = _Operands()
    mine = operands.take(first, dropped)
    theirs = operands.take(second, inner)
    own = {n: Expr.of("index", (), dt.index, n) if e != 1 else const(0, dt.index) for n, e in enumerate(a.axes)}
    producer = _Mover(mine, own)

    def load(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        ref = second.operands[node.value]
        if isinstance(ref, Ref) and ref.slot in inner:
            return producer(stores[ref.slot].value)
        return None

    axes = {n: own[back[n]] if n in back else const(0, dt.index) for n in range(len(b.axes))}
    mover = _Mover(theirs, axes, 0, load)
    same = {n: n for n in range(len(a.axes))}
    stages = [replace(s, values=tuple(producer(v) for v in s.values)) for s in a.stages]
    made = [producer.store(s, same) for n, s in stores.items() if n not in dropped]
    made += [mover.store(s, back) for s in b.stores]
    return _finish(first, second, operands, a.axes, stages, made)


# ---- two that do not know each other ---------------------------------------------------------------------------------
def _beside(first: Node, second: Node) -> Node | None:
    a, b = first.definition, second.definition
    assert a is not None and b is not None
    if a.stages or b.stages or a.axes != b.axes or any(s.combine for s in (*a.stores, *b.stores)):
        return None
    operands = _Operands()
    same = {n: n for n in range(len(a.axes))}
    own = {n: Expr.of("index", (), dt.index, n) if e != 1 else const(0, dt.index) for n, e in enumerate(a.axes)}
    left, right = _Mover(operands.take(first, frozenset()), own), _Mover(operands.take(second, frozenset()), own)
    stores = [left.store(s, same) for s in a.stores] + [right.store(s, same) for s in b.stores]
    return _finish(first, second, operands, a.axes, (), stores)


__all__ = ["join", "plain"]
