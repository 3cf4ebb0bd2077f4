"""What all convolutions are made of: weights to panels, pixels gathered channel by channel, results scattered back.

A picture is what a group of channels has of an image; outside, images are (N, groups, C, H, W), so that picture number
n · groups + g is group g of image n. Inside a chunk they lie with the channels side by side, so that one vector is 16 channels
of a pixel; the two ways are 16×16 transposes between memory and the cache. A store of 16 lanes may go past a row: what comes
after is written later, in every loop here, and each buffer has room for it at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ingot_devices import dtypes as dt

from ..emit import Value
from .code import LANES, Code, Tiling

Put = Callable[[Value, Value, Value, Sequence[Value]], None]
"""What becomes of 16 taps of 16 outputs: (first output in the panel, q, first tap, a vector for each tap)."""
End = Callable[[Value, Value, Value, Value, str], None]
"""What becomes of 16 results side by side: (vector, place in the batch, pixel, how many of them there are, mask)."""
Ends = Callable[[Value, Sequence[Value]], Sequence[End]]
"""What is known before the pixels of (image, 16 outputs): an end for each of the outputs."""
Finish = Callable[[Code], Ends]


def least(c: Code, index: Value, count: Value) -> Value:
    """``index``, or the last one below ``count``."""
    return c.least(index, c.sum(count, -1))


def block(c: Code, base: str, apart: Value, first: Value, count: Value, mask: str) -> list[Value]:
    """16 rows of 16 floats, ``apart`` floats from each other, transposed. Rows from ``count`` on repeat the last one."""
    rows = [c.float_at(base, c.times(least(c, c.sum(first, k), count), apart)) for k in range(LANES)]
    return c.transposed([c.read(row, mask) for row in rows])


# ---- weights -----------------------------------------------------------------------------------------------------------
def pack(c: Code, tiling: Tiling, panel: Value, start: Value, stop: Value, put: Put) -> None:
    """Read what a weight has for a panel and the q from ``start`` to ``stop``: ``put`` gets 16 taps of 16 outputs at a time.

    Constants: ``outputs``, ``output`` and ``input`` (floats from one output to the next, and from one q), ``taps``; ``panels``
    of a group, and ``weights`` (floats of one).
    """
    group, panel = c.divide(panel, c["panels"])
    weight = c.float_at("%weight", c.times(group, c["weights"]))
    for half in range(0, tiling.width, LANES):
        first = c.sum(c.product(panel, tiling.width), half)

        def one(q: Value, first: Value = first, half: int = half) -> None:
            base = c.float_at(weight, c.product(q, c["input"]))

            def taps(t: Value) -> None:
                count = c.least(c.minus(c["taps"], t), c.number(LANES))
                put(c.number(half), q, t, block(c, c.float_at(base, t), c["output"], first, c["outputs"], c.first(count)))

            c.each(0, c["taps"], taps, LANES)

        c.each(start, stop, one)


def reset(c: Code) -> None:
    """The counter of chunks at the workspace's begin becomes 0: done by the first unit of the first part."""
    start = c.op("icmp eq i64 %lo, 0", dt.bool_, 0)
    c.when(start, lambda: c.do("store i64 0, ptr %space, align 8"))


def panels(names: Sequence[str], tiling: Tiling, flipped: bool) -> str:
    """The part that packs a weight: panels of all groups × (tap, q) × outputs of each. ``flipped``: taps from the last on."""
    c = Code(names)
    reset(c)
    target = c.byte_at("%space", c["packed"])

    def panel(number: Value) -> None:
        start = c.product(number, c["taps"], c["inputs"])

        def put(half: Value, q: Value, first: Value, made: Sequence[Value]) -> None:
            for k, value in enumerate(made):
                tap = c.sum(first, k)
                place = c.minus(c.sum(c["taps"], -1), tap) if flipped else tap
                address = c.float_at(target, c.product(c.sum(start, c.times(place, c["inputs"]), q), tiling.width), half)
                c.when(c.below(tap, c["taps"]), partial(c.store, value, address))

        pack(c, tiling, number, c.number(0), c["inputs"], put)

    c.units(panel)
    return c.text()


# ---- chunks --------------------------------------------------------------------------------------------------------------
def shares(c: Code, count: Value, body: Callable[[Value, Value], None]) -> None:
    """``body(number, scratch)`` for each of ``count`` numbers, which threads take in turn; units are threads."""

    def unit(worker: Value) -> None:
        scratch = c.product(worker, c["scratch"])

        def turn(_: Value) -> None:
            number = c.taken("%space")
            c.when(c.below(number, count), lambda: body(number, scratch))

        c.each(0, count, turn)

    c.units(unit)


class Chunk(NamedTuple):
    """What a thread takes at a time: from picture ``first`` on those of a group, of ``images`` images, from row ``row`` on."""

    first: Value
    images: Value
    row: Value
    scratch: Value
    panel: Value
    """The group's first."""


def chunks(c: Code, body: Callable[[Chunk], None]) -> None:
    """``body`` for each chunk that a thread takes.

    Constants: ``batch``, ``groups``, ``panels`` of a group; ``chunks`` of ``images``, or of ``rows`` where they have ``bands``.
    """

    def chunk(number: Value, scratch: Value) -> None:
        rest, group = c.divide(number, c["groups"])
        some, band = c.divide(rest, c["bands"])
        image = c.times(some, c["images"])
        images, row = c.least(c.minus(c["batch"], image), c["images"]), c.times(band, c["rows"])
        body(Chunk(c.sum(c.times(image, c["groups"]), group), images, row, scratch, c.times(group, c["panels"])))

    shares(c, c["chunks"], chunk)


