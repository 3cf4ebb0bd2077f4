"""Functions of functions beside ``torch.func``: gradients of each sample, ensembles, matrices of derivatives.

    .venv/bin/python tools/bench/func.py [--below 0.5] [--out FILE]

Each is beside PyTorch's, and "in turn" is the same work without lanes, one value after the other.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from common import Cases, parser, serve
from survey import keep, look

Call = Callable[[], Any]


def _per_sample(t: Any, net: Any, x: Any, classes: Any) -> tuple[Call, Call]:
    """Gradients of each sample by lanes, and one sample after the other."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(p: Any, a: Any, c: Any) -> Any:
        return t.nn.functional.cross_entropy(t.func.functional_call(net, p, (a[None],)), c[None])

    one = t.func.grad(loss)
    every = t.func.vmap(one, in_dims=(None, 0, 0))
    return lambda: every(parameters, x, classes), lambda: [one(parameters, x[k], classes[k]) for k in range(len(x))]


def cases(t: Any) -> Cases:
    """Every call, and how often a round makes it."""
    t.manual_seed(0)
    n, f = t.nn, t.func
    mlp = n.Sequential(n.Linear(20, 128), n.ReLU(), n.Linear(128, 128), n.ReLU(), n.Linear(128, 10))
    cnn = n.Sequential(n.Conv2d(3, 16, 3, padding=1), n.ReLU(), n.MaxPool2d(2), n.Conv2d(16, 32, 3, padding=1), n.ReLU(),
                       n.Flatten(), n.Linear(2048, 10))  # fmt: skip
    classes, rows, images = t.randint(0, 10, (64,)), t.randn(64, 20), t.randn(32, 3, 16, 16)
    mlp_lanes, mlp_turns = _per_sample(t, mlp, rows, classes)
    cnn_lanes, cnn_turns = _per_sample(t, cnn, images, classes[:32])
    models = [n.Sequential(n.Linear(20, 64), n.ReLU(), n.Linear(64, 10)) for _ in range(16)]
    state, _ = f.stack_module_state(models)
    ensemble = f.vmap(lambda p: f.functional_call(models[0], p, (rows,)))
    small, w, large, point, wide = t.randn(30, 30), t.randn(100, 100), t.randn(1000, 1000), t.randn(30), t.randn(100)
    hessian = f.hessian(lambda a: (a @ small).tanh().square().sum())
    rows_back, columns_on = f.jacrev(lambda a: (a @ w).tanh()), f.jacfwd(lambda a: (a @ w).tanh())
    pointwise = f.vmap(lambda a: (a.sin() * a).sum())
    pairs = f.vmap(f.vmap(lambda a, b: (a - b).square().sum(), (None, 0)), (0, None))
    return {
        "each sample, MLP": (mlp_lanes, 10), "each sample, MLP, in turn": (mlp_turns, 1),
        "each sample, CNN": (cnn_lanes, 10), "each sample, CNN, in turn": (cnn_turns, 1),
        "ensemble of 16": (lambda: ensemble(state), 50), "ensemble of 16, in turn": (lambda: [m(rows) for m in models], 50),
        "hessian of 30": (lambda: hessian(point), 10), "jacrev of 100": (lambda: rows_back(wide), 50),
        "jacfwd of 100": (lambda: columns_on(wide), 50), "sin, mul, sum of 1000²": (lambda: pointwise(large), 20),
        "distances of 64 pairs": (lambda: pairs(rows, rows), 20),
    }  # fmt: skip


def main() -> int:
    """Measure both, print what is below, the worst first."""
    made = parser(__doc__ or "")
    made.set_defaults(rounds=7)
    made.add_argument("--below", type=float, default=100.0, help="times PyTorch's speed below which a call is listed")
    options = made.parse_args()
    warnings.simplefilter("ignore")
    if options.serve:
        return serve(cases(import_module(options.serve)))
    keep(options, calls=look(__file__, list(cases(import_module("ingot"))), options, "functions of functions"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
