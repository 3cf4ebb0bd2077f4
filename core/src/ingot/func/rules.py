"""Which op beneath computes an op on lanes, as rows: the same op with the lanes as a further first axis, wherever that will do.

Ops count axes from the right and broadcast, so for most rows nothing else is to be said (`aligned`). The table `RULES` has the
rows that need more: reductions of all axes, losses, products; convolutions and positions have files of their own. A rule gives
None where it does not apply. The row itself is believed only where its own result rule says the same for all lanes as for one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ingot_devices.view import View

from .. import dispatch
from ..autograd.eager import builder
from . import images, positions
from .call import Call

Rule = Callable[[Call], Any]


ROWWISE = frozenset("composite copy index pointwise reduce scan sort window".split())
"""The groups whose rows may be believed. What an op of somebody else's does with a further axis is not known."""


def aligned(call: Call) -> Any:
    """The row as it is. What has fewer axes than others, or broadcasts, need not have the lanes where it is the same in all."""
    op, rank = call.op, call.rank
    if op.group not in ROWWISE or (op.group == "pointwise" and _promotes_otherwise(call)):
        return None
    if rank == 0 and ("axis" in call.attrs or "axes" in call.attrs):
        return None  # the axis of a number would be that of the lanes
    operands = [
        call.at(k, rank) if op.group == "pointwise" or call.ranks[k] < rank else call.whole(k) for k in range(len(call.values))
    ]
    return call.run(operands, **_shaped(call))


def _shaped(call: Call) -> dict[str, Any]:
    """The ``shape`` that a row is told, with the lanes."""
    shape = call.attrs.get("shape")
    return {} if shape is None else {"shape": (call.size, *shape)}


def _promotes_otherwise(call: Call) -> bool:
    """True where a number of each lane, which promotes less than a tensor, would be a tensor beneath."""
    kinds = {v._layout.dtype for v in call.values if isinstance(v, View)}
    return len(kinds) > 1 and any(call.differs(k) and not call.ranks[k] for k in range(len(call.values)))


def drawn(call: Call) -> Any:
    """Random numbers of each lane's own: those of a tensor with all lanes."""
    if call.op.decompose is not None or any(isinstance(v, View) for v in call.values):
        return None
    return dispatch.call(call.op, call.values, tuple((call.attrs | _shaped(call)).values()), call.device.beneath)


def _reduced(call: Call) -> Any:
    """Over all axes of a lane, where none are named."""
    if call.attrs["axes"] is not None:
        return call.run([call.at(0)])
    if call.rank:
        return call.run([call.at(0)], axes=tuple(range(-call.rank, 0)))
    return call.run([call.at(0, 1)], axes=(-1,), keepdim=False)


def _placed(call: Call) -> Any:
    """argmax and argmin, over all elements of a lane where no axis is named."""
    if call.attrs["axis"] is not None:
        return call.run([call.at(0)])
    made = dispatch.call(call.op, [builder.view(call.at(0), shape=(call.size, prod(call.shape(0))))], (-1, False))
    return builder.view(made, shape=(call.size, *call.outputs[0].shape))


def _repeated(call: Call) -> Any:
    repeats = call.attrs["repeats"]
    return call.run([call.at(0, len(repeats))], repeats=(1, *repeats))


def _loss(call: Call) -> Any:
    """The loss of each element, then its sum or mean by lane."""
    each = dispatch.call(call.op, [call.at(k, call.rank) for k in range(len(call.values))], ("none",))
    reduction = call.attrs["reduction"]
    if reduction == "none" or not call.rank:
        return each
    rows = builder.view(each, shape=(call.size, prod(each._layout.shape[1:])))
    return getattr(builder, reduction)(rows, axes=(-1,), keepdim=False, dtype=None)


# ---- products ------------------------------------------------------------------------------------------------------------
def _matrices(call: Call) -> Any:
    """Products and decompositions of matrices, whose leading axes broadcast."""
    return call.run([call.at(k, call.rank) for k in range(len(call.values))])


