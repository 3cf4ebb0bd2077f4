"""Random tensors: numbers that depend on the generator's seed and offset alone, the same on every device."""

from __future__ import annotations

from typing import Any

from ingot_devices import dtypes as dt
from ingot_devices.context import state
from ingot_devices.opset.op import OPS, Defaults

from .. import dispatch
from ..devices import open_device
from ..generator import Generator, default_generator
from ..lazy import crossing
from .common import check_dtype, into, run, shape_of


def _draw(
    name: str, size: int, dtype: dt.DType, generator: Generator | None, wide: bool = False
) -> tuple[int, int, int, int]:
    """The four numbers of the generator's state for one op, which moves on."""
    from ingot_devices.opset.random import counters

    return (generator or default_generator).take(counters(name, size, dtype, wide))


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for extent in shape:
        n *= extent
    return n


def _made(name: str, numbers: tuple[Any, ...], device: Any, requires_grad: bool = False, **attrs: Any) -> Any:
    row = OPS[name]
    opened = open_device(device)
    if state.axes:
        opened = crossing.drawn_on(opened)
    made = dispatch.call(row, numbers, row.bind(attrs), opened)
    return made.requires_grad_() if requires_grad else made


def _each(x: Any) -> Any:
    """``x`` on the lanes of `func.vmap`, so that each draws numbers of its own."""
    return crossing.lifted(x, state.axes) if state.axes else x


def _floating(dtype: Any, name: str) -> dt.DType:
    found = check_dtype(dtype) or Defaults.float
    if found.kind != "f":
        raise RuntimeError(f'"{name}" not implemented for {found!r}: give a floating point dtype')
    return found


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Uniform in [0, 1)."""
    shape, kind = shape_of(size), _floating(dtype, "rand")
    seeds = _draw("uniform", _size(shape), kind, generator)
    return _made("uniform", (*seeds, None, None), device, requires_grad, shape=shape, dtype=kind)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Normal with mean 0 and deviation 1."""
    shape, kind = shape_of(size), _floating(dtype, "randn")
    seeds = _draw("normal", _size(shape), kind, generator)
    return _made("normal", (*seeds, 0.0, 1.0), device, requires_grad, shape=shape, dtype=kind)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Any:
    """Normal of the means and deviations given (numbers with ``size``, or tensors)."""
    if size is not None:
        shape, kind = shape_of((size,)), _floating(dtype, "normal")
        seeds = _draw("normal", _size(shape), kind, generator)
        return _made("normal", (*seeds, float(mean), float(std)), device, shape=shape, dtype=kind)
    like = mean if hasattr(mean, "_layout") else std
    wide = mean + std if hasattr(mean, "_layout") and hasattr(std, "_layout") else like
    return randn(wide._layout.shape, generator=generator, dtype=like.dtype, device=like.device) * std + mean


def randint(low: Any, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
            device: Any = None, requires_grad: bool = False) -> Any:  # fmt: skip
    """Integers of [low, high), or [0, low)."""
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    shape, kind = shape_of((size,)), check_dtype(dtype) or dt.int64
    wide = high - low >= 1 << 32
    seeds = _draw("randint", _size(shape), kind, generator, wide)
    return _made("randint", (*seeds, int(low), int(high)), device, requires_grad, shape=shape, dtype=kind, wide=wide)


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Any:
    """The whole numbers below ``n`` in random order."""
    seeds = _draw("random_bits", n, dt.uint32, generator)
    order = _made("random_bits", seeds, device, shape=(int(n),)).argsort()
    kind = check_dtype(dtype) or dt.int64
    return order if kind is dt.int64 else run("cast", order, dtype=kind)


def bernoulli(input: Any, p: Any = None, *, generator: Generator | None = None) -> Any:
    """1 with probability ``input`` (or the number ``p``), else 0."""
    seeds = _draw("bernoulli", input.numel(), input.dtype, generator)
    chance = _each(input) if p is None else p
    return run("bernoulli", chance, *seeds, shape=input._layout.shape, dtype=input.dtype) if p is None else _made(
        "bernoulli", (float(p), *seeds), input.device, shape=input._layout.shape, dtype=input.dtype)


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Any:
    """Categories drawn with the probabilities (weights) of each row."""
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input._layout.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    size = input.numel() // max(input._layout.shape[-1], 1) * num_samples if replacement else input.numel()
    seeds = _draw("uniform", size, input.dtype, generator)
    return run("multinomial", _each(input), *seeds, samples=int(num_samples), replacement=bool(replacement))


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """x / (1 − p) with probability 1 − p, else 0; the input itself when not training (Srivastava et al., 2014)."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        made = input * 0.0
    else:
        seeds = _draw("dropout", input.numel(), input.dtype, None)
        made = run("dropout", _each(input), float(p), *seeds)[0]
    if inplace:
        from ..inplace import assign

        assign(input, made)
        return input
    return made


def rand_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Any:
    """`rand` with the shape, dtype and device of ``input``."""
    return rand(input._layout.shape, dtype=dtype or input.dtype, device=device or input.device, generator=generator,
                requires_grad=requires_grad)


def uniform_like(input: Any, low: float, high: float, generator: Generator | None = None) -> Any:
    """Uniform in [low, high), with the shape, dtype and device of ``input``."""
    kind = _floating(input.dtype, "uniform_")
    seeds = _draw("uniform", input.numel(), kind, generator)
    return _made("uniform", (*seeds, float(low), float(high)), input.device, shape=input._layout.shape, dtype=kind)


def randn_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Any:
    """`randn` with the shape, dtype and device of ``input``."""
    return randn(input._layout.shape, dtype=dtype or input.dtype, device=device or input.device, generator=generator,
                 requires_grad=requires_grad)


def randint_like(input: Any, low: Any, high: Any = None, *, dtype: Any = None, device: Any = None) -> Any:
    """`randint` with the shape, dtype and device of ``input``."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input._layout.shape, dtype=dtype or input.dtype, device=device or input.device)


FUNCTIONS = {
    f.__name__: f
    for f in (
        rand,
        randn,
        normal,
        randint,
        randperm,
        bernoulli,
        multinomial,
        dropout,
        rand_like,
        randn_like,
        randint_like,
    )
}


# ---- in place ------------------------------------------------------------------------------------------------------------
def uniform_(self: Any, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Any:
    """Uniform in [a, b)."""
    if b < a:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    return into(self, uniform_like(self, a, b, generator))


def normal_(self: Any, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Any:
    """Normal with this mean and deviation."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    seeds = _draw("normal", self.numel(), self.dtype, generator)
    made = _made(
        "normal",
        (*seeds, float(mean), float(std)),
        self.device,
        shape=self._layout.shape,
        dtype=_floating(self.dtype, "normal_"),
    )
    return into(self, made)


def bernoulli_(self: Any, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
    """1 with probability ``p``, else 0."""
    chance = p if not hasattr(p, "_layout") else None
    return into(
        self,
        bernoulli(self, chance, generator=generator)
        if chance is not None
        else bernoulli(p.expand(self._layout.shape), generator=generator),
    )


def random_(self: Any, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Any:
    """Integers of [low, high)."""
    if high is None:
        low, high = (
            (0, low) if low else (0, 1 << 24 if self.dtype.kind == "f" else (1 << (8 * self.dtype.itemsize - 1)) - 1)
        )
    return into(self, randint(low, high, self._layout.shape, dtype=self.dtype, device=self.device, generator=generator))


ALONE = frozenset(FUNCTIONS) - {"bernoulli", "multinomial"}
METHODS = {f.__name__: f for f in (uniform_, normal_, bernoulli_, random_)}
