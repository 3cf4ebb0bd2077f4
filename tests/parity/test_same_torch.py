"""Ingot beside PyTorch: one call, the same shape, dtype and values, or the same type of error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ingot_tools.conformance.harness.data import arrays_of
from ingot_tools.conformance.harness.subject import Subject
from ingot_tools.conformance.records import RECORDS
from ingot_tools.conformance.records.record import Record

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("record", [r for r in RECORDS.values() if r.group != "random"], ids=str)
def test_same_result(ingot: Any, torch: Any, record: Record) -> None:
    ours, theirs = Subject(ingot, "cpu"), Subject(torch, "cpu")
    dtype = record.main_dtype
    for sample in record.samples:
        arrays = arrays_of(record, sample, dtype)
        results = []
        for subject in (ours, theirs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tensors = [subject.tensor(a) for a in arrays]
                results.append(subject.call(record, sample, tensors, dtype))
        for mine, wanted in zip(*results, strict=True):
            assert tuple(mine.shape) == tuple(wanted.shape)
            assert ours.name(mine) == theirs.name(wanted)
            if record.reference is not None:
                found, expected = ours.read(mine), theirs.read(wanted)
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=absolute(record, expected), err_msg=str(sample))


def absolute(record: Record, values: Any) -> float:
    """1e-5; for a running sum, whose terms cancel on the way, a millionth of its largest value where that is more.

    Both sides round each step in float32, in an order of their own; the judge of either is the reference, in ulp.
    """
    if record.name != "cumsum":
        return 1e-5
    return 1e-6 * max(10.0, float(np.abs(np.asarray(values, np.float64)).max(initial=0.0)))


BAD: dict[str, Callable[[Any], Any]] = {
    "shapes of add": lambda t: t.ones(2, 3) + t.ones(4),
    "shapes of matmul": lambda t: t.ones(2, 3) @ t.ones(2, 3),
    "mm of a vector": lambda t: t.mm(t.ones(2), t.ones(2, 2)),
    "bmm of matrices": lambda t: t.bmm(t.ones(2, 2), t.ones(2, 2)),
    "dot of matrices": lambda t: t.dot(t.ones(2, 2), t.ones(2, 2)),
    "linear": lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 2)),
    "axis of sum": lambda t: t.ones(2).sum(3),
    "axis of softmax": lambda t: t.ones(2).softmax(1),
    "axis of cat": lambda t: t.cat([t.ones(2), t.ones(2)], dim=1),
    "axis of stack": lambda t: t.stack([t.ones(2)], dim=2),
    "axis of unsqueeze": lambda t: t.ones(2).unsqueeze(3),
    "axis of topk": lambda t: t.ones(2).topk(1, dim=4),
    "repeated axes": lambda t: t.ones(2, 2).sum((0, 0)),
    "sizes of cat": lambda t: t.cat([t.ones(2, 2), t.ones(2, 3)]),
    "cat of no list": lambda t: t.cat(t.ones(2)),
    "sizes of stack": lambda t: t.stack([t.ones(2), t.ones(3)]),
    "reshape": lambda t: t.ones(6).reshape(4, 2),
    "view of a transpose": lambda t: t.ones(2, 3).t().view(6),
    "expand": lambda t: t.ones(3).expand(4),
    "repeat of too few": lambda t: t.ones(2, 3).repeat(2),
    "permute": lambda t: t.ones(2, 3).permute(0),
    "split sizes": lambda t: t.ones(5).split([2, 2]),
    "t of three axes": lambda t: t.ones(1, 2, 3).t(),
    "narrow": lambda t: t.ones(3).narrow(0, 2, 5),
    "unfold": lambda t: t.ones(3).unfold(0, 5, 1),
    "index too large": lambda t: t.ones(3)[3],
    "too many indices": lambda t: t.ones(3)[0, 0],
    "float index": lambda t: t.ones(3)[t.tensor([0.5])],
    "mask of another shape": lambda t: t.ones(3)[t.tensor([True])],
    "gather by floats": lambda t: t.ones(3).gather(0, t.ones(1)),
    "gather of other rank": lambda t: t.ones(3, 3).gather(0, t.tensor([0])),
    "index_select by matrix": lambda t: t.ones(3).index_select(0, t.tensor([[0]])),
    "neg of bool": lambda t: -t.tensor([True]),
    "bits of floats": lambda t: t.ones(2) & t.ones(2),
    "mean of integers": lambda t: t.tensor([1]).mean(),
    "softmax of integers": lambda t: t.tensor([1]).softmax(0),
    "in-place cast": lambda t: t.tensor([1]).add_(1.5),
    "in-place growth": lambda t: t.ones(2).add_(t.ones(3, 2)),
    "max of nothing": lambda t: t.zeros(0).max(),
    "item of two": lambda t: t.ones(2).item(),
    "bool of two": lambda t: bool(t.ones(2)),
    "text": lambda t: t.ones(2) + "a",
    "exp of a number": lambda t: t.exp(1.0),
    "unknown keyword": lambda t: t.ones(2).sum(axes=1),
    "unknown attribute": lambda t: t.ones(2).nonesuch,
    "ragged": lambda t: t.tensor([[1], [1, 2]]),
    "einsum sizes": lambda t: t.einsum("ij,jk->ik", t.ones(2, 3), t.ones(2, 3)),
    "einsum letters": lambda t: t.einsum("ij->ik", t.ones(2, 3)),
    "negative size": lambda t: t.zeros(-1),
    "arange backwards": lambda t: t.arange(3, 0),
    "target shape": lambda t: t.nn.functional.cross_entropy(t.ones(2, 3), t.tensor([0])),
    "reduction": lambda t: t.nn.functional.mse_loss(t.ones(2), t.ones(2), reduction="max"),
    "dropout probability": lambda t: t.nn.functional.dropout(t.ones(2), p=2.0),
    "layer_norm shape": lambda t: t.nn.functional.layer_norm(t.ones(2, 3), (2,)),
    "integer gradient": lambda t: t.tensor([1], requires_grad=True),
    "backward of nothing": lambda t: t.ones(1).sum().backward(),
    "backward of a vector": lambda t: (t.ones(2, requires_grad=True) * 1).backward(),
    "numpy with gradient": lambda t: t.ones(1, requires_grad=True).numpy(),
    "in-place on a leaf": lambda t: t.ones(1, requires_grad=True).add_(1),
    "unknown device": lambda t: t.zeros(1, device="nonesuch"),
    "learning rate": lambda t: t.optim.SGD([t.ones(1, requires_grad=True)], lr=-1),
    "no parameters": lambda t: t.optim.Adam([]),
    "prelu of two axes": lambda t: t.nn.functional.prelu(t.ones(2, 3), t.ones(1, 3)),
    "prelu of other channels": lambda t: t.nn.functional.prelu(t.ones(2, 3), t.ones(2)),
    "prelu of another dtype": lambda t: t.nn.functional.prelu(t.ones(3), t.ones(1, dtype=t.float64)),
    "glu of an odd size": lambda t: t.nn.functional.glu(t.ones(3)),
    "glu of a number": lambda t: t.nn.functional.glu(t.ones(())),
    "axis of glu": lambda t: t.nn.functional.glu(t.ones(2, 2), 5),
    "softshrink below 0": lambda t: t.nn.functional.softshrink(t.ones(2), -0.5),
    "celu of 0": lambda t: t.nn.functional.celu(t.ones(2), 0.0),
    "bounds of rrelu": lambda t: t.nn.functional.rrelu(t.ones(2), 0.5, 0.1),
    "bounds of hardtanh": lambda t: t.nn.functional.hardtanh(t.ones(2), 1, -1),
    "bounds of Hardtanh": lambda t: t.nn.Hardtanh(1, 1),
    "hardtanh below 0 of what is not": lambda t: t.nn.functional.hardtanh(t.ones(2, dtype=t.uint8)),
    "hardtanh of truth": lambda t: t.nn.functional.hardtanh(t.tensor([True])),
    "threshold of truth": lambda t: t.nn.functional.threshold(t.tensor([True]), 0, 1),
    "mish of integers": lambda t: t.nn.functional.mish(t.tensor([1])),
    "elu of integers": lambda t: t.nn.functional.elu(t.tensor([1])),
    "axes of Softmax2d": lambda t: t.nn.Softmax2d()(t.ones(2, 2)),
    "no probability": lambda t: t.nn.functional.binary_cross_entropy(t.tensor([2.0]), t.tensor([1.0])),
    "NaN as a probability": lambda t: t.nn.functional.binary_cross_entropy(t.tensor([float("nan")]), t.tensor([1.0])),
    "no probability as a target": lambda t: t.nn.functional.binary_cross_entropy(t.tensor([0.5]), t.tensor([-1.0])),
    "sizes of bce": lambda t: t.nn.functional.binary_cross_entropy(t.ones(2, 1), t.ones(2)),
    "kl_div of integers": lambda t: t.nn.functional.kl_div(t.ones(2), t.tensor([1, 0]), reduction="sum"),
    "reduction of kl_div": lambda t: t.nn.functional.kl_div(t.ones(2), t.ones(2), reduction="rows"),
    "reduction of gaussian_nll": lambda t: t.nn.functional.gaussian_nll_loss(*[t.ones(2)] * 3, reduction="batchmean"),
    "delta of huber": lambda t: t.nn.functional.huber_loss(t.ones(2), t.ones(2), delta=0.0),
    "type of Huber's delta": lambda t: t.nn.HuberLoss(delta="1"),
    "weights of huber": lambda t: t.nn.functional.huber_loss(t.ones(2, 2), t.ones(2, 2), weight=t.ones(2)),
    "a negative variance": lambda t: t.nn.functional.gaussian_nll_loss(t.ones(2), t.ones(2), -t.ones(2)),
    "a negative variance as a number": lambda t: t.nn.functional.gaussian_nll_loss(t.ones(2), t.ones(2), -1.0),
    "size of a variance": lambda t: t.nn.functional.gaussian_nll_loss(t.ones(4, 2), t.ones(4, 2), t.ones(1, 1)),
    "axes of margin_ranking": lambda t: t.nn.functional.margin_ranking_loss(t.ones(2), t.ones(2), t.ones(())),
    "sizes of soft_margin": lambda t: t.nn.functional.soft_margin_loss(t.ones(2, 1), t.ones(2)),
    "multilabel of a number": lambda t: t.nn.functional.multilabel_soft_margin_loss(t.ones(()), t.ones(())),
    "p of multi_margin": lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3), t.tensor([0, 1]), p=3),
    "p of MultiMargin": lambda t: t.nn.MultiMarginLoss(p=0),
    "axes of multi_margin": lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3, 4), t.tensor([0, 1])),
    "targets of multi_margin": lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3), t.tensor([0, 1, 1])),
    "dtype of a target": lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3), t.tensor([0.0, 1.0])),
    "a target that is no class": lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3), t.tensor([0, 5])),
    "weights of multi_margin": lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3), t.tensor([0, 1]), weight=t.ones(2)),
    "cosine of integers": lambda t: t.nn.functional.cosine_similarity(t.tensor([1, 2]), t.tensor([1, 2]), dim=0),
    "axis of a cosine": lambda t: t.nn.functional.cosine_similarity(t.ones(2), t.ones(2)),
    "targets of cosine_embedding": lambda t: t.nn.functional.cosine_embedding_loss(t.ones(2, 3), t.ones(2, 3), t.ones(2, 2)),
    "axes of cosine_embedding": lambda t: t.nn.functional.cosine_embedding_loss(t.ones(2, 3), t.ones(3), t.ones(2)),
    "sizes of pairwise_distance": lambda t: t.nn.functional.pairwise_distance(t.ones(2, 3), t.ones(2)),
    "axes of triplets": lambda t: t.nn.functional.triplet_margin_loss(t.ones(2, 3), t.ones(2, 3), t.ones(3)),
    "margin of triplets": lambda t: t.nn.TripletMarginLoss(margin=-1),
    "margin of triplets with a distance": lambda t: t.nn.TripletMarginWithDistanceLoss(margin=0),
    "one_hot too small": lambda t: t.nn.functional.one_hot(t.tensor([3]), 2),
    "shape of a parameter": lambda t: t.nn.Linear(2, 2).load_state_dict({}),
}


@pytest.mark.parametrize("name", BAD)
def test_same_type_of_error(ingot: Any, torch: Any, name: str) -> None:
    with pytest.raises(Exception) as theirs:
        BAD[name](torch)
    family = RuntimeError if issubclass(theirs.type, RuntimeError) else theirs.type
    with pytest.raises(family):  # "not implemented for 'Float'" is a RuntimeError that says more
        BAD[name](ingot)
