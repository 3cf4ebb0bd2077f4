"""Every group of the opset, imported: makes the table `OPS` whole."""

from __future__ import annotations

from . import (
    activation,
    adam,
    attention,
    batch_norm,
    binary_loss,
    border,
    class_loss,
    composite,
    contraction,
    convolution,
    copy,
    creation,
    descent,
    gates,
    index,
    loss,
    mask,
    pointwise,
    pool,
    random,
    reduce,
    resize,
    scan,
    sort,
    special,
    view,
)  # fmt: skip

GROUPS = (
    pointwise, activation, special, view, copy, border, creation, reduce, scan, contraction, convolution, pool, resize, index,
    mask, sort, random, composite, batch_norm, loss, binary_loss, class_loss, attention, gates, descent, adam,
)  # fmt: skip
