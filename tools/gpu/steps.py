"""Training steps at full size, written once for both libraries: each is a function of the namespace ``t`` and of sizes.

They give (``loss``, ``optimizer``): ``loss()`` runs the forward pass on fixed data, so that a caller can compile it, or the
whole step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import models  # the nets themselves, which the CPU's benchmarks measure too

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
    batch, size, width = (2, 32, 4) if small else (64, 224, 64)
    t.manual_seed(0)
    model = models.resnet18(t, 1000, width, inplace=False).to("cuda")
    x, y = t.randn(batch, 3, size, size, device="cuda"), t.randint(0, 1000, (batch,), device="cuda")
    return lambda: t.nn.functional.cross_entropy(model(x), y), adamw(t, model)


def gpt2(t: Any, small: bool) -> tuple[Loss, Any]:
    """GPT-2 small: 12 layers of 768 with 12 heads, 8×1024 tokens of 50257, bfloat16."""
    layers, width, heads, length, batch, letters = (2, 32, 2, 16, 2, 64) if small else (12, 768, 12, 1024, 8, 50257)
    t.manual_seed(0)
    model = models.gpt(t, letters, length, width, heads, layers).to("cuda").to(t.bfloat16)
    ids, following = (t.randint(0, letters, (batch, length), device="cuda") for _ in range(2))
    places = t.arange(length, device="cuda")
    return lambda: t.nn.functional.cross_entropy(model(ids, places).flatten(0, 1), following.flatten()), adamw(t, model)


STEPS: dict[str, Callable[[Any, bool], tuple[Loss, Any]]] = {"mlp": mlp, "resnet18": resnet18, "gpt2": gpt2}
