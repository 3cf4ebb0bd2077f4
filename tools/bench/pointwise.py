"""How fast is large pointwise and row work beside PyTorch, and what does small work cost beside PyTorch and NumPy?

gelu, softmax and layer_norm of 4096², AdamW over a million parameters; sums and exponentials of a few elements. PyTorch is
measured as users write it, and in its best form: writing into memory that exists (``out``), its fused AdamW. The large work
is measured in JAX too, where it is installed. Each kernel's share of the floor (bytes over what a copy reaches in the same run)
is in the JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import with_jax
from common import parser, report, rounds, serve, summary, versions

N, MILLION = 4096, 1 << 20
Case = tuple[Callable[[], Any], int]
MOVED = {"gelu": 2, "softmax": 2, "layer_norm": 2}  # arrays of N² float32 that a kernel reads or writes at least
BOUNDS = {  # case: (must, aim) beside PyTorch as written, and beside its best form
    "gelu": ((6, 11), (1.1, 3)), "softmax": ((3.5, 6), (1.1, 1.5)), "layer_norm": ((4, 7), (1.1, 2.8)),
    "adamw": ((5, 9), (1.5, 1.9)),
}  # fmt: skip


def large(lib: Any) -> dict[str, Case]:
    """The large cases, as users write them."""
    x, w, b = lib.randn(N, N), lib.randn(N), lib.randn(N)
    f = lib.nn.functional
    cases: dict[str, Case] = {
        "gelu": (lambda: f.gelu(x), 2),
        "softmax": (lambda: f.softmax(x, -1), 2),
        "layer_norm": (lambda: f.layer_norm(x, (N,), w, b), 2),
    }
    return {**cases, "adamw": (adamw(lib), 5)}


def adamw(lib: Any, **options: Any) -> Callable[[], Any]:
    """A step over one parameter of a million elements."""
    parameter = lib.nn.Parameter(lib.randn(MILLION))
    parameter.grad = lib.randn(MILLION)
    step: Callable[[], Any] = lib.optim.AdamW([parameter], lr=1e-3, **options).step
    step()
    return step


def best(lib: Any) -> dict[str, Case]:
    """PyTorch into memory that exists, and its fused optimizer."""
    x, w, b, out = lib.randn(N, N), lib.randn(N), lib.randn(N), lib.empty(N, N)
    mean, rstd = lib.empty(N, 1), lib.empty(N, 1)
    aten = lib.ops.aten
    return {
        "gelu out": (lambda: aten.gelu.out(x, out=out), 2),
        "softmax out": (lambda: aten._softmax.out(x, -1, False, out=out), 2),
        "layer_norm out": (lambda: aten.native_layer_norm.out(x, [N], w, b, 1e-5, out0=out, out1=mean, out2=rstd), 2),
        "adamw out": (adamw(lib, fused=True), 5),
    }


def small(lib: Any) -> dict[str, Case]:
    """A few elements: all overhead."""
    a, rows = lib.randn(10), lib.randn(64, 10)
    return {
        "sum 10": (a.sum, 5000),
        "exp 10": (a.exp, 5000),
        "softmax 64x10": (lambda: lib.softmax(rows, -1), 2000),
    }


def by_numpy() -> dict[str, Case]:
    """The small cases and a copy, in NumPy."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, rows = rng.standard_normal(10).astype(np.float32), rng.standard_normal((64, 10)).astype(np.float32)
    source = rng.standard_normal((N, N)).astype(np.float32)
    target = np.empty_like(source)

    def softmax() -> Any:
        e = np.exp(rows - rows.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return {
        "copy": (lambda: np.copyto(target, source), 2),
        "sum 10": (a.sum, 5000),
        "exp 10": (lambda: np.exp(a), 5000),
        "softmax 64x10": (softmax, 2000),
    }


def main() -> int:
    """Run and report."""
    options = parser(__doc__ or "").parse_args()
    if options.serve == "numpy":
        return serve(by_numpy())
    if options.serve == "jax":
        return serve(with_jax.pointwise(N, MILLION))
    if options.serve:
        lib = import_module(options.serve)
        return serve({**large(lib), **small(lib), **(best(lib) if options.serve == "torch" else {})})
    few = ["sum 10", "exp 10", "softmax 64x10"]
    cases = [*BOUNDS, *few]
    sides = {"torch": [*cases, *(f"{c} out" for c in BOUNDS)], "ingot": cases, "numpy": ["copy", *few]}
    found = rounds(__file__, {**sides, **({"jax": [*BOUNDS]} if find_spec("jax") else {})}, options.rounds)
    ratios: dict[str, tuple[str, str, float, float]] = {}
    for case, (plain, out) in BOUNDS.items():
        ratios[case] = (f"torch {case}", f"ingot {case}", *plain)
        ratios[f"{case}, best form"] = (f"torch {case} out", f"ingot {case}", *out)
        ratios[f"{case}, JAX"] = (f"jax {case}", f"ingot {case}", 1, 2)
    for case in few:
        ratios[f"{case}, PyTorch"] = (f"torch {case}", f"ingot {case}", 1, 2)
        ratios[f"{case}, NumPy"] = (f"numpy {case}", f"ingot {case}", 1, 2)
    copied = summary(found["numpy copy"])["median"]
    floors = {c: copied * n / 2 / summary(found[f"ingot {c}"])["median"] for c, n in MOVED.items()}
    for case, share in floors.items():
        print(f"  {case}: {share:.0%} of what a copy on one thread reaches")
    extra = {**versions("torch", "ingot", "numpy", "jax"), "share of a copy": floors}
    return report("Pointwise, row and optimizer kernels, ingot beside its peers", found, ratios, "numpy copy", options, extra)


if __name__ == "__main__":
    raise SystemExit(main())