def _linear(call: Call) -> Any:
    """One product where the weight is the same for all lanes, else a product by lane."""
    *lead, inner = call.shape(0)
    bias = call.values[2]
    if call.differs(1):
        rows = builder.view(call.whole(0), shape=(call.size, prod(lead), inner))
        made = builder.matmul(rows, builder.permute(call.at(1), dims=(-3, -1, -2)))
        made = builder.view(made, shape=(call.size, *call.outputs[0].shape))
    elif call.differs(2):
        made = builder.linear(call.whole(0), call.at(1), None)
    else:
        return call.run([call.whole(0), call.at(1), call.at(2)])
    return made if bias is None else builder.add(made, call.at(2, len(call.outputs[0].shape)))


def _addmm(call: Call) -> Any:
    beta, alpha = call.values[3], call.values[4]
    if isinstance(beta, View) or isinstance(alpha, View):
        return None
    made = builder.matmul(call.at(1, 2), call.at(2, 2))
    made = made if alpha == 1 else builder.mul(made, alpha)
    added = call.at(0, 2)
    if beta == 0:
        return made
    return builder.add(made, added if beta == 1 else builder.mul(added, beta))


# ---- normalisation, and losses by class ------------------------------------------------------------------------------------
def _layer_norm(call: Call) -> Any:
    """Weights that differ by lane are multiplied in behind."""
    eps, count = call.values[3], call.attrs["count"]
    if not (call.differs(1) or call.differs(2)):
        return call.run([call.whole(0), call.at(1), call.at(2), eps])
    out, mean, rstd = dispatch.call(call.op, (call.whole(0), None, None, eps), (count,))
    for k, name in ((1, "mul"), (2, "add")):
        if call.values[k] is not None:
            out = getattr(builder, name)(out, call.at(k, call.rank))
    return out, mean, rstd


def _layer_norm_backward(call: Call) -> Any:
    if call.differs(2):
        return None
    return call.run([call.whole(0), call.whole(1), call.at(2), call.whole(3), call.whole(4), call.values[5]])


def _by_class(call: Call) -> Any:
    """Losses of rows; the weights of the classes must be the same in all lanes."""
    at = call.op.names.index("weight")
    if call.differs(at):
        return None
    return call.run([call.at(k) if k == at else call.whole(k) for k in range(len(call.values))])


def _never(call: Call) -> Any:
    """By decomposition, or lane after lane."""
    return None


FACTORS = "inv det slogdet solve solve_triangular cholesky qr qr_complete eigh eigvalsh svd svd_full svdvals".split()


def _each(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    **_each("sum mean prod count_nonzero var std norm logsumexp amax amin any all", _reduced),
    **_each("argmax argmin", _placed),
    **_each("mse_loss binary_cross_entropy binary_cross_entropy_with_logits", _loss),
    **_each("nll_loss_rows nll_loss_rows_backward cross_entropy_rows", _by_class),
    **_each("batch_norm batch_norm_backward batch_norm_weight_backward batch_norm_inference", images.batch_norm),
    **_each("convolution convolution_input convolution_weight", images.convolution),
    **{name: getattr(positions, name) for name in positions.__all__},
    "repeat": _repeated, "matmul": _matrices, "linear": _linear, "addmm": _addmm,
    **_each(" ".join(f"linalg::{n}" for n in FACTORS), _matrices),
    "layer_norm": _layer_norm, "layer_norm_backward": _layer_norm_backward,
    # all of a lane's elements go into one result there, or what they are told about memory is no more so
    **_each("mse_loss_backward bce_backward bce_with_logits_backward cross_entropy soft_cross_entropy nll_loss", _never),
    **_each("cross_entropy_backward layer_norm_weight_backward as_strided_backward bincount fill_diagonal", _never),
    **_each("index_add searchsorted batch_norm_update", _never),
}  # fmt: skip
"""Rows that need more than one axis more, by name."""
