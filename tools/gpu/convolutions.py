"""Convolution and its gradients on CUDA: by the library, exact and in TF32, and by the plugin's own kernels, beside float64.

Each figure is the largest difference from the CPU's float64, as a share of the largest value.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((8, 3, 64, 64), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((4, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    ((4, 64, 56, 56), (128, 64, 3, 3), {"stride": 2, "padding": 1}),
    ((4, 64, 56, 56), (128, 64, 1, 1), {"stride": 2}),
    ((2, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    ((2, 6, 9, 7), (4, 3, 3, 3), {"groups": 2, "padding": 1}),
    ((2, 32, 14, 14), (32, 1, 3, 3), {"groups": 32, "padding": 1}),
    ((1, 8, 24, 24), (8, 8, 3, 3), {"dilation": (2, 3), "padding": (2, 3)}),
    ((3, 1, 5, 5), (2, 1, 3, 3), {}),
    ((2, 3, 11, 13), (5, 3, 2, 4), {"stride": (2, 3)}),
    ((2, 16, 200), (32, 16, 5), {"padding": 2, "stride": 3}),
    ((1, 4, 8, 9, 10), (6, 4, 3, 3, 3), {"padding": 1}),
)
BOUNDS = {"float32": 2e-5, "float32 in TF32": 5e-3, "float16": 5e-3, "bfloat16": 4e-2}


def answers(t: Any, device: str, dtype: Any, x: Any, w: Any, how: dict[str, Any]) -> list[Any]:
    """The result, and the gradients of x, w and a bias, in float64 on the CPU."""
    here = [t.tensor(v, device=device).to(dtype).requires_grad_() for v in (x, w, w.reshape(w.shape[0], -1)[:, 0])]
    y = {3: t.nn.functional.conv1d, 4: t.nn.functional.conv2d, 5: t.nn.functional.conv3d}[x.ndim](*here, **how)
    (y * y.detach()).sum().backward()
    return [v.detach().to(t.float32 if device != "cpu" else t.float64).cpu().numpy() for v in (y, *(h.grad for h in here))]


def _none() -> str:
    return "cuDNN is not found (on purpose)"


def check(t: Any, small: bool = False) -> dict[str, float]:
    """What is too far off, by shape, format and route; ``small``: of the last shapes alone, for a rehearsal."""
    import numpy as np
    from ingot_cuda import cudnn
    from ingot_devices import precision

    rng, wrong = np.random.default_rng(0), {}
    found = cudnn._find
    names = {"float32": t.float32, "float32 in TF32": t.float32, "float16": t.float16, "bfloat16": t.bfloat16}
    for number, (x_shape, w_shape, how) in list(enumerate(SHAPES))[-3 if small else 0 :]:
        x, w = (rng.standard_normal(s).astype(np.float32) / 4 for s in (x_shape, w_shape))
        for name, dtype in names.items():
            rounded_x, rounded_w = (t.tensor(v).to(dtype).to(t.float64).numpy() for v in (x, w))
            wanted = answers(t, "cpu", t.float64, rounded_x, rounded_w, how)
            for route in ("library", "own"):
                if route == "own" and name != "float32":  # what the device's tests see
                    continue
                vars(cudnn)["_find"] = found if route == "library" else _none
                precision.set_float32_convolution("high" if name == "float32 in TF32" else "highest")
                t.dispatch.forget_plans()
                for of, got, right in zip(("y", "x", "w", "bias"), answers(t, "cuda", dtype, x, w, how), wanted, strict=True):
                    far = float(np.abs(got - right).max() / np.abs(right).max())
                    if not far <= BOUNDS[name]:
                        wrong[f"convolution {number} {x_shape} {w_shape} {name} {route} {of}"] = far
    vars(cudnn)["_find"] = found
    precision.set_float32_convolution("high")
    return wrong


def main() -> int:
    """1 if an answer is wrong, or the library was not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--small", action="store_true", help="a few shapes, for a rehearsal, with the library or without")
    given = parser.parse_args()
    import ingot
    from ingot_cuda import cudnn

    library, wrong = cudnn._find(), check(ingot, given.small)
    used = library if isinstance(library, str) else f"cuDNN {library.version}"
    launches = ingot.dispatch.launch_counts("cuda:0")
    given.out.write_text(json.dumps({"library": used, "wrong": wrong, "launches": launches}, indent=1))
    print(used, launches, f"\nwrong: {json.dumps(wrong, indent=1)}")
    return 1 if wrong or (isinstance(library, str) and not given.small) else 0


if __name__ == "__main__":
    sys.exit(main())
