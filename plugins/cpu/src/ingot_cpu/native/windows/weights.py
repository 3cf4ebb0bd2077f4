"""The gradient of a weight: for each tap, slopes (outputs × pixels) times what the tap saw (pixels × channels).

One group lays all pictures out with their channels side by side; in the other each unit is some outputs, and sums over the
pixels of one picture after the other. Slopes are read as they lie. Each sum is a chain over some rows of a picture, and these
are added in their order, so no bit depends on the threads.
"""

from __future__ import annotations

from ingot_devices import dtypes as dt

from ..emit import Value
from . import product
from .code import LANES, Code, Tiling
from .parts import gather, least

OPERANDS = ("grad", "x", "out", "space")
NAMES = (
    "batch", "height", "width", "channels", "top", "left", "wide", "deep", "tall", "each", "pixels", "totals",
    "outputs", "high", "band", "count", "down", "across", "lines", "line", "parts", "part", "strips", "row", "taps", "broad",
    "beside",
)  # fmt: skip
"""Constants of the launch; `geometry.weights` gives them."""


def spread() -> str:
    """The group that lays pictures out; units are pictures."""
    c = Code(NAMES, OPERANDS)
    top = c.op(f"sub nsw i64 0, {c['top'].text}", dt.index, 0)

    def picture(n: Value) -> None:
        place = c.float_at(c.byte_at("%space", c["pixels"]), c.times(n, c["each"]))
        gather(c, place, n, c.number(1), top, c["tall"])

    c.units(picture)
    return c.text()


def text(tiling: Tiling) -> str:
    """The group that multiplies; units are as many outputs as registers hold."""
    c = Code(NAMES, OPERANDS)
    pixels, totals = (c.byte_at("%space", c[n]) for n in ("pixels", "totals"))
    most = tiling.rows[0]

    def unit(number: Value) -> None:
        start = c.product(number, most)
        count = c.least(c.minus(c["outputs"], start), c.number(most))
        held = c.float_at(totals, c.times(start, c["row"]))
        c.zero(held, c.product(c["row"], most))

        def picture(n: Value) -> None:
            seen = c.float_at(pixels, c.times(n, c["each"]))
            product.groups(c, count, tiling, lambda first, rows: _picture(c, n, c.sum(start, first), rows, seen, held, tiling))

        c.each(0, c["batch"], picture)
        c.each(0, count, lambda k: _finish(c, c.sum(start, k), c.float_at(held, c.times(k, c["row"]))))

    c.units(unit)
    return c.text()


def _picture(c: Code, n: Value, first: Value, rows: int, seen: str, held: str, tiling: Tiling) -> None:
    """Add what one picture gives for ``rows`` outputs from ``first`` on."""
    area = c.times(c["high"], c["count"])
    slopes = [
        c.float_at("%grad", c.times(c.sum(c.times(n, c["outputs"]), least(c, c.sum(first, r), c["outputs"])), area))
        for r in range(rows)
    ]
    step = c.times(c["across"], c["deep"])

    def strip(i: Value, j: Value, k: Value, start: Value) -> None:
        corner = c.sum(c.times(i, c["line"]), c.times(j, c["part"]), c.product(k, tiling.width))
        stop = c.least(c.sum(start, c["band"]), c["high"])

        def down(y: Value, sums: list[Value]) -> list[Value]:
            line = c.float_at(seen, corner, c.product(y, c["down"], c["wide"], c["deep"]))
            left = [c.float_at(s, c.times(y, c["count"])) for s in slopes]
            return product.run(c, sums, left, line, c["count"], tiling, step)

        sums = c.loop(start, stop, c.number(1), product.zeros(c, rows, tiling), down)
        place = c.product(c.sum(c.times(c.sum(c.times(i, c["parts"]), j), c["strips"]), k), tiling.width)
        for m, value in enumerate(sums):
            row, vector = divmod(m, tiling.vectors)
            address = c.float_at(held, c.product(c["row"], row), place, LANES * vector)
            c.store(c.plus(c.read(address), value), address)

    def strips(i: Value, j: Value) -> None:
        c.each(0, c["strips"], lambda k: c.each(0, c["high"], lambda y: strip(i, j, k, y), c["band"]))

    c.each(0, c["lines"], lambda i: c.each(0, c["parts"], lambda j: strips(i, j)))


def _finish(c: Code, output: Value, held: str) -> None:
    """One output's sums (rows of taps, channels side by side) to where they belong (channel, tap)."""
    target = c.float_at("%out", c.product(output, c["channels"], c["taps"]))
    line = c.divide(c["row"], c["lines"])[0]

    def tap(i: Value, j: Value) -> None:
        source = c.float_at(held, c.times(i, line), c.times(j, c["beside"]))
        place = c.sum(c.times(i, c["broad"]), j)

        def channel(k: Value) -> None:
            value = c.load(c.float_at(source, k), dt.float32, 0)
            c.store(value, c.float_at(target, c.times(k, c["taps"]), place))

        c.each(0, c["channels"], channel)

    c.each(0, c["lines"], lambda i: c.each(0, c["broad"], lambda j: tap(i, j)))
