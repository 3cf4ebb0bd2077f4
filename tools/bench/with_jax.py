"""What the benchmarks ask of JAX: the same work as JAX's users write it, under ``jax.jit``, on the CPU.

JAX is functional, so its training step takes the parameters and AdamW's two moments and gives new ones; the old ones are
donated, as its guides say, so that their memory is used again. Every call waits for its result.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

Call = Callable[[], Any]
RATE, DECAY, BETAS, EPSILON = 1e-3, 1e-2, (0.9, 0.999), 1e-8  # PyTorch's defaults of AdamW


def adamw(
    parameter: Any, gradient: Any, first: Any, second: Any, step: Any, lib: Any = None
) -> tuple[Any, Any, Any]:
    """One step of AdamW (Loshchilov & Hutter 2019, algorithm 2) for one array: the new parameter and moments.

    ``lib`` is whose ``sqrt`` it takes: ``jax.numpy``, or ``torch``.
    """
    lib = lib or import_module("jax.numpy")
    b1, b2 = BETAS
    first = b1 * first + (1 - b1) * gradient
    second = b2 * second + (1 - b2) * gradient * gradient
    rate = RATE / (1 - b1**step)
    root = lib.sqrt(second) / lib.sqrt(1 - b2**step) + EPSILON
    return parameter * (1 - RATE * DECAY) - rate * first / root, first, second


def pointwise(n: int, million: int) -> dict[str, tuple[Call, int]]:
    """gelu, softmax and layer_norm of (n, n) float32, AdamW over ``million`` parameters: case → call, calls a round."""
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(0), 4)
    x, w, b = jax.random.normal(keys[0], (n, n)), jax.random.normal(keys[1], (n,)), jax.random.normal(keys[2], (n,))

    def layer_norm(x: Any, w: Any, b: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * w + b

    gelu = jax.jit(lambda x: jax.nn.gelu(x, approximate=False))
    softmax, normalise = jax.jit(lambda x: jax.nn.softmax(x, -1)), jax.jit(layer_norm)
    update = jax.jit(adamw, donate_argnums=(0, 2, 3))
    gradient = jax.random.normal(keys[3], (million,))
    state = [gradient + 1, jnp.zeros(million), jnp.zeros(million), jnp.float32(1)]

    def step() -> None:
        parameter, first, second = update(state[0], gradient, state[1], state[2], state[3])
        state[:] = [parameter, first, second, state[3] + 1]
        parameter.block_until_ready()

    return {
        "gelu": (lambda: gelu(x).block_until_ready(), 2),
        "softmax": (lambda: softmax(x).block_until_ready(), 2),
        "layer_norm": (lambda: normalise(x, w, b).block_until_ready(), 2),
        "adamw": (step, 5),
    }


def training() -> Call:
    """A step of the README's MLP (64×20, 128 hidden units, mean squared error, AdamW), one compiled function."""
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(0), 6)
    shapes = {"w1": (20, 128), "b1": (128,), "w2": (128, 1), "b2": (1,)}
    drawn = zip(keys, shapes.items(), strict=False)
    parameters = {name: jax.random.uniform(key, shape, minval=-0.1, maxval=0.1) for key, (name, shape) in drawn}
    x, y = jax.random.normal(keys[4], (64, 20)), jax.random.normal(keys[5], (64, 1))

    def loss(p: Any, x: Any, y: Any) -> Any:
        hidden = jax.nn.relu(x @ p["w1"] + p["b1"])
        return ((hidden @ p["w2"] + p["b2"] - y) ** 2).mean()

    def step(p: Any, first: Any, second: Any, count: Any, x: Any, y: Any) -> Any:
        gradients = jax.grad(loss)(p, x, y)
        new = {k: adamw(p[k], gradients[k], first[k], second[k], count) for k in p}
        return *({k: v[place] for k, v in new.items()} for place in range(3)), count + 1

    compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    moments = [{k: jnp.zeros(s) for k, s in shapes.items()} for _ in range(2)]
    state: list[Any] = [parameters, *moments, jnp.float32(1)]

    def call() -> None:
        state[:] = compiled(*state, x, y)
        state[0]["w1"].block_until_ready()

    return call
