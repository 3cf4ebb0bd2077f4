"""The order in which a kernel combines what it reduces, as far as its definition and layouts decide it.

A reduction's tree is fixed by its length, the schedule that a device chooses, and the order in which the definition's axes are
walked: over transposed memory that is another. A fused kernel must have the tree of the kernel that it takes the place of, or
its sums would round otherwise: fusion compares the two `shape_of`.
"""

from __future__ import annotations

from typing import Any

from ..codegen import monoids
from ..codegen.bind import bind
from ..codegen.collapse import collapse, groups
from ..codegen.schedules import order, split
from ..ir.expr import Expr, walk
from ..layout import Layout
from ..plan import Ref
from .graph import Node


def layouts_of(node: Node) -> dict[int, Layout]:
    """The layout of each tensor operand, by number."""
    return {n: o.layout for n, o in enumerate(node.operands) if isinstance(o, Ref) and o.layout is not None}


def shape_of(node: Node, device: Any) -> Any:
    """What decides the order of a node's reductions on ``device``; equal for two nodes that round alike.

    A code generator that does not use the contract's schedules says it itself: ``tree(definition, layouts)``.
    """
    assert node.definition is not None
    own = getattr(device.codegen, "tree", None)
    if own is not None:
        return own(node.definition, layouts_of(node))
    loops = collapse(monoids.rewrite(bind(node.definition, layouts_of(node))))
    stages = [(s.kind, s.monoid, tuple((loops.extents[a], loops.walked(a)) for a in s.over)) for s in loops.stages]
    return stages, [order(loops, group, device.limits) for group in split(loops)]


def walked(node: Node) -> Any:
    """For each reduction the axes that it walks as one, in order: two of one length may go over elements in another."""
    assert node.definition is not None
    loops = monoids.rewrite(bind(node.definition, layouts_of(node)))
    together = groups(loops)
    return [sorted(g for g in together if set(g) & set(s.over)) for s in loops.stages]


def is_contraction(node: Node) -> bool:
    """True for a sum of a product whose factors vary over different axes: a matrix product, a convolution."""
    d = node.definition
    if d is None:
        return False
    for stage in d.stages:
        value = stage.value
        while value.op == "cast":
            value = value.args[0]
        if stage.monoid == "sum" and value.op == "mul":
            a, b = (_axes(x) for x in value.args)
            if a - b and b - a:
                return True
    return False


def _axes(expression: Expr) -> frozenset[int]:
    return frozenset(n.value for n in walk(expression) if n.op == "index")
