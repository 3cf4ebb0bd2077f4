"""What the demo learns: a made-up regression, and scikit-learn's real handwritten digits.

Used by `demo` and by the tests of training, which want the very same problems. Both are made on the default device,
once, so that every device sees the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ingot
import numpy as np
from ingot import nn
from ingot.utils.data import DataLoader, TensorDataset

BATCH = 64


@dataclass(frozen=True)
class Problem:
    """A data set, a model for it, and how to train that.

    ``test`` is (inputs, labels) of a classification, None of a regression.
    """

    name: str
    train: TensorDataset
    test: tuple[Any, Any] | None
    model: Callable[[], nn.Module]
    loss: nn.Module
    rate: float
    epochs: int

    def loader(self) -> DataLoader[Any]:
        """Shuffled batches; the order comes from the default generator."""
        return DataLoader(self.train, batch_size=BATCH, shuffle=True)


class MLP(nn.Module):
    """The regression model of the README's program."""

    def __init__(self, in_dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x: Any) -> Any:
        """(n, in_dim) → (n, 1)."""
        return self.net(x)


def regression(seed: int, epochs: int = 10) -> Problem:
    """2048 samples of 20 numbers; the target is linear in them, with noise."""
    ingot.manual_seed(seed)
    x = ingot.randn(2048, 20)
    y = x @ ingot.randn(20, 1) + 0.1 * ingot.randn(2048, 1)
    return Problem("regression", TensorDataset(x, y), None, lambda: MLP(20), nn.MSELoss(), 1e-3, epochs)


def digits(epochs: int = 40) -> Problem:
    """1797 images of 8×8 pixels from UCI, three quarters of them to train on; the split does not depend on the seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(pixels, labels.astype(np.int64), test_size=0.25, stratify=labels, random_state=0)
    train = TensorDataset(ingot.tensor(x), ingot.tensor(y))
    return Problem("digits", train, (ingot.tensor(x_test), y_test), classifier, nn.CrossEntropyLoss(), 2e-3, epochs)


def classifier() -> nn.Module:
    """64 pixels → 10 scores."""
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 10))
