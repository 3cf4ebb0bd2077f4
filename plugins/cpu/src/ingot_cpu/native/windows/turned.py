"""The gradient of a convolution's input at any stride; by itself, a transposed convolution.

At stride s an element sees every s-th tap, beginning with the one that its place decides: elements fall into *phases*, and each
phase is a convolution at stride 1 with the taps it sees, from the last on. The slopes of a chunk are laid out once with their
channels side by side; the phases multiply in turn, and leave their results where they belong among those of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ingot_devices import dtypes as dt

from ..emit import Value
from . import product
from .code import LANES, Code, Tiling
from .parts import Chunk, Piece, chunks, gather, pack, plain, reset, scatter

NAMES = (
    "batch", "groups", "images", "bands", "rows", "chunks", "scratch", "packed", "pixels", "places", "targets", "results",
    "height", "width", "channels", "left", "wide", "deep", "tall", "broad", "down", "across", "top", "before",
    "outputs", "side", "area", "high", "count", "lines", "columns", "inputs", "output", "input", "taps", "panels", "weights",
    "phases",
)  # fmt: skip
"""Constants of the launch; `geometry.turned` gives them, and behind them two tables: for each phase the numbers `PHASE`, for
each tap how many taps lie before it in a panel."""
PHASE = ("row", "column", "rows_seen", "columns_seen", "taps_before")


def _table(c: Code, *offset: Value | int) -> Value:
    """A number of the tables."""
    return c.load(c.at("%consts", dt.index, c.sum(len(NAMES), *offset)), dt.index, 0)


def panels(tiling: Tiling) -> str:
    """The part that packs the weight: panels of all groups × taps, phase after phase × q × outputs of a panel."""
    c = Code(NAMES)
    reset(c)
    target = c.byte_at("%space", c["packed"])
    taps = c.product(c["phases"], len(PHASE))

    def panel(number: Value) -> None:
        start = c.times(number, c["taps"])

        def put(half: Value, q: Value, first: Value, made: Sequence[Value]) -> None:
            def one(tap: Value, value: Value) -> None:
                row = c.sum(c.times(c.sum(start, _table(c, taps, tap)), c["inputs"]), q)
                c.store(value, c.float_at(target, c.product(row, tiling.width), half))

            for k, value in enumerate(made):
                tap = c.sum(first, k)
                c.when(c.below(tap, c["taps"]), partial(one, tap, value))

        pack(c, tiling, number, c.number(0), c["inputs"], put)

    c.units(panel)
    return c.text()


def text(tiling: Tiling) -> str:
    """The part: (grad, weight, -, out, space); units are threads. A band is ``rows`` windows high, each ``down`` elements."""
    c = Code(NAMES)

    def chunk(of: Chunk) -> None:
        first, images, row, scratch, panels = of
        rows = c.least(c.minus(c["lines"], row), c["rows"])
        pixels, places, targets, results = (
            c.byte_at("%space", c.sum(scratch, c[n])) for n in ("pixels", "places", "targets", "results")
        )
        reach = c.sum(rows, c["tall"], -1)
        gather(c, pixels, first, images, c.sum(row, c.minus(c.number(1), c["tall"])), reach)
        begin = c.most(c.minus(c.times(row, c["down"]), c["top"]), c.number(0))
        stop = c.least(c.minus(c.times(c.sum(row, rows), c["down"]), c["top"]), c["high"])
        area = c.times(c.minus(stop, begin), c["count"])

        def phase(number: Value) -> None:
            held = [_table(c, c.product(number, len(PHASE)), k) for k in range(len(PHASE))]
            span = (images, row, rows, reach, begin, area)
            total = _places(c, places, targets, span, held, tiling)
            c.each(0, c["panels"], lambda k: _products(c, (pixels, places, targets, results), (panels, k), held, total, tiling))

        c.each(0, c["phases"], phase)
        piece = Piece(first, images, c.times(begin, c["count"]), area, c.number(0))
        c.when(c.below(begin, stop), lambda: scatter(c, results, piece, plain(c)))

    chunks(c, chunk)
    return c.text()


def _places(
    c: Code, places: str, targets: str, span: tuple[Value, ...], phase: Sequence[Value], tiling: Tiling
) -> Value:
    """Where the slopes that each element of a phase sees begin, and where its result belongs; how many elements there are.

    A few more repeat the first slopes, for a result behind all others.
    """
    images, row, rows, reach, begin, area = span
    a, b, high, wide, _ = phase

    def put(number: Value, place: Value, target: Value) -> None:
        c.store(c.times(place, c["deep"]), c.at(places, dt.index, number))
        c.store(c.times(target, c["side"]), c.at(targets, dt.index, number))

    def image(n: Value, held: list[Value]) -> list[Value]:
        def line(y: Value, held: list[Value]) -> list[Value]:
            element = c.sum(c.times(c.sum(row, y), c["down"]), c.minus(a, c["top"]))
            start = c.times(c.sum(c.times(n, reach), y, c.minus(c["tall"], high)), c["wide"])

            def across(x: Value, held: list[Value]) -> list[Value]:
                column = c.sum(c.times(x, c["across"]), c.minus(b, c["before"]))
                number = held[0]
                inside = c.op(f"icmp ult i64 {column.text}, {c['count'].text}", dt.bool_, 0)

                def there() -> list[Value]:
                    target = c.sum(c.times(n, area), c.times(c.minus(element, begin), c["count"]), column)
                    put(number, c.sum(start, x, c.minus(c["broad"], wide)), target)
                    return [c.sum(number, 1)]

                return c.when(inside, there, held)

            exists = c.op(f"icmp ult i64 {element.text}, {c['high'].text}", dt.bool_, 0)
            return c.when(exists, lambda: c.loop(c.number(0), c["columns"], c.number(1), held, across), held)

        return c.loop(c.number(0), rows, c.number(1), held, line)

    (total,) = c.loop(c.number(0), images, c.number(1), [c.number(0)], image)
    for k in range(tiling.rows[0]):
        put(c.sum(total, k), c.number(0), c.times(images, area))
    return total


def _products(
    c: Code, memory: tuple[str, ...], panels: tuple[Value, Value], phase: Sequence[Value], total: Value, tiling: Tiling
) -> None:
    """All results of a phase for the outputs of one panel: where those of its group begin, and its number there."""
    pixels, places, targets, results = memory
    _, _, high, wide, before = phase
    row = c.times(c.sum(c.times(c.sum(*panels), c["taps"]), before), c["inputs"])
    weights = c.float_at(c.byte_at("%space", c["packed"]), c.product(row, tiling.width))
    length = c.times(wide, c["deep"])

    def some(first: Value, rows: int) -> None:
        windows, ends = (
            [c.float_at(base, c.load(c.at(table, dt.index, c.sum(first, r)), dt.index, 0)) for r in range(rows)]
            for base, table in ((pixels, places), (results, targets))
        )

        def line(i: Value, sums: list[Value]) -> list[Value]:
            ahead = c.product(i, c["wide"], c["deep"])
            taps = c.float_at(weights, c.product(i, length, tiling.width))
            return product.run(c, sums, [c.float_at(w, ahead) for w in windows], taps, length, tiling)

        sums = c.loop(c.number(0), high, c.number(1), product.zeros(c, rows, tiling), line)
        for k, value in enumerate(sums):
            r, vector = divmod(k, tiling.vectors)
            c.store(value, c.float_at(ends[r], c.product(panels[1], tiling.width), LANES * vector))

    product.groups(c, total, tiling, some)
