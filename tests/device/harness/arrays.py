"""Tensors from NumPy and back, for tests whose references are a few lines of NumPy in float64."""

from __future__ import annotations

from typing import Any

import ingot
import numpy as np


def values(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy().astype(np.float64)


def on(device: str, data: Any, **options: Any) -> Any:
    return ingot.tensor(np.asarray(data, np.float32).tolist(), device=device, **options)


def drawn(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
