"""nn, optim and utils.data beside PyTorch's: signatures, reprs, training runs, initial values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

DIFFERS = {
    ("Parameter", "data"),
    ("Optimizer", "params"),
    ("LogSoftmax", "dim"),
}


# ---- names and defaults --------------------------------------------------------------------------

PLACES = (
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "optim",
    "optim.lr_scheduler",
    "optim.swa_utils",
    "utils.data",
)


def place(library: Any, path: str) -> Any:
    for name in path.split("."):
        library = getattr(library, name)
    return library


@pytest.mark.parametrize("path", PLACES)
def test_signatures_are_pytorchs(ingot: Any, torch: Any, path: str) -> None:
    ours, theirs = place(ingot, path), place(torch, path)
    checked = 0
    for name, thing in vars(ours).items():
        if name.startswith("_") or not callable(thing) or not hasattr(theirs, name):
            continue
        if not getattr(thing, "__module__", "").startswith("ingot"):
            continue
        try:
            wanted = inspect.signature(getattr(theirs, name)).parameters
        except ValueError:
            continue  # written in C++, without a signature
        flexible = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
        for parameter in inspect.signature(thing).parameters.values():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if (name, parameter.name) in DIFFERS or (flexible and parameter.name not in wanted):
                continue
            said = f"{path}.{name}({parameter.name})"
            assert parameter.name in wanted, said
            default = wanted[parameter.name].default
            if str(default).startswith("<") and default is not inspect.Parameter.empty:
                continue  # a marker of PyTorch's own
            assert parameter.default == default or parameter.default is default, said
        checked += 1
    assert checked >= 3, f"only {checked} names of {path} were compared"


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.nn.Linear(3, 4),
        lambda t: t.nn.Linear(3, 4, bias=False),
        lambda t: t.nn.Embedding(5, 3, padding_idx=-1),
        lambda t: t.nn.LayerNorm((2, 3), eps=1e-6),
        lambda t: t.nn.LayerNorm(3, elementwise_affine=False),
        lambda t: t.nn.GELU("tanh"),
        lambda t: t.nn.ReLU(inplace=True),
        lambda t: t.nn.ELU(0.5),
        lambda t: t.nn.LeakyReLU(0.2),
        lambda t: t.nn.Softplus(),
        lambda t: t.nn.Hardtanh(0, 2.5, inplace=True),
        lambda t: t.nn.ReLU6(True),
        lambda t: t.nn.RReLU(),
        lambda t: t.nn.PReLU(3),
        lambda t: t.nn.CELU(2.0, True),
        lambda t: t.nn.Threshold(0.1, 20, True),
        lambda t: t.nn.Hardshrink(1.5),
        lambda t: t.nn.GLU(1),
        lambda t: t.nn.Softmin(0),
        lambda t: t.nn.Sequential(*(getattr(t.nn, n)(True) for n in "Hardswish Hardsigmoid Mish SELU SiLU".split())),
        lambda t: t.nn.Sequential(*(getattr(t.nn, n)() for n in (
            "LogSigmoid Softsign Softshrink Tanhshrink Softmax2d RReLU BCELoss HuberLoss PoissonNLLLoss GaussianNLLLoss "
            "HingeEmbeddingLoss SoftMarginLoss MultiMarginLoss MultiLabelSoftMarginLoss CosineSimilarity CosineEmbeddingLoss "
            "PairwiseDistance TripletMarginLoss TripletMarginWithDistanceLoss MarginRankingLoss").split())),
        lambda t: t.nn.KLDivLoss(reduction="batchmean", log_target=True),
        lambda t: t.nn.Softmax(dim=1),
        lambda t: t.nn.LogSoftmax(-1),
        lambda t: t.nn.Dropout(0.1),
        lambda t: t.nn.Flatten(),
        lambda t: t.nn.Unflatten(1, (2, 3)),
        lambda t: t.nn.Identity(),
        lambda t: t.nn.MSELoss(),
        lambda t: t.nn.CrossEntropyLoss(),
        lambda t: t.nn.ModuleDict({"a": t.nn.Sequential(t.nn.Tanh(), t.nn.SiLU())}),
        lambda t: t.nn.ModuleList([t.nn.Linear(2, 2), t.nn.Linear(2, 2), t.nn.Sigmoid()]),
        lambda t: t.nn.ModuleList(),
        lambda t: t.nn.Sequential(t.nn.Sequential()),
    ],
)
def test_reprs_are_pytorchs(ingot: Any, torch: Any, make: Callable[[Any], Any]) -> None:
    assert repr(make(ingot)) == repr(make(torch))


# ---- training runs -------------------------------------------------------------------------------


def network(library: Any) -> Any:
    nn = library.nn
    return nn.Sequential(
        nn.Embedding(7, 6),
        nn.LayerNorm(6),
        nn.Linear(6, 8),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(24, 5, bias=False),
    )


def run(library: Any, weights: dict[str, Any], make: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """Ten steps from the same weights on the same data; the weights after."""
    model = network(library)
    model.load_state_dict({name: library.tensor(value) for name, value in weights.items()})
    optimizer = make(library, model)
    loss_fn = library.nn.CrossEntropyLoss(label_smoothing=0.1)
    random = np.random.default_rng(0)
    for _ in range(10):
        ids = library.tensor(random.integers(0, 7, (4, 3)).tolist())
        target = library.tensor(random.integers(0, 5, 4).tolist())
        optimizer.zero_grad()
        loss_fn(model(ids), target).backward()
        library.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    "make",
    [
        lambda t, m: t.optim.SGD(m.parameters(), lr=0.1),
        lambda t, m: t.optim.SGD(m.parameters(), 0.1, 0.9, nesterov=True, weight_decay=0.01),
        lambda t, m: t.optim.SGD(m.parameters(), 0.1, momentum=0.9, dampening=0.3),
        lambda t, m: t.optim.Adam(m.parameters(), 1e-2, weight_decay=0.1),
        lambda t, m: t.optim.Adam(m.parameters(), 1e-2, amsgrad=True),
        lambda t, m: t.optim.AdamW(m.parameters(), 1e-2),
        lambda t, m: t.optim.AdamW(m.parameters(), 1e-2, (0.8, 0.9), maximize=True),
        lambda t, m: t.optim.AdamW(
            [
                {"params": [p for p in m.parameters() if p.ndim > 1]},
                {"params": [p for p in m.parameters() if p.ndim == 1], "weight_decay": 0.0},
            ],
            lr=1e-2,
        ),
    ],
)
def test_training_runs_agree(ingot: Any, torch: Any, make: Callable[[Any, Any], Any]) -> None:
    torch.manual_seed(0)
    weights = {name: value.tolist() for name, value in network(torch).state_dict().items()}
    ours, theirs = run(ingot, weights, make), run(torch, weights, make)
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=1e-4, atol=2e-5, err_msg=name)


# ---- initial values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fill",
    [
        lambda i, t: i.xavier_uniform_(t, 2.0),
        lambda i, t: i.kaiming_uniform_(t, a=0.2, mode="fan_out"),
        lambda i, t: i.kaiming_normal_(t, nonlinearity="relu"),
        lambda i, t: i.trunc_normal_(t, 0.5, 2.0, -1.0, 4.0),
        lambda i, t: i.trunc_normal_(t, 0.0, 1.0, 1.0, 2.0),
        lambda i, t: i.orthogonal_(t, 1.5),
    ],
)
def test_initial_values_have_pytorchs_quantiles(
    ingot: Any, torch: Any, fill: Callable[[Any, Any], Any]
) -> None:
    found = []
    for library in (ingot, torch):
        library.manual_seed(0)
        tensor = fill(library.nn.init, library.empty(120, 100))
        found.append(np.quantile(tensor.numpy(), np.linspace(0.02, 0.98, 25)))
    spread = found[1][-1] - found[1][0]
    np.testing.assert_allclose(found[0], found[1], atol=0.03 * spread)


def test_gains(ingot: Any, torch: Any) -> None:
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert ingot.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
