"""Philox4x32-10 (Salmon et al., SC 2011) in NumPy, and what each op that draws makes of its words.

Written from the paper and from the contract's specification (`ingot_devices.opset.random`), and shares no code with it. Each
function of an op takes ``draw`` (the first n words), the result's shape, the dtype under test and the op's arguments; it gives
the values, and by how much they may be missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Draw = Callable[[int], Any]
KEPT = {"float16": 11, "bfloat16": 8}  # highest bits of a word that a uniform keeps; else 24
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def philox(seed: int, offset: int, words: int) -> Any:
    """The first ``words`` words of the stream of (seed, offset), as uint32."""
    blocks = -(-words // 4)
    counter = (np.uint64(offset) + np.arange(blocks, dtype=np.uint64)).astype(np.uint64)
    low = np.uint64(0xFFFFFFFF)
    c = [counter & low, counter >> np.uint64(32), np.zeros(blocks, np.uint64), np.zeros(blocks, np.uint64)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (b >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]), b & low,
            (a >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]), a & low,
        ]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1).reshape(-1)[:words].astype(np.uint32)


def doubles(words: Any) -> Any:
    """Uniforms with 53 bits, of two words each."""
    w = words.astype(np.float64)
    return (np.floor(w[0::2] / 2**5) * 2.0**26 + np.floor(w[1::2] / 2**6)) * 2.0**-53


def uniforms(draw: Draw, shape: tuple[int, ...], dtype: str) -> Any:
    """[0, 1), as float64."""
    n, bits = math.prod(shape), KEPT.get(dtype, 24)
    flat = doubles(draw(2 * n)) if dtype == "float64" else (draw(n) >> np.uint32(32 - bits)) * 2.0**-bits
    return flat.reshape(shape)


def rand(draw: Draw, shape: tuple[int, ...], dtype: str, *_: Any, **__: Any) -> tuple[Any, Any]:
    return uniforms(draw, shape, dtype), 0.0


def uniform(draw: Draw, shape: tuple[int, ...], dtype: str, _: Any, low: float, high: float) -> tuple[Any, Any]:
    """[low, high): what would be rounded up to the upper end is the lower one."""
    made = low + uniforms(draw, shape, dtype) * (high - low)
    at_the_end = made.astype(np.dtype(dtype)) >= high
    return np.where(at_the_end, low, made), 2 * EPSILON[dtype] * max(abs(low), abs(high))


def randint(draw: Draw, shape: tuple[int, ...], _: str, low: int, high: int, *__: Any) -> tuple[Any, Any]:
    words = draw(math.prod(shape)).astype(np.uint64)
    return low + ((words * np.uint64(high - low)) >> np.uint64(32)).astype(np.int64).reshape(shape), 0


def randperm(draw: Draw, shape: tuple[int, ...], *_: Any) -> tuple[Any, Any]:
    return np.argsort(draw(math.prod(shape)), kind="stable"), 0


def bernoulli(draw: Draw, shape: tuple[int, ...], _: str, p: Any) -> tuple[Any, Any]:
    return uniforms(draw, shape, "float32") < p, 0


def dropout(
    draw: Draw, shape: tuple[int, ...], dtype: str, x: Any, p: float = 0.5, training: bool = True
) -> tuple[Any, Any]:
    x = np.asarray(x, np.float64)
    if not training:
        return x, 0.0
    kept = np.where(uniforms(draw, shape, "float32") >= p, x / max(1 - p, 2.0**-60), 0.0)
    return kept, 2 * EPSILON[dtype] * np.abs(kept)


def normal(draw: Draw, shape: tuple[int, ...], dtype: str, mean: float, std: float, *_: Any) -> tuple[Any, Any]:
    """Box and Muller's pairs, within 2 ulp at 1."""
    n = math.prod(shape)
    if dtype == "float64":
        both = doubles(draw(4 * -(-n // 2)))
        u, turn = both[0::2] + 2.0**-53, both[1::2]
    else:
        words = (draw(n + n % 2) >> np.uint32(8)).astype(np.float64)
        u, turn = (words[0::2] + 1) * 2.0**-24, words[1::2] * 2.0**-24
    radius, angle = np.sqrt(-2 * np.log(u)), 2 * np.pi * turn
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n].reshape(shape)
    return z * std + mean, 2 * EPSILON[dtype] * (np.maximum(1.0, np.abs(z)) * std + abs(mean))


def randn(draw: Draw, shape: tuple[int, ...], dtype: str, *_: Any) -> tuple[Any, Any]:
    return normal(draw, shape, dtype, 0.0, 1.0)


def multinomial(draw: Draw, _: tuple[int, ...], __: str, weights: Any, samples: int) -> tuple[Any, Any]:
    """The first arrivals of exponential clocks: without replacement."""
    u = 2.0**-26 + uniforms(draw, weights.shape, "float32") * (1 - 2.0**-26)
    return np.argsort(np.asarray(weights, np.float64) / np.log(u), axis=-1, kind="stable")[..., :samples], 0
