"""What a definition becomes, as plain data: the text of each of its nests, their constants, how their work is shared.

    definition + layouts ─ `Shape` ─▶ kept? ─ no ─▶ `lower` ─▶ Loops ─▶ a product by BLAS, a `Nest` for each group ─▶ Recipe

Called by `kernel`, which turns a recipe into a function. Writing a recipe takes some milliseconds of Python, so it is written
once for all sizes that make the same decisions (`ingot_devices.codegen.sizes`), and kept in memory and on disk, under a key of
everything that it follows from, the code that writes it included.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import ingot_devices
from ingot_devices import dtypes as dt
from ingot_devices.cache import Cache, key
from ingot_devices.codegen import Unsupported, monoids
from ingot_devices.codegen.arguments import passed
from ingot_devices.codegen.bind import Loops, Write, bind
from ingot_devices.codegen.collapse import collapse
from ingot_devices.codegen.legalize import legalize
from ingot_devices.codegen.nest import Nest as Reach
from ingot_devices.codegen.schedules import check_order, split
from ingot_devices.codegen.sizes import STRUCTURES, Shape, Written
from ingot_devices.ir.definition import Definition
from ingot_devices.ir.expr import walk
from ingot_devices.ir.size import Formula
from ingot_devices.layout import Layout
from ingot_devices.limits import DTypeClass, Limits

from . import gemm, tile
from .apart import joined
from .elementary import KNOWN, Elementary
from .jit import Jit
from .lanes import HEAVY, weight
from .nest import Nest
from .pieces import cut

ABSENT, ARRAY, FLOAT, INTEGER, BOOLEAN = range(5)
KINDS = {"f": FLOAT, "i": INTEGER, "u": INTEGER, "b": BOOLEAN}
MOST = 128
"""Operands of a kernel at most (`runtime.c`)."""
LIMITS = Limits(
    dtypes={
        dt.bfloat16: DTypeClass("stored", dt.uint16, dt.float32),
        dt.float16: DTypeClass("stored", dt.float16, dt.float32),
    }
)
"""How native code keeps dtypes: halves are computed in float32."""
GRAIN, LARGE_GRAIN, SHARES = 10_000, 50_000, 64
"""Nanoseconds of work that one thread takes at a time at least; of large work, whose next row a thread fetches meanwhile for
itself; and into how many parts work between the two is cut."""
NANOSECONDS = {"light": 0.06, "heavy": 0.5}
"""What an element takes, by the weight of its expression: for choosing chunks, not for timing."""


@dataclass(frozen=True)
class Part:
    """One step of a kernel. ``text``: the IR of a nest; ``product``: the dtype of a product by BLAS, else empty.

    ``units`` of work are shared in chunks of ``grain`` (0: not at all); ``cost`` is their time in nanoseconds, roughly.
    """

    text: str
    constants: tuple[int, ...]
    units: int
    grain: int
    cost: float
    product: str = ""


@dataclass(frozen=True)
class Recipe:
    """``kinds`` of the operands; ``trees``: what decides how sums round. ``refused``: why there is no kernel."""

    kinds: tuple[int, ...]
    parts: tuple[Part, ...]
    trees: Any
    refused: str = ""


_memory: dict[tuple[str, tuple[int, ...], Jit], Recipe] = {}
_structures: dict[tuple[str, Jit], Recipes] = {}


class Recipes:
    """Those of one structure, each formula for the sizes that meet its conditions. They are kept on disk, too."""

    def __init__(self, structure: str, made: Jit) -> None:
        self.jit = made
        blas = str(sorted(b.name for b in gemm.blas()))
        self.name = key("recipes", structure, made.fingerprint(), _code(), blas)
        data = Cache("cpu").get(self.name)
        self.written = Written[None]([(Formula(*source), None) for source in json.loads(data)] if data else ())

    def of(self, shape: Shape, aliased: frozenset[int]) -> Recipe:
        """The recipe for the sizes of ``shape``, by a formula if there is one or can be, else written for them alone."""
        found = self.written.at(shape.numbers)
        if found is None:
            found = self.written.add(lambda: (self.trace(shape, aliased), None))
            if found is None:
                return _fresh(shape.definition, shape.layouts, aliased, self.jit)
            Cache("cpu").put(self.name, json.dumps([formula.source for formula, _ in self.written.found]).encode())
        return _recipe(found[0].made(shape.numbers))

    def trace(self, shape: Shape, aliased: frozenset[int]) -> Formula:
        """The formula of a writing with sizes for numbers."""
        trace, definition, layouts = shape.symbolic()
        return trace.formula(_plain(_fresh(definition, layouts, aliased, self.jit)))


def recipe(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int], made: Jit) -> Recipe:
    """The recipe of a definition for operands that lie so; `Unsupported` says why there is none."""
    shape = Shape.of(definition, layouts, aliased)
    found = _memory.get((shape.structure, shape.numbers, made))
    if found is None:
        kept = _structures.get((shape.structure, made))
        if kept is None:
            kept = _structures[shape.structure, made] = Recipes(shape.structure, made)
        found = kept.of(shape, aliased)
        for remembered in (_memory, _structures):
            if len(remembered) >= STRUCTURES:
                remembered.clear()
        _memory[shape.structure, shape.numbers, made] = found
    if found.refused:
        raise Unsupported(found.refused)
    return found


# ---- keeping -----------------------------------------------------------------------------------------------------------
@cache
def _code() -> str:
    """A digest of the code that writes recipes."""
    home = Path(ingot_devices.__file__).parent
    files = [*Path(__file__).parent.glob("*.py"), *home.glob("codegen/**/*.py"), *home.glob("ir/*.py")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _plain(made: Recipe) -> list[Any]:
    """A recipe as lists of texts and numbers."""
    parts = [[p.text, p.constants, p.units, p.grain, p.cost, p.product] for p in made.parts]
    return [made.kinds, parts, made.trees, made.refused]


def _recipe(plain: Any) -> Recipe:
    kinds, parts, trees, refused = plain
    made = tuple(Part(text, tuple(constants), *rest) for text, constants, *rest in parts)
    return Recipe(tuple(kinds), made, trees, refused)


# ---- writing -----------------------------------------------------------------------------------------------------------
def _fresh(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int], made: Jit) -> Recipe:
    try:
        return _write(definition, layouts, aliased, made)
    except Unsupported as e:
        return Recipe((), (), [], str(e))


def lower(definition: Definition, layouts: Mapping[int, Layout]) -> Loops:
    """Bound loops in the types and operators that native code has."""
    loops = collapse(monoids.rewrite(bind(definition, layouts)))
    return legalize(loops, LIMITS, KNOWN, 64).rewrite(Elementary())


def _write(definition: Definition, layouts: Mapping[int, Layout], aliased: frozenset[int], made: Jit) -> Recipe:
    loops = lower(definition, layouts)
    numbers = passed(definition.params, loops.roots())
    count = 1 + max([*(o.number for o in definition.operands), *numbers], default=-1)
    if count > MOST:
        raise Unsupported(f"it has {count} operands; a native kernel takes {MOST}")
    kinds, parts, trees = _kinds(loops, numbers, count), list[Part](), list[Any]()
    small = tile.match(loops, aliased)
    if small is not None:
        kernel = tile.Tile(loops, small, numbers, count, made.target)
        return Recipe(kinds, (_part(loops, loops.writes, kernel),), kernel.trees)
    if gemm.is_product(loops):
        product = gemm.match(loops, aliased)
        if product is None:
            raise Unsupported("BLAS does not take this product as it lies")
        units, grain = gemm.units(product)
        parts.append(Part("", product.constants, units, grain, product.work * gemm.NANOSECONDS, product.dtype))
        trees.append(("product", units, product.constants[7:15]))
        loops = collapse(replace(product.loops, writes=product.rest))
    if loops.writes:
        loops = loops if aliased else cut(loops)
        groups = joined(loops, split(loops))
        check_order(loops, groups, aliased)
        for writes in groups:
            nest = Nest(loops, writes, numbers, count, made.target, bool(aliased))
            parts.append(_part(loops, writes, nest))
            trees.append(nest.trees)
    return Recipe(kinds, tuple(parts), [t for t in trees if t])


def _part(loops: Loops, writes: Sequence[Write], nest: Nest | tile.Tile) -> Part:
    cost = _cost(loops, writes)
    shared = nest.parallel and cost >= 2 * GRAIN
    taken = min(max(GRAIN, cost / SHARES), LARGE_GRAIN)
    grain = max(1, min(nest.units, round(taken * nest.units / max(cost, 1.0)))) if shared else 0
    return Part(nest.text(), tuple(nest.access.constants), nest.units, grain, cost)


def _cost(loops: Loops, writes: Sequence[Write]) -> float:
    """Nanoseconds that one thread takes, roughly."""
    total = 0.0
    needed = Reach(loops, tuple(writes)).needed([r for w in writes for r in w.roots()])
    each = [(set(w.axes), w.roots()) for w in writes]
    for n in needed:
        stage = loops.stages[n]
        axes = {a.value for a in walk(*stage.values) if a.op == "index"} | set(stage.over)
        each.append((axes, stage.values))
    for axes, roots in each:
        points = 1
        for a in axes:
            points *= loops.extents[a]
        total += points * NANOSECONDS["heavy" if weight(roots) > HEAVY else "light"]
    return total


def _kinds(loops: Loops, numbers: Mapping[int, dt.DType], count: int) -> tuple[int, ...]:
    kinds = [ABSENT] * count
    for n in walk(*loops.roots()):
        if n.op == "get" and n.value >= 0:
            kinds[n.value] = ARRAY
        elif n.op == "param" and n.value >= 0:
            kinds[n.value] = KINDS[numbers[n.value].kind]
    for w in loops.writes:
        if w.operand >= 0:
            kinds[w.operand] = ARRAY
    return tuple(kinds)
