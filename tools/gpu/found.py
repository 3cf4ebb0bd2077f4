"""What there is, and whether it works at all: versions, `ingot devices`, a kernel of each kind against NumPy."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

DISTRIBUTIONS = ("pycuda", "cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cublas", "nvidia-cudnn-cu13", "numpy", "torch",
                 "cupy-cuda13x", "jax")  # fmt: skip


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def main() -> int:
    """1 if an answer is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    import ingot
    from ingot_devices import dtypes as dt
    from ingot_devices import records
    from ingot_devices.discovery import open_device
    from ingot_devices.explain import explain

    found: dict[str, Any] = {"versions": {name: installed(name) for name in DISTRIBUTIONS}}
    found["records"] = [r.to_dict() for r in records()]
    device = open_device("cuda")
    found["limits"] = {k: str(v) for k, v in vars(device.limits).items() if k != "dtypes"}
    found["explain matmul"] = explain("matmul", device, (dt.float32, dt.float32)).text()
    found["explain convolution"] = explain("convolution", device, (dt.float32, dt.float32)).text()
    wrong = {name: error for name, error in checks(ingot).items() if not error < 1e-3}
    found["wrong"] = wrong
    given.out.write_text(json.dumps(found, indent=1, default=str))
    print(found["explain matmul"], found["explain convolution"], f"\nwrong: {wrong or 'nothing'}")
    return 1 if wrong else 0


def checks(t: Any) -> dict[str, float]:
    """The largest difference from NumPy, by kind of kernel; copies of this kind are made by the staging buffers."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 700)).astype(np.float32), rng.standard_normal((700, 200)).astype(np.float32)
    a, b = t.tensor(x, device="cuda"), t.tensor(y, device="cuda")
    e = np.exp(x - x.max(1, keepdims=True))
    long = rng.standard_normal(3_000_000).astype(np.float32)

    def far(got: Any, wanted: Any) -> float:
        return float(np.abs(np.asarray(got.to(t.float32).cpu().numpy(), np.float64) - wanted).max())

    return {
        "pointwise": far(a * 2 + 1, x * 2 + 1),
        "odd offset": far(a.reshape(-1)[1:] * 2, x.reshape(-1)[1:] * 2),
        "transposed": far(a.T + 1, x.T + 1),
        "softmax": far(a.softmax(-1), e / e.sum(1, keepdims=True)),
        "long sum": far(t.tensor(long, device="cuda").sum(), long.sum(dtype=np.float64)) / 1e3,
        "product": far(a @ b, x.astype(np.float64) @ y) / 10,
        "float16": far(a.to(t.float16) + 1, x.astype(np.float16) + np.float16(1)),
        "bfloat16": far(a.to(t.bfloat16), x) / 100,
        "copy": far(t.tensor(long, device="cuda"), long),
    }


if __name__ == "__main__":
    sys.exit(main())
