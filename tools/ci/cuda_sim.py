"""Builds the simulated CUDA driver and runs the device suite on it. SIMULATED: no GPU is involved, and nothing is tested on CUDA.

    .venv/bin/python tools/ci/cuda_sim.py build      build what is missing, print the folder
    .venv/bin/python tools/ci/cuda_sim.py env        the same, and print the environment for another program
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "plugin"))

from cuda_sim.build import BuildFailed, build  # noqa: E402 - the package lies with the tests
from cuda_sim.use import environment  # noqa: E402


def main() -> int:
    """0 when all that was asked for went well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="?", choices=("build", "env"), default="build")
    given = parser.parse_args()
    try:
        built = build(lambda line: print(line, file=sys.stderr, flush=True))
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    if given.what == "env":
        print("\n".join(f"export {k}='{v}'" for k, v in environment(built).items()))
    else:
        print(built.driver)
    return 0


if __name__ == "__main__":
    sys.exit(main())
