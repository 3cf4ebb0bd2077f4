"""The CPU's kernels over windows: beside float64, at every edge of a tile, the same bits everywhere, and who is chosen why."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import elsewhere
import ingot
import numpy as np
import pytest
import window_cases as cases
from ingot_cpu.native.windows import geometry
from ingot_devices import precision
from window_cases import Array, Case

pytestmark = elsewhere.native()
WINOGRAD, DIRECT = 2e-5, 2e-6
"""Bounds of the error, in shares of the largest result. Winograd's was 1e-5 at most."""
IDS = [f"{c.x}{c.weight}/{c.stride}+{c.padding}" for c in cases.CASES]


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """Convolutions may be less than exact, as they may at first."""
    before = precision.float32_convolution()
    precision.set_float32_convolution("high")
    yield
    precision.set_float32_convolution(before)


# ---- an independent answer ---------------------------------------------------------------------------------------------
def axes_of(case: Case) -> list[tuple[int, int, tuple[int, int]]]:
    """(stride, dilation, padding) of each spatial axis."""
    rank = len(case.x) - 2
    one = [(v,) * rank if isinstance(v, int) else v for v in (case.stride, case.dilation)]
    sides = ((case.padding,) * 2,) * rank if isinstance(case.padding, int) else case.padding
    return list(zip(one[0], one[1], sides, strict=True))


def columns(case: Case, x: Array) -> tuple[Array, list[Any]]:
    """Padded x in float64, and for each tap the slices that see it."""
    axes = axes_of(case)
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *(pad for *_, pad in axes)])
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, (s, d, _) in zip(padded.shape[2:], case.weight[2:], axes, strict=True)]
    taps = [
        (tap, (..., *(slice(t * d, t * d + s * (n - 1) + 1, s) for t, (s, d, _), n in zip(tap, axes, counts, strict=True))))
        for tap in np.ndindex(*case.weight[2:])
    ]
    return padded, taps


