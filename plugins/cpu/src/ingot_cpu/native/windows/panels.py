"""Winograd's products where weights are large and tiles few: panel after panel, so that each weight is transformed once, in the
cache, and never written to memory.

The other form (`winograd`) reads the transformed weight, four times as large as the weight, for each chunk of tiles. Here all
tiles are transformed first, and each unit goes over them for the outputs of one panel, some channels at a time. Sums run over
the channels in the same order, so the two forms give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..emit import Value
from . import product
from .code import LANES, Code, Tiling
from .parts import Finish, Piece, gather, pack, reset, scatter, shares
from .winograd import PLACES, SEEN, TILE, back, forth, transformed

DEPTH = 64
"""Channels whose transformed weights lie in the cache at a time."""
NAMES = (
    "batch", "groups", "scratch", "pixels", "each", "seen", "packed", "products", "results", "height", "width", "channels",
    "top", "left", "wide", "deep", "outputs", "side", "area", "high", "count", "tiles", "tiled", "panels", "output", "input",
    "taps", "weights",
)  # fmt: skip
"""Constants of the launch; `geometry.panels` gives them."""


def tiles() -> str:
    """The part that transforms pictures; units are pictures."""
    c = Code(NAMES)
    reset(c)
    top = c.minus(c.number(0), c["top"])

    def picture(n: Value) -> None:
        pixels = c.float_at(c.byte_at("%space", c["pixels"]), c.times(n, c["each"]))
        gather(c, pixels, n, c.number(1), top, c.sum(c.product(c["high"], TILE), SEEN - TILE))
        start = c.product(n, c["high"], c["tiles"])
        forth(c, pixels, c.byte_at("%space", c["seen"]), c.number(1), c["high"], start)

    c.units(picture)
    return c.text()


def text(tiling: Tiling, finish: Finish, flipped: bool) -> str:
    """The part: (x, weight, bias, out, space); units are threads, which take panels."""
    c = Code(NAMES)
    seen = c.byte_at("%space", c["seen"])

    def panel(number: Value, scratch: Value) -> None:
        packed, made, results = (c.byte_at("%space", c.sum(scratch, c[n])) for n in ("packed", "products", "results"))
        c.zero(made, c.product(c["tiled"], c["side"], PLACES))
        c.each(0, c["channels"], lambda first: _some(c, tiling, number, first, (seen, packed, made), flipped), DEPTH)
        back(c, made, results, c["batch"], c["high"], c.divide(c["area"], c["count"])[0])
        piece = Piece(c.number(0), c["batch"], c.number(0), c["area"], c.product(number, tiling.width))
        scatter(c, results, piece, finish(c))

    shares(c, c["panels"], panel)
    return c.text()


def _some(c: Code, tiling: Tiling, panel: Value, first: Value, memory: tuple[str, str, str], flipped: bool) -> None:
    """Add the products of some channels."""
    seen, packed, made = memory
    depth = c.least(c.minus(c["channels"], first), c.number(DEPTH))
    size = DEPTH * tiling.width

    def put(half: Value, q: Value, _: Value, taps: Sequence[Value]) -> None:
        row = c.product(c.minus(q, first), tiling.width)
        for k, value in enumerate(transformed(c, taps, flipped)):
            c.store(value, c.float_at(packed, size * k, row, half))

    pack(c, tiling, panel, first, c.sum(first, depth), put)

    def place(k: Value) -> None:
        start, weights = c.times(k, c["tiled"]), c.float_at(packed, c.product(k, size))

        def rows(tile: Value, count: int) -> None:
            left = [c.float_at(seen, c.times(c.sum(start, tile, r), c["deep"]), first) for r in range(count)]
            target = c.float_at(made, c.times(c.sum(start, tile), c["side"]))
            held = [
                c.read(c.float_at(target, c.product(c["side"], r), LANES * v))
                for r in range(count) for v in range(tiling.vectors)
            ]  # fmt: skip
            product.put(c, product.run(c, held, left, weights, depth, tiling), target, c["side"], tiling)

        product.groups(c, c.product(c["batch"], c["high"], c["tiles"]), tiling, rows)

    c.each(0, PLACES, place)
