"""The gradient of a weight: for each tap, slopes (outputs × pixels) times what the tap saw (pixels × channels).

One part lays all pictures out with their channels side by side; in the other each unit is some outputs of a group, and sums
over the pixels of one of its pictures after the other. Slopes are read as they lie. Each sum is a chain over some rows of a
picture, and these are added in their order, so no bit depends on the threads.
"""

from __future__ import annotations

from ingot_devices import dtypes as dt

from ..emit import Value
from . import product
from .code import LANES, Code, Tiling
from .parts import gather, least

OPERANDS = ("grad", "x", "out", "space")
NAMES = (
    "batch", "groups", "height", "width", "channels", "top", "left", "wide", "deep", "tall", "each", "pixels", "totals",
    "outputs", "high", "band", "count", "down", "across", "lines", "line", "parts", "part", "strips", "row", "taps", "broad",
    "beside", "span", "units",
)  # fmt: skip
"""Constants of the launch; `geometry.weights` gives them."""


def spread() -> str:
    """Lays pictures out; units are pictures."""
    c = Code(NAMES, OPERANDS)
    top = c.op(f"sub nsw i64 0, {c['top'].text}", dt.index, 0)

    def picture(n: Value) -> None:
        place = c.float_at(c.byte_at("%space", c["pixels"]), c.times(n, c["each"]))
        gather(c, place, n, c.number(1), top, c["tall"])

    c.units(picture)
    return c.text()


def text(tiling: Tiling) -> str:
    """Multiplies; units are ``span`` outputs of a group, which has ``units`` of them."""
    c = Code(NAMES, OPERANDS)
    pixels, totals = (c.byte_at("%space", c[n]) for n in ("pixels", "totals"))

    def unit(number: Value) -> None:
        group, part = c.divide(number, c["units"])
        start = c.times(part, c["span"])
        count = c.least(c.minus(c["outputs"], start), c["span"])
        held = c.float_at(totals, c.product(number, c["span"], c["row"]))
        c.zero(held, c.times(c["row"], c["span"]))

        def image(n: Value) -> None:
            picture = c.sum(c.times(n, c["groups"]), group)
            _picture(c, picture, (start, count), c.float_at(pixels, c.times(picture, c["each"])), held, tiling)

        c.each(0, c["batch"], image)
        first = c.sum(c.times(group, c["outputs"]), start)
        c.each(0, count, lambda k: _finish(c, c.sum(first, k), c.float_at(held, c.times(k, c["row"]))))

    c.units(unit)
    return c.text()


def _picture(c: Code, n: Value, span: tuple[Value, Value], seen: str, held: str, tiling: Tiling) -> None:
    """Add what one picture gives for some outputs: strip after strip of channels, some rows at a time, which stay in the
    cache for all of the outputs."""
    start, count = span
    area, step = c.times(c["high"], c["count"]), c.times(c["across"], c["deep"])

    def some(i: Value, j: Value, k: Value, top: Value) -> None:
        corner = c.sum(c.times(i, c["line"]), c.times(j, c["part"]), c.product(k, tiling.width))
        stop = c.least(c.sum(top, c["band"]), c["high"])
        place = c.product(c.sum(c.times(c.sum(c.times(i, c["parts"]), j), c["strips"]), k), tiling.width)

        def outputs(first: Value, rows: int) -> None:
            every = [least(c, c.sum(start, first, r), c["outputs"]) for r in range(rows)]
            slopes = [c.float_at("%grad", c.times(c.sum(c.times(n, c["outputs"]), o), area)) for o in every]

            def down(y: Value, sums: list[Value]) -> list[Value]:
                line = c.float_at(seen, corner, c.product(y, c["down"], c["wide"], c["deep"]))
                left = [c.float_at(s, c.times(y, c["count"])) for s in slopes]
                return product.run(c, sums, left, line, c["count"], tiling, step)

            sums = c.loop(top, stop, c.number(1), product.zeros(c, rows, tiling), down)
            for m, value in enumerate(sums):
                row, vector = divmod(m, tiling.vectors)
                address = c.float_at(held, c.times(c.sum(first, row), c["row"]), place, LANES * vector)
                c.store(c.plus(c.read(address), value), address)

        product.groups(c, count, tiling, outputs)

    def strips(i: Value, j: Value) -> None:
        c.each(0, c["strips"], lambda k: c.each(0, c["high"], lambda y: some(i, j, k, y), c["band"]))

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
