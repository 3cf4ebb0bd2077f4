"""What the tests of compiled functions share: a network with its optimizer and data, and equality to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[..., Any]


def bits(value: Any) -> Any:
    return None if value is None else np.array(value.detach().cpu().numpy())


def model_state(model: Any) -> list[Any]:
    held = [bits(p) for p in model.parameters()] + [bits(p.grad) for p in model.parameters()]
    return held + [bits(b) for b in model.buffers()]


def same(a: Any, b: Any) -> None:
    """Equal to the last bit, through lists."""
    if isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        np.testing.assert_array_equal(a, b)


def repeat(n: int, call: Callable[[int], Any]) -> list[Any]:
    return [call(k) for k in range(n)]


def itself(function: Step) -> Any:
    return function


def strictly(t: Any) -> Callable[[Step], Any]:
    return lambda function: t.compile(function, fullgraph=True)


class Setting:
    """A small network, its optimizer and data, made anew from one seed."""

    def __init__(self, t: Any, device: str, optimizer: str = "AdamW", seed: int = 0, **options: Any) -> None:
        t.manual_seed(seed)
        nn = t.nn
        layers = (nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.25), nn.Linear(8, 3))
        self.model = nn.Sequential(*layers).to(device)
        self.optimizer = getattr(t.optim, optimizer)(self.model.parameters(), lr=0.05, **options)
        self.data = [(t.randn(5, 6, device=device), t.randint(0, 3, (5,), device=device)) for _ in range(6)]
        self.t = t

    def step(self) -> Step:
        model, optimizer, loss_of = self.model, self.optimizer, self.t.nn.functional.cross_entropy

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def run(self, step: Step) -> list[Any]:
        self.t.manual_seed(7)
        losses = [bits(step(x, y)) for x, y in self.data]
        return [*losses, *model_state(self.model)]
