"""Every group of the opset, imported: makes the table `OPS` whole."""

from __future__ import annotations

from . import (
    adam,
    attention,
    batch_norm,
    class_loss,
    composite,
    contraction,
    convolution,
    copy,
    creation,
    descent,
    index,
    loss,
    mask,
    pointwise,
    pool,
    random,
    reduce,
    scan,
    sort,
    view,
)  # fmt: skip

GROUPS = (
    pointwise, view, copy, creation, reduce, scan, contraction, convolution, pool, index, mask, sort, random,
    composite, batch_norm, loss, class_loss, attention, descent, adam,
)  # fmt: skip
