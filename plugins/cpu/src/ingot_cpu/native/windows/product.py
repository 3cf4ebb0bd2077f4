"""Rows times a packed panel, held in registers: what convolutions spend their time in.

    out[r, j] = Σ over k of rows[r][k] · panel[k][j]        a few rows at a time, 16 or 32 outputs j side by side

Each output is one chain of fused multiply-adds over k, in order, so it has the same bits for any tiling (BLIS: Van Zee and van
de Geijn, 2015, call this the micro-kernel). Rows need not lie at one distance: each has an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingot_devices import dtypes as dt

from ..emit import Value
from .code import FLOAT, LANES, Code, Tiling

Store = Callable[[int, Sequence[Value]], None]


def run(
    c: Code, held: Sequence[Value], rows: Sequence[str], panel: str, length: Value, tiling: Tiling, step: Value | int = 0
) -> list[Value]:
    """``held`` (a vector for each row and 16 outputs) with the products over ``length`` terms added.

    ``step``: floats between one term of the panel and the next; 0 for a packed one.
    """
    vectors = tiling.vectors
    apart = tiling.width if step == 0 else step

    def one(k: Value, sums: list[Value]) -> list[Value]:
        at = c.float_at(panel, c.product(k, apart))
        right = [c.read(c.float_at(at, LANES * v)) for v in range(vectors)]
        made = []
        for r, row in enumerate(rows):
            left = c.scalar(c.float_at(row, k))
            made += [c.fused(left, right[v], sums[r * vectors + v]) for v in range(vectors)]
        return made

    return c.loop(c.number(0), length, c.number(1), held, one)


def groups(c: Code, count: Value, tiling: Tiling, body: Callable[[Value, int], None]) -> None:
    """``body(first, rows)`` for ``count`` rows, as many at a time as registers hold.

    The last call may go past ``count``, by fewer rows than it takes: what lies there is computed and not used.
    """
    most = tiling.rows[0]
    whole = c.times(c.divide(count, c.number(most))[0], c.number(most))
    c.each(0, whole, lambda first: body(first, most), most)
    rest = c.minus(count, whole)
    bounds = [*tiling.rows[1:], 0]
    for rows, least in zip(tiling.rows, bounds, strict=True):
        fits = c.op(f"icmp sgt i64 {rest.text}, {least}", dt.bool_, 0)
        if rows != most:
            within = c.op(f"icmp sle i64 {rest.text}, {rows}", dt.bool_, 0)
            fits = c.op(f"and i1 {fits.text}, {within.text}", dt.bool_, 0)

        def last(rows: int = rows) -> None:
            body(whole, rows)

        c.when(fits, last)


def zeros(c: Code, rows: int, tiling: Tiling) -> list[Value]:
    """Sums before any term."""
    return [c.same(0.0)] * (rows * tiling.vectors)


def put(c: Code, sums: Sequence[Value], target: str, apart: Value, tiling: Tiling) -> None:
    """Sums to memory, each row ``apart`` floats from the one before it."""
    for k, value in enumerate(sums):
        row, vector = divmod(k, tiling.vectors)
        c.store(value, c.float_at(target, c.product(apart, row), LANES * vector))


__all__ = ["FLOAT", "groups", "put", "run", "zeros"]
