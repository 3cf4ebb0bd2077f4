"""Any window over two axes: pixels with their channels side by side, times packed weights, chunk after chunk.

The taps of a window's row lie side by side where nothing is dilated, so one run of a product goes over a row of taps and all
their channels. No matrix of columns is ever made: rows of the product are addresses into the padded pixels.
"""

from __future__ import annotations

from ingot_devices import dtypes as dt

from ..emit import Value
from . import product
from .code import Code, Tiling
from .parts import Chunk, Finish, Piece, chunks, gather, scatter

NAMES = (
    "batch", "groups", "images", "bands", "rows", "chunks", "scratch", "packed", "pixels", "places", "results",
    "height", "width", "channels", "top", "left", "wide", "deep", "tall", "down", "across",
    "outputs", "side", "area", "high", "count", "lines", "line", "parts", "part", "length", "panels",
)  # fmt: skip
"""Constants of the launch; `geometry` gives them."""


def text(tiling: Tiling, finish: Finish) -> str:
    """The part: (x, weight, bias, out, space); units are threads."""
    c = Code(NAMES)

    def chunk(of: Chunk) -> None:
        first, images, row, scratch, panels = of
        rows = c.least(c.minus(c["high"], row), c["rows"])
        pixels, places, results = (c.byte_at("%space", c.sum(scratch, c[n])) for n in ("pixels", "places", "results"))
        reach = c.sum(c.product(c.sum(rows, -1), c["down"]), c["tall"])
        gather(c, pixels, first, images, c.minus(c.times(row, c["down"]), c["top"]), reach)
        total = c.product(images, rows, c["count"])
        _places(c, places, images, rows, reach, tiling)
        c.each(0, c["panels"], lambda panel: _products(c, (pixels, places, results), panels, panel, total, tiling))
        piece = Piece(first, images, c.times(row, c["count"]), c.times(rows, c["count"]), c.number(0))
        scatter(c, results, piece, finish(c))

    chunks(c, chunk)
    return c.text()


def _places(c: Code, places: str, images: Value, rows: Value, reach: Value, tiling: Tiling) -> None:
    """Where the window of each result begins among the pixels; a few more repeat the last."""

    def put(number: Value, n: Value, y: Value, x: Value) -> None:
        line = c.sum(c.times(n, reach), c.times(y, c["down"]))
        offset = c.times(c.sum(c.times(line, c["wide"]), c.times(x, c["across"])), c["deep"])
        c.store(offset, c.at(places, dt.index, number))

    def image(n: Value) -> None:
        def row(y: Value) -> None:
            start = c.times(c.sum(c.times(n, rows), y), c["count"])
            c.each(0, c["count"], lambda x: put(c.sum(start, x), n, y, x))

        c.each(0, rows, row)

    c.each(0, images, image)
    total = c.product(images, rows, c["count"])
    last = [c.sum(v, -1) for v in (images, rows, c["count"])]
    for k in range(tiling.rows[0]):
        put(c.sum(total, k), *last)


def _products(c: Code, memory: tuple[str, str, str], panels: Value, panel: Value, total: Value, tiling: Tiling) -> None:
    """All results of a chunk for the outputs of one panel; those of its group begin with ``panels``."""
    pixels, places, results = memory
    size = c.product(c["lines"], c["parts"], c["length"], tiling.width)
    weights = c.float_at(c.byte_at("%space", c["packed"]), c.times(c.sum(panels, panel), size))

    def some(first: Value, rows: int) -> None:
        starts = [c.load(c.at(places, dt.index, c.sum(first, r)), dt.index, 0) for r in range(rows)]
        windows = [c.float_at(pixels, s) for s in starts]

        def line(i: Value, sums: list[Value]) -> list[Value]:
            def part(j: Value, sums: list[Value]) -> list[Value]:
                ahead = c.sum(c.times(i, c["line"]), c.times(j, c["part"]))
                term = c.times(c.sum(c.times(i, c["parts"]), j), c["length"])
                taps = c.float_at(weights, c.product(term, tiling.width))
                return product.run(c, sums, [c.float_at(w, ahead) for w in windows], taps, c["length"], tiling)

            return c.loop(c.number(0), c["parts"], c.number(1), sums, part)

        sums = c.loop(c.number(0), c["lines"], c.number(1), product.zeros(c, rows, tiling), line)
        target = c.float_at(results, c.times(first, c["side"]), c.product(panel, tiling.width))
        product.put(c, sums, target, c["side"], tiling)

    product.groups(c, total, tiling, some)
