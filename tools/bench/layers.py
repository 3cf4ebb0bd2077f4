"""Which layers are slow beside PyTorch, there and back? Some 90 of them and of functions at the shapes of real nets.

    .venv/bin/python tools/bench/layers.py [--below 0.5] [--out FILE]

A gradient has kernels of its own, which `survey.py` does not see. The slowest beside PyTorch come first.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from common import Cases, parser, serve
from survey import keep, look

Call = Callable[..., Any]
IMAGE, MATRIX, WORDS = (8, 64, 56, 56), (1000, 1000), (8, 128, 256)


def layers(t: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Layers, each with the shape of its input."""
    n = t.nn
    convolutions = {
        "conv1d": (n.Conv1d(64, 128, 5, padding=2), (16, 64, 256)), "conv2d": (n.Conv2d(64, 64, 3, padding=1), IMAGE),
        "conv2d 3 to 64": (n.Conv2d(3, 64, 7, 2, 3), (4, 3, 224, 224)),
        "conv2d 64 to 3": (n.Conv2d(64, 3, 3, padding=1), IMAGE),
        "conv2d 1 to 32": (n.Conv2d(1, 32, 3), (64, 1, 28, 28)),
        "conv2d depthwise": (n.Conv2d(64, 64, 3, padding=1, groups=64), IMAGE),
        "conv2d depthwise 2": (n.Conv2d(64, 64, 3, 2, 1, groups=64), IMAGE),
        "conv2d depthwise 7": (n.Conv2d(96, 96, 7, padding=3, groups=96), (8, 96, 28, 28)),
        "conv2d 32 groups": (n.Conv2d(128, 128, 3, padding=1, groups=32), (8, 128, 28, 28)),
        "conv2d 2 groups": (n.Conv2d(96, 256, 5, padding=2, groups=2), (2, 96, 27, 27)),
        "conv2d dilated": (n.Conv2d(64, 64, 3, padding=2, dilation=2), (4, 64, 28, 28)),
        "conv3d": (n.Conv3d(16, 32, 3, padding=1), (2, 16, 16, 28, 28)),
        "conv_transpose1d": (n.ConvTranspose1d(64, 32, 8, 4, 2), (8, 64, 128)),
        "conv_transpose2d": (n.ConvTranspose2d(64, 32, 4, 2, 1), (8, 64, 16, 16)),
        "conv_transpose2d 64 to 3": (n.ConvTranspose2d(64, 3, 4, 2, 1), (8, 64, 32, 32)),
        "conv_transpose3d": (n.ConvTranspose3d(16, 8, 2, 2), (2, 16, 8, 16, 16)),
    }
    norms = {
        "batch_norm": (n.BatchNorm2d(64), IMAGE), "batch_norm of rows": (n.BatchNorm1d(256), (512, 256)),
        "group_norm": (n.GroupNorm(8, 64), IMAGE), "instance_norm": (n.InstanceNorm2d(64, affine=True), IMAGE),
        "layer_norm": (n.LayerNorm(256), WORDS), "rms_norm": (n.RMSNorm(256), WORDS),
        "local_response_norm": (n.LocalResponseNorm(5), IMAGE), "prelu": (n.PReLU(64), IMAGE),
    }
    others = {
        "linear": (n.Linear(512, 512), (256, 512)), "lstm": (n.LSTM(64, 128, batch_first=True), (32, 50, 64)),
        "lstm, 2 both ways": (n.LSTM(64, 64, 2, bidirectional=True, batch_first=True), (16, 30, 64)),
        "gru": (n.GRU(64, 128, batch_first=True), (32, 50, 64)),
        "encoder": (n.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True), WORDS),
    }
    return convolutions | norms | others


def of_images(t: Any) -> dict[str, Call]:
    """Functions of an image."""
    f = t.nn.functional
    return {
        **{k: getattr(f, k) for k in "relu gelu silu elu softplus mish".split()}, "dropout": lambda x: f.dropout(x, 0.3),
        "glu": lambda x: f.glu(x, 1), "avg_pool2d": lambda x: f.avg_pool2d(x, 2), "max_pool2d": lambda x: f.max_pool2d(x, 2),
        "avg_pool2d 3": lambda x: f.avg_pool2d(x, 3, 2, 1), "max_pool2d 3": lambda x: f.max_pool2d(x, 3, 2, 1),
        "adaptive_avg 7": lambda x: f.adaptive_avg_pool2d(x, 7), "adaptive_avg 5": lambda x: f.adaptive_avg_pool2d(x, 5),
        "adaptive_max 5": lambda x: f.adaptive_max_pool2d(x, 5), "lp_pool2d": lambda x: f.lp_pool2d(x * x, 2, 2),
        **{m: lambda x, m=m: f.interpolate(x, scale_factor=2, mode=m) for m in ("nearest", "bilinear", "bicubic")},
        **{m: lambda x, m=m: f.pad(x, (1, 1, 1, 1), mode=m) for m in ("constant", "reflect", "replicate", "circular")},
        "unfold": lambda x: f.unfold(x, 3, padding=1), "pixel_shuffle": lambda x: f.pixel_shuffle(x, 2),
        "softmax of channels": lambda x: f.softmax(x, 1), "mean of planes": lambda x: x.mean((2, 3)),
        "var of channels": lambda x: x.var((0, 2, 3)), "normalize": lambda x: f.normalize(x, dim=1),
        "permute": lambda x: x.permute(0, 2, 3, 1).contiguous(), "flip": lambda x: x.flip(3), "roll": lambda x: t.roll(x, 3, 3),
        "cat": lambda x: t.cat([x, x], 1), "chunk": lambda x: math.prod(x.chunk(2, 1)),
    }  # fmt: skip


