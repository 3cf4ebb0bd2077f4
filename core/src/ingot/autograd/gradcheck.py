"""Numeric checks of gradients: central differences against what the tape says. Public, so that plugin authors prove their own.

The method is the one of every numerical analysis text: (f(x+h) − f(x−h)) / 2h for each element of each input,
contracted with a fixed weight for each output, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base import TensorBase
from .api import grad


class GradcheckError(RuntimeError):
    """The gradients differ: which input, which element, and both numbers."""


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:  # fmt: skip
    """True when the tape's gradients of ``func`` at ``inputs`` agree with central differences.

    ``inputs``: a tensor or a sequence of arguments; those that require grad are checked and should be float64. With
    ``raise_exception`` a difference is a `GradcheckError` that shows it.
    """
    args = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    wanted = [k for k, a in enumerate(args) if isinstance(a, TensorBase) and a.requires_grad]
    if not wanted:
        raise ValueError("gradcheck expects at least one input that requires grad")
    try:
        _check(func, args, wanted, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, raise_exception: bool = True,
) -> bool:  # fmt: skip
    """`gradcheck` of the gradient itself: the second order."""
    args = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    wanted = [k for k, a in enumerate(args) if isinstance(a, TensorBase) and a.requires_grad]
    outs = _outputs(func(*args))
    seeds = (
        grad_outputs if grad_outputs is not None else [_weights(o, 7 + k).requires_grad_() for k, o in enumerate(outs)]
    )
    seeds = [seeds] if isinstance(seeds, TensorBase) else list(seeds)

    def first(*both: Any) -> Any:
        inner, weights = both[: len(args)], both[len(args) :]
        made = _outputs(func(*inner))
        return grad(made, [inner[k] for k in wanted], list(weights), create_graph=True, materialize_grads=True)

    return gradcheck(first, (*args, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)


def _outputs(made: Any) -> list[Any]:
    found = [made] if isinstance(made, TensorBase) else list(made)
    return [o for o in found if isinstance(o, TensorBase) and o.requires_grad]


def _weights(like: Any, seed: int) -> Any:
    import ingot

    values = np.random.default_rng(seed).uniform(0.5, 1.5, like.shape)
    return ingot.tensor(values, dtype=like.dtype, device=like.device)


def _values(x: Any) -> Any:
    """The values of ``x``, wherever it lies, in float64."""
    return x.detach().cpu().numpy().astype(np.float64)


def _check(
    func: Callable[..., Any], args: Sequence[Any], wanted: list[int], eps: float, atol: float, rtol: float
) -> None:
    outs = _outputs(func(*args))
    weights = [_weights(o, k) for k, o in enumerate(outs)]
    told = grad(outs, [args[k] for k in wanted], weights, allow_unused=True)
    for k, g in zip(wanted, told, strict=True):
        x = args[k]
        have = np.zeros(tuple(x.shape)) if g is None else _values(g)
        want = _numeric(func, args, k, weights, eps)
        bad = ~np.isclose(have, want, atol=atol, rtol=rtol)
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise GradcheckError(
                f"gradient of input {k} at element {list(at)}: the tape says {have[at]:.9g}, central differences "
                f"{want[at]:.9g} ({int(bad.sum())} of {bad.size} elements differ)"
            )


def _numeric(func: Callable[..., Any], args: Sequence[Any], k: int, weights: Sequence[Any], eps: float) -> Any:
    import ingot

    x = args[k]
    base = _values(x)
    found = np.zeros_like(base)

    def total(values: Any) -> float:
        moved = list(args)
        moved[k] = ingot.tensor(values, dtype=x.dtype, device=x.device).requires_grad_()
        outs = _outputs(func(*moved))
        return sum(float((_values(o) * _values(w)).sum()) for o, w in zip(outs, weights, strict=True))

    for at in np.ndindex(base.shape):
        values = base.copy()
        values[at] = base[at] + eps
        high = total(values)
        values[at] = base[at] - eps
        found[at] = (high - total(values)) / (2 * eps)
    return found
