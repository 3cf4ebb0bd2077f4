"""Training steps at full size, written once for both libraries: each is a function of the namespace ``t`` and of sizes.

They give (``loss``, ``optimizer``): ``loss()`` runs the forward pass on fixed data, so that a caller can compile it, or the
whole step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

Loss = Callable[[], Any]


def adamw(t: Any, model: Any) -> Any:
    """The optimizer, in the form that the library runs fastest."""
    return t.optim.AdamW(model.parameters(), lr=1e-4, **({"fused": True} if t.__name__ == "torch" else {}))


def mlp(t: Any, small: bool) -> tuple[Loss, Any]:
    """The README's: 64×20 through 128 hidden units to 1, mean squared error."""
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(20, 128), t.nn.ReLU(), t.nn.Linear(128, 1)).to("cuda")
    x, y, error = t.randn(64, 20, device="cuda"), t.randn(64, 1, device="cuda"), t.nn.MSELoss()
    return lambda: error(model(x), y), adamw(t, model)


def resnet18(t: Any, small: bool) -> tuple[Loss, Any]:
    """64×3×224×224 images, 1000 classes, float32."""
    nn, f = t.nn, t.nn.functional
    batch, size, width = (2, 32, 4) if small else (64, 224, 64)

    class Basic(nn.Module):  # type: ignore[misc, name-defined]  # whichever library's
        def __init__(self, of: int, to: int, stride: int) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(of, to, 3, stride, 1, bias=False), nn.Conv2d(to, to, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(to), nn.BatchNorm2d(to)
            shorter = stride != 1 or of != to
            down = [nn.Conv2d(of, to, 1, stride, bias=False), nn.BatchNorm2d(to)] if shorter else []
            self.down = nn.Sequential(*down)

        def forward(self, x: Any) -> Any:
            y = f.relu(self.norm1(self.one(x)))
            return f.relu(self.norm2(self.two(y)) + self.down(x))

    widths = [width, width, 2 * width, 4 * width, 8 * width]
    blocks = [Basic(a if k == 0 else b, b, 2 if n and k == 0 else 1)
              for n, (a, b) in enumerate(pairwise(widths)) for k in range(2)]  # fmt: skip
    t.manual_seed(0)
    stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 1000)).to("cuda")
    x, y = t.randn(batch, 3, size, size, device="cuda"), t.randint(0, 1000, (batch,), device="cuda")
    return lambda: f.cross_entropy(model(x), y), adamw(t, model)


def gpt2(t: Any, small: bool) -> tuple[Loss, Any]:
    """GPT-2 small: 12 layers of 768 with 12 heads, 8×1024 tokens of 50257, bfloat16."""
    nn, f = t.nn, t.nn.functional
    layers, width, heads, length, batch, letters = (2, 32, 2, 16, 2, 64) if small else (12, 768, 12, 1024, 8, 50257)

    class Block(nn.Module):  # type: ignore[misc, name-defined]  # whichever library's
        def __init__(self) -> None:
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            q, k, v = (p.view(batch, length, heads, width // heads).transpose(1, 2) for p in self.qkv(self.ln1(x)).chunk(3, -1))
            seen = f.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
            x = x + self.out(seen)
            return x + self.down(f.gelu(self.up(self.ln2(x)), approximate="tanh"))

    class Gpt(nn.Module):  # type: ignore[misc, name-defined]  # whichever library's
        def __init__(self) -> None:
            super().__init__()
            self.letters, self.places = nn.Embedding(letters, width), nn.Embedding(length, width)
            self.blocks, self.norm = nn.Sequential(*(Block() for _ in range(layers))), nn.LayerNorm(width)
            self.head = nn.Linear(width, letters, bias=False)

        def forward(self, ids: Any, places: Any) -> Any:
            return self.head(self.norm(self.blocks(self.letters(ids) + self.places(places))))

    t.manual_seed(0)
    model = Gpt().to("cuda").to(t.bfloat16)
    ids, following = (t.randint(0, letters, (batch, length), device="cuda") for _ in range(2))
    places = t.arange(length, device="cuda")
    return lambda: f.cross_entropy(model(ids, places).flatten(0, 1), following.flatten()), adamw(t, model)


STEPS: dict[str, Callable[[Any, bool], tuple[Loss, Any]]] = {"mlp": mlp, "resnet18": resnet18, "gpt2": gpt2}
