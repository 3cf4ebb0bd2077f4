"""3×3 windows at stride 1 by F(4×4, 3×3): 36 products where 144 would be (Winograd, 1980; Lavin and Gray, 2016).

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A      for each tile: d is 6×6 pixels, g the 3×3 taps, Y 4×4 results

Sums over channels are taken between the transforms, so each of the 36 places is a product of matrices, tiles × channels ×
outputs. The points are 0, ±1, ±2 and ∞; intermediate values grow by up to two decimal digits, which costs accuracy: about
1e-5 of the largest result where the direct form has 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..emit import Value
from . import product
from .code import LANES, Code, Tiling
from .parts import Chunk, Finish, Piece, chunks, gather, pack, reset, scatter

TILE, SEEN, PLACES = 4, 6, 36
NAMES = (
    "batch", "groups", "images", "bands", "rows", "chunks", "scratch", "packed", "pixels", "seen", "products", "results",
    "height", "width", "channels", "top", "left", "wide", "deep", "outputs", "side", "area", "high", "count",
    "tiles", "tiled", "panels",
)  # fmt: skip
"""Constants of the launch; `geometry` gives them."""
Line = Callable[[Code, Sequence[Value]], list[Value]]


# ---- the transforms, along one axis ------------------------------------------------------------------------------------
def of_pixels(c: Code, d: Sequence[Value]) -> list[Value]:
    """Bᵀ: 6 pixels to 6 places."""
    two, four, minus4, minus5 = (c.same(v) for v in (2.0, 4.0, -4.0, -5.0))
    even, odd = c.fused(minus4, d[2], d[4]), c.fused(minus4, d[1], d[3])
    far, apart = c.less(d[4], d[2]), c.multiplied(two, c.less(d[3], d[1]))
    return [
        c.plus(c.fused(minus5, d[2], c.multiplied(four, d[0])), d[4]),
        c.plus(even, odd), c.less(even, odd), c.plus(far, apart), c.less(far, apart),
        c.plus(c.fused(minus5, d[3], c.multiplied(four, d[1])), d[5]),
    ]  # fmt: skip


def of_taps(c: Code, g: Sequence[Value]) -> list[Value]:
    """G: 3 taps to 6 places."""
    quarter, sixth, small, twelfth = (c.same(v) for v in (1 / 4, -1 / 6, 1 / 24, 1 / 12))
    outer = c.multiplied(sixth, c.plus(g[0], g[2]))
    middle = c.multiplied(sixth, g[1])
    ends = c.fused(c.same(1 / 6), g[2], c.multiplied(small, g[0]))
    centre = c.multiplied(twelfth, g[1])
    return [c.multiplied(quarter, g[0]), c.plus(outer, middle), c.less(outer, middle), c.plus(ends, centre),
            c.less(ends, centre), g[2]]  # fmt: skip


def of_products(c: Code, m: Sequence[Value]) -> list[Value]:
    """Aᵀ: 6 places to 4 results."""
    near, tilted = c.plus(m[1], m[2]), c.less(m[1], m[2])
    far, steep = c.plus(m[3], m[4]), c.less(m[3], m[4])
    return [
        c.plus(c.plus(m[0], near), far), c.fused(c.same(2.0), steep, tilted),
        c.fused(c.same(4.0), far, near), c.plus(c.fused(c.same(8.0), steep, tilted), m[5]),
    ]  # fmt: skip


def both_axes(c: Code, along: Line, grid: Sequence[Sequence[Value]]) -> list[list[Value]]:
    """A transform along the columns of a grid, then along its rows."""
    columns = [along(c, [row[j] for row in grid]) for j in range(len(grid[0]))]
    return [along(c, [column[i] for column in columns]) for i in range(len(columns[0]))]


# ---- the parts -----------------------------------------------------------------------------------------------------------
def transformed(c: Code, taps: Sequence[Value], flipped: bool) -> list[Value]:
    """The 36 places of 9 taps."""
    held = taps[8::-1] if flipped else taps[:9]
    return _flat(both_axes(c, of_taps, [held[:3], held[3:6], held[6:9]]))


def panels(names: Sequence[str], tiling: Tiling, flipped: bool) -> str:
    """The part that packs a weight: 36 places × panels of all groups × q × outputs of a panel."""
    c = Code(names)
    reset(c)
    target = c.byte_at("%space", c["packed"])

    def panel(number: Value) -> None:
        def put(half: Value, q: Value, first: Value, taps: Sequence[Value]) -> None:
            for k, value in enumerate(transformed(c, taps, flipped)):
                row = c.sum(c.times(c.sum(c.product(c["groups"], c["panels"], k), number), c["inputs"]), q)
                c.store(value, c.float_at(target, c.product(row, tiling.width), half))

        pack(c, tiling, number, c.number(0), c["inputs"], put)

    c.units(panel)
    return c.text()


def text(tiling: Tiling, finish: Finish) -> str:
    """The part: (x, weight, bias, out, space); units are threads."""
    c = Code(NAMES)

    def chunk(of: Chunk) -> None:
        first, images, row, scratch, panels = of
        pixels, seen, made, results = (
            c.byte_at("%space", c.sum(scratch, c[n])) for n in ("pixels", "seen", "products", "results")
        )
        bands = c.least(c.minus(c["high"], row), c["rows"])  # of tiles
        begin = c.product(row, TILE)
        rows = c.least(c.minus(c.divide(c["area"], c["count"])[0], begin), c.product(bands, TILE))  # of results
        gather(c, pixels, first, images, c.minus(begin, c["top"]), c.sum(c.product(bands, TILE), SEEN - TILE))
        forth(c, pixels, seen, images, bands, c.number(0))
        total = c.product(images, bands, c["tiles"])
        c.each(0, PLACES, lambda k: _products(c, seen, made, k, panels, total, tiling))
        back(c, made, results, images, bands, rows)
        scatter(c, results, Piece(first, images, c.times(begin, c["count"]), c.times(rows, c["count"]), c.number(0)), finish(c))

    chunks(c, chunk)
    return c.text()


def _flat(grid: Sequence[Sequence[Value]]) -> list[Value]:
    return [value for line in grid for value in line]


def forth(c: Code, pixels: str, seen: str, images: Value, bands: Value, start: Value) -> None:
    """Tiles of pixels to 36 matrices (tiles × channels), from row ``start`` of each on."""

    def tile(n: Value, y: Value, x: Value) -> None:
        line = c.sum(c.times(n, c.sum(c.product(bands, TILE), SEEN - TILE)), c.product(y, TILE))
        corner = c.times(c.sum(c.times(line, c["wide"]), c.product(x, TILE)), c["deep"])
        number = c.sum(start, c.times(c.sum(c.times(n, bands), y), c["tiles"]), x)

        def channels(k: Value) -> None:
            grid = [
                [c.read(c.float_at(pixels, corner, c.times(c.sum(c.product(c["wide"], i), j), c["deep"]), k))
                 for j in range(SEEN)] for i in range(SEEN)
            ]  # fmt: skip
            for place, value in enumerate(_flat(both_axes(c, of_pixels, grid))):
                row = c.sum(c.product(c["tiled"], place), number)
                c.store(value, c.float_at(seen, c.times(row, c["deep"]), k))

        c.each(0, c["deep"], channels, LANES)

    c.each(0, images, lambda n: c.each(0, bands, lambda y: c.each(0, c["tiles"], lambda x: tile(n, y, x))))


def _products(c: Code, seen: str, made: str, place: Value, panels: Value, total: Value, tiling: Tiling) -> None:
    """One of the 36: tiles × channels times channels × outputs, whose panels begin with ``panels``."""
    start = c.times(place, c["tiled"])

    def panel(number: Value) -> None:
        row = c.times(c.sum(c.product(place, c["groups"], c["panels"]), panels, number), c["channels"])
        weights = c.float_at(c.byte_at("%space", c["packed"]), c.product(row, tiling.width))

        def some(first: Value, rows: int) -> None:
            left = [c.float_at(seen, c.times(c.sum(start, first, r), c["deep"])) for r in range(rows)]
            sums = product.run(c, product.zeros(c, rows, tiling), left, weights, c["channels"], tiling)
            target = c.float_at(made, c.times(c.sum(start, first), c["side"]), c.product(number, tiling.width))
            product.put(c, sums, target, c["side"], tiling)

        product.groups(c, total, tiling, some)

    c.each(0, c["panels"], panel)


def back(c: Code, made: str, results: str, images: Value, bands: Value, rows: Value) -> None:
    """36 matrices to pixels of results. What hangs over an edge is overwritten by the tile that belongs there."""

    def tile(n: Value, y: Value, back: Value) -> None:
        x = c.minus(c.sum(c["tiles"], -1), back)  # from the right
        number = c.sum(c.times(c.sum(c.times(n, bands), y), c["tiles"]), x)
        corner = c.sum(c.times(c.sum(c.times(n, rows), c.product(y, TILE)), c["count"]), c.product(x, TILE))

        def outputs(o: Value) -> None:
            places = [
                c.read(c.float_at(made, c.times(c.sum(c.product(c["tiled"], k), number), c["side"]), o))
                for k in range(PLACES)
            ]
            grid = [places[SEEN * i : SEEN * (i + 1)] for i in range(SEEN)]
            for i, line in enumerate(both_axes(c, of_products, grid)):
                for j, value in enumerate(line):
                    pixel = c.sum(corner, c.product(c["count"], i), j)
                    c.store(value, c.float_at(results, c.times(pixel, c["side"]), o))

        c.each(0, c["side"], outputs, LANES)

    c.each(0, images, lambda n: c.each(0, bands, lambda y: c.each(0, c["tiles"], lambda b: tile(n, y, b))))
