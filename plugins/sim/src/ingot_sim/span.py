"""Which values an index expression can take, as far as its form tells: loads that need no test."""

from __future__ import annotations

from collections.abc import Sequence

from ingot_devices.ir.expr import Expr

Span = tuple[int, int]


def span(e: Expr, extents: Sequence[int]) -> Span | None:
    """The least and greatest value of ``e`` over axes of these extents; None where the form does not tell."""
    if e.op == "const":
        return int(e.value), int(e.value)
    if e.op == "index":
        return 0, extents[e.value] - 1
    if e.op not in ("add", "sub", "mul", "idiv", "mod"):
        return None
    a, b = (span(x, extents) for x in e.args)
    if b is None:
        return None
    if e.op == "mod":
        return (0, b[0] - 1) if b[0] == b[1] > 0 else None
    if a is None:
        return None
    if e.op == "idiv":
        return (a[0] // b[0], a[1] // b[0]) if b[0] == b[1] > 0 else None
    if e.op == "add":
        return a[0] + b[0], a[1] + b[1]
    if e.op == "sub":
        return a[0] - b[1], a[1] - b[0]
    products = [x * y for x in a for y in b]
    return min(products), max(products)