def gather(c: Code, pixels: str, first: Value, images: Value, top: Value, rows: Value) -> None:
    """Rows of pictures of a group, from picture ``first`` and row ``top`` on (it may lie above), channels side by side, with
    zeros around.

    Constants: ``groups``; ``height``, ``width`` and ``channels`` of a picture; ``left`` (zeros before), ``wide`` (a row with
    zeros), ``deep`` (floats of a pixel).
    """
    plane = c.times(c["height"], c["width"])

    def image(n: Value) -> None:
        source = c.float_at("%x", c.product(c.sum(first, c.times(n, c["groups"])), c["channels"], plane))
        place = c.product(n, rows, c["wide"], c["deep"])

        def row(y: Value) -> None:
            at, line = c.sum(top, y), c.product(c["wide"], c["deep"])
            target = c.float_at(pixels, place, c.times(y, line))
            inside = c.op(f"icmp ult i64 {at.text}, {c['height'].text}", dt.bool_, 0)
            outside = c.op(f"xor i1 {inside.text}, true", dt.bool_, 0)
            c.when(outside, lambda: c.zero(target, line))
            c.when(inside, lambda: _row(c, c.float_at(source, c.times(at, c["width"])), target, plane))

        c.each(0, rows, row)

    c.each(0, images, image)


def _row(c: Code, source: str, target: str, plane: Value) -> None:
    """One row: the zeros on the left, the pixels, and over what these left behind the zeros on the right."""
    before = c.times(c["left"], c["deep"])
    c.zero(target, before)
    blocks = c.divide(c.sum(c["channels"], LANES - 1), c.number(LANES))[0]

    def some(w: Value) -> None:
        mask = c.first(c.least(c.minus(c["width"], w), c.number(LANES)))

        def channels(k: Value) -> None:  # from the last on, whose stores go past the pixel
            first = c.product(c.minus(c.sum(blocks, -1), k), LANES)
            made = block(c, c.float_at(source, w), plane, first, c["channels"], mask)
            for j, value in enumerate(made):
                c.store(value, c.float_at(target, before, c.times(c.sum(w, j), c["deep"]), first))

        c.each(0, blocks, channels)

    c.each(0, c["width"], some, LANES)
    filled = c.sum(before, c.times(c["width"], c["deep"]))
    c.zero(c.float_at(target, filled), c.minus(c.times(c["wide"], c["deep"]), filled))


class Piece(NamedTuple):
    """Results of a chunk: ``pixels`` from ``start`` on of each of some images, from picture ``first`` on; of a group's outputs
    those from ``base`` on."""

    first: Value
    images: Value
    start: Value
    pixels: Value
    base: Value


def scatter(c: Code, results: str, piece: Piece, ends: Ends) -> None:
    """Results (pixel, outputs side by side) to (N, groups, O, pixels).

    Constants: ``groups``, ``outputs`` of each, ``side`` (floats of a pixel's results), ``area`` (pixels of a picture).
    """
    count = piece.pixels

    def image(n: Value) -> None:
        held = c.float_at(results, c.product(n, count, c["side"]))
        picture = c.sum(piece.first, c.times(n, c["groups"]))
        number, group = c.divide(picture, c["groups"])
        before, others = c.times(picture, c["outputs"]), c.times(group, c["outputs"])

        def outputs(o: Value) -> None:
            every = [c.sum(piece.base, o, k) for k in range(LANES)]
            there = [c.below(output, c["outputs"]) for output in every]
            planes = [c.times(c.sum(before, output), c["area"]) for output in every]
            known = ends(number, [c.sum(others, least(c, output, c["outputs"])) for output in every])

            def some(p: Value) -> None:
                left = c.least(c.minus(count, p), c.number(LANES))
                mask, pixel = c.first(left), c.sum(piece.start, p)
                rows = [c.read(c.float_at(held, c.times(c.sum(p, k), c["side"]), o)) for k in range(LANES)]
                for k, value in enumerate(c.transposed(rows)):
                    known[k](value, c.sum(planes[k], pixel), pixel, left, c.where(there[k], mask))

            c.each(0, count, some, LANES)

        c.each(0, c["side"], outputs, LANES)

    c.each(0, piece.images, image)


def plain(c: Code) -> Ends:
    """Results as they are."""

    def end(value: Value, place: Value, pixel: Value, count: Value, mask: str) -> None:
        c.store(value, c.float_at("%out", place), mask)

    return lambda image, outputs: [end] * len(outputs)


def added(c: Code, outputs: Sequence[Value]) -> list[Value]:
    """The bias of each output, in all lanes."""
    return [c.scalar(c.float_at("%bias", output)) for output in outputs]


def biased(c: Code) -> Ends:
    """Results with their output's bias added."""

    def ends(image: Value, outputs: Sequence[Value]) -> list[End]:
        def one(bias: Value) -> End:
            def end(value: Value, place: Value, pixel: Value, count: Value, mask: str) -> None:
                c.store(c.plus(value, bias), c.float_at("%out", place), mask)

            return end

        return [one(bias) for bias in added(c, outputs)]

    return ends
