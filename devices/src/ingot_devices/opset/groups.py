"""Every group of the opset, imported: makes the table `OPS` whole."""

from __future__ import annotations

from . import (
    attention,
    class_loss,
    composite,
    contraction,
    copy,
    creation,
    index,
    loss,
    mask,
    optimizer,
    pointwise,
    random,
    reduce,
    scan,
    sort,
    view,
)  # fmt: skip

GROUPS = (
    pointwise, view, copy, creation, reduce, scan, contraction, index, mask, sort, random, composite, loss,
    class_loss, attention, optimizer,
)  # fmt: skip
