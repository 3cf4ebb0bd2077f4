"""A small language model of the GPT kind learns a sequence, the same on every device."""

from __future__ import annotations

from functools import cache
from typing import Any

import ingot
import ingot_devices
import numpy as np
from ingot import nn
from ingot.nn import functional as F

LETTERS, LENGTH, WIDTH, HEADS, STEPS = 7, 6, 8, 2, 25


class Block(nn.Module):
    """Attention to what came before, then two linear layers; each reads normalised values and adds to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Any) -> Any:
        n, length, width = x.shape
        q, k, v = (part.view(n, length, HEADS, width // HEADS).transpose(1, 2) for part in self.qkv(self.ln1(x)).chunk(3, -1))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, length, width))
        return x + self.mlp(self.ln2(x))


class Gpt(nn.Module):
    """(N, length) numbers of letters → (N, length, letters) logits of the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(LETTERS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, LETTERS, bias=False)

    def forward(self, ids: Any) -> Any:
        x = self.letters(ids) + self.places(ingot.arange(ids.shape[1], device=ids.device))
        return self.head(self.norm(self.blocks(x)))


@cache
def trained(device: str) -> tuple[list[float], list[int]]:
    """The losses, and what the model then says of the letters that follow."""
    ingot.manual_seed(5)
    model = Gpt().to(device)
    optimizer = ingot.optim.AdamW(model.parameters(), lr=2e-2)
    text = [k * k % LETTERS for k in range(LENGTH + 4)]
    rows = [text[k : k + LENGTH + 1] for k in range(4)]
    ids = ingot.tensor([row[:-1] for row in rows], device=device)
    following = ingot.tensor([row[1:] for row in rows], device=device)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids).flatten(0, 1), following.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    said = model(ids).argmax(-1) == following
    return losses, said.flatten().tolist()


def test_a_small_gpt_learns(device: str) -> None:
    losses, said = trained(device)
    assert losses[-1] < 0.3 * losses[0]
    assert np.mean(said[LENGTH - 3 :: LENGTH]) == 1  # with some letters before it, the next one is certain
    for other in ingot_devices.ready():
        if other != device:
            np.testing.assert_allclose(losses[:8], trained(other)[0][:8], rtol=2e-3)
