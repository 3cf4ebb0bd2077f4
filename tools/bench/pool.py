"""What is the memory pool worth on large elementwise work? Ingot beside plain NumPy, which takes fresh pages each time."""

from __future__ import annotations

from importlib.metadata import version

from common import parser, report, rounds, serve

N = 4096


def main() -> int:
    """Run and report: 4096² float32, 64 MiB an array."""
    options = parser(__doc__ or "").parse_args()
    if options.serve:
        import numpy as np

        x, y = np.ones((N, N), np.float32), np.ones((N, N), np.float32)
        out = np.empty_like(x)
        if options.serve == "numpy":
            return serve({"copy": (lambda: np.copyto(out, x), 3), "add": (lambda: x + y, 3),
                          "add into out=": (lambda: np.add(x, y, out=out), 3)})  # fmt: skip
        import ingot

        a, b = ingot.tensor(x), ingot.tensor(y)
        return serve({"add": (lambda: a + b, 3)})
    found = rounds(__file__, {"numpy": ["copy", "add", "add into out="], "ingot": ["add"]}, options.rounds)
    ratios = {
        "add beside numpy": ("numpy add", "ingot add", 1.0, 3.0),
        "add beside out=": ("numpy add into out=", "ingot add", 0.9, 1.0),
    }
    return report("Pooled memory on large elementwise work", found, ratios, "numpy copy", options, {"numpy": version("numpy")})


if __name__ == "__main__":
    raise SystemExit(main())