def of_matrices(t: Any) -> dict[str, Call]:
    """Functions of a matrix; losses, too."""
    f, y, classes = t.nn.functional, t.randn(*MATRIX), t.arange(1000) * 7 % 1000
    across = (t.arange(10**6) * 7 % 1000).reshape(*MATRIX)
    heads = {"sdpa": (8, 8, 64, 64), "sdpa causal": (4, 8, 256, 64)}
    return {
        **{k: lambda x, k=k: getattr(t, k)(x, 1) for k in "cumsum cumprod logcumsumexp logsumexp softmax".split()},
        **{k: lambda x, k=k: getattr(t, k)(x, 1) for k in "diff prod amax std".split()},
        "sort": lambda x: t.sort(x, 1)[0], "topk": lambda x: t.topk(x, 10, 1)[0], "median": lambda x: t.median(x, 1)[0],
        "cummax": lambda x: t.cummax(x, 1)[0], "quantile": lambda x: t.quantile(x, 0.3, dim=1), "norm": lambda x: x.norm(dim=1),
        "matmul": lambda x: x @ x, "matmul turned": lambda x: x.t() @ x, "einsum": lambda x: t.einsum("ij,kj->ik", x, x),
        "bmm": lambda x: t.bmm(x.reshape(10, 100, 1000), y.reshape(10, 1000, 100)), "tril": t.tril, "trace": t.trace,
        "rows": lambda x: x[classes], "a row": lambda x: x[7], "columns": lambda x: x[:, 50:600],
        "steps": lambda x: x[::2, ::3],
        "diagonal": lambda x: x.diagonal() * 2, "x[mask]": lambda x: x[x > 0], "where": lambda x: t.where(x > 0, x, x * 2),
        "gather": lambda x: x.gather(1, across), "scatter_add": lambda x: t.zeros(*MATRIX).scatter_add(1, across, x),
        "index_add": lambda x: t.zeros(*MATRIX).index_add(0, classes, x),
        "expand": lambda x: x[:, None, :100] * x[:, :100, None],
        "cdist": lambda x: t.cdist(x[:300], x[300:600]), "pdist": lambda x: f.pdist(x[:200]),
        "cosine_similarity": lambda x: f.cosine_similarity(x, y), "cross_entropy": lambda x: f.cross_entropy(x, classes),
        "nll_loss": lambda x: f.nll_loss(f.log_softmax(x, 1), classes), "mse_loss": lambda x: f.mse_loss(x, y),
        "smooth_l1_loss": lambda x: f.smooth_l1_loss(x, y),
        "kl_div": lambda x: f.kl_div(f.log_softmax(x, 1), f.softmax(y, 1)),
        "bce": lambda x: f.binary_cross_entropy_with_logits(x, y.sigmoid()),
        **{k: lambda x, k=k, s=s: attention(f, x.reshape(-1)[: math.prod(s)].reshape(s), "causal" in k)
           for k, s in heads.items()},
    }  # fmt: skip


def attention(f: Any, x: Any, causal: bool) -> Any:
    """Of an input with itself."""
    return f.scaled_dot_product_attention(x, x, x, is_causal=causal)


def cases(t: Any) -> Cases:
    """Each there and back, the gradients of parameters included."""
    t.manual_seed(0)
    rows: dict[str, tuple[Call, tuple[int, ...]]] = dict(layers(t))
    rows |= {k: (f, IMAGE) for k, f in of_images(t).items()} | {k: (f, MATRIX) for k, f in of_matrices(t).items()}
    return {name: (step(t, f, t.randn(*shape).requires_grad_()), 2) for name, (f, shape) in rows.items()}


def step(t: Any, function: Any, x: Any) -> Call:
    """One call and its backward pass."""
    leaves = [x, *(function.parameters() if isinstance(function, t.nn.Module) else ())]

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        made = function(x)
        made = made[0] if isinstance(made, tuple) else made
        made.backward(t.ones_like(made))

    return run


def main() -> int:
    """Measure both, print what is below, the worst first."""
    made = parser(__doc__ or "")
    made.set_defaults(rounds=5)
    made.add_argument("--below", type=float, default=0.5, help="times PyTorch's speed below which a row is listed")
    options = made.parse_args()
    if options.serve:
        warnings.simplefilter("ignore")
        return serve(cases(import_module(options.serve)))
    keep(options, rows=look(__file__, list(cases(import_module("ingot"))), options, "layers and functions, there and back"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
