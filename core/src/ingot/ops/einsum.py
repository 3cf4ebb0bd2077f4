"""Einstein summation: an equation as matrix products of views, planned once for the operands' shapes.

    "bij,bjk->bik", shapes ─ `_planned` ─▶ for each product how both sides are laid out, and the result's shape ─▶ launches

Operands are contracted from left to right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .common import run

Shape = tuple[int, ...]
REMEMBERED = 1024
"""Equations with shapes whose plans are kept."""


class Side(NamedTuple):
    """What is done to an operand, in this order; nothing where it is empty or None."""

    diagonals: tuple[tuple[int, int], ...] = ()
    summed: tuple[int, ...] = ()
    order: Shape | None = None
    sizes: Shape | None = None
    shape: Shape | None = None

    def __call__(self, x: Any) -> Any:
        for i, j in self.diagonals:
            x = x.diagonal(0, i, j)
        if self.summed:
            x = x.sum(dim=self.summed)
        if self.order is not None:
            x = x.permute(self.order)
        if self.sizes is not None:
            x = x.expand(self.sizes)
        return x if self.shape is None else x.reshape(self.shape)


class Product(NamedTuple):
    """A product of two sides, and its shape where that is not a batch of matrices."""

    left: Side
    right: Side
    shape: Shape | None


class Terms(NamedTuple):
    """An operand while a plan is made: its axes' labels and sizes, what was done so far."""

    labels: tuple[str, ...]
    sizes: Shape
    done: Side = Side()

    def summed(self, kept: set[str]) -> Terms:
        """Without the axes that nobody else needs."""
        gone = tuple(k for k, c in enumerate(self.labels) if c not in kept)
        left = [k for k in range(len(self.labels)) if k not in gone]
        labels, sizes = tuple(self.labels[k] for k in left), tuple(self.sizes[k] for k in left)
        return Terms(labels, sizes, self.done._replace(summed=gone))

    def laid_out(self, groups: Sequence[Sequence[str]], size: dict[str, int]) -> Side:
        """The first group's axes as they are, each of the others as one axis."""
        order = tuple(self.labels.index(c) for g in groups for c in g)
        sizes = tuple(size[c] for g in groups for c in g)
        shape = (*(size[c] for c in groups[0]), *(math.prod(size[c] for c in g) for g in groups[1:]))
        return self.done._replace(
            order=None if order == tuple(range(len(order))) else order,
            sizes=None if sizes == tuple(self.sizes[k] for k in order) else sizes,
            shape=None if shape == sizes else shape,
        )


def einsum(equation: str, *operands: Any) -> Any:
    """Einstein summation (``"bij,bjk->bik"``); ``...`` stands for broadcast axes. Operands are contracted left to right."""
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    products, last = _planned(equation, tuple([x._layout.shape for x in operands]))
    x = operands[0]
    for (left, right, shape), y in zip(products, operands[1:], strict=True):
        x = run("matmul", left(x), right(y))
        if shape is not None:
            x = x.reshape(shape)
    return last(x)


@lru_cache(REMEMBERED)
def _planned(equation: str, shapes: tuple[Shape, ...]) -> tuple[tuple[Product, ...], Side]:
    """The products, and what becomes of the last one."""
    terms, output = _parsed(equation, shapes)
    single = [_once(n, labels, sizes) for n, (labels, sizes) in enumerate(zip(terms, shapes, strict=True))]
    x, products = single[0], []
    for k, y in enumerate(single[1:], 1):
        product, x = _product(x, y, set(output).union(*terms[k + 1 :]))
        products.append(product)
    x = x.summed(set(output))
    order = tuple(x.labels.index(c) for c in output)
    return tuple(products), x.done._replace(order=None if order == tuple(range(len(order))) else order)


def _parsed(equation: str, shapes: tuple[Shape, ...]) -> tuple[list[list[str]], list[str]]:
    """The labels of each operand's axes and of the result's; those of ``...`` are <0>, <1>, …"""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(shapes):
        raise RuntimeError(f"einsum(): {equation!r} names {len(parts)} operands, {len(shapes)} were given")
    beyond = [len(s) - len(p.replace("...", "")) for p, s in zip(parts, shapes, strict=True)]
    wide = max((n for p, n in zip(parts, beyond, strict=True) if "..." in p), default=0)
    dots = [f"<{k}>" for k in range(wide)]
    terms = []
    for part, shape, n in zip(parts, shapes, beyond, strict=True):
        head, found, tail = part.partition("...")
        if n < 0 or (n and not found):
            raise RuntimeError(
                f"einsum(): the number of subscripts in {part!r} does not match the number of dimensions ({len(shape)})"
            )
        terms.append([*head, *dots[wide - n :], *tail] if found else list(part))
    if arrow:
        head, found, tail = right.partition("...")
        output = [*head, *dots, *tail] if found else list(right)
    else:
        flat = [c for t in terms for c in t]
        output = dots + sorted(c for c in set(flat) if flat.count(c) == 1 and len(c) == 1)
    unknown = set(output) - {c for t in terms for c in t}
    if unknown:
        raise RuntimeError(
            f"einsum(): output subscript {min(unknown)} does not appear in the equation for any input operand"
        )
    return terms, output


def _once(number: int, labels: Sequence[str], sizes: Sequence[int]) -> Terms:
    """An operand with each label once: of repeated ones the diagonal, whose axis comes last."""
    labels, sizes, diagonals = list(labels), list(sizes), []
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            if sizes[i] != sizes[j]:
                raise RuntimeError(
                    f"einsum(): subscript {c} is repeated for operand {number} but the sizes don't match, "
                    f"{sizes[i]} != {sizes[j]}"
                )
            diagonals.append((i, j))
            labels.append(c)
            sizes.append(sizes[i])
            for k in (j, i):
                del labels[k], sizes[k]
    return Terms(tuple(labels), tuple(sizes), Side(tuple(diagonals)))


def _product(x: Terms, y: Terms, later: set[str]) -> tuple[Product, Terms]:
    """Contract two operands: labels of both that nothing needs later are summed, as one matrix product."""
    x, y = x.summed({*later, *y.labels}), y.summed({*later, *x.labels})
    size: dict[str, int] = {}
    for c, n in zip((*x.labels, *y.labels), (*x.sizes, *y.sizes), strict=True):
        if size.setdefault(c, n) != n:
            if 1 not in (n, size[c]):
                raise RuntimeError(f"einsum(): subscript {c} has size {n} for one operand and {size[c]} for another")
            size[c] = max(n, size[c])
    batch = [c for c in x.labels if c in y.labels and c in later]
    summed = [c for c in x.labels if c in y.labels and c not in later]
    left = [c for c in x.labels if c not in y.labels]
    right = [c for c in y.labels if c not in x.labels]
    labels = (*batch, *left, *right)
    sizes = tuple(size[c] for c in labels)
    shape = sizes if len(left) != 1 or len(right) != 1 else None
    product = Product(x.laid_out((batch, left, summed), size), y.laid_out((batch, summed, right), size), shape)
    return product, Terms(labels, sizes)
