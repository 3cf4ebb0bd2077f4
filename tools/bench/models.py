"""The nets that are measured, written once: each function takes the namespace ``t`` of a library that has PyTorch's names.

`nets` measures them on the CPU, `tools/gpu/steps.py` on a GPU. Their classes derive from the ``Module`` of whichever library it
is, so `module` makes them when that is known.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any


def module(t: Any, name: str, make: Callable[..., None], forward: Callable[..., Any]) -> Any:
    """A subclass of ``t.nn.Module``: ``make(self, …)`` gives it its parts, ``forward(self, …)`` runs it."""

    def __init__(self: Any, *given: int) -> None:
        t.nn.Module.__init__(self)
        make(self, *given)

    return type(name, (t.nn.Module,), {"__init__": __init__, "forward": forward})


def resnet18(t: Any, classes: int, width: int = 64, inplace: bool = True) -> Any:
    """ResNet-18 (He et al., 2016) as torchvision has it, beginning with ``width`` channels; (n, 3, h, w) → (n, classes)."""
    nn = t.nn

    def make(self: Any, of: int, to: int, stride: int) -> None:
        self.conv1, self.conv2 = nn.Conv2d(of, to, 3, stride, 1, bias=False), nn.Conv2d(to, to, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(to), nn.BatchNorm2d(to), nn.ReLU(inplace=inplace)
        down = [] if of == to else [nn.Conv2d(of, to, 1, stride, bias=False), nn.BatchNorm2d(to)]
        self.down = nn.Sequential(*down)

    def forward(self: Any, x: Any) -> Any:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.down(x))

    basic = module(t, "Basic", make, forward)
    widths = (width, width, 2 * width, 4 * width, 8 * width)
    blocks = [basic(of if k == 0 else to, to, 1 if of == to or k else 2) for of, to in pairwise(widths) for k in range(2)]
    stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=inplace), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, classes))


def gpt(t: Any, letters: int, length: int, width: int, heads: int, layers: int) -> Any:
    """A GPT (Radford et al., 2019) over ``letters`` tokens: (tokens, places) → logits. Tokens are (n, length)."""
    nn, f = t.nn, t.nn.functional

    def parts(self: Any) -> None:
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def block(self: Any, x: Any) -> Any:
        n = x.shape[0]
        q, k, v = (p.view(n, length, heads, width // heads).transpose(1, 2) for p in self.qkv(self.ln1(x)).chunk(3, -1))
        seen = f.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, length, width)
        x = x + self.out(seen)
        return x + self.down(f.gelu(self.up(self.ln2(x)), approximate="tanh"))

    made = module(t, "Block", parts, block)

    def whole(self: Any) -> None:
        self.letters, self.places = nn.Embedding(letters, width), nn.Embedding(length, width)
        self.blocks, self.norm = nn.Sequential(*(made() for _ in range(layers))), nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)

    def forward(self: Any, tokens: Any, places: Any) -> Any:
        return self.head(self.norm(self.blocks(self.letters(tokens) + self.places(places))))

    return module(t, "Gpt", whole, forward)()
