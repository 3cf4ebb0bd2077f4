"""The random group: Philox4x32-10 (Salmon et al., SC 2011), as an expression over uint32. The same bits on every device.

The state of a generator is a 64-bit *seed* and a 64-bit *offset*, kept above the backends and given to each op as four
numbers, the low and high halves. An op reads a stream of 32-bit words:

    block k   the four words of Philox with key (seed_lo, seed_hi) and counter (c mod 2³², c div 2³², 0, 0), c = offset + k
    word w    lane w mod 4 of block w div 4

and element i of the result (row-major; lane and block mean the stream's) takes

    random_bits                            word i
    uniform, bernoulli, dropout            word i: bits of it · 2⁻ᵇ, b = 24, 11 (float16) or 8 (bfloat16) highest bits
    uniform in float64                     words 2i, 2i+1: (high 27 bits · 2²⁶ + high 26 bits) · 2⁻⁵³
    normal, but float64                    words of pair p = i div 2: u = ((word 2p div 2⁸) + 1) · 2⁻²⁴, t = (word 2p+1 div 2⁸) · 2⁻²⁴;
                                           √(-2 log u) · cos 2πt if i is even, · sin 2πt if odd (`ir.exact`), in float32
    normal in float64                      the same with two words each for u and t: four for a pair, one block
    randint, range < 2³²                   word i: low + (word · range div 2³²)
    randint, ``wide``                      words 2i (high half), 2i+1: low + (64 bits mod range)

An op consumes whole blocks: the generator's offset advances by `counters`. The core composes randperm (argsort of
random_bits: ties, 2⁻³² each, by position).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import dtypes as dt
from ..dtypes import DType
from ..ir import scalar as s
from ..ir.definition import Define
from ..ir.exact import cos_2pi, log_unit, sin_2pi
from ..ir.expr import Expr, where
from .op import Op, Spec, add_op
from .philox import Words, fill
from .shared import Shape

SEEDS = "seed_lo seed_hi offset_lo offset_hi"
FLOAT_BITS = {dt.float16: 11, dt.bfloat16: 8}


# ---- the stream -------------------------------------------------------------------------------------------------------
def words_per_element(op: str, dtype: DType, wide: bool = False) -> int:
    """How many words of the stream an element takes."""
    return 2 if wide or (dtype is dt.float64 and op in ("uniform", "normal")) else 1


def counters(op: str, size: int, dtype: DType, wide: bool = False) -> int:
    """How many blocks an op of this group consumes for ``size`` elements: what the generator's offset advances by."""
    if op == "normal":
        size += size % 2
    return -(-size * words_per_element(op, dtype, wide) // 4)


# ---- from words to elements -----------------------------------------------------------------------------------------------
def unit(word: Expr, dtype: DType) -> Expr:
    """A word as a number of [0, 1) in the computing type of ``dtype``, exact in ``dtype``."""
    bits = FLOAT_BITS.get(dtype, 24)
    return (word >> (32 - bits)).cast(dt.float32) * 2.0**-bits


def unit_double(high: Expr, low: Expr) -> Expr:
    """Two words as a float64 of [0, 1) with 53 bits."""
    return ((high >> 5).cast(dt.float64) * 2.0**26 + (low >> 6).cast(dt.float64)) * 2.0**-53


def _units(words: Words, dtype: DType) -> Words:
    if dtype is dt.float64:
        return [unit_double(words[0], words[1]), unit_double(words[2], words[3])]
    return [unit(w, dtype) for w in words]


def _bits(d: Define, *seeds: Expr, shape: Shape) -> None:
    fill(d, seeds, shape, 4, lambda words: words)


def _uniform(d: Define, *numbers: Expr | None, shape: Shape, dtype: DType) -> None:
    *seeds, low, high = numbers

    def make(words: Words) -> Words:
        return [_between(u, low, high, dtype) for u in _units(words, dtype)]

    fill(d, [n for n in seeds if n is not None], shape, _lanes("uniform", dtype), make)


def _lanes(op: str, dtype: DType, wide: bool = False) -> int:
    return 4 // words_per_element(op, dtype, wide)


def _between(u: Expr, low: Expr | None, high: Expr | None, dtype: DType) -> Expr:
    """low + u·(high - low); ``low`` itself where that rounds up to ``high``."""
    if low is None or high is None:
        return u
    a, z = low.cast(u.dtype), high.cast(u.dtype)
    made = (u * (z - a) + a).cast(dtype)
    return where(made.cast(u.dtype) < z, made, a.cast(dtype))


def _normal(d: Define, *numbers: Expr, shape: Shape, dtype: DType) -> None:
    *seeds, mean, std = numbers

    def make(words: Words) -> Words:
        if dtype is dt.float64:
            drawn: Words = _pair_double(words)
        else:
            drawn = [*_pair(*words[:2]), *_pair(*words[2:])]
        return [z * std.cast(z.dtype) + mean.cast(z.dtype) for z in drawn]

    fill(d, seeds, shape, _lanes("normal", dtype), make)


def _pair(first: Expr, second: Expr) -> tuple[Expr, Expr]:
    """Box-Muller: two independent normals in float32."""
    u = ((first >> 8) + 1).cast(dt.float32) * 2.0**-24
    t = (second >> 8).cast(dt.float32) * 2.0**-24
    radius = s.sqrt(log_unit(u) * -2)
    return radius * cos_2pi(t), radius * sin_2pi(t)


def _pair_double(words: Words) -> tuple[Expr, Expr]:
    u, t = unit_double(words[0], words[1]) + 2.0**-53, unit_double(words[2], words[3])
    radius = s.sqrt(s.log(u) * -2)
    return radius * s.cos(t * (2 * math.pi)), radius * s.sin(t * (2 * math.pi))


def _randint(d: Define, *numbers: Expr, shape: Shape, dtype: DType, wide: bool) -> None:
    *seeds, low, high = numbers
    work = dt.uint64 if wide else dt.uint32
    span = high.cast(work) - low.cast(work)
    kind = _integer(dtype)

    def make(words: Words) -> Words:
        if wide:
            parts = [_joined(words[0], words[1]), _joined(words[2], words[3])]
            drawn = [p % span for p in parts]
        else:
            drawn = [s.mulhi(w, span) for w in words]
        return [low.cast(kind) + r.cast(kind) for r in drawn]

    fill(d, seeds, shape, _lanes("randint", dtype, wide), make)


def _joined(high: Expr, low: Expr) -> Expr:
    return (high.cast(dt.uint64) << 32) | low.cast(dt.uint64)


def _integer(dtype: DType) -> DType:
    """Where the integers of ``dtype`` are computed: 32 bits do for the narrow ones."""
    if dtype.kind in "ui" and dtype.itemsize >= 4:
        return dtype
    return dt.int32 if dtype.kind in "ui" else dt.int64


# ---- decompositions ------------------------------------------------------------------------------------------------------
Number = Any


def _bernoulli(
    b: Any, p: Any, seed_lo: Number, seed_hi: Number, offset_lo: Number, offset_hi: Number, shape: Shape, dtype: DType
) -> Any:
    u = b.uniform(seed_lo, seed_hi, offset_lo, offset_hi, shape=shape, dtype=dt.float32)
    return b.cast(b.lt(u, p), dtype=dtype)


def _dropout(
    b: Any, x: Any, p: Number, seed_lo: Number, seed_hi: Number, offset_lo: Number, offset_hi: Number
) -> tuple[Any, Any]:
    u = b.uniform(seed_lo, seed_hi, offset_lo, offset_hi, shape=x.shape, dtype=dt.float32)
    mask = b.ge(u, p)
    return b.dropped(x, mask, p), mask


def _dropped(d: Define, x: Any, mask: Any, p: Expr) -> None:
    """x / (1 - p) where the mask holds, else 0 (also where x is not finite)."""
    at = d.axes(x.shape)
    value = x[at].cast(dt.compute_dtype(x.dtype))
    d.store(0, at, where(mask[at], value * (1 / (1 - p.cast(value.dtype))), 0))


def _multinomial(
    b: Any, weights: Any, seed_lo: Number, seed_hi: Number, offset_lo: Number, offset_hi: Number, samples: int,
    replacement: bool,
) -> Any:  # fmt: skip
    """With replacement: where uniforms fall among the running sums. Without: the first arrivals of exponential clocks."""
    seeds = (seed_lo, seed_hi, offset_lo, offset_hi)
    weights = b.cast(weights, dtype=dt.compute_dtype(weights.dtype))
    if not replacement:
        u = b.uniform(*seeds, 2.0**-26, 1.0, shape=weights.shape, dtype=dt.float32)
        return b.topk(b.div(weights, b.neg(b.log(u))), k=samples, axis=-1, largest=True)[1]
    sums = b.cumsum(weights, axis=-1)
    u = b.uniform(*seeds, shape=(*weights.shape[:-1], samples), dtype=dt.float32)
    total = b.slice(sums, axis=-1, start=sums.shape[-1] - 1, stop=sums.shape[-1], step=1)
    return b.searchsorted(sums, b.mul(u, total), right=True)


def multinomial_size(shape: Shape, samples: int, replacement: bool) -> int:
    """How many uniforms `multinomial` draws for weights of ``shape``."""
    return math.prod(shape[:-1]) * samples if replacement else math.prod(shape)


# ---- the rows --------------------------------------------------------------------------------------------------------
def random(
    name: str, operands: str, result: Callable[..., Sequence[Spec]], attributes: Mapping[str, Any], doc: str,
    outputs: tuple[str, ...] = ("out",), **meaning: Any,
) -> Op:  # fmt: skip
    """Add a row."""
    return add_op(Op(name, "random", tuple(operands.split()), result, attributes, outputs, doc=doc, **meaning))


def _drawn(kinds: str) -> Callable[..., tuple[Spec]]:
    def result(*numbers: Any, shape: Shape, dtype: DType, **attrs: Any) -> tuple[Spec]:
        if dtype.kind not in kinds:
            raise TypeError(f"nothing of dtype {dtype.name} is drawn here; give a "
                            + ("floating point dtype" if kinds == "f" else "numeric dtype"))
        return (Spec.of(shape, dtype),)

    return result


def _like_x(x: Spec, *others: Any) -> tuple[Spec]:
    if x.dtype.kind != "f":
        raise TypeError(f"dropout takes floating point, {x.dtype.name} was given")
    return (x,)


def _multinomial_spec(weights: Spec, *seeds: Any, samples: int, replacement: bool) -> tuple[Spec]:
    if weights.ndim not in (1, 2) or weights.dtype.kind != "f":
        raise ValueError("weights are floating point with one or two axes; given: "
                         f"{weights.dtype.name}{list(weights.shape)}")
    if not replacement and samples > weights.shape[-1]:
        raise ValueError(f"{samples} samples without replacement of {weights.shape[-1]} categories")
    return (Spec.of((*weights.shape[:-1], samples), dt.int64),)


SHAPED = {"shape": (), "dtype": dt.float32}
# fmt: off
random("random_bits", SEEDS, lambda *seeds, shape: (Spec.of(shape, dt.uint32),), {"shape": ()}, "Words of the stream.", define=_bits)
random("uniform", SEEDS + " low? high?", _drawn("f"), SHAPED, "Uniform in [low, high), or in [0, 1).", define=_uniform)
random("normal", SEEDS + " mean std", _drawn("f"), SHAPED, "Normal, by Box-Muller.", define=_normal)
random("randint", SEEDS + " low high", _drawn("uif"), {"shape": (), "dtype": dt.int64, "wide": False},
       "Integers of [low, high). `wide` where the range is 2³² or more.", define=_randint)
random("bernoulli", "p " + SEEDS, _drawn("buif"), SHAPED, "1 with probability p (a number, or a tensor that broadcasts to the shape).", decompose=_bernoulli)
random("dropout", "x p " + SEEDS, lambda x, *numbers: (*_like_x(x), Spec.of(x.shape, dt.bool_)), {}, "x / (1 - p) with probability 1 - p, else 0.",
       ("out", "mask"), decompose=_dropout, gradient={"x": lambda b, g, mask, p: b.dropped(g, mask, p)})
random("dropped", "x mask p", _like_x, {}, "What a mask of `dropout` leaves.", define=_dropped, gradient={"x": lambda b, g, mask, p: b.dropped(g, mask, p)})
random("multinomial", "weights " + SEEDS, _multinomial_spec, {"samples": 1, "replacement": False}, "Categories drawn by weight.", decompose=_multinomial)
# fmt: on