def wanted(case: Case) -> dict[str, Array]:
    """The convolution and its gradients by their sums, in float64."""
    x, weight, bias = cases.drawn(*case.x), cases.drawn(*case.weight).astype(np.float64), cases.drawn(case.weight[0])
    padded, taps = columns(case, x)
    n, groups = case.x[0], case.groups
    weight = weight.reshape(groups, -1, *case.weight[1:])

    def parted(part: Array) -> Array:  # (n, groups, channels of each, pixels)
        return part.reshape(n, groups, part.shape[1] // groups, -1)

    counts = padded[taps[0][1]].shape[2:]
    shares = (np.einsum("ngcp,goc->ngop", parted(padded[seen]), weight[(..., *tap)]) for tap, seen in taps)
    out = sum(shares).reshape(n, -1, *counts)
    out += bias.astype(np.float64).reshape(-1, *(1,) * (out.ndim - 2))
    slopes = parted(cases.drawn(*out.shape).astype(np.float64))
    to_x, to_weight = np.zeros_like(padded), np.zeros(case.weight)
    for tap, seen in taps:
        to_x[seen] += np.einsum("ngop,goc->ngcp", slopes, weight[(..., *tap)]).reshape(padded[seen].shape)
        to_weight[(..., *tap)] = np.einsum("ngop,ngcp->goc", slopes, parted(padded[seen])).reshape(case.weight[:2])
    inner: Any = (..., *(slice(a, a + n) for n, (*_, (a, _)) in zip(case.x[2:], axes_of(case), strict=True)))
    return {"out": out, "x": to_x[inner], "weight": to_weight}


def error(made: Array, exact: Array) -> float:
    """The largest difference, as a share of the largest result; where all are 0, itself."""
    return float(np.abs(made - exact).max() / (np.abs(exact).max() or 1.0))


# ---- values ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", cases.CASES, ids=IDS)
def test_beside_float64(case: Case) -> None:
    made, exact = cases.results(case), wanted(case)
    by_winograd = case in cases.WINOGRAD
    assert error(made["out"], exact["out"]) < (WINOGRAD if by_winograd else DIRECT)
    assert error(made["x"], exact["x"]) < (WINOGRAD if by_winograd else DIRECT)
    assert error(made["weight"], exact["weight"]) < DIRECT


def any_case(draw: random.Random) -> Case:
    """Windows of any kind that fit their pictures."""
    rank, groups = draw.choice((1, 2, 2)), draw.choice((1, 1, 2, 3, 5, 8, 17))
    channels, outputs = draw.choice((1, 1, 2, 3, 5, 9, 16, 18)), draw.choice((1, 1, 2, 3, 4, 7, 15, 16, 17, 33))
    taps, stride, dilation, size = (
        tuple(draw.choice(some) for _ in range(rank))
        for some in ((1, 2, 3, 3, 4, 5, 7), (1, 1, 2, 3, 4, 5), (1, 1, 1, 2, 3), (1, 2, 5, 7, 9, 14, 17, 33, 40))
    )
    pads = tuple((draw.randint(0, 4), draw.randint(0, 4)) for _ in range(rank))
    x, weight = (draw.choice((1, 2, 3)), groups * channels, *size), (groups * outputs, channels, *taps)
    rows = zip(size, pads, taps, dilation, strict=True)
    if any(n + sum(pad) <= d * (t - 1) for n, pad, t, d in rows) or math.prod(x) * outputs * math.prod(taps) > 2e6:
        return any_case(draw)
    return Case(x, weight, stride, pads, dilation, groups)


@pytest.mark.parametrize("seed", range(4))
def test_any_windows(seed: int) -> None:
    draw = random.Random(seed)
    for case in (any_case(draw) for _ in range(12)):
        made, exact = cases.results(case), wanted(case)
        assert all(error(made[n], exact[n]) < WINOGRAD for n in made), case


@pytest.mark.parametrize("case", cases.WINOGRAD, ids=IDS[: len(cases.WINOGRAD)])
def test_exact_where_that_is_asked_for(case: Case) -> None:
    precision.set_float32_convolution("highest")
    made, exact = cases.results(case), wanted(case)
    assert max(error(made[n], exact[n]) for n in ("out", "x")) < DIRECT


def test_tile_by_tile_and_panel_by_panel_are_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases.WINOGRAD[4]
    made = []
    for paneled in (False, True):
        monkeypatch.setattr(geometry, "reads", lambda *_, p=paneled: (int(p), int(not p)))
        plan, _ = cases.planned("convolution", [cases.drawn(*case.x), cases.drawn(*case.weight), None], **case.how)
        assert plan.steps[-1].source.startswith("; panels" if paneled else "; winograd")
        made.append(cases.run("convolution", [cases.drawn(*case.x), cases.drawn(*case.weight), None], **case.how)[0])
    np.testing.assert_array_equal(made[0], made[1])


def test_what_is_not_finite_stays_where_it_is_seen() -> None:
    """By the direct form; by Winograd it spoils the tiles that see it, and nothing further away."""
    x, weight = cases.drawn(2, 16, 20, 20), cases.drawn(16, 16, 3, 3)
    x[1, 3, 9, 10] = np.inf
    plain = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    precision.set_float32_convolution("highest")
    (out,) = cases.run("convolution", [x, weight, None], **plain)
    found = ~np.isfinite(out)
    assert found[1, :, 8:11, 9:12].all() and found.sum() == 16 * 9
    precision.set_float32_convolution("high")
    (out,) = cases.run("convolution", [x, weight, None], **plain)
    assert not np.isfinite(out[1, :, 8:11, 9:12]).any() and np.isfinite(out[0]).all() and np.isfinite(out[1, :, :, 16:]).all()


# ---- the same bits -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", elsewhere.CHANGES, ids=str)
def test_no_bit_depends_on_the_instruction_set_or_the_threads(change: dict[str, str]) -> None:
    assert elsewhere.digests(cases.__file__, change) == cases.digests()


def test_a_chunk_is_never_part_of_the_result() -> None:
    """Chunks of other sizes, for other numbers of threads: each covers all rows of all pictures once."""
    for high, batch, groups in ((1, 1, 1), (14, 1, 4), (14, 16, 1), (56, 3, 2), (2, 16, 3)):
        for threads in (1, 2, 7):
            made = geometry.cut(batch, groups, high, threads, lambda images, rows: images * rows * 100_000, 4)
            parts = -(-batch // made.images)
            assert made.chunks == groups * parts * made.bands and (made.bands == 1 or made.images == 1)
            assert made.rows * (made.bands - 1) < high <= made.rows * made.bands


# ---- who is chosen -----------------------------------------------------------------------------------------------------
def chosen(case: Case, name: str = "convolution") -> tuple[str, str]:
    """The first words of the kernel's source, and why others were not taken."""
    arrays: list[Array | None] = [cases.drawn(*case.x), cases.drawn(*case.weight), None]
    how = case.how
    if name != "convolution":
        slopes = cases.results(case)["out"]
        arrays, shape = ([slopes, arrays[1]], case.x) if name == "convolution_input" else ([slopes, arrays[0]], case.weight)
        how |= {"shape": shape}
    plan, attempts = cases.planned(name, arrays, **how)
    return plan.steps[-1].source.split(" ")[1], "; ".join(a.refused for a in attempts if a.refused)


def test_which_form_and_why_not_another() -> None:
    assert chosen(Case((8, 64, 56, 56), (64, 64, 3, 3), padding=1)) == ("winograd", "")
    assert chosen(cases.WINOGRAD[-1]) == ("panels", "")
    form, why = chosen(cases.DIRECT[0])
    first = "Winograd takes windows of 3×3 at stride 1, not dilated"
    assert form == "direct" and why == f"{first}; planes are for 16 outputs of a group or less, and for one channel"
    precision.set_float32_convolution("highest")
    form, why = chosen(cases.WINOGRAD[0])
    assert form == "planes" and why == 'Winograd is less exact than "highest" (ingot_devices.precision)'
    precision.set_float32_convolution("high")
    form, why = chosen(Case((1, 3, 8, 8), (16, 3, 3, 3), padding=1))
    assert form == "planes" and why == "Winograd is for 16 channels, outputs and results of each and more"
    form, why = chosen(Case((1, 64, 8, 8), (64, 32, 5, 5), padding=2, groups=2))
    assert form == "direct" and "planes are for 16 outputs of a group or less, and for one channel" in why
    form, why = chosen(Case((1, 8, 21, 21), (8, 1, 3, 3), 5, groups=8))
    assert form == "direct" and "columns are 5 apart, and there is code for 4" in why
    wide = Case((1, 2, 40, 40), (2, 1, 33, 33), groups=2)
    assert chosen(wide)[0] == "direct" and "windows have 1089 taps, and there is code for 1024" in chosen(wide)[1]


def test_which_form_of_a_gradient_and_why_not_another() -> None:
    strided = Case((1, 64, 8, 8), (64, 32, 5, 5), 2, 2, groups=2)
    assert chosen(strided, "convolution_input")[0] == "phases"
    few = Case((1, 64, 8, 8), (64, 4, 5, 5), 2, 2, groups=16)
    assert chosen(few, "convolution_input")[0] == "planes"
    assert chosen(few, "convolution_weight")[0] == "plane_weights,"
    form, why = chosen(strided, "convolution_weight")
    assert form == "gradient" and why == "planes are for weights that fill panels to less than 80%; it fills 100%"


def test_what_native_code_refuses_is_numpys() -> None:
    x, weight = cases.drawn(2, 4, 5, 5, 5), cases.drawn(4, 4, 3, 3, 3)
    plan, attempts = cases.planned("convolution", [x, weight, None], stride=1, padding=1, dilation=1, groups=1)
    assert plan.route == "registered" and "define void" not in plan.steps[-1].source
    assert "it takes one or two spatial axes; 3 were asked for" in [a.refused for a in attempts]
    out = cases.drawn(2, 4, 3, 3)
    how: dict[str, Any] = {"stride": 2, "padding": 2, "dilation": 2, "groups": 1}
    plan, attempts = cases.planned("convolution_input", [out, cases.drawn(4, 20, 3, 3)], shape=(2, 20, 5, 5), **how)
    assert "define void" not in plan.steps[-1].source
    assert "phases are for strides above 1, without dilation" in [a.refused for a in attempts]


def test_the_switch_of_pytorch() -> None:
    """``backends.cudnn.allow_tf32`` is the switch of `precision`: eager results follow it at once."""
    x, weight = ingot.from_numpy(cases.drawn(2, 32, 12, 12)), ingot.from_numpy(cases.drawn(32, 32, 3, 3))
    fast = ingot.nn.functional.conv2d(x, weight, padding=1).numpy()
    ingot.backends.cudnn.allow_tf32 = False
    exact = ingot.nn.functional.conv2d(x, weight, padding=1).numpy()
    assert (fast != exact).any()
    np.testing.assert_allclose(fast, exact, rtol=0, atol=WINOGRAD * np.abs(exact).max())


# ---- what follows ------------------------------------------------------------------------------------------------------
F = ingot.nn.functional
Follow = Callable[..., Any]


def normalised(y: Any, channel: Any, more: Any) -> Any:
    return F.batch_norm(y, channel, channel.exp(), channel, channel)


FOLLOWS: dict[str, Follow] = {
    "relu": lambda y, channel, more: F.relu(y),
    "in place": lambda y, channel, more: y.mul_(2).relu_(),
    "normalised": lambda y, channel, more: F.relu(normalised(y, channel, more)),
    "with what was there": lambda y, channel, more: F.relu(normalised(y, channel, more) + more),
    "a factor of each row": lambda y, channel, more: y * more[:1, :1] - 0.5,
    "compared": lambda y, channel, more: ingot.where(y > more, y, more * 3),
}
"""What follows a convolution in the same kernel: functions of its result, a number of each output, a tensor of its shape."""
FORMS = [cases.WINOGRAD[2], cases.WINOGRAD[4], cases.WINOGRAD[-3], cases.WINOGRAD[-1], *cases.DIRECT[:3], cases.DIRECT[-4],
         *cases.PLANES[1:4]]  # fmt: skip


def convolved(case: Case, x: Any, weight: Any, bias: Any) -> Any:
    return F.conv2d(x, weight, bias, case.stride, case.padding, case.dilation, case.groups)


@pytest.mark.parametrize("follow", FOLLOWS)
@pytest.mark.parametrize("case", FORMS, ids=[f"{c.x}{c.weight}" for c in FORMS])
@pytest.mark.parametrize("bias", [False, True])
def test_what_follows_has_the_bits_of_a_kernel_of_its_own(case: Case, follow: str, bias: bool) -> None:
    x, weight, channel = (ingot.from_numpy(cases.drawn(*shape)) for shape in (case.x, case.weight, case.weight[:1]))

    def function(x: Any, weight: Any, channel: Any, more: Any) -> Any:
        y = convolved(case, x, weight, channel if bias else None)
        return FOLLOWS[follow](y, channel, more)

    more = ingot.from_numpy(cases.drawn(*convolved(case, x, weight, None).shape))
    made = ingot.compile(function, fullgraph=True)
    for _ in range(3):
        result = made(x, weight, channel, more)
    np.testing.assert_array_equal(result.numpy(), function(x, weight, channel, more).numpy())
    assert "= convolution+" in made.stage("attach"), made.stage("attach")


@pytest.mark.parametrize("follow", [
    lambda y, channel, more: F.gelu(y), lambda y, channel, more: y + more.transpose(2, 3).contiguous().transpose(2, 3),
    lambda y, channel, more: y.double() * 2, lambda y, channel, more: y + more.sum(), lambda y, channel, more: y.sum((2, 3)),
])  # fmt: skip
def test_so_has_what_is_long_lies_in_another_order_or_sums(follow: Follow) -> None:
    """Most of it stays a kernel of its own."""
    x, weight, channel = (ingot.from_numpy(cases.drawn(*s)) for s in ((2, 16, 9, 9), (16, 16, 3, 3), (16,)))
    more = ingot.from_numpy(cases.drawn(2, 16, 9, 9))

    def function(x: Any, weight: Any, channel: Any, more: Any) -> Any:
        return follow(F.conv2d(x, weight, padding=1), channel, more)

    made = ingot.compile(function, fullgraph=True)
    for _ in range(3):
        result = made(x, weight, channel, more)
    np.testing.assert_array_equal(result.numpy(), function(x, weight, channel, more).numpy())


# ---- maxima ------------------------------------------------------------------------------------------------------------
POOLS = [
    ((2, 3, 9, 8), {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1)}),
    ((2, 3, 40, 37), {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
    ((1, 2, 33, 70), {"kernel": (5, 3), "stride": (3, 2), "padding": (2, 1), "dilation": (1, 2), "ceil_mode": True}),
    ((7, 18, 17), {"kernel": 2, "stride": 2, "padding": 0, "ceil_mode": True}),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "how"), POOLS)
def test_the_greatest_of_each_window_and_its_place(shape: Any, how: Any) -> None:
    """Beside a walk over every window: the first of equals, NaN before all, minus infinity where there is nothing else."""
    x = np.round(cases.drawn(*shape) * 2).astype(np.float32)  # many are equal
    x.flat[3::17], x.flat[5::11] = np.nan, -np.inf
    x[..., :4, :4] = -np.inf
    attrs: dict[str, Any] = {"dilation": 1, "ceil_mode": False, **how}
    plan, _ = cases.planned("max_pool_with_indices", [x], **attrs)
    assert "define void @NAME" in plan.steps[-1].source
    values, places = cases.run("max_pool_with_indices", [x], **attrs)
    plan, _ = cases.planned("max_pool", [x], **attrs)
    assert "define void @NAME" in plan.steps[-1].source
    np.testing.assert_array_equal(cases.run("max_pool", [x], **attrs)[0], values)

    rank = max(len(v) for v in attrs.values() if isinstance(v, tuple)) if isinstance(attrs["kernel"], tuple) else 1
    sizes = (1, *x.shape[-1:]) if rank == 1 else x.shape[-2:]

    def both(value: Any, fill: int) -> tuple[int, int]:
        return (value, value) if rank == 2 and isinstance(value, int) else (fill, value) if rank == 1 else value

    kernel, stride, padding, dilation = (both(attrs[n], n != "padding") for n in ("kernel", "stride", "padding", "dilation"))
    planes = x.reshape(-1, *sizes)
    made, found = (v.reshape(len(planes), *((1,) if rank == 1 else ()), *v.shape[-rank:]) for v in (values, places))
    for n, y, z in np.ndindex(*made.shape):
        rows, columns = (
            [t for k in range(kernel[a]) if 0 <= (t := i * stride[a] - padding[a] + k * dilation[a]) < sizes[a]]
            for a, i in enumerate((y, z))
        )
        seen = [(r * sizes[1] + c, planes[n, r, c]) for r in rows for c in columns]
        best = next((s for s in seen if np.isnan(s[1])), None) or max(seen, key=lambda s: s[1])
        got = made[n, y, z], found[n, y, z]
        assert got[1] == best[0] and (got[0] == best[1] or (np.isnan(best[1]) and np.isnan(got[0]))), (n, y, z)
