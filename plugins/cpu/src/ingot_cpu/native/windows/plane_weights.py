"""The gradient of a weight of few channels: for each tap, slopes times what it saw, 16 pixels side by side.

Pictures are laid out as in `planes`, band after band. Each unit is some outputs of a group; some of them and some taps are
multiplied at a time, row after row, and what 16 lanes sum of a band is added to that of those before. At last the lanes are
added. So no bit depends on the threads.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingot_devices import dtypes as dt

from ..emit import Value, type_of
from ..jit import Target
from . import product
from .code import LANES, Code, Tiling
from .parts import least, shares
from .planes import NAMES, lay

OPERANDS = ("grad", "x", "out", "space")
"""Behind the constants of `planes` a table: how far each tap shifts, in floats."""


OUTPUTS = 4
"""That are multiplied at a time at most."""


def beside(target: Target) -> dict[int, tuple[int, ...]]:
    """By the outputs that are multiplied at a time, most first: by how many taps. No result depends on it."""
    if target.wide:
        return {OUTPUTS: (5, 1), 2: (5, 1), 1: (9, 3, 1)}
    return {1: (3, 1)} if target.name == "sse2" else {2: (3, 1), 1: (5, 1)}


def text(target: Target, across: int) -> str:
    """The part: (grad, x, out, space); units are threads, which take ``span`` outputs of a group, in which are ``units``."""
    c, tiles = Code(NAMES, OPERANDS), beside(target)
    terms = c.times(c["channels"], c["taps"])

    def unit(number: Value, scratch: Value) -> None:
        pixels, totals = (c.byte_at("%space", c.sum(scratch, c[n])) for n in ("pixels", "results"))
        group, part = c.divide(number, c["units"])
        start = c.times(part, c["span"])
        span = c.least(c.minus(c["outputs"], start), c["span"])
        c.zero(totals, c.product(span, terms, LANES))

        def band(n: Value, line: Value) -> None:
            picture = c.sum(c.times(n, c["groups"]), group)
            lay(c, picture, line, pixels, across)
            plane, lines = c.times(c["high"], c["count"]), c.least(c.minus(c["high"], line), c["band"])

            def outputs(first: Value, count: int) -> None:
                rows = [least(c, c.sum(start, first, k), c["outputs"]) for k in range(count)]
                begins = (c.times(c.sum(c.times(picture, c["outputs"]), o), plane) for o in rows)
                slopes = [c.float_at("%grad", begin, c.times(line, c["count"])) for begin in begins]
                held = c.float_at(totals, c.product(first, terms, LANES))

                def channel(q: Value) -> None:
                    seen = c.float_at(pixels, c.times(q, c["long"]))
                    place = c.float_at(held, c.product(q, c["taps"], LANES))

                    def taps(tap: Value, wide: int) -> None:
                        _products(c, (slopes, lines), seen, (tap, wide), place, c.product(terms, LANES))

                    product.groups(c, c["taps"], Tiling(1, tiles[count]), taps)

                c.each(0, c["channels"], channel)

            product.groups(c, span, Tiling(1, tuple(tiles)), outputs)

        c.each(0, c["batch"], lambda n: c.each(0, c["high"], lambda line: band(n, line), c["band"]))
        place = c.float_at("%out", c.times(group, c["weights"]), c.times(start, terms))

        def total(k: Value) -> None:
            lanes = c.read(c.float_at(totals, c.product(k, LANES)))
            c.store(_together(c, lanes), c.float_at(place, k))

        c.each(0, c.times(span, terms), total)

    shares(c, c["chunks"], unit)
    return c.text()


def _products(
    c: Code, of: tuple[Sequence[str], Value], seen: str, some: tuple[Value, int], totals: str, apart: Value
) -> None:
    """Add what a channel gives for some outputs (their slopes, and lines of these) and taps (the first, and how many).

    Totals of an output are ``apart`` from those of the one before.
    """
    (slopes, lines), (first, taps) = of, some
    every = [least(c, c.sum(first, k), c["taps"]) for k in range(taps)]
    shifts = (c.load(c.at("%consts", dt.index, c.sum(tap, len(NAMES))), dt.index, 0) for tap in every)
    views = [c.float_at(seen, shift) for shift in shifts]
    whole = c.product(c.divide(c["count"], c.number(LANES))[0], LANES)
    rest = c.minus(c["count"], whole)

    def row(y: Value, sums: list[Value]) -> list[Value]:
        def pixels(x: Value, sums: list[Value], mask: str | None = None) -> list[Value]:
            left = [c.read(c.float_at(s, c.times(y, c["count"]), x), mask) for s in slopes]
            right = [c.read(c.float_at(v, c.times(y, c["wide"]), x), mask) for v in views]
            return [c.fused(a, b, sums[k * taps + t]) for k, a in enumerate(left) for t, b in enumerate(right)]

        sums = c.loop(c.number(0), whole, c.number(LANES), sums, pixels)
        more = c.below(c.number(0), rest)
        return c.when(more, lambda: pixels(whole, sums, c.first(rest)), sums)

    zeros = [c.same(0.0)] * (len(slopes) * taps)
    sums = c.loop(c.number(0), lines, c.number(1), zeros, row)
    for k, value in enumerate(sums):
        output, number = divmod(k, taps)
        tap = c.sum(first, number)

        def add(value: Value = value, output: int = output, tap: Value = tap) -> None:
            address = c.float_at(totals, c.product(apart, output), c.product(tap, LANES))
            c.store(c.plus(c.read(address), value), address)

        c.when(c.below(tap, c["taps"]), add)


def _together(c: Code, value: Value) -> Value:
    """The sum of all lanes, of neighbours' halves first."""
    while value.lanes:
        low, high = c.halves(value)
        value = c.op(f"fadd {type_of(low.dtype, low.lanes)} {low.text}, {high.text}", dt.float32, low.lanes)
    return value
